"""Injected faults: their text form, and what the official SDK makes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from momento import CacheClientAsync, Configurations
from momento.errors import MomentoErrorCode
from momento.responses import CacheGet, CacheSortedSetFetch, CacheSortedSetIncrementScore
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import cachepubsub_pb2 as pubsub

from laurels.momento_local.errors import BadArgument
from laurels.momento_local.faults import Faults, parse
from tests.momento import momento_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento


@pytest.mark.parametrize(
    "text",
    ["SortedSetPut:UNAVAILABLE:3", "SortedSetFetch:delay=200ms", "Get:delay=1500ms:1", "Subscribe:NOT_FOUND"],
)
def test_a_fault_reads_as_it_is_written(text: str) -> None:
    """A fault is formatted as it was parsed."""
    assert str(parse(text)) == text


def test_a_delay_may_be_in_seconds() -> None:
    """A delay is in milliseconds or seconds."""
    assert parse("Get:delay=1.5s").delay == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no fault: give CALL:STATUS or CALL:delay=200ms"),
        ("Get", "no fault"),
        ("Get:INTERNAL:1:2", "no fault"),
        ("sortedSetPut:INTERNAL", "perhaps SortedSetPut"),
        ("Nonsense:INTERNAL", "There is no call 'Nonsense' here: give the name"),
        pytest.param(
            "SetPop:UNAVAILABLE", "one that is served, .*GetByRank, .*UpdateTtl, UpsertElements", id="not served"
        ),
        ("Get:BROKEN", "neither a delay .* nor one of CANCELLED"),
        ("Get:OK", "neither a delay"),
        ("Get:delay=5", "neither a delay"),
        ("Get:INTERNAL:0", "'0' is no count"),
        ("Get:INTERNAL:few", "'few' is no count"),
        pytest.param("Get:INTERNAL:1" + "0" * 5000, "is no count", id="a count of 5,001 digits"),
        pytest.param("Get:delay=1" + "0" * 400 + "s", "neither a delay", id="a delay of 401 digits"),
        ("Get:INTERNAL:", "'' is no count"),
    ],
)
def test_what_is_no_fault_is_refused(text: str, problem: str) -> None:
    """A text that is no fault is refused with what would be right."""
    with pytest.raises(BadArgument, match=problem):
        parse(text)


def test_delays_add_and_errors_take_turns() -> None:
    """A call gets all of its delays and the first of its errors; the next error is for the next call."""
    faults = Faults()
    for text in ("Get:delay=200ms:1", "Get:delay=100ms", "Get:INTERNAL:1", "Get:UNAVAILABLE:2", "Set:ABORTED"):
        faults.plan(text)
    effects = [faults.strike("Get") for _ in range(4)]
    assert [delay for delay, _ in effects] == pytest.approx([0.3, 0.1, 0.1, 0.1])
    status = grpc.StatusCode
    assert [error for _, error in effects] == [status.INTERNAL, status.UNAVAILABLE, status.UNAVAILABLE, None]
    assert str(faults) == "Get:delay=100ms\nSet:ABORTED"


def test_faults_can_be_cleared() -> None:
    """After clear a call has no fault."""
    faults = Faults()
    faults.plan("Get:INTERNAL")
    faults.clear()
    assert not faults
    assert faults.strike("Get") == (0.0, None)


@pytest.fixture(scope="module")
def faulty() -> Iterator[Momento]:
    """Yield a server with faults."""
    faults = [
        "Get:UNAVAILABLE:2",
        "SortedSetIncrement:UNAVAILABLE:1",
        "SortedSetFetch:delay=60s:1",
        "Set:RESOURCE_EXHAUSTED:1",
        "Subscribe:UNAUTHENTICATED:1",
    ]
    with momento_running(*(option for fault in faults for option in ("--fault", fault))) as momento:
        yield momento


@pytest.fixture
async def client(faulty: Momento, one_loop: None) -> CacheClientAsync:  # noqa: ARG001 - it must be set up first
    """Return a client of the server with faults, with a time-out of two seconds."""
    configuration = Configurations.Laptop.v1().with_client_timeout(timedelta(seconds=2))
    return CacheClientAsync(configuration, faulty.credentials, timedelta(hours=1))


@pytest.mark.anyio
async def test_the_sdk_retries_what_may_be_retried(faulty: Momento, client: CacheClientAsync) -> None:
    """The SDK retries an idempotent call until it succeeds, and never an increment."""
    async with client:
        cache = faulty.new_cache()
        assert isinstance(await client.get(cache, "k"), CacheGet.Miss)
        once = await client.sorted_set_increment_score(cache, "board", "a", 1.0)
        assert getattr(once, "error_code", None) == MomentoErrorCode.SERVER_UNAVAILABLE
        again = await client.sorted_set_increment_score(cache, "board", "a", 1.0)
    assert isinstance(again, CacheSortedSetIncrementScore.Success)
    assert again.score == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_delay_beyond_the_deadline_is_a_time_out(faulty: Momento, client: CacheClientAsync) -> None:
    """A call that is delayed past the client's time-out fails, and the next one succeeds."""
    async with client:
        cache = faulty.new_cache()
        slow = await client.sorted_set_fetch_by_rank(cache, "board")
        assert getattr(slow, "error_code", None) == MomentoErrorCode.TIMEOUT_ERROR
        assert isinstance(await client.sorted_set_fetch_by_rank(cache, "board"), CacheSortedSetFetch.Miss)


def test_a_fault_says_that_it_was_planned(faulty: Momento) -> None:
    """The details of a fault distinguish it from an error of the server."""
    with pytest.raises(grpc.RpcError) as caught:
        faulty.items.Set(wire._SetRequest(cache_key=b"k"), metadata=(("cache", "any"),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "was asked for" in caught.value.details()


def test_a_subscription_can_fail(faulty: Momento) -> None:
    """A stream fails at its beginning."""
    with pytest.raises(grpc.RpcError) as caught:
        next(faulty.topics.Subscribe(pubsub._SubscriptionRequest(cache_name="any", topic="news")))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
