"""Pages of other origins: which of them may read the answers (CORS), which may write, and which may open a WebSocket.

A browser sends whatever a page asks it to, and only keeps the answer from it. So a write whose ``Origin`` is foreign is
refused, whatever its Content-Type; what is no browser sends no Origin. Both are parts of the gate.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from laurels.errors import BadOrigin, truncate
from laurels.http.handshake import asks_for_websocket
from laurels.http.hosts import ANY, DEFAULT_PORTS, read_authority
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.http.messages import Header, Request, Response
    from laurels.http.operation import Operation

ALLOWED_HEADERS = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, prefer, traceparent"
)
EXPOSED_HEADERS = b"allow, date, etag, preference-applied, ratelimit, ratelimit-policy, retry-after"
PREFLIGHT_SECONDS = 3600
"""How long a browser may keep the answer to a preflight."""
ADVICE = "The operator of the service allows an origin with laurels serve --cors-origin, or corsOrigin on AWS."

ALLOW = b"access-control-allow-origin"
EXPOSE: Header = (b"access-control-expose-headers", EXPOSED_HEADERS)
VARY: Header = (b"vary", b"origin")
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-headers", ALLOWED_HEADERS),
    (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
)

_ORIGIN = re.compile(rb"([a-z][a-z0-9+.-]*)://([^/]+)", re.IGNORECASE)


class Origin(NamedTuple):
    """Scheme, host and port of a page, as they can be compared."""

    scheme: str
    name: str
    port: int | None

    def format(self) -> bytes:
        """Return it as a browser sends it."""
        port = "" if self.port in {None, DEFAULT_PORTS.get(self.scheme)} else f":{self.port}"
        return f"{self.scheme}://{self.name}{port}".encode()


def read_origin(text: bytes) -> Origin | None:
    """Return what an Origin header says; None if that is ``null``, several, or no origin at all."""
    found = _ORIGIN.fullmatch(text)
    authority = read_authority(found[2]) if found else None
    if found is None or authority is None:
        return None
    scheme = found[1].decode().lower()
    return Origin(scheme, authority.name, authority.port_of(scheme))


class Cors:
    """The origins that a deployment allows, besides the service's own; ``*`` allows any."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """Raise BadOrigin for what no page can have."""
        self._is_any = ANY in (origins := set(origins))
        self._allowed = {_read_allowed(text) for text in origins - {ANY}}
        only = next(iter(self._allowed)) if len(self._allowed) == 1 else None
        self.ancestors = b"*" if self._is_any else b" ".join([b"'self'", *sorted(o.format() for o in self._allowed)])
        """The pages that may have one of ours in a frame."""
        self._headers = ((ALLOW, b"*"), EXPOSE) if self._is_any else _headers(only.format()) if only else (VARY,)

    def check(self, request: Request, operation: Operation | None) -> None:
        """Raise HTTPError for a write from a page of another origin that is not allowed."""
        sent = request.headers.get(b"origin")
        if sent is None or self._is_any or operation is None:
            return
        if not operation.is_write and not (operation.is_live and asks_for_websocket(request.headers)):
            return
        origin = read_origin(sent)
        if origin is None or not (origin in self._allowed or _is_own(origin, request.host)):
            named = truncate(sent.decode(errors="replace"))
            what = "write" if operation.is_write else "open a WebSocket"
            raise HTTPError(403, f"Pages of the origin {named} may not {what} here. {ADVICE}")

    def __call__(self, request: Request | None, response: Response) -> Response:
        """Return the response with the headers that let a page read it; one with ``Allow`` answers a preflight, too.

        One that says itself who may read it is left as it is.
        """
        if any(name == ALLOW for name, _ in response.headers):
            return response
        headers = self._headers
        sent = request.headers.get(b"origin") if request is not None else None
        if sent is not None and not self._is_any and read_origin(sent) in self._allowed:
            headers = _headers(sent)
        allow = dict(response.headers).get(b"allow")
        if allow is not None and headers[0][0] == ALLOW:
            headers += ((b"access-control-allow-methods", allow), *PREFLIGHT)
        return replace(response, headers=(*response.headers, *headers))


def _headers(origin: bytes) -> tuple[Header, ...]:
    return (ALLOW, origin), EXPOSE, VARY


def _read_allowed(text: str) -> Origin:
    origin = read_origin(text.encode())
    if origin is None or "*" in text:
        raise BadOrigin(text)
    return origin


def _is_own(origin: Origin, host: bytes) -> bool:
    """Return whether a page is the service's own. A proxy may speak another scheme: that is not compared."""
    authority = read_authority(host)
    return authority is not None and (authority.name, authority.port_of(origin.scheme)) == (origin.name, origin.port)
