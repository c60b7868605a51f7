"""What somebody looks at: a view of a board, and what it shows at one moment.

A view is a value: views that are the same are equal, and share one computation however many look on. What it shows is
read by the rules of every other read, so that a client which applies the events has what a fresh read gives.
"""

from __future__ import annotations

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING

from msgspec import UNSET, Raw, Struct, UnsetType

from laurels.stores.contract import Score  # noqa: TC001 - a field of a struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.boards import Boards
    from laurels.stores.contract import Board, Ranked

TTL_LOOKS = 1.0
"""How often, in seconds, it is looked whether a board with a time to live has ended: nothing tells of that."""


class Shown(Struct, frozen=True, gc=False):
    """An entry as a view shows it."""

    name: str
    score: Score
    rank: int
    place: int
    metadata: Raw | UnsetType = UNSET


class Page(Struct, frozen=True):
    """What a view of entries shows: them, how many the board has, and of a window which period it is."""

    leaderboard: tuple[Shown, ...]
    total: int
    period: str | UnsetType = UNSET


class View(Struct, frozen=True):
    """A view of a board, or of the current period of a window of it."""

    board: str
    window: str | None = None

    def find(self, boards: Boards) -> Board:
        """Return the board or the period as it is now; raise BadParameter if there is no such window."""
        return boards.board(self.board) if self.window is None else boards.period_of(self.board, self.window, None)

    def due(self, boards: Boards, where: Board) -> float:
        """Return the instant at which it may show something else although nobody has changed the board."""
        ends = boards.period_end(where) if where.window else inf
        return ends if where.definition.ttl_seconds is None else min(ends, boards.now() + TTL_LOOKS)

    @abstractmethod
    async def read(self, boards: Boards, where: Board, before: Page | None) -> Page:
        """Return what it shows now, by a read of a board that :meth:`find` has just found."""


class PageView(View, frozen=True):
    """The entries at some places."""

    start: int = 0
    stop: int = 0
    with_metadata: bool = False

    async def read(self, boards: Boards, where: Board, _: Page | None) -> Page:
        """Return what it shows now."""
        found = await boards.page(where, self.start, self.stop, with_metadata=self.with_metadata)
        total = await boards.count(where)
        return show(where, found.entries, range(self.start, self.stop), total, with_metadata=self.with_metadata)


def show(where: Board, entries: Sequence[Ranked], places: Sequence[int], total: int, *, with_metadata: bool) -> Page:
    """Return entries as they are shown."""
    shown = (
        Shown(each.name, each.score, each.rank, place, Raw(each.metadata or b"null") if with_metadata else UNSET)
        for each, place in zip(entries, places, strict=False)
    )
    return Page(tuple(shown), total, where.period or UNSET)
