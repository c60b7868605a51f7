"""A leaderboard: numbered elements in order of their scores, on the ranking index.

Elements of the same score are in the order of their ids as text (1, 10, 2), as Momento's documentation says. It is
*assumed* that descending is the exact reverse.
"""

from __future__ import annotations

from math import inf, nextafter
from typing import TYPE_CHECKING, NamedTuple

from laurels.ranking import Index

if TYPE_CHECKING:
    from collections.abc import Iterable


class Ranked(NamedTuple):
    """An element with its rank, from 0."""

    id: int
    rank: int
    score: float


class Leaderboard:
    """Elements by their ids; ranks are ordinal, unless they are called competition ranks."""

    def __init__(self) -> None:
        self._index = Index(descending=False)

    def __len__(self) -> int:
        return len(self._index)

    def put(self, number: int, score: float) -> None:
        """Set the score of an element. O(log n)."""
        self._index.put(str(number), score)

    def remove(self, number: int) -> None:
        """Remove an element, if it is there. O(log n)."""
        self._index.remove(str(number))

    def by_rank(self, start: int, stop: int, *, descending: bool) -> list[Ranked]:
        """Return the elements at those ranks. O(log n + elements)."""
        size = len(self._index)
        stop = min(stop, size)
        if start >= stop:
            return []
        entries = self._index.page(size - stop, size - start)[::-1] if descending else self._index.page(start, stop)
        return [Ranked(int(name), rank, score) for rank, (name, score) in enumerate(entries, start)]

    def by_score(self, low: float, high: float, offset: int, limit: int, *, descending: bool) -> list[Ranked]:
        """Return elements with scores from ``low`` to below ``high``, after ``offset`` others. O(log n + elements)."""
        first, stop = self._index.places(low, high if high == inf else nextafter(high, -inf))
        if descending:
            first, stop = len(self._index) - stop, len(self._index) - first
        return self.by_rank(first + offset, min(first + offset + limit, stop), descending=descending)

    def ranks(self, numbers: Iterable[int], *, descending: bool) -> list[Ranked]:
        """Return those of some elements that are there, in the order in which they are asked for. O(log n) each."""
        return [
            Ranked(number, self._place(number, descending=descending), score) for number, score in self._find(numbers)
        ]

    def competition_ranks(self, numbers: Iterable[int], *, descending: bool) -> list[Ranked]:
        """Return the same, but elements of one score have one rank: the number of those before them. O(log n) each."""
        return [
            Ranked(number, self._number_before(score, descending=descending), score)
            for number, score in self._find(numbers)
        ]

    def _find(self, numbers: Iterable[int]) -> list[tuple[int, float]]:
        scores = ((number, self._index.score(str(number))) for number in numbers)
        return [(number, score) for number, score in scores if score is not None]

    def _place(self, number: int, *, descending: bool) -> int:
        place = self._index.place_of(str(number)) or 0
        return len(self._index) - 1 - place if descending else place

    def _number_before(self, score: float, *, descending: bool) -> int:
        first, stop = self._index.places(score, score)
        return len(self._index) - stop if descending else first
