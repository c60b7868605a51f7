"""The commands that ask who stands where: around a name, of names, between scores, and a board in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from laurels.cli.client import Period
from laurels.cli.options import (
    board_argument,
    call_service,
    check_score,
    count_option,
    json_option,
    name_argument,
    period_options,
    server_option,
)
from laurels.cli.printing import draw_bar, write, write_json, write_table
from laurels.cli.tables import end_without, show_page
from laurels.limits import (
    DEFAULT_SPAN_ENTRIES,
    NAMES_ASKED,
    SPAN_ENTRIES,
)

if TYPE_CHECKING:
    from laurels.stores.contract import Score, Summary

BAR = 40
"""How long the longest bar of a histogram is, in columns."""


@click.command(
    epilog="""\b
Examples:
  laurels around mario-kart silverhand
  laurels around mario-kart silverhand --span 2 --window daily
"""
)
@board_argument
@name_argument
@click.option(
    "--span",
    type=click.IntRange(0, SPAN_ENTRIES),
    metavar="N",
    default=DEFAULT_SPAN_ENTRIES,
    show_default=True,
    help=f"How many entries to show on either side, {SPAN_ENTRIES:,} at most.",
)
@period_options
@server_option
@json_option
def around(*, board: str, name: str, span: int, server: str, as_json: bool, **when: str | None) -> None:
    """Show NAME on BOARD, and the entries above and below it. If it is not there the exit status is 1."""
    entries = call_service(server, lambda client: client.around(board, name, span, Period(**when)))
    show_page(entries, "no entries on the board", as_json=as_json, marked=name)


@click.command(
    epilog="""\b
Examples:
  laurels names mario-kart v silverhand judy
"""
)
@board_argument
@click.argument("names", nargs=-1, required=True, help=f"Players' names, {NAMES_ASKED} at most.")
@period_options
@server_option
@json_option
def names(*, board: str, names: tuple[str, ...], server: str, as_json: bool, **when: str | None) -> None:
    """Show some NAMES on BOARD, by rank. If one is not there the exit status is 1."""
    found = call_service(server, lambda client: client.names(board, names, Period(**when)))
    missing = found.missing or []
    if as_json:
        write_json(found)
    elif found.leaderboard:
        show_page(found.leaderboard, "", as_json=False)
    if missing:
        end_without(*(f"not on the board: {name}" for name in missing))


@click.command(
    epilog="""\b
Examples:
  laurels between mario-kart --min 1000
  laurels between mario-kart --min 1000 --max 1999 --limit 100
"""
)
@board_argument
@click.option("--min", "minScore", metavar="SCORE", callback=check_score, help="The least score, itself included.")
@click.option("--max", "maxScore", metavar="SCORE", callback=check_score, help="The greatest score, itself included.")
@count_option("--limit")
@period_options
@server_option
@json_option
def between(
    *, board: str, server: str, as_json: bool, window: str | None, period: str | None, **bounds: Score | None
) -> None:
    """Show the entries of BOARD between two scores."""
    if bounds["minScore"] is bounds["maxScore"] is None:
        raise click.UsageError("There is no score to look between: say --min, --max, or both.")
    entries = call_service(server, lambda client: client.between(board, Period(window, period), **bounds))
    show_page(entries, "no entries between these scores", as_json=as_json)


@click.command(
    "rank-of",
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  laurels rank-of mario-kart 1800
""",
)
@board_argument
@click.argument("score", callback=check_score, help="A finite number; it does not have to be on the board.")
@period_options
@server_option
@json_option
def rank_of(*, board: str, score: Score, server: str, as_json: bool, **when: str | None) -> None:
    """Show the rank that SCORE would have on BOARD."""
    found = call_service(server, lambda client: client.rank_of(board, score, Period(**when)))
    if as_json:
        write_json(found)
    elif found.percentile is None:
        write(f"rank {found.rank}: no entries on the board")
    else:
        write(f"rank {found.rank}: {found.percentile:.4g} % of the entries are no better")


@click.command(
    epilog="""\b
Examples:
  laurels summary mario-kart
  laurels summary mario-kart --window weekly --period 2026-W47
"""
)
@board_argument
@period_options
@server_option
@json_option
def summary(*, board: str, server: str, as_json: bool, **when: str | None) -> None:
    """Show BOARD in a few figures, and how its scores are spread.

    Percentiles count from the worst entry, whatever the order: the 99th is near the best.
    """
    found = call_service(server, lambda client: client.summary(board, Period(**when)))
    if as_json:
        write_json(found)
    elif not found.count:
        write("no entries on the board")
    else:
        _show_summary(found)


def _show_summary(found: Summary) -> None:
    percentiles = sorted(found.percentiles.items(), reverse=True)
    figures = {"entries": f"{found.count:,}", "best": found.best}
    figures |= {f"percentile {percent}": score for percent, score in percentiles} | {"worst": found.worst}
    write(*(f"{title:<15}{figure}" for title, figure in figures.items()), "")
    most = max((bucket.count for bucket in found.histogram), default=0) or 1
    rows = [
        (str(bucket.low), str(bucket.high), f"{bucket.count:,}", draw_bar(bucket.count / most, BAR))
        for bucket in found.histogram
    ]
    write_table(("from", "to", "entries", ""), rows, numbers={"from", "to", "entries"})
