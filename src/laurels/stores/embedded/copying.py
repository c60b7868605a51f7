"""Copies of a data directory, read while its store runs: the snapshot as a file, and the journal in segments.

The snapshot never changes in place, so that an open one is of one moment. What the journal has beyond it is read a few
rows at a time, as a compaction does; a hold (:mod:`.holds`) keeps what was not read yet. Only what was acknowledged is
read: a batch that was refused may be in the file for a moment.

Whatever is here is called in one thread at a time, which is not that of the loop.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from typing import IO, TYPE_CHECKING, NamedTuple

from laurels.backup.parts import LAYOUT, SEGMENT_BYTES, Base, Segment
from laurels.clock import SECOND
from laurels.errors import BackupAbandoned, DataDamaged
from laurels.limits import MIB, format_size
from laurels.stores.embedded.holds import Hold
from laurels.stores.embedded.journal_rows import (
    METADATA_COLUMNS,
    check_answers,
    is_good_metadata,
    read_batch_crc,
    read_batch_rows,
    read_newest_answer,
    read_origin,
)
from laurels.stores.embedded.metadata_rows import READ_ROWS
from laurels.stores.embedded.offsets import Offsets
from laurels.stores.embedded.records import decode_begin
from laurels.stores.embedded.snapshot import Snapshot, decode_offsets
from laurels.stores.embedded.sqlite_file import connect_read_only, translate_errors
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from laurels.backup.parts import AnswersRow, BatchRow, MetadataRow
    from laurels.stores.embedded.holds import Holds
    from laurels.stores.embedded.journal import Journal
    from laurels.stores.embedded.journal_rows import Origin
    from laurels.stores.embedded.snapshot import Footer

CHUNK_BYTES = MIB
ANSWERS_ROWS = 1000
"""How many rows of answers a segment has at most."""


class Source:
    """A directory whose store runs, as copies read it.

    ``kept`` holds all that was there when the store was opened, if that was wanted.
    """

    def __init__(self, path: Path, journal: Journal, holds: Holds, kept: Hold | None) -> None:
        self.path = path
        self.kept = kept
        self._journal = journal
        self._holds = holds

    @property
    def last(self) -> int:
        """The LSN of the newest acknowledged batch."""
        return self._journal.last

    @property
    def origin(self) -> Origin:
        """What the journal says of itself."""
        return self._journal.origin

    def hold(self) -> Hold:
        """Keep all batches that are there in the journal, until the hold moves or is released."""
        return Hold(self._holds)

    @contextmanager
    def holding(self) -> Iterator[Hold]:
        """Keep all batches that are there in the journal, until the hold moves or this ends."""
        hold = self.hold()
        try:
            yield hold
        finally:
            hold.release()

    def check(self, hold: Hold) -> None:
        """Raise BackupAbandoned if a hold is over."""
        if hold.is_over:
            raise BackupAbandoned(format_size(self.limit))

    @property
    def limit(self) -> int:
        """How many bytes may be appended to the journal while a hold does not move."""
        return self._holds.limit

    def run_key(self) -> bytes:
        """Return the key of runs, empty if there is none yet."""
        try:
            return (self.path / "runs").read_bytes()
        except FileNotFoundError:
            return b""


class SnapshotCopy:
    """The snapshot of a directory as it is now; ``hold`` keeps the journal from there on. To be closed.

    ``base`` is complete when all of ``chunks`` were read.
    """

    def __init__(self, source: Source, hold: Hold, follows: str = "") -> None:
        self._source = source
        self._follows = follows
        self.hold = hold
        self._sha256 = sha256()
        self._begun = int(time.time() * SECOND)
        with ExitStack() as opened:
            self._open(opened)
            self._opened = opened.pop_all()

    def _open(self, opened: ExitStack) -> None:
        path = self._source.path / "boards.db"
        self.size, self.since = 0, 0
        self.footer: Footer | None = None
        self._file: IO[bytes] | None = None
        while self.footer is None and path.exists():
            file = path.open("rb")
            with closing(Snapshot(path)) as snapshot:
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # no compaction has replaced it meanwhile
                    self.footer, self._file = snapshot.footer, opened.enter_context(file)
                    self.size = os.fstat(file.fileno()).st_size
                else:
                    file.close()
        self.since = self.footer.compacted_upto if self.footer else 0
        self.hold.move(self.since)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the file."""
        while self._file is not None and (chunk := self._file.read(CHUNK_BYTES)):
            self._sha256.update(chunk)
            self._source.check(self.hold)
            yield chunk

    @property
    def base(self) -> Base:
        """What the copy is of."""
        origin, footer = self._source.origin, self.footer
        return Base(
            layout=LAYOUT,
            version=__version__,
            format=origin.format,
            origin=origin.id,
            first=origin.first,
            begun=self._begun,
            since=self.since,
            time=Offsets(decode_offsets(footer.offsets)).time_of(footer.sequence >> 1, self._begun) if footer else 0,
            snapshot_bytes=self.size,
            snapshot_sha256=self._sha256.hexdigest() if footer else "",
            follows=self._follows,
        )

    def close(self) -> None:
        """Let go of the file; the hold stays."""
        self._opened.close()


class Position(NamedTuple):
    """How far a journal was read: up to a batch, with its CRC, 0 if that is not known."""

    after: int
    crc: int
    answered: int
    """The tick up to which first answers were read."""
    time: int
    """When the newest write was made that was read."""


