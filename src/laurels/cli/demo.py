"""The command that shows what a service looks like with players on it."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from laurels.assembly import serve
from laurels.cli.options import port_option
from laurels.cli.printing import write
from laurels.crowd import BOARDS, CREWS, LAPS, POINTS, SEASON_DAYS, Crowd
from laurels.settings import Settings

MOST_PLAYERS = 100_000
MOST_GAMES = 200.0


@click.command(
    epilog="""\b
Examples:
  laurels demo
  laurels demo --players 20000 --games 50 --port 9000
"""
)
@port_option("Port to listen on, on this machine alone; 0 takes a free one.")
@click.option(
    "--players",
    type=click.IntRange(1, MOST_PLAYERS),
    metavar="N",
    default=2000,
    show_default=True,
    help="How many players there are.",
)
@click.option(
    "--games",
    type=click.FloatRange(0, MOST_GAMES, min_open=True),
    metavar="N",
    default=5.0,
    show_default=True,
    help="How many games end in a second.",
)
@click.option("--seed", type=int, metavar="N", default=1, show_default=True, help="Another one makes other players.")
def demo(*, port: int, players: int, games: float, seed: int) -> None:
    """Run a service with made-up players on it, until it is stopped.

    They have played a season already, and go on. All of it is in a scratch directory, which is removed at the end.
    """
    with TemporaryDirectory(prefix="laurels-demo-") as scratch:
        boards = Path(scratch, "boards.toml")
        boards.write_text(BOARDS)
        crowd = Crowd(players, seed)
        write(
            f"{players:,} made-up players play a season of {SEASON_DAYS} days, and then go on, "
            f"on the boards {POINTS}, {LAPS} and {CREWS}.",
            err=True,
        )
        settings = Settings(port=port, data=Path(scratch, "data"), boards=boards)
        serve(settings, partial(crowd.playing, now=time.time(), rate=games), POINTS)
