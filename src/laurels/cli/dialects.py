"""The dialect of a file of names and scores, found in its first bytes: what a spreadsheet may have made of it.

Spreadsheets write "CSV" with commas, semicolons or tabs, in several encodings, with any line ends, titles and columns.
A file is read if its beginning can be read in one way only, by what it is and by what the user says of it
(:class:`Wanted`). If not, one error says what was found, and which options say how to read it: BadFile.
"""

from __future__ import annotations

import codecs
import csv
import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from laurels.cli.errors import BadFile
from laurels.cli.numbers import Ambiguous, parse_clear, parse_decimal, parse_with_point
from laurels.errors import truncate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.stores.contract import Score

Format = Literal["tsv", "csv", "jsonl"]

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
"""What may stand between columns, in words."""
NAMES, SCORES, METADATA, TIME, HIDDEN = ("name", "player"), ("score",), "metadata", "submittedAt", "hidden"
"""The titles of the columns that are taken; in any case."""
HEAD_BYTES = 64 * 1024
"""How much of a file decides about its dialect."""
SHOWN_TITLES = 10
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as the next does
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
)
_MANY_NULS = 4
"""If one character in so many is NUL, the text was read in another encoding than it was written in."""
_ZIP = b"PK\x03\x04"
_QUOTED = re.compile(r'"[^"]*"?')
_LINE_END = re.compile(r"\r+\n|\r|\n")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
"""The first line, by which spreadsheets tell each other the separator."""
_OPTIONS = "--name-column and --score-column say which are those of the name and the score, by title or by number"


class Wanted(Struct, frozen=True):
    """What the user says of a file; what is None is found out."""

    kind: Format | None = None
    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    name_column: str | None = None
    score_column: str | None = None


class Columns(Struct, frozen=True):
    """The places of the columns that are taken, and the titles of the others."""

    name: int = 0
    score: int = 1
    metadata: int | None = None
    time: int | None = None
    hidden: int | None = None
    width: int = 2
    others: tuple[str, ...] = ()
    has_titles: bool = False


