"""The data directory: who owns it, what its names stand for, and which write was acknowledged last.

    journal.db   what was acknowledged since the last compaction; written by the owner alone
    boards.db    the snapshot: everything before that; replaced as a whole by a compaction
    lock         held by the owner; holds its process id, and the last acknowledged batch
    runs         the key by which the owner knows its runs again (:mod:`.runs`), once there was one
    clock        what the owner knows of the machine's clock (:mod:`laurels.clock`), for the next one
    folding      held by a compaction for as long as its process lives

**Locks** are ``flock``: the kernel releases them when the last process that holds them dies, however it dies. A child
shares its parent's open files between fork and exec, so while a compaction is being started it holds the locks for an
instant too; therefore a lock whose owner is dead is waited for. A compaction inherits ``folding`` already locked, so
that there is no moment in which an orphan runs without it; the next owner waits until it is gone.

**The owner's lock** is on the directory itself, which cannot be deleted and made anew without being another one, and on
``lock`` as well, for versions that know only that, and for file systems on which no directory can be locked.

**What was opened stays what it is** whatever happens to its name: a server whose files were deleted or replaced goes on
writing, and nothing of it is found again. So before a batch is acknowledged all names must still stand for what was
opened (:class:`Names`).

**The last acknowledged batch** is kept, by LSN and CRC, because SQLite takes a write-ahead log whose end is missing for
one that was never longer, and one from a copy of the directory for its own; this file knows better. It is written after
each commit and not synced: it survives the process at once, and a loss of power some seconds later. As it is written
after the commit it can be behind, never ahead: were it written before, a crash in between would make a good journal
look cut.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

from laurels.errors import DirectoryInUse, FileLost, StoreUnavailable
from laurels.stores.embedded.status import is_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PID_WIDTH, LSN_WIDTH, CRC_WIDTH = 10, 20, 10
"""The numbers have fixed widths, so that one can be written in place without the others."""
LINES = f"{{:<{PID_WIDTH}}}\n{{:<{LSN_WIDTH}}}\n{{:<{LSN_WIDTH}}} {{:<{CRC_WIDTH}}}\n"
"""Process id; LSN; LSN and CRC. The LSN comes twice, because older versions write that in the second line alone."""
RUN_KEY_BYTES = 32
ORPHAN_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How often every name is looked at, even if the directory says that none was changed."""
SAME_MOMENT_SECONDS = 2.0
"""How far apart the times of two changes of a directory may be and yet be the same, on the coarsest file system."""


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


def look_at(path: Path) -> os.stat_result:
    """Return what a name stands for; raise FileLost if that is nothing."""
    try:
        return path.stat()
    except OSError as error:
        raise FileLost(path, f"is gone ({error.strerror})") from error


def check_file(path: Path, known: os.stat_result | None) -> os.stat_result:
    """Return what a name stands for; raise FileLost if that is nothing, or another file than a known one."""
    found = look_at(path)
    if known is not None and (found.st_dev, found.st_ino) != (known.st_dev, known.st_ino):
        raise FileLost(path, "was replaced by another of that name")
    return found


class Names:
    """What a directory and names in it stood for when they were opened.

    A look costs one call of the system as long as nothing in the directory was created, deleted or renamed, which
    changes the directory's own time. ``mend`` is called in every thorough look, when the directory is known to be ours.
    """

    def __init__(self, directory: Path, mend: Callable[[], None] = lambda: None) -> None:
        self._directory = directory.absolute()
        self._opened = look_at(self._directory)
        self._mend = mend
        self._known: dict[Path, os.stat_result | None] = {}
        self._seen = os.fsencode(self._directory), self._opened.st_dev, self._opened.st_ino, 0
        self._look_again = 0.0

    def remember(self, *paths: Path) -> None:
        """Take what some names stand for now for what was opened."""
        self._known |= {path: look_at(path) for path in paths}

    def forget(self, *paths: Path, may_change: bool = False) -> None:
        """Let some names stand for anything or nothing, or with ``may_change`` for anything."""
        for path in paths:
            if self._known.pop(path, None) and may_change:
                self._known[path] = None

    def check(self) -> None:
        """Raise FileLost if a name no longer stands for what was opened."""
        if not (is_unchanged(*self._seen) and time.monotonic() < self._look_again):
            self._look()

    def _look(self) -> None:
        now, found = time.monotonic(), check_file(self._directory, self._opened)
        self._look_again = 0.0
        self._mend()
        for path, known in self._known.items():
            check_file(path, known)
        if time.time() - found.st_ctime > SAME_MOMENT_SECONDS:
            self._seen = *self._seen[:3], found.st_ctime_ns
            self._look_again = now + LOOK_SECONDS


