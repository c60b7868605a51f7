"""One way in: the gate is met by every request, whichever way it comes, and its observers see every answer leave."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from laurels.adapters import gateway
from laurels.adapters.asgi import Application
from laurels.boards import Boards
from laurels.http import Routes
from laurels.stores.embedded.store import EmbeddedStore
from tests.adapters.served import FURTHER, KEY, guard
from tests.asking import ask, connected, read_replies, send_bytes
from tests.conftest import started
from tests.serverless.recorded import RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

AUTHORIZATION = {"authorization": KEY.decode()}
SUBMIT = b'POST /kart/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{"score":1}'
CHUNKED = b'POST /kart/v HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{"score":1}\r\n0\r\n\r\n'
READ = b"GET /kart/v HTTP/1.1\r\nHost: localhost\r\n\r\n"
UNSENT = b"POST /kart/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"


def odd(request: bytes) -> bytes:
    """Return a request with a header that the fast path does not know."""
    return request.replace(b"\r\n", b"\r\nX-Odd: 1\r\n", 1)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of what the gate's observer saw."""
    return tmp_path_factory.mktemp("gate") / "lines"


@pytest.fixture(scope="module")
def service(lines: Path) -> Iterator[Server]:
    """Start a service with a gate that lets in who shows the key."""
    command = [sys.executable, "-m", "tests.adapters.served", "guarded", str(lines.with_name("data")), str(lines)]
    with started(command) as server:
        yield server


@pytest.fixture
def guarded(service: Server, lines: Path) -> Server:
    """Return the service with an empty board, whose observer has seen nothing."""
    assert ask(service, "DELETE", "/kart", headers=AUTHORIZATION).status == 204
    while not lines.exists() or '["DELETE", "/{board}", 204' not in lines.read_text():  # pragma: no cover - seldom
        time.sleep(0.001)
    lines.unlink()
    return service


def observed(lines: Path, count: int) -> list[tuple[str, str, int]]:
    """Wait for so many answers; return method, route and status of each."""
    deadline = time.monotonic() + 10
    while len(found := lines.read_text().splitlines() if lines.exists() else []) < count:  # pragma: no cover - seldom
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return [tuple(json.loads(line)[:3]) for line in found]


@pytest.mark.parametrize(
    "request_",
    [
        READ,
        odd(READ),
        READ.replace(b"/v ", b" "),
        READ.replace(b"/v ", b"?startRank=0&endRank=9 "),
        READ.replace(b"/v ", b"?include=rank "),
        READ.replace(b"GET", b"DELETE"),
        READ.replace(b"/v ", b"/%zz "),
        READ.replace(b"/kart/v", b"/-/boards"),
        READ.replace(b"HTTP/1.1", b"HTTP/1.0"),
        SUBMIT,
        odd(SUBMIT),
        SUBMIT.replace(b"1}", b'"'),
        CHUNKED,
        UNSENT,
    ],
    ids=lambda request: request[:40].decode() if isinstance(request, bytes) else None,
)
def test_every_request_meets_the_gate(guarded: Server, request_: bytes) -> None:
    """Without the key each is a 401, whatever else may be wrong with it, and nothing is stored."""
    (reply,) = send_bytes(guarded, request_)
    assert reply.status == 401
    assert ask(guarded, "GET", "/kart", headers=AUTHORIZATION).json == {"leaderboard": []}


def test_pipelined_requests_meet_the_gate(guarded: Server) -> None:
    """Each of a pipeline does; one that is let in does not let in those behind it."""
    with_key = odd(READ).replace(b"X-Odd: 1", b"Authorization: " + KEY)
    replies = send_bytes(guarded, with_key + READ + with_key + odd(READ) + READ, 5)
    assert [reply.status for reply in replies] == [200, 401, 200, 401, 401]


