"""The command that runs the service."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from laurels.assembly import Settings
from laurels.assembly import serve as run

if TYPE_CHECKING:
    from laurels.stores.contract import Order

EPILOG = """\b
Examples:
  laurels serve
  laurels serve --host 0.0.0.0 --port 80 --data /var/lib/laurels
  LAURELS_PORT=9000 laurels serve --order ascending
"""


@click.command(epilog=EPILOG)
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="LAURELS_HOST",
    show_default=True,
    show_envvar=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=8000,
    envvar="LAURELS_PORT",
    show_default=True,
    show_envvar=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("laurels-data"),
    envvar="LAURELS_DATA",
    show_default=True,
    show_envvar=True,
    help="Directory that keeps the boards; made where there is none.",
)
@click.option(
    "--order",
    type=click.Choice(["descending", "ascending"]),
    default="descending",
    envvar="LAURELS_ORDER",
    show_default=True,
    show_envvar=True,
    help="Which scores stand first: the highest, or the lowest (lap times).",
)
def serve(*, host: str, port: int, data: Path, order: Order) -> None:
    """Run the service until it is told to stop.

    An acknowledged score is on disk. One process owns a data directory. Ctrl-C or SIGTERM stops the service after it
    has finished what is under way.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run(Settings(host=host, port=port, data=data, order=order))
