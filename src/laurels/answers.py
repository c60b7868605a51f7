"""What a service answers, as programs get it: frozen structs, whose fields are Python's own types.

They are read from JSON as it comes. What was not asked for, and what is not there, is None. Ranks and places count from
0, and times have their time zone.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct, field

from laurels.access.principal import Scope  # noqa: TC001 - msgspec reads the annotations
from laurels.definition import Bounds, Definition, Display, Guard, Runs
from laurels.http.wire import AnonymousToken, BatchReceipt, GivenToken, ListedKey, Percentage, ScoreRank
from laurels.limits import (
    AUDIT_RECORDS,
    BOARDS_LISTED,
    HELD_LISTED,
    HIDDEN_LISTED,
    NAMES_ASKED,
    PAGE_ENTRIES,
    PERIODS_LISTED,
    SPAN_ENTRIES,
)
from laurels.stores.contract import Bucket, Count, Refusal, Score, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AnonymousToken",
    "AuditRecord",
    "BatchReceipt",
    "Bounds",
    "Bucket",
    "Caller",
    "Definition",
    "Display",
    "Entry",
    "GivenToken",
    "Guard",
    "HeldEntry",
    "HeldScore",
    "HiddenEntry",
    "ListedBoard",
    "ListedKey",
    "NewEntry",
    "Page",
    "Period",
    "Readiness",
    "Receipt",
    "Refusal",
    "Run",
    "Runs",
    "Score",
    "ScoreRank",
    "Service",
    "Standing",
    "StandingInFull",
    "Summary",
]

_NOTHING = Raw(b"null")


class WithMetadata(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that has metadata."""

    metadata_json: Raw = field(default=_NOTHING, name="metadata")
    """The metadata as they were sent, with every digit; ``null`` for none."""
    metadata_damaged: bool = False
    """Whether there are metadata that the service's disk has lost."""

    @property
    def metadata(self) -> Any:
        """The metadata, read: None if there are none, or if they were not asked for."""
        return msgspec.json.decode(self.metadata_json)

    def __repr__(self) -> str:
        """Return the fields that are there, with the metadata as they read."""
        fields = {each: getattr(self, each) for each in self.__struct_fields__ if each != "metadata_json"}
        shown = [f"{each}={value!r}" for each, value in fields.items() if value is not None and value is not False]
        shown += [f"metadata={self.metadata!r}"] if self.metadata is not None else []
        return f"{type(self).__name__}({', '.join(shown)})"


class Standing(Struct, frozen=True, omit_defaults=True, gc=False):
    """The score and the rank of a name, of one moment; only a hidden name has no rank."""

    score: Score
    rank: Count | None
    hidden: bool = False


class Receipt(Struct, frozen=True, omit_defaults=True):
    """The standing after a submit, and the one before it; ``previous`` is None for a name that was not on the board.

    ``changed`` says whether the submit counted, on the board or in one of its windows, and ``held`` that it does not
    count until a moderator releases it.
    """

    score: Score
    rank: Count | None
    previous: Standing | None
    changed: bool
    hidden: bool = False
    held: bool = False


class Entry(WithMetadata, frozen=True, rename="camel"):
    """An entry of a board with its rank. ``place`` differs from ``rank`` only if equal scores share a rank."""

    name: str
    score: Score
    rank: Count
    place: Count | None = None
    submitted_at: datetime | None = None


class Page(Struct, frozen=True):
    """Entries in the board's order, of one moment; to be gone through, indexed and measured as a sequence is.

    ``total`` is how many entries the board has, if that was asked for, ``missing`` the names that were asked for and
    are not on the board, and ``next`` the cursor of the page behind this one, None at the end.
    """

    entries: Annotated[tuple[Entry, ...], Meta(max_length=2 * SPAN_ENTRIES + 1)] = field(name="leaderboard")
    total: Count | None = None
    missing: Annotated[tuple[str, ...], Meta(max_length=NAMES_ASKED)] = ()
    next: str | None = None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Entry:
        return self.entries[index]


class HeldScore(Struct, frozen=True, rename="camel"):
    """A score that waits for a moderator."""

    score: Score
    submitted_at: datetime


class StandingInFull(WithMetadata, frozen=True, rename="camel"):
    """All there is to say of a name on a board, of one moment.

    Of a name that is not there ``score`` is 0 and ``rank`` None; ``total`` is how many entries the board has.
    ``percentile`` is the percentage of entries that are no better. ``windows`` has the standings in the current period
    of each window of the board, None for those that the name is not in. ``held`` is what waits for a moderator.
    """

    score: Score
    rank: Count | None
    total: Count
    place: Count | None
    percentile: Percentage | None = None
    submitted_at: datetime | None = None
    windows: dict[str, Standing | None] | None = None
    held: HeldScore | None = None
    hidden: bool = False

    @property
    def is_there(self) -> bool:
        """Whether the name is on the board, hidden or not."""
        return self.rank is not None or self.hidden


