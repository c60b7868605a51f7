"""Places for backups: one conformance class, which each of them inherits, and what fails in each."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.backup.places import ABANDONED_SECONDS, PART, Item, open_place
from laurels.errors import BadPlace, NotInPlace, PlaceUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from laurels.backup.places import Place

ODD = "a b/été $(x)'\"\\*?[1] #%20+.tar"
MIB = 2**20


def contents(place: Place, name: str) -> bytes:
    """Return all bytes of a name."""
    return b"".join(place.read(name))


def names(place: Place, prefix: str = "") -> list[str]:
    """Return the names that begin with a prefix."""
    return [item.name for item in place.names(prefix)]


def chunks_that_break(count: int) -> Iterator[bytes]:
    """Yield mebibytes, and then fail as a network does."""
    yield from repeat(b"x" * MIB, count)
    raise OSError(errno.ECONNRESET, "reset")


class PlaceConformance:
    """What every place does. A class that inherits it has the fixture ``place``, which is empty."""

    @pytest.mark.parametrize("name", ["base.json", "segments/00000001", ODD])
    def test_read(self, place: Place, name: str) -> None:
        """What was written is read, and listed with its size."""
        place.write(name, [b"a", b"", b"bc"])
        assert contents(place, name) == b"abc"
        assert list(place.names()) == [Item(name, 3)]

    def test_empty(self, place: Place) -> None:
        """Nothing is something: a name without bytes is there."""
        place.write("x", [])
        assert contents(place, "x") == b""
        assert list(place.names()) == [Item("x", 0)]

    def test_replace(self, place: Place) -> None:
        """A name that is written again has the new bytes alone."""
        place.write("x", [b"longer"])
        place.write("x", [b"new"])
        assert contents(place, "x") == b"new"

    def test_large(self, place: Place) -> None:
        """What is larger than what is read, or put, at a time is whole, and comes in small chunks."""
        sent = [bytes([number]) * (3 * MIB - number) for number in range(9)]
        place.write("large", sent)
        read = list(place.read("large"))
        assert b"".join(read) == b"".join(sent)
        assert max(map(len, read)) <= 2 * MIB

    @pytest.mark.parametrize("count", [0, 1, 20], ids=["at once", "soon", "in parts"])
    def test_all_or_nothing(self, place: Place, count: int) -> None:
        """If its chunks break off nothing is written, their error is raised, and what was there stays."""
        place.write("x", [b"old"])
        for name in ("x", "y"):
            with pytest.raises(ConnectionResetError):
                place.write(name, chunks_that_break(count))
        assert [*place.names()] == [Item("x", 3)]
        assert contents(place, "x") == b"old"

    def test_order(self, place: Place) -> None:
        """Names are sorted by their bytes, whatever folders they are in, and chosen by how they begin."""
        written = ["a/b", "a-b", "a", "a/a", "B", "é", "ab/c/d", "z"]
        written.remove("a")  # in a directory nothing is both a file and a folder
        for name in written:
            place.write(name, [b"x"])
        assert names(place) == sorted(written, key=str.encode)
        assert names(place, "a") == ["a-b", "a/a", "a/b", "ab/c/d"]
        assert names(place, "a/") == ["a/a", "a/b"]
        assert names(place, "ab/c/d") == ["ab/c/d"]
        assert names(place, "nothing/here") == []

    def test_absent(self, place: Place) -> None:
        """What is not there cannot be read, and is deleted without a word; so in an empty place."""
        for _ in range(2):
            for name in ("x", "x/y"):
                with pytest.raises(NotInPlace, match=name):
                    contents(place, name)
                place.delete(name)
            place.write("z", [b"z"])

    def test_delete(self, place: Place) -> None:
        """What is deleted is gone, and nothing else is."""
        place.write("a/x", [b"x"])
        place.write("a/y", [b"y"])
        place.delete("a/x")
        assert names(place) == ["a/y"]

    @pytest.mark.parametrize("name", ["", "/x", "x/", "../x", "a/../../x", "./x", "a//x", "a\nb", "\0", f"{PART}1"])
    def test_names_do_not_lead_out(self, place: Place, name: str) -> None:
        """A name that could lead out of the place, or is no name, is refused before anything is done."""
        for act in (contents, lambda place, name: place.write(name, [b"x"]), lambda place, name: place.delete(name)):
            with pytest.raises(ValueError, match="is no name in a place"):
                act(place, name)


class TestDirectory(PlaceConformance):
    """A directory."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        """Return a directory that is not there yet."""
        return open_place(str(tmp_path / "backups" / "kart"))

    def test_foreign_files(self, place: Place, tmp_path: Path) -> None:
        """What nobody can have written here is not listed: what is no text, or no file; a link to a file is one."""
        place.write("x", [b"x"])
        root = tmp_path / "backups" / "kart"
        Path(os.fsdecode(os.fsencode(root) + b"/\xff")).touch()
        os.mkfifo(root / "pipe")
        (root / "linked").symlink_to("x")
        (root / "circle").symlink_to(".")
        assert names(place) == ["linked", "x"]

    def test_file_and_folder(self, place: Place) -> None:
        """A name cannot be that of a folder, too; nothing is left of the attempt."""
        place.write("a/x", [b"x"])
        with pytest.raises(PlaceUnusable, match="cannot write a: is a directory"):
            place.write("a", [b"x"])
        with pytest.raises(PlaceUnusable, match="cannot write a/x/y: file exists"):
            place.write("a/x/y", [b"x"])
        assert names(place) == ["a/x"]

    def test_no_file(self, place: Place, tmp_path: Path) -> None:
        """What is there and no file, such as a pipe or a device, is not replaced."""
        place.write("x", [b"x"])
        pipe = tmp_path / "backups" / "kart" / "pipe"
        os.mkfifo(pipe)
        with pytest.raises(PlaceUnusable, match="cannot write pipe: it is no file"):
            place.write("pipe", [b"x"])
        assert pipe.is_fifo()

    def test_abandoned(self, place: Place, tmp_path: Path) -> None:
        """What a killed writer left is not listed, and is removed by a later write if it is old and ours."""
        root = tmp_path / "backups" / "kart"
        place.write("x", [b"x"])
        old, new, foreign = root / f"{PART}1", root / f"{PART}2", root / ".part-3"
        for each in (old, new, foreign):
            each.touch()
        for each in (old, foreign):
            os.utime(each, (0, time.time() - ABANDONED_SECONDS - 60))
        assert names(place) == [".part-3", "x"]
        place.write("y", [b"y"])
        assert [path.exists() for path in (old, new, foreign)] == [False, True, True]


def test_abandoned_below(tmp_path: Path) -> None:
    """What a killed writer left in a directory that nobody writes to any more goes too, and the directory with it."""
    left = tmp_path / "place" / "copy" / f"{PART}1"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, time.time() - ABANDONED_SECONDS - 60))
    open_place(str(tmp_path / "place")).write("other/segments/1", [b"x"])
    assert [each.name for each in (tmp_path / "place").iterdir()] == ["other"]


@pytest.fixture
def read_only(small_disk: Path) -> Iterator[Path]:
    """Make the small file system one that cannot be written."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    yield small_disk
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


