"""What a connection becomes that listens to a feed: it writes what comes to its transport, and has no task.

A WebSocket's frames are read by the protocol of the package websockets, which does no I/O. What is sent to many is
framed once (:mod:`laurels.live.events`).
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, ClassVar

from websockets.frames import CloseCode
from websockets.protocol import Protocol, Side

from laurels.limits import KIB
from laurels.live.events import chunk
from laurels.live.subscribers import COMMENT, RETRY, UNSENT_BYTES, Subscriber

if TYPE_CHECKING:
    import asyncio

    from laurels.live.events import Frames

LAST_CHUNK = b"0\r\n\r\n"
PING = b"\x89\x00"
RECEIVED_BYTES = 16 * KIB
"""How much a client of a WebSocket may send between two comments: it has nothing to say but pings and pongs."""
HELD_BYTES = 16 * KIB
"""How much the kernel holds for who reads slowly, and notices it by that; else it would be megabytes."""
SILENT = logging.getLogger("laurels.websockets")
SILENT.setLevel(logging.CRITICAL)


class Listener(Subscriber):
    """A subscriber that is a connection."""

    HEADERS: ClassVar[bytes]
    """The last headers of its answer, which say how that ends."""
    is_over = False
    """Whether the client has ended it."""
    is_slow = False
    """Whether the socket did not take all; its connection says so at once."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, HELD_BYTES)

    @property
    def unsent(self) -> int:
        """How many bytes the socket has not taken."""
        return self._transport.get_write_buffer_size()

    def receive(self, data: bytes) -> None:
        """Take what the client sends, which means nothing to a stream of events."""


class ChunkedStream(Listener):
    """A stream of events over HTTP/1.1."""

    HEADERS = b"transfer-encoding: chunked\r\n"

    def put(self, frames: Frames) -> None:
        """Write events."""
        self._transport.write(frames.chunked)

    def comment(self) -> None:
        """Write a comment."""
        self._transport.write(chunk(COMMENT))

    def end(self) -> None:
        """Say when to come again, and close."""
        self._transport.write(chunk(RETRY) + LAST_CHUNK)
        self._transport.close()


class PlainStream(Listener):
    """A stream of events over HTTP/1.0: until it is closed."""

    HEADERS = b"connection: close\r\n"

    def put(self, frames: Frames) -> None:
        """Write events."""
        self._transport.write(frames.plain)

    def comment(self) -> None:
        """Write a comment."""
        self._transport.write(COMMENT)

    def end(self) -> None:
        """Say when to come again, and close."""
        self._transport.write(RETRY)
        self._transport.close()


class WebSocket(Listener):
    """A WebSocket. What its client says is read to answer pings, and to know when it ends."""

    HEADERS = b""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._protocol = Protocol(Side.SERVER, max_size=KIB, logger=SILENT)
        self._received = 0

    def put(self, frames: Frames) -> None:
        """Write messages."""
        self._transport.write(frames.websocket)

    def comment(self) -> None:
        """Send a ping."""
        self._received = 0
        self._transport.write(PING)

    def receive(self, data: bytes) -> None:
        """Answer what must be answered, unless the client does not read."""
        self._received += len(data)
        if self._received > RECEIVED_BYTES:
            self._protocol.fail(CloseCode.POLICY_VIOLATION, "Nothing is to be sent here")
            self.is_over = True
        else:
            self._protocol.receive_data(data)
            self._protocol.events_received()
            self.is_over = self._protocol.close_expected()
        answers = b"".join(self._protocol.data_to_send())
        if answers and self.unsent <= UNSENT_BYTES:
            self._transport.write(answers)

    def end(self) -> None:
        """Say that the client may come again, and close."""
        self._protocol.send_close(CloseCode.SERVICE_RESTART)
        self._transport.write(b"".join(self._protocol.data_to_send()))
        self._transport.close()
