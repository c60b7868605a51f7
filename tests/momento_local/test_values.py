"""The names of values: for any bytes, in the same order, and within the index's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.momento_local.sets import SortedSet
from laurels.momento_local.values import SHORT, LongValues, short_name

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 300


def in_front(place: int) -> bytes:
    """Return a long value that sorts before all earlier ones."""
    return b"\xff" * SHORT + (ROUNDS - place).to_bytes(2, "big")


def behind(place: int) -> bytes:
    """Return a long value that sorts after all earlier ones."""
    return b"\xff" * SHORT + place.to_bytes(2, "big")


def between(place: int) -> bytes:
    """Return a long value that sorts between the last two."""
    return b"\xff" * SHORT + b"\x02" * place + (b"\x01" if place % 2 else b"\x03")


@given(st.binary(max_size=SHORT - 1), st.binary(max_size=SHORT - 1))
def test_short_names_keep_the_order(one: bytes, other: bytes) -> None:
    """Short values are in the order of their names' UTF-8, which has at most 225 bytes."""
    names = short_name(one).encode(), short_name(other).encode()
    assert (names[0] < names[1]) == (one < other)
    assert (names[0] == names[1]) == (one == other)
    assert all(0 < len(name) <= 225 for name in names)


@pytest.mark.parametrize("value_of", [in_front, behind, between], ids=lambda of: of.__name__)
def test_long_names_make_room(value_of: Callable[[int], bytes]) -> None:
    """In whatever order long values come, their names stay in order, and are renamed only a few times."""
    long = LongValues()
    renamed = [long.take(value_of(place)) for place in range(ROUNDS)]
    long.check()
    assert 1 <= sum(map(bool, renamed)) < 6
    assert all(len(name.encode()) <= 256 for value in map(value_of, range(ROUNDS)) if (name := long.find(value) or ""))


def test_a_set_keeps_its_scores_when_values_are_renamed() -> None:
    """Long values that were renamed still have their scores."""
    held = SortedSet(expires=0)
    for place in range(ROUNDS):
        held.put(in_front(place), place % 7)
    held.check()
    assert sorted(held.entries()) == sorted((in_front(place), place % 7) for place in range(ROUNDS))


def test_dropped_names_leave_nothing() -> None:
    """When all long values of a set are removed, no name of them stays."""
    held = SortedSet(expires=0)
    for remains in (True, False):
        for place in range(9):
            held.put(behind(place), 1) if remains else held.remove(behind(place))
    held.check()
    assert len(held) == 0
    assert held.score(behind(1)) is None


def test_check_finds_a_name_too_many() -> None:
    """check() raises for a long value that the index does not have."""
    held = SortedSet(expires=0)
    held._long.take(behind(1))
    with pytest.raises(AssertionError, match="other long values"):
        held.check()


def test_check_finds_a_wrong_size() -> None:
    """check() raises for a size that is not that of the values."""
    held = SortedSet(expires=0)
    held.put(b"four", 1)
    assert held.size == 12
    held.size += 1
    with pytest.raises(AssertionError, match="the size"):
        held.check()


@pytest.mark.parametrize("part", ["_values", "_groups"])
def test_check_finds_what_is_out_of_order(part: str) -> None:
    """check() raises for names that are not in the order of their values."""
    long = LongValues()
    for place in range(3):
        long.take(behind(place))
    held = getattr(long, part)
    held[next(iter(held))] = held.pop(list(held)[-1]) if part == "_values" else []
    with pytest.raises(AssertionError):
        long.check()
