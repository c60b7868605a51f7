"""A feed: the views of one connection, the events of them by number, and all who asked for the very same views."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING

from laurels.live.events import Event, Frames, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.live.subscribers import Subscriber
    from laurels.live.views import State
    from laurels.live.watched import WatchedView

RING = 64
"""How many events a feed keeps for those who come back."""


class Feed:
    """What connections show that asked for the same views.

    Its *name* is new in each process, and is part of every id: so an id of another process is unknown here.
    """

    def __init__(self, watched: Sequence[WatchedView]) -> None:
        self.watched = watched
        self.views = tuple(each.view for each in watched)
        self.subscribers: set[Subscriber] = set()
        self.joining: list[Subscriber] = []
        """Who is to get a page at the next tick."""
        self.left = 0.0
        """When the last subscriber left."""
        self._states: list[State] = []
        self._name = secrets.token_hex(6)
        self._number = 0
        self._ring: deque[Frames] = deque(maxlen=RING)
        self._page: Frames | None = None

    @property
    def may_differ(self) -> bool:
        """Whether a read may give something else by now than what was shown."""
        return any(
            watched.may_differ or watched.state is not state
            for watched, state in zip(self.watched, self._states, strict=True)
        )

    async def begin(self) -> None:
        """Read what it shows, if it never was; raise what a read of it raises."""
        if not self._states:
            states = [await watched.read() for watched in self.watched]
            self._states = self._states or states  # somebody may have been shown others meanwhile

    async def advance(self) -> Frames | None:
        """Read what it shows, and return the events that make that of what it showed before, None if there are none."""
        states = [await watched.read() for watched in self.watched]
        found = [
            (index, watched.find_event(before, state))
            for index, (watched, before, state) in enumerate(zip(self.watched, self._states, states, strict=True))
            if state is not before
        ]
        self._states = states
        if not found:
            return None
        self._number += 1
        self._page = None
        frames = self._frames(found)
        self._ring.append(frames)
        return frames

    def page(self) -> Frames:
        """Return all that it shows."""
        if self._page is None:
            self._page = self._frames([(index, whole(state)) for index, state in enumerate(self._states)])
        return self._page

    def events_since(self, ident: str) -> Sequence[Frames] | None:
        """Return the events after the one with an id; None if it is unknown, or too old."""
        name, _, number = ident.rpartition("-")
        if name != self._name or number not in map(str, range(self._number - len(self._ring), self._number + 1)):
            return None
        missed = self._number - int(number)
        return list(self._ring)[len(self._ring) - missed :]

    def _frames(self, events: Sequence[tuple[int, Event]]) -> Frames:
        is_alone = len(self.watched) == 1
        return Frames(f"{self._name}-{self._number}", [(None if is_alone else index, each) for index, each in events])
