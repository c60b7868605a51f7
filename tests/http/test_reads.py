"""The reads beyond the core routes as a client sees them, over both adapters."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from laurels.http.cursor import Cursor, write_cursor
from laurels.stores.contract import Board, Ranked
from tests.asking import ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Server


def fill(service: Server, board: str, scores: Mapping[str, float]) -> None:
    """Submit all scores to the board."""
    entries = [{"name": name, "score": score} for name, score in scores.items()]
    assert ask(service, "POST", f"/{board}", {"entries": entries}).json["accepted"] == len(entries)


def ranked(*entries: tuple[str, float, int]) -> list[dict[str, Any]]:
    """Return entries as a response has them."""
    return [{"name": name, "score": score, "rank": rank} for name, score, rank in entries]


def test_around(service: Server, board: str) -> None:
    """A read around a name returns it and its neighbours with their ranks."""
    fill(service, board, {"v": 2077, "silverhand": 34, "johnny": 34, "a+b": 0.5})
    reply = ask(service, "GET", f"/{board}?around=johnny&span=1")
    assert reply.body == (
        b'{"leaderboard":[{"name":"silverhand","score":34,"rank":1},{"name":"johnny","score":34,"rank":2},'
        b'{"name":"a+b","score":0.5,"rank":3}]}'
    )
    assert ask(service, "GET", f"/{board}?span=0&around=a%2Bb").json == {"leaderboard": ranked(("a+b", 0.5, 3))}


def test_default_span(service: Server, board: str) -> None:
    """The default span is five neighbours on either side."""
    fill(service, board, {f"p{rank:02}": -rank for rank in range(20)})
    found = ask(service, "GET", f"/{board}?around=p10").json["leaderboard"]
    assert [entry["rank"] for entry in found] == list(range(5, 16))


@pytest.mark.parametrize("filled", [True, False], ids=["board", "no board"])
def test_around_nobody(service: Server, board: str, *, filled: bool) -> None:
    """A read around a name that is not on the board is a 404, also if there is no board."""
    if filled:
        fill(service, board, {"v": 1})
    reply = ask(service, "GET", f"/{board}?around=nobody")
    assert reply.status == 404
    assert reply.json["parameter"] == "around"
    assert "'nobody' is not on this board" in reply.json["detail"]


def test_names(service: Server, board: str) -> None:
    """Names come in rank order with their ranks on the board; missing names come in the order of the query."""
    fill(service, board, {"v": 2077, "silverhand": 34, "b": 1, "Zoë f": 0})
    reply = ask(service, "GET", f"/{board}?name=y&name=Zo%C3%AB+f&name=b&name=x&name=v")
    assert reply.json == {"leaderboard": ranked(("v", 2077, 0), ("b", 1, 2), ("Zoë f", 0, 3)), "missing": ["y", "x"]}


def test_a_hundred_names(service: Server, board: str) -> None:
    """A read may name a hundred names; if all are on the board, none is missing."""
    names = [f"player-{number}" for number in range(100)]
    fill(service, board, dict.fromkeys(names, 1))
    reply = ask(service, "GET", f"/{board}?" + "&".join(f"name={name}" for name in names)).json
    assert len(reply["leaderboard"]) == 100
    assert reply["missing"] == []


@pytest.mark.parametrize(
    ("query", "ranks"),
    [
        ("minScore=3&maxScore=5", [4, 5, 6]),
        ("minScore=8", [0, 1]),
        ("maxScore=1.5", [8]),
        ("maxScore=-1e3", []),
        ("minScore=2&maxScore=2.0", [7]),
        ("minScore=8E0", [0, 1]),
        ("minScore=1&limit=2", [0, 1]),
        ("limit=1&maxScore=4", [5]),
    ],
)
def test_between_scores(service: Server, board: str, query: str, ranks: list[int]) -> None:
    """Both bounds are included, one may be left out, and the best come first."""
    fill(service, board, {f"p{score}": score for score in range(1, 10)})
    expected = ranked(*((f"p{9 - rank}", 9 - rank, rank) for rank in ranks))
    assert ask(service, "GET", f"/{board}?{query}").json == {"leaderboard": expected}


def test_default_limit(service: Server, board: str) -> None:
    """The default limit of a read between scores is 20."""
    fill(service, board, {f"p{score}": score for score in range(30)})
    assert len(ask(service, "GET", f"/{board}?minScore=0").json["leaderboard"]) == 20


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("include=rank", {"name", "score", "rank"}),
        ("include=rank&include=metadata", {"name", "score", "rank", "metadata"}),
        ("include=cursor", {"name", "score"}),
        ("startRank=0&endRank=20&include=cursor,rank", {"name", "score", "rank"}),
    ],
)
def test_page_includes(service: Server, board: str, query: str, keys: set[str]) -> None:
    """A page has ranks and a cursor only if the query includes them."""
    fill(service, board, {"v": 2, "w": 1})
    reply = ask(service, "GET", f"/{board}?{query}").json
    assert [set(entry) for entry in reply["leaderboard"]] == [keys, keys]
    assert ("next" in reply) == ("cursor" in query)
    assert reply.get("next") is None


def test_ranks_of_a_page(service: Server, board: str) -> None:
    """The ranks of a page begin at its startRank."""
    fill(service, board, {"v": 2, "w": 1, "x": 0})
    reply = ask(service, "GET", f"/{board}?startRank=1&include=rank")
    assert reply.json == {"leaderboard": ranked(("w", 1, 1), ("x", 0, 2))}


def test_next_page(service: Server, board: str) -> None:
    """A page behind a cursor is as long as the one before it; what it includes is named anew."""
    fill(service, board, {f"p{number}": 0 for number in range(5)})
    first = ask(service, "GET", f"/{board}?endRank=2&include=cursor").json
    second = ask(service, "GET", f"/{board}?cursor={first['next']}&include=rank,cursor").json
    assert second["leaderboard"] == ranked(("p2", 0, 2), ("p1", 0, 3))
    assert ask(service, "GET", f"/{board}?cursor={second['next']}").json == {
        "leaderboard": [{"name": "p0", "score": 0}]
    }


def test_last_page(service: Server, board: str) -> None:
    """A page that ends where the board ends has no next cursor, even if it is full, and one behind the end has none."""
    fill(service, board, {"v": 4, "w": 3, "x": 2, "y": 1})
    first = ask(service, "GET", f"/{board}?endRank=2&include=cursor").json
    last = (f"{board}?cursor={first['next']}", f"{board}?startRank=2&endRank=4", f"{board}?startRank=4")
    assert [ask(service, "GET", f"/{path}&include=cursor").json["next"] for path in last] == [None, None, None]


@pytest.mark.parametrize("last", [("v", 2**80), ("é" * 128, -0.1), ("a", 5e-324)], ids=["great", "long", "least"])
def test_cursor_holds_any_entry(service: Server, board: str, last: tuple[str, float]) -> None:
    """A cursor needs no percent-encoding in a query, whatever entry it names."""
    fill(service, board, {last[0]: last[1], "end": -1})
    cursor = ask(service, "GET", f"/{board}?endRank=1&include=cursor").json["next"]
    assert quote(cursor, safe="") == cursor
    assert ask(service, "GET", f"/{board}?cursor={cursor}").json == {"leaderboard": [{"name": "end", "score": -1}]}


@pytest.mark.parametrize("seed", range(3))
def test_cursors_while_others_submit(service: Server, board: str, seed: int) -> None:
    """Names that keep their scores appear once, in order, whatever happens to the others between two pages."""
    rng = random.Random(seed)
    still = {f"still-{number}": number % 4 for number in range(30)}
    restless = [f"restless-{number}" for number in range(30)]
    fill(service, board, still | dict.fromkeys(restless, 2))
    seen: list[str] = []
    reply = ask(service, "GET", f"/{board}?endRank=7&include=cursor").json
    while True:
        seen += [entry["name"] for entry in reply["leaderboard"] if entry["name"] in still]
        if reply["next"] is None:
            break
        fill(service, board, {name: rng.randrange(5) for name in rng.sample(restless, 9)})
        ask(service, "DELETE", f"/{board}/{rng.choice(restless)}")
        reply = ask(service, "GET", f"/{board}?cursor={reply['next']}&include=cursor").json
    assert seen == sorted(still, key=lambda name: (still[name], name), reverse=True)


def alter(cursor: str, place: int) -> str:
    """Replace the letter at one place by another."""
    return cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]


def test_cursor_altered(service: Server, board: str) -> None:
    """A cursor of which any letter is changed, cut off or added is refused."""
    good = write_cursor(Board(board), 20, Ranked("v", 1, 0))
    bad = [alter(good, place) for place in range(len(good))]
    bad += [good[:-1], good + "A", good + "=", good + "%0A", "", "!", "%C3%A9", "next"]
    replies = [ask(service, "GET", f"/{board}?cursor={cursor}") for cursor in bad]
    assert {(reply.status, reply.json["parameter"]) for reply in replies} == {(400, "cursor")}
    assert ask(service, "GET", f"/{board}?cursor={good}").status == 200


def test_cursor_of_another_board(service: Server, board: str) -> None:
    """A cursor of another board is refused."""
    reply = ask(service, "GET", f"/{board}?cursor={write_cursor(Board('another'), 20, Ranked('v', 1, 0))}")
    assert reply.status == 400
    assert "none of this board's" in reply.json["detail"]


@pytest.mark.parametrize(
    ("size", "entry", "status"),
    [
        (0, Ranked("v", 1, 0), 400),
        (1001, Ranked("v", 1, 0), 400),
        (20, Ranked("", 1, 0), 400),
        (20, Ranked("v", float("nan"), 0), 422),
    ],
    ids=["no size", "too large", "no name", "not a number"],
)
def test_cursor_forged(service: Server, board: str, size: int, entry: Ranked, status: int) -> None:
    """A forged cursor cannot exceed the limits of a read."""
    assert ask(service, "GET", f"/{board}?cursor={write_cursor(Board(board), size, entry)}").status == status


@pytest.mark.parametrize("sequence", [-1, 2**64 - 1, 2**63], ids=["less than none", "last", "half"])
def test_cursor_with_any_sequence(service: Server, board: str, sequence: int) -> None:
    """A forged cursor may name a sequence that no store has assigned."""
    cursor = write_cursor(Board(board), 20, Ranked("v", 1, 0, sequence))
    assert ask(service, "GET", f"/{board}?cursor={cursor}").status in {200, 400}


def test_cursor_has_a_version() -> None:
    """A cursor begins with the version of its format, so that one of another version is recognised."""
    text = write_cursor(Board("kart"), 20, Ranked("v", 1, 0))
    assert base64.urlsafe_b64decode(text + "==")[:2] == bytes([0x90 + len(Cursor.__struct_fields__), 2])


def test_summary(service: Server, board: str) -> None:
    """A summary has count, best, worst, percentiles and a histogram of the scores."""
    fill(service, board, {f"p{score}": score for score in range(101)})
    buckets = [{"from": edge, "to": edge + 10, "count": 10 + (edge == 90)} for edge in range(0, 100, 10)]
    assert ask(service, "GET", f"/-/boards/{board}/summary").json == {
        "count": 101,
        "best": 100,
        "worst": 0,
        "percentiles": {"50": 50, "90": 90, "99": 99},
        "histogram": buckets,
    }


def test_summary_of_no_board(service: Server, board: str) -> None:
    """The summary of a board that does not exist is empty, which is no error."""
    assert ask(service, "GET", f"/-/boards/{board}/summary").body == (
        b'{"count":0,"best":null,"worst":null,"percentiles":{"50":null,"90":null,"99":null},"histogram":[]}'
    )


@pytest.mark.parametrize(
    ("score", "answer"),
    [
        ("2078", {"rank": 0, "percentile": 100}),
        ("34", {"rank": 1, "percentile": 75}),
        ("0.5", {"rank": 3, "percentile": 25}),
        ("-1e300", {"rank": 4, "percentile": 0}),
    ],
)
def test_rank_of_a_score(service: Server, board: str, score: str, answer: dict[str, float]) -> None:
    """The rank of a score counts the entries that are better; the percentile is the share of those that are not."""
    fill(service, board, {"v": 2077, "silverhand": 34, "johnny": 34, "d": 0})
    assert ask(service, "GET", f"/-/boards/{board}/rank?score={score}").json == answer


def test_rank_of_a_score_on_no_board(service: Server, board: str) -> None:
    """On a board that does not exist every score would have rank 0, and there is no percentile."""
    assert ask(service, "GET", f"/-/boards/{board}/rank?score=1").body == b'{"rank":0,"percentile":null}'


def test_percentiles_agree(service: Server, board: str) -> None:
    """The score of a percentile in a summary is the worst score whose own percentile is no less."""
    fill(service, board, {f"p{number}": number**2 % 97 for number in range(60)})
    page = ask(service, "GET", f"/{board}?endRank=1000").json["leaderboard"]
    scores = sorted({entry["score"] for entry in page})
    rank = f"/-/boards/{board}/rank?score="
    percentile = {score: ask(service, "GET", f"{rank}{score}").json["percentile"] for score in scores}
    for percent, score in ask(service, "GET", f"/-/boards/{board}/summary").json["percentiles"].items():
        assert score == min(score for score in scores if percentile[score] >= int(percent))


@pytest.mark.parametrize("path", ["/{board}?around=v", "/{board}?name=v", "/-/boards/{board}/summary"])
def test_head_and_accept(service: Server, board: str, path: str) -> None:
    """These reads answer HEAD, and only with JSON, like every route."""
    fill(service, board, {"v": 1})
    get, head = (ask(service, method, path.format(board=board)) for method in ("GET", "HEAD"))
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-length"] == str(len(get.body))
    assert ask(service, "GET", path.format(board=board), headers={"accept": "text/html"}).status == 406


def test_boards_with_any_name(service: Server, board: str) -> None:
    """A board's name is percent-decoded in every route."""
    ask(service, "POST", f"/{board}%2F%C3%A9/v", {"score": 1})
    assert ask(service, "GET", f"/-/boards/{board}%2f%c3%a9/summary").json["count"] == 1
