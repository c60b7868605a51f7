"""Finds the backup of a moment where backups are: a file, a place with such files, or an archive."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from laurels.backup.generations import choose, is_archive, read_parts
from laurels.backup.places import open_place
from laurels.backup.tar import read_tar
from laurels.clock import SECOND
from laurels.errors import NothingToRestore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.backup.places import Place

FILE_SUFFIX = ".tar"
FILE_NAME = re.compile(r"laurels-([0-9]{8}T[0-9]{6}Z)\.tar")
"""What ``laurels backup`` calls a backup, by the time of its making."""


class Found(NamedTuple):
    """A backup: where it is, and its parts."""

    name: str
    parts: Iterator[tuple[str, Iterator[bytes]]]


def find_backup(url: str, until: int | None) -> Found:
    """Return the backup at a URL of which a time can be restored, the newest if no time is wanted.

    The URL is that of a file that ends in ``.tar``, the path of any other file, or that of a place that has an archive
    or such files. Raises NothingToRestore, NotArchived, BackupDamaged, BadPlace and PlaceUnusable.
    """
    if url.endswith(FILE_SUFFIX) or Path(url).is_file():
        name = url.rpartition("/")[2]
        return _file(open_place(url.removesuffix(name) or "."), name)
    place = open_place(url)
    if is_archive(place):
        generation = choose(place, until)
        return Found(f"{place}/{generation.name}", read_parts(place, generation.name))
    files = [item.name for item in place.names() if FILE_NAME.fullmatch(item.name)]
    if not files:
        raise NothingToRestore(f"There is no backup at {place}.")
    if until is None:
        return _file(place, files[-1])
    return _file(place, next((name for name in files if _time_of(name) >= until), files[-1]))


def _time_of(name: str) -> int:
    """Return when a file was written, by its name, in microseconds since the epoch."""
    found = FILE_NAME.fullmatch(name)
    assert found is not None  # noqa: S101 - the caller has looked
    return int(datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()) * SECOND


def _file(place: Place, name: str) -> Found:
    return Found(f"{place}/{name}", read_tar(place.read(name)))
