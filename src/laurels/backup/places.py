"""Where backups are kept: a directory, or a bucket of S3 (:mod:`laurels.backup.s3`), by one interface.

Nothing here is async: whoever has an event loop calls it in a thread. A place may be used by several at once.
"""

from __future__ import annotations

import errno
import math
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from laurels.errors import BadPlace, NotInPlace, PlaceUnusable, explain_os_error
from laurels.limits import MIB
from laurels.optional import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK_BYTES = MIB
"""How much is read at a time."""
PART = ".laurels-part-"
"""What the name of a file begins with that is still being written."""
ABANDONED_SECONDS = 24 * 60 * 60
"""How long after its last byte what was not written to its end is taken for abandoned, and removed."""
TIDY_SECONDS = 60 * 60
"""How often all of a place is looked through for that, if there is more in it than a few files."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HERE = {"", "localhost"}
_REMEDIES = {
    errno.ENOSPC: "Make room there, or name another place",
    errno.EDQUOT: "Make room there, or name another place",
    errno.EROFS: "Mount it for writing, or name another place",
    errno.EACCES: "Let this user read and write there",
    errno.EPERM: "Let this user read and write there",
}
"""What to do about an error, unless it is another one."""


class Item(Struct, frozen=True, gc=False):
    """What is in a place under a name, and how many bytes it has."""

    name: str
    size: int


class Place(Protocol):
    """A place that keeps bytes under names. Its ``str`` is its URL, which has no secrets.

    A name is one part or several with slashes between, like a path; one that could lead out of the place raises
    ValueError. What fails raises :exc:`~laurels.errors.PlaceUnusable`, which may be over when it is tried again.
    """

    def names(self, prefix: str = "") -> Iterator[Item]:
        """Yield what is there and complete, of names that begin with ``prefix``, sorted by the bytes of its name.

        A directory that does not exist is empty.
        """

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes in chunks of about a mebibyte; raise NotInPlace, before the first, if there are none."""

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Keep bytes under a name, in place of what is there: all when this returns, nothing if it raises.

        What the chunks raise is raised as it is.
        """

    def delete(self, name: str) -> None:
        """Remove what is there, if it is there."""


def open_place(url: str) -> Place:
    """Return the place of a URL: a path to a directory, ``file:///path``, or ``s3://bucket/prefix``.

    Nothing is asked of it yet, so it need not be there. Raises BadPlace, and ExtraMissing if there is no client for S3.
    """
    found = _SCHEME.match(url)
    if found is None:
        if not url:
            raise BadPlace(url, "it is empty")
        return Directory(Path(url))
    scheme = found[1].lower()
    if scheme == "file":
        parts = urlsplit(url)
        if parts.netloc not in _HERE:
            raise BadPlace(url, "a file:// URL has three slashes, as it is of this machine")
        return Directory(Path(unquote(parts.path)))
    if scheme == "s3":
        place: Place = load("laurels.backup.s3:open_bucket")(url)
        return place
    raise BadPlace(url, f"there are no places of the kind {scheme}://")


def checked(name: str) -> str:
    """Return a name; raise ValueError if it is none that a place can have."""
    parts = name.split("/")
    if _CONTROL.search(name) or not {"", ".", ".."}.isdisjoint(parts) or any(part.startswith(PART) for part in parts):
        raise ValueError(f"{name!r} is no name in a place for backups")
    return name


class Directory:
    """A directory. A name appears in it when its bytes are on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tidied = -math.inf

    def __str__(self) -> str:
        return str(self._path)

    def is_in(self, directory: Path) -> bool:
        """Return whether it is in a directory, or is that."""
        return self._path.resolve().is_relative_to(directory.resolve())

    def names(self, prefix: str = "") -> Iterator[Item]:
        """Yield what is there, sorted: as :class:`Place` says, and so below."""
        top, _, _ = prefix.rpartition("/")
        found = self._list(self._path / checked(top) if top else self._path, f"{top}/" if top else "")
        yield from sorted((item for item in found if item.name.startswith(prefix)), key=_order)

    def _list(self, directory: Path, above: str) -> Iterator[Item]:
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    name = above + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        yield from self._list(directory / entry.name, f"{name}/")
                    elif _is_shown(name) and entry.is_file():
                        yield Item(name, entry.stat().st_size)
        except (FileNotFoundError, NotADirectoryError):
            return  # also if it has just been removed
        except OSError as error:
            raise self._failed("list", above or ".", error) from error

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        try:
            with (self._path / checked(name)).open("rb", buffering=0) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotInPlace(str(self), name) from error
        except OSError as error:
            raise self._failed("read", name, error) from error

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file beside its place, and move it there when it is on disk."""
        target = self._path / checked(name)
        part = target.with_name(PART + secrets.token_hex(8))
        try:
            if target.exists() and not (target.is_file() or target.is_dir()):  # a device would be gone for everybody
                raise PlaceUnusable(str(self), f"cannot write {name}: it is no file", "Name another place")
            _make_directory(target.parent)
            self._tidy(target.parent)
            file = part.open("xb", buffering=0)
        except OSError as error:
            raise self._failed("write", name, error) from error
        try:
            with file:
                for chunk in chunks:
                    self._write_all(file.fileno(), chunk, name)
                self._finish(file.fileno(), part, target, name)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _write_all(self, descriptor: int, chunk: bytes, name: str) -> None:
        left = memoryview(chunk)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            raise self._failed("write", name, error) from error

    def _finish(self, descriptor: int, part: Path, target: Path, name: str) -> None:
        try:
            os.fsync(descriptor)
            part.replace(target)
            _sync_directory(target.parent)
        except OSError as error:
            raise self._failed("write", name, error) from error

    def delete(self, name: str) -> None:
        """Remove a file, and the directories in the place that are empty then."""
        target = self._path / checked(name)
        try:
            target.unlink()
            _sync_directory(target.parent)
            self._remove_empty(target.parent)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._failed("delete", name, error) from error

    def _remove_empty(self, directory: Path) -> None:
        with suppress(OSError):  # it has something in it
            while directory != self._path:
                directory.rmdir()
                directory = directory.parent

    def _tidy(self, directory: Path) -> None:
        """Remove what a writer left that was killed: beside a file, and if that is below, everywhere."""
        is_top, before = directory == self._path, time.time() - ABANDONED_SECONDS
        if not is_top:
            if time.monotonic() - self._tidied < TIDY_SECONDS:
                return
            self._tidied = time.monotonic()
        for part in list(directory.glob(f"{PART}*") if is_top else self._path.rglob(f"{PART}*")):
            with suppress(FileNotFoundError):  # another writer's, which has just ended
                if part.stat().st_mtime < before:
                    part.unlink()
                    self._remove_empty(part.parent)

    def _failed(self, what: str, name: str, error: OSError) -> PlaceUnusable:
        remedy = _REMEDIES.get(error.errno or 0, "Mend it, or name another place")
        return PlaceUnusable(str(self), f"cannot {what} {name}: {explain_os_error(error)}", remedy)


def _order(item: Item) -> bytes:
    return item.name.encode()


def _is_shown(name: str) -> bool:
    """Return whether a file can be of ours and complete: its name is text, and is not that of an unfinished one."""
    try:
        return checked(name) == name and bool(name.encode())
    except ValueError:
        return False


def _make_directory(directory: Path) -> None:
    """Make a directory and those above it, on disk before this returns."""
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
