"""A clock that tests set."""

from __future__ import annotations

import pytest

from laurels import clock as clocks


class Clock(clocks.Clock):
    """A settled clock whose time passes only when a test sets ``now``; :meth:`turn` makes the wall clock jump."""

    def __init__(self, now: float = 1_000_000.0, boot: str = "tests") -> None:
        self._turned = 0.0
        self.now = now - clocks.SETTLE_SECONDS
        super().__init__(lambda: self.now, lambda: self.now - self._turned, boot=boot, earliest=0)
        self.now = now

    def turn(self, seconds: float) -> None:
        """Put the wall clock forward or back, while no time passes."""
        self._turned += seconds
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """Return a clock for the test to set."""
    return Clock()
