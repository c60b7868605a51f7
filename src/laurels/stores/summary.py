"""A summary, of a few scores and counts that every store can look up.

The edges of the histogram are computed as fractions, and rounded once: the width between the least double and the
greatest would overflow, and a sum of rounded widths would miss the greatest score, which must be the last edge.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from laurels.stores.contract import BUCKETS, Bucket, Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.stores.contract import Score

PERCENTILES = (50, 90, 99)


def summarize(count: int, scores: Sequence[Score], edges: Sequence[Score], above: Sequence[int]) -> Summary:
    """Return a summary of so many entries.

    ``scores`` are the best, the worst, and that of each percentile; ``above`` has for each edge but the last how many
    entries have at least that score. An empty board has none of them.
    """
    if not count:
        return Summary(0, None, None, dict.fromkeys(PERCENTILES), [])
    best, worst, *others = scores
    if len(edges) == 1:
        histogram = [Bucket(edges[0], edges[0], count)]
    else:
        counts = pairwise([*above, 0])
        histogram = [Bucket(*ends, more - less) for ends, (more, less) in zip(pairwise(edges), counts, strict=True)]
    return Summary(count, best, worst, dict(zip(PERCENTILES, others, strict=True)), histogram)


def edges_between(one: Score, other: Score) -> list[Score]:
    """Return the edges of the buckets between two scores, each the nearest double, and each double once."""
    low, high = min(one, other), max(one, other)
    width = (Fraction(high) - Fraction(low)) / BUCKETS
    edges = {float(low + step * width) for step in range(BUCKETS + 1)}
    return [int(edge) if edge.is_integer() else edge for edge in sorted(edges)]
