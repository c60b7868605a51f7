"""The file of an audit log: lines are added, never changed.

**Durable.** A line is on disk before :meth:`AuditFile.add` returns. Lines that come while others are written go
together, in one write and one ``fdatasync``, by a thread: the event loop never waits for the disk.

**Full.** A line that cannot be written is kept in memory, and :meth:`AuditFile.check`, which comes before every act,
raises until it has been written after all. So no more is done unseen than what was under way when the disk was full.
A part of a line that was written is ended by the next write, and is passed over by readers.

**Several processes** write to one file: each write is whole, because whoever writes holds a lock on the file.

**Rotation.** Moved away, the file is written on until :meth:`AuditFile.reopen`; deleted, it is made anew.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from laurels.audit.reading import find_newest
from laurels.errors import AuditLogUnusable, AuditLogUnwritable, StoreFull, explain_os_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from laurels.audit.record import Record, Wanted
    from laurels.figures import Figures

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # the last for pipes, which are refused
MODE = 0o600


class AuditFile:
    """A file to add lines to. Its directory must be there."""

    def __init__(self, path: Path, most: int) -> None:
        """Open it, or make it; raise AuditLogUnusable. ``most`` is the size at which nothing more is to be done."""
        self.path = path
        self._most = most
        self._descriptor = _open(path)
        self._waiting: list[bytes] = []
        self._writing = asyncio.Lock()

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        size = os.fstat(self._descriptor).st_size
        return {"audit_bytes": size, "audit_limit_bytes": self._most}

    async def check(self) -> None:
        """Raise AuditLogUnwritable or StoreFull if the line about what is to be done could not be added."""
        async with self._writing:
            await self._flush()
            with _as_unwritable():
                size = await asyncio.to_thread(lambda: os.fstat(self._descriptor).st_size)
            if size >= self._most:
                remedy = "have the audit log rotated"
                raise StoreFull("bytes in the audit log", self._most, "--max-audit", remedy)

    async def add(self, line: str) -> None:
        """Add a line; raise AuditLogUnwritable, and try again before the next one."""
        encoded = line.encode() + b"\n"
        self._waiting.append(encoded)
        async with self._writing:
            if any(each is encoded for each in self._waiting):  # else it went with another
                await self._flush()

    async def reopen(self) -> None:
        """Go on in the file that has the path now; raise AuditLogUnusable, and go on in the old one."""
        async with self._writing:
            descriptor = await asyncio.to_thread(_open, self.path)
            self._descriptor, old = descriptor, self._descriptor
            os.close(old)

    async def find(self, wanted: Wanted, limit: int, before: int | None) -> tuple[list[Record], int | None]:
        """Return what :func:`find_newest` does; raise AuditLogUnusable."""
        try:
            return await asyncio.to_thread(find_newest, self.path, wanted, limit, before)
        except OSError as error:
            raise AuditLogUnusable(self.path, explain_os_error(error)) from error

    async def close(self) -> None:
        """Close the file, after what is being written."""
        async with self._writing:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _flush(self) -> None:
        lines = self._waiting[:]
        if lines:
            with _as_unwritable():
                await asyncio.to_thread(self._write, lines)
            del self._waiting[: len(lines)]

    def _write(self, lines: Sequence[bytes]) -> None:
        if os.fstat(self._descriptor).st_nlink == 0:
            self._descriptor, deleted = _open(self.path), self._descriptor
            os.close(deleted)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            rest = b"\n" * _is_cut(self._descriptor) + b"".join(lines)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.fdatasync(self._descriptor)


def _is_cut(descriptor: int) -> bool:
    """Return whether a file ends with a part of a line."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


@contextmanager
def _as_unwritable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditLogUnwritable(os.strerror(error.errno or 0)) from error


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, FLAGS, MODE)
    except (OSError, ValueError) as error:
        raise AuditLogUnusable(path, explain_os_error(error)) from error
    if not path.is_file():
        os.close(descriptor)
        raise AuditLogUnusable(path, "it is no regular file")
    return descriptor