def test_full_disk(small_disk: Path) -> None:
    """A full disk is said, and has room again when it is: what was begun is removed."""
    place = open_place(str(small_disk))
    place.write("old", [b"old"])
    with pytest.raises(PlaceUnusable, match=r"cannot write new: no space left on device\. Make room there"):
        place.write("new", repeat(b"x" * MIB))
    place.write("other", repeat(b"x" * MIB, 3))
    assert names(place) == ["old", "other"]


def test_read_only_disk(read_only: Path) -> None:
    """A file system that cannot be written is said, and how that is mended."""
    place = open_place(read_only.as_uri())
    for name in ("x", "a/x"):
        with pytest.raises(PlaceUnusable, match=r"read-only file system\. Mount it for writing"):
            place.write(name, [b"x"])


@pytest.mark.parametrize("act", ["names", "read", "write", "delete"])
def test_no_directory_at_all(tmp_path: Path, act: str) -> None:
    """A name that the system refuses, as one that is too long, is said by each act."""
    place = open_place(str(tmp_path / ("x" * 300)))
    acts: dict[str, Callable[[], object]] = {
        "names": lambda: names(place),
        "read": lambda: contents(place, "x"),
        "write": lambda: place.write("x", [b"x"]),
        "delete": lambda: place.delete("x"),
    }
    with pytest.raises(PlaceUnusable, match="file name too long"):
        acts[act]()


def test_urls(tmp_path: Path) -> None:
    """A place is named by a path or by a URL, in which characters may be encoded."""
    place = open_place(f"file://{tmp_path}/a%20b")
    place.write("x", [b"x"])
    assert (tmp_path / "a b" / "x").read_bytes() == b"x"
    assert str(place) == f"{tmp_path}/a b"
    assert str(open_place("backups/kart")) == "backups/kart"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "it is empty"),
        ("gs://bucket/kart", "there are no places of the kind gs://"),
        ("file://server/share", "has three slashes"),
        ("s3://", "comes the name of a bucket"),
        ("s3://ada:secret@bucket/kart", "credentials are in the environment"),
        ("s3://bucket/a/../b", "its prefix is no path"),
    ],
)
def test_bad_urls(url: str, problem: str) -> None:
    """What is no place is said, with what would be one, and without what may be a secret."""
    with pytest.raises(BadPlace, match=problem) as raised:
        open_place(url)
    assert "secret" not in str(raised.value)
    assert "s3://BUCKET/PREFIX" in str(raised.value)
