"""The commands that ask who stands where, and those that take entries off boards."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask
from tests.cli.conftest import failing, run, start

if TYPE_CHECKING:
    from tests.cli.conftest import Answer, Run
    from tests.conftest import Server

SCORES = {"v": 2077, "silverhand": 34, "judy": 34, "panam": 7}
WINDOWS = {"windows": ["daily"]}
REFUSED: Answer = (422, {}, b'{"title":"T","status":422,"detail":"D."}')
DONE: Answer = (204, {}, b"")


@pytest.fixture(autouse=True)
def filled(server: Server, board: str) -> None:
    """Fill the board with four entries, and today with them."""
    ask(server, "PUT", f"/-/boards/{board}", WINDOWS)
    entries = [{"name": name, "score": score} for name, score in SCORES.items()]
    assert ask(server, "POST", f"/{board}", {"entries": entries}).json["accepted"] == 4


def names_of(page: str) -> list[str]:
    """Return the names in the output of a command with --json."""
    return [entry["name"] for entry in json.loads(page)["leaderboard"]]


def test_around(laurels: Run, board: str) -> None:
    """A name is shown between its neighbours."""
    assert laurels("around", board, "judy", "--span", 1).stdout == (
        "rank   name         score\n"
        "   1   silverhand      34\n"
        "   2   judy            34\n"
        "   3   panam            7\n"
    )  # fmt: skip
    assert names_of(laurels("around", board, "v", "--window", "daily", "--json").stdout) == [*SCORES]


def test_around_with_a_limit(laurels: Run, board: str) -> None:
    """So many entries are shown wherever the name is; span and limit do not go together."""
    assert names_of(laurels("around", board, "panam", "--limit", 3, "--json").stdout) == ["silverhand", "judy", "panam"]
    found = laurels("around", board, "panam", "--limit", 3, "--span", 1)
    assert (found.exit_code, "give one" in found.stderr) == (2, True)


def test_standing_in_full(laurels: Run, server: Server, board: str) -> None:
    """All there is to know of a name is shown in lines; of nobody it is said that it is not there."""
    ask(server, "PATCH", f"/{board}/judy", {"metadata": {"car": 1}})
    ask(server, "DELETE", f"/{board}/judy?window=daily")
    [entry] = ask(server, "GET", f"/{board}?name=judy&include=submittedAt").json["leaderboard"]
    assert laurels("standing", board, "judy", "--full").stdout.splitlines() == [
        "score 34, rank 2",
        "place       2 of 4",
        "percentile  75",
        f"submitted   {entry['submittedAt']}",
        'metadata    {"car":1}',
        "daily       none",
    ]
    today = laurels("standing", board, "v", "--full", "--window", "daily").stdout.splitlines()
    assert [line.split()[0] for line in today] == ["score", "place", "percentile", "submitted"]
    assert json.loads(laurels("standing", board, "v", "--full", "--json").stdout)["windows"] == {
        "daily": {"score": 2077, "rank": 0}
    }
    nobody = laurels("standing", board, "nobody", "--full")
    assert (nobody.exit_code, nobody.stdout, "nobody of that name" in nobody.stderr) == (1, "", True)


def test_standing_in_full_of_little() -> None:
    """If the store cannot tell all, what it can is shown; any other refusal is told."""
    told: Answer = (200, {}, b'{"score":1,"rank":null,"hidden":true,"place":null,"total":0,"metadataDamaged":true}')
    with failing(REFUSED, told) as service:
        found = run(service.url, "standing", "b", "v", "--full").stdout
    assert found == "score 1, hidden\nplace     none\nmetadata  damaged\n"
    with failing((400, {}, REFUSED[2])) as service:
        assert run(service.url, "standing", "b", "v", "--full").exit_code == 1
    with failing((200, {}, b'{"score":1,"rank":0}')) as service:
        assert "did not answer as Laurels does" in run(service.url, "standing", "b", "v", "--full").stderr


def test_around_nobody(laurels: Run, board: str) -> None:
    """Nobody has no neighbours, and the exit status is 1."""
    found = laurels("around", board, "nobody")
    assert (found.exit_code, "'nobody' is not on this board" in found.stderr) == (1, True)


def test_names(laurels: Run, board: str) -> None:
    """Chosen names come by rank; one that is not there is told of, and the exit status is 1."""
    assert names_of(laurels("names", board, "panam", "v", "--json").stdout) == ["v", "panam"]
    found = laurels("names", board, "panam", "nobody")
    assert found.stdout == "rank   name    score\n   3   panam       7\n"
    assert (found.exit_code, found.stderr) == (1, "not on the board: nobody\n")
    assert laurels("names", board, "nobody").stdout == ""


def test_between(laurels: Run, board: str) -> None:
    """The entries between two scores are shown, both ends included; either may be left out."""
    assert names_of(laurels("between", board, "--min", 7, "--max", 34, "--json").stdout) == [*SCORES][1:]
    assert names_of(laurels("between", board, "--min", 34, "--limit", 2, "--json").stdout) == ["v", "silverhand"]
    assert laurels("between", board, "--max", -1, "--window", "daily").stdout == "no entries between these scores\n"


def test_rank_of(laurels: Run, board: str) -> None:
    """A score is told its rank, though nobody has it."""
    assert laurels("rank-of", board, 35).stdout == "rank 1: 75 % of the entries are no better\n"
    assert laurels("rank-of", board, "-1", "--json").stdout == '{"rank":4,"percentile":0.0}\n'
    assert laurels("rank-of", "nothing", 1).stdout == "rank 0: no entries on the board\n"


def test_summary(laurels: Run, board: str) -> None:
    """A board is drawn in bars, as long as its entries are many."""
    shown = laurels("summary", board).stdout.splitlines()
    assert shown[:6] == [
        "entries        4",
        "best           2077",
        "percentile 99  2077",
        "percentile 90  2077",
        "percentile 50  34",
        "worst          7",
    ]
    assert shown[7].split() == ["from", "to", "entries"]
    assert shown[8] == f"   7    214         3   {'█' * 40}"
    assert [line.count("█") for line in shown[8:]] == [40, *[0] * 8, 13]
    assert json.loads(laurels("summary", board, "--json").stdout)["count"] == 4
    assert (
        laurels("summary", board, "--window", "daily", "--period", "2020-01-01").stdout == "no entries on the board\n"
    )


def test_summary_of_percentiles(laurels: Run, board: str) -> None:
    """Other percentiles and buckets are shown if they are asked for, the highest first."""
    shown = laurels("summary", board, "--percentiles", "5,100,99.9999", "--buckets", 2).stdout.splitlines()
    assert [line.split()[1] for line in shown[2:5]] == ["100", "99.9999", "5"]
    assert len(shown[8:]) == 2
    assert "from 0 to 100" in laurels("summary", board, "--percentiles", "101").stderr


def test_bars_without_blocks(server: Server, board: str) -> None:
    """A terminal whose encoding has no blocks gets bars of its own characters."""
    command = [sys.executable, "-m", "laurels", "summary", board, "--server", server.url]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
    assert [line.count("#") for line in shown.splitlines()[8:]] == [40, *[0] * 8, 13]


def test_boards_have_counts(server: Server, laurels: Run, board: str) -> None:
    """The list of boards tells how many entries each has."""
    listed = {one["name"]: one for one in json.loads(laurels("boards", "list", "--json").stdout)["boards"]}
    assert listed[board]["count"] == 4
    assert ask(server, "GET", "/-/boards?include=count&limit=1").json["boards"][0].keys() >= {"count"}
    assert "count" not in ask(server, "GET", "/-/boards?limit=1").json["boards"][0]


def test_boards_of_a_service_that_does_not_count() -> None:
    """If a service tells no counts, the list says that they are not known."""
    with failing((200, {}, b'{"boards":[{"name":"b","declared":true,"definition":{}}],"next":null}')) as service:
        assert run(service.url, "boards", "list").stdout.split() == [
            "board",
            "entries",
            "declared",
            "promises",
            "b",
            "?",
            "yes",
        ]


def test_delete(laurels: Run, board: str) -> None:
    """A name is deleted from a board and its periods, and what it had is told; again, there is nothing."""
    assert laurels("delete", board, "judy", "--yes").stdout == "judy is deleted: score 34, rank 2\n"
    assert laurels("standing", board, "judy", "--window", "daily").exit_code == 1
    found = laurels("delete", board, "judy", "--yes")
    assert (found.exit_code, found.stdout) == (0, "judy was not on the board\n")
    assert json.loads(laurels("delete", board, "v", "-y", "--json").stdout)["deleted"] is True


def test_delete_from_one_period(laurels: Run, board: str) -> None:
    """With a window it is deleted from one period alone."""
    assert laurels("delete", board, "judy", "--window", "daily", "--yes").exit_code == 0
    assert laurels("standing", board, "judy", "--window", "daily").exit_code == 1
    assert laurels("standing", board, "judy").exit_code == 0


def test_clear(laurels: Run, board: str) -> None:
    """A board is emptied, and told how much that was; its definition stays."""
    assert laurels("clear", board, "--yes").stdout == f"{board} is empty: 4 entries deleted\n"
    assert laurels("clear", board, "--yes", "--json").stdout == f'{{"board":"{board}","entries":0}}\n'
    assert json.loads(laurels("boards", "show", board, "--json").stdout)["windows"] == ["daily"]


def test_clear_without_a_count() -> None:
    """A service that cannot count its entries is emptied all the same."""
    with failing(REFUSED, DONE) as service:
        assert run(service.url, "clear", "b", "--yes").stdout == "b is empty: all entries deleted\n"


@pytest.mark.parametrize(
    ("command", "question"),
    [
        (["delete", "judy"], "Delete judy (score 34, rank 2) from {} and all its periods? [y/N]: "),
        (["delete", "nobody"], "Delete nobody (not there) from {} and all its periods? [y/N]: "),
        (["clear", "--window", "daily"], "Delete 4 entries of {}, daily, the current period? [y/N]: "),
        (
            ["clear", "--window", "daily", "--period", "2020-01-01"],
            "Delete 0 entries of {}, daily, 2020-01-01? [y/N]: ",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("reply", ["y", "n"])
def test_question(server: Server, board: str, command: list[str], question: str, reply: str) -> None:
    """On a terminal a command that deletes asks before, and does nothing if the answer is no."""
    before = ask(server, "GET", f"/{board}?window=daily").json
    ours, theirs = pty.openpty()
    with start(server.url, command[0], board, *command[1:], stdin=theirs) as process:
        os.write(ours, f"{reply}\n".encode())
        _, error = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert error.startswith(question.format(board))
    assert process.returncode == (reply == "n")
    assert (ask(server, "GET", f"/{board}?window=daily").json == before) == (
        reply == "n" or "nobody" in command or "2020-01-01" in command
    )
