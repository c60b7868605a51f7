"""Events: how what a view shows becomes the next thing that it shows. Each is encoded once, however many get it.

    page      all that the view shows: at first, after a gap, and when a window has turned over
    change    what to set and what to delete; sorted by place, that is what a fresh read gives

The events of one moment are *frames*: they are sent together or not at all, and only the last of them has the id. So
who has an id has everything up to it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct

from laurels.live.views import Page, Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

_encode = msgspec.json.Encoder().encode
TEXT, MEDIUM, LARGE = 0x81, 126, 65536
"""How a WebSocket message of text in one frame begins; from which sizes on its length takes two and eight bytes."""


class Change(Struct, frozen=True):
    """What is another than it was."""

    total: int
    set: list[Shown]
    gone: list[str]


State: TypeAlias = Page
"""What a view shows at one moment."""
Event: TypeAlias = Page | Change


def find_event(before: State, after: State) -> Event | None:
    """Return what makes of the state before the one after; None if they are the same."""
    if before == after:
        return None
    if before.period != after.period:
        return after
    had = {entry.name: entry for entry in before.leaderboard}
    changed = [entry for entry in after.leaderboard if had.pop(entry.name, None) != entry]
    return Change(after.total, changed, list(had))


class Frames:
    """Events of one moment, each of one view by its index, and the id of what is known after them."""

    def __init__(self, ident: str, events: Sequence[tuple[int | None, Event]]) -> None:
        """Take events; the index is None if the connection has one view alone."""
        self._ident = ident
        self._events = [(type(event).__name__.lower(), _with_index(event, index)) for index, event in events]

    @cached_property
    def plain(self) -> bytes:
        """As Server-Sent Events."""
        events = [b"event: %b\ndata: %b\n" % (kind.encode(), data) for kind, data in self._events]
        return b"\n".join([*events[:-1], b"id: %b\n%b\n" % (self._ident.encode(), events[-1])])

    @cached_property
    def chunked(self) -> bytes:
        """The same as one chunk of HTTP/1.1."""
        return chunk(self.plain)

    @cached_property
    def messages(self) -> list[bytes]:
        """As JSON texts."""
        *others, last = [b'{"event":"%b","data":%b' % (kind.encode(), data) for kind, data in self._events]
        return [*(each + b"}" for each in others), b'%b,"id":"%b"}' % (last, self._ident.encode())]

    @cached_property
    def websocket(self) -> bytes:
        """The same as messages of WebSocket, which a server does not mask."""
        return b"".join(map(frame, self.messages))


def _with_index(event: Event, index: int | None) -> bytes:
    data = _encode(event)
    return data if index is None else b'{"view":%d,%b' % (index, data[1:])


def chunk(data: bytes) -> bytes:
    """Return bytes as one chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame(text: bytes) -> bytes:
    """Return a text as a WebSocket message in one frame."""
    size = len(text)
    if size < MEDIUM:
        head = bytes((TEXT, size))
    elif size < LARGE:
        head = bytes((TEXT, MEDIUM)) + size.to_bytes(2, "big")
    else:
        head = bytes((TEXT, MEDIUM + 1)) + size.to_bytes(8, "big")
    return head + text
