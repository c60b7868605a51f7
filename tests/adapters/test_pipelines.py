"""Pipelines: a connection answers for a moment, and what is behind is held back, kept in order and never lost."""

from __future__ import annotations

import signal
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from tests.adapters.test_protocol import log_of, post
from tests.asking import ask, connected, read_replies, send_bytes
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

PAGE = b"GET /pages?startRank=0&endRank=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
COUNT = 1000
"""Of requests that are pipelined: in all of 30 MB of answers, which no socket takes."""


def filled(server: Server) -> Server:
    """Fill a board with a page of entries."""
    entries = [{"name": f"n{place}", "score": place} for place in range(999)]
    assert ask(server, "POST", "/pages", {"entries": entries}).status == 200
    return server


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(2**20), b""))


@pytest.mark.parametrize("odd", [b"", b"X-Odd: 1\r\n"], ids=["plain", "odd"])
def test_others_are_served_between_pipelined_requests(tmp_path: Path, odd: bytes) -> None:
    """Behind a thousand pipelined pages others submit at once, and the last page has what they submitted."""
    request = PAGE.replace(b"\r\n\r\n", b"\r\n" + odd + b"\r\n")
    with running(tmp_path) as server, connected(filled(server)) as connection:
        connection.sendall(request * COUNT)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"H"
        assert ask(server, "POST", "/pages/new", {"score": 5000}).status == 202
        received = read_to_end(connection)
    assert received.count(b"TTP/1.1 200") == COUNT
    first, *_, last = received.split(b"HTTP/1.1 200")
    assert (b'"new"' in first, b'"new"' in last) == (False, True)


@pytest.mark.parametrize("odd", [b"", b"X-Odd: 1\r\n"], ids=["plain", "odd"])
def test_many_pipelines(server: Server, odd: bytes) -> None:
    """Of pipelines that are answered in turns each request is answered, in its order."""
    requests = b"".join(post("turns", f"v{number}", number, odd) + PAGE for number in range(300))
    filled(server)
    connections = [socket.create_connection((server.host, server.port), timeout=30) for _ in range(8)]
    for connection in connections:
        connection.sendall(requests)
        connection.shutdown(socket.SHUT_WR)
    for connection in connections:
        with connection:
            received = read_to_end(connection)
        statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"202", b"200"] * 300


@pytest.mark.parametrize("place", [1, 2, 3])
def test_head_whose_end_comes_with_the_next_request(server: Server, place: int) -> None:
    """A head that is cut in its last line is answered before what comes behind it in the same segment."""
    first, last = post("cut", "v", 7, b"X-Odd: 1\r\n"), b"GET /cut/v HTTP/1.1\r\nHost: localhost\r\nX-Odd: 1\r\n\r\n"
    chunked = b"POST /cut/v HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + b'{"score":8}'
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(first + chunked + b"\r\n0\r\n\r\n"[: 3 + place])
        assert read_replies(connection, 1)[0].status == 202
        connection.sendall(b"\r\n0\r\n\r\n"[3 + place :] + last + last)
        replies = read_replies(connection, 3)
    assert [reply.status for reply in replies] == [202, 200, 200]
    assert [reply.json["score"] for reply in replies[1:]] == [8, 8]


def test_body_of_tiny_chunks(server: Server) -> None:
    """A body of a thousand chunks, and of many lines that look like the end of a head, is put together."""
    body = b'{"score":' + b" " * 8000 + b"\r\n\r\n" * 2000 + b"9}"
    head = b"POST /tiny/v HTTP/1.1\r\nHost: localhost\r\nX-Odd: 1\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    replies = send_bytes(server, (whole + chunked) * 3 + b"GET /tiny/v HTTP/1.1\r\nHost: localhost\r\n\r\n", 7)
    assert [reply.status for reply in replies] == [202] * 6 + [200]


def test_stop_during_a_pipeline(tmp_path: Path) -> None:
    """A server that is stopped answers what was pipelined before, and then closes the connection."""
    with running(tmp_path) as server, connected(filled(server)) as connection:
        connection.sendall(PAGE * COUNT)
        assert connection.recv(1) == b"H"
        server.process.send_signal(signal.SIGTERM)
        assert read_to_end(connection).count(b"TTP/1.1 200") == COUNT
        assert server.process.wait(30) == 0


def test_client_that_leaves_what_it_has_pipelined(tmp_path: Path) -> None:
    """A client that breaks off while its requests wait for their turns is nothing for the log."""
    with running(tmp_path) as server:
        filled(server)
        for _ in range(10):
            with connected(server) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(PAGE * COUNT)
                assert connection.recv(1) == b"H"
        assert ask(server, "GET", "/-/health").status == 200
        assert "Traceback" not in log_of(server)


def test_refusal_behind_a_request_that_waits_says_that_it_is_the_last(server: Server) -> None:
    """A request that is refused before its body, behind one that waits, is told that the connection ends."""
    request = b"POST /last HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(post("last", "v", 1) + request)
        replies = read_replies(connection, 2)
    assert [reply.status for reply in replies] == [202, 413]
    assert replies[1].headers["connection"] == "close"


def test_end_behind_a_stream(served: Server) -> None:
    """What was pipelined behind a stream is answered, though its client has said that nothing more comes."""
    stream = b"GET /-/boards/kart/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(served) as connection:
        connection.sendall(stream + b"GET /-/odd HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        connection.shutdown(socket.SHUT_WR)
        received = read_to_end(connection)
    assert received.count(b"data: ") == 3
    assert received.count(b"HTTP/1.1 299") == 2


def test_client_that_goes_on_behind_a_stream(served: Server) -> None:
    """What comes behind a stream is held back, and the stream ends when its client leaves."""
    odd = b"GET /-/odd HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(served) as connection:
        connection.sendall(b"GET /-/boards/endless/live HTTP/1.1\r\nHost: localhost\r\n\r\n" + odd)
        while b"data: 5" not in connection.recv(65536):
            pass
        connection.sendall(odd)
        while b"data: 2" not in connection.recv(65536):
            pass
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + 20
    while "endless" not in ask(served, "GET", "/-/closed").json:
        assert time.monotonic() < deadline
