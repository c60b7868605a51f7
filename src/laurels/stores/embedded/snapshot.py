"""The snapshot: a state as of one LSN, in an SQLite file that is written once and never changed.

    chunk    some entries of a key in their order, in the bytes that :meth:`laurels.ranking.Index.dump` writes
    board    what is known of a board besides its entries: its definition, its last submit; "-" is the default's
    note     metadata, by the sequence of the write that brought it, with the name and the keys that still have it
    moved    entries whose metadata is not that of their own sequence, and under which sequence it is
    hidden   the names that are hidden, and on which boards
    mark     what the guards of boards remember: of a name, or of a run, which is on no board; and until when
    seal     which directory the file belongs to, the LSN up to which it holds the journal, what is in it, and the CRC
             of the journal's batch of that LSN, which is another in a copy that went on by itself

Names on disk do not change: ``seal`` is the *footer* in the code, ``note`` is *metadata*, and ``folded`` is
``compacted_upto``.

Each row has a CRC32 that covers its key too, and the footer says how many rows there are with the sum of their CRCs, so
that none can be missing either. Metadata is counted apart, because a start does not read it: whether it is complete is
seen by the next compaction, and whether a row of it is good when that is asked for. What is damaged or missing of it is
left out by the next compaction: its entry stays, and still says that it has some. ``lost`` counts it.

A submit feeds a board and its periods, and brings metadata once: one row, however many keys have it. Files before
the fifth format have no ``hidden`` and no ``mark``; those of the second have a row for each key and name, and no
``moved``; those of the first have chunks alone, without sequences.

A new snapshot is written next to the old one and renamed over it: whatever dies when, there is one complete file of one
LSN. That needs the space of both for a while, and no journal, no log and no locks; and a reader that has the old file
open goes on with it, undisturbed.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import closing
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from laurels.errors import DataDamaged
from laurels.stores.embedded.directory import sync_directory
from laurels.stores.embedded.metadata_rows import scan_rows, select_rows
from laurels.stores.embedded.sqlite_file import (
    FIFTH_FORMAT,
    FORMAT,
    FOURTH_FORMAT,
    OLDEST_FORMAT,
    SECOND_FORMAT,
    check_format,
    check_header,
    translate_errors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from laurels.stores.embedded.journal import Journal

FLUSH_BYTES = 2**20
"""How much is written before it is flushed: a flood at the end would hold up the journal's own flushes."""
SCHEMA = """
CREATE TABLE seal (
    origin BLOB NOT NULL, format INTEGER NOT NULL, folded INTEGER NOT NULL, chunks INTEGER NOT NULL,
    digest INTEGER NOT NULL, sequence INTEGER NOT NULL, notes INTEGER NOT NULL, noted INTEGER NOT NULL,
    folded_crc INTEGER NOT NULL, lost INTEGER NOT NULL, offsets BLOB NOT NULL, crc INTEGER NOT NULL
);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, board TEXT NOT NULL, part INTEGER NOT NULL, crc INTEGER NOT NULL, packed BLOB NOT NULL
);
CREATE TABLE board (name TEXT NOT NULL, definition BLOB, renewed INTEGER, crc INTEGER NOT NULL);
CREATE TABLE note (
    sequence INTEGER PRIMARY KEY, name TEXT NOT NULL, keys TEXT NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE moved (key TEXT NOT NULL, name TEXT NOT NULL, sequence INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE hidden (board TEXT NOT NULL, name TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE mark (board TEXT, what BLOB NOT NULL, until INTEGER NOT NULL, crc INTEGER NOT NULL);
"""
PAGE_BYTES = 8192
"""Of the file: seven rows with metadata of 1 KiB go on a page, of 4,096 bytes only three."""
KEYS = "\t"
"""Separates the keys of metadata."""
NOTE_COLUMNS = "sequence, name, keys, crc, body"

COLUMNS: dict[int, list[type]] = {1: [bytes, *[int] * 4], 2: [bytes, *[int] * 7], 3: [bytes, *[int] * 9, bytes]}
COLUMNS[FORMAT] = COLUMNS[FIFTH_FORMAT] = COLUMNS[FOURTH_FORMAT] = COLUMNS[3]
"""What the columns of ``seal`` hold in each format, that of its CRC aside."""
HIDDEN = "\n"
"""What the key of a chunk begins with if its entries are those of hidden names."""

ANOTHER_COPY = "one of the files is from a copy of this directory that has gone on by itself"

