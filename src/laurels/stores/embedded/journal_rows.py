"""What a journal holds, read and checked; through any connection to it, also one that cannot write.

The tables are those of :mod:`laurels.stores.embedded.journal`. Rows are fetched a few at a time: a cursor that stayed
open would be a reader, and the log could not begin anew.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from laurels.errors import DataDamaged
from laurels.stores.embedded.answers import Answers
from laurels.stores.embedded.metadata_rows import READ_ROWS, scan_rows, select_rows
from laurels.stores.embedded.sqlite_file import FORMAT, check_format, translate_errors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

METADATA_COLUMNS = "sequence, lsn, crc, body"


class Origin(Struct, frozen=True):
    """What a journal says of itself; ``first`` is a definition as JSON, or empty in a file of the first format."""

    id: bytes
    format: int = FORMAT
    first: bytes = b""

    def crc(self) -> int:
        """Return its CRC32."""
        return zlib.crc32(b"%b %d %b" % (self.id, self.format, self.first))


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


def batch_crc(lsn: int, encoded: bytes | bytearray, before: int) -> int:
    """Return the CRC32 of a batch under its LSN and the CRC of the batch before it, 0 if there is none.

    So it stands for the whole history up to there. Formats before the third took 0 for all batches.
    """
    return zlib.crc32(encoded, (lsn ^ before) & 0xFFFFFFFF)


def _is_good_batch(lsn: int, encoded: bytes, before: int, crc: int) -> bool:
    return crc in (batch_crc(lsn, encoded, before), batch_crc(lsn, encoded, 0))  # the other is of an earlier format


def read_batch_crc(db: sqlite3.Connection, lsn: int | None) -> int | None:
    """Read the CRC of a batch, None if it is not there."""
    row = db.execute("SELECT crc FROM batch WHERE lsn = ?", (lsn,)).fetchone()
    return row[0] if row else None


def read_batches(db: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[tuple[int, bytes]]:
    """Return LSN and batch of each row past ``after`` up to and including ``upto``.

    Raises DataDamaged if one is missing, or not what was written.
    """
    for lsn, _, records in read_batch_rows(db, path, after, upto):
        yield lsn, records


def read_batch_rows(
    db: sqlite3.Connection, path: Path, after: int, upto: int, before: int | None = None
) -> Generator[tuple[int, int, bytes]]:
    """Return the same rows with their CRCs; ``before`` is the CRC of the batch ``after``, if that may be gone."""
    if before is None:
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
            if not isinstance(records, bytes) or not _is_good_batch(lsn, records, before, crc):
                raise DataDamaged(path, f"batch {lsn} is not what was written")
            yield lsn, crc, records
            after, before = lsn, crc


def metadata_crc(lsn: int, sequence: int, body: bytes) -> int:
    """Return the CRC32 of metadata under its LSN and sequence."""
    return zlib.crc32(body, zlib.crc32(b"%d %d" % (lsn, sequence)))


def metadata_of(db: sqlite3.Connection, sequences: Iterable[int]) -> dict[int, bytes]:
    """Return metadata by these sequences; what is not there, or is not what was written, is left out."""
    rows = select_rows(db, METADATA_COLUMNS, list(sequences))
    return {row[0]: row[3] for row in rows if is_good_metadata(*row)}


def is_good_metadata(sequence: int, lsn: int, crc: int, body: object) -> bool:
    """Return whether a row of metadata is what was written."""
    return isinstance(body, bytes) and metadata_crc(lsn, sequence, body) == crc


def read_metadata(db: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[tuple[int, bytes | None]]:
    """Return the metadata of the batches past ``after`` up to and including ``upto``, in the order of its sequences.

    None is in the place of what is not what was written; its sequence is 0 if that cannot be read either.
    """
    for row in scan_rows(db, path, METADATA_COLUMNS):
        if row is None or not is_good_metadata(*row):
            yield row[0] if row else 0, None
        elif after < row[1] <= upto:
            yield row[0], row[3]


def read_newest_answer(db: sqlite3.Connection) -> int:
    """Read the tick of the newest answer, 0 if there is none."""
    return db.execute("SELECT max(tick) FROM once").fetchone()[0] or 0


def read_answers(db: sqlite3.Connection, path: Path, tick: int) -> Answers | None:
    """Return the row of answers of this tick, None if it is gone; raise DataDamaged if it is not as written."""
    row = db.execute("SELECT * FROM once WHERE tick = ?", (tick,)).fetchone()
    return check_answers(path, row) if row else None


def read_all_answers(db: sqlite3.Connection, path: Path) -> Iterator[Answers]:
    """Return all rows of answers in the order of their ticks; raise DataDamaged if one is not as written."""
    tick = 0
    while True:
        with translate_errors(path):
            rows = db.execute("SELECT * FROM once WHERE tick > ? ORDER BY tick LIMIT ?", (tick, READ_ROWS)).fetchall()
        if not rows:
            return
        for row in rows:
            answers = check_answers(path, row)
            tick = answers.tick
            yield answers


def check_answers(path: Path, row: Sequence[Any]) -> Answers:
    """Return a row of answers; raise DataDamaged if it is not what was written."""
    tick, agreed, crc, pairs, bodies = row
    answers = Answers(tick, agreed, pairs, bodies)
    if list(map(type, (agreed, pairs, bodies))) != [int, bytes, bytes] or answers.crc() != crc:
        raise DataDamaged(path, f"answer {tick} is not what was written")
    return answers
