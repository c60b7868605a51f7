"""The boards files and the commands that the README and the docs show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.boards_file import read_boards
from tests.asking import ask
from tests.cli.conftest import run
from tests.conftest import running

if TYPE_CHECKING:
    from tests.conftest import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PLACE = "http://127.0.0.1:8000"


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def curl(server: Server, words: list[str]) -> str:
    """Send the request of a line of curl, and return the body."""
    options = dict(zip(words[:-1:2], words[1:-1:2], strict=True))
    header = options.get("-H", "accept: */*").split(": ")
    method = "POST" if "--json" in options else "GET"
    body = options["--json"].encode() if "--json" in options else None
    return ask(server, method, words[-1].removeprefix(PLACE), body, dict([header])).body.decode()


def run_line(server: Server, line: str) -> str:
    """Run a line of the page, and return its output."""
    command, *words = shlex.split(line)
    return curl(server, words) if command == "curl" else run(server.url, *words).stdout


@pytest.mark.parametrize("page", ["README.md", "docs/boards.md"])
def test_boards_files_are_valid(page: str, tmp_path: Path) -> None:
    """Each boards file that a page shows is one that the service accepts."""
    files = blocks((ROOT / page).read_text(), "toml")
    for file in files:
        (tmp_path / "boards.toml").write_text(file)
        assert read_boards(tmp_path / "boards.toml").boards
    assert files


def test_tour_goes_as_shown(tmp_path: Path) -> None:
    """The commands of the tour, run in order, write what the page shows."""
    (tmp_path / "boards.toml").write_text(blocks(README, "toml")[0])
    (tour,) = blocks(README, "console")
    steps = [step.partition("\n") for step in re.split(r"^\$ ", tour, flags=re.MULTILINE)[1:]]
    with running(tmp_path / "data", "--boards", str(tmp_path / "boards.toml")) as server:
        found = [(line, run_line(server, line).rstrip("\n")) for line, _, _ in steps]
    assert found == [(line, answer.rstrip("\n")) for line, _, answer in steps]
