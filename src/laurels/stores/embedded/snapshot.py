"""The compact form: a state as of one lsn, in an SQLite file that is written once and never changed.

    chunk    some entries of a key in their order, as :meth:`laurels.ranking.Index.dump` packs them
    board    what is known of a board beside its entries: its definition, its last submit; "-" is the default's
    note     the metadata of an entry, by key and name, with the sequence of the attempt that brought it
    seal     which directory the file belongs to, the lsn up to which the journal is in it, and what is in it

Each row has a CRC32 that takes in its place, and the seal tells how many rows there are with the sum of their CRCs, so
that none can be missing either. Notes are counted apart, for a start does not read them: that they are whole is
seen when they are asked for, and by the next fold. Files of the first format have chunks alone, without sequences.

A new form is written beside the old one and renamed over it: whatever dies when, there is one whole file of one
lsn. That needs the space of both for a while, and no journal, no log and no locks.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import astuple

from laurels.errors import DataDamaged
from laurels.stores.embedded.directory import sync
from laurels.stores.embedded.journal import FORMAT, OLDEST_FORMAT, check_format, screen, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

FLUSH_BYTES = 2**20
"""How much is written before it is flushed: a flood at the end would hold up the journal's own flushes."""
SCHEMA = """
CREATE TABLE seal (
    origin BLOB NOT NULL, format INTEGER NOT NULL, folded INTEGER NOT NULL, chunks INTEGER NOT NULL,
    digest INTEGER NOT NULL, sequence INTEGER NOT NULL, notes INTEGER NOT NULL, noted INTEGER NOT NULL,
    crc INTEGER NOT NULL
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

Chunk = tuple[str, int, bytes]
"""A key, the place of the chunk among its chunks, and the packed entries."""
Note = tuple[str, str, int, bytes]
"""A key, a name, the sequence of its attempt, and the metadata."""


class About(Struct, frozen=True, array_like=True):
    """What is known of a board beside its entries: its definition, as JSON, and the microsecond of its last submit."""

    name: str
    definition: bytes | None
    renewed: int | None

    def crc(self) -> int:
        """Give the CRC32 of it."""
        return zlib.crc32(repr(astuple(self)).encode())


class Seal(Struct, frozen=True, array_like=True):
    """What the whole file says of itself; ``chunks`` and ``digest`` count the rows about boards too."""

    origin: bytes
    format: int
    folded: int
    chunks: int
    digest: int
    sequence: int = 0
    notes: int = 0
    noted: int = 0

    def crc(self) -> int:
        """Give the CRC32 of the seal itself."""
        fields = astuple(self)[1 : 5 if self.format == OLDEST_FORMAT else 8]
        return zlib.crc32(b" ".join((self.origin, *(b"%d" % field for field in fields))))


def _checksum(key: str, part: int, packed: bytes) -> int:
    return zlib.crc32(packed, zlib.crc32(f"{part} {key}".encode()))


def _note_checksum(key: str, name: str, sequence: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{sequence} {name}\n{key}".encode()))


class Snapshot:
    """A compact form opened for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        screen(path)
        with translated(path):
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            try:
                self.seal = self._read_seal()
            except BaseException:
                self._db.close()
                raise

    @property
    def is_whole(self) -> bool:
        """Whether it has all that there is today; files of the first format have chunks without sequences alone."""
        return self.seal.format != OLDEST_FORMAT

    def _read_seal(self) -> Seal:
        rows = self._db.execute("SELECT * FROM seal").fetchall()
        if len(rows) != 1 or list(map(type, rows[0])) not in ([bytes, *[int] * 5], [bytes, *[int] * 8]):
            raise DataDamaged(self.path, "its seal is missing")
        seal = Seal(*rows[0][:-1])
        check_format(self.path, seal.format)
        if seal.crc() != rows[0][-1]:
            raise DataDamaged(self.path, "its seal is broken")
        return seal

    def boards(self) -> list[About]:
        """Give what is known of boards, verified."""
        if not self.is_whole:
            return []
        with translated(self.path):
            rows = self._db.execute("SELECT name, definition, renewed, crc FROM board").fetchall()
        for *fields, crc in rows:
            if About(*fields).crc() != crc:
                raise DataDamaged(self.path, f"what it says of board {fields[0]!r} is not what was written")
        return [About(*fields) for *fields, _ in rows]

    def stored(self) -> set[str]:
        """Give the keys that have entries."""
        with translated(self.path):
            return {key for (key,) in self._db.execute("SELECT DISTINCT board FROM chunk")}

    def chunks(self, wanted: Callable[[str], bool] = bool) -> Iterator[Chunk]:
        """Give every chunk of the wanted keys, all where it is not said, verified, and those of a key together.

        At the end, raise where any was missing, wanted or not.
        """
        count, digest = 0, 0
        with translated(self.path):
            rows = self._db.execute("SELECT board, part, crc, packed FROM chunk ORDER BY id")
            for count, (key, part, crc, packed) in enumerate(rows, 1):
                if not isinstance(packed, bytes) or _checksum(key, part, packed) != crc:
                    raise DataDamaged(self.path, f"chunk {count} is not what was written")
                digest += crc
                if wanted(key):
                    yield key, part, packed
        about = self.boards()
        count, digest = count + len(about), digest + sum(each.crc() for each in about)
        if (count, digest) != (self.seal.chunks, self.seal.digest):
            raise DataDamaged(self.path, f"it holds {count} chunks and boards, and {self.seal.chunks} were written")

    def notes(self) -> Iterator[Note]:
        """Give all notes, verified, those of a key together; at the end, raise where any was missing."""
        count = digest = 0
        if self.is_whole:
            with translated(self.path):
                for row in self._db.execute("SELECT key, name, sequence, crc, body FROM note"):
                    yield self._verified(*row)
                    count += 1
                    digest += row[3]
        if (count, digest) != (self.seal.notes, self.seal.noted):
            raise DataDamaged(self.path, f"it holds {count} notes, and {self.seal.notes} were written")

    def note(self, key: str, name: str) -> tuple[int, bytes] | None:
        """Give sequence and metadata of an entry, None where it has none; there are none in the first format."""
        question = "SELECT key, name, sequence, crc, body FROM note WHERE key = ? AND name = ?"
        row = self._db.execute(question, (key, name)).fetchone()
        return self._verified(*row)[2:] if row else None

    def _verified(self, key: str, name: str, sequence: int, crc: int, body: object) -> Note:
        if not isinstance(body, bytes) or _note_checksum(key, name, sequence, body) != crc:
            raise DataDamaged(self.path, f"the note of {name!r} on {key!r} is not what was written")
        return key, name, sequence, body

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


