"""The bodies of requests and responses, typed. Those of requests are read in :mod:`laurels.http.bodies`."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from laurels.access.principal import Scope  # noqa: TC001 - msgspec reads the annotations
from laurels.audit.record import Record  # noqa: TC001 - msgspec reads the annotations
from laurels.boards import ListedPeriod  # noqa: TC001 - msgspec reads the annotations
from laurels.definition import Definition  # noqa: TC001 - msgspec reads the annotations
from laurels.limits import (
    AUDIT_RECORDS,
    BOARDS_LISTED,
    DEFAULT_TOKEN_SECONDS,
    HELD_LISTED,
    HIDDEN_LISTED,
    KEYS_LISTED,
    PERIODS_LISTED,
)
from laurels.stores.contract import Change, Count, Entry, HiddenStanding, Place, Refusal, Score, Standing, Submission

Percentage = Annotated[float, Meta(ge=0, le=100)]


class Submit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel", gc=False):
    """The body of a submit; null is no metadata, no time, the board's own operator, and no run."""

    score: int | float
    metadata: Raw = None  # type: ignore[assignment]  # msgspec reads whatever is there as Raw, null too
    submitted_at: str | UnsetType | None = UNSET
    operator: str | UnsetType | None = UNSET
    run: str | UnsetType | None = UNSET


