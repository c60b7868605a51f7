"""The fast path compared with the full parser: one more header sends a request there, and changes nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.asking import connected
from tests.length import times

if TYPE_CHECKING:
    from tests.conftest import Server

LAST = b"GET /plain?endRank=1000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
NAMES = ["v", "-", "-x", ".", "..", "...", "%41", "a" * 256, "a" * 257, "a!$&'()*+,;=:@~_.-", "", "a#b", 'a"b', "x%"]
RANGES = [(0, 20), (0, 1000), (0, 1001), (5, 5), (5, 4), ("00", 7), (10**15 - 1, 10**15), ("", 1), (1, ""), ("+1", 2)]
QUERIES = [
    *[""] * 20,
    *("?", "?&", "?=", "?x=1", "?startRank=1", "?endRank=3", "?endRank=3&startRank=1", "?startRank=1&endRank=2&"),
    *(f"?startRank={start}&endRank={stop}" for start, stop in RANGES),
]
HEADERS = [
    *("Content-Type: application/json", "content-type: Application/JSON", "Content-Type: text/plain", "Content-Type:"),
    *("Accept: */*", "Accept: application/json", "Accept: text/html", "Accept:", "Host: localhost", "Host: a,b"),
    *("Connection: keep-alive", "Connection: close", "Connection:", "User-Agent:  x\t", "User-Agent: \x7f", "X Y: z"),
    *("Prefer: respond-async", "Expect: 100-continue", "Content-Encoding: gzip", "Accept-Encoding: br"),
    *("Idempotency-Key: a", "idempotency-key:a ", "Idempotency-Key: !~", "Idempotency-Key:", "Idempotency-Key: a b"),
    *("Idempotency-Key: \x7f", "Idempotency-Key: é", f"Idempotency-Key: {'k' * 255}", f"Idempotency-Key: {'k' * 256}"),
    *(
        "Origin: https://game.example",
        "origin:http://localhost",
        "Origin: null",
        "Origin:",
        "Origin: https://a, b",
        "Host:",
    ),
    *("X-Forwarded-For: 1.1.1.1", "x-forwarded-host: evil.example", "Forwarded: host=evil.example"),
    *("X-Real-IP: 1.1.1.1", "Via: 1.1 proxy", "X-Forwarded-: x", "X-Forwarded: x"),
    *('sec-ch-ua: "Chromium";v="156"', "Sec-Fetch-Site: cross-site", "Referer: https://game.example/", "Priority: u=1"),
    *("Content-Length: 0", "Transfer-Encoding: identity", "Keep-Alive: 5", "traceparent: 0", "x\r: y"),
]
HOSTS = [*["localhost"] * 9, "LOCALHOST.:8000", "boards.example", "evil.example", "a@localhost", "localhost:x"]
BODIES = [
    *('{"score":1}', '{"score": -42}', '{"score":-0}', '{"score":00}', '{"score":-}', '{"score":}', '{"score":1 }'),
    *('{"score":999999999999999}', '{"score":9999999999999999}', '{"score":9007199254740993}', '{"score":1.5}', "{}"),
    *('{"score":  1}', '{"score":+1}', '{"score":1}}', '{"score":"1"}', ' {"score":1}', '{"score":1,"score":1}', ""),
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw a request that is plain or nearly so."""
    method = draw(st.sampled_from(["GET", "POST"] * 4 + ["HEAD", "PUT"]))
    path = "/plain" + draw(st.sampled_from(["", *(f"/{name}" for name in NAMES)])) + draw(st.sampled_from(QUERIES))
    body = draw(st.sampled_from(BODIES)) if method == "POST" else ""
    length = [f"Content-Length: {len(body)}"] if method == "POST" else []
    lines = [f"Host: {draw(st.sampled_from(HOSTS))}", *length, *draw(st.lists(st.sampled_from(HEADERS), max_size=2))]
    version = draw(st.sampled_from(["HTTP/1.1"] * 9 + ["HTTP/1.0"]))
    return "\r\n".join([f"{method} {path} {version}", *draw(st.permutations(lines)), "", body]).encode()


def answers(server: Server, request: bytes) -> bytes:
    """Ask, and then for the board, and give all that is answered, without its dates."""
    with connected(server) as connection:
        connection.sendall(request + LAST)
        return re.sub(rb"date: [^\r]*\r\n", b"", b"".join(iter(lambda: connection.recv(65536), b"")))


@settings(max_examples=times(120), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests())
@example(b'POST /plain/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\nidempotency-key:a \r\n\r\n{"score":1}')
def test_short_way_answers_as_the_full_parser(server: Server, crossed: Server, request: bytes) -> None:
    """What is answered does not depend on the way it came, also where pages of other origins may use the service."""
    for each in (server, crossed):
        first = answers(each, request.replace(b"\r\n", b"\r\nX-Odd: 1\r\n", 1))
        assert answers(each, request) == first


def test_header_that_stands_twice(server: Server) -> None:
    """Two Content-Types are one that is not JSON, both ways."""
    twice = b"Content-Type: application/json\r\n" * 2
    request = b"POST /plain/v HTTP/1.1\r\nHost: localhost\r\n" + twice + b'Content-Length: 11\r\n\r\n{"score":1}'
    assert answers(server, request).startswith(b"HTTP/1.1 415")


def test_keys_are_honoured_both_ways(server: Server) -> None:
    """A retry gets the first answer, and another submit with its key is refused, whichever way each of them came."""
    odd = {way: b"X-Odd: 1\r\n" if way == "full" else b"" for way in ("fast", "full")}

    def submit(name: bytes, score: int, way: str) -> bytes:
        body = b'{"score":%d}' % score
        head = b"POST /keyed/%b HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nIdempotency-Key: k\r\n" % name
        length = b"Content-Length: %d\r\n" % len(body)
        return answers(server, head + odd[way] + length + b"\r\n" + body)[9:12]

    ways = [(first, second, third) for first in odd for second in odd for third in odd]
    for first, second, third in ways:
        name = f"{first}-{second}-{third}".encode()
        assert [submit(name, 1, first), submit(name, 1, second), submit(name, 2, third)] == [b"202", b"202", b"422"]
