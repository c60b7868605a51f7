"""SIGHUP: what a running service reloads, what it keeps as it was, and that it never ends by it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from laurels.reloading import Reloading
from tests.asking import ask, connected, read_replies
from tests.conftest import running, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.momento import Momento

LAPS = '[boards.laps]\norder = "ascending"\n'
BOUNDED = "[boards.laps]\norder = 'ascending'\nscores = { max = 100 }\nranking = 'dense'\n"
HANGING_UP = """
import os, signal, sys, threading, time
from laurels.cli import main

def hang_up():
    while signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        time.sleep(0)
    while True:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.001)

threading.Thread(target=hang_up, daemon=True).start()
main(["serve", "--port", "0", *sys.argv[1:]])
"""


class Declared:
    """A service with a boards file."""

    def __init__(self, server: Server, file: Path) -> None:
        self.server = server
        self.file = file

    def hang_up(self, text: str | None = None) -> str:
        """Write the file, if there is a text, and send SIGHUP; return what the log says of it, which is one line."""
        if text is not None:
            self.file.write_text(text)
        before = len(self.server.log)
        self.server.process.send_signal(signal.SIGHUP)
        (line,) = self.server.wait_for_line("SIGHUP", before)
        return line

    def definition(self, board: str) -> Any:
        """Return a board's definition, or what is wrong with asking for it."""
        return ask(self.server, "GET", f"/-/boards/{board}").json


@pytest.fixture
def declared(tmp_path: Path) -> Iterator[Declared]:
    """Start a service that declares one board, which has an entry."""
    file = tmp_path / "boards.toml"
    file.write_text(LAPS)
    with running(tmp_path / "data", "--boards", str(file)) as server:
        ask(server, "POST", "/laps/v", {"score": 60})
        yield Declared(server, file)


def test_nothing_to_reload(tmp_path: Path) -> None:
    """A service without a boards file says that there is nothing to reload, and goes on."""
    with running(tmp_path) as server:
        assert "SIGHUP: there is nothing to reload" in Declared(server, tmp_path).hang_up()
        assert ask(server, "GET", "/-/ready").status == 200
        assert server.stop() == 0


def test_boards_that_are_new_or_changed(declared: Declared) -> None:
    """What the file says now holds from then on, and for what is stored already."""
    for name, score in (("w", 60), ("x", 70)):
        ask(declared.server, "POST", f"/laps/{name}", {"score": score})
    said = declared.hang_up(BOUNDED + '[boards.new]\nwindows = ["daily"]\n')
    assert said.endswith(f" INFO SIGHUP: reloaded the boards file {declared.file}.\n")
    assert ask(declared.server, "GET", "/laps/x").json == {"score": 70, "rank": 1}
    assert ask(declared.server, "POST", "/laps/y", {"score": 101}).status == 422
    ask(declared.server, "POST", "/new/v", {"score": 1})
    assert ask(declared.server, "GET", "/new?window=daily").json == {"leaderboard": [{"name": "v", "score": 1}]}
    assert [each["name"] for each in ask(declared.server, "GET", "/-/boards").json["boards"]] == ["laps", "new"]
    assert ask(declared.server, "PUT", "/-/boards/new", {}).status == 409


def test_board_that_is_no_more_in_the_file(declared: Declared) -> None:
    """It keeps its definition, as at a restart, and that may be changed over HTTP from then on."""
    declared.hang_up("")
    assert declared.definition("laps")["order"] == "ascending"
    assert ask(declared.server, "PUT", "/-/boards/laps", {"order": "ascending", "ranking": "dense"}).status == 200


def test_declared_only(declared: Declared) -> None:
    """Undeclared boards are hidden, and shown again, with the next reload."""
    ask(declared.server, "POST", "/other/v", {"score": 5})
    declared.hang_up("declared_only = true\n")
    assert ask(declared.server, "POST", "/other/v", {"score": 6}).status == 404
    declared.hang_up("")
    assert ask(declared.server, "GET", "/other/v").json == {"score": 5, "rank": 0}


def test_default_that_changes(declared: Declared) -> None:
    """The default changes for boards that are there, and only if none contradicts it."""
    for name in ("v", "w"):
        ask(declared.server, "POST", "/other/" + name, {"score": 5})
    declared.hang_up(LAPS + '[default]\nranking = "competition"\n')
    assert ask(declared.server, "GET", "/other/v").json == {"score": 5, "rank": 0}
    assert "'other'" in declared.hang_up(LAPS + '[default]\norder = "ascending"\n')
    assert declared.definition("other")["ranking"] == "competition"


