"""The commands that call a running service."""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from laurels.cli import tables
from laurels.cli.client import Client, Period
from laurels.cli.environment import hide_password, parse_url
from laurels.cli.numbers import parse_score as read_score
from laurels.http.messages import DEFAULT_ORIGIN
from laurels.http.wire import Receipt
from laurels.limits import DEFAULT_PAGE_ENTRIES, LARGEST_NUMBER, PAGE_ENTRIES

if TYPE_CHECKING:
    import io
    from collections.abc import Awaitable, Callable

    from laurels.stores.contract import Score, Standing

STDIO = Path("-")
FURTHEST_RANK = LARGEST_NUMBER - PAGE_ENTRIES
DASH = "A name that begins with a dash goes after --, as in: laurels standing mario-kart -- -v-"

F = TypeVar("F", bound="Callable[..., object]")
T = TypeVar("T")


def parse_score(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Score | None:
    """Read the score in an argument, or in an option that may not be given."""
    if value is None:
        return None
    try:
        return read_score(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parse_url(value)
    except ValueError as error:
        shown = hide_password(value)
        raise click.BadParameter(f"{shown!r} is no address of a service, such as {DEFAULT_ORIGIN}: {error}.") from error
    return value


server_option = click.option(
    "--server",
    metavar="URL",
    callback=_url,
    default=DEFAULT_ORIGIN,
    envvar="LAURELS_SERVER",
    show_default=True,
    show_envvar=True,
    help="The service to call.",
)
board_argument = click.argument("board", help="A board's name.")
name_argument = click.argument("name", help="A player's name.")
_window_option = click.option(
    "--window", metavar="WINDOW", help="A window of the board: daily, weekly, monthly, or its cron line."
)
_period_option = click.option(
    "--period", metavar="PERIOD", help="A period of the window, such as 2026-11-22; by default the current one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object on stdout.")


def period_options(command: F) -> F:
    """Add --window and --period to a command about a board."""
    return _window_option(_period_option(command))


def call_service(server: str, call: Callable[[Client], Awaitable[T]]) -> T:
    """Connect to a service, and return the result of a call."""

    async def connect_and_call() -> T:
        async with Client(server) as client:
            return await call(client)

    return asyncio.run(connect_and_call())


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=f"""\b
Examples:
  laurels submit mario-kart silverhand 2077

{DASH}
""",
)
@board_argument
@name_argument
@click.argument("score", callback=parse_score, help="A finite number. A number that would lose a digit is refused.")
@server_option
@json_option
def submit(*, board: str, name: str, score: Score, server: str, as_json: bool) -> None:
    """Submit SCORE for NAME on BOARD.

    The score replaces the one that NAME has, or counts as BOARD's operator says (laurels boards show BOARD).
    Shows the new score and rank of NAME, and the ones before if the service's store keeps them.
    """

    async def submit_and_read(client: Client) -> Receipt | Standing | None:
        return await client.submit(board, name, score) or await client.standing(board, name)

    found = call_service(server, submit_and_read)
    if isinstance(found, Receipt):
        tables.show_receipt(found, as_json=as_json)
    else:
        tables.show_standing(found, as_json=as_json)


@click.command(
    epilog=f"""\b
Examples:
  laurels standing mario-kart silverhand
  laurels standing mario-kart silverhand --window weekly --json

{DASH}
"""
)
@board_argument
@name_argument
@period_options
@server_option
@json_option
def standing(*, board: str, name: str, server: str, as_json: bool, **when: str | None) -> None:
    """Show the score and the rank of NAME on BOARD. If it is not there the exit status is 1."""
    found = call_service(server, lambda client: client.standing(board, name, Period(**when)))
    tables.show_standing(found, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  laurels top mario-kart
  laurels top mario-kart --count 100 --window daily --period 2026-11-22
"""
)
@board_argument
@click.option(
    "--start",
    type=click.IntRange(0, FURTHEST_RANK),
    metavar="RANK",
    default=0,
    show_default=True,
    help="The rank of the first entry to show.",
)
@click.option(
    "--count",
    type=click.IntRange(1, PAGE_ENTRIES),
    metavar="N",
    default=DEFAULT_PAGE_ENTRIES,
    show_default=True,
    help=f"How many entries to show, {PAGE_ENTRIES:,} at most.",
)
@period_options
@server_option
@json_option
def top(*, board: str, start: int, count: int, server: str, as_json: bool, **when: str | None) -> None:
    """Show the first entries of BOARD, with ranks from 0."""
    entries = call_service(server, lambda client: client.ranked_page(board, start, start + count, Period(**when)))
    none = f"no entries from rank {start} on" if start else "no entries on the board"
    tables.show_page(entries, none, as_json=as_json)


def open_source(file: Path) -> AbstractContextManager[io.BufferedReader]:
    """Open a file or stdin for reading. Stdin is never closed: that would wait for a thread that is reading it."""
    if file == STDIO:
        return nullcontext(os.fdopen(0, "rb", closefd=False))
    return file.open("rb")