def test_refusal_comes_before_the_body(guarded: Server) -> None:
    """The refusal comes while the body is still on its way, and the body is not asked for."""
    with connected(guarded) as connection:
        connection.sendall(b"POST /kart HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert read_replies(connection, 1)[0].status == 401


def test_refusal_of_what_is_not_inline(guarded: Server) -> None:
    """The refusal that comes before the body says that it is the last, and what still comes is read."""
    with connected(guarded) as connection:
        connection.sendall(b"GET /-/boards/kart/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        (reply,) = read_replies(connection, 1)
        assert (reply.status, reply.headers["connection"]) == (401, "close")
        connection.sendall(b"123456789")
        assert connection.recv(1) == b""


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["plain", "expect"])
def test_refusal_behind_a_request_that_waits(guarded: Server, lines: Path, expect: bytes) -> None:
    """It comes before the body there, too, once, and ends the connection: what follows is no request."""
    keyed = SUBMIT.replace(b"Host: localhost", b"Host: localhost\r\nAuthorization: " + KEY)
    with connected(guarded) as connection:
        connection.sendall(keyed + SUBMIT[:-11].replace(b"\r\n\r\n", b"\r\n" + expect + b"\r\n"))
        assert [reply.status for reply in read_replies(connection, 2)] == [202, 401]
        connection.sendall(SUBMIT[-11:] + READ)
        assert connection.recv(1) == b""
    ask(guarded, "GET", "/kart", headers=AUTHORIZATION)
    assert [status for _, _, status in observed(lines, 3)] == [202, 401, 200]


@pytest.mark.parametrize("authorization", [b"", b"Authorization: %b\r\n" % KEY], ids=["refused", "admitted"])
@pytest.mark.parametrize("before", [[202], []], ids=["behind-a-submit", "alone"])
def test_body_that_is_broken_in_the_packet_of_its_head(
    guarded: Server, lines: Path, before: list[int], authorization: bytes
) -> None:
    """What came before is answered, it gets one answer, which says that it is the last, and each is observed once."""
    keyed = SUBMIT.replace(b"Host: localhost", b"Host: localhost\r\nAuthorization: " + KEY)
    line = b"POST /kart/v" if before else b"GET /-/boards/kart/live"  # which is not inline: its task has not begun
    broken = b"%b HTTP/1.1\r\nHost: localhost\r\n%bTransfer-Encoding: chunked\r\n\r\nZZ\r\n" % (line, authorization)
    with connected(guarded) as connection:
        connection.sendall((keyed if before else b"") + broken)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = [*before, 401 if before and not authorization else 400]
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", received)] == statuses
    assert received.count(b"connection: close") == 1
    ask(guarded, "GET", "/kart", headers=AUTHORIZATION)
    assert [seen[2] for seen in observed(lines, len(statuses) + 1)] == [*statuses, 200]


def test_refused_head_has_no_body(guarded: Server) -> None:
    """The answer to HEAD is a head, also if it is a refusal."""
    with connected(guarded) as connection:
        connection.sendall(b"HEAD /kart HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        assert read_replies(connection, 1, method="HEAD")[0].status == 401
        connection.sendall(READ)
        assert read_replies(connection, 1)[0].status == 401


def test_handler_gets_the_principal(guarded: Server) -> None:
    """Whoever the gate finds is known to the handler."""
    assert ask(guarded, "GET", "/-/principal", headers=AUTHORIZATION).json == "ada"


def test_key_opens_the_gate(guarded: Server) -> None:
    """With the key requests are answered, but for what their principal may not do."""
    assert ask(guarded, "POST", "/kart/v", {"score": 7}, AUTHORIZATION).status == 202
    assert ask(guarded, "GET", "/kart/v", headers=AUTHORIZATION).json == {"score": 7, "rank": 0}
    assert ask(guarded, "GET", "/secret/v", headers=AUTHORIZATION).status == 403
    assert ask(guarded, "PUT", "/-/boards/secret", {}, AUTHORIZATION).status == 403


@pytest.mark.parametrize(("path", "status"), [("/a/b/c", 404), ("/-/nothing", 404), ("/kart", 405)])
def test_what_there_is_not_needs_no_key(guarded: Server, path: str, status: int) -> None:
    """That a route or a method does not exist is no secret."""
    assert ask(guarded, "PATCH", path).status == status


def test_observers_see_every_answer(guarded: Server, lines: Path) -> None:
    """Refusals of the gate, of the protocol and of the routes are seen as good answers are, once each."""
    ask(guarded, "GET", "/kart/v", headers=AUTHORIZATION)
    ask(guarded, "HEAD", "/kart", headers=AUTHORIZATION)
    send_bytes(guarded, READ)
    ask(guarded, "GET", "/a/b/c/d")
    ask(guarded, "POST", "/kart", bytes(2_000_000), AUTHORIZATION)
    send_bytes(guarded, b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 700))
    send_bytes(guarded, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (b"a" * 1100))
    send_bytes(guarded, b"GET / HTTP/1.1\r\n\r\n")
    send_bytes(guarded, b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n")
    send_bytes(guarded, b"GET / HTTP/1.1\r\nHost:")
    assert observed(lines, 10) == [
        ("GET", "/{board}/{name}", 200),
        ("HEAD", "/{board}", 200),
        ("GET", "/{board}/{name}", 401),
        ("GET", "", 404),
        ("POST", "/{board}", 413),
        ("", "", 414),
        ("", "", 431),
        ("", "", 400),
        ("", "", 505),
        ("", "", 408),
    ]


def test_observers_see_what_waits(guarded: Server, lines: Path) -> None:
    """Of requests that wait for the disk, or come through a queue, each answer is seen when it leaves."""
    keyed = SUBMIT.replace(b"Host: localhost", b"Host: localhost\r\nAuthorization: " + KEY)
    replies = send_bytes(guarded, keyed * 3, 3)
    assert [reply.status for reply in replies] == [202] * 3
    assert observed(lines, 3) == [("POST", "/{board}/{name}", 202)] * 3


@pytest.mark.parametrize("headers", [[], [(b"authorization", KEY)]], ids=["without", "with"])
def test_asgi_application_has_the_gate(tmp_path: Path, headers: list[tuple[bytes, bytes]]) -> None:
    """Under any other server it is the same gate; without the key the body is not even asked for."""
    sent: list[Any] = []

    async def receive() -> Any:
        assert headers
        return {"type": "http.request", "body": b'{"score":1}'}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data")
        scope = {"type": "http", "method": "POST", "path": "/b/v", "query_string": b"", "headers": headers}
        scope["client"] = ("10.0.0.1", 1)
        await Application(Routes(Boards(store), gate=guard(tmp_path / "lines")))(scope, receive, send)  # type: ignore[arg-type]
        await store.close()

    asyncio.run(run())
    status = 202 if headers else 401
    assert sent[0]["status"] == status
    assert observed(tmp_path / "lines", 1) == [("POST", "/{board}/{name}", status)]


@pytest.mark.parametrize("name", ["rest-submit", "rest-standing", "rest-page", "http-submit", "http-standing"])
def test_events_of_lambda_meet_the_gate(tmp_path: Path, name: str) -> None:
    """A request that was an event of API Gateway's meets it like any other."""

    async def run() -> int:
        store = await EmbeddedStore.open(tmp_path / "data")
        response = await Routes(Boards(store), gate=guard(tmp_path / "lines")).answer(
            gateway.read_event(RECORDED[name].event)
        )
        await store.close()
        return response.status

    assert asyncio.run(run()) == 401
    assert observed(tmp_path / "lines", 1)[0][2] == 401


def test_stream_as_a_whole_answer() -> None:
    """Where an answer must be whole, as on Lambda, a stream is a fault, not an empty answer."""
    routes = Routes(None, FURTHER)  # type: ignore[arg-type]  # no board is asked
    event = RECORDED["http-payload-1"].event | {"path": "/-/boards/kart/live", "pathParameters": None}
    assert asyncio.run(routes.answer(gateway.read_event(event))).status == 500
