"""Output of the commands: lines and tables for people, JSON for programs, and the progress of a transfer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, Self

import click
from msgspec import UNSET, Struct, UnsetType, field
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from laurels.cli.client import format_instant
from laurels.cli.dialects import TIME
from laurels.cli.errors import BadFile
from laurels.cli.printing import make_console, write, write_json, write_on, write_table
from laurels.cli.transfer import Start
from laurels.http.wire import StandingInFull, StandingInWindow, StandingOfName
from laurels.stores.contract import Count, Score  # noqa: TC001 - msgspec reads the annotations
from laurels.visible import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from laurels import answers
    from laurels.answers import Entry, Receipt, Standing
    from laurels.cli.rows import BadRow
    from laurels.cli.transfer import Sent

SHOWN_REFUSALS = 20


class RankedEntry(Struct, frozen=True):
    """An entry of a page as JSON."""

    rank: Count
    name: str
    score: Score


class RankedPage(Struct, frozen=True):
    """Entries with their ranks; ``missing`` are the names that were asked for and are not on the board."""

    leaderboard: list[RankedEntry]
    missing: Sequence[str] | UnsetType = UNSET


class ImportResult(Struct, frozen=True):
    """The result of an import; ``not_taken`` counts the rows that have a field which was not taken, by field.

    ``problem`` is why it stopped before the file's end, if it did, and ``go_on`` with which place to go on then.
    """

    accepted: int
    refused: list[BadRow]
    problem: str | None
    not_taken: dict[str, int]
    go_on: str | None = field(name="continue")


def show_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """Show the standing after a submit, and the one before."""
    if as_json:
        write_json(receipt)
        return
    if receipt.held:
        stays = f"; until then {format_standing(receipt.previous)}" if receipt.previous else ""
        write(f"the score is held until a moderator decides{stays}")
        return
    before = f" (before: {format_standing(receipt.previous)})" if receipt.previous else ""
    write(f"{_format_place(receipt.score, receipt.rank)}{before}")


def show_standing(standing: Standing | None, *, as_json: bool) -> None:
    """Show a standing, or that there is none: then the exit status is 1."""
    if as_json:
        write_json(standing or StandingOfName())
    elif standing:
        write(format_standing(standing))
    if standing is None:
        end_without("nobody of that name on the board")


def show_full_standing(found: answers.StandingInFull, *, as_json: bool) -> None:
    """Show all there is to say of a standing, or that there is none: then the exit status is 1."""
    if as_json:
        write_json(_make_full(found))
    elif found.is_there:
        rows = {"place": "none" if found.place is None else f"{found.place} of {found.total:,}"}
        if isinstance(found.percentile, float):
            rows["percentile"] = f"{found.percentile:.4g}"
        rows |= {"submitted": format_instant(found.submitted_at)} if found.submitted_at else {}
        if found.metadata_damaged:
            rows["metadata"] = "damaged"
        elif found.metadata is not None:
            rows["metadata"] = bytes(found.metadata_json).decode(errors="replace")
        for window, standing in (found.windows or {}).items():
            rows[window] = _format_place(standing.score, standing.rank) if standing else "none"
        width = 2 + max(map(len, rows))
        write(_format_place(found.score, found.rank), *(f"{title:<{width}}{text}" for title, text in rows.items()))
    if not found.is_there:
        end_without("nobody of that name on the board")


def _make_full(found: answers.StandingInFull) -> StandingInFull:
    """Return a standing as the service tells it, but for what its store cannot tell, which is null."""
    windows: dict[str, StandingInWindow | None] = {
        window: StandingInWindow(standing.score, standing.rank) if standing else None
        for window, standing in (found.windows or {}).items()
    }
    return StandingInFull(
        found.score,
        found.rank,
        found.hidden or UNSET,
        place=found.place,
        total=found.total,
        percentile=found.percentile,
        metadata=found.metadata_json,
        submitted_at=format_instant(found.submitted_at) if found.submitted_at else None,
        windows=UNSET if found.windows is None else windows,
        metadata_damaged=found.metadata_damaged or UNSET,
    )


def end_without(*what: str) -> NoReturn:
    """End the command with exit status 1, because what it was asked for is not there."""
    write(*what, err=True)
    click.get_current_context().exit(1)


def format_standing(standing: Standing) -> str:
    """Return a standing in words."""
    return _format_place(standing.score, standing.rank)


def _format_place(score: Score, rank: int | None) -> str:
    return f"score {score}, {'hidden' if rank is None else f'rank {rank}'}"


def show_page(
    entries: Iterable[Entry],
    none: str,
    *,
    as_json: bool,
    marked: str | None = None,
    missing: Sequence[str] | UnsetType = UNSET,
) -> None:
    """Show entries, or on none of them that there are ``none``; the one of the name ``marked`` stands out."""
    entries = [*entries]
    if as_json:
        write_json(RankedPage([RankedEntry(each.rank, each.name, each.score) for each in entries], missing))
    elif entries:
        rows = [(str(entry.rank), entry.name, str(entry.score)) for entry in entries]
        stands_out = {index for index, entry in enumerate(entries) if entry.name == marked}
        write_table(("rank", "name", "score"), rows, numbers={"rank", "score"}, marked=stands_out)
    else:
        write(none)


class ProgressLine:
    """The progress of a transfer: a live line on stderr, if that is a terminal."""

    def __init__(self, what: str, total: int | None, *, quiet: bool = False) -> None:
        self.console = make_console(err=True)
        self._started = time.monotonic()
        self.rows = 0
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._progress.add_task(escape(what), total=total, rows=0, rate=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def move(self, rows: int, position: int | None = None) -> None:
        """Count more rows; ``position`` is in the unit of the total."""
        self.rows += rows
        self._progress.update(self._task, completed=position, rows=self.rows, rate=self._rate())

    def expect(self, total: int) -> None:
        """Set the total once it is known."""
        self._progress.update(self._task, total=total)

    def summary(self, what: str) -> str:
        """Return ``what`` was done with the time it took and the rate."""
        seconds = time.monotonic() - self._started
        return f"{what}, in {seconds:.1f} s ({self._rate():,.0f} rows/s)"

    def _rate(self) -> float:
        return self.rows / max(time.monotonic() - self._started, 1e-9)

    def write_line(self, text: str) -> None:
        """Write a line on stderr, above the live one."""
        write_on(self.console, text)


class TransferLine:
    """The progress of bytes that go somewhere: a live line on stderr, if that is a terminal."""

    def __init__(self, total: int | None = None, *, quiet: bool = False) -> None:
        console = make_console(err=True)
        self._progress = Progress(
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def move(self, size: int) -> None:
        """Count more bytes."""
        self._progress.update(self._task, advance=size)


class ImportReport:
    """The report of an import: refused rows as they come, and a line, or one JSON object, at the end."""

    def __init__(
        self, board: str, total: int | None, start: Start, not_taken: dict[str, int], *, as_json: bool
    ) -> None:
        self.board = board
        self.start = start
        self._not_taken = not_taken
        self._as_json = as_json
        self._progress_line = ProgressLine(board, total, quiet=as_json)
        self._listed: list[BadRow] = []
        self._line = start.line - 1
        self.accepted = 0
        self.refused = 0
        self.has_keys: bool | None = None

    def __enter__(self) -> Self:
        self._progress_line.__enter__()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._progress_line.__exit__()
        if self._as_json:
            problem = (str(error) or "interrupted") if error else None
            go_on = str(self._go_on) if error else None
            write_json(ImportResult(self.accepted, self._listed, problem, self._not_taken, go_on))
            return
        if self.refused > SHOWN_REFUSALS:
            self._progress_line.write_line(
                f"... and {self.refused - SHOWN_REFUSALS:,} more rows refused (--json lists them all)"
            )
        if isinstance(error, BadFile):
            return
        if self._not_taken:
            self._progress_line.write_line(self._format_not_taken())
        self._progress_line.write_line(self._format_stop() if error else self._format_end())

    def add(self, sent: Sent) -> None:
        """Count the result of one batch, and report its refused rows."""
        for row in sent.refused:
            self._refuse(row)
        self.accepted += sent.accepted
        self._line = sent.line
        self._progress_line.move(sent.accepted + len(sent.refused), sent.position)

    def _refuse(self, row: BadRow) -> None:
        self.refused += 1
        if self._as_json:
            self._listed.append(row)
        elif self.refused <= SHOWN_REFUSALS:
            self._progress_line.write_line(f"line {row.line}: {row.problem}")

    def _format_end(self) -> str:
        return self._progress_line.summary(
            f"Kept {self.accepted:,} of {self.accepted + self.refused:,} rows on {self.board}"
        )

    def _format_not_taken(self) -> str:
        fields = ", ".join(f"{field} ({count:,} rows)" for field, count in self._not_taken.items())
        hint = " --keep-times counts the rows as of then." if TIME in self._not_taken else ""
        return f"Not taken: {fields}.{hint}"

    @property
    def _go_on(self) -> Start:
        return Start(self.start.run, self._line + 1)

    def _format_stop(self) -> str:
        once = (
            "Within 24 hours every row then counts once."
            if self.has_keys
            else "What was sent after it may have been kept: on a board that adds (operator increment), look first."
        )
        return (
            f"Stopped after line {self._line}: the service has confirmed {self.accepted:,} rows, {self.refused:,} were "
            f"refused. To go on, run the same command with --continue {self._go_on}. {once}"
        )
