"""The feed as a client takes it: events out of a stream of bytes, and what a view shows after each. No I/O.

A service may be anything here, too: an event has bounds, and a view shows no more entries than were asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from laurels.answers import WithMetadata
from laurels.client.errors import AnswerUnreadable
from laurels.limits import MIB, PAGE_ENTRIES, format_size
from laurels.stores.contract import Count, Score  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT_BYTES = 16 * MIB
"""The longest event that is read."""
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
"""How long to wait before the next connection, at least and at most, whatever the service says."""
_MILLISECONDS = re.compile(rb"[0-9]{1,9}")


class LiveEntry(WithMetadata, frozen=True, rename="camel"):
    """An entry as a view shows it."""

    name: str
    score: Score
    rank: Count
    place: Count


class LivePage(Struct, frozen=True):
    """All that a view shows; ``period`` is there in a window."""

    leaderboard: Annotated[list[LiveEntry], Meta(max_length=PAGE_ENTRIES + 1)]
    total: Count
    period: str | UnsetType = UNSET
    view: Count = 0


class LiveChange(Struct, frozen=True):
    """What to delete from what a view shows, and what to put there."""

    total: Count
    set: Annotated[list[LiveEntry], Meta(max_length=PAGE_ENTRIES + 1)]
    gone: Annotated[list[str], Meta(max_length=PAGE_ENTRIES + 1)]
    view: Count = 0


class LiveRank(Struct, frozen=True):
    """A standing as it was."""

    score: Score
    rank: Count | None


class LiveStanding(Struct, frozen=True, rename="camel"):
    """The standing of one name, the one before it, and who has passed it meanwhile."""

    score: Score
    rank: Count | None
    previous: LiveRank | None
    passed_by: Annotated[list[str], Meta(max_length=PAGE_ENTRIES)]
    hidden: bool = False
    view: Count = 0


Update: TypeAlias = LivePage | LiveChange | LiveStanding
UPDATES: dict[str, type[Update]] = {"page": LivePage, "change": LiveChange, "standing": LiveStanding}


class LiveBoard(Struct, frozen=True):
    """What a page of a board shows at one moment.

    ``total`` is how many entries the board has. ``changed`` has, by name, the entries that are new here or otherwise
    than they were, each with what it was before, None for a new one; ``gone`` are the names that have left. Both are
    empty at first, when another period begins. ``period`` is there in a window.
    """

    entries: tuple[LiveEntry, ...]
    total: int
    changed: dict[str, LiveEntry | None]
    gone: tuple[str, ...]
    period: str | None


class Message(Struct, frozen=True, omit_defaults=True):
    """An event as it came. ``id`` is there on the last one of a moment."""

    event: str
    data: Raw
    id: str | None = None


class Event(Struct, frozen=True):
    """An event: as it came, and as it was read."""

    message: Message
    update: Update


class Disconnected(Struct, frozen=True):
    """The connection is gone, and made again after some seconds; the reason is a sentence."""

    reason: str
    seconds: float


class Messages:
    """Server-Sent Events, of a stream that comes in pieces, and goes on after a connection is lost."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = RETRY_SECONDS
        """How many seconds to wait before one comes again."""
        self._parts: list[bytes] = []
        """Of the line that has not come to its end."""
        self._fields: dict[bytes, bytes] = {}
        self._data: list[bytes] = []
        self._size = 0

    def begin(self) -> None:
        """Forget what has not come to its end: another stream begins."""
        self._parts, self._fields, self._data, self._size = [], {}, [], 0

    def take(self, piece: bytes) -> Iterator[Message]:
        """Yield the events that end in the next piece; raise ValueError if one is too long, or is no text."""
        first, *others = piece.split(b"\n")
        self._add(first)
        for part in others:
            line = b"".join(self._parts).removesuffix(b"\r")
            self._parts.clear()
            message = self._take_line(line)
            self._add(part)
            if message is not None:
                yield message
        if self._size > EVENT_BYTES:
            raise ValueError(f"an event is longer than {format_size(EVENT_BYTES)}")

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)

    def _take_line(self, line: bytes) -> Message | None:
        if not line:
            return self._end()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"retry" and _MILLISECONDS.fullmatch(value):
            self.retry = min(max(int(value) / 1000, RETRY_SECONDS), LONGEST_RETRY_SECONDS)
        elif name in {b"event", b"id"}:
            self._fields[name] = value
        return None

    def _end(self) -> Message | None:
        fields, data = self._fields, self._data
        self._fields, self._data, self._size = {}, [], 0
        ident = fields.get(b"id", b"").decode()
        self.last_id = ident or self.last_id
        kind = fields.get(b"event", b"").decode()
        return Message(kind, Raw(b"\n".join(data)), ident or None) if data else None


class LiveTable:
    """What a view of at most so many entries shows, after each event, and what the last one has changed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.period: str | UnsetType | None = None
        """None before the first page."""
        self.total = 0
        self.entries: list[LiveEntry] = []
        self.changed: dict[str, LiveEntry | None] = {}
        """What is new or otherwise than it was, by name, with what it was before."""
        self.gone: list[str] = []

    def show(self) -> LiveBoard:
        """Return what it shows now."""
        period = self.period or None
        return LiveBoard(tuple(self.entries), self.total, dict(self.changed), tuple(self.gone), period)

    def apply(self, update: LivePage | LiveChange) -> bool:
        """Show what an event says; return whether that is another table, of which nothing has changed yet.

        Raises AnswerUnreadable if it is more than was asked for.
        """
        before, is_other = {entry.name: entry for entry in self.entries}, False
        if isinstance(update, LivePage):
            after = {entry.name: entry for entry in update.leaderboard}
            is_other = update.period != self.period
            self.period = update.period
        else:
            after = {name: entry for name, entry in before.items() if name not in update.gone}
            after |= {entry.name: entry for entry in update.set}
        if len(after) > self._most:
            raise AnswerUnreadable("The service did not answer as Laurels does: it shows more than was asked for.")
        self.total = update.total
        self.entries = sorted(after.values(), key=lambda entry: entry.place)
        before = after if is_other else before
        self.changed = {name: before.get(name) for name, entry in after.items() if before.get(name) != entry}
        self.gone = [name for name in before if name not in after]
        return is_other
