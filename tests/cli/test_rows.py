"""Reading and writing of TSV, CSV and JSON Lines files."""

from __future__ import annotations

import gzip
import io
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from laurels.cli.dialects import Format, Wanted
from laurels.cli.numbers import Ambiguous, parse_score
from laurels.cli.rows import (
    FORMULA,
    BadRow,
    DetailedEntry,
    Reading,
    Row,
    Taken,
    create_file,
    encode_rows,
    format_of,
    make_header,
)
from laurels.stores.contract import Entry
from tests.cli.conftest import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
SCORES = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def rows(content: bytes, kind: Format) -> list[Row | BadRow]:
    """Read all rows of a file."""
    return list(Reading(io.BufferedReader(io.BytesIO(content)), Wanted(kind)))


def content_of(board: list[tuple[str, float]], kind: Format, *, header: bool = True) -> bytes:
    """Return a file of names and scores alone."""
    rows = encode_rows([Entry(name, score) for name, score in board], kind, details=False)
    return make_header(kind, details=False) + rows if header else rows


def entries(content: bytes, kind: Format) -> list[tuple[str, float]]:
    """Read the entries of a file that has no bad row."""
    return [(row.entry.name, row.entry.score) for row in rows(content, kind) if isinstance(row, Row) and row.entry]


def problems(content: bytes, kind: Format) -> list[tuple[int, str | None, str]]:
    """Read what is wrong with a file, by line."""
    return [(row.line, row.name, row.problem) for row in rows(content, kind) if isinstance(row, BadRow)]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("42", 42),
        ("-5", -5),
        ("+5", 5),
        (" 7 ", 7),
        ("007", 7),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5e-3", -0.0015),
        ("1e23", 1e23),
        ("9007199254740992.0", 9007199254740992.0),
        ("9007199254740993", 9007199254740993),
        ("0" * 5000 + "1", 1),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_number_is_read_exactly(text: str, score: float) -> None:
    """A whole number becomes an int with all its digits, any other a double."""
    assert parse_score(text) == score
    assert type(parse_score(text)) is type(score)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no score"),
        ("  ", "there is no score"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("1_000", "not a number"),
        ("1,000", "not a number"),
        ("0x1F", "not a number"),
        ("\u0663", "not a number"),
        (".", "not a number"),
        ("1e400", "beyond the range of a double"),
        ("9" * 400, "beyond the range of a double"),
        ("9007199254740993.0", "would be rounded to 9007199254740992"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_number_is_refused(text: str, problem: str) -> None:
    """What is no finite number, or would lose a digit, is refused."""
    with pytest.raises(ValueError, match=problem):
        parse_score(text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tsv", "tsv"),
        ("a.tab", "tsv"),
        ("a.CSV", "csv"),
        ("a.b.jsonl.gz", "jsonl"),
        ("a.ndjson.GZ", "jsonl"),
        ("a.txt", None),
        ("a.gz", None),
        ("csv", None),
    ],
)
def test_format_by_the_ending(name: str, kind: Format | None) -> None:
    """A file's format is the ending of its name, before ``.gz``."""
    assert format_of(PurePath(name)) == kind


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("tsv", b"v\t2077\nsilver hand\t34\n"),
        ("tsv", b"v\t2077\r\n\r\nsilver hand\t34"),
        ("tsv", b"\xef\xbb\xbfname\tscore\nv\t2077\nsilver hand\t34\n"),
        ("tsv", b"Score\tRank\tPlayer\n2077\t0\tv\n34\t1\tsilver hand\n"),
        ("csv", b'v,2077\n\n"silver hand","34"\n'),
        ("csv", b'score,"name",note\n2077,v,"two\nlines"\n34,silver hand,\n'),
        ("jsonl", b'{"name":"v","score":2077}\n \n{"score": 34, "rank": 1, "name": "silver hand"}'),
    ],
    ids=["simple", "crlf", "bom", "tsv-columns", "quoted", "csv-columns", "jsonl"],
)
def test_rows_are_read(kind: Format, content: bytes) -> None:
    """Entries are read from files with headers, any line ends, quotes and more columns, gzipped or not."""
    expected = [("v", 2077), ("silver hand", 34)]
    assert entries(content, kind) == entries(gzip.compress(content), kind) == expected


