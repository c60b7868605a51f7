"""The serverless stack beside the self-hosted service: one client, one sequence of requests, the same bytes."""

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
"""What stands on the boards; three of them are tied or far out, and two boards are declared."""


class Ask(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] | None = None


ASKS = [
    *(Ask("GET", path) for path, _ in SUBMITS),
    Ask("GET", "/same/nobody"),
    Ask("GET", "/nothing/v"),
    Ask("GET", "/nothing"),
    Ask("GET", "/same"),
    Ask("GET", "/s%2Fame"),
    Ask("GET", "/distance"),
    Ask("GET", "/laps?include=rank"),
    Ask("GET", "/laps?window=daily"),
    Ask("GET", "/laps/v?window=daily"),
    Ask("GET", "/laps?window=daily&period=2026-11-22"),
    Ask("GET", "/laps?period=2026-11-22"),
    Ask("POST", "/laps/v", b'{"score":-1}'),
    Ask("POST", "/laps/v", b'{"score":60.5}'),
    Ask("POST", "/laps/v", b'{"score":60,"more":7}'),
    Ask("POST", "/laps/v", b'{"score":60}', {"idempotency-key": "\t"}),
    Ask("GET", "/same?startRank=0&endRank=20"),
    Ask("GET", "/same?startRank=1&endRank=3"),
    Ask("GET", "/same?endRank=2"),
    Ask("GET", "/same?startRank=900"),
    Ask("GET", "/same?startRank=%31"),
    Ask("GET", "/same?include=rank"),
    Ask("GET", "/same?include=everything"),
    Ask("GET", "/same?span=5"),
    Ask("GET", "/same?around=v&startRank=0"),
    Ask("GET", "/same?name=v&name=v"),
    Ask("POST", "/same/v", b'{"score":2078}'),
    Ask("POST", "/same/v", b' { "score" : 2.078e3 } '),
    Ask("POST", "/same/v", b'{"score":2078}', {"content-type": "application/json; charset=utf-8"}),
    Ask("GET", "/same?startRank=5&endRank=5"),
    Ask("GET", "/same?startRank=0&endRank=1001"),
    Ask("GET", "/same?startRank=-1"),
    Ask("GET", "/same?startRank=x"),
    Ask("GET", "/same?startRank="),
    Ask("GET", "/same?startRank=1&startRank=2"),
    Ask("GET", "/same?start=1"),
    Ask("GET", "/same/v?x=1"),
    Ask("GET", "/-/v"),
    Ask("GET", "/same/%00"),
    Ask("GET", "/same/%zz"),
    Ask("GET", "/same/%ff"),
    Ask("GET", "/same/" + "x" * 257),
    Ask("GET", "/same/v/w"),
    Ask("GET", "/same/v", None, {"accept": "text/html"}),
    Ask("POST", "/same/v", b"{}"),
    Ask("POST", "/same/v", b"[]"),
    Ask("POST", "/same/v", b'{"score":"1"}'),
    Ask("POST", "/same/v", b'{"score":true}'),
    Ask("POST", "/same/v", b'{"score":9007199254740993}'),
    Ask("POST", "/same/v", b'{"score":1e999}'),
    Ask("POST", "/same/v", b'{"score":1}', {"content-type": "text/plain"}),
    Ask("POST", "/same/v", b'{"score":1,"pad":"' + b"x" * 65536 + b'"}'),
]
NOT_JSON = [b"", b"{", b'{"score":1', b"\xff", b"score=1"]
TOLD = ("content-type", "content-length", "accept", "retry-after")


@pytest.fixture(scope="module")
def both(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Stack]]:
    """Give both services, with the same boards declared and the same entries."""
    with running(tmp_path_factory.mktemp("served"), "--boards", str(BOARDS)) as server:
        for one in (server, stack):
            assert {ask(one, "POST", path, {"score": score}).status for path, score in SUBMITS} == {202}
        yield server, stack


def replied(to: Server, request: Ask) -> tuple[int, bytes, dict[str, str]]:
    """Ask one of them; give what a client goes by."""
    reply = ask(to, *request)
    return reply.status, reply.body, {name: value for name, value in reply.headers.items() if name in TOLD}


@pytest.mark.parametrize(
    "request_", ASKS, ids=lambda asked: f"{asked.method} {asked.path[:40]} {asked.body or b''!r:.30}"
)
def test_same_answer(both: tuple[Server, Stack], request_: Ask) -> None:
    """A request has one answer, to the byte, whichever way the service is run."""
    served, serverless = both
    assert replied(serverless, request_) == replied(served, request_)


@pytest.mark.parametrize("body", NOT_JSON, ids=repr)
def test_same_refusal(both: tuple[Server, Stack], body: bytes) -> None:
    """What is no JSON the gateway refuses by itself: with the same status and title, in words of its own."""
    replies = [ask(one, "POST", "/same/v", body) for one in both]
    assert [(reply.status, reply.json["title"]) for reply in replies] == [(400, "Bad Request")] * 2
    assert all(reply.json["detail"].startswith("The body is not valid JSON") for reply in replies)


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b'{"score":1,"metadata":{}}', {}), (b'{"score":1}', {"idempotency-key": "1"})],
    ids=["metadata", "key"],
)
def test_what_momento_cannot_keep(stack: Stack, body: bytes, headers: dict[str, str]) -> None:
    """What comes with a score is refused, not dropped in silence; a key reaches the function."""
    reply = ask(stack, "POST", "/same/v", body, headers)
    assert (reply.status, "cannot" in reply.json["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/-/health", 200), ("/-/ready", 200), ("/-/boards", 422), ("/-/docs", 404), ("/-/boards/laps", 404)],
)
def test_own_routes(stack: Stack, path: str, status: int) -> None:
    """Of the service's own routes those are there that functions can answer, and the others say that they are not."""
    assert ask(stack, "GET", path).status == status


@pytest.mark.parametrize(("method", "path"), [("PUT", "/same/v"), ("DELETE", "/same/v"), ("POST", "/same")])
def test_other_methods(stack: Stack, method: str, path: str) -> None:
    """What only the self-hosted service does is a 405 that says what there is."""
    reply = ask(stack, method, path, {})
    assert (reply.status, reply.json["status"], "GET" in reply.headers["allow"]) == (405, 405, True)


def test_options(stack: Stack) -> None:
    """OPTIONS tells the methods."""
    reply = ask(stack, "OPTIONS", "/same/v")
    assert (reply.status, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize("path", ["/same", "/same/v"])
def test_head(stack: Stack, path: str) -> None:
    """HEAD is answered as GET, without the body."""
    reply = ask(stack, "HEAD", path)
    assert (reply.status, reply.body) == (200, b"")
