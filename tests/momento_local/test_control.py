"""Caches as wholes, by the official SDK, and the server as a process."""

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
    """Name the caches that there are."""
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
    """A cache that is there is told from one that was made."""
    assert isinstance(await client.create_cache(cache), CreateCache.CacheAlreadyExists)


async def test_delete_what_is_not_there(client: CacheClientAsync) -> None:
    """A cache that is not there is not found."""
    response = await client.delete_cache("ghost")
    assert getattr(response, "error_code", None) == MomentoErrorCode.NOT_FOUND_ERROR


async def test_flush(client: CacheClientAsync, cache: str) -> None:
    """Flushing drops all items, and leaves the cache."""
    await client.set(cache, "k", "v")
    assert isinstance(await client.flush_cache(cache), CacheFlush.Success)
    assert not getattr(await client.get(cache, "k"), "value_bytes", None)
    assert cache in await names(client)


async def test_a_port_in_use_is_told(momento: Momento) -> None:
    """A second server does not share the port of the first, and says what to do."""
    other = MomentoServer(Keys(b"secret" * 6, lambda: 0.0, is_open=True))
    with pytest.raises(NotListening, match="Choose another with --port"):
        other.listen(momento.host, momento.port)
    await other.stop()


async def test_an_address_of_another_machine_is_told() -> None:
    """An address that is not this machine's is told as it was given, of IPv6 too."""
    server = MomentoServer(Keys(b"secret" * 6, lambda: 0.0, is_open=True))
    with pytest.raises(NotListening, match=r"\[2001:db8::1\]:8080"):
        server.listen("2001:db8::1", 8080)
    await server.stop()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
async def test_it_ends_when_told(sign: signal.Signals) -> None:
    """A signal ends the server, and those who subscribe are told to come back: the cache is not said to be gone."""
    request = pubsub._SubscriptionRequest(cache_name="boards", topic="news")
    with momento_running("--cache", "boards") as momento:
        messages: Any = momento.topics.Subscribe(request, timeout=30)
        next(messages)
        momento.process.send_signal(sign)
        with pytest.raises(grpc.RpcError) as caught:
            next(messages)
        assert (caught.value.code(), momento.process.wait(20)) == (grpc.StatusCode.UNAVAILABLE, 0)


async def test_every_refusal_has_its_status() -> None:
    """Whatever a call is refused for, the client is told by a status of its own."""
    assert set(STATUS) == set(CallRefused.__subclasses__())
    assert len(set(STATUS.values())) == len(STATUS)
