"""The commands of held scores: to list them, and to decide about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec import Raw, Struct

from laurels.cli.client import format_instant
from laurels.cli.options import DASH, board_argument, call_service, json_option, name_argument, server_option
from laurels.cli.printing import write, write_json, write_table
from laurels.stores.contract import Score  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from laurels.answers import HeldEntry
    from laurels.cli.client import CommandClient


class HeldRow(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A held score in the list as JSON."""

    score: Score
    submitted_at: str
    name: str
    metadata: Raw
    metadata_damaged: bool = False


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

    async def read(client: CommandClient) -> list[HeldEntry]:
        return [each async for each in client.held(board)]

    found = call_service(server, read)
    if as_json:
        write_json([_make_row(each) for each in found])
    elif found:
        rows = [(each.name, str(each.score), format_instant(each.submitted_at)) for each in found]
        write_table(("name", "score", "submitted at"), rows, numbers={"score"})
    else:
        write("nothing is held")


def _make_row(held: HeldEntry) -> HeldRow:
    time = format_instant(held.submitted_at)
    return HeldRow(held.score, time, held.name, held.metadata_json, held.metadata_damaged)


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
    call_service(server, lambda client: client.release(board, name))
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
    call_service(server, lambda client: client.reject(board, name))
    _tell(Decided(board, name, released=False), as_json=as_json)


def _tell(decided: Decided, *, as_json: bool) -> None:
    if as_json:
        write_json(decided)
    else:
        write(f"the score of {decided.name} on {decided.board} is {'released' if decided.released else 'rejected'}")
