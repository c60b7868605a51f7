"""``laurels backup``: a backup of a running service, downloaded, checked, and kept where backups are."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import click
from msgspec import Struct
from rich.filesize import decimal

from laurels.backup.parts import format_time
from laurels.backup.places import checked, open_place
from laurels.backup.reading import Nobody, Reading, check_passing
from laurels.backup.sources import FILE_NAME, FILE_SUFFIX
from laurels.cli.options import json_option, open_client, server_option
from laurels.cli.printing import open_stdout, write, write_json
from laurels.cli.tables import TransferLine
from laurels.http.backups import format_file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.backup.places import Place

STDOUT = "-"


class Destination(NamedTuple):
    """Where a backup goes: a name in a place, or with an empty name one that has the time."""

    place: str
    name: str = ""


class Kept(Struct, frozen=True):
    """What the command has done, as ``--json`` writes it."""

    place: str
    name: str
    bytes: int
    newest: str | None
    """The time of the newest write that is in it, None if it has none."""
    removed: list[str]


def _destination(_ctx: click.Context, _param: click.Parameter, value: str) -> Destination:
    found = find_destination(value)
    path = Path(found.place, found.name)
    if found.name and path.exists() and not path.is_file():
        raise click.BadParameter(f"{value!r} is no file: say - instead, and have the shell write there.")
    try:
        checked(found.name or "x")
    except ValueError:
        raise click.BadParameter(f"{value!r} is no name that a backup can have.") from None
    return found


def find_destination(value: str) -> Destination:
    """Return what is meant by DEST: of a path the last part is a file, unless it is a directory or has a slash behind.

    A bucket cannot be asked what a name is: there a file ends in .tar.
    """
    head, slash, last = value.rpartition("/")
    if value == STDOUT or not last:
        return Destination(value)
    if value.lower().startswith("s3://"):
        is_file = last.endswith(FILE_SUFFIX) and head.count("/") > 1
    else:
        path = Path(unquote(urlsplit(value).path) if "://" in value else value)
        is_file = not path.is_dir()
    return Destination(head + slash or ".", last) if is_file else Destination(value)


@click.command()
@click.argument("dest", callback=_destination, help="A file, a directory, s3://BUCKET/PREFIX/, or - for stdout.")
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the newest N backups in DEST, this one among them, and remove older ones once it is there.",
)
@server_option
@json_option
def backup(*, dest: Destination, keep: int | None, server: str, as_json: bool) -> None:
    """Download a backup of a running service, and keep it in DEST.

    DEST is a file, such as kart.tar, or a directory (it exists, or ends with a slash) or s3://BUCKET/PREFIX/, where it
    is laurels-TIME.tar, TIME in UTC. S3 takes laurels[aws], and finds credentials, region and endpoint where AWS's own
    tools do.

    What arrives is checked while it passes. In DEST it is whole or not at all: if the download breaks off nothing is
    there, and nothing is removed. --keep counts and removes only files that are called as this command calls them.

    It takes the right of an administrator. The service goes on meanwhile; it sends one backup at a time, unless
    --max-backups says otherwise there.
    """
    is_file = dest.name or dest.place == STDOUT
    if keep is not None and is_file:
        raise click.UsageError("--keep goes with a directory or a prefix, where there is more than one backup.")
    if dest.place == STDOUT:
        if as_json:
            raise click.UsageError("--json and - contradict each other: both would be on stdout.")
        _write_on_stdout(server)
        return
    _keep_in_place(server, dest, keep, as_json=as_json)


def _write_on_stdout(server: str) -> None:
    if sys.__stdout__ is not None and sys.__stdout__.isatty():
        raise click.UsageError("A terminal is no place for a backup: name a file, or pipe it on.")
    out = open_stdout()
    for chunk in check_passing(_download(server)):
        out.write(chunk)
    out.flush()


def _keep_in_place(server: str, dest: Destination, keep: int | None, *, as_json: bool) -> None:
    place = open_place(dest.place)
    name = dest.name or format_file_name(datetime.now(UTC))
    reading = Reading(Nobody())
    begun, size = time.monotonic(), 0

    def count(chunks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            size += len(chunk)
            line.move(len(chunk))
            yield chunk

    with TransferLine(quiet=as_json) as line:
        place.write(name, count(check_passing(_download(server), reading)))
    removed: list[str] = []
    newest = format_time(reading.end.time) if reading.end and reading.end.time else None
    if not as_json:
        of = f"up to {newest}" if newest else "of an empty store"
        write(f"{name} in {place}: {decimal(size)}, {of}, in {time.monotonic() - begun:.1f} s")
    try:
        for older in list_older(place, name, keep) if keep else ():
            place.delete(older)
            removed.append(older)
    finally:
        if as_json:
            write_json(Kept(str(place), name, size, newest, removed))
        else:
            write(*(f"{older} removed" for older in removed))


def list_older(place: Place, name: str, keep: int) -> list[str]:
    """Return the backups that are to go, if so many are kept with the one of this name: the oldest of the others."""
    others = [item.name for item in place.names("laurels-") if FILE_NAME.fullmatch(item.name) and item.name != name]
    return others[: max(len(others) - (keep - 1), 0)]


def _download(server: str) -> Iterator[bytes]:
    """Yield the bytes of a backup; the loop runs only while the next ones are waited for."""
    with asyncio.Runner() as runner:
        client = open_client(server)
        stream = client.backup()

        async def take() -> bytes:
            return await anext(stream, b"")

        try:
            while chunk := runner.run(take()):
                yield chunk
        finally:
            runner.run(stream.aclose())
            runner.run(client.__aexit__())
