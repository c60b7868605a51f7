"""What only the disk knows: the metadata of submissions, and the first answers to writes with idempotency keys.

Both are read in a thread of their own, because a read may have to wait for the disk, which the event loop never does.
The order is journal, then snapshot: metadata is in the new snapshot before it leaves the journal, so what is no longer
in the first is in the second. The other way round it could reach the snapshot just after that was read, and leave the
journal just before.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from msgspec import DecodeError

from laurels.errors import DirectoryUnusable, NewerFormat, StoreUnavailable
from laurels.stores.embedded import journal
from laurels.stores.embedded.journal import FORMAT
from laurels.stores.embedded.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from laurels.stores.embedded.answers import Answer

T = TypeVar("T")


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, DirectoryUnusable) as error:
        raise StoreUnavailable(f"{path.name} cannot be read: {error}") from error


class DiskLookups:
    """The files of one directory, for questions about single rows."""

    def __init__(self, directory: Path) -> None:
        self._journal_path = directory / "journal.db"
        self._snapshot_path = directory / "boards.db"
        self._thread = ThreadPoolExecutor(1, "laurels-lookups")
        self._journal: sqlite3.Connection | None = None
        self._closed = False
        self._snapshot: tuple[tuple[int, int], Snapshot] | None = None

    async def metadata(self, key: str, entries: Sequence[tuple[str, int]]) -> dict[int, bytes]:
        """Return the metadata of those of these names and sequences that still count, by the sequence."""
        return await self._in_thread(lambda: self._metadata(key, entries))

    async def answer(self, key: bytes, tick: int, since: int) -> Answer | None:
        """Return the answer to a key from the row of this tick, None if it is not there.

        One that was given up to ``since``, in agreed time, is forgotten.
        """
        return await self._in_thread(lambda: self._answer(key, tick, since))

    async def close(self) -> None:
        """Let go of the files."""
        await self._in_thread(self._close)
        self._closed = True
        self._thread.shutdown()

    async def _in_thread(self, read: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("The store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)

    def _metadata(self, key: str, entries: Sequence[tuple[str, int]]) -> dict[int, bytes]:
        with _translate_errors(self._journal_path):
            found = {sequence: body for _, sequence in entries if (body := self._in_journal(sequence)) is not None}
        missing = [entry for entry in entries if entry[1] not in found]
        if missing:
            with _translate_errors(self._snapshot_path):
                snapshot = self._newest_snapshot()
                for name, sequence in missing:
                    row = snapshot.metadata_of(key, name)
                    if row and row[0] == sequence:
                        found[sequence] = row[1]
        return found

    def _in_journal(self, sequence: int) -> bytes | None:
        question = "SELECT sequence, lsn, crc, body FROM note WHERE sequence = ?"
        row = self._connect().execute(question, (sequence,)).fetchone()
        return journal.check_metadata(self._journal_path, *row)[1] if row else None

    def _answer(self, key: bytes, tick: int, since: int) -> Answer | None:
        with _translate_errors(self._journal_path):
            row = journal.read_answers(self._connect(), self._journal_path, tick)
        if row is None or row.agreed <= since:
            return None
        try:
            return row.find(key)
        except DecodeError as error:
            raise NewerFormat(self._journal_path, f"answer {tick}", FORMAT) from error

    def _connect(self) -> sqlite3.Connection:
        if self._journal is None:
            self._journal = journal.connect_read_only(self._journal_path)
        return self._journal

    def _newest_snapshot(self) -> Snapshot:
        """Return the snapshot as it is now: a compaction renames another file over the one that is open."""
        found = self._snapshot_path.stat()
        file = found.st_ino, found.st_mtime_ns  # an inode alone may be used again
        if self._snapshot is None or self._snapshot[0] != file:
            self._close_snapshot()
            self._snapshot = file, Snapshot(self._snapshot_path)
        return self._snapshot[1]

    def _close_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot[1].close()
            self._snapshot = None

    def _close(self) -> None:
        self._close_snapshot()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
