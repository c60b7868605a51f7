"""What is over a limit is refused in words; what is not is answered, however much comes at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento import CacheClient, CacheClientAsync, Configurations
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import cachepubsub_pb2 as pubsub

from laurels.momento_local.server import LARGEST_MESSAGE
from tests.momento import momento_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento

CALLS = 4_000
MINUTE = timedelta(minutes=1)


@pytest.mark.slow
@pytest.mark.anyio
async def test_all_calls_that_come_at_once_are_answered(momento: Momento, cache: str, one_loop: None) -> None:  # noqa: ARG001 - first
    """4,000 increments in one gather are all counted: gRPC cancels none that waits for its turn."""
    configuration = Configurations.Laptop.v1().with_client_timeout(timedelta(minutes=5))
    async with CacheClientAsync(configuration, momento.credentials, MINUTE) as client:
        answers = await asyncio.gather(*(client.increment(cache, "count") for _ in range(CALLS)))
    assert Counter(getattr(answer, "error_code", None) for answer in answers) == {None: CALLS}
    assert sorted(getattr(answer, "value", 0) for answer in answers) == list(range(1, CALLS + 1))


@pytest.fixture(scope="module")
def small() -> Iterator[Momento]:
    """Yield a server with small limits, which has one cache."""
    with momento_running("--cache", "boards", "--max-calls", "2", "--max-item-bytes", "1000") as momento:
        yield momento


def refusal(call: Any) -> tuple[grpc.StatusCode, str | None, str]:
    """Return the status, the trailer ``err`` and the details of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), dict(caught.value.trailing_metadata() or ()).get("err"), caught.value.details()


def test_calls_that_are_open(small: Momento) -> None:
    """Beyond the limit a call is refused, a subscription or not, until another one ends."""

    def publish() -> Any:
        return small.topics.Publish(pubsub._PublishRequest(cache_name="boards", topic="t", value={"text": "x"}))

    def subscribe() -> Any:
        items = small.topics.Subscribe(pubsub._SubscriptionRequest(cache_name="boards", topic="t"))
        assert next(items).HasField("heartbeat")
        return items

    one, other = subscribe(), subscribe()
    for call in (publish, subscribe):
        status, err, details = refusal(call)
        assert (status, err) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "operations_rate_limit_exceeded")
        assert "2 calls are open, as many as --max-calls allows" in details
    assert is_refused(publish)
    one.cancel()
    # The server learns of it a moment later.
    assert any(not is_refused(publish) for _ in range(1_000))
    assert next(other).item.value.text == "x"
    other.cancel()


def is_refused(call: Any) -> bool:
    """Make a call; return whether it is refused."""
    try:
        call()
    except grpc.RpcError:
        return True
    return False


def put(momento: Momento, **scores: float) -> Any:
    """Put values to the set "set"."""
    elements = [{"value": value.encode(), "score": score} for value, score in scores.items()]
    request = wire._SortedSetPutRequest(set_name=b"set", elements=elements, ttl_milliseconds=60_000)
    return momento.items.SortedSetPut(request, metadata=(("cache", "boards"),))


def set_(momento: Momento, body: bytes) -> Any:
    """Set the scalar "k"."""
    request = wire._SetRequest(cache_key=b"k", cache_body=body, ttl_milliseconds=60_000)
    return momento.items.Set(request, metadata=(("cache", "boards"),))


def test_an_item_that_is_too_large(small: Momento) -> None:
    """A scalar of the limit is kept, with its key; a larger one is refused with the cause, and the old one stays."""
    set_(small, b"x" * 999)
    status, err, details = refusal(lambda: set_(small, b"y" * 1000))
    assert (status, err) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "item_size_limit_exceeded")
    assert "1,001 bytes with its key, over the item size limit of 1,000, which --max-item-bytes sets" in details
    found = small.items.Get(wire._GetRequest(cache_key=b"k"), metadata=(("cache", "boards"),))
    assert found.cache_body == b"x" * 999


def test_a_set_that_grows_too_large(small: Momento) -> None:
    """A set is one item: what would make it too large is refused as a whole; replaced and removed values are free."""
    put(small, **{f"{number:042}": 1.0 for number in range(19)})
    for _ in range(3):
        put(small, **{f"{number:042}": 2.0 for number in range(19)})
    assert refusal(lambda: put(small, a=1.0, **{f"{19:042}": 1.0}))[1] == "item_size_limit_exceeded"
    increment = wire._SortedSetIncrementRequest(set_name=b"set", value=b"b" * 60, amount=1, ttl_milliseconds=60_000)
    call = small.items.SortedSetIncrement
    assert refusal(lambda: call(increment, metadata=(("cache", "boards"),)))[1] == "item_size_limit_exceeded"
    length = small.items.SortedSetLength(wire._SortedSetLengthRequest(set_name=b"set"), metadata=(("cache", "boards"),))
    assert length.found.length == 19
    some = wire._SortedSetRemoveRequest._Some(values=[b"%042d" % number for number in range(18)])
    small.items.SortedSetRemove(
        wire._SortedSetRemoveRequest(set_name=b"set", some=some), metadata=(("cache", "boards"),)
    )
    put(small, a=1.0)


def test_the_sdk_says_which_limit(momento: Momento, cache: str) -> None:
    """The official SDK, which itself refuses more than 5,243,000 bytes, makes its own message of the cause."""
    with CacheClient(Configurations.Laptop.latest(), momento.credentials, MINUTE) as client:
        answer = client.set(cache, "k", b"x" * 5_242_900)
    assert "Item size limit exceeded" in str(getattr(answer, "message", ""))


def test_a_request_beyond_all_limits(momento: Momento, cache: str) -> None:
    """What is larger than any request that is read is refused by gRPC itself."""
    request = wire._SetRequest(cache_key=b"k", cache_body=b"x" * LARGEST_MESSAGE, ttl_milliseconds=60_000)
    status, err, _ = refusal(lambda: momento.items.Set(request, metadata=(("cache", cache),)))
    assert (status, err) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
