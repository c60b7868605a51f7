"""Board definitions and their rules as a client sees them, over both adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.asking import Reply, ask
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

DEFAULT_DEFINITION: dict[str, Any] = {
    "order": "descending",
    "operator": "latest",
    "ties": "name",
    "ranking": "ordinal",
    "scores": {"min": None, "max": None, "integer": False},
    "windows": [],
    "time_zone": "UTC",
    "keep": {},
    "ttl": None,
    "guard": None,
    "title": None,
    "display": None,
    "partitions": 1,
}
LAPS = DEFAULT_DEFINITION | {
    "order": "ascending",
    "operator": "best",
    "ties": "earliest",
    "ranking": "competition",
    "scores": {"min": 0, "max": 1_000_000, "integer": True},
    "windows": ["daily", "weekly", "0 6 * * 1-5"],
    "time_zone": "Europe/Paris",
    "keep": {"daily": 30},
    "ttl": "7d",
}
FILE = """
declared_only = true
[boards.kart]
operator = "best"
ties = "earliest"
"""


def define(service: Server, board: str, **definition: Any) -> Reply:
    """PUT a definition."""
    return ask(service, "PUT", f"/-/boards/{board}", definition)


def fill(service: Server, board: str, *scores: tuple[str, float]) -> Reply:
    """Submit scores in one batch."""
    return ask(service, "POST", f"/{board}", {"entries": [{"name": name, "score": score} for name, score in scores]})


def ranks(service: Server, board: str, query: str = "include=rank") -> list[tuple[str, float, int]]:
    """Return name, score and rank of each entry."""
    found = ask(service, "GET", f"/{board}?{query}").json["leaderboard"]
    return [(entry["name"], entry["score"], entry["rank"]) for entry in found]


@pytest.fixture
def strict_service(tmp_path: Path) -> Iterator[Server]:
    """Run a service with a boards file that allows declared boards only."""
    file = tmp_path / "boards.toml"
    file.write_text(FILE)
    with running(tmp_path / "data", "--boards", str(file)) as server:
        yield server


@pytest.mark.parametrize("definition", [DEFAULT_DEFINITION, LAPS], ids=["default", "laps"])
def test_definition_comes_back(service: Server, board: str, definition: dict[str, Any]) -> None:
    """A definition comes back with all its fields; to PUT it again changes nothing."""
    first, again = (define(service, board, **definition) for _ in range(2))
    assert [(reply.status, reply.json) for reply in (first, again)] == [(201, definition), (200, definition)]
    assert ask(service, "GET", f"/-/boards/{board}").json == definition


def test_definition_of_some_fields(service: Server, board: str) -> None:
    """Fields that are left out have their defaults."""
    assert define(service, board, operator="best").json == DEFAULT_DEFINITION | {"operator": "best"}
    assert define(service, board).json == DEFAULT_DEFINITION


def test_definition_of_a_board_without_one(service: Server, board: str) -> None:
    """A board with entries only has the default definition; without either it is a 404."""
    reply = ask(service, "GET", f"/-/boards/{board}")
    assert reply.status == 404
    assert board in reply.json["detail"]
    ask(service, "POST", f"/{board}/v", {"score": 1})
    assert ask(service, "GET", f"/-/boards/{board}").json == DEFAULT_DEFINITION


def test_definition_deleted(service: Server, board: str) -> None:
    """A deleted definition is gone; to delete it again is no error."""
    define(service, board, operator="best")
    assert [ask(service, "DELETE", f"/-/boards/{board}").status for _ in range(2)] == [204, 204]
    assert ask(service, "GET", f"/-/boards/{board}").status == 404


@pytest.mark.parametrize(
    ("definition", "pointer", "says"),
    [
        ({"order": "up"}, "/order", "up"),
        ({"operator": "sum"}, "/operator", "sum"),
        ({"ties": 1}, "/ties", "ties is 1: it must be"),
        ({"ranking": None}, "/ranking", "null"),
        ({"scores": {"min": "0"}}, "/scores/min", "must be a number"),
        ({"scores": {"least": 0}}, "/scores", "least"),
        ({"scores": {"min": 2, "max": 1}}, "/scores", "max"),
        ({"scores": {"max": 2**53 + 1}}, "/scores/max", ""),
        ({"windows": "daily"}, "/windows", "must be a list"),
        ({"windows": ["hourly"]}, "/windows", "hourly"),
        ({"windows": ["daily", "daily"]}, "/windows", "daily"),
        ({"windows": ["60 * * * *"]}, "/windows", "60"),
        ({"windows": ["daily", 7]}, "/windows/1", "must be"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone", "Mars"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone", ""),
        ({"keep": {"daily": 3}}, "/keep", "daily"),
        ({"windows": ["daily"], "keep": {"daily": -1}}, "/keep", ""),
        ({"ttl": "soon"}, "/ttl", "soon"),
        ({"ttl": "0d"}, "/ttl", ""),
        ({"ttl": 7}, "/ttl", "must be"),
        ({"sort": "desc"}, "", "sort"),
    ],
    ids=str,
)
def test_definition_refused(service: Server, board: str, definition: dict[str, Any], pointer: str, says: str) -> None:
    """An invalid definition is a 422 that points at the field, and nothing is defined."""
    reply = define(service, board, **definition)
    assert reply.status == 422
    assert says in reply.json["detail"]
    assert reply.json["pointer"].startswith(pointer)
    assert ask(service, "GET", f"/-/boards/{board}").status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"ttl":"1d","ttl":"2d"}', 400),
        (b'{"scores":{"min":1,"min":2}}', 400),
        (b'{"ttl":"\xff"}', 400),
        (b'{"ttl":%b' % (b"[" * 60_000), 400),
        (b'{"scores":{"max":1e400}}', 422),
        (b"[]", 422),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_malformed_definition(service: Server, board: str, body: bytes, status: int) -> None:
    """A definition is parsed as strictly as any body."""
    assert ask(service, "PUT", f"/-/boards/{board}", body).status == status


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"order": "ascending"}, "order"),
        ({"operator": "best"}, "operator"),
        ({"ties": "latest"}, "ties"),
        ({"scores": {"min": 2}}, "min"),
        ({"scores": {"max": 8}}, "max"),
        ({"scores": {"integer": True}}, "integer"),
    ],
    ids=str,
)
def test_change_that_entries_contradict(service: Server, board: str, change: dict[str, Any], says: str) -> None:
    """A definition that stored entries contradict is a 409 that says why, and changes nothing."""
    fill(service, board, ("v", 1), ("w", 8.5))
    reply = define(service, board, **change)
    assert reply.status == 409
    assert says in reply.json["detail"]
    assert reply.json["pointer"] == f"/scores/{says}" if "scores" in change else f"/{says}"
    assert ask(service, "GET", f"/-/boards/{board}").json == DEFAULT_DEFINITION


def test_change_of_what_was_read(service: Server, board: str) -> None:
    """With the tag of a definition it is changed only if nobody else has done so since; else that is a 412."""
    read = define(service, board, ttl="1d")
    tag = {"if-match": read.headers["etag"]}
    assert ask(service, "GET", f"/-/boards/{board}").headers["etag"] == read.headers["etag"]
    path = f"/-/boards/{board}"
    changed = ask(service, "PUT", path, {"ttl": "2d"}, tag)
    assert (changed.status, changed.headers["etag"] == read.headers["etag"]) == (200, False)
    stale = ask(service, "PUT", path, {"ttl": "3d"}, tag)
    assert (stale.status, "somebody has changed it" in stale.json["detail"]) == (412, True)
    assert ask(service, "GET", path).json["ttl"] == "2d"
    for good in ("*", f'"other", {changed.headers["etag"]}'):
        assert ask(service, "PUT", path, {"ttl": "2d"}, {"if-match": good}).status == 200


def test_first_definition_of_what_was_read(service: Server, board: str) -> None:
    """A board without a definition of its own has the tag of the default one."""
    fill(service, board, ("v", 1))
    tag = ask(service, "GET", f"/-/boards/{board}").headers["etag"]
    assert ask(service, "PUT", f"/-/boards/{board}", {"ttl": "2d"}, {"if-match": tag}).status == 201


def test_change_that_entries_allow(service: Server, board: str) -> None:
    """The ranking, bounds that the entries satisfy, and additional windows can be changed at any time."""
    fill(service, board, ("v", 1), ("w", 1))
    assert define(service, board, ranking="competition", scores={"min": 1}, windows=["daily"]).status == 201
    assert ranks(service, board) == [("w", 1, 0), ("v", 1, 0)]


def test_boards_are_listed_by_the_beginning_of_their_names(service: Server, board: str) -> None:
    """Only those are listed whose names begin so, the one of just that name too, and in pages."""
    names = [f"{board}-é", f"{board}-é\U0010ffff", f"{board}-éa", f"{board}-êa", f"{board}-"]
    for name in names:
        define(service, quote(name))
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        query = f"prefix={quote(board)}-%C3%A9&limit=2&after={quote(after)}"
        page = ask(service, "GET", f"/-/boards?{query}").json
        found += [one["name"] for one in page["boards"]]
        after = page["next"]
    assert found == sorted(names)[1:4]
    assert ask(service, "GET", f"/-/boards?prefix={quote(board)}-x").json == {"boards": [], "next": None}
    assert ask(service, "GET", f"/-/boards?prefix={'x' * 257}").json["parameter"] == "prefix"


def test_boards_are_listed(service: Server, board: str) -> None:
    """All boards that are declared or have entries are listed by name, in pages."""
    define(service, f"{board}-a", ttl="1d")
    ask(service, "POST", f"/{board}-b%2F%C3%A9/v", {"score": 1})
    define(service, f"{board}-c")
    first = ask(service, "GET", f"/-/boards?after={board}-&limit=2").json
    assert [(one["name"], one["declared"]) for one in first["boards"]] == [
        (f"{board}-a", True),
        (f"{board}-b/é", False),
    ]
    assert first["boards"][0]["definition"] == DEFAULT_DEFINITION | {"ttl": "1d"}
    second = ask(service, "GET", f"/-/boards?after={quote(first['next'], safe='')}&limit=1").json
    assert [one["name"] for one in second["boards"]] == [f"{board}-c"]


def test_end_of_the_list(service: Server, board: str) -> None:
    """The last page of the list has next null, and a page behind the end is empty."""
    ask(service, "POST", f"/{board}/v", {"score": 1})
    assert ask(service, "GET", "/-/boards?limit=1000").json["next"] is None
    assert ask(service, "GET", "/-/boards?after=%F4%8F%BF%BF").json == {"boards": [], "next": None}


def test_best_keeps_the_better_score(service: Server, board: str) -> None:
    """With the operator best a score counts only if it is better than the old one in the board's order."""
    define(service, board, operator="best", order="ascending")
    receipts = [
        ask(service, "POST", f"/{board}/v", {"score": score}, {"prefer": "return=representation"}).json
        for score in (30, 31, 30, 29.5)
    ]
    assert [(one["score"], one["changed"]) for one in receipts] == [(30, True), (30, False), (30, False), (29.5, True)]


