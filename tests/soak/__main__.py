"""Run soaks: ``make soak``, or ``python -m tests.soak kills --seconds 60 --seed 7 --json``."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.soak.failovers import fail_over
from tests.soak.kills import kill_one_node
from tests.soak.moves import move_under_kills
from tests.soak.run import Figures, Run
from tests.soak.suite import run_suite

if TYPE_CHECKING:
    from collections.abc import Callable

SOAKS: dict[str, Callable[[Run], Figures]] = {
    "kills": kill_one_node,
    "failovers": fail_over,
    "moves": move_under_kills,
    "suite": run_suite,
}
"""The soaks, by the names that the command line knows."""


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*SOAKS]))
@click.option("--seconds", type=float, default=600, show_default=True, help="How long each goes on.")
@click.option("--seed", type=int, default=0, show_default=True, help="What chance begins with.")
@click.option("--json", "as_json", is_flag=True, help="Write the results as one JSON object on stdout.")
def main(names: tuple[str, ...], *, seconds: float, seed: int, as_json: bool) -> None:
    """Run the long forms of tests, those that are named or all; exit with 1 if a promise did not hold."""
    results: dict[str, Figures] = {}
    for name in names or SOAKS:
        click.echo(f"{name}: {seconds:g} s from seed {seed}", err=True)
        start = time.monotonic()
        results[name] = _run(name, seconds, seed) | {"seconds": round(time.monotonic() - start, 1)}
    click.echo(json.dumps(results) if as_json else _format(results))
    if any("fault" in figures for figures in results.values()):
        raise SystemExit(1)


def _run(name: str, seconds: float, seed: int) -> Figures:
    """Run one soak; return its figures, or its fault."""
    with tempfile.TemporaryDirectory(prefix="laurels-soak-") as directory:
        run = Run(Path(directory), seconds, seed, lambda progress: click.echo(f"  {name}: {progress}", err=True))
        try:
            return SOAKS[name](run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others still run
            return {"fault": f"{type(error).__name__}: {error}"}


def _format(results: dict[str, Figures]) -> str:
    """Return a table with one row for each figure."""
    rows = [(name, figure, str(value)) for name, figures in results.items() for figure, value in figures.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{name:<{widths[0]}}  {figure:<{widths[1]}}  {value}" for name, figure, value in rows)


if __name__ == "__main__":  # pragma: no cover - the suite calls main
    main()
