"""The commands that make a data directory of a backup, and that prove one to be good."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from laurels.backup.generations import find_spans, is_archive
from laurels.backup.parts import format_time
from laurels.backup.places import CHUNK_BYTES, open_place
from laurels.backup.restore import ALWAYS, check_target
from laurels.backup.restore import restore as make_directory
from laurels.backup.sources import Found, find_backup
from laurels.backup.tar import read_tar
from laurels.backup.verify import Verified, verify_directory
from laurels.cli.audit import Instant
from laurels.cli.options import json_option
from laurels.cli.printing import write, write_json, write_table
from laurels.cli.tables import TransferLine
from laurels.clock import SECOND
from laurels.errors import BackupError, DirectoryInUse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from laurels.backup.restore import Restored

STDIN = "-"
EPILOG = """\b
Examples:
  laurels restore /backups/laurels-20261127T113000Z.tar --data ./laurels-data
  laurels restore s3://my-bucket/laurels --data ./laurels-data --until 2026-11-27T11:59:30Z
  laurels restore s3://my-bucket/laurels --list
"""


class RestoreResult(Struct, frozen=True):
    """The result of a restore. Times are in RFC 3339."""

    backup: str
    data: str
    until: str
    """When the newest change in it was made."""
    goes_on: bool
    """Whether the backup has later changes."""
    verified: Verified


@click.command(epilog=EPILOG)
@click.argument("source", metavar="FROM", help="A backup (.tar), an archive or a place with backups, or - (stdin).")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory to make; there must be none, or an empty one.",
)
@click.option(
    "--until",
    type=Instant(),
    metavar="TIME",
    help="Leave out what was written after this time; without a time zone it is in UTC. By default all is restored.",
)
@click.option("--list", "is_list", is_flag=True, help="Show from when to when an archive can be restored, and stop.")
@json_option
def restore(*, source: str, data: Path | None, until: datetime | None, is_list: bool, as_json: bool) -> None:
    """Make a data directory of a backup, as of any second.

    FROM is a file that `laurels backup` wrote, a directory or s3://BUCKET/PREFIX with such files, or the place of an
    archive, which `laurels serve --archive` writes. The directory is verified before it has its name: if the restore
    fails there is none. Serve it with `laurels serve --data`.
    """
    if is_list:
        _list_spans(source, as_json=as_json)
        return
    if data is None:
        raise click.UsageError("Name the directory to make with --data DIRECTORY.")
    check_target(data)
    moment = None if until is None else int(until.timestamp() * SECOND)
    found = _find(source, moment)
    with TransferLine(quiet=as_json) as line:
        restored = make_directory(found.parts, data, ALWAYS if moment is None else moment, line.move)
    result = RestoreResult(found.name, str(data), format_time(restored.time), restored.is_cut, restored.verified)
    if as_json:
        write_json(result)
        return
    write(f"Restored {data} from {found.name}: {_format(restored.verified)}.")
    write(_say_until(restored))


def _say_until(restored: Restored) -> str:
    what = "The newest change in it"
    return f"{what} is of {format_time(restored.time)}." if restored.time else "There is no change in it."


def _list_spans(source: str, *, as_json: bool) -> None:
    place = open_place(source)
    if not is_archive(place):
        raise click.UsageError(f"There is no archive at {place}: --list is for what `laurels serve --archive` writes.")
    spans = [
        (format_time(each.first) if each.first else None, format_time(each.last), each.generations)
        for each in find_spans(place)
    ]
    if as_json:
        for first, last, copies in spans:
            write_json({"from": first, "to": last, "copies": copies})
        return
    rows = [(first or "the beginning", last, str(copies)) for first, last, copies in spans]
    write_table(("from", "to", "copies"), rows)


def _find(source: str, moment: int | None) -> Found:
    return Found("stdin", read_tar(_read_stdin())) if source == STDIN else find_backup(source, moment)


def _read_stdin() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
        yield chunk


@click.command(
    epilog="""\b
Examples:
  laurels verify ./laurels-data
  laurels verify /backups/laurels-20261127T113000Z.tar
  laurels verify s3://my-bucket/laurels
"""
)
@click.argument("source", metavar="WHAT", help="A data directory that no service uses, or what restore takes.")
@json_option
def verify(*, source: str, as_json: bool) -> None:
    """Read all of a directory or a backup, and prove that it is good.

    Every page and every row is read, the sums are checked, and the boards are built as a start builds them. A backup is
    restored for that into a directory that is removed again, which takes as much space as the data. The exit status is
    1 if anything is not as it was written.
    """
    if source != STDIN and (Path(source) / "journal.db").exists():
        verified = _verify_directory(Path(source))
    else:
        found = _find(source, None)
        source = found.name
        with tempfile.TemporaryDirectory(prefix="laurels-verify-") as scratch, TransferLine(quiet=as_json) as line:
            verified = make_directory(found.parts, Path(scratch) / "data", progress=line.move).verified
    if as_json:
        write_json(verified)
    else:
        write(f"{source} is good: {_format(verified)}.")


def _verify_directory(path: Path) -> Verified:
    try:
        return verify_directory(path)
    except DirectoryInUse as used:
        raise BackupError(
            f"A service runs on {path}: take a copy with `laurels backup`, and verify that, or stop the service first."
        ) from used


def _format(verified: Verified) -> str:
    changes = f"{verified.changes:,} changes in the journal up to batch {verified.batch:,}"
    return f"{verified.entries:,} entries on {verified.boards:,} boards, {changes}"
