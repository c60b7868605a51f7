"""The line that installs an extra is one that can be typed where it is printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from laurels.optional import install_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of an environment with pip, which this process takes for its own."""
    prefix = tmp_path / "my games" / ".venv"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "pip").touch(0o755)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    return prefix


def test_activated(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an activated environment it is plain pip."""
    monkeypatch.setenv("PATH", str(prefix / "bin"))
    assert install_command("momento") == "pip install 'laurels[momento]'"


def test_in_a_checkout(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an environment that is not activated, it is that one's pip, not the system's."""
    monkeypatch.chdir(prefix.parent)
    assert install_command("momento") == ".venv/bin/pip install 'laurels[momento]'"


def test_elsewhere(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere it has the whole path, quoted if it must be."""
    monkeypatch.chdir("/")
    assert install_command("aws") == f"'{prefix}/bin/pip' install 'laurels[aws]'"


def test_without_pip(prefix: Path) -> None:
    """If there is no pip, as in the environments of uv, it is uv's."""
    (prefix / "bin" / "pip").unlink()
    assert install_command("momento") == f"uv pip install --python '{prefix}' 'laurels[momento]'"
