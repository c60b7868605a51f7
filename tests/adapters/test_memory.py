"""The memory of requests and answers in flight: counted, given back, and refused by name if it is used up."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.adapters.test_pipelines import PAGE, filled
from tests.adapters.test_protocol import post, resident
from tests.adapters.test_server import connections_to
from tests.asking import Reply, ask, connected, read_replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server

BATCH = b"POST /held HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
MIB = 2**20
SIZE = 60_000
UNFINISHED = BATCH + b"Content-Length: %d\r\n\r\n%b" % (SIZE, b" " * (SIZE - 1))
CHUNKED = BATCH + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (SIZE, b" " * (SIZE - 1))
WHOLE = BATCH + b"Content-Length: %d\r\n\r\n%b" % (MIB, b" " * (MIB - 1))
SMALL_PAGE = PAGE.replace(b"1000", b"20")


def said(connection: socket.socket) -> Reply | None:
    """Return the refusal of a connection, if there is one."""
    connection.settimeout(0.1)
    try:
        return read_replies(connection, 1)[0]
    except TimeoutError:
        return None


def fill_memory(server: Server, stack: ExitStack, request: bytes = UNFINISHED) -> None:
    """Send all but the last byte of bodies until the server refuses one."""
    while True:
        (connection,) = connections_to(server, 1, stack)
        connection.sendall(request)
        if (reply := said(connection)) is not None:
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert reply.json["detail"] == "Requests and answers in flight take all of --max-client-memory: 1 MiB."
            assert reply.headers["connection"] == "close"
            return


@pytest.mark.parametrize("request_", [UNFINISHED, CHUNKED], ids=["length", "chunks"])
def test_unfinished_bodies(tight: Server, request_: bytes) -> None:
    """Bodies beyond the memory are refused at once; what is small goes on; what is given up is given back."""
    batch = {"entries": [{"name": f"n{place:0200}", "score": place} for place in range(500)]}
    with ExitStack() as stack:
        fill_memory(tight, stack, request_)
        assert ask(tight, "POST", "/held/v", {"score": 1}).status == 202
        with connected(tight) as connection:
            for byte in post("held", "w", 2, b"X-Odd: 1\r\n"):
                connection.sendall(bytes([byte]))
            assert read_replies(connection, 1)[0].status == 202
        refused = ask(tight, "POST", "/held", batch)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        expecting = b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        with connected(tight) as connection:
            connection.sendall(BATCH + expecting)
            assert read_replies(connection, 1)[0].status == 503
    await_room(tight, batch)


def await_room(server: Server, batch: object) -> None:
    """Wait until the server has seen that connections were closed, and takes a batch again."""
    await_that(lambda: ask(server, "POST", "/held", batch).status == 200)


def await_that(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline


def test_many_unfinished_bodies(tight: Server) -> None:
    """However many bodies are not finished, the server keeps little more than it may."""
    before = resident(tight)
    with ExitStack() as stack:
        for connection in connections_to(tight, 100, stack):
            connection.settimeout(5)
            try:
                connection.sendall(WHOLE)
            except (ConnectionError, TimeoutError):
                continue
        assert resident(tight) - before < 30 * MIB


def test_slow_readers(tight: Server) -> None:
    """Answers that nobody reads use the memory up: then large pages are refused, and small ones are not."""
    before = resident(filled(tight))
    with ExitStack() as stack:
        for connection in connections_to(tight, 60, stack):
            connection.settimeout(0.1)
            try:
                connection.sendall(PAGE * 1000)
            except TimeoutError:
                continue
        deadline = time.monotonic() + 30
        while (refused := ask(tight, "GET", "/pages?startRank=0&endRank=1000")).status == 200:
            assert time.monotonic() < deadline
        assert "--max-client-memory" in refused.json["detail"]
        with connected(tight) as connection:
            connection.sendall(SMALL_PAGE + PAGE + SMALL_PAGE)
            assert [reply.status for reply in read_replies(connection, 3)] == [200, 503, 200]
        assert resident(tight) - before < 30 * MIB
    deadline = time.monotonic() + 20
    while ask(tight, "GET", "/pages?startRank=0&endRank=1000").status != 200:
        assert time.monotonic() < deadline


def test_operation_that_is_not_inline(served: Server) -> None:
    """What goes to the ASGI application is refused as well."""
    with ExitStack() as stack:
        fill_memory(served, stack)
        assert ask(served, "GET", "/-/boards/kart/live").status == 503


@pytest.mark.parametrize("kind", ["inline", "asgi"])
def test_write_whose_client_has_left(served: Server, kind: str) -> None:
    """A write that goes on without its client takes memory until it ends, and then gives it back."""
    path = f"/-/boards/{kind}/"
    body = b"{%b}" % (b" " * (MIB - 100_000))
    with connected(served) as connection:
        head = b"POST %b%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % (
            path.encode(),
            kind.encode(),
        )
        connection.sendall(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        await_that(lambda: kind in ask(served, "GET", "/-/kept").json)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for _ in range(10):
        assert ask(served, "GET", "/-/health").status == 200
    batch = {"entries": [{"name": f"n{place:0200}", "score": place} for place in range(900)]}
    assert ask(served, "POST", "/held", batch).status == 503
    assert ask(served, "GET", f"{path}let-go").json
    await_room(served, batch)


@pytest.mark.slow
def test_slow_body_ends(strict: Server) -> None:
    """A body that comes byte by byte has its time in all, not from byte to byte."""
    with connected(strict) as connection:
        connection.sendall(BATCH + b"Content-Length: 1000\r\n\r\n")
        while (reply := said(connection)) is None:
            connection.sendall(b" ")
    assert reply.status == 408
