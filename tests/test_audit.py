"""The file of an audit log: what is added to it, what happens when it cannot be, and how it is read."""

from __future__ import annotations

import asyncio
import gzip
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from laurels.audit import reading
from laurels.audit.file import AuditFile
from laurels.audit.reading import find_newest, read_file
from laurels.audit.record import Record, Wanted, format_line, format_time, read_line
from laurels.errors import AuditLogUnusable, AuditLogUnwritable, StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MOST = 2**20
BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
ALL = Wanted()


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return a test that runs in a loop of its own."""

    @wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


def record(number: int = 0, **more: Any) -> Record:
    """Return the record of a minute."""
    time = format_time((BEGIN + timedelta(minutes=number)).timestamp())
    return Record(time=time, who="key:ann", sender="192.0.2.1", operation="remove", status=204, **more)


def fill(path: Path, count: int, **more: Any) -> list[Record]:
    """Write a file of records, one a minute."""
    records = [record(number, **more) for number in range(count)]
    path.write_text("".join(f"{format_line(each)}\n" for each in records))
    return records


def read_back(path: Path, wanted: Wanted, limit: int) -> list[Record]:
    """Return all that is found, part after part."""
    found, before = find_newest(path, wanted, limit)
    while before is not None:
        more, before = find_newest(path, wanted, limit, before)
        found += more
    return found


# Lines


def test_line_is_what_it_was() -> None:
    """A record is one line, and read as it was written."""
    whole = record(board="b", name="v", window="daily", unrecorded=3)
    assert read_line(format_line(whole)) == whole
    assert '"from":"192.0.2.1"' in format_line(whole)


@pytest.mark.parametrize("foreign", ['"\n{"time":"1"}', "\x1b[2J", "\u202e", "\u2028", "\x85\r"], ids=ascii)
def test_foreign_text_makes_no_line(foreign: str) -> None:
    """What comes from outside can neither end a line, nor hide in one."""
    line = format_line(record(name=foreign))
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    read = read_line(line)
    assert read is not None
    assert read.name == foreign


@pytest.mark.parametrize("line", [b"", b'{"time', b"[]", b"\xff", b'{"time":"2026-11-20"}'], ids=ascii)
def test_what_is_no_record(line: bytes) -> None:
    """A line that was cut off, or that somebody else wrote, is passed over."""
    assert read_line(line) is None


def test_time_without_a_zone() -> None:
    """So is one whose time is no instant."""
    assert read_line(format_line(record()).replace("Z", "")) is None


# Adding


@in_loop
async def test_file_is_private_and_grows(tmp_path: Path) -> None:
    """The file is its owner's alone; what was there stays."""
    path = tmp_path / "audit.log"
    for line in ("one", "two"):
        file = AuditFile(path, MOST)
        await file.add(line)
        await file.close()
    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


@in_loop
async def test_lines_at_once(tmp_path: Path) -> None:
    """Lines that come together are all there, whole and each once."""
    file = AuditFile(tmp_path / "audit.log", MOST)
    lines = [f"line {number} " + "x" * 1000 for number in range(200)]
    await asyncio.gather(*(file.add(line) for line in lines))
    assert sorted(file.path.read_text().splitlines()) == sorted(lines)
    await file.close()


@in_loop
async def test_moved_away(tmp_path: Path) -> None:
    """A file that was moved is written on until it is opened again; one that was deleted is made anew."""
    file = AuditFile(tmp_path / "audit.log", MOST)
    await file.add("one")
    moved = file.path.rename(tmp_path / "audit.log.1")
    await file.add("two")
    await file.reopen()
    await file.add("three")
    assert (moved.read_text(), file.path.read_text()) == ("one\ntwo\n", "three\n")
    file.path.unlink()
    await file.add("four")
    assert file.path.read_text() == "four\n"
    await file.close()


@in_loop
async def test_reopened_where_it_cannot_be(tmp_path: Path) -> None:
    """If the new file cannot be opened, the old one goes on."""
    file = AuditFile(tmp_path / "audit.log", MOST)
    moved = file.path.rename(tmp_path / "audit.log.1")
    file.path.mkdir()
    with pytest.raises(AuditLogUnusable, match="is a directory"):
        await file.reopen()
    await file.add("one")
    assert moved.read_text() == "one\n"
    await file.close()


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (lambda path: path.mkdir(), "is a directory"),
    "a pipe": (os.mkfifo, "no regular file"),
    "nowhere": (lambda path: path.parent.rmdir(), "no such file or directory"),
}


@pytest.mark.parametrize(("make", "problem"), BAD.values(), ids=BAD)
def test_file_that_cannot_be_opened(tmp_path: Path, make: Callable[[Path], object], problem: str) -> None:
    """What is no file, or cannot be one, is refused at the start."""
    (directory := tmp_path / "logs").mkdir()
    make(path := directory / "audit.log")
    with pytest.raises(AuditLogUnusable, match=problem):
        AuditFile(path, MOST)


def test_path_that_is_none() -> None:
    """So is a path that no file can have."""
    with pytest.raises(AuditLogUnusable, match="invalid argument"):
        AuditFile(Path("\0"), MOST)


