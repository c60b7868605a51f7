"""A summary of an index, from a few ranks and counts, each O(log n)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from laurels.stores.summary import edges_between, places_of, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.ranking import Index
    from laurels.stores.contract import Percentile, Score, Summary


def summarize_index(index: Index, percentiles: Sequence[Percentile], buckets: int) -> Summary:
    """Return the figures of an index."""
    count = len(index)
    if not count:
        return summarize(0, percentiles, [], [], [])
    scores: list[Score] = [index.page(place, place + 1)[0][1] for place in places_of(percentiles, count)]
    edges = edges_between(scores[0], scores[1], buckets)
    return summarize(count, percentiles, scores, edges, [index.count(edge, inf) for edge in edges[:-1]])
