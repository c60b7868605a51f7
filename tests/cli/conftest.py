"""The commands as a user runs them, services with scripted answers, and what a board and a file of it hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from laurels.cli import main
from laurels.cli.rows import encode_rows, make_header
from laurels.stores.contract import Entry
from tests.asking import ask
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from laurels.cli.dialects import Format
    from tests.conftest import Server

Run = Callable[..., Result]
Answer = tuple[int, dict[str, str], bytes]
HANG_UP = 0
RECEIPT = b"(a receipt)"
"""The body of an answer that says of each entry in the request that it is kept."""
NOT_KEPT: Answer = (422, {}, b'{"title":"Unprocessable Content","status":422,"detail":"This store cannot."}')
FORMATS: tuple[Format, ...] = ("tsv", "csv", "jsonl")
SCORES = {f"player {rank}, \u00e9": 5000 - rank for rank in range(2345)}


def run(url: str, *args: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(arg) for arg in args], env={"LAURELS_SERVER": url}, prog_name="laurels")


def start(url: str, *args: object, **streams: int) -> subprocess.Popen[str]:
    """Start a command in a process of its own, with pipes for its output.

    Its terminal says how large that is: ``LINES`` and ``COLUMNS`` would hold before it, and readline sets them for what
    it starts.
    """
    environment = {name: value for name, value in os.environ.items() if name not in {"LINES", "COLUMNS"}}
    command = [sys.executable, "-m", "laurels", *(str(arg) for arg in args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.Popen(command, text=True, env=environment | {"LAURELS_SERVER": url}, **pipes)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def laurels(server: Server) -> Run:
    """Return a function that runs a command against the server."""
    return lambda *args: run(server.url, *args)


@pytest.fixture
def board(request: pytest.FixtureRequest) -> str:
    """Return the name of a board that no other test uses."""
    return "board-" + str(abs(hash(request.node.nodeid)))


@pytest.fixture
def stdin(tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that sets the content of this process's stdin."""
    kept = os.dup(0)

    def put(content: bytes) -> None:
        (tmp_path / "stdin").write_bytes(content)
        with (tmp_path / "stdin").open("rb") as file:
            os.dup2(file.fileno(), 0)

    yield put
    os.dup2(kept, 0)
    os.close(kept)


class Failing(HTTPServer):
    """A service that sends the given answers one after another, then the last one for good, and keeps the requests."""

    def __init__(self, answers: list[Answer], *, on_request: Callable[[], object]) -> None:
        self.answers = answers
        self.on_request = on_request
        self.bodies: list[bytes] = []
        self.keys: list[str | None] = []
        self.traces: list[str | None] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Failing

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
        self.server.keys.append(self.headers.get("idempotency-key"))
        self.server.traces.append(self.headers.get("traceparent"))
        self.server.on_request()
        answers = self.server.answers
        status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == HANG_UP:
            self.close_connection = True
            return
        if body == RECEIPT:
            body = b'{"accepted":%d,"refused":[]}' % self.server.bodies[-1].count(b'"name"')
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET = do_PUT = do_POST  # noqa: N815 - the names are the library's

    def log_message(self, *_: object) -> None:
        pass


def failing(*answers: Answer, on_request: Callable[[], object] = lambda: None) -> AbstractContextManager[Failing]:
    """Run a service with these answers until the end of the block."""
    return serving(Failing(list(answers), on_request=on_request))


@contextmanager
def passing(server: Server, before: Callable[[], object]) -> Iterator[str]:
    """Run a service that passes each request on to a server, and calls ``before`` first; yield its address."""

    class Passing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            before()
            with closing(HTTPConnection("127.0.0.1", server.port)) as connection:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                kept = {"content-type", "idempotency-key", "prefer"}
                headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                content = answer.read()
            self.send_response(answer.status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 - the names are the library's

        def log_message(self, *_: object) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Passing)) as service:
        yield f"http://127.0.0.1:{service.server_port}"


def page(server: Server, board: str, start: int = 0) -> dict[str, float]:
    """Return up to 1,000 entries of a board, read over HTTP."""
    reply = ask(server, "GET", f"/{board}?startRank={start}&endRank={start + 1000}")
    return {entry["name"]: entry["score"] for entry in reply.json["leaderboard"]}


def content(scores: Mapping[str, float], kind: Format) -> bytes:
    """Return a file with a header."""
    rows = encode_rows([Entry(name, score) for name, score in scores.items()], kind, details=False)
    return make_header(kind, details=False) + rows


def everything(server: Server, board: str, window: str = "") -> Any:
    """Return all that there is to know of a board."""
    path = f"/{board}?endRank=1000&include=rank,metadata,submittedAt"
    return ask(server, "GET", path + window).json["leaderboard"]
