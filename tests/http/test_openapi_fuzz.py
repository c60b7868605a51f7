"""Schemathesis against the live service, in all its phases and with all its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from laurels.access.keys import digest_key, make_key
from tests.conftest import running
from tests.http.checks import TESTER
from tests.length import times

HERE = Path(__file__).parent
COMMAND = [str(Path(sys.executable).with_name("st")), "--no-color", "--config-file", str(HERE / "schemathesis.toml")]
PLAYERS = """
[players]
secret = "env:TOKEN_SECRET"
anonymous = true
"""


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples, coverage, fuzzing and stateful tests end without a finding, whatever is sent."""
    monkeypatch.setenv("TOKEN_SECRET", "s" * 32)
    boards, access, key = tmp_path / "boards.toml", tmp_path / "access.toml", make_key()
    boards.write_text('[default]\nwindows = ["daily"]\n')
    access.write_text(f'[keys.{TESTER}]\nsha256 = "{digest_key(key)}"\nscopes = ["admin"]\n{PLAYERS}')
    options = ("--boards", str(boards), "--access", str(access), "--audit-log", str(tmp_path / "audit.log"))
    with running(tmp_path / "data", *options) as server:
        found = subprocess.run(
            [*COMMAND, "run", "--max-examples", str(times(15)), f"{server.url}/-/openapi.json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            cwd=tmp_path,
            env=os.environ | {"SCHEMATHESIS_HOOKS": str(HERE / "checks.py"), "LAURELS_KEY": key},
        )
    assert found.returncode == 0, found.stdout[-5000:]
    assert [phase in found.stdout for phase in ("✅ Examples", "✅ Coverage", "✅ Fuzzing", "✅ Stateful")] == [
        True
    ] * 4
