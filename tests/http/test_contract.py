"""The routes as a client sees them, over both adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

from laurels import __version__
from tests.asking import ask

if TYPE_CHECKING:
    from tests.conftest import Server


def test_submit_is_accepted(service: Server, board: str) -> None:
    """A submit is answered by 202 with an empty body."""
    reply = ask(service, "POST", f"/{board}/v", {"score": 42})
    assert reply.status == 202
    assert reply.body == b""
    assert reply.headers["content-length"] == "0"


def test_standing_is_score_and_rank(service: Server, board: str) -> None:
    """A standing has exactly two fields, score and rank; ranks start at 0."""
    ask(service, "POST", f"/{board}/v", {"score": 2077})
    ask(service, "POST", f"/{board}/silverhand", {"score": 34})
    reply = ask(service, "GET", f"/{board}/silverhand")
    assert reply.status == 200
    assert reply.body == b'{"score":34,"rank":1}'
    assert reply.headers["content-type"] == "application/json"


def test_page_is_names_and_scores(service: Server, board: str) -> None:
    """A page has exactly the name and the score of each entry, the best first."""
    ask(service, "POST", f"/{board}/silverhand", {"score": 34})
    ask(service, "POST", f"/{board}/v", {"score": 2077})
    reply = ask(service, "GET", f"/{board}?startRank=0&endRank=20")
    assert reply.body == b'{"leaderboard":[{"name":"v","score":2077},{"name":"silverhand","score":34}]}'


def test_name_not_on_the_board(service: Server, board: str) -> None:
    """A name that is not on the board has score 0 and rank null, which is no error."""
    reply = ask(service, "GET", f"/{board}/nobody")
    assert reply.status == 200
    assert reply.body == b'{"score":0,"rank":null}'


def test_board_that_does_not_exist(service: Server, board: str) -> None:
    """A board that does not exist reads as an empty page."""
    reply = ask(service, "GET", f"/{board}")
    assert reply.status == 200
    assert reply.body == b'{"leaderboard":[]}'


GUESSED = {
    "healthz": "/-/health",
    "metrics": "/-/metrics",
    "docs": "/-/docs",
    "favicon.ico": "/",
    "robots.txt": "/",
}


@pytest.mark.parametrize("odd", [{}, {"x-odd": "1"}], ids=["fast", "odd"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?startRank=0&endRank=5", "?name=v", "?around=v"])
@pytest.mark.parametrize("name", [*GUESSED, "health%7A"])
def test_path_that_is_guessed(service: Server, name: str, query: str, method: str, odd: dict[str, str]) -> None:
    """A probe, a scraper or a browser that guesses a path is not told of an empty board, but where to ask."""
    reply = ask(service, method, f"/{name}{query}", headers=odd)
    assert reply.status == 404
    if method == "GET":
        assert reply.json["detail"].endswith(f" Perhaps you mean {GUESSED[unquote(name)]}.")


@pytest.mark.parametrize("odd", [{}, {"x-odd": "1"}], ids=["fast", "odd"])
def test_guessed_path_that_is_a_board(service: Server, odd: dict[str, str]) -> None:
    """A board of such a name is one like any other, as long as it has entries or a definition."""
    ask(service, "PUT", "/-/boards/docs", {"operator": "best"})
    assert ask(service, "GET", "/docs", headers=odd).json == {"leaderboard": []}
    ask(service, "DELETE", "/-/boards/docs")
    ask(service, "POST", "/docs/v", {"score": 1})
    assert ask(service, "GET", "/docs", headers=odd).json == {"leaderboard": [{"name": "v", "score": 1}]}
    ask(service, "DELETE", "/docs/v")
    assert ask(service, "GET", "/docs", headers=odd).status == 404


def test_names_of_guessed_paths(service: Server) -> None:
    """Players may have such names, and those paths that are somewhat like one are boards."""
    assert ask(service, "GET", "/docs/healthz").json == {"score": 0, "rank": None}
    assert ask(service, "GET", "/healthz2").json == ask(service, "GET", "/Docs").json == {"leaderboard": []}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", [f"p{rank:02}" for rank in range(20)]),
        ("?startRank=3", [f"p{rank:02}" for rank in range(3, 23)]),
        ("?endRank=2", ["p00", "p01"]),
        ("?endRank=25&startRank=24", ["p24"]),
        ("?startRank=24&endRank=99", ["p24"]),
        ("?startRank=25", []),
        ("?startRank=999999999999999998&endRank=999999999999999999", []),
        ("?startRank=%30&endRank=1", ["p00"]),
    ],
)
def test_page_bounds(service: Server, board: str, query: str, names: list[str]) -> None:
    """A page includes startRank and not endRank; both have defaults, and it ends at the latest where the board does."""
    ask(service, "POST", f"/{board}", {"entries": [{"name": f"p{rank:02}", "score": -rank} for rank in range(25)]})
    assert [entry["name"] for entry in ask(service, "GET", f"/{board}{query}").json["leaderboard"]] == names


def test_equal_scores_are_ordered_by_name(service: Server, board: str) -> None:
    """On a descending board equal scores are ordered by name, from Z to A."""
    ask(service, "POST", f"/{board}", {"entries": [{"name": name, "score": 7} for name in ("b", "c", "a")]})
    assert [entry["name"] for entry in ask(service, "GET", f"/{board}").json["leaderboard"]] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("sent", "returned"),
    [
        (b"42", b"42"),
        (b"42.0", b"42"),
        (b"-0.0", b"0"),
        (b"4.25", b"4.25"),
        (b"1e3", b"1000"),
        (b"9007199254740992", b"9007199254740992"),
        (b"-9007199254740994", b"-9007199254740994"),
        (b"1152921504606846976", b"1152921504606846976"),
        (b"1e23", b"99999999999999991611392"),
        (b"99999999999999991611392.0", b"99999999999999991611392"),
        (b"5e-324", b"5e-324"),
        (b"0.1", b"0.1"),
    ],
)
def test_score_comes_back_exactly(service: Server, board: str, sent: bytes, returned: bytes) -> None:
    """Whole scores come back as integers, others as the same double; a page and a standing agree to the byte."""
    assert ask(service, "POST", f"/{board}/v", b'{"score":%b}' % sent).status == 202
    assert ask(service, "GET", f"/{board}/v").body == b'{"score":%b,"rank":0}' % returned
    assert ask(service, "GET", f"/{board}").body == b'{"leaderboard":[{"name":"v","score":%b}]}' % returned


@pytest.mark.parametrize(
    "name",
    ["@scope/name", "100%", "a b", "Zoë", "🏆", "...", "-", "a+b&c=d?e#f", 'say "hi"\\', "x" * 256, "é" * 128],
    ids=ascii,
)
def test_names_are_percent_decoded(service: Server, board: str, name: str) -> None:
    """A name is one percent-encoded path segment of UTF-8, and comes back decoded."""
    ask(service, "POST", f"/{board}/{quote(name, safe='')}", {"score": 1})
    assert ask(service, "GET", f"/{board}/{quote(name, safe='')}").json == {"score": 1, "rank": 0}
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": [{"name": name, "score": 1}]}


def test_board_names_are_percent_decoded(service: Server, board: str) -> None:
    """Every way to percent-encode a name reaches the same board."""
    ask(service, "POST", f"/{board}%2F%61/v", {"score": 1})
    assert ask(service, "GET", f"/{board}%2fa/v").json == {"score": 1, "rank": 0}


def test_representation_has_before_and_after(service: Server, board: str) -> None:
    """A submit with Prefer: return=representation returns the standing after it and the one before it."""
    prefer = {"prefer": 'respond-async, return="representation"'}
    first = ask(service, "POST", f"/{board}/v", {"score": 5}, prefer)
    assert first.json == {"score": 5, "rank": 0, "previous": None, "changed": True}
    ask(service, "POST", f"/{board}/w", {"score": 6})
    second = ask(service, "POST", f"/{board}/v", {"score": 7}, prefer)
    assert second.json == {"score": 7, "rank": 0, "previous": {"score": 5, "rank": 1}, "changed": True}
    assert second.headers["preference-applied"] == "return=representation"


def test_representation_of_the_same_again(service: Server, board: str) -> None:
    """A submit of the score that the name already has changes nothing."""
    ask(service, "POST", f"/{board}/v", {"score": 5})
    reply = ask(service, "POST", f"/{board}/v", {"score": 5.0}, {"prefer": "return=representation"})
    assert reply.json["changed"] is False


def test_batch_reports_each_entry(service: Server, board: str) -> None:
    """Each entry of a batch is accepted or refused on its own."""
    bad = [{"name": "a", "score": 1}, {"name": "", "score": 2}, {"name": "b", "score": "3"}, {"name": "c", "score": 4}]
    reply = ask(service, "POST", f"/{board}", {"entries": bad})
    assert reply.status == 200
    assert reply.json["accepted"] == 2
    assert [(one["index"], one["name"]) for one in reply.json["refused"]] == [(1, ""), (2, "b")]
    assert [entry["name"] for entry in ask(service, "GET", f"/{board}").json["leaderboard"]] == ["c", "a"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (b'{"name":"x"}', 'An entry needs the field score: send {"name": "v", "score": 42}.'),
        (b'{"score":1}', "An entry needs the field name: send"),
        (b'{"name":"x","score":true}', "score must be a number, and is a boolean."),
        (b'{"name":"x","score":1e400}', "beyond the range"),
        (b'{"name":"x","score":1%b}' % (b"0" * 5000), "beyond the range"),
        (b'{"name":"x","score":9007199254740993}', "would be rounded"),
        (b'{"name":"x","score":9007199254740993.0}', "would be rounded"),
        (b'{"name":"..","score":1}', "take out of a path"),
        (b'{"name":"a\\u0000b","score":1}', "control character"),
        (
            b'{"name":"x","score":1,"more":2}',
            'An entry has no field "more". It has name, score, metadata, submittedAt: send {"name": "v", "score": 42}.',
        ),
        (b"{%b}" % b",".join(b'"%d":0' % key for key in range(100_000)), 'has no field "0"'),
        (b'{"name":"x","Score":1}', 'An entry has no field "Score"; perhaps you mean "score". It has'),
        (b'{"name":"x","score":"1"}', "is a string: a number has no quotes."),
        (b"7", "An entry must be an object, and is a whole number: send"),
        (b'{"name":7,"score":1}', "name must be a string, and is a whole number."),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_entry_refused(service: Server, board: str, entry: bytes, problem: str) -> None:
    """An invalid entry is refused with the reason, and the valid one next to it is accepted."""
    reply = ask(service, "POST", f"/{board}", b'{"entries":[%b,{"name":"good","score":1}]}' % entry)
    assert reply.status == 200
    assert reply.json["accepted"] == 1
    assert reply.json["refused"][0]["index"] == 0
    assert problem in reply.json["refused"][0]["problem"]


def test_batch_of_a_thousand(service: Server, board: str) -> None:
    """A batch may have 1,000 entries, and a page too."""
    entries = [{"name": f"player-{place:04}", "score": 1000 - place} for place in range(1000)]
    assert ask(service, "POST", f"/{board}", {"entries": entries}).json == {"accepted": 1000, "refused": []}
    assert ask(service, "GET", f"/{board}?endRank=1000").json == {"leaderboard": entries}


def test_later_entry_of_one_name_counts(service: Server, board: str) -> None:
    """Of two entries with the same name in a batch the later one counts."""
    ask(service, "POST", f"/{board}", {"entries": [{"name": "v", "score": 9}, {"name": "v", "score": 3}]})
    assert ask(service, "GET", f"/{board}/v").json == {"score": 3, "rank": 0}


def test_empty_batch(service: Server, board: str) -> None:
    """A batch without entries is accepted and changes nothing."""
    assert ask(service, "POST", f"/{board}", {"entries": []}).json == {"accepted": 0, "refused": []}


def test_delete_of_a_name(service: Server, board: str) -> None:
    """DELETE of a name removes it from its board; repeating it is no error."""
    ask(service, "POST", f"/{board}/v", {"score": 1})
    assert [ask(service, "DELETE", f"/{board}/v").status for _ in range(2)] == [204, 204]
    assert ask(service, "GET", f"/{board}/v").json == {"score": 0, "rank": None}


def test_delete_of_a_board(service: Server, board: str) -> None:
    """DELETE of a board removes all its entries; repeating it is no error."""
    ask(service, "POST", f"/{board}/v", {"score": 1})
    assert [ask(service, "DELETE", f"/{board}").status for _ in range(2)] == [204, 204]
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


@pytest.mark.parametrize("path", ["/-/health", "/-/ready"])
def test_health_and_readiness(service: Server, path: str) -> None:
    """A service that can store scores is healthy and ready."""
    reply = ask(service, "GET", path)
    assert reply.status == 200
    assert reply.body == b'{"status":"ok"}'


def test_landing_page(service: Server) -> None:
    """The root names the service, its version and its documentation."""
    assert ask(service, "GET", "/").json == {"service": "laurels", "version": __version__, "docs": "/-/docs"}


@pytest.mark.parametrize("path", ["/{board}/v", "/{board}", "/-/health", "/"])
def test_head_is_get_without_its_body(service: Server, board: str, path: str) -> None:
    """HEAD returns the headers of GET, Content-Length included, and no body."""
    get, head = (ask(service, method, path.format(board=board)) for method in ("GET", "HEAD"))
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/{board}/v", "GET, HEAD, POST, PATCH, DELETE, OPTIONS"),
        ("/{board}", "GET, HEAD, POST, DELETE, OPTIONS"),
        ("/-/ready", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_lists_methods(service: Server, board: str, path: str, allow: str) -> None:
    """OPTIONS lists the methods of a route."""
    reply = ask(service, "OPTIONS", path.format(board=board))
    assert reply.status == 204
    assert reply.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/{board}", "/{board}/v", "/{board}?window=daily", "/-/boards/{board}"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"names":["w"]}', {}),
        (b"null", {}),
        (b" ", {}),
        (b"x", {"content-type": "text/plain"}),
        (b'{"names":["w"]}', None),
    ],
    ids=["json", "null", "a space", "text", "chunks"],
)
def test_delete_with_a_body(
    service: Server, board: str, path: str, body: bytes, headers: dict[str, str] | None
) -> None:
    """A DELETE whose body says what to delete deletes nothing, and is told where to say it."""
    ask(service, "PUT", f"/-/boards/{board}", {"windows": ["daily"]})
    ask(service, "POST", f"/{board}/v", {"score": 1})
    sent = iter([body]) if headers is None else body
    reply = ask(service, "DELETE", path.format(board=board), sent, headers)
    assert reply.status == 400
    assert "DELETE /{board}/{name} removes one name" in reply.json["detail"]
    assert ask(service, "GET", f"/{board}/v").json == {"score": 1, "rank": 0}
    assert ask(service, "GET", f"/{board}/v?window=daily").json == {"score": 1, "rank": 0}
    assert ask(service, "GET", f"/-/boards/{board}").json["windows"] == ["daily"]


def test_delete_with_a_body_of_no_length(service: Server, board: str) -> None:
    """A body of no bytes is none."""
    assert ask(service, "DELETE", f"/{board}/v", b"", {"content-length": "0"}).status == 204