@pytest.mark.parametrize(
    ("kind", "row", "name", "problem"),
    [
        ("tsv", b"v", None, "there is no score"),
        ("tsv", b"v\t", "v", "there is no score"),
        ("tsv", b"v\tmany", "v", "the score 'many' is not a number"),
        ("tsv", b"a\tb\t3", None, "there are 3 columns, where 2 are expected"),
        ("tsv", b"\xff\t" + b"x" * 101, "\ufffd", f"the score '{'x' * 100}...' is not a number"),
        ("csv", b"v,1,2", None, "there are 3 columns, where 2 are expected"),
        ("csv", b'"v"x,1', None, "not CSV: ',' expected after '\"'"),
        ("csv", b"v\rw,1", None, "not CSV: new-line character seen in unquoted field"),
        ("jsonl", b"v", None, "JSON is malformed: invalid character (byte 0)"),
        ("jsonl", b"[1]", None, "a row must be an object, and is a list"),
        ("jsonl", b'{"name":"v"}', None, "a row needs the field score"),
        ("jsonl", b'{"name":"v","score":"5"}', "v", "the score '\"5\"' is not a number"),
        ("jsonl", b'{"name":"v","score":true}', "v", "the score 'true' is not a number"),
        ("jsonl", b'{"name":"\xff","score":1}', None, "the row is not valid UTF-8"),
    ],
)
def test_bad_row_has_its_line(kind: Format, row: bytes, name: str | None, problem: str) -> None:
    """A row that cannot be read is reported with its line and the reason, and the rows around it are kept."""
    good = content_of([("good", 1)], kind)
    content = good + row + b"\n" + content_of([("better", 2)], kind, header=False)
    assert entries(content, kind) == [("good", 1), ("better", 2)]
    assert problems(content, kind) == [(good.count(b"\n") + 1, name, problem)]


def test_quote_that_is_not_closed() -> None:
    """If a quote is not closed, the report says which lines were read as one row."""
    assert problems(b'v,1\n"w,2\nx,3\n', "csv") == [
        (2, None, "not CSV: unexpected end of data (in lines 2 to 3, read as one row)")
    ]


@pytest.mark.parametrize(("lost", "put"), [(20, b""), (8, bytes(8))], ids=["cut", "wrong-checksum"])
def test_damaged_gzip(lost: int, put: bytes) -> None:
    """The rows before the damage are kept, and the report says where it begins."""
    content = content_of([(f"name{score}", score) for score in range(100)], "tsv", header=False)
    *kept, last = rows(gzip.compress(content)[:-lost] + put, "tsv")
    assert all(isinstance(row, Row) for row in kept)
    assert isinstance(last, BadRow)
    assert last.line == len(kept) + 1
    assert last.problem.startswith("the gzip data is damaged")


@pytest.mark.parametrize("kind", FORMATS)
@given(st.lists(st.tuples(NAMES, SCORES)))
def test_what_is_written_is_read(kind: Format, board: list[tuple[str, float]]) -> None:
    """Every name that a board may have, and every score, is read back from a file unchanged."""
    content = content_of(board, kind)
    assert entries(content, kind) == board


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_file(kind: Format) -> None:
    """An empty file has no rows."""
    assert rows(b"", kind) == []


def test_file_is_packed_by_its_ending(tmp_path: Path) -> None:
    """A name ending in ``.gz`` makes a gzipped file."""
    with create_file(tmp_path / "board.tsv.gz") as file:
        file.write(b"v\t1\n")
    assert gzip.decompress((tmp_path / "board.tsv.gz").read_bytes()) == b"v\t1\n"


