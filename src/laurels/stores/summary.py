"""A summary, of a few scores and counts that every store can look up.

The edges of the histogram are computed as whole numbers over one denominator, and rounded once: the width between the
least double and the greatest would overflow, and a sum of rounded widths would miss the greatest score, which must be
the last edge.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from laurels.stores.contract import Bucket, Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.stores.contract import Percentile, Score

ALL = 10**6
"""A hundred percent, in parts of which a percentile is a whole number."""


def parts_above(percentile: Percentile) -> int:
    """Return how many of ALL parts of a board are above a percentile."""
    return ALL - int(Decimal(percentile) * (ALL // 100))


def places_of(percentiles: Sequence[Percentile], count: int) -> list[int]:
    """Return the places of the best entry, of the worst, and of each percentile on a board of so many entries."""
    last = count - 1
    return [0, last, *(min(last, count * parts_above(each) // ALL) for each in percentiles)] if count else []


def summarize(
    count: int,
    percentiles: Sequence[Percentile],
    scores: Sequence[Score],
    edges: Sequence[Score],
    above: Sequence[int],
) -> Summary:
    """Return a summary of so many entries.

    ``scores`` are the best, the worst, and that of each percentile; ``above`` has for each edge but the last how many
    entries have at least that score. An empty board has none of them.
    """
    if not count:
        return Summary(0, None, None, dict.fromkeys(percentiles), [])
    best, worst, *others = scores
    if len(edges) == 1:
        histogram = [Bucket(edges[0], edges[0], count)]
    else:
        counts = pairwise([*above, 0])
        histogram = [Bucket(*ends, more - less) for ends, (more, less) in zip(pairwise(edges), counts, strict=True)]
    return Summary(count, best, worst, dict(zip(percentiles, others, strict=True)), histogram)


def edges_between(one: Score, other: Score, buckets: int) -> list[Score]:
    """Return the edges of so many buckets between two scores, each the nearest double, and each double once."""
    low, high = min(one, other), max(one, other)
    (first, of_low), (last, of_high) = low.as_integer_ratio(), high.as_integer_ratio()
    first, last, whole = first * of_high, last * of_low, of_low * of_high * buckets
    edges = {(first * (buckets - step) + last * step) / whole for step in range(buckets + 1)}
    return [int(edge) if edge.is_integer() else edge for edge in sorted(edges)]
