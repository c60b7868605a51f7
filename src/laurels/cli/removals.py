"""The commands that take entries off boards. They ask before they do, because nothing brings entries back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click
from msgspec import Struct

from laurels.cli.client import CommandClient, Period
from laurels.cli.options import (
    DASH,
    board_argument,
    call_service,
    json_option,
    name_argument,
    period_options,
    server_option,
)
from laurels.cli.printing import confirm, write, write_json
from laurels.cli.tables import format_standing
from laurels.client.errors import RequestRefused

if TYPE_CHECKING:
    from laurels.cli.client import Where

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


class Deleted(Struct, frozen=True):
    """The result of delete; ``deleted`` is false if the name was not there."""

    board: str
    name: str
    deleted: bool


class Cleared(Struct, frozen=True):
    """The result of clear; ``entries`` is how many there were, None if the service cannot tell."""

    board: str
    entries: int | None


@click.command(
    epilog=f"""\b
Examples:
  laurels delete mario-kart silverhand
  laurels delete mario-kart silverhand --window daily --yes

{DASH}
"""
)
@board_argument
@name_argument
@period_options
@yes_option
@server_option
@json_option
def delete(*, board: str, name: str, yes: bool, server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """Delete NAME from BOARD and all its periods, or from one period. It asks before, unless --yes is given."""
    period = Period(**when)
    found = call_service(server, lambda client: client.standing(board, name, **period.where))
    there = format_standing(found) if found else "not there"
    if not yes:
        confirm(f"Delete {name} ({there}) from {_format_place(board, period)}?")
    call_service(server, lambda client: client.remove(board, name, **period.where))
    if as_json:
        write_json(Deleted(board, name, found is not None))
    else:
        write(f"{name} is deleted: {there}" if found else f"{name} was not on the board")


@click.command(
    epilog="""\b
Examples:
  laurels clear mario-kart
  laurels clear mario-kart --window daily --period 2026-11-22 --yes
"""
)
@board_argument
@period_options
@yes_option
@server_option
@json_option
def clear(*, board: str, yes: bool, server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """Delete all entries of BOARD and its periods, or of one period. It asks before, unless --yes is given.

    The definition stays; `laurels boards drop` drops it.
    """
    period = Period(**when)
    count = call_service(server, lambda client: _count(client, board, period))
    entries = "all entries" if count is None else f"{count:,} {'entry' if count == 1 else 'entries'}"
    if not yes:
        confirm(f"Delete {entries} of {_format_place(board, period)}?")
    call_service(server, lambda client: client.drop(board, **period.where))
    if as_json:
        write_json(Cleared(board, count))
    else:
        write(f"{board} is empty: {entries} deleted")


async def _count(client: CommandClient, board: str, period: Period) -> int | None:
    try:
        return (await client.summary(board, **period.where)).count
    except RequestRefused:  # by a service whose store cannot tell, and can be emptied all the same
        return None


def _format_place(board: str, period: Period) -> str:
    if period.window is None:
        return f"{board} and all its periods"
    return f"{board}, {period.window}, {period.period or 'the current period'}"
