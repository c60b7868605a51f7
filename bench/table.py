"""The table that a run prints, and the same as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from bench.figures import SHOWN

if TYPE_CHECKING:
    from bench.figures import Figure, Measure, Report

CAPTION = (
    "Figures are medians over the repeats, ratios medians of the ratios of runs taken in turns. CPU is user and system "
    "time of the server and its children per request, ours / the peer's; busy is the share of its core that each used."
)

YES = "[green]yes[/green]"
NO = "[red]no[/red]"


def table(report: Report, machine: str) -> Table:
    """Return a table with one figure a line."""
    lines = Table(caption=f"{machine}. {CAPTION}", caption_justify="left")
    lines.add_column("what")
    for heading in ("Laurels", "compared with", "ratio", "target"):
        lines.add_column(heading, justify="right", no_wrap=True)
    lines.add_column("reached")
    lines.add_column("CPU µs/request", justify="right", no_wrap=True)
    for figure in report.figures:
        lines.add_row(*_cells(figure))
    for row in report.unmeasured:
        lines.add_row(row, "not measured", "", "", "", NO)
    return lines


def as_json(report: Report, machine: str) -> bytes:
    """Encode the figures with all that is known about them."""
    return msgspec.json.format(msgspec.json.encode({"machine": machine, "report": report}), indent=2) + b"\n"


def _cells(figure: Figure) -> tuple[str, ...]:
    subject = figure.subject
    what = f"{subject.what}\n[dim]{figure.note}[/dim]" if figure.note else subject.what
    peer = "" if figure.peer is None else f"{figure.peer_name} {_number(figure.peer.value)}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:#.3g}".rstrip(".") + "x"
    unit = "x" if subject.target.of == "ratio" else f" {subject.unit}"
    target = "shown" if subject.target == SHOWN else f"{subject.target.sense} {subject.target.limit:,g}{unit}"
    reached = YES if figure.reached else NO
    return what, f"{_number(figure.laurels.value)} {subject.unit}", peer, ratio, target, reached, _cpu(figure)


def _cpu(figure: Figure) -> str:
    return " / ".join(_spent(measure) for measure in (figure.laurels, figure.peer) if measure and measure.cpu)


def _spent(measure: Measure) -> str:
    return f"{measure.cpu:,.1f}"


def _number(value: float) -> str:
    if value >= 1_000:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"
