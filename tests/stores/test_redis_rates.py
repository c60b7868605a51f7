"""Meters in Redis: they let in what the meters in memory do, over however many processes."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laurels.access.rates import Meters, Rate, Rates
from laurels.errors import StoreUnavailable
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.store import RedisStore

if TYPE_CHECKING:
    from tests.redis_servers import Node

RATES = st.none() | st.builds(Rate, st.just("a"), st.integers(1, 9), st.just(86400), st.integers(1, 6))
NONE = (0.0, 0.0)


def words(rate: Rate | None) -> tuple[float, float]:
    """Return an interval and a tolerance."""
    return NONE if rate is None else (rate.interval, rate.tolerance)


@given(RATES, RATES, st.lists(st.booleans(), max_size=20))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_meters_of_memory(redis_server: Node, requests: Rate | None, submits: Rate | None, steps: list[bool]) -> None:
    """Whatever is asked of two meters at one time, both let in the same, and say the same of what comes next."""
    with closing(redis_server.client()) as client:
        client.flushall()

    async def compare() -> None:
        store = RedisStore(redis_server.url)
        assert store.meters is not None
        meters, rates = Meters(10), Rates(requests, submits)
        for is_submit in steps:
            taken = await store.meters.take("v", words(requests), words(submits if is_submit else None))
            assert taken.is_counted == (meters.take(1, rates, 1.0, is_submit=is_submit) == 0)
            followed = Meters(10)
            followed.follow(1, 1.0, taken.requests_due, taken.submits_due)
            expected = meters.wait(1, rates, 1.0, is_submit=is_submit)
            assert followed.wait(1, rates, 1.0, is_submit=is_submit) == pytest.approx(expected, abs=60)
        await store.close()

    asyncio.run(compare())


def test_meter_that_says_no_more(redis_server: Node) -> None:
    """A meter is there for as long as it says more than a new one; another limit makes nobody wait longer than that."""

    async def take(count: int, seconds: float, burst: int) -> bool:
        store = RedisStore(redis_server.url)
        assert store.meters is not None
        taken = await store.meters.take("key:game", words(Rate("a", count, seconds, burst)), NONE)
        await store.close()
        return bool(taken.is_counted)

    assert asyncio.run(take(1, 3600, 5))
    with closing(redis_server.client()) as client:
        assert client.keys() == [b"laurels:rate:key:game"]
        assert 3_500_000 < client.pttl("laurels:rate:key:game") <= 3_600_000
    assert asyncio.run(take(1, 3600, 5))
    assert not asyncio.run(take(10, 1, 1))
    assert asyncio.run(take(1000, 1, 1000))


def test_one_subject_at_once(redis_server: Node) -> None:
    """Requests of one subject that come together go in few calls, and each gets what it would get alone."""
    with closing(redis_server.client()) as client:
        client.config_resetstat()

    async def ask() -> list[bool]:
        store = RedisStore(redis_server.url)
        assert store.meters is not None
        limit = words(Rate("a", 1, 3600, 30))
        asked = [asyncio.ensure_future(store.meters.take("key:game", limit, NONE)) for _ in range(25)]
        await asyncio.sleep(0)
        asked.pop().cancel()
        asked += [asyncio.ensure_future(store.meters.take("key:game", limit, NONE)) for _ in range(15)]
        found = [(await each).is_counted for each in asked]
        await store.close()
        return found

    assert asyncio.run(ask()) == [True] * 29 + [False] * 10
    with closing(redis_server.client()) as client:
        assert client.info("commandstats")["cmdstat_time"]["calls"] < 10


def test_too_much_waits(redis_server: Node) -> None:
    """What the store has no room for is refused at once, and what comes after that is asked."""

    async def ask() -> None:
        store = RedisStore(redis_server.url, settings=RedisSettings(waiting=1))
        assert store.meters is not None
        first, second = (store.meters.take(f"key:{each}", (1.0, 1.0), NONE) for each in "ab")
        assert (await first).is_counted
        with pytest.raises(StoreUnavailable):
            await second
        assert (await store.meters.take("key:b", (1.0, 1.0), NONE)).is_counted
        await store.close()

    asyncio.run(ask())