encode_offsets = msgspec.msgpack.Encoder().encode
decode_offsets = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode

Chunk = tuple[str, int, bytes]
"""A key, the number of the chunk among its chunks, and the entries as bytes."""
HiddenName = tuple[str, str]
"""A board, and a name that is hidden on it."""
Mark = tuple[str | None, bytes, int]
"""What a guard remembers: a board and a name, or None and a run; and the last tick at which that says something."""
Moved = tuple[str, str, int]
"""A key, a name, and the sequence under which its metadata is."""


class StoredMetadata(Struct, frozen=True, gc=False):
    """Metadata, by the sequence of the write that brought it, and who has it: a name under some keys."""

    sequence: int
    name: str
    keys: tuple[str, ...]
    body: bytes

    def crc(self) -> int:
        """Return its CRC32."""
        return _row_crc(self.sequence, self.name, KEYS.join(self.keys), self.body)


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

    ``chunks`` and ``chunk_crcs`` (the sum of their CRCs) count all rows but those of metadata.
    ``compacted_crc`` is the CRC that the journal has for the batch ``compacted_upto``, 0 if that is none; formats
    before the third do not say it. ``lost`` is how much metadata was found damaged or missing, and left out, since
    there is a snapshot. ``offsets`` are those of the state, as msgpack.
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
    lost: int = 0
    offsets: bytes = b"\x90"

    def crc(self) -> int:
        """Return the CRC32 of the footer itself."""
        fields = astuple(self)[: len(COLUMNS[self.format])]
        return zlib.crc32(b" ".join(field if isinstance(field, bytes) else b"%d" % field for field in fields))


def _chunk_crc(key: str, part: int, entries: bytes) -> int:
    return zlib.crc32(entries, zlib.crc32(f"{part} {key}".encode()))


