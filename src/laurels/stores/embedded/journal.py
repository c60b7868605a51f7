"""The journal: an SQLite file to which batches of records are appended.

    batch    one row is one commit: its LSN (log sequence number, which grows by one), the encoded batch, and a CRC32
             of both and of the CRC of the row before: it tells this history from that of a copy that went on by itself
    note     the metadata of a submission, by its sequence, written with the batch that the submission is in
    once     the first answers to writes with idempotency keys, those of one batch in a row (:mod:`.answers`); written
             with a later batch
    origin   which directory the file belongs to, its format, and the definition that undeclared boards had at first

Names on disk do not change: ``note`` is *metadata* in the code, and ``once`` holds *answers*.

All CRCs cover the key of the row too, so that a row moved to another place is noticed. The file is in WAL mode with
``synchronous=FULL``: an append is one write and one fsync of the log, and rows of one growing key touch one B-tree page
at a time.

**One connection writes.** It also checkpoints, inside the append that fills the log to CHECKPOINT_PAGES: at 1 MiB that
append takes some milliseconds more; with a larger log it would take longer. Readers (a compaction, the lookups) take a
few rows at a time: SQLite can begin its log anew only when no reader is in it, and a log that cannot grows without end.

**Nothing is trusted.** Batches are read in order and must follow one another without a gap, each with the CRC that it
was written with. The newest one is never dropped, so that the file always knows its last LSN. A new journal is made
under another name and renamed when it is complete: a ``journal.db`` that is no journal was damaged, not half made.

**After an error** the state of the connection is unknown, and so is that of the disk: Linux forgets what a failed sync
could not write, lets everybody read it on, and reports the next sync as done. So before the next append the journal is
opened anew and its log copied into the file, synced and begun anew, which needs a moment without readers; until that
has worked nothing is acknowledged. Then whatever the failed append may have left after the last LSN is deleted: a batch
that was refused must not appear. Its metadata may stay: it belongs to no submission, and goes with the next compaction.
The process before may have met such an error too, and what it left be readable without being on the disk. So a start
first writes the log over itself (:func:`rewrite_log`).

**Locks of SQLite** belong to the process, not to a descriptor: whoever opens ``journal.db`` by himself in this process
and closes it drops them all, and another program could checkpoint or delete the log. Its name may be looked at, nothing
more.

**Answers** are written after their writes, in the order of the writes: up to the tick of the newest answer all are
there. A write that was refused has not used its key, and counts as answered all the same. Rows go when their keys
expire, from the oldest on, some between two commits. Of the newest one the tick stays: what was written up to it is not
answered once more.

**Free pages** are used again. Those beyond what the journal grows to between two compactions go back to the disk, some
between two commits: a journal that could not be compacted for long does not stay as large as it was then.

**What a later version wrote** is recognised by the format in ``origin``, which is checked before anything else is read.
Any change to what is stored raises FORMAT (``tests/stores/test_formats.py`` fails until it does). A file of an earlier
format is upgraded in one transaction (:mod:`laurels.stores.embedded.upgrade`): one that is killed begins again.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import contextmanager, suppress
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from laurels.errors import DataDamaged, DirectoryUnusable, NewerFormat
from laurels.stores.contract import KEY_SECONDS
from laurels.stores.embedded.answers import Answers
from laurels.stores.embedded.directory import Names, sync_directory
from laurels.stores.embedded.upgrade import repack_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

CHECKPOINT_PAGES = 256
LOG_BYTES = 4 * 2**20
"""How large the log may stay; one commit can make it larger, until it begins anew."""
REWRITE_BYTES = 2**20
BUSY_SECONDS = 1.0
"""How long a commit waits for a program that has locked the journal."""
READ_ROWS = 64
DROP_ROWS, DROP_BYTES = 256, 2**20
OLDEST_FORMAT, FORMAT = 1, 3
GIVE_BACK_PAGES = 128
"""How many free pages go back to the disk between two commits."""
INCREMENTAL = 2
"""What ``PRAGMA auto_vacuum`` says of a file that can give pages back while it is in use."""
REBUILD_BYTES = 64 * 2**20
"""How much a journal of an earlier version may hold to be rebuilt at a start, so that it can."""
LAST_SEQUENCE = 2**63 - 1
FORGET_ROWS = 256
"""How many rows of expired answers are deleted at once."""
FORGET_TICKS = 60_000_000
"""How long expired answers wait for others, so that it is not each commit that has to delete some."""
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
"""Errors for which the directory or its disk is to blame, not the content of the file."""
BATCHES = "CREATE TABLE batch (lsn INTEGER PRIMARY KEY, crc INTEGER NOT NULL, records BLOB NOT NULL)"
ONCE = (
    "CREATE TABLE once (tick INTEGER PRIMARY KEY, agreed INTEGER NOT NULL, crc INTEGER NOT NULL, pairs BLOB NOT NULL, "
    "bodies BLOB NOT NULL)"
)
REST = (
    "CREATE TABLE origin (id BLOB NOT NULL, format INTEGER NOT NULL, first BLOB NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE note (sequence INTEGER PRIMARY KEY, lsn INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL)",
    ONCE,
)
"""The tables that the first format did not have, or had in another form."""


class Origin(Struct, frozen=True):
    """What a journal says of itself; ``first`` is a definition as JSON, or empty in a file of the first format."""

    id: bytes
    format: int = FORMAT
    first: bytes = b""

    def crc(self) -> int:
        """Return its CRC32."""
        return zlib.crc32(b"%b %d %b" % (self.id, self.format, self.first))


INSERT = "INSERT INTO batch VALUES (?, ?, ?)"

Metadata = tuple[int, bytes]
"""The sequence of a submission, and its metadata."""


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise what SQLite raises over a file as DataDamaged, or as DirectoryUnusable if its content is not to blame."""
    try:
        yield
    except sqlite3.Error as error:
        if is_unusable(error):
            raise DirectoryUnusable(path.parent, f"{path.name}: {error}") from error
        raise DataDamaged(path, str(error)) from error


