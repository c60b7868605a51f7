"""Order and time are two things: by how much the order of writes has been ahead of the wall clock.

A *tick* is the microsecond at which a batch was written, by the wall clock. Ticks never go back
(:class:`laurels.stores.embedded.commits.Ticks`): if the wall clock does, they are ahead of it by an *offset* from then
on. A tick of before the last change of the offset had the time that the clock showed then, as far as that can be.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

from laurels.clock import SECOND

OFFSETS = 100
"""How many changes of the offset are known. Of more, the shortest time between two is forgotten."""


class Offsets(list[tuple[int, int]]):
    """Each change of the offset: the tick from which it holds, and its microseconds."""

    __slots__ = ()

    @property
    def current(self) -> int:
        """By how many microseconds ticks are ahead of the wall clock."""
        return self[-1][1] if self else 0

    def add(self, tick: int, offset: int) -> None:
        """Let an offset hold from a tick on."""
        self.append((tick, offset))
        if len(self) > OFFSETS:
            ticks = [first for first, _ in self]
            del self[min(range(OFFSETS), key=lambda place: ticks[place + 1] - ticks[place])]

    def time_of(self, tick: int, now: int) -> int:
        """Return the time of a tick, in microseconds since the epoch; ``now`` is that of today.

        Of the time that the wall clock showed then and the one that it would have shown, if it had been as it is now,
        it is the later. If that is still to come, all that is known is that it was before the last change.
        """
        if not self:
            return tick
        first, offset = self[-1]
        if tick >= first:
            return tick - offset
        place = bisect_right(self, tick, key=itemgetter(0))
        shown = tick - (self[place - 1][1] if place else 0)
        latest = max(shown, tick - offset)
        return latest if latest <= now + SECOND else first - offset

    def tick_of(self, time: int) -> int:
        """Return the tick that has a time, as far as one has: then :meth:`time_of` returns that again."""
        latest, last = None, self.current
        for first, offset in (*reversed(self), (0, 0)):
            tick = time + min(offset, last)
            if tick >= first:
                return tick if latest is None else min(tick, latest)
            latest = first - 1
        return 0
