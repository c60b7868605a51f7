"""A board's definition: what the board promises, as it stands in a file, in a request, and on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

Order = Literal["descending", "ascending"]
Operator = Literal["latest", "best", "increment"]
Ties = Literal["name", "earliest", "latest"]
Ranking = Literal["ordinal", "competition", "dense"]
Score = int | float
"""A finite number, exactly a double. Whole scores are given back as ``int``."""

LONGEST_TTL_SECONDS = 10**9
UNITS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
"""What a time to live is counted in, in seconds."""


class Bounds(Struct, frozen=True, forbid_unknown_fields=True):
    """Which scores a board takes."""

    min: Score | None = None
    max: Score | None = None
    integer: bool = False


class Definition(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a board promises."""

    order: Order = "descending"
    operator: Operator = "latest"
    ties: Ties = "name"
    ranking: Ranking = "ordinal"
    scores: Bounds = Bounds()
    windows: tuple[str, ...] = ()
    time_zone: str = "UTC"
    keep: dict[str, int] = {}
    ttl: str | None = None

    @property
    def ttl_seconds(self) -> int | None:
        """How long the board stays after its last submit."""
        return int(self.ttl[:-1]) * UNITS[self.ttl[-1]] if self.ttl else None


PLAIN = Definition()


class BoardsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment declares: boards by their names, and what all other boards promise, or that there are none."""

    default: Definition = PLAIN
    boards: dict[str, Definition] = {}
    declared_only: bool = False


NO_FILE = BoardsFile()


class Stored(Struct, frozen=True):
    """What a board holds that a change of its definition may contradict; ``windows`` are those with periods."""

    entries: int
    low: Score
    high: Score
    is_whole: Callable[[], bool]
    windows: AbstractSet[str] = frozenset()


def contradiction(old: Definition, new: Definition, stored: Stored) -> str | None:
    """Tell why a board that holds entries under ``old`` cannot be ``new``, or give None where it can."""
    return next(_contradictions(old, new, stored), None)


def _contradictions(old: Definition, new: Definition, stored: Stored) -> Iterator[str]:
    if stored.entries or stored.windows:
        for field in ("order", "operator", "ties"):
            was, wanted = getattr(old, field), getattr(new, field)
            if was != wanted:
                yield f"it has entries that were kept with {field} {was!r}, not {wanted!r}; drop its entries first"
    if stored.windows and old.time_zone != new.time_zone:
        yield f"it has periods of the time zone {old.time_zone!r}, not {new.time_zone!r}; drop its periods first"
    for window in sorted(stored.windows - set(new.windows)):
        yield f"it has periods of the window {window!r}, which would go; drop these periods first"
    if stored.entries:
        yield from _out_of_bounds(new.scores, stored)


def _out_of_bounds(bounds: Bounds, stored: Stored) -> Iterator[str]:
    if bounds.min is not None and stored.low < bounds.min:
        yield f"it has the score {stored.low}, and scores.min would be {bounds.min}; remove such entries first"
    if bounds.max is not None and stored.high > bounds.max:
        yield f"it has the score {stored.high}, and scores.max would be {bounds.max}; remove such entries first"
    if bounds.integer and not stored.is_whole():
        yield "it has scores that are not whole, and scores.integer would be true; remove such entries first"
