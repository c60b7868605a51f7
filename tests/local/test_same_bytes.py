"""The serverless stack answers the same requests with the same bytes as the self-hosted service."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.asking import ask
from tests.conftest import running
from tests.infra.conftest import BOARDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server
    from tests.local.conftest import Stack

pytestmark = pytest.mark.slow

SUBMITS = [
    ("/same/v", 2077),
    ("/same/silverhand", 34),
    ("/same/%40scope%2Fname", 1.5),
    ("/same/caf%C3%A9", 2**53),
    ("/same/a%20b+c", -0.25),
    ("/same/100%25", 34),
    ("/same/%F0%9F%98%80", 1e300),
    ("/same/v", 2078),
    ("/s%2Fame/v", 1),
    ("/distance/v", 2.5),
    ("/distance/v", 39.5),
    ("/distance/silverhand", -1),
    ("/laps/v", 61),
    ("/laps/silverhand", 59),
]
"""The scores on the boards: some are tied or very large, and two of the boards are declared."""


class Call(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] | None = None


CALLS = [
    *(Call("GET", path) for path, _ in SUBMITS),
    Call("GET", "/same/nobody"),
    Call("GET", "/nothing/v"),
    Call("GET", "/nothing"),
    Call("GET", "/same"),
    Call("GET", "/s%2Fame"),
    Call("GET", "/distance"),
    Call("GET", "/laps?include=rank"),
    Call("GET", "/laps?window=daily"),
    Call("GET", "/laps/v?window=daily"),
    Call("GET", "/laps?window=daily&period=2026-11-22"),
    Call("GET", "/laps?period=2026-11-22"),
    Call("POST", "/laps/v", b'{"score":-1}'),
    Call("POST", "/laps/v", b'{"score":60.5}'),
    Call("POST", "/laps/v", b'{"score":60,"more":7}'),
    Call("POST", "/laps/v", b'{"score":60}', {"idempotency-key": "\t"}),
    Call("GET", "/same?startRank=0&endRank=20"),
    Call("GET", "/same?startRank=1&endRank=3"),
    Call("GET", "/same?endRank=2"),
    Call("GET", "/same?startRank=900"),
    Call("GET", "/same?startRank=%31"),
    Call("GET", "/same?include=rank"),
    Call("GET", "/same?include=everything"),
    Call("GET", "/same?span=5"),
    Call("GET", "/same?around=v&startRank=0"),
    Call("GET", "/same?name=v&name=v"),
    Call("POST", "/same/v", b'{"score":2078}'),
    Call("POST", "/same/v", b' { "score" : 2.078e3 } '),
    Call("POST", "/same/v", b'{"score":2078}', {"content-type": "application/json; charset=utf-8"}),
    Call("GET", "/same?startRank=5&endRank=5"),
    Call("GET", "/same?startRank=0&endRank=1001"),
    Call("GET", "/same?startRank=-1"),
    Call("GET", "/same?startRank=x"),
    Call("GET", "/same?startRank="),
    Call("GET", "/same?startRank=1&startRank=2"),
    Call("GET", "/same?start=1"),
    Call("GET", "/same/v?x=1"),
    Call("GET", "/-/v"),
    Call("GET", "/same/%00"),
    Call("GET", "/same/%zz"),
    Call("GET", "/same/%ff"),
    Call("GET", "/same/" + "x" * 257),
    Call("GET", "/healthz"),
    Call("GET", "/robots.txt?around=v"),
    Call("GET", "/same/v", None, {"accept": "text/html"}),
    Call("POST", "/same/v", b"{}"),
    Call("POST", "/same/v", b"[]"),
    Call("POST", "/same/v", b'{"score":"1"}'),
    Call("POST", "/same/v", b'{"score":true}'),
    Call("POST", "/same/v", b'{"score":9007199254740993}'),
    Call("POST", "/same/v", b'{"score":1e999}'),
    Call("POST", "/same/v", b'{"score":1}', {"content-type": "text/plain"}),
    Call("POST", "/same/v", b'{"score":1,"pad":"' + b"x" * 65536 + b'"}'),
]
NOT_JSON = [b"", b"{", b'{"score":1', b"\xff", b"score=1"]
COMPARED_HEADERS = ("content-type", "content-length", "accept", "retry-after")


@pytest.fixture(scope="module")
def both(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Stack]]:
    """Yield both services, with the same boards declared and the same entries."""
    with running(tmp_path_factory.mktemp("served"), "--boards", str(BOARDS)) as server:
        for one in (server, stack):
            assert {ask(one, "POST", path, {"score": score}).status for path, score in SUBMITS} == {202}
        yield server, stack


def reply_of(service: Server, call: Call) -> tuple[int, bytes, dict[str, str]]:
    """Send a request to one of the services; return status, body, and the headers that must be the same."""
    reply = ask(service, *call)
    return reply.status, reply.body, {name: value for name, value in reply.headers.items() if name in COMPARED_HEADERS}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path[:40]} {call.body or b''!r:.30}")
def test_same_answer(both: tuple[Server, Stack], call: Call) -> None:
    """A request has the same answer, to the byte, however the service is run."""
    self_hosted, serverless = both
    assert reply_of(serverless, call) == reply_of(self_hosted, call)


def test_no_route(both: tuple[Server, Stack]) -> None:
    """What the gateway answers by itself, for a path that is no route, lacks the path that was meant, and no more."""
    self_hosted, serverless = (ask(one, "GET", "/same/v/w") for one in both)
    assert self_hosted.json["detail"] == serverless.json["detail"][:-1] + '; perhaps you mean "/same/v%2Fw".'
    assert self_hosted.json | {"detail": ""} == serverless.json | {"detail": ""}


@pytest.mark.parametrize("body", NOT_JSON, ids=repr)
def test_same_refusal(both: tuple[Server, Stack], body: bytes) -> None:
    """The gateway itself refuses a body that is no JSON, with the same status and title, and a detail of its own."""
    replies = [ask(one, "POST", "/same/v", body) for one in both]
    assert [(reply.status, reply.json["title"]) for reply in replies] == [(400, "Bad Request")] * 2
    assert all(reply.json["detail"].startswith("The body is not valid JSON") for reply in replies)


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b'{"score":1,"metadata":{}}', {}), (b'{"score":1}', {"idempotency-key": "1"})],
    ids=["metadata", "key"],
)
def test_what_momento_cannot_keep(stack: Stack, body: bytes, headers: dict[str, str]) -> None:
    """Metadata and an idempotency key reach the function, and are refused, because Momento cannot keep them."""
    reply = ask(stack, "POST", "/same/v", body, headers)
    assert reply.status == 422
    assert "cannot" in reply.json["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/-/health", 200), ("/-/ready", 200), ("/-/boards", 422), ("/-/docs", 404), ("/-/boards/laps", 404)],
)
def test_own_routes(stack: Stack, path: str, status: int) -> None:
    """The service's own routes that a function can answer are there; the others are refused."""
    assert ask(stack, "GET", path).status == status


@pytest.mark.parametrize(("method", "path"), [("PUT", "/same/v"), ("DELETE", "/same/v"), ("POST", "/same")])
def test_other_methods(stack: Stack, method: str, path: str) -> None:
    """A method that only the self-hosted service has is a 405 with the methods that there are."""
    reply = ask(stack, method, path, {})
    assert reply.status == 405
    assert reply.json["status"] == 405
    assert "GET" in reply.headers["allow"]


def test_options(stack: Stack) -> None:
    """OPTIONS answers with the methods of the route."""
    reply = ask(stack, "OPTIONS", "/same/v")
    assert reply.status == 204
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("path", ["/same", "/same/v"])
def test_head(stack: Stack, path: str) -> None:
    """HEAD is answered as GET, without the body."""
    reply = ask(stack, "HEAD", path)
    assert reply.status == 200
    assert reply.body == b""