def is_unusable(error: sqlite3.Error) -> bool:
    """Return whether not the content of a file is to blame for an error, but the directory or its disk."""
    # An extended code has the primary one in its low byte; errors that Python itself raises have no code
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in UNUSABLE


def check_header(path: Path) -> None:
    """Raise DataDamaged if a file does not begin as an SQLite file does.

    Before SQLite opens it: SQLite takes an empty file for a new database, and deletes the log next to it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError as error:
        raise DataDamaged(path, "it is missing") from error
    if head != MAGIC:
        raise DataDamaged(path, "it does not begin as an SQLite file does")


def rewrite_log(path: Path) -> None:
    """Write the log next to a journal over itself, so that what can be read of it is on the disk; nobody writes it yet.

    Readers see no change. The log is no file on which SQLite has locks.
    """
    with suppress(FileNotFoundError), log_of(path).open("r+b", buffering=0) as file:
        at = 0
        while part := os.pread(file.fileno(), REWRITE_BYTES, at):
            at += os.pwrite(file.fileno(), part, at)
        os.fsync(file.fileno())


def log_of(path: Path) -> Path:
    """Return where SQLite has the log of a journal."""
    return path.with_name(f"{path.name}-wal")


def create(path: Path, first: bytes) -> None:
    """Make an empty journal, complete or not at all."""
    new = path.with_name(f"{path.name}.new")
    with translate_errors(path):
        for name in (new.name, f"{new.name}-journal", f"{new.name}-wal", f"{new.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        db = sqlite3.connect(new, isolation_level=None)
        try:
            db.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            db.execute("PRAGMA synchronous=FULL")
            db.execute(BATCHES)
            _create_tables(db, Origin(os.urandom(16), first=first))
            db.execute("PRAGMA journal_mode=WAL")  # last: when a log is copied at the end, SQLite ignores errors
        finally:
            db.close()
    new.rename(path)


def _create_tables(db: sqlite3.Connection, origin: Origin) -> None:
    for statement in REST:
        db.execute(statement)
    db.execute("INSERT INTO origin VALUES (?, ?, ?, ?)", (origin.id, origin.format, origin.first, origin.crc()))


class Journal:
    """A journal, opened for reading until the first write, so that looking at a damaged one changes nothing.

    ``first`` and ``last`` are the LSNs of the oldest and newest rows, 1 and 0 if there was never any, and ``crc`` is
    that of the newest. The id in ``origin`` is the same in all files of one data directory. ``answered`` is the tick of
    the newest answer, and ``oldest`` the agreed time of the oldest, or less; None if there is none.
    """

    def __init__(self, path: Path, names: Names | None = None) -> None:
        self.path = path
        self._names = names or Names(path.parent)
        check_header(path)
        with translate_errors(path):
            self._db = connect_read_only(path)
            try:
                self.origin = read_origin(self._db, path)
                first, last = self._db.execute("SELECT min(lsn), max(lsn) FROM batch").fetchone()
                crc = read_batch_crc(self._db, last)
                self.answered = read_newest_answer(self._db) if self.origin.format > OLDEST_FORMAT else 0
            except BaseException:
                self._db.close()
                raise
        self.first: int = first or 1
        self.last: int = last or 0
        self.crc = crc or 0
        self.oldest: int | None = 0
        self._names.remember(path)
        self._is_writable = self._failed = False

    def batches(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Return LSN and batch of each row past ``after``; raise DataDamaged if one is missing or not as written."""
        return read_batches(self._db, self.path, after, self.last)

    def crc_of(self, lsn: int) -> int | None:
        """Return the CRC of a batch, None if it is not there."""
        with translate_errors(self.path):
            return read_batch_crc(self._db, lsn)

    def metadata(self, after: int) -> Iterator[Metadata]:
        """Return all metadata of the batches past ``after``; raise DataDamaged if any is not as written."""
        for sequence, body in read_metadata(self._db, self.path, after, self.last):
            if body is None:
                raise DataDamaged(self.path, f"note {sequence} is not what was written")
            yield sequence, body

    def append(
        self, encoded: bytes | bytearray, metadata: Sequence[Metadata] = (), answers: Sequence[Answers] = ()
    ) -> int:
        """Make a batch durable and return its LSN; raise :exc:`sqlite3.Error` if it could not be, and is not there.

        Its metadata goes with it, and the answers to writes of batches before.
        """
        lsn = self.last + 1
        crc = batch_crc(lsn, encoded, self.crc)
        self.check_names()  # before it is written, for what is refused must not appear where the file is now
        if metadata or answers:
            self._append_all(lsn, crc, encoded, metadata, answers)
        else:
            self._execute(INSERT, lsn, crc, encoded)  # alone it is a transaction of its own
        self.check_names()  # and after the commit, for until now it could have gone into a file that nobody finds again
        self.last, self.crc = lsn, crc  # only now: a failure before leaves it, and `reopen` deletes whatever is past it
        return lsn

    def check_names(self) -> None:
        """Raise FileLost if anything that is open is no longer what its name stands for."""
        try:
            self._names.check()
        except BaseException:
            self._failed = True
            raise

    def _append_all(
        self, lsn: int, crc: int, encoded: bytes | bytearray, metadata: Sequence[Metadata], answers: Sequence[Answers]
    ) -> None:
        self._execute("BEGIN")
        self._execute(INSERT, lsn, crc, encoded)
        for sequence, body in metadata:
            # REPLACE, for a refused batch may have left metadata under the same sequence.
            row = sequence, lsn, metadata_crc(lsn, sequence, body), body
            self._execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?, ?)", *row)
        for each in answers:
            self._insert_answers(each)
        self._execute("COMMIT")

    def _insert_answers(self, answers: Answers) -> None:
        if self.oldest is None:
            self.oldest = answers.agreed
        row = answers.tick, answers.agreed, answers.crc(), answers.pairs, answers.bodies
        # REPLACE, for a refused batch may have left its answers.
        self._execute("INSERT OR REPLACE INTO once VALUES (?, ?, ?, ?, ?)", *row)

    def may_forget(self, until: int) -> bool:
        """Return whether there may be enough answers to delete that were given up to ``until``."""
        return self.oldest is not None and self.oldest + FORGET_TICKS <= until

    def forget(self, until: int) -> list[tuple[bytes, int]]:
        """Delete the oldest answers that were given up to ``until`` in agreed time, no more than between two commits.

        Return the keys, those of each row with its tick; raise :exc:`sqlite3.Error` if the answers are still there.
        """
        if not self.may_forget(until):
            return []
        rows = self._execute("SELECT tick, agreed, pairs FROM once ORDER BY tick LIMIT ?", FORGET_ROWS + 1).fetchall()
        expired = list(takewhile(lambda row: row[1] <= until, rows[:FORGET_ROWS]))
        if expired:
            tick, agreed, _ = expired[-1]
            self._execute("BEGIN")
            self._execute("DELETE FROM once WHERE tick <= ?", tick)
            if len(expired) == len(rows):
                self._insert_answers(Answers(tick, agreed, b"", b""))
            self._execute("COMMIT")
        self.oldest = rows[len(expired)][1] if len(expired) < len(rows) else None
        return [(pairs, tick) for tick, _, pairs in expired]

    def answers(self) -> Iterator[Answers]:
        """Return all answers; raise DataDamaged if any is not as written."""
        question, tick = "SELECT * FROM once WHERE tick > ? ORDER BY tick LIMIT ?", 0
        while True:
            with translate_errors(self.path):
                rows = self._db.execute(question, (tick, READ_ROWS)).fetchall()
            if not rows:
                return
            for row in rows:
                answers = check_answers(self.path, row)
                tick = answers.tick
                yield answers

    def drop(self, below: int) -> None:
        """Delete the oldest rows, all of them before ``below`` and no more than can be deleted between two commits.

        Their metadata goes first: when ``first`` has moved on, nobody comes back for it.
        """
        oldest = self._execute(
            "SELECT lsn, length(records) FROM batch WHERE lsn < ? ORDER BY lsn LIMIT ?", below, DROP_ROWS
        ).fetchall()
        sizes = accumulate(length for _, length in oldest)
        count = max(1, sum(size <= DROP_BYTES for size in sizes))
        end: int = oldest[count - 1][0] if oldest else below - 1  # a deletion that failed may have been kept
        if not self._drop_metadata(end):
            self._execute("DELETE FROM batch WHERE lsn <= ?", end)
            self.first = end + 1

    def _drop_metadata(self, end: int) -> bool:
        oldest = self._execute("SELECT sequence, lsn FROM note ORDER BY sequence LIMIT ?", 4 * DROP_ROWS).fetchall()
        dropped = [sequence for sequence, _ in takewhile(lambda row: row[1] <= end, oldest)]
        if dropped:
            self._execute("DELETE FROM note WHERE sequence <= ?", dropped[-1])
        return bool(dropped)

    def give_back(self, keep: int) -> bool:
        """Give free pages back to the disk, beyond ``keep`` bytes of them, no more than between two commits.

        Return whether there may be more.
        """
        if self._ask("auto_vacuum") != INCREMENTAL:
            return False
        pages = min(self._ask("freelist_count") - keep // self._ask("page_size"), GIVE_BACK_PAGES)
        if pages > 0:
            self._execute("BEGIN")
            for _ in range(pages):
                self._execute("PRAGMA incremental_vacuum(1)")
            self._execute("COMMIT")
        return pages > 0

    def _ask(self, pragma: str) -> int:
        (value,) = self._execute(f"PRAGMA {pragma}").fetchone()
        return cast("int", value)

    def rebuild(self) -> None:
        """Have a journal of an earlier version give pages back from now on, if it is small, and if there is space."""
        pages = self._ask("page_count") - self._ask("freelist_count")
        if self._ask("auto_vacuum") != INCREMENTAL and pages * self._ask("page_size") <= REBUILD_BYTES:
            with suppress(sqlite3.Error):  # such as too little space, which it needs twice
                self._execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
                self._execute("VACUUM")

    def upgrade(self, first: bytes) -> None:
        """Make a journal of an earlier format one of today's, in one transaction.

        ``first`` is the default definition that a file of the first format gets.
        """
        was = self.origin
        origin = Origin(was.id, first=was.first or first)
        self._execute("BEGIN")
        if was.format > OLDEST_FORMAT:
            self._execute("ALTER TABLE once RENAME TO once_before")
            self._execute(ONCE)
            for each in repack_answers(self._db, self.path):
                self._insert_answers(each)
            self._execute("DROP TABLE once_before")
            self._execute("UPDATE origin SET format = ?, crc = ?", FORMAT, origin.crc())
        else:
            self._execute("DROP TABLE origin")
            _create_tables(self._db, origin)
        self._execute("COMMIT")
        self.origin = origin

    def _execute(self, statement: str, *values: int | bytes | bytearray) -> sqlite3.Cursor:
        if self._failed or not self._is_writable:
            self.reopen()
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error:
            self._failed = True
            raise

    def reopen(self) -> None:
        """Connect anew, for writing, and delete what is there but was never acknowledged.

        Raises FileLost, and then changes nothing.
        """
        log = log_of(self.path), self.path.with_name(f"{self.path.name}-shm")
        self._names.check()
        self._names.forget(*log)  # SQLite makes them anew if nobody else has them open
        self._db.close()  # deletes the log by its name, but not if the name of the journal stands for another file
        self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._names.check()
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA secure_delete=OFF")  # on by default in some builds: a drop would write zeros
        # This connection alone checkpoints, within a commit. Without a limit the log would grow; a checkpoint by any
        # other connection would hold up a commit at a moment that nobody chose.
        self._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self._db.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
        read_batch_crc(self._db, self.last)  # the first read makes the log
        self._names.remember(*log)
        try:
            sync_directory(self.path.parent)  # SQLite does so too, with the log's first sync, but ignores an error
        except OSError as error:
            raise sqlite3.OperationalError(str(error)) from error
        if self._failed:
            self._begin_log_anew()
        self._db.execute("DELETE FROM batch WHERE lsn > ?", (self.last,))
        self._is_writable, self._failed = True, False

    def _begin_log_anew(self) -> None:
        is_held, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_held:
            raise sqlite3.OperationalError(
                f"after an error its log must begin anew, and another program is in a transaction on {self.path.name}: "
                "end that program, or its transaction"
            )

    def close(self) -> None:
        """Let go of the file, with a checkpoint if it was written to."""
        self._db.close()


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Connect without the means to write, not even by the checkpoint of a connection that ends.

    Used by one thread at a time, but not always by the one that made it.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def read_origin(db: sqlite3.Connection, path: Path) -> Origin:
    """Read what a file says of itself; raise NewerFormat if only a later version can read it."""
    rows = db.execute("SELECT * FROM origin").fetchall()
    if len(rows) != 1:
        raise DataDamaged(path, "it does not say what it is")
    check_format(path, rows[0][1])  # before all else: a later version may have other columns and another CRC
    if len(rows[0]) == 2:  # noqa: PLR2004 - as in the first format
        return Origin(*rows[0])
    *fields, crc = rows[0]
    if list(map(type, fields)) != [bytes, int, bytes] or Origin(*fields).crc() != crc:
        raise DataDamaged(path, "what it says of itself is not what was written")
    return Origin(*fields)


def check_format(path: Path, found: object) -> None:
    """Raise DataDamaged if a file is of no format, and NewerFormat if it is of a later one than FORMAT."""
    if not isinstance(found, int) or found < OLDEST_FORMAT:
        raise DataDamaged(path, f"its format is {found!r}")
    if found > FORMAT:
        raise NewerFormat(path, found, FORMAT)


def read_newest_answer(db: sqlite3.Connection) -> int:
    """Read the tick of the newest answer, 0 if there is none."""
    return db.execute("SELECT max(tick) FROM once").fetchone()[0] or 0


def read_answers(db: sqlite3.Connection, path: Path, tick: int) -> Answers | None:
    """Return the row of answers of this tick, None if it is gone; raise DataDamaged if it is not as written."""
    row = db.execute("SELECT * FROM once WHERE tick = ?", (tick,)).fetchone()
    return check_answers(path, row) if row else None


def check_answers(path: Path, row: Sequence[Any]) -> Answers:
    """Return a row of answers if it is what was written; raise DataDamaged if not."""
    tick, agreed, crc, pairs, bodies = row
    answers = Answers(tick, agreed, pairs, bodies)
    if list(map(type, (agreed, pairs, bodies))) != [int, bytes, bytes] or answers.crc() != crc:
        raise DataDamaged(path, f"answer {tick} is not what was written")
    return answers


def batch_crc(lsn: int, encoded: bytes | bytearray, before: int) -> int:
    """Return the CRC32 of a batch under its LSN and the CRC of the batch before it, 0 if there is none.

    So it stands for the whole history up to there. Formats before the third took 0 for all batches.
    """
    return zlib.crc32(encoded, (lsn ^ before) & 0xFFFFFFFF)


def _is_as_written(lsn: int, encoded: bytes, before: int, crc: int) -> bool:
    return crc in (batch_crc(lsn, encoded, before), batch_crc(lsn, encoded, 0))  # the other is of an earlier format


def read_batch_crc(db: sqlite3.Connection, lsn: int | None) -> int | None:
    """Read the CRC of a batch, None if it is not there."""
    row = db.execute("SELECT crc FROM batch WHERE lsn = ?", (lsn,)).fetchone()
    return row[0] if row else None


def metadata_crc(lsn: int, sequence: int, body: bytes) -> int:
    """Return the CRC32 of metadata under its LSN and sequence."""
    return zlib.crc32(body, zlib.crc32(b"%d %d" % (lsn, sequence)))


def metadata_of(db: sqlite3.Connection, sequences: Iterable[int]) -> dict[int, bytes]:
    """Return metadata by these sequences; what is not there, or is not what was written, is left out."""
    rows = select_rows(db, "sequence, lsn, crc, body", list(sequences))
    return {row[0]: row[3] for row in rows if _is_good(*row)}


def select_rows(db: sqlite3.Connection, columns: str, sequences: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return the rows of metadata with these sequences, as far as SQLite can read them."""
    listed = ", ".join(map(str, sequences))
    try:
        return db.execute(f"SELECT {columns} FROM note WHERE sequence IN ({listed})").fetchall()  # noqa: S608
    except sqlite3.DatabaseError as error:
        if is_unusable(error):
            raise
    half = len(sequences) // 2  # a page of the file is damaged: look for what is on others
    return [row for part in (sequences[:half], sequences[half:]) if half for row in select_rows(db, columns, part)]


def _is_good(sequence: int, lsn: int, crc: int, body: object) -> bool:
    return isinstance(body, bytes) and metadata_crc(lsn, sequence, body) == crc


def read_metadata(db: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[tuple[int, bytes | None]]:
    """Return the metadata of the batches past ``after`` up to and including ``upto``, in the order of its sequences.

    None is in the place of what is not what was written; its sequence is 0 if that cannot be read either.
    """
    for row in scan_rows(db, path, "sequence, lsn, crc, body"):
        if row is None or not _is_good(*row):
            yield row[0] if row else 0, None
        elif after < row[1] <= upto:
            yield row[0], row[3]


def scan_rows(db: sqlite3.Connection, path: Path, columns: str) -> Iterator[tuple[Any, ...] | None]:
    """Return all rows of metadata, a few at a time; None in the place of those on a page that SQLite cannot read."""
    question = f"SELECT {columns} FROM note WHERE sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608
    after: int | None = 0
    few = READ_ROWS
    while after is not None:
        rows = _try_rows(db, path, question, after, few)
        if rows is None and few > 1:
            few = 1  # those before the damage, one by one
        elif rows is None:
            yield None
            after = _first_readable(lambda at: _try_rows(db, path, question, at, 1) is not None, after)
            few = READ_ROWS
        else:
            yield from rows
            after = rows[-1][0] if rows else None


def _try_rows(db: sqlite3.Connection, path: Path, question: str, after: int, few: int) -> list[tuple[Any, ...]] | None:
    try:
        with translate_errors(path):
            return db.execute(question, (after, few)).fetchall()
    except DataDamaged:
        return None


def _first_readable(is_readable: Callable[[int], bool], after: int) -> int | None:
    """Return the first sequence behind damage, None if there is none: it goes on for less than it takes to find it."""
    step = 1
    while not is_readable(after + step):
        step *= 2
        if after + step > LAST_SEQUENCE:
            return None
    damaged, readable = after + step // 2, after + step
    while readable - damaged > 1:
        middle = (damaged + readable) // 2
        damaged, readable = (damaged, middle) if is_readable(middle) else (middle, readable)
    return readable


def read_batches(db: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[tuple[int, bytes]]:
    """Return LSN and batch of each row past ``after`` up to and including ``upto``, checked, a few rows at a time.

    Each few are fetched whole: a cursor that stayed open would be a reader, and the log could not begin anew.
    """
    with translate_errors(path):
        before = read_batch_crc(db, after) or 0
    while after < upto:
        with translate_errors(path):
            rows = db.execute(
                "SELECT lsn, crc, records FROM batch WHERE lsn > ? ORDER BY lsn LIMIT ?", (after, READ_ROWS)
            ).fetchall()
        if not rows:
            raise DataDamaged(path, f"batch {after + 1} is missing")
        for lsn, crc, records in rows[: upto - after]:
            if lsn != after + 1:
                raise DataDamaged(path, f"batch {after + 1} is missing")
            if not isinstance(records, bytes) or not _is_as_written(lsn, records, before, crc):
                raise DataDamaged(path, f"batch {lsn} is not what was written")
            yield lsn, records
            after, before = lsn, crc
