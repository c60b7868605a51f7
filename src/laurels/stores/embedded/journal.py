"""The journal: an SQLite file to which batches of records are appended.

    batch    one row is one commit: its LSN (log sequence number, which grows by one), the encoded batch, and a CRC32
             of both and of the CRC of the row before: a copy that went on by itself has others
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

**Locks of SQLite** belong to the process, not to a descriptor: if this process opens ``journal.db`` in any other way
and closes it, all of them are dropped, and another program could checkpoint or delete the log. Its name may be looked
at, nothing more.

**Answers** are written after their writes, in the order of the writes: up to the tick of the newest answer all are
there. A write that was refused has not used its key, and counts as answered all the same. Rows go when their keys
expire, from the oldest on, some between two commits. Of the newest one the tick stays: what was written up to it is not
answered once more.

**Free pages** are used again. Those beyond what the journal grows to between two compactions go back to the disk, some
between two commits: a journal that could not be compacted for long does not stay as large as it was then.

**What a later version wrote** is recognised by the format in ``origin``, which is checked before anything else is read.
``PRAGMA user_version`` is the version of Laurels that gave the file its format, so that the error can name it.
A file of an earlier format is upgraded in one transaction (:mod:`laurels.stores.embedded.upgrade`): if the process is
killed meanwhile, the next begins it again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, cast

from laurels.clock import SECOND
from laurels.errors import DataDamaged, FileLost
from laurels.stores.contract import KEY_SECONDS
from laurels.stores.embedded.answers import Answers
from laurels.stores.embedded.directory import Names, sync_directory
from laurels.stores.embedded.journal_rows import (
    Origin,
    batch_crc,
    metadata_crc,
    read_all_answers,
    read_batch_crc,
    read_batches,
    read_metadata,
    read_newest_answer,
    read_origin,
)
from laurels.stores.embedded.sqlite_file import (
    FORMAT,
    OLDEST_FORMAT,
    SECOND_FORMAT,
    SIGN,
    check_header,
    connect_read_only,
    connect_to_write,
    translate_errors,
)
from laurels.stores.embedded.upgrade import repack_answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


CHECKPOINT_PAGES = 256
LOG_BYTES = 4 * 2**20
"""How large the log may stay; one commit can make it larger, until it begins anew."""
REWRITE_BYTES = 2**20
BUSY_SECONDS = 1.0
"""How long a commit waits for a program that has locked the journal."""
DROP_ROWS, DROP_BYTES = 256, 2**20
GIVE_BACK_PAGES = 128
"""How many free pages go back to the disk between two commits."""
INCREMENTAL = 2
"""What ``PRAGMA auto_vacuum`` says of a file that can give pages back while it is in use."""
REBUILD_BYTES = 64 * 2**20
"""How much a journal of an earlier version may hold to be rebuilt at a start, so that it can."""
FORGET_ROWS = 256
"""How many rows of expired answers are deleted at once."""
FORGET_TICKS = 60 * SECOND
"""How long expired answers wait for others, so that it is not each commit that has to delete some."""
KEY_TICKS = KEY_SECONDS * SECOND
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
INSERT = "INSERT INTO batch VALUES (?, ?, ?)"

MetadataRow = tuple[int, bytes]
"""The sequence of a submission, and its metadata."""


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


def create(path: Path, origin: Origin) -> None:
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
            _create_tables(db, origin)
            db.execute(SIGN)
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
    that of the newest. The id in ``origin`` is the same in all files of one data directory. ``newest_answer`` is the
    tick of the newest answer, and ``oldest_answer`` the agreed time of the oldest, or less; None if there is none.
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
                self.newest_answer = read_newest_answer(self._db) if self.origin.format > OLDEST_FORMAT else 0
            except BaseException:
                self._db.close()
                raise
        self.first: int = first or 1
        self.last: int = last or 0
        self.crc = crc or 0
        self.oldest_answer: int | None = 0
        self._names.remember(path)
        self._is_writable = self._failed = False

    def batches(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Return LSN and batch of each row past ``after``; raise DataDamaged if one is missing or not as written."""
        return read_batches(self._db, self.path, after, self.last)

    def crc_of(self, lsn: int) -> int | None:
        """Return the CRC of a batch, None if it is not there."""
        with translate_errors(self.path):
            return read_batch_crc(self._db, lsn)

    def metadata(self, after: int) -> Iterator[MetadataRow]:
        """Return all metadata of the batches past ``after``; raise DataDamaged if any is not as written."""
        for sequence, body in read_metadata(self._db, self.path, after, self.last):
            if body is None:
                raise DataDamaged(self.path, f"metadata {sequence} is not what was written")
            yield sequence, body

    def append(
        self, encoded: bytes | bytearray, metadata: Sequence[MetadataRow] = (), answers: Sequence[Answers] = ()
    ) -> int:
        """Make a batch durable and return its LSN; raise :exc:`sqlite3.Error` if it could not be, and is not there.

        Its metadata goes with it, and the answers to writes of batches before.
        """
        lsn = self.last + 1
        crc = batch_crc(lsn, encoded, self.crc)
        try:
            self._names.check()  # before it is written, for what is refused must not appear where the file is now
            if metadata or answers:
                self._append_all(lsn, crc, encoded, metadata, answers)
            else:
                self._execute(INSERT, lsn, crc, encoded)  # alone it is a transaction of its own
            self._names.check()  # and after it, for until now it could have gone into a file that nobody finds again
        except FileLost:
            self._failed = True
            raise
        self.last, self.crc = lsn, crc  # only now: a failure before leaves it, and `reopen` deletes whatever is past it
        return lsn

    def check_names(self) -> None:
        """Raise FileLost if anything that is open is no longer what its name stands for."""
        try:
            self._names.check()
        except FileLost:
            self._failed = True
            raise

    def _append_all(
        self,
        lsn: int,
        crc: int,
        encoded: bytes | bytearray,
        metadata: Sequence[MetadataRow],
        answers: Sequence[Answers],
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
        if self.oldest_answer is None:
            self.oldest_answer = answers.agreed
        row = answers.tick, answers.agreed, answers.crc(), answers.pairs, answers.bodies
        # REPLACE, for a refused batch may have left its answers.
        self._execute("INSERT OR REPLACE INTO once VALUES (?, ?, ?, ?, ?)", *row)

    def may_forget(self, until: int) -> bool:
        """Return whether there may be enough answers to delete that were given up to ``until``."""
        return self.oldest_answer is not None and self.oldest_answer + FORGET_TICKS <= until

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
        self.oldest_answer = rows[len(expired)][1] if len(expired) < len(rows) else None
        return [(pairs, tick) for tick, _, pairs in expired]

    def answers(self) -> Iterator[Answers]:
        """Return all answers; raise DataDamaged if any is not as written."""
        return read_all_answers(self._db, self.path)

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
        if was.format > SECOND_FORMAT:
            self._execute("UPDATE origin SET format = ?, crc = ?", FORMAT, origin.crc())
        elif was.format > OLDEST_FORMAT:
            self._execute("ALTER TABLE once RENAME TO once_before")
            self._execute(ONCE)
            for each in repack_answers(self._db, self.path):
                self._insert_answers(each)
            self._execute("DROP TABLE once_before")
            self._execute("UPDATE origin SET format = ?, crc = ?", FORMAT, origin.crc())
        else:
            self._execute("DROP TABLE origin")
            _create_tables(self._db, origin)
        self._execute(SIGN)
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
        self._db = connect_to_write(self.path, BUSY_SECONDS)
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

    def measure_size(self) -> int:
        """Return how many bytes the journal and its log take on the disk."""
        return sum(file.stat().st_size for file in (self.path, log_of(self.path)) if file.exists())

    def close(self) -> None:
        """Let go of the file, with a checkpoint if it was written to."""
        self._db.close()
