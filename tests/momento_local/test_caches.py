"""Caches: TTLs on a clock that the tests set, and the sweep of expired items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.momento_local.caches import Cache, Caches, Scalar
from laurels.momento_local.errors import AlreadyThere, BadArgument, NotThere, WrongKind
from laurels.momento_local.sets import Range, SortedSet

if TYPE_CHECKING:
    from tests.clock import Clock


@pytest.fixture
def cache(clock: Clock) -> Cache:
    """Return an empty cache on the clock."""
    return Cache(clock, page=1)


def test_a_set_expires_as_a_whole(cache: Cache, clock: Clock) -> None:
    """A set expires exactly when its TTL is over."""
    made = cache.set_for(b"set", 2_500, refresh=True)
    clock.now += 2.4
    assert cache.sorted_set(b"set") is made
    clock.now += 0.1
    assert cache.sorted_set(b"set") is None
    assert len(cache) == 0


@pytest.mark.parametrize(("refresh", "there"), [(True, True), (False, False)], ids=["refreshed", "kept"])
def test_a_put_may_refresh_the_ttl(cache: Cache, clock: Clock, refresh: bool, there: bool) -> None:  # noqa: FBT001
    """A later put sets the TTL again with refresh, and leaves it without."""
    cache.set_for(b"set", 1_000, refresh=True)
    clock.now += 0.5
    cache.set_for(b"set", 1_000, refresh=refresh)
    clock.now += 0.6
    assert (cache.sorted_set(b"set") is not None) is there


def test_a_scalar_expires(cache: Cache, clock: Clock) -> None:
    """A scalar expires when its TTL is over."""
    cache.keep(b"text", Scalar(b"v", cache.expiry(1)))
    assert cache.scalar(b"text")
    clock.now += 0.001
    assert cache.scalar(b"text") is None


def test_an_expired_item_of_another_kind_is_gone(cache: Cache, clock: Clock) -> None:
    """An expired item is missing, and not of the wrong kind."""
    cache.keep(b"text", Scalar(b"v", cache.expiry(1)))
    with pytest.raises(WrongKind, match="is a scalar, not a sorted set"):
        cache.sorted_set(b"text")
    clock.now += 1
    assert cache.sorted_set(b"text") is None


def test_the_expired_do_not_pile_up(cache: Cache, clock: Clock) -> None:
    """If an item lives while 100 others are made, no more than some 200 are held at any time."""
    most = 0
    for number in range(5_000):
        clock.now += 0.01
        cache.keep(b"%d" % number, Scalar(b"v", cache.expiry(1_000)))
        most = max(most, len(cache))
    assert 100 <= most <= 210


def test_the_living_survive_the_sweep(cache: Cache, clock: Clock) -> None:
    """An item that has not expired stays, while others are made and swept."""
    cache.keep(b"stays", Scalar(b"v", cache.expiry(10_000_000)))
    for number in range(1_000):
        clock.now += 0.01
        cache.keep(b"%d" % number, Scalar(b"v", cache.expiry(10)))
    assert cache.scalar(b"stays")
    assert len(cache) < 5


def test_a_ttl_is_at_least_a_millisecond(cache: Cache) -> None:
    """A TTL of 0 is refused, and makes nothing."""
    with pytest.raises(BadArgument, match="give at least 1"):
        cache.set_for(b"set", 0, refresh=True)
    assert len(cache) == 0


def test_caches_by_name(clock: Clock) -> None:
    """A cache is made once, found by its name, and deleted with everything in it."""
    caches = Caches(clock)
    caches.create("b")
    caches.create("a")
    assert caches.names() == ["a", "b"]
    with pytest.raises(AlreadyThere, match="a cache 'a'"):
        caches.create("a")
    caches["a"].set_for(b"set", 1_000, refresh=True)
    caches.delete("a")
    caches.create("a")
    assert len(caches["a"]) == 0


def test_no_cache_of_that_name(clock: Clock) -> None:
    """A missing cache can be neither read nor deleted."""
    caches = Caches(clock)
    for method in (caches.__getitem__, caches.delete):
        with pytest.raises(NotThere, match="no cache 'ghost'"):
            method("ghost")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 257], ids=["empty", "blank", "control", "too long"])
def test_bad_names(clock: Clock, name: str) -> None:
    """A name that no cache can have is refused with what would be right."""
    with pytest.raises(BadArgument, match="1 to 256 printable characters"):
        Caches(clock).create(name)


def test_scores_are_exact() -> None:
    """Scores are kept to the last digit, however large or small."""
    held = SortedSet(expires=0)
    scores = {b"tiny": 5e-324, b"great": 1.7976931348623157e308, b"odd": 0.1, b"whole": 2.0**53 + 2}
    for value, score in scores.items():
        held.put(value, score)
    assert {value: held.score(value) for value in scores} == scores
    assert held.count_between(Range(low=0.1, low_out=True)) == 2
