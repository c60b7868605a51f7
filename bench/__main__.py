"""Measure Laurels and its peers, or another version of itself, and print one table."""

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
from bench.machine import CLIENT_CORE, describe
from bench.rows import ROWS, against
from bench.table import as_json, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.figures import Figure

progress = Console(stderr=True)


@click.command(help=__doc__, epilog="Boards and journals are written below TMPDIR, which should be on a real disk.")
@click.option(
    "--only", multiple=True, type=click.Choice([*ROWS, *against.ALONE]), help="Measure this row only; repeatable."
)
@click.option("--seconds", default=5.0, show_default=True, help="How long each burst of load lasts.")
@click.option("--repeat", default=3, show_default=True, help="How often each comparison is made.")
@click.option(
    "--against",
    "other",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Compare with this checkout, which has its own .venv, instead of the peers. A difference of 1 % needs many "
    "pairs: --seconds 2 --repeat 20.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write the figures to this file.")
@click.option("--file", type=click.Path(path_type=Path, exists=True), help="Import this file, not a synthetic one.")
def main(  # noqa: PLR0913, PLR0917 - one argument an option
    only: tuple[str, ...],
    seconds: float,
    repeat: int,
    other: Path | None,
    json_file: Path | None,
    file: Path | None,
) -> None:
    """Run the selected rows, by default all; exit 1 unless every target is reached."""
    if other and not against.is_built(other):
        raise click.BadParameter(f"Run `make install build/wheels.stamp` in {other} first.", param_hint="--against")
    rows = against.rows(other) if other else ROWS
    if unknown := ", ".join(set(only) - set(rows)):
        raise click.BadParameter(
            f"{unknown} is not measured {'with' if other else 'without'} --against.", param_hint="--only"
        )
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(prefix="laurels-bench-") as scratch:
        Path(scratch).chmod(0o755)
        machine = describe(Path(scratch))
        run = Run(seconds=seconds, repeat=repeat, directory=Path(scratch), file=file)
        report = _measure(run, {name: row for name, row in rows.items() if not only or name in only})
    Console(width=None if Console().is_terminal else 160).print(table(report, machine))
    if json_file:
        json_file.write_bytes(as_json(report, machine))
    raise SystemExit(not report.reached)


def _measure(run: Run, rows: Mapping[str, Callable[[Run], Iterator[Figure]]]) -> Report:
    report = Report()
    for name, row in rows.items():
        progress.print(f"{name} ...")
        try:
            for figure in row(run):
                progress.print(f"  {figure.subject.what}: {figure.laurels.value:,.3g} {figure.subject.unit}")
                report.figures.append(figure)
        except (Unmeasured, subprocess.SubprocessError, ConnectionError) as error:
            progress.print(f"  not measured: {error}", markup=False)
            report.unmeasured[name] = str(error)
    return report


if __name__ == "__main__":
    main()
