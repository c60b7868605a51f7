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
    """Put scores on a board by the plain route."""
    for name, score in scores.items():
        assert ask(server, "POST", f"/{board}/{name}", {"score": score}).status == 202


def test_submit_shows_the_standing(laurels: Run, board: str) -> None:
    """A submit shows where it put the name, and where that stood before."""
    assert laurels("submit", board, "v", 2077).stdout == "score 2077, rank 0\n"
    assert laurels("submit", board, "v", "-7.5").stdout == "score -7.5, rank 0 (before: score 2077, rank 0)\n"


def test_submit_shows_json(laurels: Run, board: str) -> None:
    """A program gets the service's own answer."""
    assert json.loads(laurels("submit", board, "v", 42, "--json").stdout) == {
        "score": 42,
        "rank": 0,
        "previous": None,
        "changed": True,
    }


@pytest.mark.parametrize("name", ["@scope/name", "100%", "a b?c#d", "\u00e9\U0001f3c6", "[red]", "-"])
def test_names_are_taken_as_they_are(laurels: Run, board: str, name: str) -> None:
    """Any name goes over the wire and comes back on the board, no character of it read as something else."""
    laurels("submit", board, "--", name, 1)
    assert laurels("standing", board, "--", name).stdout == "score 1, rank 0\n"
    assert laurels("top", board).stdout.splitlines()[1].split("   ", 2)[2].removesuffix("       1").strip() == name


def test_standing(server: Server, laurels: Run, board: str) -> None:
    """A standing is score and rank, from 0."""
    fill(server, board, {"v": 2077, "silverhand": 34})
    assert laurels("standing", board, "silverhand").stdout == "score 34, rank 1\n"
    assert laurels("standing", board, "silverhand", "--json").stdout == '{"score":34,"rank":1}\n'


def test_standing_of_nobody(laurels: Run, board: str) -> None:
    """A name that is not on the board is an answer and no error."""
    found = laurels("standing", board, "v")
    assert (found.exit_code, found.stdout) == (0, "nobody of that name on the board\n")
    assert laurels("standing", board, "v", "--json").stdout == '{"score":0,"rank":null}\n'


def test_top_is_a_table(server: Server, laurels: Run, board: str) -> None:
    """A page is shown in columns, whole scores as such."""
    fill(server, board, {"v": 2077, "silverhand": 34.5})
    assert laurels("top", board).stdout == (
        "rank   name         score\n"
        "   0   v             2077\n"
        "   1   silverhand    34.5\n"
    )  # fmt: skip


def test_top_of_a_long_name(server: Server, laurels: Run, board: str) -> None:
    """Where no terminal bounds the table, the longest name stands on one line."""
    fill(server, board, {"v" * 256: 1})
    assert laurels("top", board).stdout.splitlines()[1].split() == ["0", "v" * 256, "1"]


def test_top_begins_at_a_rank(server: Server, laurels: Run, board: str) -> None:
    """Ranks are those of the board, wherever the page begins."""
    fill(server, board, {"v": 3, "silverhand": 2, "panam": 1})
    page = laurels("top", board, "--start", 1, "--count", 1, "--json").stdout
    assert json.loads(page) == {"leaderboard": [{"rank": 1, "name": "silverhand", "score": 2}]}


@pytest.mark.parametrize(
    ("options", "shown"),
    [([], "no entries on the board\n"), (["--start", 5], "no entries from rank 5 on\n")],
    ids=["empty", "beyond"],
)
def test_top_of_nobody(laurels: Run, board: str, options: list[object], shown: str) -> None:
    """A page without entries says so."""
    assert laurels("top", board, *options).stdout == shown


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["submit", "b", "v", "many"], "the score 'many' is not a number."),
        (["submit", "b", "v", "1", "--jsn"], "Got unexpected extra argument (--jsn)"),
        (["top", "b", "--count", "1001"], "1001 is not in the range 1<=x<=1000."),
        (["top", "b", "--server", "localhost:8000"], "is not a URL of http or https"),
        (["top", "b", "--server", "http://[::"], "is not a URL: "),
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
    """What cannot be meant is refused with what would be right, and exit status 2."""
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
def test_refusal_is_told(laurels: Run, command: list[str], problem: str) -> None:
    """A refusal, ours or the service's, is one line on stderr and exit status 1."""
    found = laurels(*command)
    assert (found.exit_code, found.stdout, found.stderr.count("\n")) == (1, "", 1)
    assert problem in found.stderr


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back the signal handlers that a server in this process replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_serve_tells_why_it_cannot(laurels: Run) -> None:
    """A server that cannot open its data says why in a line, with exit status 1."""
    found = laurels("serve", "--port", 0, "--data", "/proc/laurels")
    assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
    assert found.stderr.startswith("Error: The data directory /proc/laurels cannot be used: ")


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:1", "connection refused"), ("http://nobody.invalid", "n")],
    ids=["refused", "no-such-host"],
)
def test_server_that_is_not_there(url: str, reason: str) -> None:
    """A service that cannot be reached is told with the reason and a hint, and exit status 3."""
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
        ((200, {"content-encoding": "gzip"}, b"<html>"), 3, "did not answer as Laurels does: Error -3"),
    ],
    ids=["problem", "no-problem", "redirect", "not-text", "not-laurels", "not-gzip"],
)
def test_service_that_fails(answer: Answer, status: int, problem: str) -> None:
    """Whatever answers in the place of Laurels, the reason is shown, and the status is 3 but for a 4xx."""
    with failing(answer) as service:
        found = run(service.url, "top", "b")
    assert found.exit_code == status
    assert problem in found.stderr


def test_service_that_hangs_up() -> None:
    """A connection that ends without an answer is told as what it is."""
    with failing((HANG_UP, {}, b"")) as service:
        found = run(service.url, "top", "b")
    assert f"Cannot reach {service.url}: server disconnected without sending a response." in found.stderr


def test_service_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that does not answer in time is not waited for."""
    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    given_up = Event()
    with failing((200, {}, b""), asked=lambda: given_up.wait(30)) as service:
        found = run(service.url, "top", "b")
        given_up.set()
    assert f"Cannot reach {service.url}: no answer within 0.1 seconds." in found.stderr


def test_interrupt() -> None:
    """Ctrl-C while the service is asked ends without a word, with exit status 130."""
    ended = Event()

    def interrupt() -> None:
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
        ended.wait(30)

    with failing((200, {}, b""), asked=interrupt) as service:
        found = run(service.url, "top", "b")
        ended.set()
    assert (found.exit_code, found.output) == (130, "")


def test_option_beside_the_environment(laurels: Run, board: str) -> None:
    """An option is stronger than its variable in the environment."""
    assert "http://127.0.0.1:1" in laurels("top", board, "--server", "http://127.0.0.1:1").stderr
