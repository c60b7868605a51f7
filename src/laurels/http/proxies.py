"""Trusted proxies: where a request came from, as far as they are believed.

    X-Forwarded-For: 203.0.113.7, 10.0.0.2          Forwarded: for=203.0.113.7;proto=https;host=boards.example,
    X-Forwarded-Proto: https                                   for=10.0.0.2
    X-Forwarded-Host: boards.example
    X-Forwarded-Prefix: /lb

Only a peer that is trusted is believed at all. Each proxy adds at the right what it was asked from: so addresses are
read from the right as long as they are trusted proxies' own, and the first other one is the client's. What stands left
of it anybody may have written. Scheme, host and prefix are taken as of that same proxy, the outermost that is trusted.

A proxy sets one kind of fields, and often passes on the other as its client sent it. So if both come, only that is
believed which both say. What is malformed is passed over.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from laurels.errors import BadProxy
from laurels.http.hosts import ANY, parse_address, read_authority

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from laurels.http.messages import Request

FIELDS = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix", b"forwarded")
MOST_HOPS = 32
"""Of a list, from the right: so many proxies nobody has behind one another."""
LONGEST_FORWARDED = 2048
"""In bytes; so a header that its sender made long costs no more to read than another."""
LONGEST_ADDRESS = 64
"""In characters, with brackets, zone and port."""
REMEMBERED = 1000
"""Of what was read: most requests come from few clients."""
LONGEST_REMEMBERED = 300
"""In bytes, of all fields of a request."""

_ADDRESS = re.compile(r"\[([^\]]+)\](?::\w+)?|([\d.]+)(?::\w+)?|([0-9a-f:.]+(?:%.+)?)", re.IGNORECASE | re.ASCII)
_PAIR = re.compile(rb'\s*(?:([^\s=";,]+)=([^\s";,]*+|"(?:[^"\\]|\\.)*+")\s*)?([;,]|$)')
_ESCAPED = re.compile(rb"\\(.)")
_PREFIX = re.compile(rb"(?:/[\w.~!$&'()*+;=:@%-]+)*/?")


class TrustedProxies:
    """A part of the gate: writes over what the connection says of a request with what trusted proxies say of it.

    ``*`` stands for whatever connects, also over a Unix socket, but for no address in a list of them.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raise BadProxy for what is neither an address nor a network."""
        trusted = set(trusted)
        self._is_any = ANY in trusted
        self._networks = [_read_network(text) for text in trusted - {ANY}]
        self._is_trusted = lru_cache(REMEMBERED)(self._is_among)
        self._read_remembered = lru_cache(REMEMBERED)(self._read)

    def __call__(self, request: Request) -> None:
        """Correct the request's client, scheme, host and prefix."""
        fields = tuple(map(request.headers.get, FIELDS))
        length = sum(map(len, filter(None, fields)))
        read = self._read_remembered if 0 < length <= LONGEST_REMEMBERED else self._read
        facts, prefix = read(request.client, *fields)
        request.client = facts.get("client", request.client)
        request.scheme = facts.get("scheme", request.scheme)
        if "host" in facts:
            request.forwarded_host = facts["host"].encode()
        request.prefix = prefix + request.prefix

    def _read(self, peer: str, *fields: bytes | None) -> tuple[dict[str, str], str]:
        """Return what is believed of client, scheme and host, and the prefix."""
        if not (self._is_any or self._is_trusted(read_address(peer))):
            return {}, ""
        *listed, text = fields
        chain, schemes, hosts, prefixes = map(_split, listed)
        client, hops = self._find_client(read_address(each.decode("latin-1")) for each in reversed(chain))
        facts = _facts(client, _at(schemes, hops), _at(hosts, hops))
        if text is not None:
            other = self._read_forwarded(text)
            facts = dict(facts.items() & other.items()) if chain or schemes or hosts else other
        return facts, _join_prefixes(prefixes[-hops:])

    def _read_forwarded(self, text: bytes) -> dict[str, str]:
        elements = split_forwarded(text)
        told = (read_address(element.get(b"for", b"").decode("latin-1")) for element in reversed(elements))
        client, hops = self._find_client(told)
        elements = elements[-hops:]
        schemes, hosts = ([each[name] for each in elements if name in each] for name in (b"proto", b"host"))
        return _facts(client, _at(schemes, hops), _at(hosts, hops))

    def _find_client(self, addresses: Iterable[str]) -> tuple[str, int]:
        """Return the client's address, empty if none is told, and how many steps it is away.

        Gets the addresses from the nearest on, empty for what is none: there the list ends.
        """
        client, hops = "", 0
        for hops, address in enumerate(addresses, 1):  # noqa: B007 - the last is returned
            client = address or client
            if not address or not self._is_trusted(address):
                break
        return client, hops or 1

    def _is_among(self, address: str) -> bool:
        return bool(address) and any(ip_address(address) in network for network in self._networks)


def split_forwarded(text: bytes) -> list[dict[bytes, bytes]]:
    """Return the elements of a Forwarded header (RFC 7239), their names in lower case; none if it is malformed."""
    elements: list[dict[bytes, bytes]] = [{}]
    end = 0
    while end < len(text):
        found = _PAIR.match(text, end)
        if found is None or len(text) > LONGEST_FORWARDED:
            return []
        name, value, separator = found.groups()
        if name is not None:
            elements[-1][name.lower()] = _ESCAPED.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
        if separator == b",":
            elements.append({})
        end = found.end()
    return [element for element in elements if element]


def read_address(text: str) -> str:
    """Return an IP address as it can be compared, without port, brackets and zone; empty if it is none."""
    return _read_address(text) if len(text) <= LONGEST_ADDRESS else ""


@lru_cache(REMEMBERED)
def _read_address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return ""
    address = parse_address((found[1] or found[2] or found[3]).partition("%")[0])
    return "" if address is None else str(address)


def _read_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise BadProxy(text) from error


def _join_prefixes(values: Sequence[bytes]) -> str:
    """Return the path prefix that proxies took off one after another, encoded anew; nothing if one is no path."""
    if not all(_PREFIX.fullmatch(value) for value in values):
        return ""
    segments = (segment for value in values for segment in value.split(b"/") if segment)
    return "".join(f"/{quote(unquote_to_bytes(segment), safe='')}" for segment in segments)


def _split(text: bytes | None) -> list[bytes]:
    """Return the values of a list; none if there is no such field."""
    return [] if text is None else [value.strip() for value in text.rsplit(b",", MOST_HOPS)]


def _at(values: Sequence[bytes], hops: int) -> bytes:
    """Return the value so many places from the right, the first if there are fewer, nothing if there is none."""
    return values[-min(hops, len(values))] if values else b""


def _facts(client: str, scheme: bytes, host: bytes) -> dict[str, str]:
    """Return what is told and well-formed."""
    told = {"client": client, "scheme": scheme.decode("latin-1").lower(), "host": ""}
    if told["scheme"] not in {"http", "https"}:
        del told["scheme"]
    if read_authority(host) is not None:
        told["host"] = host.decode()
    return {name: value for name, value in told.items() if value}