@in_loop
async def test_largest_size(tmp_path: Path) -> None:
    """At the size that is set, nothing more is to be done, and the setting is named; after a rotation it is."""
    file = AuditFile(tmp_path / "audit.log", 10)
    await file.check()
    await file.add("0123456789")
    with pytest.raises(StoreFull, match="--max-audit"):
        await file.check()
    file.path.rename(tmp_path / "audit.log.1")
    await file.reopen()
    await file.check()
    await file.close()


@pytest.mark.slow
@in_loop
async def test_full_disk(small_disk: Path) -> None:
    """A line that does not fit is kept, nothing is done until it is written, and what was cut off is no record."""
    file, ballast = AuditFile(small_disk / "audit.log", MOST), small_disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as filling:
        while filling.write(b"\0" * 4096):
            pass
    lines = [format_line(record(number, board="b" * 3000)) for number in range(3)]
    for line in lines:
        with pytest.raises(AuditLogUnwritable, match="no space left on device"):
            await file.add(line)
    with pytest.raises(AuditLogUnwritable):
        await file.check()
    os.truncate(ballast, ballast.stat().st_size - 4096)  # there is room for a part
    with pytest.raises(AuditLogUnwritable):
        await file.check()
    ballast.unlink()
    await file.check()
    assert [format_line(each) for each in read_file(file.path, ALL)][-3:] == lines
    await file.close()


@in_loop
async def test_closed_file(tmp_path: Path) -> None:
    """What comes after the end is an error, not another file's."""
    file = AuditFile(tmp_path / "audit.log", MOST)
    await file.close()
    with pytest.raises(AuditLogUnwritable, match="bad file descriptor"):
        await file.add("late")


@in_loop
async def test_check_of_a_closed_file(tmp_path: Path) -> None:
    """After the end nothing can be recorded, and so nothing is to be done."""
    file = AuditFile(tmp_path / "audit.log", MOST)
    await file.close()
    with pytest.raises(AuditLogUnwritable, match="bad file descriptor"):
        await file.check()


# Reading


@pytest.mark.parametrize("block", [7, 100, 64 * 1024])
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_newest_first(tmp_path: Path, block: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Part after part gives every record once, the newest first, wherever blocks end."""
    monkeypatch.setattr(reading, "BLOCK_BYTES", block)
    records = fill(path := tmp_path / "audit.log", 20, name="v")
    assert read_back(path, ALL, limit) == records[::-1]


@pytest.mark.parametrize("most", [300, 1000])
def test_bounded_part(tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few records fit, one question reads a part of the file; a line longer than that is passed over."""
    monkeypatch.setattr(reading, "MOST_BYTES", most)
    records = fill(path := tmp_path / "audit.log", 20, name="v")
    with path.open("a") as file:
        file.write(format_line(record(20, board="x" * 2000)) + "\n" + format_line(record(21)) + "\n")
    assert read_back(path, ALL, 1000) == [record(21), *records[::-1]]
    found, before = find_newest(path, Wanted(name="nobody"), 1000)
    assert (found, before is not None) == ([], True)


def test_empty_file(tmp_path: Path) -> None:
    """An empty file has no records."""
    (path := tmp_path / "audit.log").touch()
    assert find_newest(path, ALL, 10) == ([], None)


def test_line_that_was_cut(tmp_path: Path) -> None:
    """The end of a line that a crash cut off hides none of the others."""
    records = fill(path := tmp_path / "audit.log", 3)
    with path.open("a") as file:
        file.write(format_line(record(3))[:50])
    assert read_back(path, ALL, 10) == records[::-1]


def test_rotated_meanwhile(tmp_path: Path) -> None:
    """A place beyond the end of the file, which another took the name of, is the end."""
    records = fill(path := tmp_path / "audit.log", 3)
    assert find_newest(path, ALL, 10, 10**9) == (records[::-1], None)


def at(minute: int) -> datetime:
    """Return a minute."""
    return BEGIN + timedelta(minutes=minute)


def test_times(tmp_path: Path) -> None:
    """Records of a time on, and before another: nothing older is read."""
    records = fill(path := tmp_path / "audit.log", 10)
    wanted = Wanted(since=at(3), until=at(6))
    assert find_newest(path, wanted, 10) == (records[5:2:-1], None)
    assert [*read_file(path, wanted)] == records[3:6]


def test_of_one(tmp_path: Path) -> None:
    """Records about one board, one name, of one principal."""
    lines = [record(0, board="a", name="v"), record(1, board="b", name="v"), record(2, board="a", name="w")]
    (path := tmp_path / "audit.log").write_text("".join(f"{format_line(each)}\n" for each in lines))
    assert read_back(path, Wanted(board="a"), 10) == [lines[2], lines[0]]
    assert read_back(path, Wanted(board="a", name="v"), 10) == [lines[0]]
    assert read_back(path, Wanted(who="key:bob"), 10) == []


def test_packed_file(tmp_path: Path) -> None:
    """A file that a rotation has packed is read; one that is damaged is an error."""
    records = fill(path := tmp_path / "audit.log", 200)
    (packed := tmp_path / "audit.log.2.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert [*read_file(packed, ALL)] == records
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(OSError, match="is damaged"):
        list(read_file(packed, ALL))
