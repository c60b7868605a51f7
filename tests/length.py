"""How long tests are that repeat what chance chooses: short in the suite, longer in `make soak`."""

from __future__ import annotations

import os

LENGTH = int(os.environ.get("LAURELS_LENGTH", "1"))


def times(count: int) -> int:
    """Return how often a test does something that it does ``count`` times in the suite."""
    return count * LENGTH
