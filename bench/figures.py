"""What a run measures: a figure, its peer's, and whether the target is reached."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Target(Struct, frozen=True):
    """A bound on the ratio to the peer, or on the figure itself."""

    sense: Literal[">=", "<="]
    limit: float
    of: Literal["ratio", "figure"] = "ratio"

    def holds(self, ratio: float | None, figure: float) -> bool:
        """Return whether the target is reached; a ratio that was not measured reaches none."""
        measured = figure if self.of == "figure" else ratio
        if measured is None:
            return False
        return measured >= self.limit if self.sense == ">=" else measured <= self.limit


SHOWN = Target(">=", 0)
"""The target of what is only shown."""


class Measure(Struct, frozen=True):
    """One figure of one side, and the CPU microseconds of a request if that means something."""

    value: float
    cpu: float | None = None


class Subject(Struct, frozen=True):
    """What is measured, in which unit, and its target."""

    row: str
    what: str
    unit: str
    target: Target


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the table."""

    subject: Subject
    laurels: Measure
    peer_name: str = ""
    peer: Measure | None = None
    ratio: float | None = None
    reached: bool
    note: str = ""


class Report(Struct):
    """All that a run measured, and why it did not measure the rest."""

    figures: list[Figure] = []
    unmeasured: dict[str, str] = {}

    @property
    def reached(self) -> bool:
        """Whether every row was measured and every target reached."""
        return not self.unmeasured and all(figure.reached for figure in self.figures)


class Run(Struct, frozen=True):
    """How long and how often to measure, and the directory for files."""

    seconds: float
    repeat: int
    directory: Path
    file: Path | None


def single(subject: Subject, measure: Measure, note: str = "") -> Figure:
    """Return the figure of a subject that has no peer."""
    reached = subject.target.holds(None, measure.value)
    return Figure(subject=subject, laurels=measure, reached=reached, note=note)


def compare(subject: Subject, peer: str, pairs: Sequence[tuple[Measure, Measure]], note: str = "") -> Figure:
    """Return a figure from pairs (ours, the peer's) measured in turns: the median of each side and of the ratios."""
    ratio = statistics.median(ours.value / theirs.value for ours, theirs in pairs)
    laurels = median([ours for ours, _ in pairs])
    return Figure(
        subject=subject,
        laurels=laurels,
        peer_name=peer,
        peer=median([theirs for _, theirs in pairs]),
        ratio=ratio,
        reached=subject.target.holds(ratio, laurels.value),
        note=note,
    )


def median(measures: Sequence[Measure]) -> Measure:
    """Return the median of the figures and, independently, that of the CPU times."""
    spent = [measure.cpu for measure in measures if measure.cpu is not None]
    value = statistics.median(measure.value for measure in measures)
    return Measure(value, statistics.median(spent) if spent else None)
