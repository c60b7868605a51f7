"""When the journal is compacted into the snapshot, and the child process that does it.

A compaction begins when the journal has grown past COMPACT_BYTES and past half the snapshot, so that what is written
twice stays in proportion. The work is done by a process of its own (:mod:`laurels.stores.embedded.compact`): it costs
the server no lock and no memory, runs at the lowest priority, and can die at any moment without harm. What it has done
counts from the moment it renames its file into place, as far as the file says; the server then drops these rows from
the journal, a few between two commits, unless a copy has yet to read them (:mod:`.holds`), and gives back to the disk
what the journal will not need before the next one. A compaction that failed is tried again later, and until then the
journal grows.

All of this happens in the thread that commits, in steps that take no longer than a commit.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from shutil import disk_usage
from typing import TYPE_CHECKING

from laurels.distribution import Distribution
from laurels.errors import LaurelsError
from laurels.stores.embedded.directory import sync_directory
from laurels.stores.embedded.snapshot import Snapshot

if TYPE_CHECKING:
    from laurels.figures import Figures
    from laurels.stores.embedded.directory import Directory
    from laurels.stores.embedded.holds import Holds
    from laurels.stores.embedded.journal import Journal

COMPACT_BYTES = 16 * 2**20
SPARE_BYTES = 4 * 2**20
"""What a compaction must leave free, for the journal to go on meanwhile."""
POLL_SECONDS = 0.1
RETRY_SECONDS = 10.0
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Bounds of the histogram of how long compactions take."""

_log = logging.getLogger("laurels.stores")


