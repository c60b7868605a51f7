"""The journal: an SQLite file to which batches of records are appended.

    batch    one row is one commit: lsn (a number that grows by one), the batch as encoded, and its CRC32
    note     the metadata of an attempt, by its sequence, written with the batch that the attempt is in
    once     the first answer to an act with a key, by the act's tick; written with a later batch
    origin   which directory the file belongs to, its format, and the definition that undeclared boards had at first

All CRCs take in the place where the row stands. The file is in WAL mode with ``synchronous=FULL``, so an append is one
write and one fsync of the log, and rows of one growing key touch one B-tree page at a time.

**One connection writes.** It also checkpoints, inside the append that fills the log to CHECKPOINT_PAGES: at 1
MiB that append takes some milliseconds more; a larger log would stall one longer. Readers (a fold, the archive) take
a few rows at a time, so that they never hold back the log's reuse for long.

**Nothing is taken on trust.** Batches are read in order and must follow one another without a gap, each with the
CRC it was written with. The newest one is never dropped, so that the file always knows its last lsn. It is made
under another name and moved into place when it is whole: a ``journal.db`` that is no journal was damaged, not
half made.

**After an error** the connection is of unknown state. It is opened anew before the next append, and whatever
the failed one may have left behind its lsn is deleted first: a batch that was refused must not appear. Its notes may
stay: they belong to no attempt, and go with the next fold.

**Answers** come after their acts, in the order of the acts: up to the tick of the newest all are there. One without
content says that the act was refused, and its key not used. They go when keys are forgotten, a few with each append.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import contextmanager
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.errors import DataDamaged, DirectoryUnusable, NewerFormat
from laurels.stores.contract import KEY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CHECKPOINT_PAGES = 256
READ_ROWS = 64
DROP_ROWS, DROP_BYTES = 256, 2**20
OLDEST_FORMAT, FORMAT = 1, 2
FORGOTTEN = 256
KEY_TICKS = KEY_SECONDS * 1_000_000
MAGIC = b"SQLite format 3\0"
UNUSABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
BATCHES = "CREATE TABLE batch (lsn INTEGER PRIMARY KEY, crc INTEGER NOT NULL, records BLOB NOT NULL)"
REST = (
    "CREATE TABLE origin (id BLOB NOT NULL, format INTEGER NOT NULL, first BLOB NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE note (sequence INTEGER PRIMARY KEY, lsn INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE once (tick INTEGER PRIMARY KEY, key BLOB UNIQUE, print BLOB NOT NULL, answer BLOB, crc INTEGER)",
)


class Origin(Struct, frozen=True):
    """What a journal says of itself; ``first`` is a definition as JSON, or nothing in a file of the first format."""

    id: bytes
    format: int = FORMAT
    first: bytes = b""

    def crc(self) -> int:
        """Give the CRC32 of it."""
        return zlib.crc32(b"%b %d %b" % (self.id, self.format, self.first))


class Answer(Struct, frozen=True, gc=False):
    """The first answer to an act with a key, as JSON, or nothing where the act was refused."""

    tick: int
    key: bytes
    print: bytes
    body: bytes

    def crc(self) -> int:
        """Give the CRC32 of it."""
        return zlib.crc32(b"%d %b%b%b" % (self.tick, self.key, self.print, self.body))


INSERT = "INSERT INTO batch VALUES (?, ?, ?)"

Note = tuple[int, bytes]
"""The sequence of an attempt, and its metadata."""


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


def create(path: Path, first: bytes) -> None:
    """Make an empty journal, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with translated(path):
        for name in (new.name, f"{new.name}-wal", f"{new.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        db = sqlite3.connect(new, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute(BATCHES)
            _begin(db, Origin(os.urandom(16), first=first))
        finally:
            db.close()
    new.rename(path)


def _begin(db: sqlite3.Connection, begun: Origin) -> None:
    for statement in REST:
        db.execute(statement)
    db.execute("INSERT INTO origin VALUES (?, ?, ?, ?)", (begun.id, begun.format, begun.first, begun.crc()))


class Journal:
    """A journal, opened for reading until the first write, so that looking at a damaged one changes nothing.

    ``first`` and ``last`` are the lsn of the oldest and newest rows, 1 and 0 where there was never any. The id in
    ``origin`` is the same in all files of one data directory. ``answered`` is the tick of the newest answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        screen(path)
        with translated(path):
            self._db = reader(path)
            try:
                self.origin = origin(self._db, path)
                first, last = self._db.execute("SELECT min(lsn), max(lsn) FROM batch").fetchone()
                self.answered = answered(self._db) if self.origin.format == FORMAT else 0
            except BaseException:
                self._db.close()
                raise
        self.first: int = first or 1
        self.last: int = last or 0
        self._suspect = True

    def rows(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Give lsn and batch of each row past ``after``; DataDamaged where one is missing or not as written."""
        return read(self._db, self.path, after, self.last)

    def notes(self, after: int) -> Iterator[Note]:
        """Give every note of the batches past ``after``; DataDamaged where one is not as written."""
        return read_notes(self._db, self.path, after, self.last)

    def append(self, encoded: bytes | bytearray, notes: Sequence[Note] = (), answers: Sequence[Answer] = ()) -> int:
        """Make a batch durable and give its lsn; :exc:`sqlite3.Error` where it could not be and is not there.

        Its notes go with it, and the answers to acts of batches before.
        """
        lsn = self.last + 1
        if notes or answers:
            self._append_all(lsn, encoded, notes, answers)
        else:
            self._execute(INSERT, lsn, checksum(lsn, encoded), encoded)
        self.last = lsn
        return lsn

    def _append_all(
        self, lsn: int, encoded: bytes | bytearray, notes: Sequence[Note], answers: Sequence[Answer]
    ) -> None:
        self._execute("BEGIN")
        self._execute(INSERT, lsn, checksum(lsn, encoded), encoded)
        for sequence, body in notes:
            crc = note_checksum(lsn, sequence, body)
            self._execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?, ?)", sequence, lsn, crc, body)
        for each in answers:
            row = each.tick, each.key, each.print, each.body, each.crc()
            self._execute("INSERT OR REPLACE INTO once VALUES (?, ?, ?, ?, ?)", *row)
        if answers:
            oldest = "SELECT tick FROM once WHERE tick < ? ORDER BY tick LIMIT ?"
            until = answers[-1].tick - KEY_TICKS
            self._execute(f"DELETE FROM once WHERE tick IN ({oldest})", until, FORGOTTEN + 2 * len(answers))  # noqa: S608
        self._execute("COMMIT")

    def drop(self, below: int) -> None:
        """Delete the oldest rows, all of them before ``below`` and no more than can be deleted between two commits."""
        oldest = self._execute(
            "SELECT lsn, length(records) FROM batch WHERE lsn < ? ORDER BY lsn LIMIT ?", below, DROP_ROWS
        ).fetchall()
        sizes = accumulate(length for _, length in oldest)
        count = max(1, sum(size <= DROP_BYTES for size in sizes))
        end: int = oldest[count - 1][0] if oldest else below - 1  # a deletion that failed may have been kept
        if not self._drop_notes(end):
            self._execute("DELETE FROM batch WHERE lsn <= ?", end)
            self.first = end + 1

    def _drop_notes(self, end: int) -> bool:
        oldest = self._execute("SELECT sequence, lsn FROM note ORDER BY sequence LIMIT ?", 4 * DROP_ROWS).fetchall()
        folded = [sequence for sequence, _ in takewhile(lambda note: note[1] <= end, oldest)]
        if folded:
            self._execute("DELETE FROM note WHERE sequence <= ?", folded[-1])
        return bool(folded)

    def upgrade(self, first: bytes) -> None:
        """Let a journal of the first format be one of today's, in one transaction."""
        begun = Origin(self.origin.id, first=first)
        self._execute("BEGIN")
        self._execute("DROP TABLE origin")
        _begin(self._db, begun)
        self._execute("COMMIT")
        self.origin = begun

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


