"""A data directory read by its documented formats alone, and changed behind its owner's back."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Disk = dict[str, dict[str, float]]


def unpacked(packed: bytes) -> Iterator[tuple[str, float]]:
    """Give the entries of a chunk of the compact form."""
    at = 0
    while at < len(packed):
        score, length = struct.unpack_from("<dB", packed, at)
        at += 9 + length + 1
        yield packed[at - length - 1 : at].decode(), score


def play(boards: Disk, record: list[Any]) -> None:
    """Do to boards what one record of the journal says."""
    tag, board = int(record[0]), str(record[1])
    if tag == 0:
        boards.setdefault(board, {})[record[2]] = record[3]
    elif tag == 1:
        boards.setdefault(board, {}).update(zip(record[2], record[3], strict=True))
    elif tag == 2:
        boards.get(board, {}).pop(record[2], None)
    else:
        boards.pop(board, None)


def read(directory: Path) -> Disk:
    """Give the boards and entries that the two files hold between them."""
    boards: Disk = {}
    folded = 0
    if (directory / "boards.db").exists():
        with closing(sqlite3.connect(directory / "boards.db")) as compact:
            (folded,) = compact.execute("SELECT folded FROM seal").fetchone()
            for board, packed in compact.execute("SELECT board, packed FROM chunk"):
                boards.setdefault(board, {}).update(unpacked(packed))
    with closing(sqlite3.connect(f"file:{directory / 'journal.db'}?mode=ro", uri=True)) as journal:
        for (records,) in journal.execute("SELECT records FROM batch WHERE lsn > ? ORDER BY lsn", (folded,)):
            for record in msgspec.msgpack.decode(records):
                play(boards, record)
    return {board: entries for board, entries in boards.items() if entries}


def last(directory: Path) -> int:
    """Give the lsn of the journal's newest batch."""
    with closing(sqlite3.connect(f"file:{directory / 'journal.db'}?mode=ro", uri=True)) as journal:
        (found,) = journal.execute("SELECT max(lsn) FROM batch").fetchone()
    return int(found or 0)


def flip(file: Path, at: int) -> bytes:
    """Change one byte of a file, and give what it holds then."""
    data = bytearray(file.read_bytes())
    data[at] ^= 0x20
    file.write_bytes(data)
    return bytes(data)
