"""``laurels audit``: which records it shows, and how."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from msgspec import Raw

from laurels.audit.record import Record, format_line
from tests.cli.conftest import run

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = (
    Record(
        time="2026-11-20T10:00:00.000Z",
        who="key:ann",
        sender="192.0.2.1",
        operation="remove",
        status=204,
        board="kart",
        name="v",
        window="daily",
        period="2026-11-20",
        before=Raw(b'{"score":5,"rank":0}'),
        after=Raw(b"null"),
    ),
    Record(
        time="2026-11-21T10:00:00.000Z",
        who="anybody",
        sender="",
        operation="define",
        status=200,
        board="laps",
        before=Raw(b'{"ties":"name","ttl":null}'),
        after=Raw(b'{"ties":"latest","ttl":null}'),
    ),
    Record(time="2026-11-22T10:00:00.000Z", who="public", sender="::1", operation="revoke", status=401, key="ann"),
    Record(
        time="2026-11-23T10:00:00.000Z",
        who="anybody",
        sender="::1",
        operation="hide",
        status=204,
        board="kart",
        name="\u202ew",
        after=Raw(b'{"hidden":true}'),
    ),
)
LINES = [format_line(record) for record in RECORDS]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with the records, and a line that is none."""
    (path := tmp_path / "audit.log").write_text("\n".join([*LINES, '{"time']))
    return path


def test_table(file: Path) -> None:
    """Each record is a row that says what changed; characters that nobody sees are shown."""
    done = run("", "audit", file)
    rows = [line.split() for line in done.output.splitlines()]
    assert done.exit_code == 0
    assert rows[0] == ["time", "who", "from", "operation", "board", "of", "status", "change"]
    assert rows[1][4:8] == ["kart", "(daily", "2026-11-20)", "v"]
    assert rows[1][8:] == ["204", '{"score":5,"rank":0}', "->", "null"]
    assert rows[2][-4:] == ["ties:", '"name"', "->", '"latest"']
    assert rows[3][-3:] == ["revoke", "ann", "401"]
    assert rows[4][-4:] == ["204", "null", "->", '{"hidden":true}']
    assert "\\u202ew" in done.output


ASKED = {
    "all": ((), [0, 1, 2, 3]),
    "a board": (("--board", "kart"), [0, 3]),
    "a name": (("--name", "v"), [0]),
    "somebody": (("--who", "public"), [2]),
    "times": (("--since", "2026-11-21", "--until", "2026-11-22T11:00:00+01:00"), [1]),
}


@pytest.mark.parametrize(("options", "places"), ASKED.values(), ids=ASKED)
def test_json(file: Path, options: tuple[str, ...], places: list[int]) -> None:
    """With --json the records come as they are, a line each."""
    found = run("", "audit", file, "--json", *options).output.splitlines()
    assert [json.loads(line) for line in found] == [json.loads(LINES[place]) for place in places]


def test_several_files(file: Path) -> None:
    """Several files, also packed ones, are read one after the other."""
    packed = file.with_name("audit.log.2.gz")
    packed.write_bytes(gzip.compress(LINES[0].encode()))
    assert run("", "audit", packed, file, "--json").output.splitlines() == [LINES[0], *LINES]


def test_nothing(file: Path) -> None:
    """If there is nothing, it says so."""
    assert run("", "audit", file, "--board", "nothing").output == "no records\n"


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01"])
def test_time_that_is_none(file: Path, since: str) -> None:
    """What is no time is refused, with one that is right."""
    done = run("", "audit", file, "--since", since)
    assert done.exit_code == 2
    assert "such as 2026-11-20 or 2026-11-20T10:00:00Z" in done.output


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is an error."""
    assert run("", "audit", tmp_path / "nothing").exit_code == 1
