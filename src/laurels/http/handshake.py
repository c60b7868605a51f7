"""The handshake of WebSocket (RFC 6455, 4.2), from the headers of a request."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from laurels.http.messages import Header, Headers

PROTOCOL = "laurels.v1"
"""The subprotocol: events as JSON messages."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = b"13"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


def asks_for_websocket(headers: Headers) -> bool:
    """Return whether a request asks for a WebSocket."""
    return b"websocket" in headers.get(b"upgrade", b"").lower()


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
