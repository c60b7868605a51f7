"""A sorted set: values of any bytes, in order of their scores, on the ranking index."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, isnan, nextafter
from typing import TYPE_CHECKING

from laurels.momento_local.errors import BadArgument
from laurels.momento_local.values import SHORT, LongValues, short_name
from laurels.ranking import Index

if TYPE_CHECKING:
    from collections.abc import Iterable

SCORE_BYTES = 8
"""What a score counts in the size of a set, beside its value (*assumed*)."""


@dataclass(frozen=True, slots=True)
class Range:
    """The scores from ``low`` to ``high``, both included unless ``low_out`` or ``high_out``."""

    low: float = -inf
    high: float = inf
    low_out: bool = False
    high_out: bool = False

    def __post_init__(self) -> None:
        if isnan(self.low) or isnan(self.high):
            raise BadArgument("A bound of the scores is not a number: give one, or leave it unbounded.")


class SortedSet:
    """Values and their scores.

    The order is by score, then by the bytes of the value; descending is the exact reverse. The whole
    set counts as missing from the time ``expires`` on.
    """

    kind = "sorted set"

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.size = 0
        self._index = Index(descending=False)
        self._long = LongValues()

    def __len__(self) -> int:
        return len(self._index)

    def put(self, value: bytes, score: float) -> None:
        """Set the score of a value; raise BadArgument if it is not finite. O(log n)."""
        before = len(self._index)
        self._index.put(self._find(value) or self._take(value), finite(score))
        if len(self._index) > before:
            self.size += len(value) + SCORE_BYTES

    def size_with(self, values: Iterable[bytes]) -> int:
        """Return the size in bytes that the set would have with some more values."""
        return self.size + sum(len(value) + SCORE_BYTES for value in set(values) if self.score(value) is None)

    def score(self, value: bytes) -> float | None:
        """Return the score of a value, or None if it is missing. O(1)."""
        name = self._find(value)
        return None if name is None else self._index.score(name)

    def rank(self, value: bytes, *, descending: bool) -> int | None:
        """Return the rank of a value, or None if it is missing. O(log n)."""
        name = self._find(value)
        place = None if name is None else self._index.place_of(name)
        if place is None:
            return None
        return len(self._index) - 1 - place if descending else place

    def remove(self, value: bytes) -> None:
        """Remove a value, if it is there. O(log n)."""
        name = self._find(value)
        if name is None or not self._index.remove(name):
            return
        self.size -= len(value) + SCORE_BYTES
        if len(name) > SHORT:
            self._long.drop(value)

    def page(self, start: int, stop: int, *, descending: bool) -> list[tuple[bytes, float]]:
        """Return the values at those ranks, negative ones counted from the end. O(log n + values)."""
        size = len(self._index)
        start, stop, _ = slice(start, stop).indices(size)
        if not descending:
            return self._values(self._index.page(start, stop))
        return self._values(self._index.page(size - stop, size - start))[::-1]

    def entries_between(self, scores: Range, offset: int, count: int, *, descending: bool) -> list[tuple[bytes, float]]:
        """Skip ``offset`` values with those scores and return the next ``count``, all if it is negative."""
        first, found = self._between(scores)
        count = found if count < 0 else count
        if descending:
            first = len(self._index) - first - found
        start = first + min(offset, found)
        return self.page(start, min(start + count, first + found), descending=descending)

    def count_between(self, scores: Range) -> int:
        """Return the number of values with those scores. O(log n)."""
        return self._between(scores)[1]

    def entries(self) -> Iterable[tuple[bytes, float]]:
        """Return all values, in ascending order."""
        return self._values(self._index.page(0, len(self._index)))

    def check(self) -> None:
        """Raise AssertionError if an invariant does not hold. O(n)."""
        self._index.check()
        self._long.check()
        if sum(len(value) + SCORE_BYTES for value, _ in self.entries()) != self.size:
            raise AssertionError("the size is not that of the values")
        if sum(len(name) > SHORT for name, _ in self._index.page(0, len(self))) != len(self._long):
            raise AssertionError("the index has other long values than are named")

    def _between(self, scores: Range) -> tuple[int, int]:
        """Return the ascending rank of the first value with those scores, and how many there are."""
        low, high = _bound(scores.low, inf, out=scores.low_out), _bound(scores.high, -inf, out=scores.high_out)
        first, stop = self._index.places(low, high)
        return first, stop - first

    def _find(self, value: bytes) -> str | None:
        """Return the name that a value has or would have; None for a long value that is missing."""
        name = short_name(value)
        return name if len(name) <= SHORT else self._long.find(value)

    def _take(self, value: bytes) -> str:
        """Name a long value that is missing."""
        renamed = self._long.take(value)
        # All old names go before the new ones come: a new name may be another value's old one.
        scores = [self._index.score(old) for old, _ in renamed]
        for old, _ in renamed:
            self._index.remove(old)
        for (_, new), score in zip(renamed, scores, strict=True):
            self._index.put(new, score or 0)
        return self._long.find(value) or ""

    def _values(self, entries: list[tuple[str, int | float]]) -> list[tuple[bytes, float]]:
        return [(self._value(name), score) for name, score in entries]

    def _value(self, name: str) -> bytes:
        if len(name) > SHORT:
            return self._long.value(name)
        return name[name[0] == "\0" :].encode("latin-1")


def finite(score: float) -> float:
    """Return the score if it is finite; raise BadArgument if not."""
    if not isfinite(score):
        raise BadArgument(f"The score {score} is not finite: give a number.")
    return score


def _bound(score: float, towards: float, *, out: bool) -> float:
    """Return the bound as an included one: if it is excluded, the next double."""
    return nextafter(score, towards) if out else score
