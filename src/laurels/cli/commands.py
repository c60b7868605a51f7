"""The commands that ask a running service."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from stat import S_ISREG
from typing import IO, TYPE_CHECKING, TypeVar

import click
import httpx

from laurels.cli import rows, tables, transfer
from laurels.cli.client import Client, Period
from laurels.http.wire import Receipt
from laurels.limits import LARGEST_NUMBER, PAGE_ENTRIES

if TYPE_CHECKING:
    import io
    from collections.abc import Awaitable, Callable

    from laurels.stores.contract import Score, Standing

STDIO = Path("-")
FURTHEST_RANK = LARGEST_NUMBER - PAGE_ENTRIES
DASH = "A name that begins with a dash goes after --, as in: laurels standing mario-kart -- -v-"

T = TypeVar("T")


def _score(_ctx: click.Context, _param: click.Parameter, value: str) -> Score:
    try:
        return rows.number(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL as error:
        raise click.BadParameter(f"{value!r} is not a URL: {error}.") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise click.BadParameter(f"{value!r} is not a URL of http or https, such as http://127.0.0.1:8000.")
    return value


server_option = click.option(
    "--server",
    metavar="URL",
    callback=_url,
    default="http://127.0.0.1:8000",
    envvar="LAURELS_SERVER",
    show_default=True,
    show_envvar=True,
    help="The service to ask.",
)
board_argument = click.argument("board", help="A board's name.")
name_argument = click.argument("name", help="The name of who has the score.")
window_option = click.option(
    "--window", metavar="WINDOW", help="Of this window of the board: daily, weekly, monthly, or its cron line."
)
period_option = click.option(
    "--period", metavar="PERIOD", help="Of this period of the window, such as 2026-11-22; by default the current one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object on stdout.")
format_option = click.option(
    "--format",
    "kind",
    type=click.Choice(["tsv", "csv", "jsonl"]),
    help="Format of the file; by default as its name ends, TSV for stdin and stdout.",
)


def asked(server: str, question: Callable[[Client], Awaitable[T]]) -> T:
    """Connect to a service, and give the answer to one question."""

    async def ask() -> T:
        async with Client(server) as client:
            return await question(client)

    return asyncio.run(ask())


@click.command(context_settings={"ignore_unknown_options": True}, epilog=DASH)
@board_argument
@name_argument
@click.argument("score", callback=_score, help="A finite number. One that would lose a digit is refused.")
@server_option
@json_option
def submit(*, board: str, name: str, score: Score, server: str, as_json: bool) -> None:
    """Submit SCORE for NAME on BOARD.

    It takes the place of NAME's score, or counts as BOARD's operator says (laurels boards show BOARD).
    Shows where NAME stands, and where it stood before if the service's store can tell.
    """

    async def ask(client: Client) -> Receipt | Standing | None:
        return await client.submit(board, name, score) or await client.standing(board, name)

    found = asked(server, ask)
    if isinstance(found, Receipt):
        tables.show_receipt(found, as_json=as_json)
    else:
        tables.show_standing(found, as_json=as_json)


@click.command(epilog=DASH)
@board_argument
@name_argument
@window_option
@period_option
@server_option
@json_option
def standing(*, board: str, name: str, server: str, as_json: bool, **when: str | None) -> None:
    """Show score and rank of NAME on BOARD."""
    found = asked(server, lambda client: client.standing(board, name, Period(**when)))
    tables.show_standing(found, as_json=as_json)


@click.command()
@board_argument
@click.option(
    "--start",
    type=click.IntRange(0, FURTHEST_RANK),
    metavar="RANK",
    default=0,
    show_default=True,
    help="The rank to begin at.",
)
@click.option(
    "--count",
    type=click.IntRange(1, PAGE_ENTRIES),
    metavar="N",
    default=20,
    show_default=True,
    help=f"How many entries to show, {PAGE_ENTRIES:,} at most.",
)
@window_option
@period_option
@server_option
@json_option
def top(*, board: str, start: int, count: int, server: str, as_json: bool, **when: str | None) -> None:
    """Show who stands first on BOARD, with ranks from 0."""
    entries = asked(server, lambda client: client.ranked(board, start, start + count, Period(**when)))
    tables.show_page(start, entries, as_json=as_json)


@click.command("import")
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The file to read; - is stdin.",
)
@click.option("--board", metavar="NAME", required=True, help="The board to put the scores on.")
@format_option
@server_option
@json_option
def import_(*, file: Path, board: str, kind: rows.Format | None, server: str, as_json: bool) -> None:
    """Put every row of FILE on a board.

    FILE is TSV, CSV or JSON Lines ({"name": ..., "score": ...}), plain or gzipped. TSV and CSV have a name and a
    score in each row, or a header that tells which columns these are. TSV has no quoting: a name there cannot have a
    tab or a line break. Of two rows with one name the later counts, or what BOARD's operator says.

    A row that is not good is told on stderr with its line and the reason, and the others are kept; the exit status
    then is 1. Where the service fails it is 3, and how far the import came is told. Running it again is safe, unless
    the board adds scores (operator increment).
    """
    kind = kind or _kind(file)
    with source_of(file) as source:
        report = asyncio.run(_import(source, board, kind, server, as_json=as_json))
    if report.refused:
        click.get_current_context().exit(1)


def source_of(file: Path) -> AbstractContextManager[io.BufferedReader]:
    """Open what is imported; stdin is never closed, for that would wait for a thread that reads it."""
    if file == STDIO:
        return nullcontext(os.fdopen(0, "rb", closefd=False))
    return file.open("rb")


async def _import(
    source: io.BufferedReader, board: str, kind: rows.Format, server: str, *, as_json: bool
) -> tables.ImportReport:
    status = os.fstat(source.fileno())
    known = S_ISREG(status.st_mode)
    batches = transfer.batches(rows.read(source, kind), source.tell if known else lambda: 0)
    with tables.ImportReport(board, status.st_size if known else None, as_json=as_json) as report:
        async with Client(server) as client:
            async for sent in transfer.send(client, board, batches):
                report.add(sent)
    return report


@click.command("export")
@board_argument
@click.argument(
    "file",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    default=STDIO,
    help="The file to write; - is stdout.",
)
@format_option
@server_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
def export(*, board: str, file: Path, kind: rows.Format | None, server: str, as_json: bool) -> None:
    """Write all entries of BOARD to FILE or stdout, best first.

    FILE is TSV, CSV or JSON Lines by its ending, gzipped where its name ends in .gz, and takes its place once it is
    complete. The board is read in pages: an entry whose score changes meanwhile may be left out or stand twice.
    """
    if as_json and kind not in {None, "jsonl"}:
        raise click.UsageError(f"--json and --format {kind} contradict each other.")
    kind = "jsonl" if as_json else kind or _kind(file)
    with _target(file) as out, tables.Watch(board, None, quiet=file == STDIO) as watch:
        asyncio.run(_export(board, kind, server, out, watch))
    if file != STDIO:
        watch.line(watch.summary(f"{watch.rows:,} entries written to {file}"))


def _target(file: Path) -> AbstractContextManager[IO[bytes]]:
    if file == STDIO:
        return nullcontext(sys.stdout.buffer)
    return rows.created(file)


async def _export(board: str, kind: rows.Format, server: str, out: IO[bytes], watch: tables.Watch) -> None:
    out.write(rows.HEADERS[kind])
    async with Client(server) as client:
        async for page in transfer.pages(client, board):
            out.write(rows.written(page, kind))
            watch.move(len(page))


def _kind(file: Path) -> rows.Format:
    """Tell a file's format by its name; raise UsageError where that says nothing."""
    kind = "tsv" if file == STDIO else rows.format_of(file)
    if kind is None:
        raise click.UsageError(f"The name of {file} does not tell its format: say --format tsv, csv or jsonl.")
    return kind