class Dialect(Struct, frozen=True):
    """How a file is read. ``mark_bytes`` come before its text, and ``skipped`` lines before its table.

    ``has_extra_returns`` says that its lines end with several carriage returns, as after two translations.
    """

    kind: Format
    encoding: str = "utf-8"
    mark_bytes: int = 0
    line_end: str = "\n"
    has_extra_returns: bool = False
    separator: str = "\t"
    decimal: str | None = None
    columns: Columns = Columns()
    skipped: int = 0

    @property
    def has_quotes(self) -> bool:
        """Whether the quotes around a cell are not part of it."""
        return self.kind == "csv"

    @property
    def parse_score(self) -> Callable[[str], Score]:
        """What parses a score, or raises ValueError with the reason; Ambiguous if it could be two numbers."""
        if self.decimal:
            return partial(parse_decimal, decimal=self.decimal)
        return parse_clear if self.separator == ";" else parse_with_point

    def cells(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the rows of the first lines of a file, empty ones aside, as far as they can be read."""
        rows: list[list[str]] = []
        if not self.has_quotes:
            rows = [line.split(self.separator) for line in lines]
        else:
            with suppress(csv.Error):  # said of its row when that is read
                rows.extend(csv.reader((f"{line}\n" for line in lines), delimiter=self.separator, strict=True))
        return [row for row in rows if any(map(str.strip, row))]

    def describe(self) -> str:
        """Return in words how the file was read."""
        separators = SEPARATORS.get(self.separator, repr(self.separator))
        return f"read as {self.encoding.upper()} with {separators} between columns"


def find_dialect(head: bytes, wanted: Wanted) -> Dialect:
    """Return the dialect of a file that begins with these bytes; raise BadFile if it is not clear."""
    if head.startswith(_ZIP):
        raise BadFile("It is a workbook, or another ZIP file: save the sheet as CSV, and import that.")
    mark, marked = next(((mark, found) for mark, found in _MARKS if head.startswith(mark)), (b"", None))
    encoding = marked or wanted.encoding or "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head[len(mark) :])
    except UnicodeError:  # there is no mark at its beginning, where this encoding needs one
        text = "\0"
    if text.count("\0") * _MANY_NULS > len(text):
        raise BadFile(f"It is not {encoding.upper()}. If it is UTF-16, say --encoding utf-16-le or utf-16-be.")
    kind = wanted.kind or ("jsonl" if text.lstrip().startswith("{") else "tsv")
    end = _LINE_END.search(text if kind == "jsonl" else _QUOTED.sub("", text))
    line_end = "\r" if end and end[0] == "\r" and end.end() < len(text) else "\n"
    has_extra = end is not None and end[0].startswith("\r\r")
    dialect = Dialect(kind, encoding, len(mark), line_end, has_extra, decimal=wanted.decimal)
    if kind == "jsonl":
        return dialect
    lines = [line.rstrip("\r") for line in text.split(line_end)]
    return _find_table(dialect, lines[:-1] if len(head) >= HEAD_BYTES else lines, wanted)


def _find_table(plain: Dialect, lines: Sequence[str], wanted: Wanted) -> Dialect:
    """Return the dialect with the separator and the columns by which the first rows can be read."""
    hint = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    lines = lines[1:] if hint else lines
    is_tsv = plain.kind == "tsv" and "\t" in next(filter(str.strip, lines), "")
    tried = []
    possible = "\t" if is_tsv else [each for each in SEPARATORS if each != wanted.decimal]
    for separator in wanted.separator or (hint and hint[1]) or possible:
        kind: Format = "tsv" if is_tsv and separator == "\t" else "csv"
        dialect = structs.replace(plain, kind=kind, separator=separator, skipped=int(bool(hint)))
        rows = dialect.cells(lines)
        if not rows:
            return dialect
        tried.append((dialect, rows, _find_columns(rows[0], dialect, wanted)))
    found = [(dialect, rows, columns) for dialect, rows, columns in tried if isinstance(columns, Columns)]
    found = [one for one in found if one[2].has_titles] or found
    if len(found) > 1:
        ways = " or ".join(SEPARATORS[dialect.separator] for dialect, *_ in found)
        raise BadFile(f"Its first row can be read with {ways} between columns: --separator says which it is.")
    if not found:
        dialect, _, problem = max(tried, key=lambda one: len(one[1][0]))
        raise BadFile(f"It was {dialect.describe()}, and {problem}.")
    dialect, rows, columns = found[0]
    _check_scores(rows[columns.has_titles :], columns, dialect)
    return structs.replace(dialect, columns=columns)


def _check_scores(rows: Sequence[Sequence[str]], columns: Columns, dialect: Dialect) -> None:
    """Raise BadFile for the first score that could be two numbers: then others may be read wrongly as well."""
    for row in rows:
        try:
            dialect.parse_score(row[columns.score] if columns.score < len(row) else "")
        except Ambiguous as error:
            raise BadFile(f"It was {dialect.describe()}, and {error}.") from None
        except ValueError:
            pass  # said of its row when that is read


def _find_columns(first: Sequence[str], dialect: Dialect, wanted: Wanted) -> Columns | str:
    """Return the columns of a table by its first row, or why they are not clear."""
    width = len(first)
    first = first[: 1 + max(place for place, cell in enumerate(first) if cell.strip())]
    if len(first) == 1:
        return "there is one column: --separator says what stands between the name and the score"
    titles = [cell.strip().casefold() for cell in first]
    shown = ", ".join(repr(truncate(cell.strip())) for cell in first[:SHOWN_TITLES])
    try:
        name, score = _find_place(wanted.name_column, NAMES, titles), _find_place(wanted.score_column, SCORES, titles)
        metadata, time, hidden = (_find_place(None, (title.casefold(),), titles) for title in (METADATA, TIME, HIDDEN))
    except ValueError as error:
        return f"{error}; its first row is {shown}"
    known = {*NAMES, *SCORES, *filter(None, (_fold(wanted.name_column), _fold(wanted.score_column)))}
    has_titles = not known.isdisjoint(titles)
    if len(first) == len("ab"):  # one of two columns is known by the other
        if name is None and score is None:
            name, score = (0, 1) if _is_number(first[1], dialect) else (None, None)
        elif name is None or score is None:
            name, score = (1 - (score or 0), score) if name is None else (name, 1 - name)
    if name is None or score is None or name == score:
        return f"it is not clear which columns have the names and the scores; its first row is {shown}: {_OPTIONS}"
    has_titles = has_titles or not _is_number(first[score], dialect)
    taken = {name, score, metadata, time, hidden} if has_titles else {name, score}
    others = tuple(
        repr(truncate(cell.strip())) if has_titles else str(place + 1)
        for place, cell in enumerate(first)
        if place not in taken and (cell.strip() or not has_titles)
    )
    if not has_titles:
        metadata = time = hidden = None
    return Columns(name, score, metadata, time, hidden, width, others, has_titles)


def _fold(title: str | None) -> str | None:
    return title and title.strip().casefold()


def _find_place(wanted: str | None, known: Sequence[str], titles: Sequence[str]) -> int | None:
    """Return the place of the column that is wanted, by title or by number, or is known; None if there is none.

    Raises ValueError if there is no such column, or more than one.
    """
    for title in known if wanted is None else [wanted.strip().casefold()]:
        if titles.count(title) > 1:
            raise ValueError(f"two columns have the title {truncate(title)!r}")
        if title in titles:
            return titles.index(title)
    if wanted is None:
        return None
    if wanted.isdecimal() and 0 < int(wanted) <= len(titles):
        return int(wanted) - 1
    raise ValueError(f"there is no column {truncate(wanted)!r}")


def _is_number(cell: str, dialect: Dialect) -> bool:
    try:
        dialect.parse_score(cell)
    except Ambiguous:
        return True
    except ValueError:
        return False
    return True
