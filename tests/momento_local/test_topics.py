"""Topics: with the official SDK, and in detail with stubs of the protocol."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento import AuthClientAsync, CredentialProvider, TopicClientAsync
from momento.auth.access_control.disposable_token_scope import DisposableTokenProps
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.config import TopicConfigurations
from momento.config.auth_configurations import AuthConfigurations
from momento.errors import MomentoErrorCode
from momento.responses import GenerateDisposableToken, TopicPublish, TopicSubscribe, TopicSubscriptionItem
from momento.utilities.expiration import ExpiresIn
from momento_wire_types import cachepubsub_pb2 as pubsub
from momento_wire_types import controlclient_pb2 as control

from laurels.momento_local.topics import HEARTBEAT, KEPT, Topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.momento import Momento


def publish(momento: Momento, cache: str, *texts: str) -> None:
    """Publish to the topic "news"."""
    for text in texts:
        value = pubsub._TopicValue(text=text)
        momento.topics.Publish(pubsub._PublishRequest(cache_name=cache, topic="news", value=value))


def subscribe(momento: Momento, cache: str, number: int = 0, page: int = 0) -> Iterator[Any]:
    """Subscribe to the topic "news"; the first message is a heartbeat."""
    request = pubsub._SubscriptionRequest(
        cache_name=cache, topic="news", resume_at_topic_sequence_number=number, sequence_page=page
    )
    messages: Iterator[Any] = momento.topics.Subscribe(request, timeout=30)
    assert next(messages) == HEARTBEAT
    return messages


def texts(messages: Iterator[Any], count: int) -> list[str]:
    """Return the texts of the next items."""
    return [message.item.value.text for message in islice(messages, count)]


@pytest.fixture
async def topics(momento: Momento, one_loop: None) -> AsyncIterator[TopicClientAsync]:  # noqa: ARG001 - first
    """Yield a client of the official SDK, whose subscriptions last up to an hour."""
    configuration = TopicConfigurations.Default.v1().with_client_timeout(timedelta(hours=1))
    async with TopicClientAsync(configuration, momento.credentials) as topics:
        yield topics


@pytest.mark.anyio
async def test_what_is_published_arrives(topics: TopicClientAsync, cache: str) -> None:
    """Text and bytes arrive in order, each with the next number."""
    subscription = await topics.subscribe(cache, "news")
    assert isinstance(subscription, TopicSubscribe.SubscriptionAsync)
    for value in ("one", b"\xff", "three"):
        assert isinstance(await topics.publish(cache, "news", value), TopicPublish.Success)
    items = [await anext(subscription) for _ in range(3)]
    assert not any(isinstance(item, TopicSubscriptionItem.Error) for item in items)
    assert [getattr(item, "value", None) for item in items] == ["one", b"\xff", "three"]
    assert [getattr(item, "sequence_number", None) for item in items] == [1, 2, 3]
    subscription.unsubscribe()


@pytest.mark.anyio
async def test_a_missing_cache_has_no_topics(topics: TopicClientAsync) -> None:
    """Neither publish nor subscribe makes a cache."""
    for response in (await topics.publish("ghost", "news", "x"), await topics.subscribe("ghost", "news")):
        assert getattr(response, "error_code", None) == MomentoErrorCode.NOT_FOUND_ERROR


def test_every_subscriber_gets_every_item(momento: Momento, cache: str) -> None:
    """Each subscription gets all items that are published after it."""
    subscriptions = [subscribe(momento, cache) for _ in range(3)]
    publish(momento, cache, "a", "b")
    assert [texts(messages, 2) for messages in subscriptions] == [["a", "b"]] * 3


def test_a_new_subscription_begins_with_the_newest(momento: Momento, cache: str) -> None:
    """Number 0 replays the newest item, and goes on with what comes."""
    publish(momento, cache, "old", "newest")
    messages = subscribe(momento, cache)
    publish(momento, cache, "next")
    assert texts(messages, 2) == ["newest", "next"]


def test_a_subscription_resumes(momento: Momento, cache: str) -> None:
    """A number that is kept, or the next one, goes on there without a gap."""
    publish(momento, cache, "a", "b", "c")
    first = next(subscribe(momento, cache, 2))
    assert first.item.value.text == "b"
    live = subscribe(momento, cache, 4, first.item.sequence_page)
    publish(momento, cache, "d")
    assert texts(live, 1) == ["d"]


@pytest.mark.parametrize(("number", "page"), [(9, 0), (2, 7)], ids=["a number to come", "another page"])
def test_an_unknown_number_is_a_discontinuity(momento: Momento, cache: str, number: int, page: int) -> None:
    """A number that is not of this page gets a discontinuity, and then the kept items."""
    publish(momento, cache, "a", "b", "c")
    messages = subscribe(momento, cache, number, page)
    gap, first = next(messages).discontinuity, next(messages).item
    assert gap.last_topic_sequence == number - 1
    assert gap.new_topic_sequence == 1
    assert first.value.text == "a"
    assert first.sequence_page == gap.new_sequence_page


def test_what_is_too_old_is_a_discontinuity(momento: Momento, cache: str) -> None:
    """A number that is no longer kept goes on with the oldest item that is."""
    publish(momento, cache, *(str(number) for number in range(1, KEPT + 4)))
    messages = subscribe(momento, cache, 2)
    gap = next(messages).discontinuity
    assert gap.last_topic_sequence == 1
    assert gap.new_topic_sequence == 4
    assert texts(messages, KEPT) == [str(number) for number in range(4, KEPT + 4)]


def test_a_deleted_cache_ends_its_subscriptions(momento: Momento, cache: str) -> None:
    """Deleting a cache ends its subscriptions with NOT_FOUND; a new cache of that name has another page."""
    publish(momento, cache, "a")
    messages = subscribe(momento, cache)
    page = next(messages).item.sequence_page
    momento.caches.DeleteCache(control._DeleteCacheRequest(cache_name=cache))
    with pytest.raises(grpc.RpcError) as caught:
        next(messages)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    momento.caches.CreateCache(control._CreateCacheRequest(cache_name=cache))
    publish(momento, cache, "b")
    assert next(subscribe(momento, cache)).item.sequence_page != page


def test_a_flushed_cache_keeps_its_topics(momento: Momento, cache: str) -> None:
    """Flushing drops the items, and ends no subscription."""
    messages = subscribe(momento, cache)
    momento.caches.FlushCache(control._FlushCacheRequest(cache_name=cache))
    publish(momento, cache, "a")
    assert texts(messages, 1) == ["a"]


@pytest.mark.anyio
async def test_heartbeats_in_silence() -> None:
    """While nothing is published there are heartbeats, and then comes the item."""
    topic = Topic(page=1)
    messages = topic.follow(0, 0, beat=0.001)
    assert [await anext(messages) for _ in range(3)] == [HEARTBEAT] * 3
    topic.publish(pubsub._TopicValue(text="a"), publisher="someone")
    item = next(message for message in [await anext(messages), await anext(messages)] if message.HasField("item"))
    assert item.item.value.text == "a"
    assert item.item.publisher_id == "someone"


@pytest.mark.anyio
async def test_two_items_at_once() -> None:
    """A waiting subscriber gets both of two items that are published in one turn of the loop."""
    topic = Topic(page=1)
    messages = topic.follow(0, 0, beat=60)
    assert await anext(messages) == HEARTBEAT
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    for text in ("a", "b"):
        topic.publish(pubsub._TopicValue(text=text))
    items = [await waiting, await anext(messages)]
    assert [message.item.value.text for message in items] == ["a", "b"]


@pytest.mark.anyio
async def test_publisher_id(momento: Momento, cache: str) -> None:
    """An item has the id of the disposable token that it was published with."""
    key = momento.connections.api_key
    credentials = CredentialProvider(key, momento.host, momento.host, momento.host, momento.port)
    async with AuthClientAsync(AuthConfigurations.Laptop.latest(), credentials) as auth:
        scope = DisposableTokenScopes.topic_publish_only(cache, "news")
        token = await auth.generate_disposable_token(scope, ExpiresIn.minutes(1), DisposableTokenProps("me"))
    assert isinstance(token, GenerateDisposableToken.Success)
    request = pubsub._PublishRequest(cache_name=cache, topic="news", value=pubsub._TopicValue(text="a"))
    key = CredentialProvider.from_disposable_token(token.auth_token).auth_token
    momento.topics.Publish(request, metadata=(("authorization", key),))
    assert next(subscribe(momento, cache)).item.publisher_id == "me"


@pytest.mark.anyio
async def test_slow_subscriber_gets_a_discontinuity() -> None:
    """A subscriber that falls behind gets a discontinuity, and then the oldest item that is kept."""
    topic = Topic(page=1)
    topic.publish(pubsub._TopicValue(text="first"))
    messages = topic.follow(1, 0, beat=1)
    assert [(await anext(messages)).WhichOneof("kind") for _ in range(2)] == ["heartbeat", "item"]
    for _ in range(KEPT + 5):
        topic.publish(pubsub._TopicValue(text="more"))
    gap = (await anext(messages)).discontinuity
    assert gap.last_topic_sequence == 1
    assert gap.new_topic_sequence == 7
    assert (await anext(messages)).item.topic_sequence_number == 7
