"""The commands against a real server."""

from __future__ import annotations

import json
import signal
from threading import Event, main_thread
from typing import TYPE_CHECKING

import pytest

from laurels.cli import client
from tests.asking import ask
from tests.cli.conftest import HANG_UP, failing, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Answer, Run
    from tests.conftest import Server


def fill(server: Server, board: str, scores: dict[str, float]) -> None:
    """Submit scores to a board over HTTP."""
    for name, score in scores.items():
        assert ask(server, "POST", f"/{board}/{name}", {"score": score}).status == 202


def test_submit_shows_the_standing(laurels: Run, board: str) -> None:
    """A submit shows the standing after it, and the one before."""
    assert laurels("submit", board, "v", 2077).stdout == "score 2077, rank 0\n"
    assert laurels("submit", board, "v", "-7.5").stdout == "score -7.5, rank 0 (before: score 2077, rank 0)\n"


def test_submit_shows_json(laurels: Run, board: str) -> None:
    """With --json a submit writes the service's own answer."""
    assert json.loads(laurels("submit", board, "v", 42, "--json").stdout) == {
        "score": 42,
        "rank": 0,
        "previous": None,
        "changed": True,
    }


@pytest.mark.parametrize("name", ["@scope/name", "100%", "a b?c#d", "\u00e9\U0001f3c6", "[red]", "-"])
def test_names_are_taken_as_they_are(laurels: Run, board: str, name: str) -> None:
    """Any name reaches the board and comes back unchanged: no character of it is interpreted."""
    laurels("submit", board, "--", name, 1)
    assert laurels("standing", board, "--", name).stdout == "score 1, rank 0\n"
    assert laurels("top", board).stdout.splitlines()[1].split("   ", 2)[2].removesuffix("       1").strip() == name


def test_standing(server: Server, laurels: Run, board: str) -> None:
    """A standing is a score and a rank from 0."""
    fill(server, board, {"v": 2077, "silverhand": 34})
    assert laurels("standing", board, "silverhand").stdout == "score 34, rank 1\n"
    assert laurels("standing", board, "silverhand", "--json").stdout == '{"score":34,"rank":1}\n'


def test_standing_of_an_absent_name(laurels: Run, board: str) -> None:
    """A name that is not on the board is told of on stderr, and the exit status is 1."""
    found = laurels("standing", board, "v")
    assert (found.exit_code, found.stdout, found.stderr) == (1, "", "nobody of that name on the board\n")
    found = laurels("standing", board, "v", "--json")
    assert (found.exit_code, found.stdout) == (1, '{"score":0,"rank":null}\n')


def test_top_is_a_table(server: Server, laurels: Run, board: str) -> None:
    """A page is shown in columns, with whole scores as whole numbers."""
    fill(server, board, {"v": 2077, "silverhand": 34.5})
    assert laurels("top", board).stdout == (
        "rank   name         score\n"
        "   0   v             2077\n"
        "   1   silverhand    34.5\n"
    )  # fmt: skip


def test_top_of_a_long_name(server: Server, laurels: Run, board: str) -> None:
    """If the output is no terminal, even the longest name is on one line."""
    fill(server, board, {"v" * 256: 1})
    assert laurels("top", board).stdout.splitlines()[1].split() == ["0", "v" * 256, "1"]


def test_top_begins_at_a_rank(server: Server, laurels: Run, board: str) -> None:
    """Ranks are those on the board, wherever the page begins."""
    fill(server, board, {"v": 3, "silverhand": 2, "panam": 1})
    page = laurels("top", board, "--start", 1, "--count", 1, "--json").stdout
    assert json.loads(page) == {"leaderboard": [{"rank": 1, "name": "silverhand", "score": 2}]}


