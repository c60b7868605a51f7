"""Figures: what a part of the service measures of itself, by the names that they have in the metrics.

A figure is a number; or one number for each value of a label, and of a second label below that; or a histogram. They
are plain enough to be written to memory that workers share. What each means is in :mod:`laurels.http.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The bounds of histograms of what may take from a tenth of a millisecond to ten seconds."""


class Histogram(Struct, frozen=True, array_like=True):
    """How many values were no greater than each bound, and at last how many there were; and their sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


Figure: TypeAlias = float | Histogram | Mapping[str, float | Mapping[str, float]]
Figures: TypeAlias = Mapping[str, Figure]