def test_increment_adds(service: Server, board: str) -> None:
    """With the operator increment scores are added, in single submits and in batches."""
    define(service, board, operator="increment")
    ask(service, "POST", f"/{board}/v", {"score": 40})
    fill(service, board, ("v", 1.5), ("v", -0.5))
    assert ask(service, "GET", f"/{board}/v").json == {"score": 41, "rank": 0}


def test_sum_refused(service: Server, board: str) -> None:
    """A sum that would be rounded, or is out of bounds, is a 422; in a batch only its entry is refused."""
    define(service, board, operator="increment", scores={"min": 0})
    fill(service, board, ("v", 2**53))
    reply = ask(service, "POST", f"/{board}/v", {"score": 1})
    assert reply.status == 422
    assert reply.json["pointer"] == "/score"
    assert [one["index"] for one in fill(service, board, ("w", 1), ("v", 1), ("w", -2)).json["refused"]] == [1, 2]
    assert ranks(service, board) == [("v", 2**53, 0), ("w", 1, 1)]


@pytest.mark.parametrize("score", [-1, 11, 0.5])
def test_score_out_of_bounds(service: Server, board: str, score: float) -> None:
    """A score out of the board's bounds is a 422 in every kind of submit, and nothing is stored."""
    define(service, board, scores={"min": 0, "max": 10, "integer": True})
    for headers in ({}, {"prefer": "return=representation"}, {"idempotency-key": "k"}):
        reply = ask(service, "POST", f"/{board}/v", {"score": score}, headers)
        assert reply.status == 422
        assert reply.json["pointer"] == "/score"
    assert [one["index"] for one in fill(service, board, ("v", score), ("w", 10)).json["refused"]] == [0]
    assert ranks(service, board) == [("w", 10, 0)]


