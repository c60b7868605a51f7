"""The order of refusals: of a request that is wrong in two ways, the contract says which is told.

All but what is wrong with the request itself is told before its body is read, so that a body that never comes is not
waited for.
"""

from __future__ import annotations

from itertools import combinations, count
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.access.ways import KeyRing, bearer, served_by_asgi, serving
from tests.asking import ask, connected, read_replies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.asking import Reply
    from tests.conftest import Server

TIRED = "203.0.113.9"
"""An address that has asked as often as it may."""
BODY = b'{"score":1}'
ADDRESSES = count(1)
"""Each request comes from an address of its own: one asks once a day."""


class Sent(NamedTuple):
    """A request; by default a good one."""

    line: str = "POST /kart/v"
    address: str = ""
    headers: Mapping[str, str] = MappingProxyType({"Host": "localhost", "Content-Type": "application/json"})
    body: bytes = BODY
    length: int = len(BODY)

    def with_header(self, name: str, value: str) -> Sent:
        """Return it with a header."""
        return self._replace(headers={**self.headers, name: value})

    def format_head(self, further: dict[str, str]) -> bytes:
        """Return its head."""
        number = next(ADDRESSES)
        address = self.address or f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        headers = {**self.headers, **further, "X-Forwarded-For": address, "Content-Length": self.length}
        lines = [f"{self.line} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


class Fault(NamedTuple):
    """What may be wrong with a request: its place in the order, the status and words of the answer, what it changes."""

    place: int
    name: str
    status: int
    words: str
    spoil: Callable[[Sent], Sent] = lambda sent: sent


def line(old: str, new: str) -> Callable[[Sent], Sent]:
    """Return what changes the line of a request."""
    return lambda sent: sent._replace(line=sent.line.replace(old, new))


def header(name: str, value: str) -> Callable[[Sent], Sent]:
    """Return what adds a header to a request."""
    return lambda sent: sent.with_header(name, value)


FAULTS = [
    Fault(1, "host", 421, "evil.example", header("Host", "evil.example")),
    Fault(2, "origin", 403, "Pages of the origin", header("Origin", "https://evil.example")),
    Fault(3, "route", 404, "no such route", line("/kart", "/-/nothing/kart")),
    Fault(3, "method", 405, "not allowed here", line("POST", "PUT")),
    Fault(4, "address", 429, TIRED, lambda sent: sent._replace(address=TIRED)),
    Fault(5, "mistyped", 401, "mistyped"),
    Fault(5, "nothing", 401, "Without a key"),
    Fault(6, "tired", 429, "with the key 'tired"),
    Fault(7, "right", 403, "takes the scope submit"),
    Fault(7, "board", 403, "on the board 'kart'"),
    Fault(8, "name", 400, "UTF-8", line("/v", "/%ff")),
    Fault(8, "parameter", 400, "no query parameters", lambda sent: sent._replace(line=f"{sent.line}?x=1")),
    Fault(8, "accept", 406, "Accept", header("Accept", "text/html")),
    Fault(8, "large", 413, "larger than", lambda sent: sent._replace(body=bytes(100_000), length=100_000)),
    Fault(8, "type", 415, "Content-Type", header("Content-Type", "text/plain")),
    Fault(8, "score", 422, "score", lambda sent: sent._replace(body=b'{"score":"1"}', length=13)),
]
KEYS = {
    (): "good",
    ("address",): "nothing",
    ("mistyped",): "mistyped",
    ("address", "mistyped"): "mistyped",
    ("nothing",): "nothing",
    ("address", "nothing"): "nothing",
    ("tired",): "tired",
    ("right",): "right",
    ("board",): "board",
    ("tired", "right"): "tired-right",
    ("tired", "board"): "tired-board",
}
"""The keys that have these faults; others do not go together."""


def key_of(*faults: Fault) -> str | None:
    """Return the key that a request with these faults shows; None if there is no such."""
    return KEYS.get(tuple(fault.name for fault in faults if 4 <= fault.place <= 7))


PAIRS = [
    (first, second)
    for first, second in combinations(FAULTS, 2)
    if first.place < second.place
    and key_of(first, second) is not None
    and not (first.name == "origin" and second.name in {"route", "method"})  # what is no operation is no write
]


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """Return keys that are good, that lack a right, and that have asked as often as they may."""
    ring = KeyRing()
    for name in ("good", "tired", "right", "board", "tired-right", "tired-board"):
        ring.add(name, ["read" if "right" in name else "submit"], boards=["mario-*" if "board" in name else "*"])
        if "tired" in name:
            ring.tables[-1] += '\nlimits = { requests = "1/d" }'
    ring.secrets["mistyped"] = ring.secrets["good"][:-1]
    return ring


@pytest.fixture(scope="module", params=["protocol", "asgi"])
def service(
    request: pytest.FixtureRequest, ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Start the service; an address may ask once a day, and some keys have asked already."""
    directory = tmp_path_factory.mktemp("order")
    file = ring.write(directory / "access.toml", '[public]\nlimits = { requests = "1/d" }')
    options = {"LAURELS_ALLOWED_HOST": "localhost", "LAURELS_TRUSTED_PROXY": "127.0.0.1"}
    serving_it = serving if request.param == "protocol" else served_by_asgi
    with serving_it(directory / "data", file, options) as server:
        assert ask(server, "GET", "/-/health", headers={"X-Forwarded-For": TIRED}).status == 200
        for name in ring.secrets:
            if "tired" in name:
                assert ask(server, "GET", "/-/health", headers=bearer(ring.secrets[name])).status == 200
        yield server


def send(
    server: Server, ring: KeyRing, *faults: Fault, way: dict[str, str] | None = None, is_whole: bool = False
) -> Reply:
    """Send a request with these faults, with or without its body, and return the answer."""
    sent = Sent()
    for fault in faults:
        sent = fault.spoil(sent)
    key = key_of(*faults)
    shown = {} if key == "nothing" else bearer(ring.secrets[str(key)])
    with connected(server) as connection:
        connection.sendall(sent.format_head((way or {}) | shown) + (sent.body if is_whole else b""))
        return read_replies(connection, 1)[0]


@pytest.mark.parametrize("way", [{}, {"X-Odd": "1"}, {"Expect": "100-continue"}], ids=["plain", "odd", "expect"])
@pytest.mark.parametrize("part", ["whole", "head"])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda fault: fault.name)
def test_order(service: Server, ring: KeyRing, first: Fault, second: Fault, part: str, way: dict[str, str]) -> None:
    """What is first in the order is told, also if the body is not there yet."""
    reply = send(service, ring, first, second, way=way, is_whole=part == "whole")
    assert (reply.status, first.words in reply.json["detail"]) == (first.status, True), reply
    assert ("www-authenticate" in reply.headers) == (first.status == 401)
    assert ("retry-after" in reply.headers) == ("ratelimit" in reply.headers) == (first.status == 429)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_alone(service: Server, ring: KeyRing, fault: Fault) -> None:
    """Each of them alone is answered so: the faults are what they are taken for."""
    reply = send(service, ring, fault, is_whole=True)
    assert (reply.status, fault.words in reply.json["detail"]) == (fault.status, True), reply


def test_without_a_fault(service: Server, ring: KeyRing) -> None:
    """The request that all of them spoil is a good one."""
    assert send(service, ring, is_whole=True).status == 202
