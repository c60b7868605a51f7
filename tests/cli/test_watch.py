"""``laurels watch``: a board as it changes, on a terminal and elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
from contextlib import contextmanager
from select import select
from typing import TYPE_CHECKING

import pytest

from laurels.client import live
from laurels.client.live import Messages
from tests.asking import ask
from tests.cli.conftest import run, start
from tests.cli.hostile import answer, lying
from tests.cli.test_process import read_terminal
from tests.conftest import running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server


def submit(server: Server, board: str, **scores: float) -> None:
    """Submit scores, one after another."""
    for name, score in scores.items():
        assert ask(server, "POST", f"/{board}/{name}", {"score": score}).status == 202


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Read lines of stdout until one has these words; return them."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    raise AssertionError(lines)  # pragma: no cover - only in a failing test


def interrupt(process: subprocess.Popen[str]) -> str:
    """Interrupt a command; return what it has written on stderr."""
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    return err


def test_lines(server: Server, board: str) -> None:
    """Without a terminal the table comes first, and then a line for each change."""
    submit(server, board, v=1, judy=2)
    with start(server.url, "watch", board) as process:
        assert read_until(process, "   1   v") == [
            f"{board}: 2 entries",
            "rank   name   score",
            "   0   judy       2",
            "   1   v          1",
        ]
        submit(server, board, v=3)
        assert read_until(process, "judy:") == [
            "v: score 3, rank 0 (before: score 1, rank 1)",
            "judy: score 2, rank 1 (before: score 2, rank 0)",
        ]
        submit(server, board, panam=1)
        assert read_until(process, "panam") == ["panam: score 1, rank 2 (new)"]
        ask(server, "DELETE", f"/{board}/panam")
        assert read_until(process, "panam") == ["panam: gone"]
        assert interrupt(process) == ""


def test_json(server: Server, board: str) -> None:
    """For programs each event is a line, as it came; who reads no more ends the command."""
    submit(server, board, v=1)
    with start(server.url, "watch", board, "--json", "--limit", "1") as process:
        page = json.loads(read_until(process, "page")[-1])
        assert (page["event"], page["data"]["total"]) == ("page", 1)
        submit(server, board, judy=2)
        change = json.loads(read_until(process, "change")[-1])
        assert (change["data"]["gone"], change["id"] > page["id"]) == (["v"], True)
        process.stdout.close()  # type: ignore[union-attr]
        submit(server, board, panam=3)
        assert process.wait(30) == 1
        assert process.stderr.read() == ""  # type: ignore[union-attr]


def test_player_in_a_window(server: Server, board: str) -> None:
    """A player is shown with the entries around, and who passes it is named; its end is the command's."""
    ask(server, "PUT", f"/-/boards/{board}", {"windows": ["daily"]})
    submit(server, board, v=1, judy=2, panam=3, goro=4)
    with start(server.url, "watch", board, "--player", "judy", "--limit", "3", "--window", "daily") as process:
        lines = read_until(process, "judy: ")
        assert lines[0].startswith(f"{board}, daily 20")
        assert [line.split()[1] for line in lines[2:5]] == ["panam", "judy", "v"]
        assert lines[5:] == ["judy: score 2, rank 2"]
        submit(server, board, v=10)
        assert read_until(process, "passed")[-2:] == ["judy: score 2, rank 3 (before: rank 2)", "passed by: v"]
        ask(server, "PUT", f"/-/boards/{board}/hidden/judy")
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Connecting again" in err
    assert "judy" in err.splitlines()[-1]


class Terminal:
    """A terminal of some size, which what runs on it is read from."""

    def __init__(self, lines: int, columns: int) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(lines, columns)
        self._text = ""

    def resize(self, lines: int, columns: int) -> None:
        """Be of another size."""
        self._lines = lines
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read_until(self, *words: str) -> list[str]:
        """Read until there is a picture with all these words; return its lines, without their styles."""
        while True:
            picture = re.sub(r"\x1b\[[0-9;]*m", "", self._text.rpartition("\x1b[H")[2]).split("\r\n")
            if len(picture) == self._lines and all(word in "".join(picture) for word in words):
                return picture
            assert select([self.ours], [], [], 30)[0], self._text
            self._text += os.read(self.ours, 65536).decode()


@contextmanager
def drawn(server: Server, lines: int, columns: int, *words: str) -> Iterator[tuple[Terminal, subprocess.Popen[str]]]:
    """Run the command on a terminal; interrupt it in the end, after which that is as it was."""
    terminal = Terminal(lines, columns)
    environment = {"stdout": terminal.theirs, "stderr": terminal.theirs}
    with start(server.url, "watch", *words, **environment) as process:
        os.close(terminal.theirs)
        try:
            yield terminal, process
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert "\x1b[?25h\x1b[?1049l" in read_terminal(terminal.ours)


