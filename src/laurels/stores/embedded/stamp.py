"""What a submission brings besides a name and a score, and how an entry keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from laurels.definition import Operator, Score
    from laurels.ranking import Index
    from laurels.ranking.index import Row
    from laurels.stores.contract import Feed


class Stamp(NamedTuple):
    """What a submission brings besides a name and a score."""

    sequence: int
    equal: Collection[int] | None = None
    """The sequences under which its very metadata is kept; None: it is new, whatever is kept."""
    time: int | None = None
    """When it counts as of, in microseconds since the epoch; None: now."""
    operator: Operator | None = None
    """By which it counts, if not by the board's."""
    run: bytes | None = None
    tick: int = -1
    """What it counts as of, if that is known rather than its time."""
    is_guarded: bool = True


class Dated(Protocol):
    """The time that a submission counts as of, in microseconds since the epoch, and the periods that it feeds."""

    @property
    def time(self) -> int:
        """The time."""

    @property
    def feeds(self) -> Sequence[Feed]:
        """The periods."""


def tick_of(row: Row) -> int:
    """Return the tick that an entry counts as of, by its row in an index."""
    _, _, _, sequence, *date = row
    return date[0] if date else sequence >> 1


def replace(index: Index, name: str, score: Score, sequence: int, tick: int) -> int:
    """Give a name this very entry, whatever the operator of an index; return what its :meth:`Index.submit` does."""
    was_there = index.remove(name)
    return index.submit(name, score, sequence, False, False, tick) - was_there  # noqa: FBT003