class Contents(Struct, frozen=True):
    """What a compact form is made of; the chunks are asked for first, then the rest."""

    sequence: int
    chunks: Iterable[Chunk]
    boards: Iterable[About]
    notes: Iterable[Note]


class Sums:
    """How many rows were written, the sum of their CRCs, and how many bytes are not flushed yet."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unflushed = 0
        self.count = 0
        self.digest = 0

    def add(self, crc: int, size: int) -> int:
        """Count a row, and give its CRC."""
        self.count += 1
        self.digest += crc
        self._unflushed += size
        if self._unflushed > FLUSH_BYTES:
            os.fdatasync(self._descriptor)
            self._unflushed = 0
        return crc


def write(path: Path, origin: bytes, folded: int, contents: Contents) -> None:
    """Replace the compact form by one of these contents; until the last moment the old one stands."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as db, new.open("wb") as file:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.executescript(SCHEMA)
        db.execute("BEGIN")
        rows, notes = Sums(file.fileno()), Sums(file.fileno())
        _fill(db, contents, rows, notes)
        counted = rows.count, rows.digest, contents.sequence, notes.count, notes.digest
        seal = Seal(origin, FORMAT, folded, *counted)
        db.execute("INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*astuple(seal), seal.crc()))
        db.execute("COMMIT")
        os.fsync(file.fileno())
    new.rename(path)
    sync(path.parent)


def _fill(db: sqlite3.Connection, contents: Contents, rows: Sums, notes: Sums) -> None:
    db.executemany(
        "INSERT INTO chunk (board, part, crc, packed) VALUES (?, ?, ?, ?)",
        (
            (key, part, rows.add(_checksum(key, part, packed), len(packed)), packed)
            for key, part, packed in contents.chunks
        ),
    )
    db.executemany(
        "INSERT INTO board VALUES (?, ?, ?, ?)",
        ((*astuple(each), rows.add(each.crc(), len(each.definition or b""))) for each in contents.boards),
    )
    db.executemany(
        "INSERT INTO note VALUES (?, ?, ?, ?, ?)",
        (
            (key, name, sequence, notes.add(_note_checksum(key, name, sequence, body), len(body)), body)
            for key, name, sequence, body in contents.notes
        ),
    )
