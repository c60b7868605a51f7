"""URLs of Redis: where its servers are, and as whom to speak to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from laurels.errors import BadServerURL

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["node", "sentinel", "cluster"]
FORMS = (
    "redis://host:port/0, rediss://host:port/0 (TLS), unix:///path/to/socket, "
    "redis+sentinel://host:port,host:port/service/0 or redis+cluster://host:port,host:port"
)
KINDS: dict[str, tuple[Kind, bool]] = {
    "redis": ("node", False),
    "rediss": ("node", True),
    "unix": ("node", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
"""What each scheme leads to, and whether TLS is spoken there."""
SCHEMES = tuple(KINDS)
PORTS: dict[Kind, int] = {"node": 6379, "sentinel": 26379, "cluster": 6379}


class Address(NamedTuple):
    """Where a server listens; without a port it is a socket of this machine."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        """Return it as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.host if self.port is None else f"{host}:{self.port}"


class Target:
    """What a URL says. The password is in no representation of it."""

    def __init__(self, url: str) -> None:
        """Raise BadServerURL, which never has the password."""
        scheme, separator, rest = url.partition("://")
        if scheme not in KINDS or not separator:
            raise BadServerURL(url, f"it must be {FORMS}")
        self.kind, self.is_tls = KINDS[scheme]
        credentials, _, place = rest.rpartition("@")
        user, _, password = credentials.partition(":")
        self.user = unquote(user) or None
        self.password = unquote(password) or None
        self.service = ""
        self.addresses: tuple[Address, ...]
        if "?" in place or "#" in place:
            raise BadServerURL(url, "it has no parameters: settings are options of the service")
        if scheme == "unix":
            if not place.startswith("/"):
                raise BadServerURL(url, "the path of a socket is absolute, as in unix:///run/redis.sock")
            self.addresses = (Address(unquote(place)),)
            self.database = 0
            return
        hosts, _, path = place.partition("/")
        self.addresses = tuple(_addresses(url, hosts, PORTS[self.kind]))
        if self.kind == "node" and len(self.addresses) > 1:
            raise BadServerURL(url, "redis:// names one server; several are redis+cluster:// or redis+sentinel://")
        parts = [part for part in path.split("/") if part]
        if self.kind == "sentinel":
            if not parts:
                raise BadServerURL(url, "behind the Sentinels comes the name of the service that they watch")
            self.service = unquote(parts.pop(0))
        self.database = _database(url, parts)
        if self.kind == "cluster" and self.database:
            raise BadServerURL(url, "a cluster has no database but 0")


def _addresses(url: str, hosts: str, usual: int) -> Iterator[Address]:
    for each in hosts.split(","):
        try:
            parts = urlsplit(f"//{each}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise BadServerURL(url, f"{each!r} is no host and port: {error}") from None
        if not host:
            raise BadServerURL(url, "a host is missing")
        yield Address(host, usual if port is None else port)


def _database(url: str, parts: list[str]) -> int:
    if not parts:
        return 0
    if len(parts) > 1 or not (parts[0].isascii() and parts[0].isdecimal()):
        raise BadServerURL(url, "the database is a number, as in redis://localhost:6379/0")
    return int(parts[0])
