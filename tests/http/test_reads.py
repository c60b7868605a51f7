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


TIED = {"v": 9, "silverhand": 7, "johnny": 7, "d": 1}


@pytest.mark.parametrize("ranking", ["ordinal", "competition", "dense"])
def test_place_and_total(service: Server, board: str, ranking: str) -> None:
    """Every read of a board tells places, which are never shared, and how many entries there are."""
    assert ask(service, "PUT", f"/-/boards/{board}", {"ranking": ranking}).status == 201
    fill(service, board, TIED)
    cursor = ask(service, "GET", f"/{board}?endRank=2&include=cursor").json["next"]
    reads = {
        "": "v silverhand johnny d",
        "startRank=1&endRank=3": "silverhand johnny",
        f"cursor={cursor}": "johnny d",
        "around=d&span=1": "johnny d",
        "around=d&limit=3": "silverhand johnny d",
        "name=d&name=silverhand": "silverhand d",
        "minScore=7&maxScore=8": "silverhand johnny",
        "minScore=8&maxScore=8": "",
        "startRank=9": "",
    }
    for read, names in reads.items():
        reply = ask(service, "GET", f"/{board}?{read}&include=place,total").json
        assert [(each["name"], each["place"]) for each in reply["leaderboard"]] == [
            (name, [*TIED].index(name)) for name in names.split()
        ]
        assert reply["total"] == 4
        bare = ask(service, "GET", f"/{board}?{read}&include=rank").json
        assert "total" not in bare
        assert all(each.keys() == {"name", "score", "rank"} for each in bare["leaderboard"])


def test_place_and_total_bytes(service: Server, board: str) -> None:
    """Places come behind ranks, and the total behind all else; each may be asked for alone."""
    fill(service, board, {"v": 2, "w": 1})
    asked = [ask(service, "GET", f"/{board}?endRank=1&include={fields}").body for fields in ("place", "total,rank")]
    assert asked == [
        b'{"leaderboard":[{"name":"v","score":2,"place":0}]}',
        b'{"leaderboard":[{"name":"v","score":2,"rank":0}],"total":2}',
    ]
    missing = ask(service, "GET", f"/{board}?name=x&include=total").body
    assert missing == b'{"leaderboard":[],"missing":["x"],"total":2}'
    assert ask(service, "GET", f"/no-{board}?include=total").body == b'{"leaderboard":[],"total":0}'


@pytest.mark.parametrize(
    ("name", "limit", "places"),
    [
        ("p0", 4, [0, 1, 2, 3]),
        ("p5", 4, [3, 4, 5, 6]),
        ("p5", 1, [5]),
        ("p9", 3, [7, 8, 9]),
        ("p8", 1000, [*range(10)]),
    ],
)
def test_around_with_a_limit(service: Server, board: str, name: str, limit: int, places: list[int]) -> None:
    """A read around a name with a limit is as long wherever the name is, with the name near the middle."""
    fill(service, board, {f"p{place}": -place for place in range(10)})
    found = ask(service, "GET", f"/{board}?around={name}&limit={limit}").json["leaderboard"]
    assert [entry["rank"] for entry in found] == places


FULL = "place,total,percentile,metadata,submittedAt,windows"


def test_standing_in_full(service: Server, board: str) -> None:
    """A standing has the fields that are asked for, null for nobody; entries of one score share a percentile."""
    assert ask(service, "PUT", f"/-/boards/{board}", {"windows": ["daily", "monthly"]}).status == 201
    fill(service, board, TIED)
    assert ask(service, "PATCH", f"/{board}/johnny", {"metadata": {"car": 1}}).status == 204
    assert ask(service, "DELETE", f"/{board}/johnny?window=daily").status == 204
    reply = ask(service, "GET", f"/{board}/johnny?include={FULL}").json
    [entry] = ask(service, "GET", f"/{board}?name=johnny&include=submittedAt").json["leaderboard"]
    assert reply == {
        "score": 7,
        "rank": 2,
        "place": 2,
        "total": 4,
        "percentile": 75,
        "metadata": {"car": 1},
        "submittedAt": entry["submittedAt"],
        "windows": {"daily": None, "monthly": {"score": 7, "rank": 2}},
    }
    percentiles = {name: ask(service, "GET", f"/{board}/{name}?include=percentile").json["percentile"] for name in TIED}
    assert percentiles == {"v": 100, "silverhand": 75, "johnny": 75, "d": 25}
    for name, score in TIED.items():
        rank = ask(service, "GET", f"/-/boards/{board}/rank?score={score}").json
        assert rank["percentile"] == percentiles[name]
    assert ask(service, "GET", f"/{board}/nobody?include={FULL}").body == (
        b'{"score":0,"rank":null,"place":null,"total":4,"percentile":null,"metadata":null,"submittedAt":null,'
        b'"windows":{"daily":null,"monthly":null}}'
    )
    assert ask(service, "GET", f"/no-{board}/v?include=total,place,windows").body == (
        b'{"score":0,"rank":null,"place":null,"total":0,"windows":{}}'
    )


def test_standing_in_a_window(service: Server, board: str) -> None:
    """In a period the fields are those of the period, which has no windows of its own."""
    assert ask(service, "PUT", f"/-/boards/{board}", {"windows": ["daily"]}).status == 201
    fill(service, board, TIED)
    assert ask(service, "DELETE", f"/{board}/v?window=daily").status == 204
    daily = f"/{board}/d?window=daily"
    reply = ask(service, "GET", f"{daily}&include=place,total,percentile").json
    assert (reply["place"], reply["total"], round(reply["percentile"], 3)) == (2, 3, 33.333)
    refused = ask(service, "GET", f"{daily}&include=windows")
    assert (refused.status, refused.json["parameter"]) == (400, "include")
    assert "all time" in refused.json["detail"]


