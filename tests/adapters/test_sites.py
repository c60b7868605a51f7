"""Host and Origin over real sockets: whichever way a request comes, and whatever its answer is."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from laurels.cli import main
from laurels.http.cors import ALLOWED_HEADERS
from tests.adapters.conftest import GAME, OTHER
from tests.asking import ask, connected, read_replies, send_bytes
from tests.conftest import running, started
from tests.http.conftest import ASGI

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

EVIL = "https://evil.example"
BODY = b'{"score":1}'
WAYS = {"fast": b"", "full": b"X-Odd: 1\r\n", "upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\n"}


def written(line: str, way: str = "fast", *, host: str = "localhost", origin: str | None = None) -> bytes:
    """Write a request, with a body if it is a POST."""
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\n" + (f"Origin: {origin}\r\n" if origin is not None else "")
    is_post = line.startswith("POST")
    return head.encode() + WAYS[way] + (b"Content-Length: 11\r\n\r\n" + BODY if is_post else b"\r\n")


LINES = ["GET /b/v", "GET /b", "POST /b/v", "DELETE /b/v", "OPTIONS /b/v", "GET /-/docs", "GET /-/health", "PUT /a/b/c"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("line", LINES)
def test_foreign_host_is_refused_first(server: Server, line: str, way: str) -> None:
    """Whatever is asked of a name that is not the service's is a 421; behind it the connection goes on if it can."""
    refused = written(line, way, host="evil.example:8000")
    (reply,) = send_bytes(server, refused)
    assert (reply.status, reply.json["status"]) == (421, 421)
    if not line.startswith("POST"):
        replies = send_bytes(server, written("GET /b/v") + refused + written("GET /b/v", host="127.0.0.1:1"), 3)
        assert [reply.status for reply in replies] == [200, 421, 200]


@pytest.mark.parametrize("way", ["full", "upgrade"])
@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/b/v", "localhost", 421),
        ("HTTP://LOCALHOST:9/b/v", "evil.example", 200),
        ("http://user@localhost/b/v", "localhost", 400),
        ("http://localhost/b/v", "user@localhost", 400),
        ("http:///b/v", "localhost", 400),
        ("ftp://localhost/b/v", "localhost", 400),
    ],
)
def test_host_of_an_absolute_target(server: Server, target: str, host: str, status: int, way: str) -> None:
    """The target's own host is what counts (RFC 9112, 3.2.2)."""
    assert send_bytes(server, written(f"GET {target}", way, host=host))[0].status == status


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", ["localhost\r\nHost: localhost", "localhost, localhost", "a b", "a@localhost", "[::1"])
def test_host_that_is_none(server: Server, host: str, way: str) -> None:
    """Two of them, or what is no host, are malformed, whoever is asked."""
    assert send_bytes(server, written("GET /b/v", way, host=host))[0].status == 400


@pytest.mark.parametrize(("host", "status"), [(b"", 200), (b"Host:\r\n", 200), (b"Host: evil.example\r\n", 421)])
def test_host_in_http_1_0(server: Server, host: bytes, status: int) -> None:
    """There it may be missing; if it is not, it counts."""
    assert send_bytes(server, b"GET /b/v HTTP/1.0\r\n" + host + b"\r\n")[0].status == status


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [b"", b"Content-Type: text/plain\r\n", b"Content-Type: application/json\r\n"])
def test_foreign_page_may_read_and_not_write(server: Server, way: str, kind: bytes) -> None:
    """A write is refused before its body, whatever type that has; a read is answered, for the browser to withhold."""
    write = written("POST /foreign/v", way, origin="http://127.0.0.1:1").replace(b"\r\n", b"\r\n" + kind, 1)
    with connected(server) as connection:
        connection.sendall(write[: -len(BODY)])
        (reply,) = read_replies(connection, 1)
    assert reply.status == 403
    assert "127.0.0.1:1 may not write here" in reply.json["detail"]
    (reply,) = send_bytes(server, written("GET /foreign/v", way, origin="http://127.0.0.1:1"))
    assert reply.json == {"score": 0, "rank": None}
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("line", ["PUT /-/boards/b", "PATCH /b/v", "DELETE /b", "POST /b"])
def test_foreign_page_may_not_write_anything(server: Server, line: str) -> None:
    """Every write is one, and null is foreign; behind the refusal of what has no body the connection goes on."""
    request = written(line, origin="null")
    assert send_bytes(server, request)[0].status == 403


@pytest.mark.parametrize("way", WAYS)
def test_own_page_may_write(server: Server, way: str) -> None:
    """The service's own pages have its host and port."""
    name = f"localhost:{server.port}"
    assert send_bytes(server, written("POST /own/v", way, host=name, origin=f"http://{name}"))[0].status == 202
    foreign = written("POST /own/v", way, host=name, origin=f"http://127.0.0.1:{server.port}")
    assert send_bytes(server, foreign)[0].status == 403
    twice = written("POST /own/v", way, host=name, origin=f"http://{name}\r\nOrigin: http://{name}")
    assert send_bytes(server, twice)[0].status == 403


