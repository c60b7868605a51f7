"""The commands of held scores: to list them, and to decide about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from laurels.cli.options import DASH, board_argument, call_service, json_option, name_argument, server_option
from laurels.cli.printing import write, write_json, write_table

if TYPE_CHECKING:
    from laurels.cli.client import Client
    from laurels.http.wire import HeldEntry


class Decided(Struct, frozen=True):
    """What was decided about a held score."""

    board: str
    name: str
    released: bool


@click.group(
    epilog="""\b
Examples:
  laurels held list dungeon
  laurels held release dungeon silverhand
"""
)
def held() -> None:
    """Decide about scores that the guard of a board holds back."""


@held.command(
    name="list",
    epilog="""\b
Examples:
  laurels held list dungeon
  laurels held list dungeon --json
""",
)
@board_argument
@server_option
@json_option
def list_held(*, board: str, server: str, as_json: bool) -> None:
    """List the scores that are held on BOARD, best first."""

    async def read(client: Client) -> list[HeldEntry]:
        return [each async for page in client.held(board) for each in page]

    found = call_service(server, read)
    if as_json:
        write_json(found)
    elif found:
        rows = [(each.name, str(each.score), each.submitted_at) for each in found]
        write_table(("name", "score", "submitted at"), rows, numbers={"score"})
    else:
        write("nothing is held")


@held.command(
    epilog=f"""\b
Examples:
  laurels held release dungeon silverhand

{DASH}
"""
)
@board_argument
@name_argument
@server_option
@json_option
def release(*, board: str, name: str, server: str, as_json: bool) -> None:
    """Let the score that is held of NAME on BOARD count, as of its time."""
    call_service(server, lambda client: client.decide(board, name, "release"))
    _tell(Decided(board, name, released=True), as_json=as_json)


@held.command(
    epilog=f"""\b
Examples:
  laurels held reject dungeon silverhand

{DASH}
"""
)
@board_argument
@name_argument
@server_option
@json_option
def reject(*, board: str, name: str, server: str, as_json: bool) -> None:
    """Forget the score that is held of NAME on BOARD."""
    call_service(server, lambda client: client.decide(board, name, "reject"))
    _tell(Decided(board, name, released=False), as_json=as_json)


def _tell(decided: Decided, *, as_json: bool) -> None:
    if as_json:
        write_json(decided)
    else:
        write(f"the score of {decided.name} on {decided.board} is {'released' if decided.released else 'rejected'}")
