"""Which batches must stay in the journal although the snapshot has them: those that a copy has yet to read.

A hold is taken in one thread and looked at in the one that commits, which reads one attribute.
"""

from __future__ import annotations

from threading import Lock

EVERYTHING = 0
NOTHING = 2**63


class Holds:
    """The holds on one journal; batches before ``first`` may go. ``appended`` counts the bytes that were appended."""

    def __init__(self) -> None:
        self.first = NOTHING
        self.appended = 0
        self._lock = Lock()
        self._held: dict[Hold, int] = {}

    def set(self, hold: Hold, lsn: int | None) -> None:
        """Keep the batches from a LSN on for a hold, or none any more."""
        with self._lock:
            self._held.pop(hold, None)
            if lsn is not None:
                self._held[hold] = lsn
            self.first = min(self._held.values(), default=NOTHING)


class Hold:
    """What one reader holds: all batches at first."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self._appended = holds.appended
        holds.set(self, EVERYTHING)

    @property
    def grown(self) -> int:
        """How many bytes were appended since it moved."""
        return self._holds.appended - self._appended

    def move(self, lsn: int) -> None:
        """Hold the batches from a LSN on."""
        self._appended = self._holds.appended
        self._holds.set(self, lsn)

    def release(self) -> None:
        """Hold nothing more."""
        self._holds.set(self, None)
