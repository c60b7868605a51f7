"""Files of names and scores: TSV, CSV and JSON Lines, plain or gzipped.

A file is read row by row; a row that cannot be read becomes a :class:`BadRow` in its place. TSV has no quoting, so no
name there can have a tab or a line break; neither can a name on a board. Numbers keep every digit or are refused.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from contextlib import contextmanager
from decimal import Decimal
from math import isfinite
from typing import IO, TYPE_CHECKING, Literal

import msgspec
from msgspec import Raw, Struct

from laurels.entries import EXACT, is_exact
from laurels.http.wire import describe_mismatch
from laurels.stores.contract import Entry, Score

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path, PurePath

Format = Literal["tsv", "csv", "jsonl"]

ENDINGS: dict[str, Format] = {".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
HEADERS: dict[Format, bytes] = {"tsv": b"name\tscore\n", "csv": b"name,score\n", "jsonl": b""}
FEW_DIGITS = 15
SHOWN = 60
_NUMBER = re.compile(r"\s*[+-]?(?=\d|\.\d)\d*(?P<more>(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*", re.ASCII)
_GZIP = b"\x1f\x8b"
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)


class Row(Struct, frozen=True, gc=False):
    """An entry, and the line of the file that it begins on, from 1."""

    line: int
    entry: Entry


class BadRow(Struct, frozen=True, gc=False):
    """Why a row was not kept; ``name`` is None if none could be read."""

    line: int
    name: str | None
    problem: str


class _Object(Struct, frozen=True, gc=False):
    name: str
    score: Raw


Cells = tuple[int, list[str]]
"""The line that a row begins on, and its columns."""

_read_object = msgspec.json.Decoder(_Object).decode
_encode_lines = msgspec.json.Encoder().encode_lines


def format_of(path: PurePath) -> Format | None:
    """Return a file's format by the ending of its name, before any ``.gz``; None for an unknown ending."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return ENDINGS.get(plain.suffix.lower())


def parse_score(text: str) -> Score:
    """Parse a score; raise ValueError, with the reason, if it is no finite number or would lose a digit."""
    if text.isdecimal() and text.isascii() and len(text) <= FEW_DIGITS:
        return int(text)
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        raise ValueError(f"the score {_truncate(text)} is not a number" if text.strip() else "there is no score")
    score = float(text)
    if not isfinite(score):
        raise ValueError(f"the score {_truncate(text)} is beyond the range of a double (about 1.8e308)")
    if not parts["more"]:
        return int(Decimal(text))
    if not -EXACT < score < EXACT and not is_exact(Decimal(text), score):
        raise ValueError(f"the score {_truncate(text)} would be rounded to {score:.0f}")
    return score


def _truncate(text: str) -> str:
    return ascii(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def read_rows(file: io.BufferedReader, kind: Format) -> Generator[Row | BadRow]:
    """Yield the rows of a file in order, unpacked if it is gzipped. Empty lines are skipped; the file is left open."""
    packed = file.peek(2)[:2] == _GZIP
    unpacked: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
    # Bytes that are not UTF-8 become surrogates, so that they make bad rows and do not end the reading; and a line ends
    # with "\n" alone, because the parsers of the formats have rules of their own for "\r".
    text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
    line = 0
    try:
        for row in _READERS[kind](text):
            line = row.line
            yield row
    except _DAMAGE as damage:
        yield BadRow(line + 1, None, f"the gzip data is damaged, and nothing from here on was read: {damage}")
    finally:
        # A wrapper that is collected closes its file. It is closed already if the caller has closed the file.
        if not text.closed:
            text.detach()


def _read_jsonl(text: io.TextIOWrapper) -> Iterator[Row | BadRow]:
    for line, written in enumerate(text, 1):
        if written.isspace():
            continue
        try:
            found = _read_object(written)
            yield Row(line, Entry(found.name, parse_score(bytes(found.score).decode())))
        except UnicodeEncodeError:
            yield BadRow(line, None, "the row is not valid UTF-8")
        except msgspec.ValidationError as error:
            yield BadRow(line, None, describe_mismatch(error, "a row", _Object.__struct_fields__))
        except msgspec.DecodeError as error:
            yield BadRow(line, None, str(error))
        except ValueError as error:
            yield BadRow(line, found.name, str(error))


def _read_tsv(text: io.TextIOWrapper) -> Iterator[Row | BadRow]:
    rows = enumerate((row.rstrip("\r\n") for row in text), 1)
    return _read_columns((line, row.split("\t")) for line, row in rows if row)


def _read_csv(text: io.TextIOWrapper) -> Iterator[Row | BadRow]:
    return _read_columns(_csv_cells(text))


def _csv_cells(text: io.TextIOWrapper) -> Iterator[Cells | BadRow]:
    reader = csv.reader(text, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(line, None, _format_csv_problem(error, line, reader.line_num))
        else:
            if cells:
                yield line, cells


def _format_csv_problem(error: csv.Error, first: int, last: int) -> str:
    reason = str(error).partition(" - ")[0]
    return f"not CSV: {reason}" + (f" (in lines {first} to {last}, read as one row)" if last > first else "")


def _read_columns(rows: Iterator[Cells | BadRow]) -> Iterator[Row | BadRow]:
    name, score, width = 0, 1, 2
    first = True
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        line, cells = row
        if first:
            first = False
            if header := _parse_header(cells):
                name, score, width = header
                continue
        if len(cells) != width:
            yield BadRow(line, None, _format_width_problem(len(cells), width))
            continue
        try:
            yield Row(line, Entry(cells[name], parse_score(cells[score])))
        except ValueError as error:
            yield BadRow(line, cells[name].encode(errors="surrogateescape").decode(errors="replace"), str(error))


def _parse_header(cells: list[str]) -> tuple[int, int, int] | None:
    """Return the columns of name and score, and the number of columns; None if the row is no header."""
    titles = [cell.strip().lower() for cell in cells]
    name = next((title for title in ("name", "player") if title in titles), None)
    if name is None or "score" not in titles:
        return None
    return titles.index(name), titles.index("score"), len(titles)


def _format_width_problem(found: int, width: int) -> str:
    if found == 1:
        return "there is no score"
    return f"there are {found} columns, where {width} are expected"


_READERS = {"tsv": _read_tsv, "csv": _read_csv, "jsonl": _read_jsonl}


def encode_rows(entries: Sequence[Entry], kind: Format) -> bytes:
    """Encode entries as rows of a file, without a header."""
    if kind == "jsonl":
        return _encode_lines(entries)
    if kind == "tsv":
        return "".join([f"{entry.name}\t{entry.score}\n" for entry in entries]).encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((entry.name, entry.score) for entry in entries)
    return text.getvalue().encode()


@contextmanager
def create_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing, gzipped if its name ends in ``.gz``.

    It replaces the file of that name at the end of the block; if the block raises, that one is left as it was. A device
    or a pipe is written to directly.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file, _wrap_gzip(file, path) as packed:
            yield packed
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _wrap_gzip(file: IO[bytes], path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return gzip.GzipFile(path.stem, "wb", compresslevel=6, fileobj=file)  # type: ignore[return-value]
    return file
