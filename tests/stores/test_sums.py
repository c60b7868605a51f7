"""The sums of a store that adds elsewhere, beside those of the index."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from laurels.errors import ScoreRefused
from laurels.ranking import add_scores
from laurels.stores.sums import add

SCORES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**60), 2**60).map(float),
    st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0**53, 2.0**52 + 0.5, 1e16, 1e300, 1.7e308]),
)


@given(SCORES, SCORES)
@example(2.0**53, 1.0)
@example(2.0**53, 0.5)
@example(1.7e308, 1.7e308)
@example(0.1, 0.2)
def test_as_the_index_adds(had: float, score: float) -> None:
    """It has the sum of the index, or is refused in its words."""
    try:
        expected: object = add_scores(had, score)
    except OverflowError as error:
        expected = f"The score is refused: {error}."
    try:
        found: object = add(had, score)
    except ScoreRefused as error:
        found = str(error)
    assert found == expected