class Compaction:
    """The compactions of one directory, one after the other, advanced by :meth:`step`.

    ``compacted_upto`` is the LSN up to which the snapshot holds the journal, ``backlog`` the bytes past it. ``failure``
    is why the last one failed, until one succeeds; ``lost`` how much metadata they found damaged or missing, and left
    out. All three may be read in another thread.
    """

    def __init__(  # noqa: PLR0913 - what a recovery found
        self,
        directory: Directory,
        journal: Journal,
        *,
        compacted_upto: int,
        backlog: int,
        compact_bytes: int,
        holds: Holds,
    ) -> None:
        self.holds = holds
        self.holds.grew(backlog)
        self._directory = directory
        self._journal = journal
        self._compacted_upto = compacted_upto
        self.backlog = backlog
        self._compact_bytes = compact_bytes
        self.failure: str | None = None
        self.lost = 0
        self._may_give_back = True
        self._child: subprocess.Popen[bytes] | None = None
        self._begun = 0.0
        self._seconds = Distribution(SECONDS)
        self._failures = 0
        self._backlog_at_start = 0
        self._not_before = 0.0
        self._snapshot = directory.path / "boards.db"
        self._snapshot_bytes = 0
        if self._snapshot.exists():
            self._remember_snapshot()
        self._discard_unfinished()

    def _remember_snapshot(self) -> None:
        self._directory.names.remember(self._snapshot)
        self._snapshot_bytes = self._snapshot.stat().st_size

    def _discard_unfinished(self) -> None:
        (self._directory.path / "boards.db.new").unlink(missing_ok=True)

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        seconds = self._seconds.read()
        return {
            "backlog_bytes": self.backlog,
            "snapshot_bytes": self._snapshot_bytes,
            "compactions": seconds.counts[-1],
            "compaction_duration_seconds": seconds,
            "compaction_failures": self._failures,
            "compaction_running": self._child is not None,
            "compaction_failing": self.failure is not None,
            "metadata_lost": self.lost,
        }

    def grew(self, size: int) -> None:
        """Count a batch that was appended."""
        self.backlog += size
        self.holds.grew(size)

    def step(self) -> float | None:
        """Do what is due, and return in how many seconds to come again; None: when the journal has grown."""
        drop = self._journal.first < self._droppable
        if not (self._child or drop or self._may_give_back or self.backlog > self._allowed):
            return None
        if (wait := self._not_before - time.monotonic()) > 0:
            return wait
        try:
            return self._watch(self._child) if self._child else self._advance(drop=drop)
        except (OSError, sqlite3.Error, LaurelsError) as error:
            return self._retry_later(str(error))

    @property
    def _droppable(self) -> int:
        """Before which LSN rows may go. That of the last compacted one stays, for the file to know its last."""
        return min(self._compacted_upto, self.holds.first)

    @property
    def _allowed(self) -> int:
        """How far the journal may grow before it is compacted."""
        return max(self._compact_bytes, self._snapshot_bytes // 2)

    def _advance(self, *, drop: bool) -> float:
        if drop:
            upto = self._droppable
            self._journal.drop(upto)
            _log.debug("The journal is dropped up to its row %d", upto)
            self._may_give_back = True
            self.failure = None
            return 0.0
        if self._may_give_back:
            self._may_give_back = self._journal.give_back(self._allowed)
            return 0.0
        needed, free = self._snapshot_bytes + self.backlog + SPARE_BYTES, disk_usage(self._directory.path).free
        if free < needed:
            return self._retry_later(f"it needs {needed} bytes of space, and {free} are free")
        self._start()
        return POLL_SECONDS

    def _start(self) -> None:
        self._backlog_at_start, self._begun = self.backlog, time.monotonic()
        _log.debug("A compaction begins: %d bytes of the journal, up to row %d", self.backlog, self._journal.last)
        self._directory.names.forget(self._snapshot, may_change=True)
        lock = self._directory.lock_compaction()
        command = [
            sys.executable,
            "-P",  # nothing is imported from the working directory, which may be anybody's
            "-m",
            "laurels.stores.embedded.compact",
            os.fspath(self._directory.path),
            str(self._journal.last),
            str(lock),
        ]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, on the owner's directory
                command,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,  # never written to: the child ends when this end is closed
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[lock],  # inherited already locked, and held for as long as the child lives
                start_new_session=True,  # a Ctrl-C at the terminal is for the server, which stops its child itself
            )
        finally:
            os.close(lock)

    def _watch(self, child: subprocess.Popen[bytes]) -> float:
        if child.poll() is None:
            return POLL_SECONDS
        self._child = None
        _, said = child.communicate()
        self._discard_unfinished()
        before = self._compacted_upto
        if self._snapshot.exists():
            self._take_snapshot()  # whatever the child says: it may have died at the very end
        took, size, upto = time.monotonic() - self._begun, self._snapshot_bytes, self._compacted_upto
        _log.debug("A compaction ended after %.2f s: the snapshot has %d bytes, up to row %d", took, size, upto)
        if self._compacted_upto > before:
            self.backlog -= self._backlog_at_start
        if child.returncode:
            return self._retry_later(said.decode(errors="replace").strip() or f"it ended with {child.returncode}")
        self.failure = None
        if self._compacted_upto > before:
            self._seconds.add(time.monotonic() - self._begun)
            return 0.0
        self._not_before = time.monotonic() + RETRY_SECONDS  # it must wait for answers, which come with later batches
        return RETRY_SECONDS

    def _take_snapshot(self) -> None:
        """Count what a compaction has left, if its name is on the disk and it is of this journal."""
        self._remember_snapshot()
        with closing(Snapshot(self._snapshot)) as snapshot:
            snapshot.check_history(self._journal)
            sync_directory(self._directory.path)
            self._compacted_upto = snapshot.footer.compacted_upto
            if snapshot.footer.lost > self.lost:
                self.lost = snapshot.footer.lost
                _log.error("Metadata of %d entries is damaged or missing; the entries are there", self.lost)

    def _retry_later(self, problem: str) -> float:
        self.failure = problem
        self._failures += 1
        self._not_before = time.monotonic() + RETRY_SECONDS
        _log.warning("The journal could not be compacted, which will be tried again: %s", problem)
        return RETRY_SECONDS

    def stop(self) -> None:
        """End a compaction that is under way; what it did not finish has not happened."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