def test_on_a_terminal(server: Server, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal there is one table, with how rows have moved; the player is never out of sight."""
    monkeypatch.setenv("TERM", "xterm")
    submit(server, board, **{f"p{number}": number for number in range(30)})
    with drawn(server, 9, 60, board, "--player", "p9", "--limit", "30") as (terminal, process):
        picture = terminal.read_until("p9: score 9")
        assert picture[0].strip() == f"{board}: 30 entries"
        assert [line.split()[1] for line in picture[2:8]] == ["p12", "p11", "p10", "p9", "p8", "p7"]
        submit(server, board, p8=9.5)
        picture = terminal.read_until("passed by: p8")
        assert any(line.split()[-2:] == ["up", "1"] for line in picture)
        assert any("p9" in line and line.split()[-2:] == ["down", "1"] for line in picture)
        terminal.resize(6, 20)
        process.send_signal(signal.SIGWINCH)
        picture = terminal.read_until("p9", "…")
        assert {*map(len, picture)} == {20}


def test_names_on_a_terminal(server: Server, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name takes one line, whatever is in it; a row that is new is marked."""
    monkeypatch.setenv("TERM", "xterm")
    with drawn(server, 10, 40, board) as (terminal, _):
        assert terminal.read_until("entries")[0].strip() == f"{board}: 0 entries"[:40]
        ask(server, "POST", f"/{board}/%E2%80%AE[red]{'x' * 100}", {"score": 1})
        row = terminal.read_until("new")[2]
        assert row.startswith("   0   \\u202e[red]xxx")
        assert row.split()[1].endswith("…")
        ask(server, "POST", f"/{board}/%E2%80%AE[red]{'x' * 100}", {"score": 2})
        terminal.read_until("2", "score")


def test_dumb_terminal(server: Server, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot be drawn on gets lines."""
    monkeypatch.setenv("TERM", "dumb")
    submit(server, board, v=1)
    ours, theirs = pty.openpty()
    with start(server.url, "watch", board, stdout=theirs) as process:
        os.close(theirs)
        shown = os.read(ours, 1000).decode()
        interrupt(process)
    assert f"{shown}{read_terminal(ours)}".split() == f"{board}: 1 entries rank name score 0 v 1".split()


def test_service_is_started_anew(tmp_path: Path) -> None:
    """When the service ends or is killed that is said, and what was missed comes as soon as it is there again."""
    with running(tmp_path) as server:
        submit(server, "kart", v=1, judy=2)
        process = start(server.url, "watch", "kart")
        read_until(process, "   1   v")
        server.stop(signal.SIGKILL)
        assert "Connecting again in 1 s" in process.stderr.readline()  # type: ignore[union-attr]
    with running(tmp_path, "--port", str(server.port)) as server, process:
        submit(server, "kart", v=3)
        read_until(process, "judy: score 2, rank 1")
        server.stop()
        while "has ended the connection" not in (line := process.stderr.readline()):  # type: ignore[union-attr]
            assert "Cannot reach" in line
        interrupt(process)


def test_service_that_is_not_there(server: Server, board: str) -> None:
    """What fails at first is an error, as for every command."""
    assert run("http://127.0.0.1:9", "watch", board).exit_code == 3
    assert run(server.url, "watch", board, "--player", "v").exit_code == 1


PAGE = b'event: page\nid: a-0\ndata: {"leaderboard":[{"name":"v","score":1,"rank":0,"place":0}],"total":1}\n\n'


@pytest.mark.parametrize(
    ("then", "status"),
    [
        ([answer(b"{}", "503 Service Unavailable"), answer(b"{}", "403 Forbidden")], 1),
        ([answer(b"{}", "200 OK", "content-type: application/json")], 3),
    ],
    ids=["busy, then refused", "another service"],
)
def test_what_answers_later(then: list[bytes], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is busy is asked again; one that refuses, or is another one by now, ends the command."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.01)
    answers = [answer(PAGE + b"retry: 1\n\n", "200 OK", "content-type: text/event-stream"), *then]
    with lying(lambda *_: [answers.pop(0)]) as service:
        found = run(service.url, "watch", "b", "--json")
        heads = service.heads
    assert found.exit_code == status
    assert not answers
    assert heads[0].get(b"last-event-id") is None
    assert heads[-1][b"last-event-id"] == b"a-0"


STREAM = (
    b": comment\r\nretry: 2000\r\n\r\nevent: page\r\nid: \xc3\xa9\r\ndata: [1,\r\ndata: 2]\r\n\r\nretry: x\n\n"
    b"event: change\ndata:3\n\nevent: other\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pieces_of_a_stream(size: int) -> None:
    """Events are the same in whatever pieces they come, with either end of line."""
    messages = Messages()
    found = [each for at in range(0, len(STREAM), size) for each in messages.take(STREAM[at : at + size])]
    assert [(each.event, bytes(each.data), each.id) for each in found] == [
        ("page", b"[1,\n2]", "\u00e9"),
        ("change", b"3", None),
    ]
    assert (messages.retry, messages.last_id) == (2, "\u00e9")