def test_file_is_left_as_it_was(tmp_path: Path) -> None:
    """If writing fails, the file from before is left as it was, and no other file."""
    (tmp_path / "board.tsv").write_text("before")
    with pytest.raises(ZeroDivisionError), create_file(tmp_path / "board.tsv") as file:
        file.write(b"v\t%d\n" % (1 // 0))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("board.tsv", "before")]


def test_reading_ends_after_its_file() -> None:
    """The generator of rows can be closed after its file, though it has not been read to the end."""
    file: io.BufferedReader = io.BufferedReader(io.BytesIO(b"v\t1\nw\t2\n"))
    reading = Reading(file, Wanted("tsv")).__iter__()
    assert isinstance(next(reading), Row)
    file.close()
    reading.close()


def test_late_score_that_could_be_two_numbers() -> None:
    """Behind the beginning of a file such a score is refused with its row."""
    content = b"name;score\n" + b"ada;1\n" * 20_000 + b"bob;1,5\n"
    assert problems(content, "csv")[0][::2] == (20_002, str(Ambiguous("1,5")))


def test_text_that_ends_in_the_middle() -> None:
    """Nothing is read from where a text is not in its encoding."""
    *kept, last = rows("ada;5\n".encode("utf-16") + b"\x00\xd8x", "csv")
    assert [row.name for row in kept if isinstance(row, BadRow)] == []
    assert isinstance(last, BadRow)
    assert "nothing from here on was read" in last.problem


@pytest.mark.parametrize("kind", FORMATS)
@given(board=st.lists(st.tuples(st.sampled_from(["=1+1", "'=1", "'ada", "@x", "''-", "x=1", "\uff1d"]), SCORES)))
def test_guards_come_off_again(kind: Format, board: list[tuple[str, float]]) -> None:
    """No name in a guarded file begins a formula, and read as guarded it has the same names."""
    content = encode_rows([Entry(*one) for one in board], kind, details=False, guarded=True)
    found = Reading(
        io.BufferedReader(io.BytesIO(make_header(kind, details=False) + content)), taken=Taken(guarded=True)
    )
    assert [(row.entry.name, row.entry.score) for row in found if isinstance(row, Row) and row.entry] == board
    assert kind == "jsonl" or not any(line[:1] in FORMULA for line in content.decode().splitlines())


@pytest.mark.parametrize("kind", FORMATS)
def test_details_are_written_and_read(kind: Format) -> None:
    """Times and metadata are read as they were written, if they are to be taken."""
    board = [
        DetailedEntry("ada", 5, Raw(b'{"car":"a\\tb, c"}'), "2026-11-22T10:00:00.123456Z"),
        DetailedEntry("bob", 4, None, "2026-11-22T10:00:00.123457Z"),
        Entry("eve", 3),
    ]
    content = make_header(kind, details=True) + encode_rows(board, kind, details=True)
    taken = Reading(io.BufferedReader(io.BytesIO(content)), Wanted(kind), Taken(times=True))
    assert [row.entry for row in taken if isinstance(row, Row)] == board
    assert not taken.not_taken
    bare = Reading(io.BufferedReader(io.BytesIO(content)), Wanted(kind), Taken(metadata=False))
    assert [row.entry for row in bare if isinstance(row, Row)] == [Entry(one.name, one.score) for one in board]
    assert bare.not_taken == {"submittedAt": 2, "metadata": 1}


@pytest.mark.parametrize(
    ("content", "not_taken"),
    [
        (b'{"name":"v","score":1,"rank":0}\n{"name":"w","score":1,"metadata":null}\n', {"rank": 1}),
        (b"name,score,rank,\nv,5,1,\nw,4,2,x\n", {"'rank'": 2}),
        (b"v,5,x\n", {"3": 1}),
    ],
    ids=["jsonl", "titles", "numbers"],
)
def test_what_is_not_taken_is_counted(content: bytes, not_taken: dict[str, int]) -> None:
    """Fields that no entry has are counted by their rows."""
    reading = Reading(io.BufferedReader(io.BytesIO(content)), Wanted(name_column="1", score_column="2"))
    list(reading)
    assert reading.not_taken == not_taken


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("{", "the metadata '{' is not JSON"),
        ("\udcff", "the metadata '\ufffd' is not JSON"),
        (f'"{"x" * 1024}"', "the metadata has 1,026 bytes of JSON: it may have 1,024"),
    ],
    ids=["malformed", "not-utf-8", "large"],
)
def test_metadata_that_is_none(cell: str, problem: str) -> None:
    """A row whose metadata cannot be kept is refused for itself."""
    content = f"name\tscore\tmetadata\nv\t1\t{cell}\n".encode(errors="surrogateescape")
    assert problems(content, "tsv") == [(2, "v", problem)]
