"""The clients to copy: those in Python and JavaScript run against a service, those in C# and GDScript are parsed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tree_sitter_c_sharp
from gdtoolkit.linter import lint_code  # type: ignore[import-untyped]
from gdtoolkit.parser import parser  # type: ignore[import-untyped]
from tree_sitter import Language, Parser

from tests.access.ways import KeyRing
from tests.asking import ask
from tests.conftest import running
from tests.newcomer import ROOT
from tests.processes import FOREIGN, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

HERE = Path(__file__).parent
CLIENTS = ROOT / "examples" / "clients"
PLAYERS = '[players]\nsecret = "file:token-secret"'
BOARDS = '[boards.sums]\noperator = "increment"\n'
PROGRAMS = {
    "python": [sys.executable, str(HERE / "snippets.py"), str(CLIENTS / "leaderboard.py")],
    "javascript": ["node", str(HERE / "snippets.mjs"), str(CLIENTS / "leaderboard.js")],
}
EXPECTED = {
    "submitted": 5,
    "again": 5,
    "refused": [True, 403],
    "changes": [[["v", 34]], [["silverhand", 2077], ["v", 34]], [["judy", 3000], ["silverhand", 2077]]],
    "names": ["judy", "silverhand", "v"],
    "standing": {"score": 2077, "rank": 1},
    "nobody": {"score": 0, "rank": None},
    "top": [["judy", 0]],
    "around": ["silverhand", "v"],
}


class Flaky(BaseHTTPRequestHandler):
    """Something between a client and a service that loses the answer to the first submit, and refuses the second."""

    service: tuple[str, int]
    seen: list[str]

    def do_GET(self) -> None:
        """Pass a read on, and its answer as it comes."""
        self._pass_on()

    def do_POST(self) -> None:
        """Pass a submit on, but for the first ones that are authorised."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if "expired" not in self.headers["authorization"]:
            self.seen.append(self.headers["idempotency-key"])
        if len(self.seen) == 2:
            self.send_response(503)
            self.send_header("retry-after", "0")
            self.send_header("content-length", "0")
            self.end_headers()
            self.seen.append("refused")
            return
        self._pass_on(body, is_lost=len(self.seen) == 1)

    def _pass_on(self, body: bytes | None = None, *, is_lost: bool = False) -> None:
        connection = HTTPConnection(*self.service, timeout=10)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        response = connection.getresponse()
        self.close_connection = True
        if not is_lost:
            self.send_response_only(response.status)
            for name in ("content-type", "retry-after", "content-length"):
                if name in response.headers:
                    self.send_header(name, response.headers[name])
            self.end_headers()
            while part := response.read1(65536):
                self.wfile.write(part)
        connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """Run a service with an access file; return it with a key of a game's server."""
    ring = KeyRing()
    key = ring.add("game", ["read", "submit", "tokens"])
    (tmp_path / "token-secret").write_text("s" * 64)
    (tmp_path / "boards.toml").write_text(BOARDS)
    access = ring.write(tmp_path / "access.toml", '[public]\nscopes = ["read"]', PLAYERS)
    with running(tmp_path / "data", "--access", str(access), "--boards", str(tmp_path / "boards.toml")) as server:
        yield server, key


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_client(service: tuple[Server, str], program: list[str]) -> None:
    """It submits once though answers are lost, renews its token, reads, pages, and sees what changes."""
    server, key = service
    seen: list[str] = []
    handler = type("Between", (Flaky,), {"service": (server.host, server.port), "seen": seen})
    if shutil.which(program[0]) is None:  # pragma: no cover - where it is not installed
        pytest.skip("needs node")
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as between:
        flaky = f"http://127.0.0.1:{between.server_port}"
        command = [*program, server.url, flaky, key]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=FOREIGN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EXPECTED
    assert seen[:4] == ["one", "one", "refused", "one"]
    assert ask(server, "GET", "/sums/silverhand").json == {"score": 5, "rank": 0}


def test_client_for_godot() -> None:
    """The one in GDScript is well-formed, and as the linter of GDScript wants it."""
    text = (CLIENTS / "leaderboard.gd").read_text()
    assert parser.parse(text)
    assert lint_code(text) == []


def test_client_for_unity() -> None:
    """The one in C# is well-formed."""
    tree = Parser(Language(tree_sitter_c_sharp.language())).parse((CLIENTS / "Leaderboard.cs").read_bytes())
    assert not tree.root_node.has_error


@pytest.mark.parametrize("name", ["leaderboard.py", "leaderboard.js", "leaderboard.gd", "Leaderboard.cs"])
def test_client_does_all(name: str) -> None:
    """Each submits with a key of its own and after a refusal again, reads, pages, watches, and makes tokens."""
    text = (CLIENTS / name).read_text()
    for words in ("Idempotency-Key", "Retry-After", "around=", "cursor", "/-/tokens", "Bearer"):
        assert re.search(words.replace("around=", "around[=:]"), text, re.IGNORECASE), words
    assert name in (ROOT / "docs" / "snippets.md").read_text()