ANSWERS = [
    *((f"GET /{path}", b"", 200) for path in ("b/v", "b", "b?include=rank", "-/docs", "-/openapi.json", "")),
    *(("POST /b/v", b"", 202), ("POST /b/v", b"Prefer: return=representation\r\n", 200), ("DELETE /b/v", b"", 204)),
    *(("HEAD /b", b"", 200), ("OPTIONS /b", b"", 204), ("GET /-/metrics", b"", 200)),
    *(("GET /a/b/c", b"", 404), ("PUT /b", b"", 405), ("GET /b?x=1", b"", 400), ("GET /b?endRank=5000", b"", 400)),
    *(("GET /b", b"Accept: text/plain\r\n", 406), ("POST /b/v", b"Content-Type: text/plain\r\n", 415)),
    *(("GET /b", b"Transfer-Encoding: gzip, chunked\r\n", 501), ("GET /b", b"X: " + b"a" * 2000 + b"\r\n", 431)),
    *(("GET /b", b"Host: evil.example\r\n", 400), ("GET /b", b"Content-Length: 99999\r\n", 413)),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("line", "more", "status"), ANSWERS)
@pytest.mark.parametrize("origin", [GAME, OTHER, EVIL, None])
def test_cors_is_on_every_answer(
    crossed: Server, line: str, more: bytes, status: int, origin: str | None, way: str
) -> None:
    """An allowed page may read whatever it gets, refusals of the protocol too; all answers vary with the origin."""
    request = written(line, way, host="boards.example", origin=origin)
    method, _, path = line.partition(" ")
    body = BODY if method == "POST" else b""
    with connected(crossed) as connection:
        connection.sendall(request.removesuffix(body).removesuffix(b"\r\n") + more + b"\r\n" + body)
        (reply,) = read_replies(connection, 1, method=method)
    is_write = method in {"POST", "DELETE"} or path == "/-/metrics"  # which needs a right of its own
    assert reply.status == (403 if origin == EVIL and is_write else status)
    assert reply.headers.get("access-control-allow-origin") == (origin if origin in {GAME, OTHER} else None)
    assert "origin" in reply.headers["vary"]


def test_cors_of_a_request_that_never_comes_whole(crossed: Server) -> None:
    """A page is told that its body took too long."""
    head = written("POST /b/v", origin=GAME)[: -len(BODY)]
    assert send_bytes(crossed, head)[0].headers["access-control-allow-origin"] == GAME


def test_preflight_is_kept(crossed: Server) -> None:
    """A browser asks once an hour whether it may."""
    asked = {"origin": GAME, "access-control-request-method": "PUT", "access-control-request-headers": "content-type"}
    reply = ask(crossed, "OPTIONS", "/-/boards/b", headers=asked)
    assert reply.status == 204
    assert reply.headers["access-control-allow-methods"] == "GET, HEAD, PUT, DELETE, OPTIONS"
    assert reply.headers["access-control-allow-headers"] == ALLOWED_HEADERS.decode()
    assert reply.headers["access-control-max-age"] == "3600"


def test_many_sites_at_once(crossed: Server) -> None:
    """However many hosts and origins ask, each answer is for its own."""
    asked = [
        written("GET /b/v", host=f"{host}:{port}", origin=origin)
        for port in range(1, 40)
        for host in ("localhost", "boards.example", "evil.example")
        for origin in (GAME, None, f"https://{port}.example")
    ]
    replies = send_bytes(crossed, b"".join(asked), len(asked))
    assert [reply.status for reply in replies] == [200, 200, 200, 200, 200, 200, 421, 421, 421] * 39
    assert [reply.headers.get("access-control-allow-origin") for reply in replies] == [GAME, None, None] * 117


@pytest.mark.parametrize(("options", "status"), [((), 200), (("--allowed-host", "boards.example"), 421)])
def test_service_beyond_this_machine(tmp_path: Path, options: tuple[str, ...], status: int) -> None:
    """There any host is answered to, as nobody knows its names, until they are listed."""
    with running(tmp_path, "--host", "0.0.0.0", "--open", *options) as server:  # noqa: S104 - that is the point
        server.host = "127.0.0.1"
        assert send_bytes(server, written("GET /b/v", host="evil.example"))[0].status == status
        assert send_bytes(server, written("GET /b/v", host="boards.example"))[0].status == 200


@pytest.mark.parametrize("option", ["--allowed-host", "--trusted-proxy", "--cors-origin"])
def test_setting_that_is_none(tmp_path: Path, option: str) -> None:
    """A setting that could never match ends the start, with what it should be."""
    ended = CliRunner().invoke(main, ["serve", "--data", str(tmp_path), "--port", "0", option, "http://a/b"])
    assert (ended.exit_code, ended.stderr.count("\n")) == (1, 1)
    assert re.match(r"Error: 'http://a/b' is no (host|proxy|origin)", ended.stderr)


def test_other_servers(tmp_path: Path) -> None:
    """Under any ASGI server only the hosts that are listed are checked, and writes as everywhere."""
    settings = {"LAURELS_DATA": str(tmp_path), "LAURELS_ALLOWED_HOST": "boards.example a.example"}
    with started(ASGI, os.environ | settings | {"LAURELS_CORS_ORIGIN": f"{GAME} {OTHER}"}) as server:
        assert send_bytes(server, written("GET /b/v"))[0].status == 421
        (reply,) = send_bytes(server, written("POST /b/v", host="a.example", origin=OTHER))
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (202, OTHER)
        assert send_bytes(server, written("POST /b/v", host="a.example", origin="http://a.example:1"))[0].status == 403
