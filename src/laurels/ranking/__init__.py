"""The ranking index: exact ranks and pages in O(log n)."""

from laurels.ranking.index import Index, add_scores
from laurels.ranking.packed import to_json

__all__ = ["Index", "add_scores", "to_json"]
