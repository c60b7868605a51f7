"""The files of spreadsheets: what is read of them, and what has to be said of them."""

from __future__ import annotations

import gzip
import io

import pytest

from laurels.cli.dialects import Wanted
from laurels.cli.errors import BadFile
from laurels.cli.numbers import parse_decimal
from laurels.cli.rows import Reading, Row


def read(content: bytes, **wanted: str) -> list[tuple[str, float]]:
    """Read the entries of a file of which nothing is known but what is said."""
    reading = Reading(io.BufferedReader(io.BytesIO(content)), Wanted(**wanted))  # type: ignore[arg-type]
    found = list(reading)
    assert all(isinstance(row, Row) for row in found), found
    return [(row.entry.name, row.entry.score) for row in found if isinstance(row, Row) and row.entry]


SHEET = [("ada", 5), ("Zo\u00eb", 42)]


@pytest.mark.parametrize(
    "content",
    [
        "Name;Score\r\nada;5\r\nZo\u00eb;42\r\n".encode("utf-8-sig"),
        "Name;Score\r\nada;5\r\nZo\u00eb;42\r\n".encode("utf-16"),
        "\ufeffName\tScore\r\nada\t5\r\nZo\u00eb\t42\r\n".encode("utf-16-be"),
        "sep=;\r\nada;5\r\nZo\u00eb;42\r\n".encode(),
        "NAME | Score \nada| 5 \nZo\u00eb|4.2E+01\n".encode(),
        "ada,5\rZo\u00eb,42\r".encode(),
        "Name,Score\r\r\nada,5\r\r\nZo\u00eb,42\r\r\n".encode(),
        "Name;Score\r\nada;5\r\nZo\u00eb;42\r\n".encode("utf-32"),
        "\ufeffada,5\nZo\u00eb,42\n".encode("utf-32-be"),
        'Rank,Player,Note,SCORE\n1,ada,"a\nb",5.0\n,,,\n2,Zo\u00eb,,42\n'.encode(),
        "Rank;Name;Score;;\n1;ada;5;;\n2;Zo\u00eb;42\n;;;;\n".encode(),
        "Spieler;Score\nada;5\nZo\u00eb;42\n".encode(),
        "name,Punkte\nada,5\nZo\u00eb,42\n".encode(),
        "ada|5\nZo\u00eb|42".encode(),
        '{"name":"ada","score":5}\r{"name":"Zo\u00eb","score":42}\r'.encode(),
    ],
    ids=[
        "excel",
        "utf-16",
        "unicode-text",
        "sep",
        "bars",
        "cr",
        "cr-cr-lf",
        "utf-32",
        "utf-32-be",
        "columns",
        "empty-columns",
        "other-name",
        "other-score",
        "bare",
        "jsonl",
    ],
)
def test_spreadsheets_are_read(content: bytes) -> None:
    """What can be read in one way is read, whatever a spreadsheet made of it, plain or gzipped."""
    assert read(content) == read(gzip.compress(content)) == SHEET


def test_nul_in_a_name() -> None:
    """A name with NUL is refused by the service, as it says; the other rows are read."""
    assert read(b"ada\0,5\nv,42\nsilverhand,7\n") == [("ada\0", 5), ("v", 42), ("silverhand", 7)]


def test_gzip_damaged_at_its_beginning() -> None:
    """If what is left of a file does not show how to read it, the damage is named, not the columns."""
    packed = gzip.compress(b"name,score\nada,5\n")
    with pytest.raises(BadFile, match=r"^Its gzip data is damaged at its beginning: "):
        read(packed[:14])


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("Spieler;Punkte\nada;5\nZo\u00eb;42\n".encode(), {"name_column": "spieler", "score_column": "Punkte"}),
        ("5,x,ada\n42,x,Zo\u00eb\n".encode(), {"name_column": "3", "score_column": "1"}),
        ("Punkte,x,Wer\n5,x,ada\n42,x,Zo\u00eb\n".encode(), {"name_column": "3", "score_column": "1"}),
        ("ada;5\nZo\u00eb;42\n".encode("cp1252"), {"encoding": "cp1252"}),
        ("ada;5\nZo\u00eb;42\n".encode("utf-16-le"), {"encoding": "utf-16-le"}),
        ("ada:5\nZo\u00eb:42\n".encode(), {"separator": ":"}),
        ("ada;5,0\nZo\u00eb;42,\n".encode(), {"decimal": ","}),
        ('ada,5.0\nZo\u00eb,"42.0"\n'.encode(), {"decimal": "."}),
    ],
    ids=["titles", "numbers", "numbers-and-titles", "encoding", "utf-16", "separator", "comma", "point"],
)
def test_what_is_said_of_a_file(content: bytes, wanted: dict[str, str]) -> None:
    """What a file does not tell, the options do."""
    assert read(content, **wanted) == SHEET


@pytest.mark.parametrize(
    ("content", "wanted", "problem"),
    [
        (b"Spieler;Punkte\nada;5\n", {}, "read as UTF-8 with semicolons between columns, and it is not clear which"),
        (b"Spieler;Punkte\nada;5\n", {}, "its first row is 'Spieler', 'Punkte': --name-column"),
        (b"ada;1;2\n", {}, "it is not clear which columns have the names and the scores"),
        (b"ada\nbob\n", {}, "there is one column: --separator says"),
        (b"name,score,Score\nada,1,2\n", {}, "two columns have the title 'score'"),
        (b"name,metadata,metadata,score\nada,1,2,3\n", {}, "two columns have the title 'metadata'"),
        (b"name,score\nada,1\n", {"name_column": "who"}, "there is no column 'who'"),
        (b"name,score\nada,1\n", {"name_column": "3"}, "there is no column '3'"),
        (b"a,b,c\nada,1,2\n", {"name_column": "1", "score_column": "1"}, "it is not clear which"),
        (b"ada;1,5\n", {}, "can be read with commas or semicolons between columns: --separator"),
        (b"name;score\nada;5\nbob;1.234,5\n", {}, "'1.234,5' could be two numbers: --decimal , or --decimal ."),
        (b"name;score\nada;1.234\n", {}, "'1.234' could be two numbers"),
        (b"ada\0,\0", {}, "If it is UTF-16, say --encoding"),
        (b"ada;5\n", {"encoding": "utf-16"}, "If it is UTF-16, say --encoding"),
        (b"ada;5\n", {"encoding": "utf-32"}, "It is not UTF-32"),
        (b"PK\x03\x04more", {}, "save the sheet as CSV"),
    ],
    ids=str,
)
def test_file_that_is_not_clear(content: bytes, wanted: dict[str, str], problem: str) -> None:
    """A file that can be read in no way or in several is refused once, with what was found and the way out."""
    with pytest.raises(BadFile) as refused:
        read(content, **wanted)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("text", "decimal", "score"),
    [
        ("1.234,5", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("1.234.567", ",", 1234567),
        ("-1,5E+02", ",", -150),
        (",5", ",", 0.5),
    ],
)
def test_decimals(text: str, decimal: str, score: float) -> None:
    """If it is said what begins a fraction, the other mark groups thousands."""
    assert read(f'ada|"{text}"\n'.encode(), decimal=decimal) == [("ada", score)]


@pytest.mark.parametrize("text", ["1.23,5", "1,2,3", "12.34.567"])
def test_decimals_that_are_none(text: str) -> None:
    """Groups have three digits, and a number has one fraction."""
    with pytest.raises(ValueError, match="is not a number"):
        parse_decimal(text, ",")