@pytest.mark.parametrize(
    ("ties", "names"), [("name", ["z", "m", "a"]), ("earliest", ["m", "z", "a"]), ("latest", ["a", "z", "m"])]
)
def test_ties(service: Server, board: str, ties: str, names: list[str]) -> None:
    """Equal scores are ordered by the board's ties in every read."""
    define(service, board, ties=ties)
    fill(service, board, ("m", 7), ("z", 7), ("a", 7))
    assert [name for name, _, _ in ranks(service, board)] == names
    assert [name for name, _, _ in ranks(service, board, f"around={names[1]}&span=1")] == names
    assert [name for name, _, _ in ranks(service, board, "name=a&name=m&name=z")] == names


@pytest.mark.parametrize(
    ("ranking", "expected"), [("ordinal", [0, 1, 2, 3]), ("competition", [0, 1, 1, 3]), ("dense", [0, 1, 1, 2])]
)
def test_rankings_agree(service: Server, board: str, ranking: str, expected: list[int]) -> None:
    """A rank is the same in a standing, a page, behind a cursor, around a name, by names and between scores."""
    define(service, board, ranking=ranking)
    fill(service, board, ("a", 9), ("c", 7), ("b", 7), ("d", 5))
    names = ["a", "c", "b", "d"]
    cursor = ask(service, "GET", f"/{board}?endRank=2&include=cursor").json["next"]
    assert [ask(service, "GET", f"/{board}/{name}").json["rank"] for name in names] == expected
    for query in ("include=rank", "around=b", "name=d&name=a&name=b&name=c", "minScore=0"):
        assert ranks(service, board, query) == list(zip(names, [9, 7, 7, 5], expected, strict=True))
    assert [rank for _, _, rank in ranks(service, board, f"cursor={cursor}&include=rank")] == expected[2:]


