"""The connection to Momento: keys, what the SDK connects with, and the clients of the SDK: for caches, topics, tokens.

A client of the SDK is bound to one key: a new key gets a new client, and the old one is closed when the last call on it
has ended. A client is also replaced if its connection may be lost (IDLE_SECONDS, BREAKING).
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import re
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from momento import CacheClientAsync, Configurations, CredentialProvider
from momento.config.transport.transport_strategy import StaticGrpcConfiguration
from momento.errors import SdkException, exceptions
from momento.responses.mixins import ErrorResponseMixin

from laurels.errors import AnswerLost, CacheMissing, KeyRefused, LimitReached, StoreError, StoreUnavailable
from laurels.stores.contract import TTL_SECONDS
from laurels.tracing import calling, is_recorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from momento.config import Configuration

    from laurels.figures import Figures

TTL = timedelta(seconds=TTL_SECONDS)
FRESH_SECONDS = 1
"""How long a client is kept that cannot connect. gRPC's own would try again only after up to two minutes."""
IDLE_SECONDS = 240
"""How long a client is kept that is not used. Networks forget a quiet connection, after 350 seconds at AWS."""
BREAKING = (exceptions.ServerUnavailableException, exceptions.TimeoutException)
"""The errors that end a connection. A timeout too: gRPC notices a lost one only after a quarter of an hour."""
FIRST_SEND_BYTES = 2**23
LAST_PORT = 2**16 - 1

_LOCAL = re.compile(r"http://(\[[^/]+\]|[^/:]+):([0-9]{1,5})/?")
_DIRECT = "no_grpc_proxy"
_KINDS = "A key of Momento's is wanted, v1, v2 or legacy, as its console gives it"

_log = logging.getLogger("laurels.stores")

KINDS: dict[type[StoreError], str] = {
    KeyRefused: "key_refused",
    CacheMissing: "cache_missing",
    LimitReached: "limit",
    AnswerLost: "answer_lost",
    StoreUnavailable: "unavailable",
    StoreError: "refused",
}
"""What the metrics call an error: the first that it is one of."""
TIMEOUT = "timeout"
"""The same for one that such a cause tells from others that have no answer."""

C = TypeVar("C")
"""A client of the SDK."""
R = TypeVar("R")


class Keys(Protocol):
    """Where a store gets its key from."""

    async def current(self) -> str:
        """Return the key to use now. It is called before each operation."""

    async def refused(self, key: str) -> str:
        """Report that Momento refused ``key``, and return the one to use now, which may be the same."""


class FixedKey:
    """One key that never changes."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def current(self) -> str:
        """Return the key."""
        return self._key

    async def refused(self, _key: str) -> str:
        """Return the key again: there is no other."""
        return self._key


def read_credentials(key: str, endpoint: str | None = None) -> CredentialProvider:
    """Return what the SDK connects with; raise KeyRefused if the key is none.

    A v2 key needs its ``endpoint``; v1 and legacy keys hold their own. An endpoint of the form ``http://host:port`` is
    a local server: it is reached without TLS, whatever the key holds, and also without a key.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise KeyRefused(f"it has characters that no key has. {_KINDS}")
    local = _LOCAL.fullmatch(endpoint or "")
    if "/" in (endpoint or "") and (local is None or int(local[2]) > LAST_PORT):
        raise KeyRefused(f"its endpoint {endpoint!r} is neither a host's name nor http://HOST:PORT of a local server")
    if local is None:
        if not key:
            raise KeyRefused("there is none: MOMENTO_API_KEY, or the parameter of a function, is to hold it")
        return _read_key(key, endpoint)
    host, port = local[1], int(local[2])
    _ask_directly(host)
    if not key:
        return CredentialProvider.for_momento_local(host, port)
    provider = _read_key(key, host)
    return replace(provider, control_endpoint=host, cache_endpoint=host, token_endpoint=host, port=port)


def _ask_directly(host: str) -> None:
    """Let gRPC reach a host without a proxy, whatever the environment says: the SDK knows no other switch of its."""
    excepted = os.environ.get(_DIRECT) or os.environ.get("no_proxy") or ""
    os.environ[_DIRECT] = ",".join(dict.fromkeys([*filter(None, excepted.split(",")), host.strip("[]")]))


def _read_key(key: str, endpoint: str | None) -> CredentialProvider:
    """Try the kinds of keys. What the SDK raises is not passed on as the cause, because it may hold the key."""
    try:
        return CredentialProvider.from_disposable_token(key)
    except (SdkException, ValueError, LookupError, TypeError):
        pass
    try:
        provider = CredentialProvider.from_api_key_v2(key, endpoint or "its own")
    except SdkException:
        raise KeyRefused(f"it cannot be read. {_KINDS}") from None
    if not endpoint:
        raise KeyRefused("it is a v2 key, which needs its endpoint beside it, in MOMENTO_ENDPOINT")
    return provider


class _Client(Generic[C]):
    """A client of the SDK, of one key. Enter it for each operation; once retired it is closed after the last one."""

    def __init__(self, key: str, client: C, close: Callable[[], Awaitable[object]]) -> None:
        self.key = key
        self.made = self.used = time.time()
        self.is_broken = False
        self.closed = asyncio.Event()
        self._client = client
        self._close = close
        self._operations = 0
        self._retired = self._closing = False

    @property
    def is_good(self) -> bool:
        """Whether an operation may use its connection."""
        return not self.is_broken and 0 <= time.time() - self.used < IDLE_SECONDS

    async def __aenter__(self) -> C:
        self.used = time.time()
        self._operations += 1
        return self._client

    async def __aexit__(self, *_: object) -> None:
        self._operations -= 1
        if self._retired:
            await self.retire()

    async def retire(self) -> None:
        """Accept no more operations, and close the client if none is under way."""
        self._retired = True
        if self._operations or self._closing:
            return
        self._closing = True
        try:
            await self._close()
        finally:
            self.closed.set()


