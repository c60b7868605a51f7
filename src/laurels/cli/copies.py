"""The commands that copy whole boards: a file onto a board, and a board into a file."""

from __future__ import annotations

import asyncio
import codecs
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from stat import S_ISREG
from typing import IO, TYPE_CHECKING, Any

import click

from laurels.cli import tables
from laurels.cli.adoption import check_kind, import_from_redis, redis_options, take_credential
from laurels.cli.client import PATIENT, Period
from laurels.cli.dialects import Format, Wanted
from laurels.cli.options import (
    STDIO,
    board_argument,
    json_option,
    key_file_option,
    open_client,
    open_source,
    period_options,
    server_option,
    service_option,
)
from laurels.cli.pages import Copy
from laurels.cli.printing import open_stdout
from laurels.cli.rows import Reading, Taken, create_file, encode_rows, format_of, make_header
from laurels.cli.transfer import Sender, Start, make_batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.cli.transfer import Batch

FORMATS = click.Choice(["tsv", "csv", "jsonl"])


def _separator(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    separator = {"tab": "\t", "\\t": "\t"}.get(value or "", value)
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise click.BadParameter(f"{value!r} is not one character, such as ; or tab.")
    return separator


def _encoding(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            "".encode(value)
            codecs.getincrementaldecoder(value)("replace").decode(b"")
            return codecs.lookup(value).name
    except (LookupError, UnicodeError):
        raise click.BadParameter(f"{value!r} is no encoding, such as windows-1252.") from None
    return None


def _start(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Start:
    try:
        return Start.parse(value) if value else Start.anew()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not what an import that stopped said.") from None


scores_only_option = click.option("--scores-only", is_flag=True, help="Names and scores alone: no times, no metadata.")


@click.command("import")
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    required=False,
    help="The file to read; - is stdin.",
)
@click.option(
    "--board",
    metavar="NAME",
    help="The board to put the scores on. With --from-redis each * in it is what a * of the keys matches; without it, "
    "that is the name.",
)
@redis_options
@click.option(
    "--format",
    "kind",
    type=FORMATS,
    help="Format of the file; by default the one its name ends in, and of stdin the one it looks like.",
)
@click.option("--name-column", metavar="COLUMN", help="The column of the names, by title or by number, from 1.")
@click.option("--score-column", metavar="COLUMN", help="The column of the scores, by title or by number, from 1.")
@click.option(
    "--separator", metavar="CHARACTER", callback=_separator, help="What stands between columns, such as ; or tab."
)
@click.option("--decimal", type=click.Choice([".", ","]), help="What begins a fraction; the other groups thousands.")
@click.option("--encoding", metavar="NAME", callback=_encoding, help="Encoding of the file, such as windows-1252.")
@click.option("--safe-csv", is_flag=True, help="The file was exported with --safe-csv: take the apostrophes off again.")
@click.option("--keep-times", is_flag=True, help="Count each row as of its submittedAt, in the periods of then.")
@click.option("--submitted-at", metavar="TIME", help="Count all rows as of this time, such as 2026-11-20T10:00:00Z.")
@scores_only_option
@click.option(
    "--continue", "start", metavar="PLACE", callback=_start, help="Go on with an import that stopped where it said."
)
@service_option
@key_file_option
@json_option
def import_(*, file: Path | None, board: str | None, start: Start, server: str, as_json: bool, **options: Any) -> None:
    """Submit every row of FILE to a board.

    FILE is TSV, CSV or JSON Lines ({"name": ..., "score": ...}), plain or gzipped. TSV and CSV have a name and a score
    in each row, or titles that say which columns these are; in CSV commas, semicolons, tabs or bars may stand between
    columns. TSV has no quoting: a name there cannot have a tab or a line break. Columns or fields of the name metadata
    (JSON) are kept with the score, and others are not taken, which is said at the end. If hidden is true, the name is
    hidden before its score is submitted; it needs no score then. A file that can be read in more than one way is
    refused, with the options that say how to read it.

    If two rows have one name the later counts, or what the board's operator says. A row that is refused is reported on
    stderr with its line and the reason, the others are kept, and the exit status is 1. If the service fails the exit
    status is 3, and the last line says with which option to go on.

    With --from-redis URL --key 'leaderboard:*' there is no FILE: the sorted sets of a server of Redis or Valkey become
    boards, leaderboard:kart the board kart. Each member gets exactly its score, whatever the board's operator says, as
    of now, and no window is fed. Nothing is written to that server, and its writers may go on: run it again for what
    has changed since. Only with --delete what is no member any more is removed.
    """
    check_kind(from_redis=bool(options["from_redis"]))
    if options["from_redis"]:
        import_from_redis(server, board, options, as_json=as_json)
        return
    take_credential(options["key"])
    if file is None or board is None:
        raise click.UsageError("Name a FILE and a --board, or --from-redis URL and --key PATTERN.")
    taken = Taken(
        metadata=not options["scores_only"],
        times=options["keep_times"] and not options["scores_only"],
        submitted_at=options["submitted_at"],
        guarded=options["safe_csv"],
    )
    if taken.times and taken.submitted_at:
        raise click.UsageError("--keep-times and --submitted-at contradict each other.")
    kind = options["kind"] or (None if file == STDIO else _find_format(file))
    given = {key: options[key] for key in Wanted.__struct_fields__ if key != "kind"}
    with open_source(file) as source:
        reading = Reading(source, Wanted(kind, **given), taken)
        status = os.fstat(source.fileno())
        total = status.st_size if S_ISREG(status.st_mode) else None
        batches = make_batches(reading, (lambda: 0) if total is None else source.tell, start.line)
        report = tables.ImportReport(board, total, start, reading.not_taken, as_json=as_json)
        asyncio.run(_send(server, batches, report))
    if report.refused:
        click.get_current_context().exit(1)


async def _send(server: str, batches: Iterator[Batch], report: tables.ImportReport) -> None:
    with report:
        async with open_client(server, PATIENT) as client:
            sender = Sender(client, report.board, report.start.run)
            async for sent in sender.send(batches):
                report.add(sent)
                report.has_keys = sender.has_keys


@click.command("export")
@board_argument
@click.argument(
    "file",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    default=STDIO,
    help="The file to write; - is stdout.",
)
@click.option("--format", "kind", type=FORMATS, help="Format of the file; by default by its name, TSV for stdout.")
@period_options
@scores_only_option
@click.option(
    "--safe-csv", is_flag=True, help="Put an apostrophe before names that a spreadsheet would take for formulas."
)
@server_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
def export(*, board: str, file: Path, server: str, **options: Any) -> None:
    """Write all entries of BOARD to FILE or stdout, best first.

    FILE is TSV, CSV or JSON Lines by its ending, and gzipped if its name ends in .gz. It replaces an older FILE only
    when it is complete. Each entry has its name, its score, the time of its submission and its metadata: imported with
    --keep-times under the same definition, the file makes the same board. Names that are hidden come first, and are
    hidden again when they are imported; who may not see them gets a file without them.

    The board is read in pages. An entry that stays as it is meanwhile is in the file once, whatever else is submitted
    or removed; one whose score changes may be missing, or come twice. A service whose store cannot go on after an entry
    (Momento) cannot promise that, which is said on stderr.
    """
    if options["as_json"] and options["kind"] not in {None, "jsonl"}:
        raise click.UsageError(f"--json and --format {options['kind']} contradict each other.")
    chosen: Format | None = "jsonl" if options["as_json"] else options["kind"]
    kind = chosen or ("tsv" if file == STDIO else _find_format(file))
    when = Period(options["window"], options["period"])
    scores_only, guarded = options["scores_only"], options["safe_csv"]
    with _open_target(file) as out, tables.ProgressLine(board, None, quiet=file == STDIO) as progress:

        async def write_pages() -> Copy:
            async with open_client(server, PATIENT) as client:
                copy = Copy(client, board, when, scores_only=scores_only)
                has_header = False
                async for page in copy.pages():
                    details, hidden = copy.has_details, copy.has_hidden
                    if not has_header:
                        out.write(make_header(kind, details=details, hidden=hidden))
                        has_header = True
                    out.write(encode_rows(page, kind, details=details, guarded=guarded, hidden=hidden))
                    progress.move(len(page))
                return copy

        copy = asyncio.run(write_pages())
    for line in _list_shortcomings(copy, scores_only=scores_only):
        progress.write_line(line)
    if file != STDIO:
        progress.write_line(progress.summary(f"{progress.rows:,} entries written to {file}"))
    if copy.damaged:
        click.get_current_context().exit(1)


def _list_shortcomings(copy: Copy, *, scores_only: bool) -> Iterator[str]:
    """Yield in what the file is no copy of the board."""
    if not copy.has_cursors:
        yield (
            "The service's store cannot go on after an entry: if scores were submitted or removed during the export, "
            "entries may be missing, or there twice."
        )
    if not copy.may_see_hidden:
        yield "Hidden names are left out, if there are any: to list them takes the right to moderate."
    if not (copy.has_details or scores_only):
        yield "It keeps neither times nor metadata."
    if copy.damaged:
        yield f"The metadata of {copy.damaged:,} entries is damaged in the service's files, and left out."


def _open_target(file: Path) -> AbstractContextManager[IO[bytes]]:
    if file == STDIO:
        return nullcontext(open_stdout())
    return create_file(file)


def _find_format(file: Path) -> Format:
    """Return a file's format by its name; raise UsageError if it has no known ending."""
    kind = format_of(file)
    if kind is None:
        raise click.UsageError(f"The name of {file} does not tell its format: say --format tsv, csv or jsonl.")
    return kind
