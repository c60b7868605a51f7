"""The command that reads audit logs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import UNSET, Raw, UnsetType

from laurels.audit.reading import read_file
from laurels.audit.record import Wanted
from laurels.cli.printing import write, write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.audit.record import Record

EPILOG = """\b
Examples:
  laurels audit /var/log/laurels/audit.log --board mario-kart
  laurels audit audit.log.2.gz audit.log.1 audit.log --name silverhand --since 2026-11-20
  laurels audit audit.log --who key:console --json
"""
TITLES = ("time", "who", "from", "operation", "board", "of", "status", "change")


class Instant(click.ParamType[datetime]):
    """A date, or a time of RFC 3339; without a time zone it is in UTC."""

    name = "TIME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the instant."""
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date or time, such as 2026-11-20 or 2026-11-20T10:00:00Z.", param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@click.command(epilog=EPILOG)
@click.argument(
    "files",
    metavar="FILE...",
    type=click.Path(path_type=Path),
    nargs=-1,
    required=True,
    help="An audit log of `laurels serve --audit-log FILE`; of several, older ones come first.",
)
@click.option("--board", help="Records about this board alone.")
@click.option("--name", help="Records about this player alone.")
@click.option("--who", help="Records of this principal alone: key:NAME, player:NAME, public or anybody.")
@click.option("--since", type=Instant(), metavar="TIME", help="Records of this time and later.")
@click.option("--until", type=Instant(), metavar="TIME", help="Records before this time.")
@click.option("--json", "as_json", is_flag=True, help="Write the records as they are, one JSON object a line.")
def audit(  # noqa: PLR0913 - one argument an option
    *,
    files: Sequence[Path],
    board: str | None,
    name: str | None,
    who: str | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Show what moderators and administrators did, and what was refused.

    A file that ends in .gz is unpacked. Lines that are no records are passed over.
    """
    wanted = Wanted(board=board, name=name, who=who, since=since, until=until)
    records = (record for file in files for record in read_file(file, wanted))
    if as_json:
        for record in records:
            write_json(record)
        return
    rows = [_format(record) for record in records]
    if rows:
        write_table(TITLES, rows, numbers={"status"})
    else:
        write("no records")


def _format(record: Record) -> tuple[str, ...]:
    period = " ".join(each for each in (record.window, record.period) if each is not UNSET)
    board = record.board or ""
    return (
        record.time,
        record.who,
        record.sender,
        record.operation,
        f"{board} ({period})" if period else board,
        record.name or record.key or "",
        str(record.status),
        "" if record.after is UNSET else _format_change(*map(_decode, (record.before, record.after))),
    )


def _format_change(before: Any, after: Any) -> str:
    """Return what an operation changed: of two objects, such as definitions, only what differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [part for part in before | after if before.get(part) != after.get(part)]
        return ", ".join(f"{part}: {_encode(before.get(part))} -> {_encode(after.get(part))}" for part in parts)
    return f"{_encode(before)} -> {_encode(after)}"


def _decode(raw: Raw | UnsetType) -> Any:
    return None if raw is UNSET else msgspec.json.decode(raw)


def _encode(found: object) -> str:
    return msgspec.json.encode(found).decode()