class Traced:
    """A client of the SDK whose calls are spans of the request that makes them."""

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Return a method that makes a span, or whatever else the client has of that name."""
        found = getattr(self._client, name)
        return partial(_call_traced, name, found) if inspect.iscoroutinefunction(found) else found


async def _call_traced(
    name: str, method: Callable[..., Awaitable[Any]], cache: str, *rest: object, **more: object
) -> Any:
    """Call a method of the SDK, which returns an error as an answer."""
    with calling(name, call_attributes(name, cache), is_remote=True) as failed:
        answer = await method(cache, *rest, **more)
        if isinstance(answer, ErrorResponseMixin):
            failed(answer.inner_exception)
    return answer


def call_attributes(name: str, cache: str) -> dict[str, str]:
    """Return what a span says of a call."""
    return {"db.system.name": "momento", "db.operation.name": name, "db.namespace": cache}


class Connection(Generic[C]):
    """The way of one store to Momento. It belongs to the event loop of its first operation.

    ``connect`` makes a client, with a number that no other one has: for :func:`own_connection`.
    """

    def __init__(self, keys: Keys, endpoint: str | None, connect: Callable[[CredentialProvider, int], C]) -> None:
        self._keys = keys
        self._endpoint = endpoint
        self._connect = connect
        self._numbers = itertools.count(FIRST_SEND_BYTES)
        self.clients: list[_Client[C]] = []
        """The client in use is the last; those before it finish what is under way."""
        self._closed = False
        self._errors = dict.fromkeys([TIMEOUT, *KINDS.values()], 0)

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {
            "momento_errors": {**self._errors},
            "momento_clients": len(self.clients),
            "momento_broken": bool(self.clients) and self.clients[-1].is_broken,
        }

    async def call(self, operation: Callable[[C], Awaitable[R]]) -> R:
        """Do an operation with the present key; if that is refused and there is another, once more with that."""
        key = await self._keys.current()
        try:
            return await self._call(key, operation)
        except KeyRefused:
            renewed = await self._keys.refused(key)
            if renewed == key:
                raise
        return await self._call(renewed, operation)

    async def _call(self, key: str, operation: Callable[[C], Awaitable[R]]) -> R:
        if self._closed:
            raise StoreUnavailable("The store is closed")
        try:
            entered = self._client_of(key)
            async with entered as client:
                if len(self.clients) > 1:
                    await self._retire_old()
                return await operation(cast("C", Traced(client)) if is_recorded() else client)
        except StoreError as error:
            self._errors[_kind_of(error)] += 1
            if isinstance(error, KeyRefused):
                _log.error("%s", error)
            elif isinstance(error.__cause__, BREAKING) and not 0 <= time.time() - entered.made < FRESH_SECONDS:
                entered.is_broken = True
            raise

    def _client_of(self, key: str) -> _Client[C]:
        if not self.clients or self.clients[-1].key != key or not self.clients[-1].is_good:
            client: Any = self._connect(read_credentials(key, self._endpoint), next(self._numbers))
            _log.debug("A new connection to Momento, of %d", len(self.clients) + 1)
            self.clients.append(_Client(key, client, lambda: client.__aexit__(None, None, None)))
        return self.clients[-1]

    async def _retire_old(self) -> None:
        for client in self.clients[:-1]:
            await client.retire()
        self.clients = [client for client in self.clients if not client.closed.is_set()]

    async def close(self) -> None:
        """Wait for the operations under way, and close all clients."""
        self._closed = True
        for client in self.clients:
            await client.retire()
            await client.closed.wait()


def _kind_of(error: StoreError) -> str:
    """Return what the metrics call an error."""
    if isinstance(error.__cause__, exceptions.TimeoutException):
        return TIMEOUT
    return next(name for kind, name in KINDS.items() if isinstance(error, kind))


def connect_cache(
    keys: Keys, endpoint: str | None, ttl: timedelta, configuration: Configuration | None = None
) -> Connection[CacheClientAsync]:
    """Return the way to caches."""
    configuration = configuration or Configurations.Lambda.latest()

    def connect(credentials: CredentialProvider, number: int) -> CacheClientAsync:
        return CacheClientAsync(own_connection(configuration, number), credentials, ttl)

    return Connection(keys, endpoint, connect)


def own_connection(configuration: Any, send_bytes: int) -> Any:
    """Return a configuration for caches or tokens of which gRPC makes a connection of its own.

    gRPC has one connection for all channels with equal options. The size of the longest message is one that does no
    harm, so each client has another.
    """
    strategy = configuration.get_transport_strategy()
    known = strategy.get_grpc_configuration()
    own = StaticGrpcConfiguration(
        known.get_deadline(),
        known.get_root_certificates_pem(),
        send_bytes,
        known.get_max_receive_message_length(),
        known.get_keepalive_permit_without_calls(),  # 0 and 1 mean False and True
        known.get_keepalive_time(),
        known.get_keepalive_timeout(),
    )
    return configuration.with_transport_strategy(strategy.with_grpc_configuration(own))
