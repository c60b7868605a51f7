"""How late the event loop is: how long a request may wait for its turn.

A timer looks each 50 ms by how much it is late. What keeps the loop for longer than that is always seen, what keeps it
for less only at times.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from laurels.distribution import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.figures import Figures

LOOK_SECONDS = 0.05
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PART_SECONDS, PARTS = 10.0, 6
"""The longest lag is that of the last minute or so: of this part of it and of so many before."""


class LoopLag:
    """Measures the running loop inside :meth:`watching`."""

    def __init__(self) -> None:
        self._lags = Distribution(BOUNDS)
        self._longest = deque([0.0], PARTS + 1)
        self._part_ends = 0.0

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {
            "event_loop_lag_seconds": self._lags.read(),
            "event_loop_longest_lag_seconds": max(self._longest),
        }

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the loop inside."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle
        due = monotonic() + LOOK_SECONDS  # the loop's own clock has milliseconds

        def look() -> None:
            nonlocal due, timer
            now = monotonic()
            self._note(now, max(0.0, now - due))
            due = now + LOOK_SECONDS
            timer = loop.call_later(LOOK_SECONDS, look)

        timer = loop.call_later(LOOK_SECONDS, look)
        try:
            yield
        finally:
            timer.cancel()

    def _note(self, now: float, lag: float) -> None:
        self._lags.add(lag)
        if now > self._part_ends:
            self._part_ends = now + PART_SECONDS
            self._longest.append(lag)
        else:
            self._longest[-1] = max(self._longest[-1], lag)