class NewEntry(Struct, frozen=True, rename="camel", omit_defaults=True):
    """An entry to submit or to restore.

    ``metadata`` are anything that can be JSON, at most 1 KiB of it. ``submitted_at`` is when the score was reached, if
    that is not now: with a time zone, or as text of RFC 3339.
    """

    name: str
    score: Score
    metadata: Any = None
    submitted_at: datetime | str | None = None


class HiddenEntry(WithMetadata, frozen=True, rename="camel", omit_defaults=True):
    """A hidden name; ``score`` is None if it has no entry."""

    name: str
    score: Score | None
    submitted_at: datetime | None = None


class HeldEntry(WithMetadata, frozen=True, rename="camel"):
    """A score that waits for a moderator, and whose it is."""

    name: str
    score: Score
    submitted_at: datetime


class ListedBoard(Struct, frozen=True, omit_defaults=True):
    """A board of the list of boards. ``declared`` tells whether the definition is its own, and not the default one.

    ``count`` is how many entries it has, if that was asked for.
    """

    name: str
    declared: bool
    definition: Definition
    count: Count | None = None


class Period(Struct, frozen=True):
    """A period of a window that has ``count`` entries, from ``start`` until before ``stop``, in the board's zone."""

    window: str
    period: str
    start: datetime
    stop: datetime
    count: Count
    current: bool


class Run(Struct, frozen=True, rename="camel"):
    """A run of a player, which one submit can use up before it expires."""

    run: str
    expires_at: datetime


class Caller(Struct, frozen=True):
    """Who asks, and what they may do on which boards; a board must match one of ``within`` as well, if there are any.

    ``who`` is ``anybody`` where no access file is used, ``public``, or ``key:NAME`` or ``player:NAME``.
    """

    who: str
    scopes: tuple[Scope, ...]
    boards: tuple[str, ...]
    expires: datetime | None
    within: tuple[str, ...] = ()


class AuditRecord(Struct, frozen=True, kw_only=True):
    """What was done under the rights of a moderator or an administrator: when, by whom, from where, to what."""

    time: datetime
    who: str
    sender: str = field(name="from")
    """The address that it came from; empty if the service does not know it."""
    operation: str
    status: int
    board: str | None = None
    name: str | None = None
    key: str | None = None
    window: str | None = None
    period: str | None = None
    before_json: Raw = field(default=_NOTHING, name="before")
    after_json: Raw = field(default=_NOTHING, name="after")
    unrecorded: int = 0
    """How many refused attempts before this one have no record, because there were too many."""

    @property
    def before(self) -> Any:
        """What the operation is about, as it was just before; None if there was none."""
        return msgspec.json.decode(self.before_json)

    @property
    def after(self) -> Any:
        """The same just after; None if there is none, or if the operation was refused."""
        return msgspec.json.decode(self.after_json)


class Service(Struct, frozen=True):
    """What a service is; ``docs`` is the path of its own documentation."""

    service: str
    version: str
    docs: str


class Readiness(Struct, frozen=True):
    """That scores can be kept, and what the operator should know all the same."""

    status: str
    warnings: tuple[str, ...] = ()


class Boards(Struct, frozen=True):
    """A part of the list of boards."""

    boards: Annotated[tuple[ListedBoard, ...], Meta(max_length=BOARDS_LISTED)]
    next: str | None


class Periods(Struct, frozen=True):
    """A part of the list of periods."""

    periods: Annotated[tuple[Period, ...], Meta(max_length=PERIODS_LISTED)]
    next: str | None = None


class Hidden(Struct, frozen=True):
    """A part of the list of hidden names."""

    hidden: Annotated[tuple[HiddenEntry, ...], Meta(max_length=HIDDEN_LISTED)]
    next: str | None


class Held(Struct, frozen=True):
    """A part of the list of held scores."""

    held: Annotated[tuple[HeldEntry, ...], Meta(max_length=HELD_LISTED)]
    next: str | None


class Keys(Struct, frozen=True):
    """A part of the list of keys."""

    keys: Annotated[tuple[ListedKey, ...], Meta(max_length=PAGE_ENTRIES)]
    next: str | None


class AuditRecords(Struct, frozen=True):
    """A part of the audit log."""

    records: Annotated[tuple[AuditRecord, ...], Meta(max_length=AUDIT_RECORDS)]
    next: int | None
