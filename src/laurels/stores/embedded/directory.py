"""The data directory: who owns it, and how far its journal has come.

    journal.db   what was acknowledged since the last fold; written by the owner alone
    boards.db    everything before that, compact; replaced as a whole by a fold
    lock         held by the owner; holds its process id, and the mark
    folding      held by a fold as long as it lives

**Locks** are ``flock``: the kernel lets go of them when their holder dies, however it dies. Only a fold that is
just being started shares its parent's for an instant, so a lock whose owner is dead is waited for. A fold
inherits its lock ready made, so that there is no moment in which an orphan runs unlocked; the next owner waits
until it is gone.

**The mark** is the number of the last batch that was acknowledged. SQLite takes a write-ahead log whose end is
missing for one that was never longer; the mark, in another file, knows better. It is written after each commit
and not synced: it outlives the process at once, and a loss of power some seconds later. Being written after the
commit it can be behind, never ahead.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING

from laurels.errors import DirectoryInUse

if TYPE_CHECKING:
    from pathlib import Path

PID_WIDTH, MARK_WIDTH = 10, 20
ORPHAN_SECONDS = 5.0


def sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_alive(process: int | None) -> bool:
    """Tell whether there is such a process, as far as can be seen from here; None is taken for one that is."""
    try:
        os.kill(process or os.getpid(), 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


class Directory:
    """A data directory owned by this process, made if it was missing.

    ``reached`` is the mark as it was found, 0 where there was none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            sync(path.parent)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._claim()
        except BaseException:
            os.close(self._lock)
            raise

    def _claim(self) -> None:
        deadline = time.monotonic() + ORPHAN_SECONDS
        while not self._try_lock():
            owner = self._read()[0]
            if is_alive(owner) or time.monotonic() > deadline:
                raise DirectoryInUse(self.path, owner)
            time.sleep(0.01)
        self.reached = self._read()[1]
        os.pwrite(self._lock, b"%-*d\n%-*d\n" % (PID_WIDTH, os.getpid(), MARK_WIDTH, self.reached), 0)
        os.close(self.fold_lock())

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> tuple[int | None, int]:
        words = os.pread(self._lock, PID_WIDTH + MARK_WIDTH + 2, 0).split()
        numbers = [int(word) for word in words if word.isdigit()]
        return (numbers[0], numbers[1]) if len(numbers) == 2 else (None, 0)  # noqa: PLR2004

    def mark(self, lsn: int) -> None:
        """Remember that ``lsn`` is durable."""
        with contextlib.suppress(OSError):  # a mark that stays behind notices less, and harms nothing
            os.pwrite(self._lock, b"%-*d" % (MARK_WIDTH, lsn), PID_WIDTH + 1)

    def fold_lock(self) -> int:
        """Wait until no fold runs and give a descriptor that keeps others from running."""
        descriptor = os.open(self.path / "folding", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def release(self) -> None:
        """Let another process own the directory."""
        os.close(self._lock)
