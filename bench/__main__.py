"""Measure Laurels beside its peers and print one table."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from bench.errors import Unmeasured
from bench.figures import Report, Run
from bench.machine import CLIENT_CORE, description
from bench.rows import ROWS
from bench.table import as_json, table

if TYPE_CHECKING:
    from collections.abc import Iterable

progress = Console(stderr=True)


@click.command(help=__doc__, epilog="Boards and journals go below TMPDIR, which should be a real disk.")
@click.option("--only", multiple=True, type=click.Choice(list(ROWS)), help="Measure this row; may be given again.")
@click.option("--seconds", default=5.0, show_default=True, help="How long each burst of load lasts.")
@click.option("--repeat", default=3, show_default=True, help="How often each comparison is made.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures there, too.")
@click.option("--file", type=click.Path(path_type=Path, exists=True), help="Import this file, not a synthetic one.")
def main(only: tuple[str, ...], seconds: float, repeat: int, json_file: Path | None, file: Path | None) -> None:
    """Run the rows asked for, all of them by default; exit 1 unless every target is reached."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(prefix="laurels-bench-") as scratch:
        Path(scratch).chmod(0o755)
        machine = description(Path(scratch))
        run = Run(seconds=seconds, repeat=repeat, directory=Path(scratch), file=file)
        report = _measured(run, only or ROWS)
    Console(width=None if Console().is_terminal else 160).print(table(report, machine))
    if json_file:
        json_file.write_bytes(as_json(report, machine))
    raise SystemExit(not report.reached)


def _measured(run: Run, rows: Iterable[str]) -> Report:
    report = Report()
    for row in rows:
        progress.print(f"{row} ...")
        try:
            for figure in ROWS[row](run):
                progress.print(f"  {figure.subject.what}: {figure.laurels.value:,.3g} {figure.subject.unit}")
                report.figures.append(figure)
        except (Unmeasured, subprocess.SubprocessError, ConnectionError) as error:
            progress.print(f"  not measured: {error}", markup=False)
            report.unmeasured[row] = str(error)
    return report


if __name__ == "__main__":
    main()
