"""What only the disk knows: the metadata of attempts, and the first answers to acts with keys.

Both are read in a thread of their own, from the journal and then from the compact form: what a fold has moved from the
one to the other is in the other before it leaves the one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from laurels.errors import DataDamaged, DirectoryUnusable, StoreUnavailable
from laurels.stores.embedded import journal
from laurels.stores.embedded.journal import Answer
from laurels.stores.embedded.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, DirectoryUnusable) as error:
        raise StoreUnavailable(f"{path.name} cannot be read: {error}") from error


class DiskLookups:
    """The files of one directory, for questions about single rows."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "journal.db"
        self._compact = directory / "boards.db"
        self._thread = ThreadPoolExecutor(1, "laurels-archive")
        self._journal: sqlite3.Connection | None = None
        self._closed = False
        self._snapshot: tuple[tuple[int, int], Snapshot] | None = None

    async def metadata(self, key: str, entries: Sequence[tuple[str, int]]) -> dict[int, bytes]:
        """Give the metadata of the attempts of these names and sequences that still count, by the sequence."""
        return await self._aside(lambda: self._metadata(key, entries))

    async def answer(self, key: bytes) -> Answer | None:
        """Give the answer to the last act with this key, None where there is none."""
        return await self._aside(lambda: self._answer(key))

    async def close(self) -> None:
        """Let go of the files."""
        await self._aside(self._close)
        self._closed = True
        self._thread.shutdown()

    async def _aside(self, read: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("The store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)

    def _metadata(self, key: str, entries: Sequence[tuple[str, int]]) -> dict[int, bytes]:
        with _translated(self._log):
            found = {sequence: body for _, sequence in entries if (body := self._fresh(sequence)) is not None}
        missing = [entry for entry in entries if entry[1] not in found]
        if missing:
            with _translated(self._compact):
                found |= self._folded(key, missing)
        return found

    def _fresh(self, sequence: int) -> bytes | None:
        question = "SELECT sequence, lsn, crc, body FROM note WHERE sequence = ?"
        row = self._connected().execute(question, (sequence,)).fetchone()
        return journal.verified(self._log, *row)[1] if row else None

    def _folded(self, key: str, entries: Sequence[tuple[str, int]]) -> dict[int, bytes]:
        snapshot = self._newest()
        found = {sequence: snapshot.note(key, name) for name, sequence in entries}
        return {sequence: note[1] for sequence, note in found.items() if note and note[0] == sequence}

    def _answer(self, key: bytes) -> Answer | None:
        with _translated(self._log):
            row = self._connected().execute("SELECT tick, key, print, answer, crc FROM once WHERE key = ?", (key,))
            found = row.fetchone()
        if found is None:
            return None
        *fields, crc = found
        if list(map(type, fields)) != [int, bytes, bytes, bytes] or Answer(*fields).crc() != crc:
            raise DataDamaged(self._log, f"answer {fields[0]} is not what was written")
        return Answer(*fields)

    def _connected(self) -> sqlite3.Connection:
        if self._journal is None:
            self._journal = journal.reader(self._log)
        return self._journal

    def _newest(self) -> Snapshot:
        found = self._compact.stat()
        file = found.st_ino, found.st_mtime_ns
        if self._snapshot is None or self._snapshot[0] != file:
            self._let_go()
            self._snapshot = file, Snapshot(self._compact)
        return self._snapshot[1]

    def _let_go(self) -> None:
        if self._snapshot is not None:
            self._snapshot[1].close()
            self._snapshot = None

    def _close(self) -> None:
        self._let_go()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