def _row_crc(sequence: int, name: str, keys: str, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{sequence} {name}\n{keys}".encode()))


def _plain_crc(row: Moved | HiddenName | Mark) -> int:
    return zlib.crc32(repr(row).encode())


def _is_as_written(sequence: int, name: object, keys: object, crc: int, body: object) -> bool:
    texts = isinstance(name, str) and isinstance(keys, str)
    return texts and isinstance(body, bytes) and _row_crc(sequence, name, keys, body) == crc  # type: ignore[arg-type]


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
        others = [each.crc() for each in self.board_rows()]
        others += [*map(_plain_crc, self.moved()), *map(_plain_crc, self.hidden()), *map(_plain_crc, self.marks())]
        count, crcs = count + len(others), crcs + sum(others)
        if (count, crcs) != (self.footer.chunks, self.footer.chunk_crcs):
            raise DataDamaged(self.path, f"it holds {count} chunks and boards, and {self.footer.chunks} were written")

    def moved(self) -> list[Moved]:
        """Return the entries whose metadata is under another sequence than their own, checked."""
        if self.footer.format <= SECOND_FORMAT:
            return []
        with translate_errors(self.path):
            rows = self._db.execute("SELECT key, name, sequence, crc FROM moved").fetchall()
        for *moved, crc in rows:
            if _plain_crc(tuple(moved)) != crc:
                raise DataDamaged(self.path, f"where the metadata of {moved[1]!r} is, is not what was written")
        return [(key, name, sequence) for key, name, sequence, _ in rows]

    def hidden(self) -> list[HiddenName]:
        """Return the names that are hidden, each behind its board, checked."""
        if self.footer.format <= FOURTH_FORMAT:
            return []
        with translate_errors(self.path):
            rows = self._db.execute("SELECT board, name, crc FROM hidden").fetchall()
        for board, name, crc in rows:
            if _plain_crc((board, name)) != crc:
                raise DataDamaged(self.path, f"that {name!r} is hidden, or on which board, is not what was written")
        return [(board, name) for board, name, _ in rows]

    def marks(self) -> list[Mark]:
        """Return what the guards remember, checked."""
        if self.footer.format <= FOURTH_FORMAT:
            return []
        with translate_errors(self.path):
            rows = self._db.execute("SELECT board, what, until, crc FROM mark").fetchall()
        for *mark, crc in rows:
            if _plain_crc(tuple(mark)) != crc:
                raise DataDamaged(self.path, f"what a guard remembers of {mark[1]!r} is not what was written")
        return [(board, what, until) for board, what, until, _ in rows]

    def metadata(self) -> Iterator[StoredMetadata | None]:
        """Return all metadata in the order of its sequences; None for what is damaged or missing, each time."""
        if self.is_first_format:
            return
        rows = (
            scan_rows(self._db, self.path, NOTE_COLUMNS)
            if self.footer.format > SECOND_FORMAT
            else self._second_format()
        )
        count = 0
        for row in rows:
            if row is None or not _is_as_written(*row):
                continue
            count += row[2].count(KEYS) + 1 if self.footer.format <= SECOND_FORMAT else 1
            yield StoredMetadata(row[0], row[1], tuple(row[2].split(KEYS)), row[4])
        for _ in range(self.footer.metadata - count):
            yield None

    def _second_format(self) -> Iterator[tuple[Any, ...]]:
        """Return what are rows of today, of those that the second format had for each key."""
        question = "SELECT sequence, name, key, crc, body FROM note ORDER BY sequence"
        with translate_errors(self.path):
            rows = (row for row in self._db.execute(question) if _is_as_written(*row))
            for sequence, group in groupby(rows, key=itemgetter(0)):
                same = list(group)
                keys = KEYS.join(row[2] for row in same)
                _, name, _, _, body = same[0]
                yield sequence, name, keys, _row_crc(sequence, name, keys, body), body

    def metadata_of(self, wanted: Mapping[int, tuple[str, str]]) -> dict[int, bytes]:
        """Return metadata by these sequences; what is not there, or is not what was written, is left out.

        ``wanted`` has a key and a name for each sequence, by which the second format has it.
        """
        if self.is_first_format:
            return {}
        if self.footer.format > SECOND_FORMAT:
            rows = select_rows(self._db, NOTE_COLUMNS, list(wanted))
        else:
            question = "SELECT sequence, name, key, crc, body FROM note WHERE key = ? AND name = ?"
            rows = list(chain(*(self._db.execute(question, where) for where in wanted.values())))
        return {row[0]: row[4] for row in rows if row[0] in wanted and _is_as_written(*row)}

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


class Contents(Struct, frozen=True):
    """What a snapshot is made of; the chunks are taken first, the metadata last.

    None among the metadata counts what was lost; ``lost`` is what had been before.
    """

    sequence: int
    chunks: Iterable[Chunk]
    boards: Iterable[BoardRow]
    metadata: Iterable[StoredMetadata | None]
    moved: Iterable[Moved] = ()
    lost: int = 0
    offsets: Sequence[tuple[int, int]] = ()
    hidden: Iterable[HiddenName] = ()
    marks: Iterable[Mark] = ()


class Sums:
    """How many rows were written, the sum of their CRCs, and how many were lost; flushes the file as it grows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unflushed = 0
        self.count = 0
        self.crcs = 0
        self.lost = 0

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
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.executescript(SCHEMA)
        db.execute("BEGIN")
        rows, metadata = Sums(file.fileno()), Sums(file.fileno())
        _fill(db, contents, rows, metadata)
        counted = rows.count, rows.crcs, contents.sequence, metadata.count, metadata.crcs
        lost = metadata.lost + contents.lost
        footer = Footer(origin, FORMAT, upto[0], *counted, upto[1], lost, encode_offsets(contents.offsets))
        db.execute("INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*astuple(footer), footer.crc()))
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
        "INSERT INTO moved VALUES (?, ?, ?, ?)",
        ((*moved, rows.add(_plain_crc(moved), len(moved[1]))) for moved in contents.moved),
    )
    db.executemany(
        "INSERT INTO hidden VALUES (?, ?, ?)",
        ((*hidden, rows.add(_plain_crc(hidden), len(hidden[1]))) for hidden in contents.hidden),
    )
    db.executemany(
        "INSERT INTO mark VALUES (?, ?, ?, ?)",
        ((*mark, rows.add(_plain_crc(mark), len(mark[1]))) for mark in contents.marks),
    )
    db.executemany("INSERT INTO note VALUES (?, ?, ?, ?, ?)", _metadata_rows(contents.metadata, metadata))


def _metadata_rows(found: Iterable[StoredMetadata | None], sums: Sums) -> Iterator[tuple[int, str, str, int, bytes]]:
    for each in found:
        if each is None:
            sums.lost += 1
        else:
            crc = sums.add(each.crc(), len(each.body))
            yield each.sequence, each.name, KEYS.join(each.keys), crc, each.body