class Directory:
    """A data directory owned by this process, made if it was missing.

    ``acknowledged`` is the last acknowledged LSN as it was found, 0 if there was none, and ``acknowledged_crc`` the CRC
    of that batch, None if it is not known. ``names`` knows what is open of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock_memory = b""
        _make(path)
        self._held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._lock = self._open("lock")
            try:
                self._take_ownership()
            except BaseException:
                os.close(self._lock)
                raise
        except BaseException:
            os.close(self._held)
            raise
        self.names = Names(path, self._keep_lock)
        _owned.add(self)

    def _open(self, name: str) -> int:
        """Open a file in this very directory, wherever that has been moved to; make it if it is missing."""
        return os.open(name, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._held)

    def _take_ownership(self) -> None:
        deadline = time.monotonic() + ORPHAN_SECONDS
        while not (self._try_directory() and _try_lock(self._lock)):
            owner = self._read()[0]
            if is_alive(owner) or time.monotonic() > deadline:
                raise DirectoryInUse(self.path, owner)
            time.sleep(0.01)
        _, self.acknowledged, self.acknowledged_crc = self._read()
        self._mark = self.acknowledged, self.acknowledged_crc
        self._write_lines()
        os.close(self.lock_compaction())  # an orphan of the previous owner may still replace boards.db: wait for it
        sync_directory(self.path)  # the owner before may have died before it did

    def _try_directory(self) -> bool:
        try:
            return _try_lock(self._held)
        except OSError:  # this file system locks no directories
            return True

    def _read(self) -> tuple[int | None, int, int | None]:
        """Read the owner, the last acknowledged LSN and its CRC; a file that is garbage says nothing."""
        words = os.pread(self._lock, len(LINES.format(0, 0, 0, 0)), 0).split()
        match [int(word) for word in words if word.isdigit()]:
            case [owner, lsn, same, crc] if same == lsn:
                return owner, lsn, crc
            case [owner, lsn, *_]:
                return owner, lsn, None
        return None, 0, None

    def _write_lines(self) -> None:
        lsn, crc = self._mark
        os.pwrite(self._lock, LINES.format(os.getpid(), lsn, "" if crc is None else lsn, crc or "").encode(), 0)

    def write_acknowledged(self, lsn: int, crc: int) -> None:
        """Remember that the batch ``lsn`` is durable; called after its commit, never before."""
        self._mark = lsn, crc
        with contextlib.suppress(OSError):  # a number that stays behind notices less, and harms nothing
            os.pwrite(self._lock, b"%-20d\n%-20d %-10d" % (lsn, lsn, crc), PID_WIDTH + 1)

    def _keep_lock(self) -> None:
        """Make ``lock`` anew if it was deleted, or raise FileLost if another process was quicker."""
        path = self.path / "lock"
        with contextlib.suppress(FileLost):
            check_file(path, os.fstat(self._lock))
            return
        try:
            new = self._open("lock")
            if not _try_lock(new):
                os.close(new)
                raise FileLost(path, "was deleted, and another process has made it anew and holds it")
            os.close(self._lock)
            self._lock = new
            self._write_lines()
        except OSError as error:
            raise FileLost(path, f"was deleted, and cannot be made anew ({error.strerror})") from error

    def read_clock(self) -> bytes:
        """Return what the process before remembered of its clock, if anything."""
        with contextlib.suppress(OSError), os.fdopen(self._open("clock"), "rb") as file:
            return file.read()
        return b""

    def write_clock(self, memory: bytes) -> None:
        """Remember what is known of the clock, unless that is what was written last."""
        if memory is not self._clock_memory:
            # Without it, the next process does not trust the clock for an hour
            with contextlib.suppress(OSError):
                with os.fdopen(self._open("clock"), "wb") as file:
                    file.truncate()
                    file.write(memory)
                self._clock_memory = memory

    def read_run_key(self) -> bytes | None:
        """Return the key of runs; None if there is none yet, or what there is is none."""
        with contextlib.suppress(OSError):
            key = (self.path / "runs").read_bytes()
            return key if len(key) == RUN_KEY_BYTES else None
        return None

    def make_run_key(self) -> bytes:
        """Make a key of runs, keep it on the disk, and return it."""
        key, new = os.urandom(RUN_KEY_BYTES), "runs.new"
        try:
            with os.fdopen(self._open(new), "wb") as file:
                file.truncate()
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            os.rename(new, "runs", src_dir_fd=self._held, dst_dir_fd=self._held)
            sync_directory(self.path)
        except OSError as error:
            raise StoreUnavailable(f"The key of runs cannot be kept: {error.strerror}") from error
        return key

    def lock_compaction(self) -> int:
        """Wait until no compaction runs, and return a descriptor that keeps others from running.

        The lock belongs to the open file, not to this process: a child that inherits the descriptor holds it too, and
        keeps it when this process closes its own.
        """
        descriptor = self._open("folding")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def release(self) -> None:
        """Let another process own the directory."""
        _owned.discard(self)
        os.close(self._lock)
        os.close(self._held)


_owned: WeakSet[Directory] = WeakSet()


def _let_go_in_child() -> None:
    """Let go what a forked child has of its parent's locks: it would keep the directory when the parent has ended."""
    for directory in list(_owned):
        directory.release()


os.register_at_fork(after_in_child=_let_go_in_child)


def _make(path: Path) -> None:
    missing = [each for each in (path, *path.parents) if not each.exists()]
    if missing:
        path.mkdir(mode=0o700, parents=True)
    for each in missing:
        sync_directory(each.parent)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
