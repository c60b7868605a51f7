"""The snapshot: a state as of one LSN, in an SQLite file that is written once and never changed.

    chunk    some entries of a key in their order, in the bytes that :meth:`laurels.ranking.Index.dump` writes
    board    what is known of a board besides its entries: its definition, its last submit; "-" is the default's
    note     the metadata of an entry, by key and name, with the sequence of the submission that brought it
    seal     which directory the file belongs to, the LSN up to which it holds the journal, what is in it, and the CRC
             of the journal's batch of that LSN, which tells this history from that of a copy

Names on disk do not change: ``seal`` is the *footer* in the code, ``note`` is *metadata*, and ``folded`` is
``compacted_upto``.

Each row has a CRC32 that covers its key too, and the footer says how many rows there are with the sum of their CRCs, so
that none can be missing either. Metadata is counted apart, because a start does not read it: whether it is complete is
seen by the next compaction, and whether a row of it is good when that is asked for. Files of the first format have
chunks alone, without sequences.

A new snapshot is written next to the old one and renamed over it: whatever dies when, there is one complete file of one
LSN. That needs the space of both for a while, and no journal, no log and no locks; and a reader that has the old file
open goes on with it, undisturbed.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from laurels.errors import DataDamaged
from laurels.stores.embedded.directory import sync_directory
from laurels.stores.embedded.journal import FORMAT, OLDEST_FORMAT, check_format, check_header, translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from laurels.stores.embedded.journal import Journal

FLUSH_BYTES = 2**20
"""How much is written before it is flushed: a flood at the end would hold up the journal's own flushes."""
SCHEMA = """
CREATE TABLE seal (
    origin BLOB NOT NULL, format INTEGER NOT NULL, folded INTEGER NOT NULL, chunks INTEGER NOT NULL,
    digest INTEGER NOT NULL, sequence INTEGER NOT NULL, notes INTEGER NOT NULL, noted INTEGER NOT NULL,
    folded_crc INTEGER NOT NULL, offsets BLOB NOT NULL, crc INTEGER NOT NULL
);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, board TEXT NOT NULL, part INTEGER NOT NULL, crc INTEGER NOT NULL, packed BLOB NOT NULL
);
CREATE TABLE board (name TEXT NOT NULL, definition BLOB, renewed INTEGER, crc INTEGER NOT NULL);
CREATE TABLE note (
    key TEXT NOT NULL, name TEXT NOT NULL, sequence INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (key, name)
) WITHOUT ROWID;
"""

COLUMNS: dict[int, list[type]] = {1: [bytes, *[int] * 4], 2: [bytes, *[int] * 7], 3: [bytes, *[int] * 8, bytes]}
"""What the columns of ``seal`` hold in each format, that of its CRC aside."""

ANOTHER_COPY = "one of the files is from a copy of this directory that has gone on by itself"

encode_offsets = msgspec.msgpack.Encoder().encode
decode_offsets = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode

Chunk = tuple[str, int, bytes]
"""A key, the number of the chunk among its chunks, and the entries as bytes."""
EntryMetadata = tuple[str, str, int, bytes]
"""A key, a name, the sequence of its submission, and the metadata."""


class BoardRow(Struct, frozen=True, array_like=True):
    """What is known of a board besides its entries: its definition, as JSON, and the tick of its last submit."""

    name: str
    definition: bytes | None
    renewed: int | None

    def crc(self) -> int:
        """Return its CRC32."""
        return zlib.crc32(repr(astuple(self)).encode())


class Footer(Struct, frozen=True, array_like=True):
    """What the whole file says of itself, in the order of the columns of ``seal``.

    ``chunks`` and ``chunk_crcs`` (the sum of their CRCs) count the rows about boards too. ``compacted_crc`` is the CRC
    that the journal has for the batch ``compacted_upto``, 0 if that is none; formats before the third do not say it.
    ``offsets`` are those of the state, as msgpack.
    """

    origin: bytes
    format: int
    compacted_upto: int
    chunks: int
    chunk_crcs: int
    sequence: int = 0
    metadata: int = 0
    metadata_crcs: int = 0
    compacted_crc: int | None = None
    offsets: bytes = b"\x90"

    def crc(self) -> int:
        """Return the CRC32 of the footer itself."""
        fields = astuple(self)[: len(COLUMNS[self.format])]
        return zlib.crc32(b" ".join(field if isinstance(field, bytes) else b"%d" % field for field in fields))


