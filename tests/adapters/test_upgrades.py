"""Offers to change the protocol, which are passed over: the request is answered as if it had none (RFC 9110, 7.8)."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask, connected, read_replies, send_bytes

if TYPE_CHECKING:
    from tests.conftest import Server

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n"
OFFERS = {
    "h2c": H2C,
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "tls": b"upgrade: TLS/1.0\r\nconnection: upgrade\r\n",
    "list": b"Upgrade: h2c, IRC/6.9, x\r\nConnection: upgrade\r\n",
    "lines": b"Upgrade: h2c\r\nConnection: HTTP2-Settings\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    "not-connected": b"Upgrade: h2c\r\n",
}
BODY = b'{"score":7}'
FRAMES = {
    "length": b"Content-Length: 11\r\n\r\n" + BODY,
    "chunked": b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"sc\r\n7;x=y\r\nore":7}\r\n0\r\nUpgrade: h2c\r\nX: y\r\n\r\n',
}
READ = b"GET /upgraded/%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


def submit(name: str, offer: bytes, frame: str, path: str = "upgraded") -> bytes:
    """Write a submit that offers another protocol."""
    return f"POST /{path}/{name} HTTP/1.1\r\nHost: localhost\r\n".encode() + offer + FRAMES[frame]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_offer_keeps_body_and_connection(server: Server, offer: str, frame: str, size: int) -> None:
    """Whatever is offered, the body is read, however it is framed and cut, and what is pipelined behind is answered."""
    name = f"{offer}-{frame}-{size}"
    request = submit(name, OFFERS[offer], frame) + READ % (name.encode(), OFFERS[offer]) + READ % (name.encode(), b"")
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(request), size):
            connection.sendall(request[place : place + size])
        replies = read_replies(connection, 3)
        assert [reply.status for reply in replies] == [202, 200, 200]
        assert [reply.json["score"] for reply in replies[1:]] == [7, 7]
        connection.sendall(submit(name, OFFERS[offer], frame))
        assert read_replies(connection, 1)[0].status == 202


@pytest.mark.parametrize("path", ["/-/docs", "/-/openapi.json"], ids=["docs", "document"])
def test_offer_to_what_is_not_inline(server: Server, path: str) -> None:
    """The ASGI application gets the request as well, between others on the connection."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + H2C + b"\r\n"
    replies = send_bytes(server, submit("v", H2C, "length") + request * 2 + READ % (b"v", H2C), 4)
    assert [reply.status for reply in replies] == [202, 200, 200, 200]


def test_offer_and_leave_to_send(server: Server) -> None:
    """A client that waits for leave to send its body gets it, and its body is read."""
    head, body = submit("leave", H2C + b"Expect: 100-continue\r\n", "length").split(b"\r\n\r\n")
    with connected(server) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_replies(connection, 1)[0].status == 202
    assert ask(server, "GET", "/upgraded/leave").json["score"] == 7


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (submit("v", H2C, "length").replace(b"HTTP/1.1", b"HTTP/1.0"), 202),
        (submit("v", H2C + b"Connection: close\r\n", "length"), 202),
        (submit("v", H2C, "length").replace(b"11", b"65537"), 413),
        (submit("v", H2C, "length").replace(b"Host: localhost\r\n", b""), 400),
        (submit("v", H2C, "chunked").replace(b"7;x", b"z;x"), 400),
        (submit("v", H2C + b"X: %b\r\n" % (b"x" * 66_000), "length"), 431),
    ],
    ids=["1.0", "close", "too-large", "no-host", "bad-chunk", "head-too-large"],
)
def test_offer_and_an_end(server: Server, request_: bytes, status: int) -> None:
    """What ends a connection without an offer does so with one: one answer, which says so."""
    with connected(server) as connection:
        connection.sendall(request_)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"%d" % status]
    assert received.count(b"connection: close") == 1


@pytest.mark.parametrize(
    ("target", "status"), [(b"localhost:443", 400), (b"/upgraded/v", 405)], ids=["authority", "path"]
)
def test_connect(server: Server, target: bytes, status: int) -> None:
    """CONNECT is refused, and what follows is no request: it could be meant for somebody else."""
    request = b"CONNECT %b HTTP/1.1\r\nHost: localhost:443\r\nContent-Length: 11\r\n\r\n" % target
    with connected(server) as connection:
        connection.sendall(request + BODY + READ % (b"v", b""))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"%d" % status]
    assert b"connection: close" in received


@pytest.mark.skipif(not shutil.which("curl"), reason="without curl")
def test_curl_that_offers_http2(server: Server) -> None:
    """The request that was reported: curl offers HTTP/2 when it is asked for it, and then goes on with HTTP/1.1."""
    url = f"{server.url}/upgraded-by-curl/v"
    command = ["curl", "-sS", "--http2", "--json", BODY.decode(), url, "--next", "-sS", "--http2", url]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    assert answer.stdout == '{"score":7,"rank":0}'
