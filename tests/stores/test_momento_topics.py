"""Hints over Momento's Topics, and what a browser needs to listen to them: with the SDK, on a local server."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import httpx
import pytest
from momento import CredentialProvider, TopicClientAsync, TopicConfigurations
from momento.errors import MomentoErrorCode
from momento.responses import TopicPublish, TopicSubscribe, TopicSubscriptionItem

from laurels.errors import KeyRefused, StoreUnavailable
from laurels.stores.momento import topics
from laurels.stores.momento.connection import FixedKey
from laurels.stores.momento.topics import TOKEN_SECONDS, WEB, Publisher, Subscription, Subscriptions, topic_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.momento import Momento

pytestmark = pytest.mark.anyio
NAMES = [
    "kart",
    "kärt",
    "KART",
    " kart",
    "kart/a",
    "kart%2Fa",
    "kart:a",
    "live:kart",
    "a\nb",
    "n" * 256,
    "é" * 128,
    "sha256",
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Keep one loop for all tests here: what gRPC still has for one that is closed fails in the next."""
    return "asyncio"


@pytest.fixture
def cache(momento: Momento) -> str:
    """Return the name of a new, empty cache."""
    return momento.new_cache()


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: str) -> None:  # noqa: ARG001 - it comes first
    """Hold the loop."""
    return


@pytest.fixture
def slow(momento: Momento) -> Iterator[None]:
    """Let Momento answer too late, to the end of the test."""
    connections = momento.connections
    with httpx.Client(base_url=connections.account_url, headers={"authorization": connections.api_key}) as account:
        faults = ["Publish:delay=30s", "GenerateDisposableToken:delay=30s"]
        account.put("/-/faults", json={"faults": faults}).raise_for_status()
        yield
        account.put("/-/faults", json={"faults": []}).raise_for_status()


@asynccontextmanager
async def publishing(momento: Momento, cache: str, key: str = "") -> AsyncIterator[Publisher]:
    """Yield a publisher with a key, by default that of the owner."""
    publisher = Publisher(cache, FixedKey(key or momento.connections.api_key), momento.connections.endpoint)
    yield publisher
    await publisher.close()


@asynccontextmanager
async def giving(momento: Momento, cache: str, **options: object) -> AsyncIterator[Subscriptions]:
    """Yield what gives out subscriptions."""
    keys = FixedKey(momento.connections.api_key)
    subscriptions = Subscriptions(cache, keys, momento.connections.endpoint, **options)  # type: ignore[arg-type]
    yield subscriptions
    await subscriptions.close()


@asynccontextmanager
async def client(momento: Momento, given: Subscription) -> AsyncIterator[TopicClientAsync]:
    """Yield a client of the official SDK with the token of a subscription."""
    token = CredentialProvider.from_disposable_token(given.token)
    host = momento.host
    at = replace(token, cache_endpoint=host, control_endpoint=host, token_endpoint=host, port=momento.port)
    configuration = TopicConfigurations.Default.v1().with_client_timeout(timedelta(minutes=1))
    async with TopicClientAsync(configuration, at) as made:
        yield made


def test_each_board_has_a_topic_of_its_own() -> None:
    """Whatever boards and namespaces are called, no two share a topic; its name is short and plain."""
    made = [topic_of(namespace, board) for namespace, board in product([None, "live", "dev", "dev.live"], NAMES)]
    assert len(set(made)) == len(made)
    assert all(topic.isascii() and topic.isprintable() and " " not in topic for topic in made)
    assert max(map(len, made)) < 300
    assert topic_of("dev", "kärt") == "dev:live:k%C3%A4rt"