def _chunk_crc(key: str, part: int, entries: bytes) -> int:
    return zlib.crc32(entries, zlib.crc32(f"{part} {key}".encode()))


def _metadata_crc(key: str, name: str, sequence: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{sequence} {name}\n{key}".encode()))


class Snapshot:
    """A snapshot opened for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        check_header(path)
        with translate_errors(path):
            # Immutable: SQLite looks for no log next to it and takes no lock, for the file never changes in place.
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            try:
                self.footer = self._read_footer()
            except BaseException:
                self._db.close()
                raise

    def check_history(self, log: Journal) -> None:
        """Raise DataDamaged if a journal is another directory's, or has another history than this was made of."""
        footer, boards = self.footer, self.path
        if footer.origin != log.origin.id:
            raise DataDamaged(boards, "it belongs to another directory than journal.db")
        if footer.compacted_crc is not None and footer.compacted_crc != (log.crc_of(footer.compacted_upto) or 0):
            problem = f"batch {footer.compacted_upto}, with which it ends, is another in journal.db: {ANOTHER_COPY}"
            raise DataDamaged(boards, problem)

    @property
    def is_first_format(self) -> bool:
        """Whether it has chunks alone, and these without sequences."""
        return self.footer.format == OLDEST_FORMAT

    def _read_footer(self) -> Footer:
        rows = self._db.execute("SELECT * FROM seal").fetchall()
        if len(rows) == 1 and len(rows[0]) > 1:
            check_format(self.path, rows[0][1])  # before all else: a later version may have other columns
        if [list(map(type, row)) for row in rows] not in ([[*columns, int]] for columns in COLUMNS.values()):
            raise DataDamaged(self.path, "its seal is missing")
        footer = Footer(*rows[0][:-1])
        if footer.crc() != rows[0][-1]:
            raise DataDamaged(self.path, "its seal is broken")
        return footer

    def board_rows(self) -> list[BoardRow]:
        """Return what is known of boards, checked."""
        if self.is_first_format:
            return []
        with translate_errors(self.path):
            rows = self._db.execute("SELECT name, definition, renewed, crc FROM board").fetchall()
        for *fields, crc in rows:
            if BoardRow(*fields).crc() != crc:
                raise DataDamaged(self.path, f"what it says of board {fields[0]!r} is not what was written")
        return [BoardRow(*fields) for *fields, _ in rows]

    def stored_keys(self) -> set[str]:
        """Return the keys that have entries."""
        with translate_errors(self.path):
            return {key for (key,) in self._db.execute("SELECT DISTINCT board FROM chunk")}

    def chunks(self, wanted: Callable[[str], bool] = bool) -> Iterator[Chunk]:
        """Return every chunk of the wanted keys (by default of all), checked, and those of a key together.

        At the end, raise DataDamaged if any was missing, wanted or not.
        """
        count, crcs = 0, 0
        with translate_errors(self.path):
            rows = self._db.execute("SELECT board, part, crc, packed FROM chunk ORDER BY id")
            for count, (key, part, crc, entries) in enumerate(rows, 1):
                if not isinstance(entries, bytes) or _chunk_crc(key, part, entries) != crc:
                    raise DataDamaged(self.path, f"chunk {count} is not what was written")
                crcs += crc
                if wanted(key):
                    yield key, part, entries
        boards = self.board_rows()
        count, crcs = count + len(boards), crcs + sum(each.crc() for each in boards)
        if (count, crcs) != (self.footer.chunks, self.footer.chunk_crcs):
            raise DataDamaged(self.path, f"it holds {count} chunks and boards, and {self.footer.chunks} were written")

    def metadata(self) -> Iterator[EntryMetadata]:
        """Return all metadata, checked, that of a key together; at the end, raise DataDamaged if any was missing."""
        count = crcs = 0
        if not self.is_first_format:
            with translate_errors(self.path):
                for row in self._db.execute("SELECT key, name, sequence, crc, body FROM note"):
                    yield self._check_metadata(*row)
                    count += 1
                    crcs += row[3]
        if (count, crcs) != (self.footer.metadata, self.footer.metadata_crcs):
            raise DataDamaged(self.path, f"it holds {count} notes, and {self.footer.metadata} were written")

    def metadata_of(self, key: str, name: str) -> tuple[int, bytes] | None:
        """Return sequence and metadata of an entry, None if it has none; there are none in the first format."""
        question = "SELECT key, name, sequence, crc, body FROM note WHERE key = ? AND name = ?"
        row = self._db.execute(question, (key, name)).fetchone()
        return self._check_metadata(*row)[2:] if row else None

    def _check_metadata(self, key: str, name: str, sequence: int, crc: int, body: object) -> EntryMetadata:
        if not isinstance(body, bytes) or _metadata_crc(key, name, sequence, body) != crc:
            raise DataDamaged(self.path, f"the note of {name!r} on {key!r} is not what was written")
        return key, name, sequence, body

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


class Contents(Struct, frozen=True):
    """What a snapshot is made of; the chunks are taken first, then the boards, then the metadata."""

    sequence: int
    chunks: Iterable[Chunk]
    boards: Iterable[BoardRow]
    metadata: Iterable[EntryMetadata]
    offsets: Sequence[tuple[int, int]] = ()


class Sums:
    """How many rows were written and the sum of their CRCs; flushes the file as it grows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unflushed = 0
        self.count = 0
        self.crcs = 0

    def add(self, crc: int, size: int) -> int:
        """Count a row of this many bytes, and return its CRC."""
        self.count += 1
        self.crcs += crc
        self._unflushed += size
        if self._unflushed > FLUSH_BYTES:
            os.fdatasync(self._descriptor)
            self._unflushed = 0
        return crc


def write(
    path: Path, origin: bytes, upto: tuple[int, int], contents: Contents, confirm: Callable[[], object] = lambda: None
) -> None:
    """Replace the snapshot by one of these contents; until the last moment the old one stays.

    ``upto`` is LSN and CRC of the batch with which they end. ``confirm`` is called at that moment, and may raise.

    The order is what makes it safe: content, fsync of the file, rename, fsync of the directory. SQLite need not sync,
    nor keep a rollback journal, for a file that nobody opens before that.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as db, new.open("wb") as file:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.executescript(SCHEMA)
        db.execute("BEGIN")
        rows, metadata = Sums(file.fileno()), Sums(file.fileno())
        _fill(db, contents, rows, metadata)
        counted = rows.count, rows.crcs, contents.sequence, metadata.count, metadata.crcs
        footer = Footer(origin, FORMAT, upto[0], *counted, upto[1], encode_offsets(contents.offsets))
        db.execute("INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*astuple(footer), footer.crc()))
        db.execute("COMMIT")
        os.fsync(file.fileno())
    confirm()
    new.rename(path)
    sync_directory(path.parent)


def _fill(db: sqlite3.Connection, contents: Contents, rows: Sums, metadata: Sums) -> None:
    db.executemany(
        "INSERT INTO chunk (board, part, crc, packed) VALUES (?, ?, ?, ?)",
        (
            (key, part, rows.add(_chunk_crc(key, part, entries), len(entries)), entries)
            for key, part, entries in contents.chunks
        ),
    )
    db.executemany(
        "INSERT INTO board VALUES (?, ?, ?, ?)",
        ((*astuple(each), rows.add(each.crc(), len(each.definition or b""))) for each in contents.boards),
    )
    db.executemany(
        "INSERT INTO note VALUES (?, ?, ?, ?, ?)",
        (
            (key, name, sequence, metadata.add(_metadata_crc(key, name, sequence, body), len(body)), body)
            for key, name, sequence, body in contents.metadata
        ),
    )
