"""Rows of metadata: the table ``note`` of the journal and of the snapshot, by sequence.

A page of the file that is damaged takes nothing with it but the rows that were on it: all others are found.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from laurels.errors import DataDamaged
from laurels.stores.embedded.sqlite_file import is_unusable, translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

READ_ROWS = 64
LAST_SEQUENCE = 2**63 - 1


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
