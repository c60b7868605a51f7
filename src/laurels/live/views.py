"""What somebody looks at: a view of a board, and what it shows at one moment.

A view is a value: views that are the same are equal, and share one computation however many look on. What it shows is
read by the rules of every other read, so that a client which applies the events has what a fresh read gives.
"""

from __future__ import annotations

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from laurels.stores.contract import HiddenStanding, Score

if TYPE_CHECKING:
    from laurels.boards import Boards
    from laurels.stores.contract import Board, Entries

TTL_SECONDS = 1.0
"""How often it is looked whether a board with a time to live has ended: nothing tells of that."""
ABOVE = 20
"""How many names just above one are remembered, to know who has passed it."""


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


class OneStanding(Struct, frozen=True):
    """What a view of one name shows; ``above`` are the names just above it, the nearest last, and ``better`` how many.

    How many are better is None in a store that cannot tell, or without a rank.
    """

    score: Score
    rank: int | None
    is_hidden: bool
    better: int | None
    above: tuple[str, ...]


State: TypeAlias = Page | OneStanding
"""What a view shows at one moment."""


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
        return ends if where.definition.ttl_seconds is None else min(ends, boards.now() + TTL_SECONDS)

    @abstractmethod
    async def read(self, boards: Boards, where: Board, before: State | None) -> State:
        """Return what it shows now of what :meth:`find` has just found; ``before`` itself if that is the same."""


class PageView(View, frozen=True):
    """The entries at some places."""

    start: int = 0
    stop: int = 0
    with_metadata: bool = False

    async def read(self, boards: Boards, where: Board, before: State | None) -> State:
        """Return a page."""
        metadata = self.with_metadata
        found = await boards.page(where, self.start, self.stop, with_metadata=metadata, with_places=True)
        return _show(where, found.entries, before, with_metadata=metadata)


class AroundView(View, frozen=True):
    """A name and its neighbours: so many on either side, or so many in all."""

    name: str = ""
    span: int = 0
    limit: int | None = None
    with_metadata: bool = False

    async def read(self, boards: Boards, where: Board, before: State | None) -> State:
        """Return the entries; raise NotOnBoard."""
        metadata = self.with_metadata
        found = await boards.around(where, self.name, self.span, self.limit, with_metadata=metadata, with_places=True)
        return _show(where, found, before, with_metadata=metadata)


class StandingView(View, frozen=True):
    """The standing of one name, which need not be there."""

    name: str = ""

    async def read(self, boards: Boards, where: Board, before: State | None) -> State:
        """Return the standing."""
        found = await boards.standing_in_full(where, self.name)
        score, rank = (0, None) if found.standing is None else (found.standing.score, found.standing.rank)
        is_hidden = isinstance(found.standing, HiddenStanding)
        if isinstance(before, OneStanding) and (before.score, before.rank, before.is_hidden) == (
            score,
            rank,
            is_hidden,
        ):
            return before
        above: tuple[str, ...] = ()
        if found.better:
            page = await boards.page(where, max(0, found.better - ABOVE), found.better)
            above = tuple(entry.name for entry in page.entries)
        return OneStanding(score, rank, is_hidden, found.better, above)


def _show(where: Board, found: Entries, before: State | None, *, with_metadata: bool) -> State:
    shown = (
        Shown(each.name, each.score, each.rank, place, Raw(each.metadata or b"null") if with_metadata else UNSET)
        for each, place in zip(found, found.places, strict=True)
    )
    page = Page(tuple(shown), found.total, where.period or UNSET)
    return before if before is not None and before == page else page
