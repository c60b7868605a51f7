"""Submits, by each operator."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from laurels.ranking import Index, add_scores

if TYPE_CHECKING:
    from laurels.ranking.index import Operator, Score, Ties

OPERATORS: list[Operator] = ["latest", "best", "increment"]


@pytest.mark.parametrize(
    ("operator", "descending", "outcome", "score"),
    [
        pytest.param("latest", True, 1, 33, id="latest"),
        pytest.param("best", True, 0, 34, id="best descending"),
        pytest.param("best", False, 1, 33, id="best ascending"),
        pytest.param("increment", True, 1, 67, id="increment"),
    ],
)
def test_operators(operator: Operator, outcome: int, score: Score, *, descending: bool) -> None:
    """A second score replaces the first, counts if it is better, or is added."""
    index = Index(operator=operator, descending=descending)
    assert index.submit("v", 34) == 2
    assert index.submit("v", 33) == outcome
    assert index.score("v") == score


@pytest.mark.parametrize("operator", OPERATORS)
def test_very_same_score(operator: Operator) -> None:
    """A submit that leaves the score as it was counts only with refresh, and then its sequence is kept."""
    index = Index(operator=operator, stamped=True)
    index.submit("v", 0, 1)
    assert index.submit("v", 0, 2) == 0
    assert index.row("v") == ("v", 0, 0, 1)
    assert index.submit("v", 0, 3, refresh=True) == 1
    assert index.row("v") == ("v", 0, 0, 3)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("ties", "names"), [("earliest", "wv"), ("latest", "vw"), ("name", "wv")])
def test_refresh_moves(operator: Operator, ties: Ties, names: str) -> None:
    """A submit with refresh moves the entry among equal scores to its new sequence."""
    index = Index(operator=operator, ties=ties)
    index.submit("v", 0, 1)
    index.submit("w", 0, 2)
    index.submit("v", 0, 3, refresh=True)
    assert "".join(name for name, *_ in index.rows(0, 2)) == names


@pytest.mark.parametrize("operator", OPERATORS)
def test_refresh_without_sequences(operator: Operator) -> None:
    """A submit with refresh counts even if the index keeps no sequences."""
    index = Index(operator=operator)
    assert index.submit("v", 0, refresh=True) == 2
    assert index.submit("v", 0, refresh=True) == 1


def test_refresh_of_a_worse_score() -> None:
    """A worse score does not count under best, not even with refresh."""
    index = Index(operator="best")
    assert index.submit("v", 2) == 2
    assert index.submit("v", 1, refresh=True) == 0


@pytest.mark.parametrize("operator", OPERATORS)
def test_put_replaces(operator: Operator) -> None:
    """A put replaces score and sequence, whatever the operator."""
    index = Index(operator=operator, stamped=True)
    index.put("v", 34, 1)
    assert index.put("v", 33, 2) is False
    assert index.put("v", 33, 3) is False
    assert index.row("v") == ("v", 33, 0, 3)


@pytest.mark.parametrize(
    ("score", "more", "total"),
    [
        pytest.param(1, 2.5, 3.5, id="fraction"),
        pytest.param(3, -5, -2, id="less"),
        pytest.param(2**53 - 1, 1, 2**53, id="to 2^53"),
        pytest.param(2**53, 2, 2**53 + 2, id="beyond 2^53"),
        pytest.param(-(2**53), 2**53, 0, id="to nothing"),
        pytest.param(2**60, 2**1000, None, id="whole beyond all digits"),
        pytest.param(2.0**1000, 0.5, None, id="fraction lost"),
        pytest.param(2**53, 0.5, None, id="half lost"),
        pytest.param(2**53, -0.5, None, id="half not taken"),
        pytest.param(1, 1e-300, None, id="tiny amount lost"),
        pytest.param(1e15, 0.3, None, id="a sixth lost"),
        pytest.param(2.0**43, 2.0**-9 + 2.0**-19, 2.0**43 + 2.0**-9, id="less than a thousandth lost"),
        pytest.param(2.0**43, 2.0**-9 + 2.0**-18, None, id="more than a thousandth lost"),
        pytest.param(0.5, 2.0**53, 2**53, id="of the score before"),
        pytest.param(1e300, 0, 1e300, id="nothing"),
        pytest.param(1e300, -0.0, 1e300, id="less than nothing"),
        pytest.param(5e-324, 1e-323, 1.5e-323, id="denormal"),
        pytest.param(2.2250738585072014e-308, -5e-324, 2.225073858507201e-308, id="to a denormal"),
        pytest.param(1.7976931348623157e308, 1e291, None, id="at the end of all doubles"),
        pytest.param(0.1, 0.2, 0.1 + 0.2, id="rounded fraction"),
    ],
)
@pytest.mark.parametrize("descending", [True, False], ids=["descending", "ascending"])
def test_sums(score: Score, more: Score, total: Score | None, *, descending: bool) -> None:
    """Sums are those of doubles; whole numbers are added exactly, others to a thousandth."""
    index = Index(operator="increment", descending=descending)
    index.submit("v", score)
    if total is None:
        with pytest.raises(OverflowError):
            index.submit("v", more)
    else:
        index.submit("v", more)
        assert index.score("v") == total


@pytest.mark.parametrize(
    ("score", "more", "reason"),
    [
        pytest.param(1.7e308, 1.7e308, "the sum of 1.7e+308 and 1.7e+308 is not finite", id="infinite"),
        pytest.param(-1.7e308, -1.7e308, "is not finite", id="less than all"),
        pytest.param(2**53, 1, "the sum of 9007199254740992 and 1 would lose its last digits", id="first to lose"),
        pytest.param(1, 2**53, "would lose its last digits", id="the other way round"),
        pytest.param(-(2**53), -1, "would lose its last digits", id="negative"),
        pytest.param(1e300, 1, "would lose its last digits", id="far apart"),
        pytest.param(2**53, 0.5, "only multiples of 2 can be added", id="a fraction"),
        pytest.param(1e15, 0.3, "only multiples of 0.125 can be added", id="a part of a fraction"),
    ],
)
def test_sums_refused(score: Score, more: Score, reason: str) -> None:
    """A sum that is not finite, or of whole numbers and not exact, is refused with the reason; nothing changes."""
    index = Index(operator="increment", ties="latest")
    index.submit("v", score, 1)
    with pytest.raises(OverflowError, match=reason.replace("+", r"\+")):
        index.submit("v", more, 2)
    assert index.rows(0, 2) == [("v", score, 0, 1)]


@pytest.mark.parametrize("score", [math.inf, math.nan, 2**53 + 1, "1"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_submits_refused(operator: Operator, score: Any) -> None:
    """A score that is not exactly a finite double is refused, as by a put."""
    index = Index(operator=operator)
    with pytest.raises((ValueError, TypeError)):
        index.submit("v", score)
    assert len(index) == 0


def test_batch() -> None:
    """A batch is submitted in its order, and its sequences are two apart."""
    index = Index(operator="best", ties="earliest")
    assert index.submit_many(["v", "w", "v", "x", "v"], [1, 3, 2, 3, 1], 10) == 4
    assert index.rows(0, 9) == [("w", 3, 0, 12), ("x", 3, 1, 16), ("v", 2, 2, 14)]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1000])
def test_batch_sizes(size: int) -> None:
    """A batch of any size is the same as its submits one by one."""
    index, other = Index(stamped=True), Index(stamped=True)
    names, scores = [f"player-{i * 7 % 600}" for i in range(size)], [i % 5 for i in range(size)]
    counted = [other.submit(name, score, 4 + 2 * i) for i, (name, score) in enumerate(zip(names, scores, strict=True))]
    assert index.submit_many(names, scores, 4) == sum(map(bool, counted))
    index.check()
    assert index.dump(0, size) == other.dump(0, size)


@pytest.mark.parametrize(
    ("names", "scores", "error"),
    [
        pytest.param(["v", "w"], [1], ValueError, id="more names"),
        pytest.param(["v"], [1, 2], ValueError, id="more scores"),
        pytest.param(["v", ""], [1, 1], ValueError, id="bad name"),
        pytest.param(["v", "w"], [1, math.inf], ValueError, id="bad score"),
        pytest.param(["v", 1], [1, 1], TypeError, id="no name"),
        pytest.param(["v", None], [1, 1], TypeError, id="none"),
        pytest.param(["v", "w"], [1, "1"], TypeError, id="no score"),
    ],
)
def test_batch_refused(names: Any, scores: Any, error: type[Exception]) -> None:
    """If one entry of a batch cannot be submitted, none is."""
    index = Index()
    with pytest.raises(error):
        index.submit_many(names, scores, 0)
    assert len(index) == 0


def test_batch_of_sums() -> None:
    """Sums cannot be submitted as a batch, because each may be refused on its own."""
    with pytest.raises(ValueError, match="one by one"):
        Index(operator="increment").submit_many(["v"], [1], 0)


def test_whole_again() -> None:
    """All scores are whole again when the last that is not is removed, however large the others are."""
    index = Index()
    index.submit_many([f"player-{i}" for i in range(200)], [i * 1e290 for i in range(200)], 0)
    index.put("v", 0.5)
    assert not index.is_whole()
    assert index.remove("v") is True
    assert index.is_whole()


def test_lossy_sums() -> None:
    """Sums of whole numbers are exact also where fractions may get lost, as they did in old journals."""
    index = Index(operator="increment")
    index.submit("v", 10**15)
    index.submit("v", 0.3, lossy=True)
    assert index.score("v") == 10**15 + 0.25
    assert add_scores(10**15, 0.3, lossy=True) == 10**15 + 0.25
    with pytest.raises(OverflowError):
        add_scores(2**53, 1, lossy=True)


@pytest.mark.parametrize("seed", range(20))
def test_sums_by_fractions(seed: int) -> None:
    """What counts as added is decided exactly, also next to the bound."""
    rng = random.Random(seed)
    for _ in range(500):
        had = rng.choice([1, -1]) * rng.uniform(0.5, 1) * 2.0 ** rng.randrange(-60, 60)
        more = rng.choice([1, -1]) * rng.randrange(2**9, 2**12) / 2.0 ** rng.randrange(40, 70) * abs(had)
        is_added = abs(Fraction(had + more) - Fraction(had) - Fraction(more)) <= abs(Fraction(more)) / 1000
        try:
            assert (add_scores(had, more), is_added) == (had + more, True)
        except OverflowError:
            assert not is_added


@pytest.mark.parametrize("ties", ["name", "earliest", "latest"])
def test_marks(ties: Ties) -> None:
    """A mark changes the lowest bit of a sequence, and nothing moves; a submit then takes its own sequence."""
    index = Index(ties=ties, stamped=True)
    for number, name in enumerate("badc"):
        index.submit(name, 7, 2 * number)
    before = index.rows(0, 9)
    assert [index.mark(name, mark=True) for name in "abx"] == [True, True, False]
    index.check()
    assert [row[:3] for row in index.rows(0, 9)] == [row[:3] for row in before]
    assert {row[0]: row[3] for row in index.rows(0, 9)} == {"b": 1, "a": 3, "d": 4, "c": 6}
    assert index.mark("a", mark=False)
    assert index.row("a") == next(row for row in before if row[0] == "a")


def test_marks_need_sequences() -> None:
    """An index that keeps no sequences cannot mark."""
    with pytest.raises(ValueError, match="keeps no sequences"):
        Index().mark("v", mark=True)