@pytest.mark.parametrize("name", ['v"\\', "späte\u2028r", "n" * 256])
async def test_who_listens_gets_hints(momento: Momento, cache: str, name: str) -> None:
    """The official SDK, with the token for a board, gets the hints of that board, each with who and what."""
    async with publishing(momento, cache) as publisher, giving(momento, cache) as subscriptions:
        given = await subscriptions.subscribe("kärt/1")
        assert given[1:3] == (cache, topic_of(None, "kärt/1"))
        async with client(momento, given) as listener:
            subscription = await listener.subscribe(given.cache, given.topic)
            assert isinstance(subscription, TopicSubscribe.SubscriptionAsync)
            await publisher.publish("other", name, 1)
            await publisher.publish("kärt/1", name, 2.5)
            item = await anext(subscription)
            assert isinstance(item, TopicSubscriptionItem.Text)
            assert json.loads(item.value) == {"name": name, "score": 2.5}
            subscription.unsubscribe()


async def test_a_token_is_for_listening_to_one_board(momento: Momento, cache: str) -> None:
    """It does not publish, listens to no other board and no other cache, and its representation hides it."""
    async with giving(momento, cache) as subscriptions:
        given = await subscriptions.subscribe("kart")
        assert given.token not in repr(given)
        async with client(momento, given) as listener:
            refused = [
                await listener.publish(cache, given.topic, "x"),
                await listener.subscribe(cache, topic_of(None, "other")),
                await listener.subscribe(momento.new_cache(), given.topic),
            ]
    assert all(isinstance(each, TopicPublish.Error | TopicSubscribe.Error) for each in refused)
    assert {getattr(each, "error_code", None) for each in refused} == {MomentoErrorCode.PERMISSION_ERROR}


async def test_a_token_is_given_out_for_half_its_life(momento: Momento, cache: str) -> None:
    """Then there is a new one, and so if the clock is set back; each board has its own."""
    now = 1000.0
    async with giving(momento, cache, clock=lambda: now) as subscriptions:
        first = await subscriptions.subscribe("kart")
        now += TOKEN_SECONDS / 2 - 1
        assert await subscriptions.subscribe("kart") is first
        assert (await subscriptions.subscribe("other")).token != first.token
        now += 1
        second = await subscriptions.subscribe("kart")
        assert second is not first
        now -= 1
        assert await subscriptions.subscribe("kart") is not second


async def test_few_tokens_are_kept(momento: Momento, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more boards than that, those that were asked for long ago get a new one."""
    monkeypatch.setattr(topics, "TOKENS_KEPT", 2)
    async with giving(momento, cache) as subscriptions:
        first, second, _ = [await subscriptions.subscribe(board) for board in "abc"]
        assert await subscriptions.subscribe("b") is second
        assert await subscriptions.subscribe("a") is not first


async def test_where_browsers_listen(momento: Momento, cache: str) -> None:
    """It is the address of Momento's for browsers at the token's endpoint, or another that is given."""
    async with giving(momento, cache) as own, giving(momento, cache, web="http://127.0.0.1:1") as other:
        place = momento.connections.endpoint.removeprefix("http://")
        assert (await own.subscribe("kart")).endpoint == f"{WEB}{place}"
        assert (await other.subscribe("kart")).endpoint == "http://127.0.0.1:1"


async def test_keys_without_the_right(momento: Momento, cache: str) -> None:
    """A key that may not is a refused key, for a hint and for a token."""
    async with giving(momento, cache) as subscriptions:
        token = (await subscriptions.subscribe("kart")).token
    async with publishing(momento, cache, token) as publisher:
        with pytest.raises(KeyRefused):
            await publisher.publish("kart", "v", 1)
    denied = Subscriptions(cache, FixedKey(token), momento.connections.endpoint)
    with pytest.raises(KeyRefused):
        await denied.subscribe("other")
    await denied.close()


@pytest.mark.usefixtures("slow")
async def test_momento_is_slow(momento: Momento, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for longer than it may."""
    monkeypatch.setattr(topics, "PUBLISH_SECONDS", 0.05)
    monkeypatch.setattr(topics, "ASK_SECONDS", 0.05)
    async with publishing(momento, cache) as publisher, giving(momento, cache) as subscriptions:
        with pytest.raises(StoreUnavailable):
            await publisher.publish("kart", "v", 1)
        with pytest.raises(StoreUnavailable):
            await subscriptions.subscribe("kart")
