"""Which batches must stay in the journal although the snapshot has them: those that a copy has yet to read.

A hold is taken in one thread and looked at in the one that commits. That one ends a hold, whatever its reader does
meanwhile, when the journal has grown by too much since the hold moved last: nobody can keep the journal growing.
"""

from __future__ import annotations

from threading import Lock

EVERYTHING = 0
NOTHING = 2**63


class Holds:
    """The holds on one journal: batches before ``first`` may go.

    ``appended`` counts the bytes that were appended, ``limit`` is how many may be while a hold does not move.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.first = NOTHING
        self.appended = 0
        self._lock = Lock()
        self._held: dict[Hold, int] = {}

    def grew(self, size: int) -> None:
        """Count bytes that were appended, and end the holds that have not moved for too many."""
        self.appended += size
        if self._held:
            with self._lock:
                for hold in [hold for hold in self._held if hold.grown > self.limit]:
                    hold.is_over = True
                    del self._held[hold]
                self._find_first()

    def set(self, hold: Hold, lsn: int | None) -> None:
        """Keep the batches from a LSN on for a hold, unless it is over; with None, none any more."""
        with self._lock:
            self._held.pop(hold, None)
            if lsn is not None and not hold.is_over:
                self._held[hold] = lsn
            self._find_first()

    def _find_first(self) -> None:
        self.first = min(self._held.values(), default=NOTHING)


class Hold:
    """What one reader holds: all batches at first. ``is_over`` says that it was ended, for good."""

    def __init__(self, holds: Holds) -> None:
        self.is_over = False
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
