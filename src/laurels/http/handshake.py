"""The handshake of WebSocket (RFC 6455, 4.2), from the headers of a request."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.http.messages import Header, Headers

PROTOCOL = "laurels.v1"
"""The subprotocol: events as JSON messages."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = b"13"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


def asks_for_websocket(headers: Headers) -> bool:
    """Return whether a request asks for a WebSocket."""
    offered, options = (headers.get(name, b"").lower() for name in (b"upgrade", b"connection"))
    return b"websocket" in _words(offered) and b"upgrade" in _words(options)


def offer_websocket(protocols: Iterable[str]) -> Headers:
    """Return the headers of a request for a WebSocket, for servers that have read them and shake hands themselves."""
    offer = {
        b"upgrade": b"websocket",
        b"connection": b"upgrade",
        b"sec-websocket-version": _VERSION,
        b"sec-websocket-key": b64encode(bytes(16)),
    }
    offered = ", ".join(protocols).encode("latin-1", "replace")
    return {**offer, b"sec-websocket-protocol": offered} if offered else offer


def _words(header: bytes) -> list[bytes]:
    return [word.strip() for word in header.split(b",")]


def list_protocols(headers: Headers) -> list[str]:
    """Return the subprotocols that a client offers."""
    offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")
    return [each.strip() for each in offered if each.strip()]


def shake_hands(headers: Headers) -> tuple[Header, ...]:
    """Return the headers that accept a WebSocket, none if the request asks for none; raise HTTPError.

    Extensions are declined: each event is encoded once for all.
    """
    if not asks_for_websocket(headers):
        return ()
    if headers.get(b"sec-websocket-version") != _VERSION:
        detail = "The WebSocket is of another version than 13."
        raise HTTPError(426, detail, headers=((b"sec-websocket-version", _VERSION), (b"upgrade", b"websocket")))
    key = headers.get(b"sec-websocket-key", b"")
    if not _KEY.fullmatch(key):
        raise HTTPError(400, "Sec-WebSocket-Key is not 16 bytes in base64.")
    offered = list_protocols(headers)
    if offered and PROTOCOL not in offered:
        raise HTTPError(400, f"No subprotocol that is offered is spoken here: offer {PROTOCOL}, or none.")
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    chosen = ((b"sec-websocket-protocol", PROTOCOL.encode()),) if offered else ()
    return ((b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", accept), *chosen)
