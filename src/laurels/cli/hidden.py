"""The commands of hidden names: to hide one, to show it again, and to list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click
from msgspec import Struct

from laurels.cli.options import (
    DASH,
    board_argument,
    call_service,
    json_option,
    name_argument,
    period_options,
    server_option,
)
from laurels.cli.printing import write, write_json, write_table

if TYPE_CHECKING:
    from laurels.answers import HiddenEntry
    from laurels.cli.client import CommandClient, Where


class Marked(Struct, frozen=True):
    """Whether a name is hidden now."""

    board: str
    name: str
    hidden: bool


@click.command(
    epilog=f"""\b
Examples:
  laurels hide mario-kart silverhand

{DASH}
"""
)
@board_argument
@name_argument
@server_option
@json_option
def hide(*, board: str, name: str, server: str, as_json: bool) -> None:
    """Hide NAME on BOARD and in its periods.

    It need not have a score yet. It keeps the one that it has and may go on submitting, but is on no list, has no rank
    and moves nobody. `laurels show` ends that, and nothing else does: it holds also if the name or the whole board is
    deleted meanwhile.
    """
    call_service(server, lambda client: client.hide(board, name))
    _tell(Marked(board, name, hidden=True), as_json=as_json)


@click.command(
    epilog=f"""\b
Examples:
  laurels show mario-kart silverhand

{DASH}
"""
)
@board_argument
@name_argument
@server_option
@json_option
def show(*, board: str, name: str, server: str, as_json: bool) -> None:
    """Show NAME, which is hidden on BOARD.

    It stands where it would if it had never been hidden.
    """
    call_service(server, lambda client: client.show(board, name))
    _tell(Marked(board, name, hidden=False), as_json=as_json)


def _tell(marked: Marked, *, as_json: bool) -> None:
    if as_json:
        write_json(marked)
    else:
        write(f"{marked.name} is {'hidden' if marked.hidden else 'not hidden'} on {marked.board}")


@click.command(
    epilog="""\b
Examples:
  laurels hidden mario-kart
  laurels hidden mario-kart --window daily --json
"""
)
@board_argument
@period_options
@server_option
@json_option
def hidden(*, board: str, server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """List the names that are hidden on BOARD.

    Each with its score there, or in one period.
    """

    async def read(client: CommandClient) -> list[HiddenEntry]:
        return [each async for each in client.hidden(board, **when)]

    found = call_service(server, read)
    if as_json:
        write_json(found)
    elif found:
        rows = [(each.name, "" if each.score is None else str(each.score)) for each in found]
        write_table(("name", "score"), rows, numbers={"score"})
    else:
        write("no hidden names")
