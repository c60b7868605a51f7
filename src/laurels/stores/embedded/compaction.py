"""When the journal is folded into the compact form, and the child process that does it.

A fold begins when the journal has grown past COMPACT_BYTES and past half the compact form, so that what is written
twice stays in proportion. The work is a process of its own (:mod:`laurels.stores.embedded.compact`): it costs the server no
lock and no memory, runs at the lowest priority, and can die at any moment without harm. What it has done counts
from the moment it moves its file into place, as far as it says there; the server then drops the folded rows from the
journal, a slice between two commits. A fold that failed is tried again later, and until then the journal grows.

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

from laurels.errors import LaurelsError
from laurels.stores.embedded.snapshot import Snapshot

if TYPE_CHECKING:
    from laurels.stores.embedded.directory import Directory
    from laurels.stores.embedded.journal import Journal

COMPACT_BYTES = 16 * 2**20
SPARE_BYTES = 4 * 2**20
"""What a fold must leave free, for the journal to go on meanwhile."""
POLL_SECONDS = 0.1
RETRY_SECONDS = 10.0

_log = logging.getLogger("laurels.stores")


class Compaction:
    """The folds of one directory, advanced by :meth:`step`."""

    def __init__(
        self, directory: Directory, journal: Journal, *, folded: int, backlog: int, compact_bytes: int
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._folded = folded
        self._backlog = backlog
        self._fold_bytes = compact_bytes
        self._child: subprocess.Popen[bytes] | None = None
        self._taken = 0
        self._not_before = 0.0
        self._measure()
        self._discard()

    def _measure(self) -> None:
        compact = self._directory.path / "boards.db"
        self._compact = compact.stat().st_size if compact.exists() else 0

    def _discard(self) -> None:
        (self._directory.path / "boards.db.new").unlink(missing_ok=True)

    def grew(self, size: int) -> None:
        """Count a batch that was appended."""
        self._backlog += size

    def step(self) -> float | None:
        """Do what is due, and tell in how many seconds to come again; None: when the journal has grown."""
        drop = self._journal.first < self._folded
        if not (self._child or drop or self._backlog > max(self._fold_bytes, self._compact // 2)):
            return None
        if (wait := self._not_before - time.monotonic()) > 0:
            return wait
        try:
            return self._watch(self._child) if self._child else self._advance(drop=drop)
        except (OSError, sqlite3.Error, LaurelsError) as error:
            return self._later(str(error))

    def _advance(self, *, drop: bool) -> float:
        if drop:
            self._journal.drop(self._folded)
            return 0.0
        needed, free = self._compact + self._backlog + SPARE_BYTES, disk_usage(self._directory.path).free
        if free < needed:
            return self._later(f"it needs {needed} bytes of space, and {free} are free")
        self._start()
        return POLL_SECONDS

    def _start(self) -> None:
        self._taken = self._backlog
        lock = self._directory.fold_lock()
        command = [
            sys.executable,
            "-P",
            "-m",
            "laurels.stores.embedded.compact",
            os.fspath(self._directory.path),
            str(self._journal.last),
        ]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, on the owner's directory
                command,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[lock],
                start_new_session=True,
            )
        finally:
            os.close(lock)

    def _watch(self, child: subprocess.Popen[bytes]) -> float:
        if child.poll() is None:
            return POLL_SECONDS
        self._child = None
        _, said = child.communicate()
        if child.returncode:
            self._discard()
            return self._later(said.decode(errors="replace").strip() or f"it ended with {child.returncode}")
        if not self._note_folded():
            self._not_before = time.monotonic() + RETRY_SECONDS
            return RETRY_SECONDS
        self._backlog -= self._taken
        self._measure()
        return 0.0

    def _note_folded(self) -> bool:
        before = self._folded
        with closing(Snapshot(self._directory.path / "boards.db")) as snapshot:
            self._folded = snapshot.seal.folded
        return self._folded > before

    def _later(self, problem: str) -> float:
        self._not_before = time.monotonic() + RETRY_SECONDS
        _log.warning("Compaction the journal failed and will be tried again: %s", problem)
        return RETRY_SECONDS

    def stop(self) -> None:
        """End a fold that is under way; what it did not finish it did not do."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
