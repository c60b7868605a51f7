"""The commands that declare boards, and ask what they promise and hold."""

from __future__ import annotations

import time
import tomllib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
import msgspec
from msgspec import Struct

from laurels.boards_file import read_boards
from laurels.cli import describe
from laurels.cli.commands import asked, board_argument, json_option, server_option, source_of
from laurels.cli.tables import encode, show_table
from laurels.declaring import read_definition
from laurels.definition import BoardsFile, Definition
from laurels.http.wire import Listed, Listing, Periods
from laurels.windows import Calendar

if TYPE_CHECKING:
    from laurels.cli.client import Client
    from laurels.http.parameters import Schema

EPILOG = """\b
Examples:
  laurels boards check boards.toml
  laurels boards schema > boards.schema.json
  laurels boards list
  laurels boards define mario-kart mario-kart.toml
  laurels boards periods mario-kart
"""


class Current(Struct, frozen=True):
    """The current period of a window: it ends before ``stop``."""

    window: str
    period: str
    start: str
    stop: str


class CheckedBoard(Struct, frozen=True):
    """A board of a file that is good."""

    name: str
    definition: Definition
    periods: list[Current]


class CheckedFile(Struct, frozen=True):
    """A file that is good."""

    boards: list[CheckedBoard]
    default: Definition
    declared_only: bool


@click.group(epilog=EPILOG)
def boards() -> None:
    """Declare boards, and ask what they promise and hold.

    A file of boards is what `laurels serve --boards FILE` takes. The other commands ask a running service.
    """


@boards.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of boards, in TOML.")
@json_option
def check(*, file: Path, as_json: bool) -> None:
    """Tell what the boards of FILE promise, and when their periods change next; or what is wrong with it."""
    found = read_boards(file)
    now = time.time()
    if as_json:
        checked = [CheckedBoard(name, one, _periods(one, now)) for name, one in found.boards.items()]
        click.echo(encode(CheckedFile(checked, found.default, found.declared_only)))
        return
    for name, definition in found.boards.items():
        _show_definition(name, definition, now)
    if found.declared_only:
        click.echo("There are no other boards.")
    else:
        _show_definition("All other boards", found.default, now)


@boards.command()
def schema() -> None:
    """Write the JSON Schema of a file of boards, by which editors complete and check it.

    A file names its schema in its first line: #:schema ./boards.schema.json
    """
    click.echo(msgspec.json.format(encode(file_schema()), indent=2))


@boards.command("list")
@server_option
@json_option
def list_(*, server: str, as_json: bool) -> None:
    """List the boards that are declared or have entries."""
    found = asked(server, _all_boards)
    if as_json:
        click.echo(encode(Listing(found, None)))
    elif found:
        rows = [(one.name, "yes" if one.declared else "no", describe.in_short(one.definition)) for one in found]
        show_table(("board", "declared", "promises"), rows)
    else:
        click.echo("no boards")


async def _all_boards(client: Client) -> list[Listed]:
    found = await client.boards()
    listed = [*found.boards]
    while found.next is not None:
        found = await client.boards(found.next)
        listed += found.boards
    return listed


@boards.command()
@board_argument
@server_option
@json_option
def show(*, board: str, server: str, as_json: bool) -> None:
    """Show what BOARD promises."""
    definition = asked(server, lambda client: client.definition(board))
    if as_json:
        click.echo(encode(definition))
    else:
        _show_definition(board, definition, time.time())


@boards.command()
@board_argument
@server_option
@json_option
def periods(*, board: str, server: str, as_json: bool) -> None:
    """List the periods of BOARD that have entries, by window and from the oldest."""
    found = asked(server, lambda client: client.periods(board))
    if as_json:
        click.echo(encode(Periods(found)))
    elif found:
        rows = [
            (one.window, one.period, one.start, one.stop, f"{one.count:,}", "now" if one.current else "")
            for one in found
        ]
        show_table(("window", "period", "from", "to", "entries", ""), rows, numbers={"entries"})
    else:
        click.echo("no periods with entries")


@boards.command()
@board_argument
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A definition in TOML or JSON, or a file of boards that has BOARD; - is stdin.",
)
@server_option
@json_option
def define(*, board: str, file: Path, server: str, as_json: bool) -> None:
    """Give BOARD the definition in FILE, in place of any it had.

    A change that BOARD's entries contradict is refused, with what to do about it.
    """
    sent = _definition_in(file, board)
    definition = asked(server, lambda client: client.define(board, sent))
    if as_json:
        click.echo(encode(definition))
    else:
        _show_definition(board, definition, time.time())


def _definition_in(file: Path, board: str) -> bytes:
    """Give the definition that a file has for a board, as JSON. TOML is checked: it has numbers that JSON has not."""
    with source_of(file) as source:
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
def drop(*, board: str, server: str) -> None:
    """Drop the definition of BOARD, so that it has the service's default one. Its entries stay."""
    asked(server, lambda client: client.undefine(board))
    click.echo(f"{board} has the default definition.")


def _show_definition(title: str, definition: Definition, now: float) -> None:
    click.echo("\n".join([title, *describe.told(definition, now), ""]))


def _periods(definition: Definition, now: float) -> list[Current]:
    zone = ZoneInfo(definition.time_zone)
    spans = [(window, Calendar(window, definition.time_zone).span_at(now)) for window in definition.windows]
    return [
        Current(
            window, span.period, *(datetime.fromtimestamp(end, zone).isoformat() for end in (span.start, span.stop))
        )
        for window, span in spans
    ]


def file_schema() -> Schema:
    """Give the JSON Schema of a file of boards, in the draft that editors of TOML know."""
    _, found = msgspec.json.schema_components((BoardsFile,), ref_template="#/definitions/{name}")
    definitions = {name: _for_editors(schema) for name, schema in found.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **definitions.pop("BoardsFile"),
        "definitions": definitions,
    }


def _for_editors(schema: Schema) -> Schema:
    """Give a schema without null, which TOML does not have, and with nothing beside a reference, which is not read."""
    fields = {}
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
        rest = {key: value for key, value in field.items() if key not in {"anyOf", "$ref"}}
        if not isinstance(rest.get("default"), bool | str | list):
            rest.pop("default", None)
        if "$ref" in field:
            rest["allOf"] = [{"$ref": field["$ref"]}]
        fields[name] = rest | ({"anyOf": kinds} if len(kinds) > 1 else kinds[0] if kinds else {})
    return schema | {"properties": fields}