@pytest.mark.parametrize(
    ("ranking", "answer"),
    [("competition", {"rank": 3, "percentile": 25}), ("dense", {"rank": 2, "percentile": 25})],
)
def test_rank_of_a_score_by_the_ranking(service: Server, board: str, ranking: str, answer: dict[str, float]) -> None:
    """The rank of a score follows the board's ranking; the percentile counts entries."""
    define(service, board, ranking=ranking)
    fill(service, board, ("a", 9), ("b", 7), ("c", 7), ("d", 5))
    assert ask(service, "GET", f"/-/boards/{board}/rank?score=6").json == answer


def test_partitions_are_not_kept(service: Server, board: str) -> None:
    """The store behind this service has no partitions, and the refusal says which has."""
    reply = define(service, board, partitions=2)
    assert (reply.status, "a store on Redis does" in reply.json["detail"]) == (422, True)
    assert define(service, board, partitions=1).status == 201


def test_file_declares(strict_service: Server) -> None:
    """A board of the boards file has the definition of the file, which HTTP cannot change."""
    assert ask(strict_service, "GET", "/-/boards/kart").json == DEFAULT_DEFINITION | {
        "operator": "best",
        "ties": "earliest",
    }
    replies = [define(strict_service, "kart"), ask(strict_service, "DELETE", "/-/boards/kart")]
    assert [reply.status for reply in replies] == [409, 409]
    assert all("file" in reply.json["detail"] for reply in replies)


@pytest.mark.parametrize("target", ["/other/v", "/other"])
def test_declared_only(strict_service: Server, target: str) -> None:
    """With declared_only a submit to another board is a 404 that says so, and reads find no such board."""
    body = {"score": 1} if target == "/other/v" else {"entries": [{"name": "v", "score": 1}]}
    reply = ask(strict_service, "POST", target, body)
    assert reply.status == 404
    assert "declared" in reply.json["detail"]
    assert ask(strict_service, "GET", "/other").json == {"leaderboard": []}
    assert ask(strict_service, "GET", "/other/v").json == {"score": 0, "rank": None}


def test_declared_only_and_then_declared(strict_service: Server) -> None:
    """A board with a definition of its own, put over HTTP, is declared."""
    assert define(strict_service, "other").status == 201
    assert ask(strict_service, "POST", "/other/v", {"score": 1}).status == 202


def test_hidden_board(strict_service: Server) -> None:
    """Entries of a board that is no longer declared are hidden until it is again, and can be removed."""
    define(strict_service, "other")
    fill(strict_service, "other", ("v", 1), ("w", 2))
    assert ask(strict_service, "DELETE", "/-/boards/other").status == 204
    assert ask(strict_service, "GET", "/other").json == {"leaderboard": []}
    ask(strict_service, "DELETE", "/other/w")
    define(strict_service, "other")
    assert ranks(strict_service, "other") == [("v", 1, 0)]
