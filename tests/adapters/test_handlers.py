"""Handlers of all kinds: they are driven inline, by a task or by another server, and need not know."""

from __future__ import annotations

import sys
import time
from http.client import IncompleteRead
from typing import TYPE_CHECKING

import pytest

from tests.adapters.served import PAGE, UNSEEN
from tests.asking import ask, connected, read_replies, send_bytes
from tests.conftest import started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

KINDS = ["none", "sleep", "timeout", "group", "wait", "store", "same", "anyio", "task"]


def request(name: str, *, is_odd: bool) -> bytes:
    """Return a request for a standing, for the fast path or for the full parser."""
    return b"GET /b/%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (name.encode(), b"X-Odd: 1\r\n" if is_odd else b"")


@pytest.mark.parametrize("is_odd", [False, True], ids=["fast", "odd"])
@pytest.mark.parametrize("kind", KINDS)
def test_handler_may_do_anything(served: Server, kind: str, *, is_odd: bool) -> None:
    """It may await what it likes, has a current task, and a context variable that no other request sees or has set."""
    for reply in send_bytes(served, request(kind, is_odd=is_odd) * 3, 3):
        assert reply.json == {"before": UNSEEN, "after": kind, "task": True, "status": 200, "extra": 3}


@pytest.mark.parametrize("is_odd", [False, True], ids=["fast", "odd"])
@pytest.mark.parametrize("kind", ["expire", "expire-store"])
def test_handler_may_set_a_time_limit(served: Server, kind: str, *, is_odd: bool) -> None:
    """A time limit ends what it waits for, the store's commit too, and the connection goes on."""
    replies = send_bytes(served, request(kind, is_odd=is_odd) + request("none", is_odd=is_odd), 2)
    assert replies[0].json == {"expired": True}
    assert replies[1].status == 200


@pytest.mark.parametrize("is_odd", [False, True], ids=["fast", "odd"])
def test_handler_that_cancels_itself(served: Server, *, is_odd: bool) -> None:
    """It is a fault, which is answered as one."""
    replies = send_bytes(served, request("cancel", is_odd=is_odd) + request("none", is_odd=is_odd), 2)
    assert [reply.status for reply in replies] == [500, 200]


def test_contexts_of_requests_that_wait_together(served: Server) -> None:
    """Requests of several connections that wait at the same time keep their variables apart."""
    names = [f"{kind}{place}" for place in range(5) for kind in ("sleep", "store", "wait")]
    with connected(served) as one, connected(served) as other:
        for connection in (one, other):
            connection.sendall(b"".join(request(name, is_odd=False) for name in names))
        for connection in (one, other):
            replies = read_replies(connection, len(names))
            assert [reply.json["after"] for reply in replies] == names
            assert {reply.json["before"] for reply in replies} == {UNSEEN}


def test_parameter_of_a_core_route(served: Server) -> None:
    """A parameter that is added to a core route has its default on the fast path, and its value elsewhere."""
    assert ask(served, "GET", "/b/none?extra=7").json["extra"] == 7
    assert ask(served, "GET", "/b/none?extra=x").status == 400


@pytest.mark.parametrize("odd", [b"", b"X-Odd: 1\r\n"], ids=["fast", "odd"])
@pytest.mark.parametrize(("size", "status"), [(1024, 202), (1025, 413)])
def test_body_limit_of_a_core_route(served: Server, size: int, status: int, odd: bytes) -> None:
    """The limit of a body is that of its operation, on the fast path as well."""
    body = b'{"score":1' + b" " * (size - 11) + b"}"
    head = b"POST /b/v HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n" % (odd, size)
    assert send_bytes(served, head + body)[0].status == status


@pytest.mark.parametrize("is_odd", [False, True], ids=["fast", "odd"])
@pytest.mark.parametrize("kind", [*KINDS, "cancel"])
def test_cors_is_on_every_answer(served: Server, kind: str, *, is_odd: bool) -> None:
    """Answers of both ways leave with its headers, however their handlers are driven."""
    asked = request(kind, is_odd=is_odd).replace(b"\r\n", b"\r\nOrigin: %b\r\n" % PAGE.encode(), 1)
    (reply,) = send_bytes(served, asked)
    assert reply.headers["access-control-allow-origin"] == PAGE


def test_status_without_a_name(served: Server) -> None:
    """Any status can be sent."""
    assert ask(served, "GET", "/-/odd").status == 299


def test_stream_of_an_inline_operation(served: Server) -> None:
    """It is a fault that is told, not an empty answer."""
    assert ask(served, "GET", "/-/boards/b/inline").status == 500


def test_deeper_paths(served: Server) -> None:
    """Operations fit in below any path, and are found by it."""
    assert ask(served, "GET", "/-/boards/kart/hidden/a%2Fb").json == ["kart", "a/b"]
    assert ask(served, "GET", "/-/players/v").json == ["v"]
    assert ask(served, "GET", "/-/players").status == 404
    assert ask(served, "OPTIONS", "/-/players/v").headers["allow"] == "GET, HEAD, OPTIONS"


def test_streaming_operation(served: Server) -> None:
    """An answer may be sent as it is made; HEAD is answered with its head alone, and the connection goes on."""
    stream = b"GET /-/boards/kart/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    replies = send_bytes(served, stream + request("none", is_odd=False), 2)
    assert replies[0].headers["content-type"] == "text/event-stream"
    assert replies[0].body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert replies[1].status == 200
    assert ask(served, "HEAD", "/-/boards/kart/live").body == b""


def test_stream_that_breaks_off(served: Server) -> None:
    """A stream whose making fails does not look like a whole one."""
    with pytest.raises(IncompleteRead):
        ask(served, "GET", "/-/boards/broken/live")


def test_stream_over_an_older_protocol(served: Server) -> None:
    """HTTP/1.0 has no way to say where a stream ends."""
    (reply,) = send_bytes(served, b"GET /-/boards/kart/live HTTP/1.0\r\n\r\n")
    assert reply.status == 505


def test_stream_ends_with_the_service(tmp_path: Path) -> None:
    """A stream without an end does not keep the service from stopping."""
    with started([sys.executable, "-m", "tests.adapters.served", "open", str(tmp_path), "-"]) as server:
        with connected(server) as connection:
            connection.sendall(b"GET /-/boards/endless/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(100)
            begun = time.monotonic()
            server.stop()
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "behind", [b"", b"GET /-/closed HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["alone", "pipelined"]
)
def test_stream_ends_when_its_client_leaves(served: Server, behind: bytes) -> None:
    """What would go on for ever is closed once nobody reads it."""
    with connected(served) as connection:
        before = ask(served, "GET", "/-/closed").json.count("endless")
        connection.sendall(b"GET /-/boards/endless/live HTTP/1.1\r\nHost: localhost\r\n\r\n" + behind)
        assert connection.recv(100)
    deadline = time.monotonic() + 10
    while ask(served, "GET", "/-/closed").json.count("endless") == before:
        assert time.monotonic() < deadline
