"""How connections are taken: several in a turn, as many as there are descriptors for, each limit an option."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from laurels.adapters.server import bind, find_urls
from laurels.assembly import application
from laurels.cli import main
from tests.adapters.test_protocol import log_of
from tests.asking import ask, read_replies
from tests.conftest import running, started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

LAURELS = [sys.executable, "-m", "laurels", "serve"]
FEW_FILES = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0})); "
SERVE = "from laurels.cli import main; main(['serve', '--port', '0', '--data', sys.argv[1]])"
UVICORN = ["uvicorn", "--factory", "laurels.assembly:application"]
SMALL_JOURNAL = "from laurels.stores.embedded import compaction; compaction.COMPACT_BYTES = 20_000; "


def connections_to(server: Server, count: int, stack: ExitStack) -> list[socket.socket]:
    """Open connections, and keep them open until the stack is closed."""
    address = (server.host, server.port)
    return [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(count)]


def submit_over(connection: socket.socket, number: int) -> None:
    """Submit a score over a connection that is kept."""
    body = b'{"score":1}'
    connection.sendall(b"POST /b/n%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n%b" % (number, body))
    assert read_replies(connection, 1)[0].status == 202


def test_connections_leave_descriptors_for_files(tmp_path: Path) -> None:
    """With 600 connections and 256 descriptors the service commits, compacts and answers those it admitted."""
    script = FEW_FILES.format(256) + SMALL_JOURNAL + SERVE
    with started([sys.executable, "-c", script, str(tmp_path)]) as server, ExitStack() as stack:
        first, *others = connections_to(server, 600, stack)
        for score in range(1000):
            submit_over(first, score)
        last = others[-1].recv(1000)
        deadline = time.monotonic() + 30
        while not (tmp_path / "boards.db").exists():
            assert time.monotonic() < deadline
            submit_over(first, 0)
        stack.close()
        assert ask(server, "GET", "/b/n999").json["score"] == 1
        log = log_of(server)
    assert last.startswith(b"HTTP/1.1 503")
    assert b"--max-connections" in last
    assert "Admitting 128 connections, not the 10000 of --max-connections" in log
    assert "the process may open 256 files" in log
    assert "Too many open files" not in log


def refusal(command: list[str], tmp_path: Path) -> str:
    """Return the one line with which a service refuses to start; it has not made its data directory."""
    data = tmp_path / "not-made"
    if command[: len(LAURELS)] == LAURELS:  # a process of its own would be no other
        ended = CliRunner().invoke(main, ["serve", *command[len(LAURELS) :], "--data", str(data)])
        assert (ended.exit_code, ended.stdout, ended.stderr.count("\n"), data.exists()) == (1, "", 1, False)
        return ended.stderr
    done = subprocess.run(
        [*command, "--data", str(data)], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n"), data.exists()) == (1, "", 1, False)
    return done.stderr


HOSTS = {
    "unknown": ("no-such-host.invalid", "the host is not found (Name or service not known)"),
    "of another machine": ("192.0.2.1", "Cannot assign requested address"),
    "an empty label": ("a..b", "the host is not found (no host has such a name)"),
    "a long label": ("a" * 64, "the host is not found (no host has such a name)"),
    "a socket's path": ("unix:/tmp/laurels.sock", "the host is not found"),
}


@pytest.mark.parametrize(("host", "problem"), HOSTS.values(), ids=HOSTS)
def test_host_that_cannot_be(tmp_path: Path, host: str, problem: str) -> None:
    """A host that is none of this machine is an error like every other."""
    said = refusal([*LAURELS, "--port", "0", "--host", host], tmp_path)
    assert said.startswith("Error: Cannot listen on ")
    assert problem in said
    assert said.endswith(". Choose another --host or --port.\n")


def test_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    """So is a port that another program listens on, at whichever of the host's addresses."""
    for host in ("127.0.0.1", "localhost", ""):
        said = refusal([*LAURELS, "--port", str(server.port), "--host", host], tmp_path)
        assert said == (
            f"Error: Cannot listen on {host}:{server.port}: Address already in use. Choose another --host or --port.\n"
        )


def test_port_that_needs_rights(tmp_path: Path) -> None:
    """So is a port for which the process has no right."""
    said = refusal(["setpriv", "--bounding-set=-net_bind_service", *LAURELS, "--port", "1"], tmp_path)
    assert said == "Error: Cannot listen on 127.0.0.1:1: Permission denied. Choose another --host or --port.\n"


def test_port_that_is_taken_meanwhile(tmp_path: Path) -> None:
    """So is one that another program begins to listen on while the boards file is read."""
    os.mkfifo(file := tmp_path / "boards.toml")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        options = ["--port", str(other.getsockname()[1]), "--data", str(tmp_path / "data"), "--boards", str(file)]
        with subprocess.Popen([*LAURELS, *options], stderr=subprocess.PIPE, text=True) as process:
            with file.open("w"):  # waits until it is read
                other.listen()
            _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.endswith(": Address already in use. Choose another --host or --port.\n")
    assert "Traceback" not in said


