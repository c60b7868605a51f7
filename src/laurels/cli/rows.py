"""Files of names and scores: TSV, CSV and JSON Lines, plain or gzipped.

A file is read row by row, in the dialect of its beginning (:mod:`laurels.cli.dialects`); a row that cannot be read
becomes a :class:`BadRow` in its place. TSV has no quoting, so no name there can have a tab or a line break; neither can
a name on a board.

A spreadsheet takes a cell that begins with one of FORMULA for a formula. A *guarded* file has an apostrophe before such
names, which shows them as they are; whoever reads it as guarded gets the names without it.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from laurels.cli.dialects import HEAD_BYTES, HIDDEN, METADATA, TIME, Columns, Format, Wanted, find_dialect
from laurels.cli.errors import BadFile
from laurels.cli.numbers import parse_score
from laurels.errors import truncate
from laurels.http.bodies import describe_mismatch
from laurels.limits import METADATA_BYTES
from laurels.stores.contract import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path, PurePath

    from _typeshed import WriteableBuffer

    from laurels.stores.contract import Score

ENDINGS: dict[str, Format] = {".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with; names have no tabs and no line breaks, which are as dangerous."""
GUARD = "'"
NULL = Raw(b"null")
FIELDS = ("name", "score", METADATA, TIME, HIDDEN)
YES, NO = {"true", "yes", "1"}, {"", "false", "no", "0"}
"""What a cell of the column ``hidden`` says, in any case."""
_GUARDED = re.compile(f"{GUARD}*[{re.escape(FORMULA)}]")
_GZIP = b"\x1f\x8b"
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)


