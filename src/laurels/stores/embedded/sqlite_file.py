"""The SQLite files of a data directory: what their errors mean, and whether this version can read them.

Both say in a table of their own which format they are of. Any change to what is stored raises FORMAT
(``tests/stores/test_formats.py`` fails until it does).
"""

from __future__ import annotations

import _sqlite3
import ctypes
import re
import sqlite3
from contextlib import closing, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from laurels.errors import DataDamaged, DirectoryUnusable, NewerFormat
from laurels.stores.embedded import sync_clock
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLDEST_FORMAT, SECOND_FORMAT, FOURTH_FORMAT, FIFTH_FORMAT, FORMAT = 1, 2, 4, 5, 6
_MAJOR, _MINOR, _PATCH = map(int, re.findall(r"\d+", __version__)[:3])
_VERSION = _MAJOR * 10**6 + _MINOR * 1000 + _PATCH
SIGN = f"PRAGMA user_version = {_VERSION}"
"""Writes into a file which version gave it its format, where every version can read it."""
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


def check_format(path: Path, found: object) -> None:
    """Raise DataDamaged if a file is of no format, and NewerFormat if it is of a later one than FORMAT."""
    if not isinstance(found, int) or found < OLDEST_FORMAT:
        raise DataDamaged(path, f"its format is {found!r}")
    if found > FORMAT:
        raise newer_format(path, found)


def newer_format(path: Path, found: int | str) -> NewerFormat:
    """Return the error that a file is of a later version, with that version if the journal beside it says it."""
    number = 0
    with suppress(sqlite3.Error), closing(connect_read_only(path.with_name("journal.db"))) as db:
        (number,) = db.execute("PRAGMA user_version").fetchone()
    minor, patch = divmod(number, 1000)
    writer = "{}.{}.{}".format(*divmod(minor, 1000), patch) if number > _VERSION else None
    return NewerFormat(path, found, FORMAT, writer)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Connect without the means to write, not even by the checkpoint of a connection that ends.

    Used by one thread at a time, but not always by the one that made it.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


@cache
def times_syncs() -> bool:
    """Return whether it is known how long the syncs of :func:`connect_to_write` take (:mod:`.sync_clock`)."""
    return register_sync_clock(ctypes.CDLL(getattr(_sqlite3, "__file__", None)))


def register_sync_clock(library: ctypes.CDLL) -> bool:
    """Have SQLite know the VFS with the clock; return False if its functions are not to be found in a library."""
    names = "sqlite3_vfs_find", "sqlite3_vfs_register"
    try:
        find, add = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names)
    except AttributeError:
        return False
    return sync_clock.register(find or 0, add or 0)


def connect_to_write(path: Path, timeout: float) -> sqlite3.Connection:
    """Connect for writing, each statement a transaction of its own; wait so long for other programs' locks."""
    vfs = f"?vfs={sync_clock.NAME}" if times_syncs() else ""
    uri = f"{path.absolute().as_uri()}{vfs}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
