"""A clock that tests set."""

from __future__ import annotations

import pytest


class Clock:
    """A clock whose time changes only when a test sets ``now``."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Return the seconds since the epoch."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock for the test to set."""
    return Clock()
