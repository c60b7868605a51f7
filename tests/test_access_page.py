"""The page on access: its first lines are typed, and its files are read."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.access.advice import list_advice
from laurels.access.file import AccessFile, Key, Players, read_access
from laurels.access.lazy_tokens import open_tokens
from laurels.boards_file import read_boards
from tests.asking import ask
from tests.conftest import started
from tests.test_readme import blocks

if TYPE_CHECKING:
    from tests.conftest import Server

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "access.md").read_text()
TABLES = {"[public]": AccessFile, "[keys.NAME]": Key, "[players]": Players}


class Reader:
    """Somebody who types what stands there, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.services = ExitStack()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "CURL_HOME": str(directory), "LAURELS_PORT": "0"}

    def type(self, line: str) -> str:
        """Type a line; return what it answers. A service goes on, and is asked at port 8000."""
        if line.startswith("laurels serve"):
            self.serve(line)
            return ""
        command = ["bash", "-c", line]
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    def serve(self, line: str) -> None:
        """Start a service."""
        server: Server = self.services.enter_context(
            started(["bash", "-c", f"exec {line}"], self.environment, self.directory)
        )
        self.environment["LAURELS_SERVER"] = server.url
        (self.directory / ".curlrc").write_text(
            f"silent\nfail-with-body\nconnect-to = 127.0.0.1:8000:127.0.0.1:{server.port}\n"
        )
        assert ask(server, "POST", "/mario-kart/v", {"score": 1}).status == 401


def test_first_lines(tmp_path: Path) -> None:
    """Each line can be typed where it stands, and the key that is made submits."""
    reader = Reader(tmp_path)
    block = blocks("sh", PAGE)[0]
    with reader.services:
        answers = [reader.type(line.partition("  #")[0].rstrip()) for line in block.splitlines()]
    assert answers[-2] == '{"score":34,"rank":1}'
    assert "game-server" not in read_access(tmp_path / "access.toml").keys
    assert "admin" in read_access(tmp_path / "access.toml").keys


FILES = [text for text in blocks("toml", PAGE) if not text.startswith("[boards")]


@pytest.mark.parametrize("text", FILES, ids=lambda text: text.partition("\n")[0])
def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Each file that the page shows is one that the service takes, with nothing to be said of it."""
    file = tmp_path / "access.toml"
    file.write_text(text)
    (tmp_path / "token-secret").write_text("s" * 64)
    (tmp_path / "token-secret").chmod(0o600)
    monkeypatch.setenv("LAURELS_TOKEN_SECRET", "s" * 64)
    found = read_access(file)
    assert (open_tokens(found.players, file) is None) == (found.players is None)
    assert list_advice(found, file, 0) == []


def test_boards_files(tmp_path: Path) -> None:
    """So is each boards file."""
    for text in set(blocks("toml", PAGE)) - set(FILES):
        (tmp_path / "boards.toml").write_text(text)
        assert read_boards(tmp_path / "boards.toml").boards


@pytest.mark.parametrize("kind", TABLES.values(), ids=TABLES)
def test_every_field_is_explained(kind: type[AccessFile | Key | Players]) -> None:
    """The page has a row for each field."""
    rows = PAGE.partition("## The file\n")[2].partition("\n\n**Changing")[0]
    fields = {"keys": "[keys.NAME]", "public": "[public]", "players": "[players]"}
    assert [field for field in kind.__struct_fields__ if f"| `{fields.get(field, field)}` |" not in rows] == []
