"""The commands that define boards, and show their definitions and periods."""

from __future__ import annotations

import asyncio
import time
import tomllib
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from laurels.answers import Boards
from laurels.boards import ListedPeriod
from laurels.boards_file import read_boards
from laurels.cli import describe
from laurels.cli.options import board_argument, call_service, json_option, open_source, server_option
from laurels.cli.printing import write, write_json, write_table
from laurels.cli.schemas import make_schema
from laurels.cli.tables import ProgressLine
from laurels.declaring import normalize_definition, read_definition
from laurels.definition import PARTITIONS, BoardsFile, Definition
from laurels.http.wire import Periods, encode
from laurels.optional import load
from laurels.windows import Calendar

if TYPE_CHECKING:
    from laurels.answers import ListedBoard, Period
    from laurels.cli.client import CommandClient

EPILOG = """\b
Examples:
  laurels boards check boards.toml
  laurels boards schema > boards.schema.json
  laurels boards list
  laurels boards define mario-kart mario-kart.toml
  laurels boards periods mario-kart
  laurels boards repartition world 16 --store redis://localhost/0
"""


class CurrentPeriod(Struct, frozen=True):
    """The current period of a window, as the wire's ListedPeriod but without what only a service knows.

    ``start`` and ``stop``, before which it ends, are ISO 8601 in the board's time zone.
    """

    window: str
    period: str
    start: str
    stop: str


class CheckedBoard(Struct, frozen=True):
    """A board of a valid boards file."""

    name: str
    definition: Definition
    periods: list[CurrentPeriod]


class CheckedFile(Struct, frozen=True):
    """A valid boards file."""

    boards: list[CheckedBoard]
    default: Definition
    declared_only: bool


class Dropped(Struct, frozen=True):
    """The result of drop: the board that has the default definition now."""

    board: str


class Repartitioned(Struct, frozen=True):
    """The result of repartition: how many partitions the board has now, and how many names were moved by this."""

    board: str
    partitions: int
    moved: int


@click.group(epilog=EPILOG)
def boards() -> None:
    """Define boards, and show their definitions and periods.

    `check` and `schema` are about the boards file that `laurels serve --boards FILE` reads, and `repartition` is about
    a store on Redis. The other commands call a running service.
    """


@boards.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A boards file, in TOML.")
@json_option
def check(*, file: Path, as_json: bool) -> None:
    """Check a boards file: show the definitions in FILE and when the current periods end, or what is wrong with it."""
    found = read_boards(file)
    now = time.time()
    if as_json:
        checked = [CheckedBoard(name, one, _current_periods(one, now)) for name, one in found.boards.items()]
        write_json(CheckedFile(checked, found.default, found.declared_only))
        return
    for name, definition in found.boards.items():
        _show_definition(name, definition, now)
    if found.declared_only:
        write("There are no other boards.")
    else:
        _show_definition("All other boards", found.default, now)


@boards.command()
def schema() -> None:
    """Write the JSON Schema of a boards file, with which editors complete and check it.

    A boards file names its schema in its first line: #:schema ./boards.schema.json
    """
    write_json(make_schema(BoardsFile), indent=2)


@boards.command("list")
@server_option
@json_option
def list_(*, server: str, as_json: bool) -> None:
    """List the boards that are declared or have entries."""

    async def read(client: CommandClient) -> list[ListedBoard]:
        return [each async for each in client.boards(count=True)]

    found = call_service(server, read)
    if as_json:
        write_json(Boards(tuple(found), None))
    elif found:
        rows = [
            (one.name, _format_count(one), "yes" if one.declared else "no", describe.format_short(one.definition))
            for one in found
        ]
        write_table(("board", "entries", "declared", "promises"), rows, numbers={"entries"})
    else:
        write("no boards")


def _format_count(board: ListedBoard) -> str:
    return "?" if board.count is None else f"{board.count:,}"


@boards.command()
@board_argument
@server_option
@json_option
def show(*, board: str, server: str, as_json: bool) -> None:
    """Show the definition of BOARD."""
    definition = call_service(server, lambda client: client.definition(board))
    if as_json:
        write_json(definition)
    else:
        _show_definition(board, definition, time.time())


