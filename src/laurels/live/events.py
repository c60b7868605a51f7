"""Events: how what a view shows becomes the next thing that it shows. Each is encoded once, however many get it.

    page      all that the view shows: at first, after a gap, and when a window has turned over
    change    what to set and what to delete; sorted by place, that is what a fresh read gives
    standing  the score and the rank of one name, at first and whenever they are others

The events of one moment are *frames*: they are sent together or not at all, and only the last of them has the id. So
who has an id has everything up to it.
"""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - a field of a struct
from functools import cached_property
from typing import TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from laurels.live.views import OneStanding, Page, Shown, State
from laurels.stores.contract import Score  # noqa: TC001 - a field of a struct

_encode = msgspec.json.Encoder().encode
PASSED = 10
"""How many names an event has of those who have passed one."""
TEXT, MEDIUM, LARGE = 0x81, 126, 65536
"""How a WebSocket message of text in one frame begins; from which sizes on its length takes two and eight bytes."""


class Change(Struct, frozen=True):
    """What is another than it was."""

    total: int
    set: list[Shown]
    gone: list[str]


class ScoreAndRank(Struct, frozen=True):
    """A standing as it was."""

    score: Score
    rank: int | None


class Standing(Struct, frozen=True, rename="camel"):
    """The standing of a name, the one before it, and who has passed it meanwhile, the nearest first."""

    score: Score
    rank: int | None
    previous: ScoreAndRank | None = None
    passed_by: Sequence[str] = ()
    hidden: bool | UnsetType = UNSET


Event: TypeAlias = Page | Change | Standing


def whole(state: State) -> Event:
    """Return the event that says all that a view shows."""
    return state if isinstance(state, Page) else _tell(state, None, ())


def find_event(before: State, after: State) -> Event:
    """Return the event that makes of a state another one of the same view."""
    if isinstance(after, OneStanding) and isinstance(before, OneStanding):
        return _tell(after, ScoreAndRank(before.score, before.rank), _find_passed(before, after))
    assert isinstance(before, Page)  # noqa: S101 - of the same view
    assert isinstance(after, Page)  # noqa: S101
    if before.period != after.period:
        return after
    had = {entry.name: entry for entry in before.leaderboard}
    changed = [entry for entry in after.leaderboard if had.pop(entry.name, None) != entry]
    return Change(after.total, changed, list(had))


def _tell(state: OneStanding, previous: ScoreAndRank | None, passed_by: Sequence[str]) -> Standing:
    return Standing(state.score, state.rank, previous, passed_by, state.is_hidden or UNSET)


def _find_passed(before: OneStanding, after: OneStanding) -> Sequence[str]:
    """Return who has passed a name, the nearest first: at most as many as it has lost places.

    Those just above it now, who were not just above it before; but for those who are farther up than all who were:
    these may only have come nearer.
    """
    lost = (after.better or 0) - (before.better or 0) if before.better is not None else 0
    if lost <= 0:
        return ()
    stayed = [place for place, name in enumerate(after.above) if name in before.above]
    first = stayed[0] if stayed and len(before.above) < (before.better or 0) else 0
    new = [name for name in after.above[first:] if name not in before.above]
    return new[::-1][: min(lost, PASSED)]


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
