"""The data directory: who owns it, and which write was acknowledged last.

    journal.db   what was acknowledged since the last compaction; written by the owner alone
    boards.db    the snapshot: everything before that; replaced as a whole by a compaction
    lock         held by the owner; holds its process id, and the LSN of the last acknowledged batch
    clock        what the owner knows of the machine's clock (:mod:`laurels.clock`), for the next one
    folding      held by a compaction for as long as its process lives

**Locks** are ``flock``: the kernel releases them when the last process that holds them dies, however it dies. A child
shares its parent's open files between fork and exec, so while a compaction is being started it holds ``lock`` for an
instant too; therefore a lock whose owner is dead is waited for. A compaction inherits ``folding`` already locked, so
that there is no moment in which an orphan runs without it; the next owner waits until it is gone.

**The last acknowledged LSN** is kept because SQLite takes a write-ahead log whose end is missing for one that was never
longer; this number, in another file, knows better. It is written after each commit and not synced: it survives the
process at once, and a loss of power some seconds later. As it is written after the commit it can be behind, never
ahead: were it written before, a crash in between would make a good journal look cut.
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

PID_WIDTH, LSN_WIDTH = 10, 20
"""Both numbers have fixed widths, so that one can be written in place without the other."""
ORPHAN_SECONDS = 5.0


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: an fsync of a file does not cover its name, nor a rename."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_alive(process: int | None) -> bool:
    """Return whether there is such a process, as far as this one can see; None counts as alive."""
    try:
        os.kill(process or os.getpid(), 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


class Directory:
    """A data directory owned by this process, made if it was missing.

    ``acknowledged`` is the last acknowledged LSN as it was found, 0 if there was none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock_memory = b""
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            sync_directory(path.parent)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take_ownership()
        except BaseException:
            os.close(self._lock)
            raise

    def _take_ownership(self) -> None:
        deadline = time.monotonic() + ORPHAN_SECONDS
        while not self._try_lock():
            owner = self._read()[0]
            if is_alive(owner) or time.monotonic() > deadline:
                raise DirectoryInUse(self.path, owner)
            time.sleep(0.01)
        self.acknowledged = self._read()[1]
        os.pwrite(self._lock, b"%-*d\n%-*d\n" % (PID_WIDTH, os.getpid(), LSN_WIDTH, self.acknowledged), 0)
        os.close(self.lock_compaction())  # an orphan of the previous owner may still replace boards.db: wait for it

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> tuple[int | None, int]:
        """Read the owner and the last acknowledged LSN; a file that is garbage says nothing."""
        words = os.pread(self._lock, PID_WIDTH + LSN_WIDTH + 2, 0).split()
        numbers = [int(word) for word in words if word.isdigit()]
        return (numbers[0], numbers[1]) if len(numbers) == 2 else (None, 0)  # noqa: PLR2004

    def write_acknowledged(self, lsn: int) -> None:
        """Remember that ``lsn`` is durable; called after its commit, never before."""
        with contextlib.suppress(OSError):  # a number that stays behind notices less, and harms nothing
            os.pwrite(self._lock, b"%-*d" % (LSN_WIDTH, lsn), PID_WIDTH + 1)

    def read_clock(self) -> bytes:
        """Return what the process before remembered of its clock, if anything."""
        with contextlib.suppress(OSError):
            return (self.path / "clock").read_bytes()
        return b""

    def write_clock(self, memory: bytes) -> None:
        """Remember what is known of the clock, unless that is what was written last."""
        if memory is not self._clock_memory:
            self._clock_memory = memory
            with contextlib.suppress(OSError):  # without it, the next process does not trust the clock for an hour
                (self.path / "clock").write_bytes(memory)

    def lock_compaction(self) -> int:
        """Wait until no compaction runs, and return a descriptor that keeps others from running.

        The lock belongs to the open file, not to this process: a child that inherits the descriptor holds it too, and
        keeps it when this process closes its own.
        """
        descriptor = os.open(self.path / "folding", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def release(self) -> None:
        """Let another process own the directory."""
        os.close(self._lock)
