"""Calls on whole caches by the official SDK, and the start and the end of the server."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento.errors import MomentoErrorCode
from momento.responses import CacheFlush, CreateCache, DeleteCache, ListCaches
from momento_wire_types import cachepubsub_pb2 as pubsub

from laurels.momento_local.errors import CallRefused, NotListening
from laurels.momento_local.keys import Keys
from laurels.momento_local.server import STATUS, MomentoServer
from tests.momento import momento_running

if TYPE_CHECKING:
    from momento import CacheClientAsync

    from tests.momento import Momento

pytestmark = pytest.mark.anyio


async def names(client: CacheClientAsync) -> list[str]:
    """Return the names of the caches."""
    response = await client.list_caches()
    assert isinstance(response, ListCaches.Success)
    return [info.name for info in response.caches]


async def test_create_and_delete(client: CacheClientAsync) -> None:
    """A cache is listed from when it is created until it is deleted."""
    assert isinstance(await client.create_cache("short-lived"), CreateCache.Success)
    assert "short-lived" in await names(client)
    assert isinstance(await client.delete_cache("short-lived"), DeleteCache.Success)
    assert "short-lived" not in await names(client)


async def test_create_again(client: CacheClientAsync, cache: str) -> None:
    """Creating a cache again is answered with AlreadyExists."""
    assert isinstance(await client.create_cache(cache), CreateCache.CacheAlreadyExists)


async def test_delete_what_is_not_there(client: CacheClientAsync) -> None:
    """Deleting a missing cache is answered with NOT_FOUND."""
    response = await client.delete_cache("ghost")
    assert getattr(response, "error_code", None) == MomentoErrorCode.NOT_FOUND_ERROR


async def test_flush(client: CacheClientAsync, cache: str) -> None:
    """Flushing drops all items, and keeps the cache."""
    await client.set(cache, "k", "v")
    assert isinstance(await client.flush_cache(cache), CacheFlush.Success)
    assert not getattr(await client.get(cache, "k"), "value_bytes", None)
    assert cache in await names(client)


async def test_a_port_in_use(momento: Momento) -> None:
    """A second server cannot listen on the port of the first, and the error says what to do."""
    other = MomentoServer(Keys(b"secret" * 6, lambda: 0.0, is_open=True))
    with pytest.raises(NotListening, match="Choose another with --port"):
        other.listen(momento.host, momento.port)
    await other.stop()


async def test_an_address_of_another_machine() -> None:
    """The error for an address that is not this machine's has the address, also of IPv6."""
    server = MomentoServer(Keys(b"secret" * 6, lambda: 0.0, is_open=True))
    with pytest.raises(NotListening, match=r"\[2001:db8::1\]:8080"):
        server.listen("2001:db8::1", 8080)
    await server.stop()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
async def test_a_signal_ends_it(sign: signal.Signals) -> None:
    """A signal ends the server; subscribers get UNAVAILABLE, and not that the cache is gone."""
    request = pubsub._SubscriptionRequest(cache_name="boards", topic="news")
    with momento_running("--cache", "boards") as momento:
        messages: Any = momento.topics.Subscribe(request, timeout=30)
        next(messages)
        momento.process.send_signal(sign)
        with pytest.raises(grpc.RpcError) as caught:
            next(messages)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert momento.process.wait(20) == 0


async def test_every_refusal_has_its_status() -> None:
    """Every class of refusal has a status of its own."""
    assert set(STATUS) == set(CallRefused.__subclasses__())
    assert len(set(STATUS.values())) == len(STATUS)