BAD = {
    "not TOML": ("[boards", "it is not TOML"),
    "a field": (LAPS + 'tie = "name"', 'A definition has no field "tie"; perhaps you mean "ties"'),
    "entries contradict it": ('[boards.laps]\n[boards.a]\n[boards.z]\nties = "latest"', "'laps' cannot change so: it"),
    "bounds contradict it": ("[boards.a]\n" + LAPS + "scores = { max = 59 }", "it has the score 60, and scores.max"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_file_that_is_wrong(declared: Declared, text: str, says: str) -> None:
    """One line says what is wrong, nothing of the file counts, and the next good one does."""
    said = declared.hang_up(text)
    assert f" ERROR SIGHUP: the boards file {declared.file} is not reloaded, and stays as it was: " in said
    assert says in said
    assert [declared.definition(board)["status"] for board in ("a", "z")] == [404, 404]
    assert declared.definition("laps")["order"] == "ascending"
    assert ask(declared.server, "POST", "/laps/w", {"score": 61}).status == 202
    assert "reloaded the" in declared.hang_up(LAPS + "[boards.a]\n")
    assert declared.definition("a")["ties"] == "name"


def test_file_that_is_gone(declared: Declared) -> None:
    """A file that is not there is a line, too."""
    declared.file.unlink()
    assert "No such file or directory" in declared.hang_up()
    assert declared.definition("laps")["order"] == "ascending"


def test_file_that_is_a_pipe(declared: Declared) -> None:
    """What can be read only once is not read again: a pipe would declare nothing, or keep the service from its end."""
    declared.file.unlink()
    os.mkfifo(declared.file)
    assert "is not reloaded, and stays as it was" in declared.hang_up()
    assert declared.definition("laps")["order"] == "ascending"


def test_store_that_keeps_no_definitions(momento: Momento, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over Momento's cache the file holds from then on, too; what the store cannot keep is refused."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", f"http://{momento.host}:{momento.port}")
    file = tmp_path / "boards.toml"
    file.write_text("")
    options = ["--store", f"momento:{momento.new_cache()}", "--boards", str(file)]
    with running(tmp_path / "data", *options) as server:
        declared = Declared(server, file)
        assert "reloaded the boards file" in declared.hang_up("[boards.laps]\nscores = { max = 9 }\n")
        assert ask(server, "POST", "/laps/v", {"score": 10}).status == 422
        assert "cannot keep windows beside a board" in declared.hang_up('[default]\nwindows = ["daily"]\n')


def test_part_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An error that is not ours goes to the log, and the parts after that one are reloaded."""
    caplog.set_level("INFO")
    reloading = Reloading()

    async def fail() -> None:
        raise RuntimeError("This part fails.")

    async def reload() -> None:
        pass

    reloading.add("one", fail, "boards")
    reloading.add("two", reload, "access")
    asyncio.run(reloading.reload())
    assert [record.getMessage() for record in caplog.records] == [
        "SIGHUP: one is not reloaded",
        "SIGHUP: reloaded two.",
    ]
    assert "This part fails." in caplog.text
    assert reloading.measure()["file_reload_failing"] == {"boards": True, "access": False}
    assert reloading.measure()["file_reload_failures"] == {"boards": 1, "access": 0}


@pytest.mark.slow
def test_hangups_from_start_to_end(tmp_path: Path) -> None:
    """SIGHUP each millisecond, from the first import to the end of the interpreter, ends nothing."""
    (tmp_path / "boards.toml").write_text(LAPS)
    options = ["--data", str(tmp_path / "data"), "--boards", str(tmp_path / "boards.toml")]
    with started([sys.executable, "-c", HANGING_UP, *options]) as server:
        assert ask(server, "POST", "/laps/v", {"score": 60}).status == 202
        assert server.stop() == 0


class Client(Thread):
    """Submits and reads over one connection, and counts the answers, until it is told to stop."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__()
        self.server = server
        self.player = name.encode()
        self.answers: list[int] = []
        self.is_over = Event()

    def run(self) -> None:
        """Send requests that go each way through the rules, all pipelined."""
        head = b"Host: localhost\r\nContent-Length: %d\r\n"
        with connected(self.server) as connection:
            while not self.is_over.is_set():
                requests = [b"GET /laps/%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.player]
                for more, body in ((b"", b'{"score":60}'), (b"Idempotency-Key: k\r\n", b'{"score":60,"metadata":1}')):
                    for board in (b"laps", b"other"):
                        line = b"POST /%b/%b HTTP/1.1\r\n" % (board, self.player)
                        requests.append(line + head % len(body) + more + b"\r\n" + body)
                connection.sendall(b"".join(requests))
                self.answers += [reply.status for reply in read_replies(connection, len(requests))]


@pytest.mark.slow
def test_no_connection_is_dropped(declared: Declared) -> None:
    """Under load, thirty reloads of changing files drop no connection, and no request gets an error."""
    clients = [Client(declared.server, f"player-{number}") for number in range(8)]
    for client in clients:
        client.start()
    try:
        for number in range(30):
            text = (BOUNDED, LAPS, LAPS + '[default]\nranking = "dense"\n')[number % 3]
            assert "reloaded the boards file" in declared.hang_up(text)
    finally:
        for client in clients:
            client.is_over.set()
            client.join()
    assert {status for client in clients for status in client.answers} == {200, 202}
    assert min(len(client.answers) for client in clients) > 30
