"""A service that holds as much as its operator allows says so, and which setting to raise."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask
from tests.conftest import started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

LAURELS = [sys.executable, "-m", "laurels"]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a service that holds one board with two entries, and may hold no more."""
    data = str(tmp_path_factory.mktemp("full"))
    with started(
        [*LAURELS, "serve", "--port", "0", "--data", data, "--max-boards", "1", "--max-entries", "2"]
    ) as server:
        entries = [{"name": name, "score": 1} for name in "vw"]
        assert ask(server, "POST", "/kart", {"entries": entries}).json == {"accepted": 2, "refused": []}
        yield server


@pytest.mark.parametrize(
    ("method", "target", "body", "setting"),
    [
        ("POST", "/kart/x", {"score": 1}, "--max-entries"),
        ("POST", "/laps/v", {"score": 1}, "--max-"),
        ("PUT", "/-/boards/laps", {}, "--max-boards"),
        ("POST", "/kart", {"entries": [{"name": "x", "score": 1}]}, "--max-entries"),
    ],
)
def test_new_is_refused(full: Server, method: str, target: str, body: object, setting: str) -> None:
    """What would add something is a 507 that names the setting."""
    answer = ask(full, method, target, body)
    assert (answer.status, answer.json["title"]) == (507, "Insufficient Storage")
    assert setting in answer.json["detail"]


def test_what_is_there_goes_on(full: Server) -> None:
    """Names that are there take new scores, also in a batch in which others are refused."""
    assert ask(full, "POST", "/kart/v", {"score": 2}).status == 202
    assert ask(full, "PUT", "/-/boards/kart", {"ranking": "dense"}).status == 201
    answer = ask(full, "POST", "/kart", {"entries": [{"name": name, "score": 3} for name in "xw"]}).json
    assert (answer["accepted"], [one["name"] for one in answer["refused"]]) == (1, ["x"])
    assert b"\nlaurels_entries 2.0\n" in ask(full, "GET", "/-/metrics").body


def test_import(full: Server, tmp_path: Path) -> None:
    """An import says which rows were refused, and for which setting."""
    file = tmp_path / "rows.csv"
    file.write_text("name,score\nv,5\ny,6\n")
    command = [*LAURELS, "import", str(file), "--board", "kart", "--server", full.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--max-entries" in done.stdout + done.stderr
