"""HTTP as our protocol speaks it: order, chunks, refusals, limits and time, byte by byte over real sockets."""

from __future__ import annotations

import hashlib
import inspect
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING

import pytest
from uvicorn.protocols.http import httptools_impl

from tests.adapters.conftest import CERTIFICATE
from tests.asking import ask, connected, read_replies, send_bytes
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

HOST = b"Host: localhost\r\n"
GET = b"GET /wire/v HTTP/1.1\r\nHost: localhost\r\n\r\n"
ODD_GET = b"GET /wire/v HTTP/1.1\r\nHost: localhost\r\nX-Odd: 1\r\n\r\n"
ABSENT_BODY = b'{"score":0,"rank":null}'


def post(board: str, name: str, score: int, headers: bytes = b"") -> bytes:
    """Write a submit."""
    body = b'{"score":%d}' % score
    head = f"POST /{board}/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    return head + headers + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def test_connection_is_kept(server: Server) -> None:
    """Many requests go over one connection, one after the other."""
    with connected(server) as connection:
        for request in [GET, ODD_GET] * 3:
            connection.sendall(request)
            assert read_replies(connection, 1)[0].body == ABSENT_BODY


@pytest.mark.parametrize("odd", [b"", b"X-Odd: 1\r\n"], ids=["plain", "odd"])
def test_pipelined_requests_are_answered_in_order(server: Server, odd: bytes) -> None:
    """What is pipelined behind a submit is answered after it, and sees it."""
    board = f"pipeline-{len(odd)}"
    read = f"GET /{board}/v HTTP/1.1\r\nHost: localhost\r\n".encode() + odd + b"\r\n"
    requests = [
        post(board, "v", 1, odd),
        read,
        post(board, "v", 2, odd),
        read,
        b"GET /-/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    replies = send_bytes(server, b"".join(requests), 5)
    assert [reply.status for reply in replies] == [202, 200, 202, 200, 200]
    assert [replies[1].json["score"], replies[3].json["score"], replies[4].json] == [1, 2, {"status": "ok"}]


def test_long_pipeline(server: Server) -> None:
    """However many submits are pipelined, and though no more comes, each is answered and counted once."""
    with connected(server) as connection:
        connection.sendall(b"".join(post("deep", f"n{place}", place) for place in range(1000)))
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    names = [entry["name"] for entry in ask(server, "GET", "/deep?endRank=1000").json["leaderboard"]]
    assert received.count(b"HTTP/1.1 202") == 1000
    assert len(names) == 1000


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("request_", [GET, ODD_GET, post("pieces", "v", 5)], ids=["plain", "odd", "post"])
def test_request_in_pieces(server: Server, request_: bytes, size: int) -> None:
    """A request that comes in pieces is the same request."""
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(request_), size):
            connection.sendall(request_[place : place + size])
        assert read_replies(connection, 1)[0].status in {200, 202}


def test_chunked_body(server: Server) -> None:
    """A body in chunks is put together; extensions and trailers are ignored."""
    head = b"POST /chunked/v HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'4\r\n{"sc\r\n7;why=not\r\nore":42\r\n1\r\n}\r\n0\r\nPrefer: return=representation\r\n\r\n'
    (reply,) = send_bytes(server, head + body)
    assert (reply.status, ask(server, "GET", "/chunked/v").json["score"]) == (202, 42)


WAITING = "POST {} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"


def test_expect_continue(server: Server) -> None:
    """A client that waits for leave to send its body gets it."""
    with connected(server) as connection:
        connection.sendall(WAITING.format("/expect/v", 11).encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"score":1}')
        assert read_replies(connection, 1)[0].status == 202


@pytest.mark.parametrize(("path", "length", "status"), [("/expect/v", 65537, 413), ("/-/docs", 11, 405)])
def test_expect_continue_refused(server: Server, path: str, length: int, status: int) -> None:
    """A client that announces too large a body, or asks for what there is not, is refused before it sends it."""
    assert send_bytes(server, WAITING.format(path, length).encode())[0].status == status


