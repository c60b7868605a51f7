"""The journal: an SQLite file to which batches of records are appended.

One row is one commit: ``lsn`` (a number that grows by one), the batch as encoded, and its CRC32 that begins
from the lsn. The file is in WAL mode with ``synchronous=FULL``, so an append is one write and one fsync of the
log, and rows of one growing key touch one B-tree page at a time.

**One connection writes.** It also checkpoints, inside the append that fills the log to CHECKPOINT_PAGES: at 1
MiB that append takes some milliseconds more; a larger log would stall one longer. Readers (a fold) take a few
rows at a time, so that they never hold back the log's reuse for long.

**Nothing is taken on trust.** Rows are read in order and must follow one another without a gap, each with the
CRC it was written with. The newest row is never dropped, so that the file always knows its last lsn. It is made
under another name and moved into place when it is whole: a ``journal.db`` that is no journal was damaged, not
half made.

**After an error** the connection is of unknown state. It is opened anew before the next append, and whatever
the failed one may have left behind its lsn is deleted first: a batch that was refused must not appear.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

from laurels.errors import DataDamaged, DirectoryUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKPOINT_PAGES = 256
READ_ROWS = 64
DROP_ROWS, DROP_BYTES = 256, 2**20
FORMAT = 1
MAGIC = b"SQLite format 3\0"
UNUSABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
SCHEMA = """
CREATE TABLE origin (id BLOB NOT NULL, format INTEGER NOT NULL);
CREATE TABLE batch (lsn INTEGER PRIMARY KEY, crc INTEGER NOT NULL, records BLOB NOT NULL);
"""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what SQLite raises over a file as DataDamaged, or as DirectoryUnusable where the file is not to blame."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in UNUSABLE:
            raise DirectoryUnusable(path.parent, f"{path.name}: {error}") from error
        raise DataDamaged(path, str(error)) from error


def screen(path: Path) -> None:
    """Raise DataDamaged where a file does not begin as an SQLite file, before SQLite touches what is beside it."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError as error:
        raise DataDamaged(path, "it is missing") from error
    if head != MAGIC:
        raise DataDamaged(path, "it does not begin as an SQLite file does")


def create(path: Path) -> None:
    """Make an empty journal, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with translated(path):
        for name in (new.name, f"{new.name}-wal", f"{new.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        db = sqlite3.connect(new, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(SCHEMA)
            db.execute("INSERT INTO origin VALUES (?, ?)", (os.urandom(16), FORMAT))
        finally:
            db.close()
    new.rename(path)


class Journal:
    """A journal, opened for reading until the first write, so that looking at a damaged one changes nothing.

    ``first`` and ``last`` are the lsn of the oldest and newest rows, 1 and 0 where there was never any. ``origin`` is
    the same in all files of one data directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        screen(path)
        with translated(path):
            self._db = reader(path)
            try:
                self.origin = origin(self._db, path)
                first, last = self._db.execute("SELECT min(lsn), max(lsn) FROM batch").fetchone()
            except BaseException:
                self._db.close()
                raise
        self.first: int = first or 1
        self.last: int = last or 0
        self._suspect = True

    def rows(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Give lsn and batch of each row past ``after``; DataDamaged where one is missing or not as written."""
        return read(self._db, self.path, after, self.last)

    def append(self, encoded: bytes | bytearray) -> int:
        """Make a batch durable and give its lsn; :exc:`sqlite3.Error` where it could not be and is not there."""
        lsn = self.last + 1
        self._execute("INSERT INTO batch VALUES (?, ?, ?)", lsn, checksum(lsn, encoded), encoded)
        self.last = lsn
        return lsn

    def drop(self, below: int) -> None:
        """Delete the oldest rows, all of them before ``below`` and no more than can be deleted between two commits."""
        oldest = self._execute(
            "SELECT lsn, length(records) FROM batch WHERE lsn < ? ORDER BY lsn LIMIT ?", below, DROP_ROWS
        ).fetchall()
        sizes = accumulate(length for _, length in oldest)
        count = max(1, sum(size <= DROP_BYTES for size in sizes))
        end: int = oldest[count - 1][0]
        self._execute("DELETE FROM batch WHERE lsn <= ?", end)
        self.first = end + 1

    def _execute(self, statement: str, *values: int | bytes | bytearray) -> sqlite3.Cursor:
        if self._suspect:
            self.reopen()
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error:
            self._suspect = True
            raise

    def reopen(self) -> None:
        """Connect anew, for writing, and delete what is there but was never acknowledged."""
        self._db.close()
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA secure_delete=OFF")
        self._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self._db.execute("DELETE FROM batch WHERE lsn > ?", (self.last,))
        self._suspect = False

    def close(self) -> None:
        """Let go of the file, with a checkpoint where it was written to."""
        self._db.close()


def reader(path: Path) -> sqlite3.Connection:
    """Connect without the means to write, not even by the checkpoint of a connection that ends."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def origin(db: sqlite3.Connection, path: Path) -> bytes:
    """Read which directory a file belongs to; DataDamaged where its format is another than ours."""
    found: list[tuple[bytes, int]] = db.execute("SELECT id, format FROM origin").fetchall()
    if len(found) != 1 or found[0][1] != FORMAT:
        raise DataDamaged(path, f"its format is not {FORMAT}")
    return found[0][0]


def checksum(lsn: int, encoded: bytes | bytearray) -> int:
    """Give the CRC32 of a batch at its place."""
    return zlib.crc32(encoded, lsn & 0xFFFFFFFF)


def read(db: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[tuple[int, bytes]]:
    """Give lsn and batch of each row past ``after`` up to and with ``upto``, verified, a few rows at a time."""
    while after < upto:
        with translated(path):
            rows = db.execute(
                "SELECT lsn, crc, records FROM batch WHERE lsn > ? ORDER BY lsn LIMIT ?", (after, READ_ROWS)
            ).fetchall()
        if not rows:
            raise DataDamaged(path, f"batch {after + 1} is missing")
        for lsn, crc, records in rows[: upto - after]:
            if lsn != after + 1:
                raise DataDamaged(path, f"batch {after + 1} is missing")
            if not isinstance(records, bytes) or checksum(lsn, records) != crc:
                raise DataDamaged(path, f"batch {lsn} is not what was written")
            yield lsn, records
            after = lsn