class DetailedEntry(Entry, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """An entry with what else a file and a batch may say of it; ``submitted_at`` as in the file."""

    metadata: Raw | None = None
    submitted_at: str | None = None


class HiddenRow(Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A hidden name, with its entry if it has one, as :class:`DetailedEntry` has that."""

    name: str
    score: Score | None
    metadata: Raw | None = None
    submitted_at: str | None = None
    hidden: bool = False
    """Always true; false is what nobody writes."""


class Row(Struct, frozen=True, gc=False):
    """An entry, and the line of the file that it begins on, from 1.

    A hidden name has no entry if it has no score; ``hidden`` is that name then, and else None.
    """

    line: int
    entry: Entry | None
    hidden: str | None = None


class BadRow(Struct, frozen=True, gc=False):
    """Why a row was not kept; ``name`` is None if none could be read."""

    line: int
    name: str | None
    problem: str


class _Object(Struct, frozen=True, rename="camel", gc=False):
    name: str
    score: Raw
    metadata: Raw = NULL
    submitted_at: str | None = None
    hidden: bool = False


class _StrictObject(_Object, frozen=True, forbid_unknown_fields=True, gc=False):
    """An object with no other fields."""


Cells = tuple[int, list[str]]
"""The line that a row begins on, and its columns."""

_read_object = msgspec.json.Decoder(_Object).decode
_read_strictly = msgspec.json.Decoder(_StrictObject).decode
_read_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_read_json = msgspec.json.Decoder().decode
_encode_lines = msgspec.json.Encoder().encode_lines


def format_of(path: PurePath) -> Format | None:
    """Return a file's format by the ending of its name, before any ``.gz``; None for an unknown ending."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return ENDINGS.get(plain.suffix.lower())


class _Joined(io.RawIOBase):
    """A file of which the head was read already, and which may end with an error."""

    def __init__(self, head: bytes, rest: IO[bytes], damage: Exception | None) -> None:
        self._head = head
        self._rest = rest
        self._damage = damage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        if self._head:
            found, self._head = self._head[: len(view)], self._head[len(view) :]
        elif self._damage:
            raise self._damage
        else:
            found = self._rest.read1(len(view))  # type: ignore[attr-defined]
        view[: len(found)] = found
        return len(found)


def _read_head(file: IO[bytes]) -> tuple[bytes, Exception | None]:
    """Return the beginning of a file, and what its gzip data is damaged by if that is seen there."""
    head = bytearray()
    try:
        while len(head) < HEAD_BYTES and (more := file.read1(HEAD_BYTES - len(head))):  # type: ignore[attr-defined]
            head += more
    except _DAMAGE as damage:
        return bytes(head), damage
    return bytes(head), None


class Taken(Struct, frozen=True):
    """What is taken of the rows of a file besides names and scores.

    ``submitted_at`` is the time of all of them. ``guarded`` says that the guards of names are not part of them.
    """

    metadata: bool = True
    times: bool = False
    submitted_at: str | None = None
    guarded: bool = False


class Reading:
    """The rows of a file in order, unpacked if it is gzipped. Empty rows are skipped; the file is left open.

    ``not_taken`` counts the rows that have a field which is not taken, by field.
    """

    def __init__(
        self,
        file: io.BufferedReader,
        wanted: Wanted = Wanted(),  # noqa: B008 - frozen
        taken: Taken = Taken(),  # noqa: B008 - frozen
    ) -> None:
        self.not_taken = Counter[str]()
        self._file = file
        self._wanted = wanted
        self._taken = taken

    def __iter__(self) -> Generator[Row | BadRow]:
        """Yield the rows; raise BadFile before the first if the file cannot be read, or in more than one way."""
        line = 0
        packed = self._file.peek(2)[:2] == _GZIP
        unpacked: IO[bytes] = gzip.GzipFile(fileobj=self._file) if packed else self._file  # type: ignore[assignment]
        head, damage = _read_head(unpacked)
        try:
            self._dialect = find_dialect(head, self._wanted)
        except BadFile:
            if damage:  # it is what is missing that makes it unclear
                raise BadFile(f"Its gzip data is damaged at its beginning: {damage}.") from damage
            raise
        self._text = self._open_text(_Joined(head[self._dialect.mark_bytes :], unpacked, damage))
        try:
            for row in self._read_jsonl() if self._dialect.kind == "jsonl" else self._read_table():
                line = row.line
                yield row
        except _DAMAGE as damage:
            yield BadRow(line + 1, None, f"the gzip data is damaged, and nothing from here on was read: {damage}")
        except UnicodeDecodeError as error:
            yield BadRow(line + 1, None, f"it is not {error.encoding.upper()}, and nothing from here on was read")

    def _open_text(self, file: io.RawIOBase) -> io.TextIOWrapper:
        # Bytes that are not UTF-8 become surrogates, so that they make bad rows and do not end the reading. A line has
        # one end, because the parsers of the formats have rules of their own for "\r".
        encoding = self._dialect.encoding
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        buffered = io.BufferedReader(file, HEAD_BYTES)
        return io.TextIOWrapper(buffered, encoding=encoding, errors=errors, newline=self._dialect.line_end)

    # JSON Lines

    def _read_jsonl(self) -> Iterator[Row | BadRow]:
        for line, written in enumerate(self._text, 1):
            if written.isspace():
                continue
            try:
                found = self._read_object(written)
                has_score = not (found.hidden and found.score == NULL)
                score = parse_score(bytes(found.score).decode()) if has_score else 0
                metadata = compact(bytes(found.metadata)) if found.metadata is not NULL else None
            except UnicodeEncodeError:
                yield BadRow(line, None, "the row is not valid UTF-8")
            except msgspec.ValidationError as error:
                yield BadRow(line, None, describe_mismatch(error, "a row", FIELDS))
            except msgspec.DecodeError as error:
                yield BadRow(line, None, str(error))
            except ValueError as error:
                yield BadRow(line, found.name, str(error))
            else:
                entry = self._entry(found.name, score, metadata, found.submitted_at) if has_score else None
                yield Row(line, entry, found.name if found.hidden else None)

    def _read_object(self, written: str) -> _Object:
        try:
            return _read_strictly(written)
        except msgspec.ValidationError:
            found = _read_object(written)
            self.not_taken.update(_read_fields(written).keys() - FIELDS)
            return found

    def _entry(self, name: str, score: float, metadata: bytes | None, time: str | None) -> Entry:
        taken = self._taken
        if time and not taken.times:
            self.not_taken[TIME] += 1
            time = None
        if metadata and not taken.metadata:
            self.not_taken[METADATA] += 1
            metadata = None
        if metadata or time or taken.submitted_at:
            return DetailedEntry(name, score, Raw(metadata) if metadata else None, time or taken.submitted_at)
        return Entry(name, score)

    # Tables

    def _read_table(self) -> Iterator[Row | BadRow]:
        rows = self._csv_cells() if self._dialect.has_quotes else self._tsv_cells()
        read_row = self._row_reader()
        columns = self._dialect.columns
        width, others, is_title = columns.width, columns.others, columns.has_titles
        for row in rows:
            if isinstance(row, BadRow):
                yield row
                continue
            line, cells = row
            try:
                if len(cells) != width:
                    _check_width(cells, columns)
                if is_title:
                    is_title = False
                    continue
                entry, hidden = read_row(cells)
            except _WrongWidth as error:
                yield BadRow(line, None, str(error))
            except ValueError as error:
                if any(map(str.strip, cells)):
                    name = cells[columns.name]
                    yield BadRow(line, name.encode(errors="surrogateescape").decode(errors="replace"), str(error))
            else:
                if others:
                    self.not_taken.update(others)
                yield Row(line, entry, hidden)

    def _row_reader(self) -> Callable[[list[str]], tuple[Entry | None, str | None]]:
        """Return what makes an entry of the cells of a row, and the name if that is hidden, or raises ValueError."""
        columns, parse, taken = self._dialect.columns, self._dialect.parse_score, self._taken
        name_at, score_at = columns.name, columns.score

        def read_plain(cells: list[str]) -> tuple[Entry, None]:
            return Entry(cells[name_at], parse(cells[score_at])), None

        def read_detailed(cells: list[str]) -> tuple[Entry | None, str | None]:
            name, score_cell = cells[name_at], cells[score_at]
            is_hidden = _is_hidden(_cell(cells, columns.hidden))
            has_score = not is_hidden or bool(score_cell.strip())
            score = parse(score_cell) if has_score else 0
            if taken.guarded and name[:1] == GUARD and _GUARDED.match(name, 1):
                name = name[1:]
            metadata, time = _cell(cells, columns.metadata), _cell(cells, columns.time)
            body = compact(metadata.encode(errors="surrogateescape")) if metadata else None
            return self._entry(name, score, body, time) if has_score else None, name if is_hidden else None

        is_plain = columns.metadata is columns.time is columns.hidden is None
        return read_plain if is_plain and not (taken.guarded or taken.submitted_at) else read_detailed

    def _tsv_cells(self) -> Iterator[Cells]:
        separator, skipped = self._dialect.separator, self._dialect.skipped
        rows = enumerate((row.rstrip("\r\n") for row in self._text), 1)
        return ((line, row.split(separator)) for line, row in rows if row and line > skipped)

    def _csv_cells(self) -> Iterator[Cells | BadRow]:
        for _ in range(self._dialect.skipped):
            next(self._text)
        has_extra, text = self._dialect.has_extra_returns, self._text
        lines = (line.rstrip("\r\n") + "\n" for line in text) if has_extra else text
        reader = csv.reader(lines, delimiter=self._dialect.separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(line + self._dialect.skipped, None, _format_csv_problem(error, line, reader.line_num))
            else:
                if cells:
                    yield line + self._dialect.skipped, cells


class _WrongWidth(ValueError):
    """A row has too few columns, or too many."""


def _check_width(cells: Sequence[str], columns: Columns) -> None:
    """Raise _WrongWidth for a row whose cells are not those of a table; those behind the last that is taken may miss.

    Raises ValueError for a row of empty cells.
    """
    if not any(map(str.strip, cells)):
        raise ValueError
    found = len(cells)
    if found <= max(columns.name, columns.score) or any(map(str.strip, cells[columns.width :])):
        raise _WrongWidth(
            "there is no score" if found == 1 else f"there are {found} columns, where {columns.width} are expected"
        )


def _cell(cells: Sequence[str], place: int | None) -> str:
    return "" if place is None or place >= len(cells) else cells[place].strip()


def _is_hidden(cell: str) -> bool:
    if cell.casefold() in NO:
        return False
    if cell.casefold() in YES:
        return True
    raise ValueError(f"hidden is {truncate(cell)!r}: it is true, or empty")


def compact(metadata: bytes) -> bytes | None:
    """Return metadata without the spaces between its parts, None for null; raise ValueError if it is none."""
    try:
        found = _read_json(metadata)
        metadata = msgspec.json.format(metadata, indent=-1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError(f"the metadata {truncate(metadata.decode(errors='replace'))!r} is not JSON") from None
    if len(metadata) > METADATA_BYTES:
        raise ValueError(f"the metadata has {len(metadata):,} bytes of JSON: it may have {METADATA_BYTES:,}")
    return None if found is None else metadata


def _format_csv_problem(error: csv.Error, first: int, last: int) -> str:
    reason = str(error).partition(" - ")[0]
    return f"not CSV: {reason}" + (f" (in lines {first} to {last}, read as one row)" if last > first else "")


def make_header(kind: Format, *, details: bool, hidden: bool = False) -> bytes:
    """Return the first line of a file."""
    titles = ["name", "score", *([TIME, METADATA] if details else []), *([HIDDEN] if hidden else [])]
    return b"" if kind == "jsonl" else (("\t" if kind == "tsv" else ",").join(titles) + "\n").encode()


def encode_rows(
    entries: Iterable[Entry | HiddenRow], kind: Format, *, details: bool, guarded: bool = False, hidden: bool = False
) -> bytes:
    """Encode entries as rows of a file, without a header; the other arguments say what a table has."""
    if kind == "jsonl":
        return _encode_lines(entries)
    rows: Iterable[Sequence[str]] = (
        (
            guard(entry.name) if guarded else entry.name,
            "" if entry.score is None else str(entry.score),
            *(_details(entry) if details else ()),
            *(("true" if isinstance(entry, HiddenRow) else "",) if hidden else ()),
        )
        for entry in entries
    )
    if kind == "tsv":
        return "".join(["\t".join(row) + "\n" for row in rows]).encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _details(entry: Entry | HiddenRow) -> Sequence[str]:
    if not isinstance(entry, DetailedEntry | HiddenRow):
        return "", ""
    return entry.submitted_at or "", bytes(entry.metadata).decode() if entry.metadata else ""


def guard(name: str) -> str:
    """Return a name with an apostrophe before it if a spreadsheet might take it for a formula."""
    return GUARD + name if _GUARDED.match(name) else name


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