def test_head_has_no_body(server: Server) -> None:
    """What follows the head of an answer to HEAD is the next answer."""
    with connected(server) as connection:
        connection.sendall(b"HEAD /wire/v HTTP/1.1\r\nHost: localhost\r\n\r\n")
        (head,) = read_replies(connection, 1, method="HEAD")
        connection.sendall(GET)
        assert head.headers["content-length"] == str(len(ABSENT_BODY))
        assert read_replies(connection, 1)[0].body == ABSENT_BODY


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /wire/v HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /wire/v HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET /wire/v HTTP/1.0\r\n\r\n",
        b"GET /wire/v HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + GET,
    ],
    ids=["close", "1.0", "1.0-no-host", "close-and-more"],
)
@pytest.mark.parametrize("before", [b"", post("closed", "v", 1)], ids=["first", "behind-a-submit"])
def test_connection_is_closed(server: Server, request_: bytes, before: bytes) -> None:
    """A client that wants no more gets its answer, a close, and nothing after it."""
    with connected(server) as connection:
        connection.sendall(before + request_)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.count(b"HTTP/1.1 ") == 1 + bool(before)
    assert received.count(b"connection: close") == 1
    assert received.endswith(ABSENT_BODY)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (b"http://localhost:80/wire/v", b'"rank":null'),
        (b"HTTP://localhost", b'"service"'),
        (b"http://localhost?a=b", b'"parameter":"a"'),
    ],
)
def test_absolute_target(server: Server, target: bytes, says: bytes) -> None:
    """A target with scheme and host is the same route, behind a submit too."""
    request = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target
    replies = send_bytes(server, request + post("absolute", "v", 1) + request, 3)
    assert [says in reply.body for reply in replies] == [True, False, True]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /a/b HTTP/1.1\n" + HOST + b"\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\r\n\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\rA: b\r\n\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\r\n\tfolded\r\n\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\0\r\n\r\n", 400),
        (b"GET /a\0b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a#b/c HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET ftp://x/a/b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\n\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET /a/b HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"GET /a/b\r\n\r\n", 505),
        (b"GET /a/b HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"BREW /a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n1", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\n1", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\n1", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Content-Length: \r\n\r\n1", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
        (b"POST /a/b HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx0\r\n\r\n", 400),
        (b"POST /a/b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n", 400),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_not_http(server: Server, request_: bytes, status: int) -> None:
    """What two readers could read in two ways is refused, with a problem document, and ends the connection."""
    with connected(server) as connection:
        connection.sendall(request_ + GET)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json\r\n" in received
    assert received.count(b"\r\ndate: ") == 1


def test_refusal_waits_for_the_answer_before_it(server: Server) -> None:
    """A submit whose connection then goes bad is still answered."""
    with connected(server) as connection:
        connection.sendall(post("before-bad", "v", 3) + b"nonsense\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 202")


def test_client_that_leaves_before_its_answer(server: Server) -> None:
    """A submit counts though nobody waits for the answer."""
    with connected(server) as connection:
        connection.sendall(post("left", "v", 3))
    deadline = time.monotonic() + 10
    while ask(server, "GET", "/left/v").json["score"] != 3:
        assert time.monotonic() < deadline


def test_client_that_leaves_its_pipeline(tmp_path: Path) -> None:
    """A client that breaks off amid its pipeline is no fault of the service, and nothing for its log."""
    with running(tmp_path) as server:
        for _ in range(10):
            with connected(server) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(post("b", "v", 1) * 20)
        assert "Traceback" not in log_of(server)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /a/%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"b" * 700), 414),
        (b"GET /a/b HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (b"y" * 1100), 431),
        (b"GET /a/b HTTP/1.1\r\n%b" % (b"X: y\r\n" * 600), 431),
        (b"GET /a/b HTTP/1.1\r\nX: ", 408),
        (b"POST /a/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1", 408),
        (b"POST /-/docs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1", 405),
        (b"", None),
    ],
    ids=["target", "header", "headers", "slow-head", "slow-body", "slow-body-elsewhere", "idle"],
)
def test_limits_of_a_connection(strict: Server, request_: bytes, status: int | None) -> None:
    """What is too long or takes too long is refused, if it said anything, and the connection ends."""
    with connected(strict) as connection:
        connection.sendall(request_)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received[9:12] == (b"" if status is None else b"%d" % status)


@pytest.mark.slow
def test_refused_client_that_stays(strict: Server) -> None:
    """A connection that was refused is closed, though its client began another request and stays."""
    with connected(strict) as connection:
        connection.sendall(b"GET /a/b HTTP/1.1\r\n\r\nGET /a")
        assert b"".join(iter(lambda: connection.recv(65536), b"")).startswith(b"HTTP/1.1 400")
        deadline = time.monotonic() + 10
        while takes_more(connection):
            assert time.monotonic() < deadline


def takes_more(connection: socket.socket) -> bool:
    """Return whether the other side still reads."""
    try:
        connection.sendall(b"x")
    except ConnectionError:
        return False
    return True


def test_first_connection_after_a_pause(hasty: Server) -> None:
    """A connection's time begins when it is made, however long there was none before it."""
    assert ask(hasty, "GET", "/-/health").status == 200


def test_endless_header(strict: Server) -> None:
    """A header line without an end is cut off once it is over the limit."""
    with connected(strict) as connection:
        connection.sendall(b"GET /a/b HTTP/1.1\r\nX: ")
        for _ in range(10_000):
            connection.sendall(b"y" * 1000)
        assert read_replies(connection, 1)[0].status == 431