def test_every_address_of_a_host() -> None:
    """All addresses of a host are listened on, with one port."""
    with ExitStack() as stack:
        bound = [stack.enter_context(each) for each in bind("", 0)]
        assert len({each.getsockname()[1] for each in bound}) == 1


def test_one_line_says_where_it_runs(tmp_path: Path) -> None:
    """However many times a socket is listened on, the log says it once, with the pages for people."""
    with running(tmp_path) as server:
        page = {"accept": "text/html"}
        assert "<title>" in ask(server, "GET", "/-/console", headers=page).body.decode()
        assert "<title>" in ask(server, "GET", "/BOARD", headers=page).body.decode()
    (line,) = [line for line in server.log if server.url in line]
    pages = [f"{server.url}/{each}" for each in ("BOARD", "-/console", "-/docs")]
    assert re.findall(r"https?://\S+", line) == [server.url, *pages]


@pytest.mark.parametrize(
    ("host", "where", "pages"),
    [
        ("::1", "https://[::1]", "https://[::1]"),
        ("games.example", "https://games.example", "https://games.example"),
        ("::", "https://[::]", "https://localhost"),
        ("0.0.0.0", "https://0.0.0.0", "https://localhost"),  # noqa: S104 - the address that is meant
        ("", "https://", "https://localhost"),
    ],
)
def test_where_pages_are(host: str, where: str, pages: str) -> None:
    """All addresses are none that a browser could ask for: then the page is that of this machine."""
    (bound,) = bind("127.0.0.1", 0)
    with bound:
        port = bound.getsockname()[1]
        assert find_urls([bound], host, is_secure=True) == (f"{where}:{port}", f"{pages}:{port}")


def test_every_limit_is_an_option(tmp_path: Path) -> None:
    """A limit that is set holds, and its refusal says it; a connection may be counted for a moment after its end."""
    options = ["--max-connections", "5", "--max-body", "1KiB", "--max-batch", "2 kib", "--max-target", "300"]
    with running(tmp_path, *options) as server:
        assert ask(server, "POST", "/b/v", b" " * 1025).json["detail"].startswith("The body is larger than 1 KiB.")
        assert ask(server, "POST", "/b", b" " * 2048).status == 400
        assert ask(server, "POST", "/b", b" " * 2049).json["detail"].startswith("The body is larger than 2 KiB.")
        assert ask(server, "GET", f"/b/{'v' * 300}").json["detail"] == "The target is longer than 300 bytes."
        with ExitStack() as stack:
            refusal = read_replies(connections_to(server, 6, stack)[5], 1)[0]
    assert (refusal.status, refusal.headers["retry-after"]) == (503, "1")
    assert refusal.json["detail"] == "There are as many connections as --max-connections allows: 5."


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--max-connections", "0", "'0': It is at least 1."),
        ("--idle-timeout", "0", "'0': It is at least 1s."),
        ("--body-timeout", "1 week", "'1 week': It is a whole number, which may end with a unit, such as 1s."),
        ("--max-head", "2MiB", "'2MiB': It is at most 1MiB."),
        ("--max-client-memory", "lots", "'lots': It is a whole number, which may end with a unit, such as 16MiB."),
        ("--max-client-memory", "8589934592GiB", "'8589934592GiB': It is at most 999999999999999999."),
        ("--max-boards", "1" + "0" * 18, "'1000000000000000000': It is at most 999999999999999999."),
        ("--max-boards", "-1", "'-1': It is a whole number, such as 1."),
    ],
)
def test_limit_that_cannot_be(option: str, value: str, problem: str) -> None:
    """A limit out of its bounds, or of another form, is refused with what would be right."""
    ended = CliRunner().invoke(main, ["serve", option, value])
    assert ended.exit_code == 2
    assert problem in ended.stderr


@pytest.mark.parametrize(
    "command", [["laurels", "serve", "--port", "0"], [*UVICORN, "--port", "0"]], ids=["own", "any"]
)
def test_limits_from_the_environment(command: list[str], tmp_path: Path) -> None:
    """Each option has its variable, also for another ASGI server, as far as it is not that server's own."""
    variables = {"LAURELS_MAX_BODY": "1KiB", "LAURELS_DATA": str(tmp_path)}
    with started([sys.executable, "-m", *command], os.environ | variables) as server:
        assert ask(server, "POST", "/b/v", b" " * 1025).status == 413


def test_limit_in_the_environment_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of an ASGI server's start names the variable."""
    monkeypatch.setenv("LAURELS_MAX_KEYS", "many")
    with pytest.raises(ValueError, match=r"^LAURELS_MAX_KEYS is 'many': It is a whole number, such as 1\.$"):
        application()
