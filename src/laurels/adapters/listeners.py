"""Connections that listen to a feed: Server-Sent Events, and WebSocket, written to the transport as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.live.events import chunk
from laurels.live.subscribers import COMMENT, RETRY, Subscriber

if TYPE_CHECKING:
    import asyncio

    from laurels.live.events import Frames

LAST_CHUNK = b"0\r\n\r\n"


class Stream(Subscriber):
    """A connection that is sent Server-Sent Events: in chunks, or to a client of HTTP/1.0 until it is closed."""

    def __init__(self, transport: asyncio.Transport, *, is_chunked: bool) -> None:
        self._transport = transport
        self._is_chunked = is_chunked

    @property
    def unsent(self) -> int:
        """How many bytes the socket has not taken."""
        return self._transport.get_write_buffer_size()

    def put(self, frames: Frames) -> None:
        """Write events."""
        self._transport.write(frames.chunked if self._is_chunked else frames.plain)

    def comment(self) -> None:
        """Write a comment."""
        self._transport.write(chunk(COMMENT) if self._is_chunked else COMMENT)

    def receive(self, data: bytes) -> None:
        """Take what means nothing here."""

    def end(self) -> None:
        """Say when to come again, and close."""
        self._transport.write(chunk(RETRY) + LAST_CHUNK if self._is_chunked else RETRY)
        self._transport.close()
