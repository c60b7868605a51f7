"""The compact form: all boards as of one lsn, in an SQLite file that is written once and never changed.

A board is stored as chunks of up to CHUNK_ENTRIES entries in rank order, packed as
:meth:`laurels.ranking.Index.dump` packs them, each with a CRC32 over its board, its place and its bytes. One
``seal`` row tells which directory the file belongs to, the lsn up to which the journal is in it, and how many
chunks there are with the sum of their CRCs, so that a chunk cannot be missing either.

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
from laurels.stores.directory import sync
from laurels.stores.journal import FORMAT, screen, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHUNK_ENTRIES = 4096
FLUSH_BYTES = 2**20
"""How much is written before it is flushed: a flood at the end would hold up the journal's own flushes."""
SCHEMA = """
CREATE TABLE seal (
    origin BLOB NOT NULL, format INTEGER NOT NULL, folded INTEGER NOT NULL,
    chunks INTEGER NOT NULL, digest INTEGER NOT NULL, crc INTEGER NOT NULL
);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, board TEXT NOT NULL, part INTEGER NOT NULL, crc INTEGER NOT NULL, packed BLOB NOT NULL
);
"""

Chunk = tuple[str, int, bytes]
"""A board, the place of the chunk among its chunks, and the packed entries."""


class Seal(Struct, frozen=True, array_like=True):
    """What the whole file says of itself."""

    origin: bytes
    format: int
    folded: int
    chunks: int
    digest: int

    def crc(self) -> int:
        """Give the CRC32 of the seal itself."""
        return zlib.crc32(b"%b %d %d %d %d" % (self.origin, self.format, self.folded, self.chunks, self.digest))


def _checksum(board: str, part: int, packed: bytes) -> int:
    return zlib.crc32(packed, zlib.crc32(f"{part} {board}".encode()))


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

    def _read_seal(self) -> Seal:
        rows = self._db.execute("SELECT origin, format, folded, chunks, digest, crc FROM seal").fetchall()
        if [list(map(type, row)) for row in rows] != [[bytes, int, int, int, int, int]]:
            raise DataDamaged(self.path, "its seal is missing")
        seal = Seal(*rows[0][:-1])
        if seal.crc() != rows[0][-1] or seal.format != FORMAT:
            raise DataDamaged(self.path, "its seal is broken")
        return seal

    def chunks(self) -> Iterator[Chunk]:
        """Give every chunk, verified, those of one board together; at the end, raise where any was missing."""
        count = digest = 0
        with translated(self.path):
            for board, part, crc, packed in self._db.execute("SELECT board, part, crc, packed FROM chunk ORDER BY id"):
                if not isinstance(packed, bytes) or _checksum(board, part, packed) != crc:
                    raise DataDamaged(self.path, f"chunk {count} is not what was written")
                count += 1
                digest += crc
                yield board, part, packed
        if (count, digest) != (self.seal.chunks, self.seal.digest):
            raise DataDamaged(self.path, f"it holds {count} chunks, and {self.seal.chunks} were written")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def write(path: Path, origin: bytes, folded: int, chunks: Iterable[Chunk]) -> None:
    """Replace the compact form by one of these chunks; until the last moment the old one stands."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    count = digest = size = 0

    def rows() -> Iterator[tuple[str, int, int, bytes]]:
        nonlocal count, digest, size
        for board, part, packed in chunks:
            crc = _checksum(board, part, packed)
            count += 1
            digest += crc
            yield board, part, crc, packed
            size += len(packed)
            if size > FLUSH_BYTES:
                os.fdatasync(file.fileno())
                size = 0

    with closing(sqlite3.connect(new, isolation_level=None)) as db, new.open("wb") as file:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.executescript(SCHEMA)
        db.execute("BEGIN")
        db.executemany("INSERT INTO chunk (board, part, crc, packed) VALUES (?, ?, ?, ?)", rows())
        seal = Seal(origin, FORMAT, folded, count, digest)
        db.execute("INSERT INTO seal VALUES (?, ?, ?, ?, ?, ?)", (*astuple(seal), seal.crc()))
        db.execute("COMMIT")
        os.fsync(file.fileno())
    new.rename(path)
    sync(path.parent)