@boards.command()
@board_argument
@server_option
@json_option
def periods(*, board: str, server: str, as_json: bool) -> None:
    """List the periods of BOARD that have entries, by window, oldest first."""

    async def read(client: CommandClient) -> list[ListedPeriod]:
        return [_list_period(each) async for each in client.periods(board)]

    found = call_service(server, read)
    if as_json:
        write_json(Periods(found))
    elif found:
        rows = [
            (one.window, one.period, one.start, one.stop, f"{one.count:,}", "now" if one.current else "")
            for one in found
        ]
        write_table(("window", "period", "from", "to", "entries", ""), rows, numbers={"entries"})
    else:
        write("no periods with entries")


def _list_period(period: Period) -> ListedPeriod:
    """Return a period with its times in ISO 8601, in the board's time zone."""
    start, stop = period.start.isoformat(), period.stop.isoformat()
    return ListedPeriod(period.window, period.period, start, stop, period.count, period.current)


@boards.command()
@board_argument
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A definition in TOML or JSON, or a boards file that has BOARD; - is stdin.",
)
@server_option
@json_option
def define(*, board: str, file: Path, server: str, as_json: bool) -> None:
    """Define BOARD as FILE says, in place of the definition it may have.

    A change that contradicts BOARD's entries is refused, and the error says what to do.
    """
    body = _read_definition(file, board)
    definition = call_service(server, lambda client: client.define(board, body))
    if as_json:
        write_json(definition)
    else:
        _show_definition(board, definition, time.time())


def _read_definition(file: Path, board: str) -> bytes:
    """Return a board's definition in a file, as JSON. TOML is checked here, because JSON has no nan and inf."""
    with open_source(file) as source:
        text = source.read()
    if text.lstrip().startswith(b"{"):
        return text
    try:
        found = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} is neither JSON nor TOML: {error}.") from error
    tables = found.get("boards")
    if not isinstance(tables, dict):
        return encode(read_definition(found))
    if board not in tables:
        raise click.UsageError(f"{file} has no [boards.{board}]: it has {', '.join(tables)}.")
    return encode(read_definition(tables[board]))


@boards.command()
@board_argument
@server_option
@json_option
def drop(*, board: str, server: str, as_json: bool) -> None:
    """Drop the definition of BOARD, which then has the service's default one. Its entries stay."""
    call_service(server, lambda client: client.undefine(board))
    if as_json:
        write_json(Dropped(board))
    else:
        write(f"{board} has the default definition.")


@boards.command()
@board_argument
@click.argument("count", metavar="K", type=click.IntRange(1, PARTITIONS), help="How many partitions it is to have.")
@click.option(
    "--store", required=True, envvar="LAURELS_STORE", metavar="URL", help="The store on Redis that has BOARD."
)
@json_option
def repartition(*, board: str, count: int, store: str, as_json: bool) -> None:
    """Spread the entries of BOARD over K partitions, while services read and write.

    Run it again if it was stopped: it goes on. Until it is done BOARD is slower, and ranks may be too high by the few
    names that are just on their way. A board of a boards file is taken out of that first.
    """
    progress = ProgressLine(board, None, quiet=as_json)
    asyncio.run(_repartition(board, count, store, progress))
    if as_json:
        write_json(Repartitioned(board, count, progress.rows))
    else:
        write(progress.summary(f"{board} is spread over {count} partitions, {progress.rows:,} names moved"))


async def _repartition(board: str, count: int, url: str, progress: ProgressLine) -> None:
    async with load("laurels.assembly:open_store")(url) as store:
        moving = store.repartition(board, count, normalize_definition)
        async with aclosing(moving):
            with progress:
                async for moved, left in moving:
                    progress.expect(moved + left)
                    progress.move(moved - progress.rows, moved)


def _show_definition(title: str, definition: Definition, now: float) -> None:
    write(title, *describe.format_definition(definition, now), "")


def _current_periods(definition: Definition, now: float) -> list[CurrentPeriod]:
    return [_current_period(Calendar(window, definition.time_zone), now) for window in definition.windows]


def _current_period(calendar: Calendar, now: float) -> CurrentPeriod:
    span = calendar.span_at(now)
    ends = (datetime.fromtimestamp(end, calendar.zone).isoformat() for end in (span.start, span.stop))
    return CurrentPeriod(calendar.window, span.period, *ends)
