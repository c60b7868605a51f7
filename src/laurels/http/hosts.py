"""Hosts: the names that a service answers to.

A page may have a name of its own lead to this machine, and would then be of one origin with the service. Its requests
still carry that name, and are refused by it (DNS rebinding).
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, NamedTuple

from laurels.errors import BadHost, truncate
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.http.messages import Request
    from laurels.http.operation import Operation

ANY = "*"
LOCALHOST = "localhost"
DEFAULT_PORTS = {"http": 80, "https": 443}
ADVICE = "Its operator lists the names that it has, as in laurels serve --allowed-host NAME."
REMEMBERED = 100
"""Of the values of Host: nearly all requests have the same."""

_AUTHORITY = re.compile(rb"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._~!$&'()*+;=%-]{1,255})(?::([0-9]{0,5}))?", re.IGNORECASE)


class Authority(NamedTuple):
    """A host and a port, if one is written, as they can be compared: a name in lower case, without a dot at its end."""

    name: str
    port: int | None

    def port_of(self, scheme: str) -> int | None:
        """Return the port, that of the scheme if none is written."""
        return DEFAULT_PORTS.get(scheme) if self.port is None else self.port


def read_authority(text: bytes) -> Authority | None:
    """Return the host and port in a Host header, None if it is not a valid one. No commas, although names may have."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    name, port = found[1].decode().lower().removesuffix("."), int(found[2]) if found[2] else None
    if name.startswith("["):
        try:
            name = f"[{IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    return Authority(name, port) if name else None


def is_loopback(name: str) -> bool:
    """Return whether a host, as it is written in a URL, is localhost or an address of this machine alone."""
    address = parse_address(name.strip("[]"))
    return name == LOCALHOST if address is None else address.is_loopback


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, one of IPv4 also if it is written as IPv6 (::ffff:127.0.0.1); None for any other text."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class AllowedHosts:
    """A check of the gate: the request names one of these hosts, on any port, or none at all.

    ``localhost`` stands for every loopback address as well, ``*`` for all hosts.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Raise BadHost for a name that no request can have."""
        self._names = frozenset(_read_name(name) for name in names)

    def __call__(self, request: Request, _: Operation | None) -> None:
        """Raise HTTPError if the request names another host."""
        if request.host and ANY not in self._names and not _is_among(request.host, self._names):
            named = truncate(request.host.decode(errors="replace"))
            raise HTTPError(421, f"This service does not answer to the host {named}. {ADVICE}")


@lru_cache(REMEMBERED)
def _is_among(host: bytes, names: frozenset[str]) -> bool:
    authority = read_authority(host)
    if authority is None:
        return False
    return authority.name in names or (LOCALHOST in names and is_loopback(authority.name))


def _read_name(text: str) -> str:
    is_bare = text.count(":") > 1 and not text.startswith("[")  # an IPv6 address as all but URLs write it
    authority = read_authority((f"[{text}]" if is_bare else text).encode())
    if authority is None or authority.port is not None or text.startswith(".") or ("*" in text and text != ANY):
        raise BadHost(text)
    return authority.name
