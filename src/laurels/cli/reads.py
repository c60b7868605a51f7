"""The commands that ask who stands where: around a name, of names, between scores, and a board in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

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
    DEFAULT_SUMMARY_BUCKETS,
    NAMES_ASKED,
    PAGE_ENTRIES,
    PERCENTILES_ASKED,
    SPAN_ENTRIES,
    SUMMARY_BUCKETS,
)
from laurels.stores.contract import PERCENTILES

if TYPE_CHECKING:
    from laurels.cli.client import Where
    from laurels.stores.contract import Score, Summary

BAR = 40
"""How long the longest bar of a histogram is, in columns."""


@click.command(
    epilog="""\b
Examples:
  laurels around mario-kart silverhand
  laurels around mario-kart silverhand --span 2 --window daily
  laurels around mario-kart silverhand --limit 10
"""
)
@board_argument
@name_argument
@click.option(
    "--span",
    type=click.IntRange(0, SPAN_ENTRIES),
    metavar="N",
    help=f"How many entries to show on either side, {SPAN_ENTRIES:,} at most; {DEFAULT_SPAN_ENTRIES} by default.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, PAGE_ENTRIES),
    metavar="N",
    help="How many entries to show in all instead, with NAME as near to the middle as the ends of the board allow.",
)
@period_options
@server_option
@json_option
def around(  # noqa: PLR0913 - the options of the command
    *, board: str, name: str, span: int | None, limit: int | None, server: str, as_json: bool, **when: Unpack[Where]
) -> None:
    """Show NAME on BOARD, and the entries above and below it. If it is not there the exit status is 1."""
    if span is not None and limit is not None:
        raise click.UsageError("--span is how many on either side, --limit how many in all: give one.")
    entries = call_service(server, lambda client: client.around(board, name, span=span, limit=limit, **when))
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
def names(*, board: str, names: tuple[str, ...], server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """Show some NAMES on BOARD, by rank. If one is not there the exit status is 1."""
    found = call_service(server, lambda client: client.names(board, names, **when))
    if as_json or found.entries:
        show_page(found, "", as_json=as_json, missing=found.missing)
    if found.missing:
        end_without(*(f"not on the board: {name}" for name in found.missing))


@click.command(
    epilog="""\b
Examples:
  laurels between mario-kart --min 1000
  laurels between mario-kart --min 1000 --max 1999 --limit 100
"""
)
@board_argument
@click.option("--min", "low", metavar="SCORE", callback=check_score, help="The least score, itself included.")
@click.option("--max", "high", metavar="SCORE", callback=check_score, help="The greatest score, itself included.")
@count_option("--limit")
@period_options
@server_option
@json_option
def between(  # noqa: PLR0913 - the options of the command
    *, board: str, low: Score | None, high: Score | None, limit: int, server: str, as_json: bool, **when: Unpack[Where]
) -> None:
    """Show the entries of BOARD between two scores."""
    if low is high is None:
        raise click.UsageError("There is no score to look between: say --min, --max, or both.")
    entries = call_service(server, lambda client: client.between(board, low, high, limit=limit, **when))
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
def rank_of(*, board: str, score: Score, server: str, as_json: bool, **when: Unpack[Where]) -> None:
    """Show the rank that SCORE would have on BOARD."""
    found = call_service(server, lambda client: client.rank_of(board, score, **when))
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
  laurels summary mario-kart --percentiles 25,50,99.9 --buckets 20
"""
)
@board_argument
@click.option(
    "--percentiles",
    metavar="P,P,...",
    help=f"Which percentiles to show, from 0 to 100, at most {PERCENTILES_ASKED}; {','.join(PERCENTILES)} by default.",
)
@click.option(
    "--buckets",
    type=click.IntRange(1, SUMMARY_BUCKETS),
    metavar="N",
    help=f"How many buckets to count the entries in, {SUMMARY_BUCKETS} at most; {DEFAULT_SUMMARY_BUCKETS} by default.",
)
@period_options
@server_option
@json_option
def summary(
    *, board: str, percentiles: str | None, buckets: int | None, server: str, as_json: bool, **when: Unpack[Where]
) -> None:
    """Show BOARD in a few figures, and how its scores are spread.

    Percentiles count from the worst entry, whatever the order: the 99th is near the best.
    """
    asked = None if percentiles is None else percentiles.split(",")
    found = call_service(server, lambda client: client.summary(board, percentiles=asked, buckets=buckets, **when))
    if as_json:
        write_json(found)
    elif not found.count:
        write("no entries on the board")
    else:
        _show_summary(found)


def _show_summary(found: Summary) -> None:
    percentiles = sorted(found.percentiles.items(), key=lambda item: float(item[0]), reverse=True)
    figures = {"entries": f"{found.count:,}", "best": found.best}
    figures |= {f"percentile {percent}": score for percent, score in percentiles} | {"worst": found.worst}
    width = max(15, 2 + max(map(len, figures)))
    write(*(f"{title:<{width}}{figure}" for title, figure in figures.items()), "")
    most = max((bucket.count for bucket in found.histogram), default=0) or 1
    rows = [
        (str(bucket.low), str(bucket.high), f"{bucket.count:,}", draw_bar(bucket.count / most, BAR))
        for bucket in found.histogram
    ]
    write_table(("from", "to", "entries", ""), rows, numbers={"from", "to", "entries"})