def test_too_many_connections(strict: Server) -> None:
    """A connection over the limit is refused, and may come again."""
    held = [socket.create_connection((strict.host, strict.port)) for _ in range(9)]
    try:
        (reply,) = read_replies(held[-1], 1)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    finally:
        for connection in held:
            connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("odd", [b"", b"X-Odd: 1\r\n"], ids=["plain", "odd"])
def test_slow_reader_takes_bounded_memory(strict: Server, odd: bytes) -> None:
    """A client that asks for much and reads nothing is held back, then cut off, and the server stays small."""
    entries = [{"name": f"{place:0256}", "score": place} for place in range(1000)]
    ask(strict, "POST", "/slow", {"entries": entries})
    request = b"GET /slow?startRank=0&endRank=1000 HTTP/1.1\r\nHost: localhost\r\n" + odd + b"\r\n"
    before = resident(strict)
    with connected(strict) as connection, pytest.raises((ConnectionError, TimeoutError)):
        connection.sendall(request * 1_000_000)
    assert resident(strict) - before < 100_000_000


def resident(server: Server) -> int:
    """Give the bytes of memory that a server holds."""
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * 4096


@pytest.mark.parametrize("request_", [GET, ODD_GET], ids=["plain", "odd"])
def test_fault_is_a_500_and_is_logged(faulty: Server, request_: bytes) -> None:
    """A fault of the service is a 500 without its cause, which the log has; the connection goes on."""
    replies = send_bytes(faulty, request_ + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 2)
    assert [reply.status for reply in replies] == [500, 200]
    assert "ZeroDivisionError" in log_of(faulty)


def test_fault_in_a_head_ends_its_connection(faulty: Server) -> None:
    """A fault before a request is whole costs its connection, is logged, and leaves the others."""
    with connected(faulty) as connection:
        connection.sendall(b"GET /-/docs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100) == b""
    assert ask(faulty, "GET", "/").status == 200
    assert "ZeroDivisionError" in log_of(faulty)


def test_tls(secure: Server) -> None:
    """Answers and refusals go over TLS too."""
    context = ssl.create_default_context(cafile=CERTIFICATE)
    with connected(secure) as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(post("tls", "v", 1))
        assert read_replies(connection, 1)[0].status == 202
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n")
        assert [reply.status for reply in read_replies(connection, 2)] == [200, 400]
        assert connection.recv(1) == b""


def log_of(server: Server) -> str:
    """Stop a server, and give what it wrote."""
    server.stop()
    server.reading.join(30)
    return "".join(server.log)


def test_uvicorn_is_the_one_we_built_on() -> None:
    """The parts of uvicorn that the protocol extends are as they were read; where they change, read them again."""
    parts = [httptools_impl.HttpToolsProtocol, httptools_impl.RequestResponseCycle]
    digest = hashlib.sha256("".join(map(inspect.getsource, parts)).encode()).hexdigest()
    assert digest == "70e7393260abf01c74b912ad453c795995fdb0908020fbf68c9f1d87f4a47a2f"


@pytest.mark.parametrize(
    "coding",
    [
        *("gzip, chunked", "gzip", "chunked, gzip", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked"),
        *("identity", "identity, chunked", "chunked;q=1", "xchunked", "GZIP, Chunked", "", "chunked,"),
    ],
)
@pytest.mark.parametrize("target", ["/coded/v", "/-/boards/coded", "/coded"])
def test_other_transfer_codings(server: Server, coding: str, target: str) -> None:
    """A body in any coding but chunked, or in that and another, is a 501 that says so, and is not read."""
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n".encode()
    (reply,) = send_bytes(server, head + b'b\r\n{"score":1}\r\n0\r\n\r\n')
    assert reply.status == 501
    assert "chunked, alone and once" in reply.json["detail"]
    assert reply.headers["connection"] == "close"
    assert ask(server, "GET", "/coded").json == {"leaderboard": []}


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "  CHUNKED  "])
def test_chunked_in_any_case(server: Server, coding: str) -> None:
    """Case and space make no difference to chunks."""
    head = f"POST /cased/v HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:{coding}\r\n\r\n".encode()
    (reply,) = send_bytes(server, head + b'b\r\n{"score":1}\r\n0\r\n\r\n')
    assert reply.status == 202


@pytest.mark.parametrize("coding", ["chunked", "gzip, chunked"])
def test_transfer_coding_of_an_old_version(server: Server, coding: str) -> None:
    """HTTP/1.0 has no transfer codings at all."""
    head = f"POST /coded/v HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n".encode()
    (reply,) = send_bytes(server, head + b'b\r\n{"score":1}\r\n0\r\n\r\n')
    assert reply.status == 400
