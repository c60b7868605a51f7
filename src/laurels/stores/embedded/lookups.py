"""What only the disk knows: the metadata of entries, and the first answers to writes with idempotency keys.

Both are read in threads, because a read may have to wait for the disk, which the event loop never does. The order is
journal, then snapshot: metadata is in the new snapshot before it leaves the journal, so what is no longer in the first
is in the second. The other way round it could reach the snapshot just after that was read, and leave the journal just
before.

**Two threads**, so that writes, which look for their keys and for metadata like their own, never wait behind pages.

**Metadata is read in groups.** While the thread is busy, questions gather; it then answers as many as make up
GROUP_ROWS in one statement for each file. So a thousand clients who ask for the same page cost one read. A question
whose caller has been cancelled, because the client is gone, is left out; if more rows are waited for than may be, the
next caller is turned away at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from msgspec import DecodeError

from laurels.errors import DirectoryUnusable, StoreUnavailable
from laurels.stores.embedded import journal_rows
from laurels.stores.embedded.snapshot import Snapshot
from laurels.stores.embedded.sqlite_file import connect_read_only, newer_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from laurels.stores.embedded.answers import Answer

T = TypeVar("T")
Wanted: TypeAlias = "Mapping[int, tuple[str, str]]"
"""Sequences under which metadata is kept, with a key and a name that have it: the second format goes by these."""
Bodies: TypeAlias = "dict[int, bytes]"
"""Metadata by its sequence. What is missing is not there any more, or damaged."""

GROUP_ROWS = 1000
LEAST_ROWS = 32
"""As how many rows a question counts that asks for fewer."""


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, DirectoryUnusable) as error:
        raise StoreUnavailable(f"{path.name} cannot be read: {error}") from error


class Question(NamedTuple):
    """Metadata that somebody waits for."""

    wanted: Wanted
    found: asyncio.Future[Bodies]

    @property
    def rows(self) -> int:
        """As how many rows it counts."""
        return max(LEAST_ROWS, len(self.wanted))


class Reader:
    """One thread with connections of its own to the files of one directory.

    It turns away who asks for metadata while ``most_rows`` of it are waited for.
    """

    def __init__(self, directory: Path, name: str, most_rows: int) -> None:
        self._most_rows = most_rows
        self._journal_path = directory / "journal.db"
        self._snapshot_path = directory / "boards.db"
        self._thread = ThreadPoolExecutor(1, f"laurels-{name}")
        self._journal: sqlite3.Connection | None = None
        self._snapshot: tuple[tuple[int, int], Snapshot] | None = None
        self._questions: deque[Question] = deque()
        self._rows = 0
        self._is_reading = False
        self._closed = False

    # On the loop

    async def metadata(self, wanted: Wanted) -> Bodies:
        """Return what there is of this metadata; raise StoreUnavailable if too many wait already."""
        self._check_open()
        if self._rows > self._most_rows:
            raise StoreUnavailable(
                f"Metadata of more entries is waited for than --max-waiting-reads allows: {self._most_rows:,}",
                setting="--max-waiting-reads",
            )
        question = Question(wanted, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        self._rows += question.rows
        self._read_on()
        try:
            return await question.found
        finally:
            self._rows -= question.rows

    def _read_on(self) -> None:
        group, rows = [], 0
        while not self._is_reading and self._questions and rows < GROUP_ROWS:
            question = self._questions.popleft()
            if not question.found.done():  # or its caller was cancelled
                group.append(question)
                rows += len(question.wanted)
        if group:
            self._is_reading = True
            wanted = {sequence: where for question in group for sequence, where in question.wanted.items()}
            reading = asyncio.get_running_loop().run_in_executor(self._thread, self._metadata, wanted)
            reading.add_done_callback(lambda reading: self._answer_group(group, reading))

    def _answer_group(self, group: list[Question], reading: asyncio.Future[Bodies]) -> None:
        self._is_reading = False
        error = reading.exception()
        for question in group:
            if question.found.done():
                continue
            if error is None:
                question.found.set_result(reading.result())
            else:
                question.found.set_exception(error)
        self._read_on()

    async def run(self, read: Callable[[], T]) -> T:
        """Run a read in the thread."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed")

    async def close(self) -> None:
        """Let go of the files, after what is being read; who waits still is refused."""
        self._closed = True
        while self._questions:
            question = self._questions.popleft()
            if not question.found.done():
                question.found.set_exception(StoreUnavailable("The store is closed"))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    # In the thread

    def _metadata(self, wanted: Wanted) -> Bodies:
        with _translate_errors(self._journal_path):
            found = journal_rows.metadata_of(self.connect(), wanted)
        missing = {sequence: wanted[sequence] for sequence in wanted.keys() - found.keys()}
        if missing and (snapshot := self._newest_snapshot()):
            with _translate_errors(self._snapshot_path):
                found |= snapshot.metadata_of(missing)
        return found

    def connect(self) -> sqlite3.Connection:
        """Return the connection to the journal."""
        if self._journal is None:
            self._journal = connect_read_only(self._journal_path)
        return self._journal

    def _newest_snapshot(self) -> Snapshot | None:
        """Return the snapshot as it is now: a compaction renames another file over the one that is open."""
        try:
            found = self._snapshot_path.stat()
        except FileNotFoundError:  # before the first compaction, when what is not in the journal is nowhere
            return None
        file = found.st_ino, found.st_mtime_ns  # an inode alone may be used again
        if self._snapshot is None or self._snapshot[0] != file:
            self._close_snapshot()
            with _translate_errors(self._snapshot_path):
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


class DiskLookups:
    """The files of one directory, for questions about single rows."""

    def __init__(self, directory: Path, most_rows: int) -> None:
        self._journal_path = directory / "journal.db"
        self.of_reads = Reader(directory, "pages", most_rows)
        self.of_writes = Reader(directory, "lookups", most_rows)

    async def answer(self, key: bytes, tick: int, until: int) -> Answer | None:
        """Return the answer to a key from the row of this tick, None if it is not there.

        One that was given up to ``until``, in agreed time, is forgotten.
        """
        return await self.of_writes.run(lambda: self._answer(key, tick, until))

    async def close(self) -> None:
        """Let go of the files."""
        try:
            await self.of_reads.close()
        finally:
            await self.of_writes.close()

    def _answer(self, key: bytes, tick: int, until: int) -> Answer | None:
        with _translate_errors(self._journal_path):
            row = journal_rows.read_answers(self.of_writes.connect(), self._journal_path, tick)
        if row is None or row.agreed <= until:
            return None
        try:
            return row.find(key)
        except DecodeError as error:
            raise newer_format(self._journal_path, f"answer {tick}") from error