def origin(db: sqlite3.Connection, path: Path) -> Origin:
    """Read what a file says of itself; NewerFormat where only a later version can read it."""
    rows = db.execute("SELECT * FROM origin").fetchall()
    if len(rows) != 1:
        raise DataDamaged(path, "it does not say what it is")
    check_format(path, rows[0][1])
    if len(rows[0]) == 2:  # noqa: PLR2004 - as in the first format
        return Origin(*rows[0])
    *fields, crc = rows[0]
    if list(map(type, fields)) != [bytes, int, bytes] or Origin(*fields).crc() != crc:
        raise DataDamaged(path, "what it says of itself is not what was written")
    return Origin(*fields)


def check_format(path: Path, found: object) -> None:
    """Raise DataDamaged where a file is of no format, and NewerFormat where it is of one that is yet to come."""
    if not isinstance(found, int) or found < OLDEST_FORMAT:
        raise DataDamaged(path, f"its format is {found!r}")
    if found > FORMAT:
        raise NewerFormat(path, found, FORMAT)


def answered(db: sqlite3.Connection) -> int:
    """Read the tick of the newest answer, 0 where there is none."""
    return db.execute("SELECT max(tick) FROM once").fetchone()[0] or 0


def checksum(lsn: int, encoded: bytes | bytearray) -> int:
    """Give the CRC32 of a batch at its place."""
    return zlib.crc32(encoded, lsn & 0xFFFFFFFF)


def note_checksum(lsn: int, sequence: int, body: bytes) -> int:
    """Give the CRC32 of a note at its place."""
    return zlib.crc32(body, zlib.crc32(b"%d %d" % (lsn, sequence)))


def verified(path: Path, sequence: int, lsn: int, crc: int, body: object) -> Note:
    """Give a note where it is what was written; DataDamaged where not."""
    if not isinstance(body, bytes) or note_checksum(lsn, sequence, body) != crc:
        raise DataDamaged(path, f"note {sequence} is not what was written")
    return sequence, body


def read_notes(db: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[Note]:
    """Give the notes of the batches past ``after`` up to and with ``upto``, verified, a few rows at a time."""
    question = "SELECT sequence, lsn, crc, body FROM note WHERE sequence > ? ORDER BY sequence LIMIT ?"
    sequence = 0
    while True:
        with translated(path):
            rows = db.execute(question, (sequence, READ_ROWS)).fetchall()
        if not rows:
            return
        for sequence, lsn, crc, body in rows:
            note = verified(path, sequence, lsn, crc, body)
            if after < lsn <= upto:
                yield note


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