class JournalReader:
    """Reads a journal on from a position, in segments."""

    def __init__(self, source: Source, hold: Hold, at: Position, compacted: int = 0) -> None:
        self._source = source
        self._hold = hold
        self.after, self.crc, self.answered, self.time = at
        self._compacted = compacted
        """The last tick of the snapshot, if this reads on from one."""
        self._path = source.path / "journal.db"
        self._db = connect_read_only(self._path)
        read_origin(self._db, self._path)

    @classmethod
    def from_snapshot(cls, source: Source, copy: SnapshotCopy) -> JournalReader:
        """Return a reader of what is past a snapshot, that batch included: by it the journal knows its last."""
        compacted = copy.footer.sequence >> 1 if copy.footer else 0
        return cls(source, copy.hold, Position(max(0, copy.since - 1), 0, 0, copy.base.time), compacted)

    def crc_of(self, lsn: int) -> int | None:
        """Return the CRC of a batch, which stands for the history up to there; None if it is not in the journal."""
        with translate_errors(self._path):
            return read_batch_crc(self._db, lsn)

    def segments(self) -> Iterator[Segment]:
        """Yield what follows, up to the newest batch as of now, and then the answers to batches up to that one.

        Those to batches in the snapshot are first, as they are needed whatever of the rest is. Raises DataDamaged if a
        row is missing or not what was written, and BackupAbandoned.
        """
        with translate_errors(self._path):
            newest = read_newest_answer(self._db)  # before the batch: they are to batches up to that one
        upto = self._source.last
        while self.after < upto or self.answered < newest:
            try:
                segment = self._read_segment(upto, newest)
            finally:
                self._source.check(self._hold)  # after reading: if the hold is over, rows may have been gone
            yield segment
            self.after, self.crc, self.time, self.answered = segment.last, segment.crc, segment.time, segment.answered

    def _read_segment(self, upto: int, newest: int) -> Segment:
        are_first = self.answered < min(self._compacted, newest)
        until = min(self._compacted, newest) if are_first else newest
        batches = self._read_batches(upto) if self.after < upto and not are_first else []
        answers, answered = [], self.answered
        if not batches or batches[-1][0] >= upto:
            answers = self._read_answers(until)
            answered = answers[-1][0] if len(answers) == ANSWERS_ROWS else max(until, answered)
        return Segment(
            after=self.after,
            crc_before=self.crc,
            time=self._time_of(batches),
            answered=answered,
            batches=batches,
            metadata=list(self._read_metadata(batches)),
            answers=answers,
            run_key=self._source.run_key(),
        )

    def _read_batches(self, upto: int) -> list[BatchRow]:
        """Read batches of SEGMENT_BYTES together, or one."""
        rows: list[BatchRow] = []
        size = 0
        first = self.after + 1
        if not self.crc and self.after < upto:  # the first has nothing before it: the snapshot knows its CRC
            rows = self._read_first(first)
            size = len(rows[0][2])
            first += 1
        before = rows[-1][1] if rows else self.crc
        with closing(read_batch_rows(self._db, self._path, first - 1, upto, before)) as found:
            for row in found:
                size += len(row[2])
                if rows and size > SEGMENT_BYTES:
                    break
                rows.append(row)
        return rows

    def _read_first(self, lsn: int) -> list[BatchRow]:
        with translate_errors(self._path):
            row = self._db.execute("SELECT lsn, crc, records FROM batch WHERE lsn = ?", (lsn,)).fetchone()
        if row is None:
            raise DataDamaged(self._path, f"batch {lsn} is missing")
        return [row]

    def _time_of(self, batches: list[BatchRow]) -> int:
        for _, _, records in reversed(batches):
            if (begin := decode_begin(records)) is not None:
                return begin.tick - begin.offset
        return self.time

    def _read_metadata(self, batches: list[BatchRow]) -> Iterator[MetadataRow]:
        """Yield the metadata of batches; it is in their order, by sequences that begin with their ticks."""
        begins = filter(None, (decode_begin(records) for _, _, records in batches))
        if (begin := next(begins, None)) is None:
            return
        first, last, after = batches[0][0], batches[-1][0], (begin.tick << 1) - 1
        question = f"SELECT {METADATA_COLUMNS} FROM note WHERE sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608
        while True:
            with translate_errors(self._path):
                rows = self._db.execute(question, (after, READ_ROWS)).fetchall()
            for sequence, lsn, crc, body in rows:
                if first <= lsn <= last:
                    if not is_good_metadata(sequence, lsn, crc, body):
                        raise DataDamaged(self._path, f"metadata {sequence} is not what was written")
                    yield sequence, lsn, crc, body
            if len(rows) < READ_ROWS or rows[-1][1] > last:
                return
            after = rows[-1][0]

    def _read_answers(self, newest: int) -> list[AnswersRow]:
        with translate_errors(self._path):
            rows = self._db.execute(
                "SELECT tick, agreed, crc, pairs, bodies FROM once WHERE tick > ? AND tick <= ? ORDER BY tick LIMIT ?",
                (self.answered, newest, ANSWERS_ROWS),
            ).fetchall()
        for row in rows:
            check_answers(self._path, row)
        return rows

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
