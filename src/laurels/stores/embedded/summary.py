"""A summary of an index, from a few ranks and counts, each O(log n)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from laurels.stores.summary import PERCENTILES, edges_between, summarize

if TYPE_CHECKING:
    from laurels.ranking import Index
    from laurels.stores.contract import Score, Summary


def summarize_index(index: Index) -> Summary:
    """Return the figures of an index."""
    count = len(index)
    if not count:
        return summarize(0, [], [], [])
    places = (0, count - 1, *(count * (100 - percent) // 100 for percent in PERCENTILES))
    scores: list[Score] = [index.page(place, place + 1)[0][1] for place in places]
    edges = edges_between(scores[0], scores[1])
    return summarize(count, scores, edges, [index.count(edge, inf) for edge in edges[:-1]])
