"""What is looked at: boards, and views of them, each read once however many feeds show it."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from laurels.live.events import Event, find_event

if TYPE_CHECKING:
    from laurels.boards import Boards
    from laurels.live.views import State, View


class WatchedBoard:
    """A board that somebody looks at. What changes it only counts here: that is all that a submit pays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.views: set[WatchedView] = set()
        self.feeds: set[tuple[View, ...]] = set()
        """Those that have a view of it, by their views."""
        self.changes = 0
        self.served = 0
        """How many of the changes the feeds have shown."""
        self.due = inf
        """The first instant at which a view of it may show something else without a change."""
        self.is_polled = False

    def mark(self) -> None:
        """Know that it may have changed."""
        self.changes += 1


class WatchedView:
    """A view that somebody looks at, and the newest state of it that was read."""

    def __init__(self, view: View, board: WatchedBoard, boards: Boards) -> None:
        self.view = view
        self.board = board
        self.feeds = 0
        """How many show it."""
        self.state: State | None = None
        self._boards = boards
        self._seen = -1
        self._due = -inf
        self._reading = asyncio.Lock()
        self._last: tuple[State, State, Event] | None = None

    @property
    def may_differ(self) -> bool:
        """Whether it may show something else by now than when it was read."""
        return self._seen != self.board.changes or self._boards.now() >= self._due

    async def read(self) -> State:
        """Return what it shows now; raise what a read raises."""
        async with self._reading:
            if self.state is None or self.may_differ:
                changes = self.board.changes  # before: one that comes meanwhile is read the next time
                where = self.view.find(self._boards)
                due = self.view.due(self._boards, where)
                self.state = await self.view.read(self._boards, where, self.state)
                self._seen, self._due = changes, due
                self.board.due = min(self.board.due, due)
            assert self.state is not None  # noqa: S101 - it was read
            return self.state

    def find_event(self, before: State, after: State) -> Event:
        """Return what makes of a state that was read a later one; nearly all who ask have shown the same one."""
        if self._last is None or self._last[0] is not before or self._last[1] is not after:
            self._last = before, after, find_event(before, after)
        return self._last[2]
