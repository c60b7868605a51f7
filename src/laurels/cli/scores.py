"""The commands for one score and for the first places: what nearly everybody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from laurels.answers import Receipt
from laurels.cli import tables
from laurels.cli.options import (
    DASH,
    board_argument,
    call_service,
    check_score,
    count_option,
    json_option,
    name_argument,
    period_options,
    server_option,
)
from laurels.definition import OPERATORS
from laurels.limits import LARGEST_NUMBER, PAGE_ENTRIES

if TYPE_CHECKING:
    from laurels.answers import Standing
    from laurels.cli.client import CommandClient, Where
    from laurels.definition import Operator
    from laurels.stores.contract import Score

FURTHEST_RANK = LARGEST_NUMBER - PAGE_ENTRIES


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=f"""\b
Examples:
  laurels submit mario-kart silverhand 2077
  laurels submit mario-kart silverhand 1500 --operator latest

{DASH}
""",
)
@board_argument
@name_argument
@click.argument("score", callback=check_score, help="A finite number. A number that would lose a digit is refused.")
@click.option(
    "--operator",
    type=click.Choice(list(OPERATORS)),
    help="Let this score count by another operator than BOARD's, past its guard, as a correction: for moderators.",
)
@server_option
@json_option
def submit(  # noqa: PLR0913 - the options of the command
    *, board: str, name: str, score: Score, operator: Operator | None, server: str, as_json: bool
) -> None:
    """Submit SCORE for NAME on BOARD.

    The score replaces the one that NAME has, or counts as BOARD's operator says (laurels boards show BOARD).
    Shows the new score and rank of NAME, and the ones before if the service's store keeps them.
    """

    async def submit_and_read(client: CommandClient) -> Receipt | Standing | None:
        return await client.submit_with_receipt(board, name, score, operator=operator) or await client.standing(
            board, name
        )

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
  laurels standing mario-kart silverhand --full

{DASH}
"""
)
@board_argument
@name_argument
@click.option(
    "--full",
    is_flag=True,
    help="Show its place, how many entries there are, its percentile, its metadata, when it was submitted, and where "
    "it stands in the board's windows, as far as the service's store can tell.",
)
@period_options
@server_option
@json_option
def standing(*, board: str, name: str, full: bool, server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """Show the score and the rank of NAME on BOARD. If it is not there the exit status is 1."""
    if full:
        all_there_is = call_service(server, lambda client: client.standing_in_full(board, name, **when))
        tables.show_full_standing(all_there_is, as_json=as_json)
        return
    found = call_service(server, lambda client: client.standing(board, name, **when))
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
@count_option("--count")
@period_options
@server_option
@json_option
def top(*, board: str, start: int, count: int, server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """Show the first entries of BOARD, with ranks from 0."""
    page = call_service(server, lambda client: client.page(board, start, start + count, **when))
    none = f"no entries from rank {start} on" if start else "no entries on the board"
    tables.show_page(page, none, as_json=as_json)
