"""Requests that are refused, each with a clear problem document and without any change, over both adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.asking import ask, send_bytes

if TYPE_CHECKING:
    from tests.conftest import Server

KIB = 1024

FIELDS = 'It has score, metadata, submittedAt, operator, run: send {"score": 42}.'


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "it is empty"),
        (b"{", 400, "truncated"),
        (b'{"score":42', 400, "truncated"),
        (b'{"score":42}}', 400, "trailing characters"),
        (b'{"score":NaN}', 400, "invalid character"),
        (b'{"score":Infinity}', 400, "invalid character"),
        (b'{"score":-Infinity}', 400, "invalid character"),
        (b'{"score":01}', 400, "invalid number"),
        (b'\xef\xbb\xbf{"score":1}', 400, "invalid character"),
        (b'{"\xff":1}', 400, "not UTF-8"),
        (b'{"score":1,"score":2}', 400, "stands twice"),
        (b'{"score":1,"\\u0073core":2}', 400, "stands twice"),
        (b"[" * 60_000, 400, "nested too deeply"),
        (b'{"score":true', 400, "truncated"),
        (b'{"score":1e400}', 422, "beyond the range of a double"),
        (b'{"score":-1e400}', 422, "beyond the range of a double"),
        (b'{"score":1%b}' % (b"0" * 400), 422, "beyond the range of a double"),
        (b'{"score":9007199254740993}', 422, "would be rounded to 9007199254740992"),
        (b'{"score":-9007199254740993}', 422, "would be rounded"),
        (b'{"score":9007199254740993.0}', 422, "would be rounded"),
        (b'{"score":9007199254740993e0}', 422, "would be rounded"),
        (b'{"score":true}', 422, "score must be a number, and is a boolean."),
        (b'{"score":"42"}', 422, "score must be a number, and is a string: a number has no quotes."),
        (b'{"score":null}', 422, "score must be a number, and is null."),
        (b'{"score":[1]}', 422, "score must be a number, and is a list."),
        (b"{}", 422, 'A submit needs the field score: send {"score": 42}.'),
        (b"[]", 422, 'A submit must be an object, and is a list: send {"score": 42}. Several entries are a batch'),
        (b"42", 422, 'A submit must be an object, and is a whole number: send {"score": 42}.'),
        (
            b'{"score":1,"rank":0}',
            422,
            'A submit has no field "rank"; perhaps you mean "run". ' + FIELDS,
        ),
        (b'{"score":1,"structure":0}', 422, 'no field "structure"; perhaps you mean "score".'),
        (
            b'{"Score":5}',
            422,
            'no field "Score"; perhaps you mean "score". ' + FIELDS,
        ),
        (b'{"SCORE":5}', 422, 'no field "SCORE"; perhaps you mean "score".'),
        (
            b'{"points":5}',
            422,
            'no field "points". ' + FIELDS,
        ),
        (b'{"data":{"score":5}}', 422, FIELDS),
        (b'{"score":5,"name":"v"}', 422, "The name stands in the path."),
        (b'{"entries":[]}', 422, "Several entries are a batch, which goes to POST /{board}."),
        (b'{"score":1,"out of range":0}', 422, 'no field "out of range". It'),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_submit_refused(service: Server, board: str, body: bytes, status: int, says: str) -> None:
    """A submit with an invalid body is refused with the reason, and the old score stays."""
    ask(service, "POST", f"/{board}/v", {"score": 7})
    reply = ask(service, "POST", f"/{board}/v", body)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert says in reply.json["detail"]
    assert ask(service, "GET", f"/{board}/v").json == {"score": 7, "rank": 0}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [(b'{"score":"42"}', "/score"), (b'{"score":1e400}', "/score"), (b'{"score":9007199254740993}', "/score")],
)
def test_problem_points_at_the_field(service: Server, board: str, body: bytes, pointer: str) -> None:
    """A problem with one field of the body has a JSON pointer to it."""
    problem = ask(service, "POST", f"/{board}/v", body).json
    assert problem["pointer"] == pointer
    assert problem["type"] == "about:blank"
    assert problem["title"] == "Unprocessable Content"
    assert problem["status"] == 422


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"entries":{}}', 422, "entries must be a list, and is an object."),
        (b'{"entries":[],"more":1}', 422, 'A batch has no field "more". It has entries: send {"entries": [{"name":'),
        (b'[{"name":"v","score":5}]', 422, 'and is a list: send {"entries": [{"name": "v", "score": 42}]}.'),
        (b'{"score":5}', 422, "One score goes to POST /{board}/{name}."),
        (b'{"Entries":[]}', 422, 'perhaps you mean "entries"'),
        (b'{"entries":[{"name":"x","score":1}', 400, "truncated"),
        (b'{"entries":[{"name":"x","score":1,"score":2}]}', 400, "stands twice"),
        (b'{"entries":[{"name":"x","score":"1"}],"entries":[]}', 400, "stands twice"),
        (b'{"entries":[{"name":"\\ud800","score":1}]}', 400, "hex escape"),
        (b'{"entries":[%b]}' % b",".join([b'{"name":"x","score":1}'] * 1001), 422, "at most 1,000"),
        (b'{"entries":%b' % (b"[" * 60_000), 400, "nested too deeply"),
        (b'{"entries":[{"name":"\xff","score":1}]}', 400, "not UTF-8"),
        (b'{"entries":[{"name":"x","score":"\xff"}]}', 400, "not UTF-8"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_batch_refused(service: Server, board: str, body: bytes, status: int, says: str) -> None:
    """A batch that cannot be parsed is refused as a whole."""
    reply = ask(service, "POST", f"/{board}", body)
    assert reply.status == status
    assert says in reply.json["detail"]
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is empty"),
        (".", "take out of a path"),
        ("..", "take out of a path"),
        ("%2e%2E", "take out of a path"),
        ("a%00b", "control character"),
        ("a%0Ab", "control character"),
        ("%7F", "control character"),
        ("%C2%85", "control character"),
        ("%ED%A0%80", "not UTF-8"),
        ("%FF", "not UTF-8"),
        ("100%", "two hexadecimal digits"),
        ("a%2", "two hexadecimal digits"),
        ("%zz", "two hexadecimal digits"),
        ("x" * 257, "has 257 bytes"),
        ("%C3%A9" * 129, "has 258 bytes"),
    ],
    ids=lambda value: value[:20],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_name_refused(service: Server, board: str, method: str, name: str, says: str) -> None:
    """An invalid name is a 400 that names the parameter, with every method."""
    reply = ask(service, method, f"/{board}/{name}", {"score": 1} if method == "POST" else None)
    assert reply.status == 400
    assert reply.json["parameter"] == "name"
    assert says in reply.json["detail"]


@pytest.mark.parametrize("board_name", [".", "%2E%2E", "a%0Ab", "%FF", "x" * 257], ids=lambda value: value[:20])
def test_board_name_refused(service: Server, board_name: str) -> None:
    """The names of boards follow the same rules."""
    assert ask(service, "GET", f"/{board_name}/v").json["parameter"] == "board"


def test_board_name_reserved(service: Server) -> None:
    """The dash is reserved and names no board, percent-encoded or not."""
    assert ask(service, "POST", "/%2D/v", {"score": 1}).json["parameter"] == "board"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("startRank=-1", "startRank"),
        ("startRank=one", "startRank"),
        ("startRank=", "startRank"),
        ("startRank=1.5", "startRank"),
        ("startRank=%D9%A1", "startRank"),
        ("startRank=1000000000000000000", "startRank"),
        ("startRank=5&endRank=5", "endRank"),
        ("startRank=5&endRank=4", "endRank"),
        ("startRank=0&endRank=1001", "endRank"),
        ("startRank=0&startRank=0", "startRank"),
        ("startrank=0", "startrank"),
        ("start=0", "start"),
        ("%FF=0", "\ufffd"),
    ],
)
def test_page_refused(service: Server, board: str, query: str, parameter: str) -> None:
    """An invalid query for a page is a 400 that names the parameter."""
    reply = ask(service, "GET", f"/{board}?{query}")
    assert reply.status == 400
    assert reply.json["parameter"] == parameter


@pytest.mark.parametrize(
    ("query", "parameter", "says"),
    [
        (
            "span=5",
            "span",
            "span goes with a read around a name, not here: a page takes startRank, endRank, include, window",
        ),
        ("limit=5", "limit", "limit goes with a read around a name or between scores"),
        ("score=5", "score", "There is no parameter score"),
        ("around=v&startRank=0", "startRank", "a read around a name takes around, span, limit, include"),
        ("name=v&around=v", "name", "name goes with a read of names, not here"),
        ("name=v&limit=1", "limit", "a read of names takes name, include, window and period."),
        ("minScore=1&cursor=x", "cursor", "cursor goes with the page behind a cursor"),
        ("cursor=x&startRank=0", "startRank", "the page behind a cursor takes cursor, include, window"),
        (
            "around=v&include=cursor",
            "include",
            "cursor goes with a page, not here. There are rank, place, total, metadata and",
        ),
        (
            "name=v&include=next",
            "include",
            "There is no field 'next' to include. There are rank, place, total, metadata and",
        ),
        (
            "minScore=1&windows=daily",
            "windows",
            'There is no parameter windows; perhaps you mean "window": a read between',
        ),
        ("window=daily", "window", "window"),
        ("window=", "window", ""),
        ("window=daily&window=daily", "window", "window stands twice"),
        ("period=2026-11-22", "period", "period goes with window"),
        ("period=", "period", "period goes with window"),
        ("around=", "around", "The name is empty"),
        ("around=a%00", "around", "control character"),
        ("around=%FF", "around", "around is not UTF-8"),
        ("around=100%", "around", "two hexadecimal digits"),
        ("around=v&around=w", "around", "around stands twice"),
        ("around=v&span=501", "span", "span is 501: it must be from 0 to 500"),
        ("around=v&span=-1", "span", "a whole number"),
        ("name=v&name=w&name=v", "name", "The name 'v' stands twice"),
        ("name=v&name=..", "name", "take out of a path"),
        ("name=v&name=%C3", "name", "name is not UTF-8"),
        ("&".join(f"name={n}" for n in range(101)), "name", "101 names are asked for"),
        ("minScore=x", "minScore", "must be a number"),
        ("minScore=", "minScore", "must be a number"),
        ("minScore=NaN", "minScore", "must be a number"),
        ("maxScore=Infinity", "maxScore", "must be a number"),
        ("maxScore=01", "maxScore", "must be a number"),
        ("maxScore=1e+3", "maxScore", "a plus in it %2B"),
        ("maxScore=%D9%A1", "maxScore", "must be a number"),
        ("maxScore=1%2C%22score%22:2", "maxScore", "must be a number"),
        ("maxScore=1e400", "maxScore", "beyond the range of a double"),
        ("maxScore=1" + "0" * 5000, "maxScore", "beyond the range of a double"),
        ("minScore=9007199254740993", "minScore", "would be rounded"),
        ("minScore=2&maxScore=1", "maxScore", "maxScore is not below minScore"),
        ("minScore=1&minScore=1", "minScore", "minScore stands twice"),
        ("minScore=1&limit=0", "limit", "limit is 0: it must be from 1 to 1,000"),
        ("minScore=1&limit=1001", "limit", "limit is 1001"),
        ("include=", "include", "There are rank, place, total, metadata, submittedAt and cursor"),
        (
            "include=meta",
            "include",
            "There is no field 'meta' to include; perhaps you mean \"metadata\". There are rank,",
        ),
        ("include=rank,submittedat", "include", "There is no field 'submittedat'"),
        ("include=rank&include=score", "include", "There is no field 'score' to include. There are"),
        ("StartRank=0", "StartRank", 'perhaps you mean "startRank": a page takes'),
        ("max_score=5", "max_score", 'perhaps you mean "maxScore"'),
        ("page=2", "page", "There is no parameter page: a page takes startRank, endRank,"),
        ("include=rank&startRank=5&endRank=5", "endRank", "is empty"),
        ("include=cursor&endRank=1001", "endRank", "a page holds 1,000"),
    ],
    ids=lambda value: value[:40],
)
def test_read_refused(service: Server, board: str, query: str, parameter: str, says: str) -> None:
    """An invalid query for a read is a 400 that names the parameter and says what would be right."""
    reply = ask(service, "GET", f"/{board}?{query}")
    assert reply.status == 400
    assert reply.json["parameter"] == parameter
    assert says in reply.json["detail"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/-/boards/{board}/rank", "score"),
        ("/-/boards/{board}/rank?score=", "score"),
        ("/-/boards/{board}/rank?score=1&score=2", "score"),
        ("/-/boards/{board}/rank?score=1&startRank=0", "startRank"),
        ("/-/boards/{board}/summary?bins=5", "bins"),
        ("/-/boards/{board}/summary?=", ""),
        ("/-/boards/{board}/summary?window=daily", "window"),
        ("/-/boards/{board}/rank?score=1&period=2026-11-22", "period"),
        ("/-/boards/{board}/periods?window=daily", "window"),
        ("/-/boards/{board}/periods?limit=0", "limit"),
        ("/-/boards/{board}/periods?limit=1001", "limit"),
        ("/-/boards/{board}/periods?after=a&after=b", "after"),
        ("/-/boards/{board}/hidden?limit=0", "limit"),
        ("/-/boards/{board}/hidden?limit=1001", "limit"),
        ("/-/boards/{board}/hidden?after=a&after=b", "after"),
        (f"/-/boards/{{board}}/hidden?after={'n' * 257}", "after"),
        (f"/-/boards?after={'n' * 257}", "after"),
        ("/-/boards/{board}/hidden?include=rank", "include"),
        ("/-/boards/{board}/hidden?window=daily", "window"),
        ("/-/boards/{board}/hidden?period=2026-11-22", "period"),
        ("/-/boards/-/hidden", "board"),
        ("/-/boards/{board}?after=a", "after"),
        ("/-/boards?limit=0", "limit"),
        ("/-/boards?limit=1001", "limit"),
        ("/-/boards?limit=all", "limit"),
        ("/-/boards?after=a&after=b", "after"),
        ("/-/boards?before=a", "before"),
        ("/-/boards/a%00", "board"),
        ("/-/boards/%2D/periods", "board"),
        ("/-/boards/-/summary", "board"),
        ("/-/boards//summary", "board"),
        ("/-/boards/%2e%2e/rank?score=1", "board"),
    ],
)
def test_read_of_a_whole_board_refused(service: Server, board: str, path: str, parameter: str) -> None:
    """An invalid query about whole boards is a 400 that names the parameter."""
    reply = ask(service, "GET", path.format(board=board))
    assert reply.status == 400
    assert reply.json["parameter"] == parameter


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/{board}/v?include=rank", "include"),
        ("DELETE", "/{board}?startRank=0", "startRank"),
        ("DELETE", "/{board}/v?name=v", "name"),
        ("DELETE", "/{board}/v?period=2026-11-22", "period"),
        ("POST", "/{board}/v?window=daily", "window"),
        ("POST", "/{board}?window=daily", "window"),
        ("PUT", "/-/boards/{board}?window=daily", "window"),
    ],
)
def test_unknown_parameter(service: Server, board: str, method: str, path: str, parameter: str) -> None:
    """A parameter that the operation does not have is refused, not ignored."""
    reply = ask(service, method, path.format(board=board), {"score": 1} if method in {"POST", "PUT"} else None)
    assert reply.status == 400
    assert reply.json["parameter"] == parameter


@pytest.mark.parametrize("query", ["?", "?&", "?&&"])
def test_query_without_a_parameter(service: Server, board: str, query: str) -> None:
    """A query without parameters is like no query."""
    assert ask(service, "GET", f"/{board}/v{query}").json == {"score": 0, "rank": None}


@pytest.mark.parametrize(
    "path", ["/a/b/c", "/a/b/", "/-/nothing", "/-", "/-/health/", "/-/boards/a/b", "/-/boards/a/rank/", "/-/board"]
)
def test_unknown_route(service: Server, path: str) -> None:
    """A path that is no route is a 404 that lists the routes."""
    reply = ask(service, "GET", path)
    assert reply.status == 404
    assert "/{board}/{name}" in reply.json["detail"]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/a/b/c", "/a/b%2Fc"),
        ("/a//b/c/", "/a/b%2Fc"),
        ("//a", "/a"),
        ("/-/healthz", "/-/health"),
        ("/-/boards/a/summery", "/-/boards/{board}/summary"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_route_that_is_meant(service: Server, method: str, path: str, meant: str) -> None:
    """A path that is no route is told of the one that is nearest: that of a name whose slashes are not encoded."""
    assert ask(service, method, path).json["detail"].endswith(f'; perhaps you mean "{meant}".')


@pytest.mark.parametrize(("method", "path"), [("GET", "/board/"), ("POST", "/board/"), ("PUT", "/-/boards/")])
def test_slash_at_the_end(service: Server, method: str, path: str) -> None:
    """A path that ends in a slash has an empty name, and is told of the slash."""
    reply = ask(service, method, path, {"score": 1})
    assert (reply.status, "is empty: a path has no slash at its end" in reply.json["detail"]) == (400, True)


@pytest.mark.parametrize("target", ["/my board/v", "/b/jürgen", "/b?around=jürgen", "é"])
def test_target_that_is_not_encoded(server: Server, target: str) -> None:
    """A space or a letter that is not ASCII is told of its encoding."""
    reply = send_bytes(server, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())[0]
    assert (reply.status, "a space is written %20" in reply.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/{board}/v"), ("PATCH", "/{board}"), ("POST", "/-/boards/{board}/rank"), ("POST", "/-/boards/{board}")],
)
def test_method_not_allowed(service: Server, board: str, method: str, path: str) -> None:
    """A method that a route does not have is a 405 that lists those it has."""
    reply = ask(service, method, path.format(board=board))
    assert reply.status == 405
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/jsonp", 406),
        ("text/html, application/json;q=0.5", 200),
        ("application/*", 200),
        ("text/html,*/*;q=0.8", 200),
    ],
)
def test_accept(service: Server, board: str, accept: str, status: int) -> None:
    """A client that does not accept JSON gets a 406."""
    assert ask(service, "GET", f"/{board}/v", headers={"accept": accept}).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 202),
        ({"content-type": "Application/Vnd.Score+JSON"}, 202),
    ],
)
def test_content_type(service: Server, board: str, headers: dict[str, str], status: int) -> None:
    """A body must be declared as JSON without a content coding; a 415 says what is accepted."""
    reply = ask(service, "POST", f"/{board}/v", {"score": 1}, headers)
    assert reply.status == status
    assert reply.headers.get("accept") == ("application/json" if status == 415 else None)


@pytest.mark.parametrize(
    ("path", "body", "limit", "good"),
    [("/{board}/v", b'{"score":1}', 64 * KIB, 202), ("/{board}", b'{"entries":[]}', KIB * KIB, 200)],
    ids=["submit", "batch"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_body_limit(
    service: Server, board: str, path: str, body: bytes, limit: int, good: int, *, chunked: bool
) -> None:
    """The body of a submit has at most 64 KiB, that of a batch 1 MiB, with or without Content-Length."""
    for size, status in ((limit, good), (limit + 1, 413)):
        sent = body.ljust(size)
        assert ask(service, "POST", path.format(board=board), iter([sent]) if chunked else sent).status == status


def test_nesting_of_any_depth(service: Server, board: str) -> None:
    """An entry nested to any depth is refused, or its batch as nested too deeply."""
    bodies = (b'{"entries":[%b]}' % (b"[" * depth + b"]" * depth) for depth in range(950, 1000))
    assert {ask(service, "POST", f"/{board}", body).status for body in bodies} <= {200, 400}