def test_standing_of_a_hidden_name(service: Server, board: str) -> None:
    """A hidden name has no place and no percentile, is not among the total, and keeps what came with its score."""
    assert ask(service, "PUT", f"/-/boards/{board}", {"windows": ["daily"]}).status == 201
    fill(service, board, TIED)
    assert ask(service, "PATCH", f"/{board}/v", {"metadata": [1]}).status == 204
    for name in ("v", "ghost"):
        assert ask(service, "PUT", f"/-/boards/{board}/hidden/{name}").status == 204
    reply = ask(service, "GET", f"/{board}/v?include={FULL}").json
    assert reply.pop("submittedAt")
    assert reply == {
        "score": 9,
        "rank": None,
        "hidden": True,
        "place": None,
        "total": 3,
        "percentile": None,
        "metadata": [1],
        "windows": {"daily": {"score": 9, "rank": None}},
    }
    ghost = ask(service, "GET", f"/{board}/ghost?include=windows,metadata,submittedAt").json
    assert ghost == {
        "score": 0,
        "rank": None,
        "hidden": True,
        "metadata": None,
        "submittedAt": None,
        "windows": {"daily": None},
    }


def test_percentiles_and_buckets(service: Server, board: str) -> None:
    """A summary has the percentiles that are asked for, in their shortest form, and so many buckets."""
    fill(service, board, {f"p{score}": score for score in range(1, 201)})
    reply = ask(service, "GET", f"/-/boards/{board}/summary?percentiles=99.9,25.0,0,100&buckets=2").json
    assert list(reply["percentiles"].items()) == [("99.9", 200), ("25", 50), ("0", 1), ("100", 200)]
    assert [bucket["count"] for bucket in reply["histogram"]] == [100, 100]
    assert ask(service, "GET", f"/-/boards/{board}/summary?percentiles=50,90,99&buckets=10").body == (
        ask(service, "GET", f"/-/boards/{board}/summary").body
    )
    assert len(ask(service, "GET", f"/-/boards/{board}/summary?buckets=100").json["histogram"]) == 100


@pytest.mark.parametrize(
    ("target", "parameter", "words"),
    [
        ("{board}?around=v&limit=0", "limit", "from 1 to 1,000"),
        ("{board}?around=v&limit=1001", "limit", "from 1 to 1,000"),
        ("{board}?around=v&limit=3&span=1", "limit", "send one"),
        ("{board}?limit=3", "limit", "a read around a name or between scores"),
        ("{board}?name=v&limit=3", "limit", "a read around a name or between scores"),
        ("{board}?minScore=1&span=3", "span", "a read around a name"),
        ("{board}?include=percentile", "include", "no field 'percentile'"),
        ("{board}?include=places", "include", 'perhaps you mean "place"'),
        ("{board}?around=v&include=cursor", "include", "goes with a page"),
        ("{board}/v?include=rank", "include", "no field 'rank'"),
        ("{board}/v?include=", "include", "no field ''"),
        ("-/boards/{board}/summary?percentiles=", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=50,", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=100.1", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=101", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=-1", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=1e1", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=1.23456", "percentiles", "at most four decimals"),
        ("-/boards/{board}/summary?percentiles=%D9%A1", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=nan", "percentiles", "from 0 to 100"),
        ("-/boards/{board}/summary?percentiles=50,50.0", "percentiles", "50 stands twice"),
        (
            "-/boards/{board}/summary?percentiles=" + ",".join(map(str, [*range(100), "1.5"])),
            "percentiles",
            "at most 100",
        ),
        ("-/boards/{board}/summary?buckets=0", "buckets", "from 1 to 100"),
        ("-/boards/{board}/summary?buckets=101", "buckets", "from 1 to 100"),
        ("-/boards/{board}/summary?buckets=x", "buckets", "whole number"),
        ("-/boards/{board}/summary?bucket=2", "bucket", "buckets"),
    ],
)
def test_bad_values(service: Server, board: str, target: str, parameter: str, words: str) -> None:
    """What is wrong is said, and what would be right."""
    fill(service, board, {"v": 1})
    reply = ask(service, "GET", "/" + target.format(board=board))
    assert (reply.status, reply.json["parameter"]) == (400, parameter)
    assert words in reply.json["detail"]


@pytest.mark.parametrize("path", ["/{board}?around=v", "/{board}?name=v", "/-/boards/{board}/summary"])
def test_head_and_accept(service: Server, board: str, path: str) -> None:
    """These reads answer HEAD, and never with what they do not have."""
    fill(service, board, {"v": 1})
    get, head = (ask(service, method, path.format(board=board)) for method in ("GET", "HEAD"))
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-length"] == str(len(get.body))
    assert ask(service, "GET", path.format(board=board), headers={"accept": "image/png"}).status == 406


def test_boards_with_any_name(service: Server, board: str) -> None:
    """A board's name is percent-decoded in every route."""
    ask(service, "POST", f"/{board}%2F%C3%A9/v", {"score": 1})
    assert ask(service, "GET", f"/-/boards/{board}%2f%c3%a9/summary").json["count"] == 1
