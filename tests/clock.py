"""A clock for tests of what time does."""

from __future__ import annotations

import pytest


class Clock:
    """Stands still until it is moved."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the seconds since the epoch."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()