@pytest.mark.parametrize(
    ("options", "shown"),
    [([], "no entries on the board\n"), (["--start", 5], "no entries from rank 5 on\n")],
    ids=["empty", "beyond"],
)
def test_top_of_no_entries(laurels: Run, board: str, options: list[object], shown: str) -> None:
    """A page without entries says so."""
    assert laurels("top", board, *options).stdout == shown


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["submit", "b", "v", "many"], "the score 'many' is not a number."),
        (["submit", "b", "v", "1", "--jsn"], "Got unexpected extra argument (--jsn)"),
        (["top", "b", "--count", "1001"], "1001 is not in the range 1<=x<=1000."),
        (["top", "b", "--server", "localhost:8000"], "it must begin with http:// or https://."),
        (
            ["top", "b", "--server", "http://[::"],
            "'http://[::' is no address of a service, such as http://127.0.0.1:8000: ",
        ),
        (["top", "b", "--server", "http:///b"], "it has no host."),
        (["top", "b", "--server", "http://127.0.0.1:99999"], "the port is not from 1 to 65535."),
        (["top", "b", "--server", "http://127.0.0.1:0"], "the port is not from 1 to 65535."),
        (["top", "b", "--server", "http://xn--a"], "not allowed"),
        (["top", "b", "--server", "http://h?a=1"], "it has more than host, port and path."),
        (["between", "b"], "There is no score to look between"),
        (["between", "b", "--min", "many"], "the score 'many' is not a number."),
        (["names", "b"], "Missing argument 'NAMES...'."),
        (["delete", "b", "v"], "Nobody is there to answer: say --yes."),
        (["\x1b[31mrank\u202e", "b"], r"No such command '\x1b[31mrank\u202e'."),
        (["top", "b", "--\x1b[31m"], r"--\x1b[31m"),
        (["import", "/dev/null", "--board", "b"], "The name of /dev/null does not tell its format"),
        (["import", "/nowhere.tsv", "--board", "b"], "does not exist"),
        (["export", "b", "b.txt"], "The name of b.txt does not tell its format"),
        (["export", "b", "--json", "--format", "csv"], "--json and --format csv contradict each other."),
        (["serve", "--order", "random"], "'random' is not one of 'descending', 'ascending'."),
        (["rank", "b", "v"], "No such command 'rank'."),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_command_line(laurels: Run, command: list[str], problem: str) -> None:
    """A wrong command line is refused with what would be right, and exit status 2."""
    found = laurels(*command)
    assert found.exit_code == 2
    assert problem in found.stderr


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["top", ""], "The board is empty."),
        (["standing", "b", ".."], "The name is '..'"),
        (["submit", "-", "v", "1"], "Not Found: "),
        (["submit", "b", "v", "9007199254740993"], "The score 9007199254740993 would be rounded"),
        (["export", "b", "/nowhere/b.csv"], "No such file or directory"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_refusal_is_one_line(laurels: Run, command: list[str], problem: str) -> None:
    """A refusal, ours or the service's, is one line on stderr and exit status 1."""
    found = laurels(*command)
    assert found.exit_code == 1
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert problem in found.stderr


@pytest.fixture
def handlers() -> Iterator[None]:
    """Restore the signal handlers that a server in this process replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_serve_says_why_it_cannot(laurels: Run) -> None:
    """A server that cannot open its data says why on one line, with exit status 1."""
    found = laurels("serve", "--port", 0, "--data", "/proc/laurels")
    assert found.exit_code == 1
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("Error: The data directory /proc/laurels cannot be used: ")


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:1", "connection refused"), ("http://nobody.invalid", "n")],
    ids=["refused", "no-such-host"],
)
def test_server_that_is_not_there(url: str, reason: str) -> None:
    """If the service cannot be reached the error has the reason and a hint, and the exit status is 3."""
    found = run(url, "top", "b")
    assert found.exit_code == 3
    assert found.stderr.startswith(f"Error: Cannot reach {url}: {reason}")
    assert found.stderr.endswith(" Is `laurels serve` running?\n")


@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        ((500, {}, b'{"title":"T","status":500,"detail":"D."}'), 3, "T: D."),
        ((502, {}, b"<html>"), 3, "answered 502 Bad Gateway, and not why."),
        ((301, {}, b""), 3, "answered 301 Moved Permanently, and not why."),
        ((401, {}, b"\xff"), 1, "answered 401 Unauthorized, and not why."),
        ((200, {}, b"<html>"), 3, "did not answer as Laurels does: JSON is malformed"),
        ((200, {"content-encoding": "gzip"}, b"<html>"), 3, "did not answer as Laurels does: it sent gzip"),
    ],
    ids=["problem", "no-problem", "redirect", "not-text", "not-laurels", "not-gzip"],
)
def test_service_that_fails(answer: Answer, status: int, problem: str) -> None:
    """Whatever answers in place of Laurels, the reason is shown, and the exit status is 3, or 1 for a 4xx."""
    with failing(answer) as service:
        found = run(service.url, "top", "b")
    assert found.exit_code == status
    assert problem in found.stderr


def test_service_that_hangs_up() -> None:
    """If the connection ends without an answer, the error says so."""
    with failing((HANG_UP, {}, b"")) as service:
        found = run(service.url, "top", "b")
    assert f"Cannot reach {service.url}: server disconnected without sending a response." in found.stderr


def test_service_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gives up on a service that does not answer in time."""
    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    given_up = Event()
    with failing((200, {}, b""), on_request=lambda: given_up.wait(30)) as service:
        found = run(service.url, "top", "b")
        given_up.set()
    assert f"Cannot reach {service.url}: no answer within 0.1 seconds." in found.stderr


def test_interrupt() -> None:
    """Ctrl-C during a request ends the command without output, with exit status 130."""
    ended = Event()

    def interrupt() -> None:
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
        ended.wait(30)

    with failing((200, {}, b""), on_request=interrupt) as service:
        found = run(service.url, "top", "b")
        ended.set()
    assert found.exit_code == 130
    assert found.output == ""


def test_option_overrides_the_environment(laurels: Run, board: str) -> None:
    """An option overrides its variable in the environment."""
    assert "http://127.0.0.1:1" in laurels("top", board, "--server", "http://127.0.0.1:1").stderr
