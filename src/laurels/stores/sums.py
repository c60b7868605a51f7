"""Sums: which ones a board keeps, for every store that adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.errors import ScoreRefused, truncate
from laurels.ranking import add_scores

if TYPE_CHECKING:
    from laurels.definition import Bounds, Score


def add(had: Score, score: Score, *, lossy: bool = False) -> Score:
    """Return the sum; raise ScoreRefused if there is none: only the kernel of the index decides that."""
    try:
        return add_scores(had, score, lossy)
    except OverflowError as error:
        raise ScoreRefused(f"The score is refused: {error}.") from error


def check_sum(total: Score, bounds: Bounds) -> None:
    """Raise ScoreRefused if a sum is out of a board's bounds."""
    if bounds.min is not None and total < bounds.min:
        least = truncate(bounds.min)
        raise ScoreRefused(f"The sum {total:.15g} would be below {least}, the least score of this board.")
    if bounds.max is not None and total > bounds.max:
        greatest = truncate(bounds.max)
        raise ScoreRefused(f"The sum {total:.15g} would be above {greatest}, the greatest score of this board.")
    if bounds.integer and not float(total).is_integer():
        raise ScoreRefused(f"The sum {total} would not be whole, as the scores of this board are.")
