"""Meters against buckets of tokens, which are counted in fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.access.rates import Meters, Rate, Rates, key_of

MILLISECOND = Fraction(1, 1000)


class Limit(NamedTuple):
    """So many in so many seconds, and how many at once."""

    number: int
    seconds: int
    burst: int

    def rate(self, name: str) -> Rate:
        """Return it as it is metered."""
        return Rate(name, *self)


class Bucket:
    """A bucket that is full at first, and that a token falls into at each interval."""

    def __init__(self, limit: Limit, now: Fraction) -> None:
        self.interval = Fraction(limit.seconds, limit.number)
        self.burst = limit.burst
        self.tokens = Fraction(limit.burst)
        self.since = now

    def wait(self, now: Fraction) -> Fraction:
        """Return how long it takes until there is a token."""
        self.tokens = min(Fraction(self.burst), self.tokens + (now - self.since) / self.interval)
        self.since = now
        return max(Fraction(0), (1 - self.tokens) * self.interval)

    def take(self, now: Fraction) -> Fraction:
        """Take a token, or say how long it takes until there is one."""
        wait = self.wait(now)
        self.tokens -= not wait
        return wait

    def is_full(self, now: Fraction) -> bool:
        """Return whether nothing is taken that has not come again."""
        self.wait(now)
        return self.tokens == self.burst


class Buckets:
    """What one subject is metered by, told naively."""

    def __init__(self, requests: Limit | None, submits: Limit | None, now: Fraction) -> None:
        self.requests = Bucket(requests, now) if requests else None
        self.submits = Bucket(submits, now) if submits else None

    def take(self, now: Fraction, *, is_submit: bool) -> Fraction:
        """Take a token of each that the request needs, or say how long it takes until there are."""
        needed = [bucket for bucket in (self.requests, self.submits if is_submit else None) if bucket]
        wait = max((bucket.wait(now) for bucket in needed), default=Fraction(0))
        if not wait:
            for bucket in needed:
                bucket.tokens -= 1
        return wait


LIMITS = st.none() | st.builds(
    Limit, st.sampled_from([1, 2, 3, 7, 20]), st.sampled_from([1, 60, 3600]), st.sampled_from([1, 2, 5, 40])
)
STEPS = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 7, 50, 143, 333, 1000, 60_000]), st.sampled_from("abc"), st.booleans())
)


@given(LIMITS, LIMITS, STEPS)
def test_meters_are_buckets(requests: Limit | None, submits: Limit | None, steps: list[tuple[int, str, bool]]) -> None:
    """Whatever is asked when and by whom: the same is let in, and the same wait is told."""
    rates = Rates(requests.rate("requests") if requests else None, submits.rate("submits") if submits else None)
    now = Fraction(1000)
    meters, buckets = Meters(10), {name: Buckets(requests, submits, now) for name in "abc"}
    for milliseconds, name, is_submit in steps:
        now += milliseconds * MILLISECOND
        foreseen = meters.wait(key_of(name), rates, float(now), is_submit=is_submit)
        expected = buckets[name].take(now, is_submit=is_submit)
        wait = meters.take(key_of(name), rates, float(now), is_submit=is_submit)
        assert (wait > 0) == (expected > 0)
        assert foreseen == wait == pytest.approx(float(expected), abs=1e-5)


HOURLY = Rates(Rate("requests", 10, 3600, 2))


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 1, 400, 8000])), max_size=200))
def test_few_meters(steps: list[tuple[int, int]]) -> None:
    """A table with room for few keeps every meter that runs: whoever has one is limited as if alone."""
    meters, buckets, now = Meters(8), dict[int, Bucket](), Fraction(1)
    for subject, seconds in steps:
        now += seconds
        key = subject * 0x9E3779B97F4A7C15 % 2**64
        bucket = buckets.pop(key, None)
        if key not in meters:
            assert bucket is None or bucket.is_full(now)
            bucket = Bucket(Limit(10, 3600, 2), now)
        expected = bucket.take(now) if bucket else Fraction(0)
        wait = meters.take(key, HOURLY, float(now), is_submit=False)
        assert len(meters) <= meters.most
        if key in meters and bucket:
            buckets[key] = bucket
            assert wait == pytest.approx(float(expected), abs=1e-5)


def test_flood_of_addresses() -> None:
    """However many come: who was limited stays so, memory does not grow, and those beyond share what is one's."""
    meters = Meters(1000)
    before = [key_of(f"before {i}") for i in range(1000)]
    for key in before * 2:
        assert meters.take(key, HOURLY, 1.0, is_submit=False) == 0
    let_in = sum(meters.take(key_of(f"flood {i}"), HOURLY, 1.0 + i / 1e6, is_submit=False) == 0 for i in range(100_000))
    assert len(meters) == 1000
    assert let_in <= 1024 * 2
    assert all(meters.take(key, HOURLY, 2.0, is_submit=False) > 0 for key in before)


def test_passed_meters_make_room() -> None:
    """A meter whose time has passed is dropped for a new one, as many as come."""
    meters = Meters(1000)
    for i in range(100_000):
        assert meters.take(key_of(str(i)), HOURLY, i * 10.0, is_submit=False) == 0
    assert len(meters) < 1000


def test_clock_that_is_set_back() -> None:
    """Nobody waits longer than a whole burst takes, however far back the clock is set."""
    meters = Meters(10)
    meters.take(1, HOURLY, 1e6, is_submit=False)
    assert meters.take(1, HOURLY, 5.0, is_submit=False) == pytest.approx(360)
    assert meters.take(1, HOURLY, 365.0, is_submit=False) == 0


def test_limit_that_is_changed() -> None:
    """A meter goes on under another limit: what was used of the old burst does not outlast the new one."""
    meters = Meters(10)
    for _ in range(500):
        meters.take(1, Rates(Rate("requests", 1, 1, 500)), 5.0, is_submit=False)
    assert meters.take(1, Rates(Rate("requests", 2, 1, 4)), 5.0, is_submit=False) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("requests", "submits", "is_submit", "expected"),
    [
        ((1, 1, 1), (1, 60, 1), True, "submits"),
        ((1, 60, 1), (1, 1, 1), True, "requests"),
        ((1, 1, 1), (1, 60, 1), False, "requests"),
        ((1, 1, 1), None, True, "requests"),
        (None, (1, 1, 1), True, "submits"),
    ],
)
def test_limit_that_is_told(
    requests: tuple[int, int, int] | None, submits: tuple[int, int, int] | None, *, is_submit: bool, expected: str
) -> None:
    """Of two limits that are reached, that which takes longer is told."""
    rates = Rates(Rate("requests", *requests) if requests else None, Rate("submits", *submits) if submits else None)
    meters = Meters(10)
    meters.take(1, rates, 1.0, is_submit=True)
    assert meters.find_limiting(1, rates, 1.0, is_submit=is_submit).name == expected


@pytest.mark.parametrize(
    ("limit", "window"), [((20, 1, 40), 2), ((10, 60, 1), 6), ((7, 1, 1), 1), ((1, 86400, 3), 259200)]
)
def test_window(limit: tuple[int, int, int], window: int) -> None:
    """A window is how long a whole burst takes, in whole seconds."""
    assert Rate("requests", *limit).window == window


def test_no_limits() -> None:
    """Without limits there is nothing to wait for."""
    assert not Rates()
    assert Meters(1).take(1, Rates(), 1.0, is_submit=True) == 0
