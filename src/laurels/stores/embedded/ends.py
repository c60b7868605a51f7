"""When boards with a time to live may end.

A heap holds a moment for each, never later than it does end: if it had submits since, it is put back with its new end.
So submits cost no work in the heap. Boards that are gone stay in it until their moment, or until all are put anew.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SPARE_ENDS = 64
"""How many ends of boards that are gone there may be, besides one for each that is not."""


class Ends:
    """The boards, each by the earliest moment at which it may end."""

    __slots__ = ("_awaited", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._awaited: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, board: str, end: int) -> None:
        """Look at a board at a moment, unless that is done before."""
        if self._awaited.get(board, end + 1) > end:
            self._awaited[board] = end
            heappush(self._heap, (end, board))

    def put_anew(self, ends: Mapping[str, int]) -> None:
        """Look at these boards alone, at these moments."""
        self._awaited = dict(ends)
        self._heap = [(end, board) for board, end in ends.items()]
        heapify(self._heap)

    def are_many(self, boards: int) -> bool:
        """Return whether there are far more than this number of boards."""
        return len(self._heap) > SPARE_ENDS + 2 * boards

    def are_due(self, now: int) -> bool:
        """Return whether there is any to be looked at."""
        return bool(self._heap) and self._heap[0][0] <= now

    def take_due(self, now: int) -> Iterator[str | None]:
        """Take those that are to be looked at, and yield each; None for one that was put for an earlier moment since.

        Others may be put, or all anew, meanwhile.
        """
        while self.are_due(now):
            end, board = heappop(self._heap)
            is_awaited = self._awaited.get(board) == end
            if is_awaited:
                del self._awaited[board]
            yield board if is_awaited else None