class MetadataAlone(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of a change of metadata; null takes it away."""

    metadata: Raw


class StrictEntry(Submission, frozen=True, forbid_unknown_fields=True, rename="camel", gc=False):
    """One entry of a batch, with nothing else in it."""

    metadata: Raw = None  # type: ignore[assignment]  # as in Submit
    submitted_at: str | UnsetType | None = UNSET


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a batch submit."""

    entries: list[StrictEntry]


class BatchReceipt(Struct, frozen=True):
    """What became of a batch."""

    accepted: Count
    refused: list[Refusal]


class StandingOfName(Struct, frozen=True):
    """The standing of a name, by default that of one that is not on the board; ``hidden`` is true, or left out."""

    score: Score = 0
    rank: int | None = None
    hidden: bool | UnsetType = UNSET


class HeldScore(Struct, frozen=True, rename="camel"):
    """A score that is held."""

    score: Score
    submitted_at: str


class StandingInWindow(Struct, frozen=True):
    """The standing of a name in a window; a hidden one has no rank."""

    score: Score
    rank: Count | None


class StandingInFull(StandingOfName, frozen=True, rename="camel"):
    """The standing of a name, and what else was asked for; what is not there is null."""

    held: HeldScore | UnsetType | None = UNSET
    place: Count | UnsetType | None = UNSET
    total: Count | UnsetType = UNSET
    percentile: Percentage | UnsetType | None = UNSET
    metadata: Raw | UnsetType = UNSET
    submitted_at: str | UnsetType | None = UNSET
    windows: dict[str, StandingInWindow | None] | UnsetType = UNSET
    metadata_damaged: bool | UnsetType = UNSET


class HeldEntry(HeldScore, frozen=True, rename="camel", kw_only=True):
    """A held score, its name and its metadata; ``metadata_damaged`` is true, or left out."""

    name: str
    metadata: Raw
    metadata_damaged: bool | UnsetType = UNSET


class HeldEntries(Struct, frozen=True):
    """Held scores, best first; ``next`` is the cursor of those behind, None at the end."""

    held: Annotated[list[HeldEntry], Meta(max_length=HELD_LISTED)]
    next: str | None


class NewRun(Struct, frozen=True, rename="camel"):
    """A run, and until when it is accepted."""

    run: str
    expires_at: str


class Page(Struct, frozen=True):
    """The entries of a page, best first; written by the store as JSON, read by clients."""

    leaderboard: list[Entry]


class ReadEntry(Struct, frozen=True, rename="camel", gc=False):
    """An entry with more about it than a page has; ``submitted_at`` is RFC 3339, in UTC, to the microsecond.

    What was asked for and is not there is null; ``metadata_damaged`` is there, and true, if that is why.
    """

    name: str
    score: Score
    rank: Count | UnsetType = UNSET
    place: Count | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    submitted_at: str | UnsetType | None = UNSET
    metadata_damaged: bool | UnsetType = UNSET


class Reading(Struct, frozen=True):
    """Entries with more about them than a page has; ``next`` is the cursor of the page behind, None at the end."""

    leaderboard: list[ReadEntry]
    next: str | UnsetType | None = UNSET
    missing: list[str] | UnsetType = UNSET
    total: Count | UnsetType = UNSET


class HiddenEntry(Struct, frozen=True, rename="camel", gc=False):
    """A hidden name with its entry, as in :class:`ReadEntry`; of one that has none, what was asked for is null."""

    name: str
    score: Score | None
    metadata: Raw | UnsetType = UNSET
    submitted_at: str | UnsetType | None = UNSET
    metadata_damaged: bool | UnsetType = UNSET


class HiddenNames(Struct, frozen=True):
    """Hidden names by their bytes; ``next`` is what to go on after, None at the end."""

    hidden: Annotated[list[HiddenEntry], Meta(max_length=HIDDEN_LISTED)]
    next: str | None


def percentile(better: int, total: int) -> float | None:
    """Return the percentage of entries that are no better than one that so many are better than."""
    return 100 * (total - better) / total if total else None


class ScoreRank(Struct, frozen=True):
    """The rank that a score would have, and the percentage of entries that are no better: None if there are none."""

    rank: Count
    percentile: Percentage | None

    @classmethod
    def of(cls, place: Place) -> ScoreRank:
        """Return the answer for a place."""
        return cls(place.rank, percentile(place.better, place.count))


class Receipt(Struct, frozen=True):
    """The answer to a submit that asked for a representation; ``hidden`` and ``held`` are true, or left out."""

    score: Score
    rank: Count | None
    previous: Standing | None
    changed: bool
    hidden: bool | UnsetType = UNSET
    held: bool | UnsetType = UNSET

    @classmethod
    def of(cls, change: Change) -> Receipt:
        """Return the answer for a change."""
        current, previous = change.current, change.previous
        held = change.held or UNSET
        if isinstance(current, HiddenStanding):
            previous = Standing(previous.score, None) if previous else None
            return cls(current.score, None, previous, change.counted, hidden=True, held=held)
        return cls(current.score, current.rank, previous, change.counted, held=held)


class Listed(Struct, frozen=True):
    """A board of the list of boards; ``declared`` tells whether it has a definition of its own.

    ``count`` is how many entries it has, if that was asked for.
    """

    name: str
    declared: bool
    definition: Definition
    count: Count | UnsetType = UNSET


class Listing(Struct, frozen=True):
    """Boards by their names; ``next`` is what to go on after, None at the end."""

    boards: Annotated[list[Listed], Meta(max_length=BOARDS_LISTED)]
    next: str | None


class Periods(Struct, frozen=True):
    """The periods of a board, by window and from the oldest; ``next`` is what to go on after, if there are more."""

    periods: Annotated[list[ListedPeriod], Meta(max_length=PERIODS_LISTED)]
    next: str | UnsetType = UNSET


class Asker(Struct, frozen=True):
    """Who asks, and what they may do; ``within`` are further patterns, one of which a board must match as well."""

    who: str
    scopes: list[Scope]
    boards: tuple[str, ...]
    expires: datetime | None
    within: tuple[str, ...] | UnsetType = UNSET


class ListedKey(Struct, frozen=True):
    """A key of the access file; of its secret nothing."""

    name: str
    scopes: tuple[Scope, ...]
    boards: tuple[str, ...]
    expires: datetime | None


class Keys(Struct, frozen=True):
    """Keys by their names; ``next`` is what to go on after, None at the end."""

    keys: Annotated[list[ListedKey], Meta(max_length=KEYS_LISTED)]
    next: str | None


class AuditRecords(Struct, frozen=True):
    """Records of the audit log, the newest first; ``next`` is what to go on before, None at the end."""

    records: Annotated[list[Record], Meta(max_length=AUDIT_RECORDS)]
    next: int | None


class WantedToken(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a request for a player's token; null is all boards that who asks has rights on."""

    name: str
    boards: list[str] | None = None
    seconds: int = DEFAULT_TOKEN_SECONDS


class GivenToken(Struct, frozen=True, rename="camel"):
    """A player's token."""

    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Return nothing of the token."""
        return f"<{type(self).__name__} until {self.expires_at}>"


class AnonymousToken(Struct, frozen=True, rename="camel"):
    """A new name, and the token of its player."""

    name: str
    token: str
    expires_at: datetime

    __repr__ = GivenToken.__repr__


class Readiness(Struct, frozen=True):
    """That submits can be kept, and what the operator should know all the same."""

    status: Literal["ok"]
    warnings: list[str] | UnsetType = UNSET


encode = msgspec.json.Encoder().encode
ABSENT_BODY = encode(StandingOfName())
