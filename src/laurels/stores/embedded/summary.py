"""A summary of an index, from a few ranks and counts, each O(log n).

The edges of the histogram are computed as fractions, and rounded once: the width between the least double and the
greatest would overflow, and a sum of rounded widths would miss the greatest score, which must be the last edge.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

from laurels.stores.contract import BUCKETS, Bucket, Summary

if TYPE_CHECKING:
    from laurels.ranking import Index
    from laurels.stores.contract import Score

PERCENTILES = (50, 90, 99)


def summarize(index: Index) -> Summary:
    """Return the figures of an index."""
    count = len(index)
    if not count:
        return Summary(0, None, None, dict.fromkeys(PERCENTILES), [])
    best, worst = _score_at(index, 0), _score_at(index, count - 1)
    percentiles: dict[int, Score | None] = {p: _score_at(index, count * (100 - p) // 100) for p in PERCENTILES}
    return Summary(count, best, worst, percentiles, _histogram(index, min(best, worst), max(best, worst)))


def _score_at(index: Index, rank: int) -> Score:
    return index.page(rank, rank + 1)[0][1]


def _histogram(index: Index, low: Score, high: Score) -> list[Bucket]:
    if low == high:
        return [Bucket(low, high, len(index))]
    edges = _edges(low, high)
    above = [*(index.count(edge, inf) for edge in edges[:-1]), 0]
    return [
        Bucket(start, stop, upwards - beyond)
        for (start, stop), (upwards, beyond) in zip(pairwise(edges), pairwise(above), strict=True)
    ]


def _edges(low: Score, high: Score) -> list[Score]:
    """Return the edges of the buckets, each the nearest double, and each double once."""
    width = (Fraction(high) - Fraction(low)) / BUCKETS
    edges = {float(low + step * width) for step in range(BUCKETS + 1)}
    return [int(edge) if edge.is_integer() else edge for edge in sorted(edges)]
