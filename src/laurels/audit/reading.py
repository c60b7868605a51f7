"""Reading an audit log: from its end, a bounded part at a time, or whole files from their beginning."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from laurels.audit.record import read_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from laurels.audit.record import Record, Wanted

BLOCK_BYTES = 64 * 1024
MOST_BYTES = 4 * 1024 * 1024
"""How much of a file is read for one question; a longer line is passed over."""


def find_newest(path: Path, wanted: Wanted, limit: int, before: int | None = None) -> tuple[list[Record], int | None]:
    """Return up to ``limit`` records from the newest on, and the offset before which to go on; None at the end.

    It goes on from ``before``, by default from the end of the file, up to the first record that is older than
    ``wanted.since``.
    """
    found: list[Record] = []
    with path.open("rb") as file:
        end = file.seek(0, 2)
        first = end if before is None else min(before, end)
        at = max(0, first - MOST_BYTES)  # if there is not one whole line
        for at, line in _lines_backwards(file, first):  # noqa: B007 - it is returned
            record = read_line(line)
            if record is not None and wanted.is_over(record):
                return found, None
            if record is not None and wanted.fits(record):
                found.append(record)
            if len(found) == limit:
                break
    return found, at or None


def _lines_backwards(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines before an offset, each with that of its beginning, the last line first."""
    start, least, rest = end, max(0, end - MOST_BYTES), b""
    while start > least:
        size = min(BLOCK_BYTES, start - least)
        start -= size
        file.seek(start)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        at = start + len(rest) + 1
        offsets = []
        for line in lines:
            if at < end:  # behind the last line there is nothing
                offsets.append((at, line))
            at += len(line) + 1
        yield from reversed(offsets)
    if start == 0:
        yield 0, rest


def read_file(path: Path, wanted: Wanted) -> Iterator[Record]:
    """Yield the records of a whole file, the oldest first; one that ends in ``.gz`` is unpacked. Raises OSError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                record = read_line(line)
                if record is not None and wanted.fits(record):
                    yield record
    except (EOFError, zlib.error) as error:
        raise gzip.BadGzipFile(f"{path} is damaged") from error
