"""What is measured of commits: how long they take, and what is in them.

The thread that commits adds to it, once a batch; any may read it.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from laurels.distribution import Distribution
from laurels.figures import SECONDS
from laurels.stores.embedded.sqlite_file import times_syncs
from laurels.stores.embedded.sync_clock import take_seconds

if TYPE_CHECKING:
    from laurels.figures import Figures
    from laurels.stores.embedded.batch import Batch, Failure

RECORDS = tuple(float(4**power) for power in range(9))
BYTES = tuple(float(64 * 4**power) for power in range(11))


class CommitFigures:
    """What is measured of the commits of one store."""

    def __init__(self) -> None:
        self._seconds = Distribution(SECONDS)
        self._records = Distribution(RECORDS)
        self._bytes = Distribution(BYTES)
        self._fsyncs = Distribution(SECONDS)
        self._failures = 0
        self._began = 0.0

    def begin(self) -> None:
        """Know that the commit of a batch begins."""
        take_seconds()
        self._began = monotonic()

    def add(self, batch: Batch, failure: Failure | None) -> None:
        """Count the commit of a batch, which ends now, or that it failed."""
        seconds = monotonic() - self._began
        if failure is not None:
            self._failures += 1
            return
        self._seconds.add(seconds)
        self._fsyncs.add(take_seconds())
        self._records.add(batch.taken)
        self._bytes.add(batch.size)

    def read(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {
            "commit_duration_seconds": self._seconds.read(),
            "commit_records": self._records.read(),
            "commit_bytes": self._bytes.read(),
            "commit_failures": self._failures,
            **({"commit_fsync_seconds": self._fsyncs.read()} if times_syncs() else {}),
        }
