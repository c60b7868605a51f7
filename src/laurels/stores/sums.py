"""Sums: which ones a board keeps, for a store that adds elsewhere. Nothing compiled: a function has none."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite, ulp
from typing import TYPE_CHECKING

from laurels.errors import ScoreRefused, truncate

if TYPE_CHECKING:
    from laurels.definition import Bounds, Score

EXACT_TEXT = 1e16
"""Whole scores below are written without an exponent."""


def add(had: Score, score: Score) -> Score:
    """Return the sum; raise ScoreRefused for one that no index adds, in its words (``add_scores`` of the kernel)."""
    before, more = float(had), float(score)
    total = before + more
    if not isfinite(total):
        raise _refused(before, more, "is not finite")
    lost = Fraction(before) + Fraction(more) - Fraction(total)
    if lost and ((before.is_integer() and more.is_integer()) or abs(lost) * 1000 > abs(Fraction(more))):
        step = _text(ulp(total))
        raise _refused(
            before, more, f"would lose its last digits: to such a score only multiples of {step} can be added"
        )
    return int(total) if total.is_integer() else total


def _refused(before: float, more: float, problem: str) -> ScoreRefused:
    return ScoreRefused(f"The score is refused: the sum of {_text(before)} and {_text(more)} {problem}.")


def _text(score: float) -> str:
    return str(int(score)) if score.is_integer() and abs(score) < EXACT_TEXT else repr(score)


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
