"""One soak that runs: its time, its chance, its place, and what it tells meanwhile."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Figures = dict[str, int | float | str]
TELL_SECONDS = 10


class Run:
    """What a soak gets: an empty directory, seeded chance, and how long it has."""

    def __init__(self, directory: Path, seconds: float, seed: int, tell: Callable[[str], None]) -> None:
        self.directory = directory
        self.seconds = seconds
        self.random = Random(seed)
        self._tell = tell
        self._start = self._told = time.monotonic()

    def goes_on(self, **progress: object) -> bool:
        """Return whether there is time left; tell the progress now and then."""
        now = time.monotonic()
        if now >= self._told + TELL_SECONDS:  # pragma: no cover - it is shorter in the suite
            self._told = now
            self._tell(", ".join(f"{name} {value}" for name, value in progress.items()))
        return now < self._start + self.seconds
