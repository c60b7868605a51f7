"""The rules that no request over HTTP can break, because JSON and UTF-8 cannot say it; other doors can."""

from __future__ import annotations

from math import inf, nan

import pytest

from laurels.boards import checked_name, checked_score
from laurels.errors import BadName, ScoreRefused


@pytest.mark.parametrize("score", [inf, -inf, nan])
def test_score_is_finite(score: float) -> None:
    """What is no number, or has no end, is no score."""
    with pytest.raises(ScoreRefused, match="not finite"):
        checked_score(score)


def test_name_is_unicode() -> None:
    """Half of a surrogate pair has no UTF-8."""
    with pytest.raises(BadName, match="surrogate pair"):
        checked_name("a\ud800")
