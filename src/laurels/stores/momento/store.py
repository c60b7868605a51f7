"""The store on Momento's sorted sets, through the official SDK.

A board is one sorted set of one cache: the value of an element is the name, its score the score. Momento keeps equal
scores as the contract orders them by name, adds to a score in one act, and takes a whole set away a time after its last
submit: that of the board's definition, or the store's own (7 days by default). An addition is sent once: where its
answer was lost neither the SDK nor this store sends it again.

The SDK gives its errors as answers, and each is translated here, once (:data:`ERRORS`). A client of the SDK is bound to
one key: a new key gets a new client, and the old one is closed when the last act on it has ended.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from grpc import RpcError
from grpc.aio import Metadata
from momento import CacheClientAsync, Configurations, CredentialProvider
from momento.config.transport.transport_strategy import StaticGrpcConfiguration
from momento.errors import SdkException, convert_error, exceptions
from momento.internal.services import Service
from momento.requests import CollectionTtl, SortOrder
from momento.responses import CacheSortedSetFetch, CacheSortedSetGetRank, CacheSortedSetGetScore
from momento.responses.mixins import ErrorResponseMixin
from momento_wire_types import cacheclient_pb2 as wire

from laurels.errors import (
    AnswerLost,
    CacheMissing,
    KeyRefused,
    LimitReached,
    NotKept,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    SumUncertain,
)
from laurels.stores.contract import (
    TTL_SECONDS,
    Board,
    Capabilities,
    Change,
    IdempotencyKey,
    Order,
    Period,
    Place,
    Ranked,
    Refusal,
    Score,
    Standing,
    Store,
    Submission,
    Summary,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from momento.config import Configuration

    from laurels.definition import Definition

TTL = timedelta(seconds=TTL_SECONDS)
FURTHEST_RANK = 2**31 - 1
"""Ranks are 32-bit integers on the wire, and a set of 5 MB ends long before."""
FRESH_SECONDS = 1
"""How long a client is kept that cannot connect. gRPC's own would try again only after up to two minutes."""
IDLE_SECONDS = 240
"""How long a client is kept that is not used. Networks forget a quiet connection, after 350 seconds at AWS."""
BREAKING = (exceptions.ServerUnavailableException, exceptions.TimeoutException)
"""What ends a connection; silence too: a lost one is noticed by gRPC only after a quarter of an hour."""
SENT_BYTES = 2**23
LAST_PORT = 2**16 - 1
RESERVED = "-"
"""No board has this name."""

_ORDERS: dict[Order, SortOrder] = {"descending": SortOrder.DESCENDING, "ascending": SortOrder.ASCENDING}
_LOCAL = re.compile(r"http://(\[[^/]+\]|[^/:]+):([0-9]{1,5})/?")
_KINDS = "A key of Momento's is wanted, v1, v2 or legacy, as its console gives it"

_log = logging.getLogger("laurels.stores")

R = TypeVar("R")


class Keys(Protocol):
    """Where a store gets its key from."""

    async def current(self) -> str:
        """Give the key to use now. It is asked before each act."""

    async def refused(self, key: str) -> str:
        """Hear that Momento refused ``key``, and give the one to use now, which may be the same."""


class FixedKey:
    """One key for good."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def current(self) -> str:
        """Give the key."""
        return self._key

    async def refused(self, _key: str) -> str:
        """Give the key again: there is no other."""
        return self._key


def credentials(key: str, endpoint: str | None = None) -> CredentialProvider:
    """Make of a key what the SDK connects with; raise KeyRefused where that cannot be.

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
        return _read(key, endpoint)
    host, port = local[1], int(local[2])
    if not key:
        return CredentialProvider.for_momento_local(host, port)
    known = _read(key, host)
    return replace(known, control_endpoint=host, cache_endpoint=host, token_endpoint=host, port=port)


def _read(key: str, endpoint: str | None) -> CredentialProvider:
    """Try the kinds of keys. What the SDK raises is not handed on as the cause, because it may hold the key."""
    try:
        return CredentialProvider.from_disposable_token(key)
    except (SdkException, ValueError, LookupError, TypeError):
        pass
    try:
        known = CredentialProvider.from_api_key_v2(key, endpoint or "its own")
    except SdkException:
        raise KeyRefused(f"it cannot be read. {_KINDS}") from None
    if not endpoint:
        raise KeyRefused("it is a v2 key, which needs its endpoint beside it, in MOMENTO_ENDPOINT")
    return known


def _lost(problem: str) -> Callable[[str, SdkException], StoreError]:
    return lambda _, __: AnswerLost(f"Momento {problem}")


def _refused(_: str, error: SdkException) -> StoreError:
    return StoreRefused(error.message.rstrip("."))


ERRORS: dict[type[SdkException], Callable[[str, SdkException], StoreError]] = {
    exceptions.LimitExceededException: lambda _, error: LimitReached(f"Momento: {error.message_wrapper}"),
    exceptions.TimeoutException: _lost("did not answer in time"),
    exceptions.ServerUnavailableException: _lost("cannot be reached"),
    exceptions.ConnectionException: _lost("cannot be reached"),
    exceptions.CancelledException: _lost("broke the call off"),
    exceptions.InternalServerException: _lost("failed"),
    exceptions.UnknownServiceException: _lost("failed and did not say how"),
    exceptions.UnknownException: _lost("could not be asked, or gave no answer that its SDK knows"),
    exceptions.ClientResourceExhaustedException: lambda _, __: StoreUnavailable(
        "Momento could not be asked: this process is short of memory"
    ),
    exceptions.AuthenticationException: lambda _, __: KeyRefused("it is wrong, has expired or was revoked"),
    exceptions.PermissionDeniedException: lambda _, __: KeyRefused("it has no right to do this"),
    exceptions.NotFoundException: lambda cache, _: CacheMissing(cache),
    exceptions.AlreadyExistsException: _refused,
    exceptions.BadRequestException: _refused,
    exceptions.FailedPreconditionException: _refused,
    exceptions.InvalidArgumentException: _refused,
}
"""What each error of the SDK is here, made of the cache's name and the SDK's own exception.

By class, because two classes share a code. What Momento says goes no further where it could tell of this network or of
the key; it is kept as the cause.
"""


def checked(cache: str, answer: R) -> R:
    """Give the SDK's answer back unless it is an error; raise ours then. ``cache`` is the one that was asked for."""
    if isinstance(answer, ErrorResponseMixin):
        raise _translated(cache, answer.inner_exception) from answer.inner_exception
    return answer


def _translated(cache: str, error: SdkException) -> StoreError:
    return ERRORS[type(error)](cache, error)


class _Line:
    """One client, of one key. Enter it for each act; once retired it is closed when the last act has ended."""

    def __init__(self, key: str, client: CacheClientAsync) -> None:
        self.key = key
        self.made = self.used = time.time()
        self.is_broken = False
        self.closed = asyncio.Event()
        self._client = client
        self._acts = 0
        self._retired = self._closing = False

    @property
    def is_good(self) -> bool:
        """Whether an act may go over its connection."""
        return not self.is_broken and 0 <= time.time() - self.used < IDLE_SECONDS

    async def __aenter__(self) -> CacheClientAsync:
        self.used = time.time()
        self._acts += 1
        return self._client

    async def __aexit__(self, *_: object) -> None:
        self._acts -= 1
        if self._retired:
            await self.retire()

    async def retire(self) -> None:
        """Let no act in any more, and close the client if none is under way."""
        self._retired = True
        if self._acts or self._closing:
            return
        self._closing = True
        try:
            await self._client.__aexit__(None, None, None)
        finally:
            self.closed.set()


class MomentoStore(Store):
    """A store that keeps its boards in one cache of Momento's. It belongs to the event loop of its first act.

    ``endpoint`` is for keys that do not hold their own. ``ttl`` is how long a board stays after its last submit.
    """

    capabilities = Capabilities(
        durable=False,
        one_state=False,
        listing=False,
        defining=False,
        attempts=False,
        windows=False,
        exact_sums=False,
        batched_sums=False,
        operators=frozenset({"latest", "increment"}),
        ties=frozenset({"name"}),
        rankings=frozenset({"ordinal"}),
    )

    def __init__(
        self,
        cache: str,
        keys: Keys,
        endpoint: str | None = None,
        *,
        ttl: timedelta = TTL,
        configuration: Configuration | None = None,
    ) -> None:
        self._cache = cache
        self._keys = keys
        self._endpoint = endpoint
        self._ttl = ttl
        self._configuration = configuration or Configurations.Lambda.latest()
        self._numbers = itertools.count(SENT_BYTES)
        self._lines: list[_Line] = []
        self._closed = False

    async def _ask(self, question: Callable[[CacheClientAsync], Awaitable[R]]) -> R:
        """Put a question with the key of the moment; where that is refused and there is another, once more with it."""
        key = await self._keys.current()
        try:
            return await self._put(key, question)
        except KeyRefused:
            renewed = await self._keys.refused(key)
            if renewed == key:
                raise
        return await self._put(renewed, question)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed")

    async def _put(self, key: str, question: Callable[[CacheClientAsync], Awaitable[R]]) -> R:
        self._check_open()
        try:
            line = self._line(key)
            async with line as client:
                if len(self._lines) > 1:
                    await self._retire_old()
                return await question(client)
        except KeyRefused as refusal:
            _log.error("%s", refusal)
            raise
        except StoreUnavailable as outage:
            if isinstance(outage.__cause__, BREAKING) and not 0 <= time.time() - line.made < FRESH_SECONDS:
                line.is_broken = True
            raise

    def _line(self, key: str) -> _Line:
        if not self._lines or self._lines[-1].key != key or not self._lines[-1].is_good:
            configuration = _apart(self._configuration, next(self._numbers))
            client = CacheClientAsync(configuration, credentials(key, self._endpoint), self._ttl)
            self._lines.append(_Line(key, client))
        return self._lines[-1]

    async def _retire_old(self) -> None:
        for line in self._lines[:-1]:
            await line.retire()
        self._lines = [line for line in self._lines if not line.closed.is_set()]

    def _refuse(self, promise: str) -> NoReturn:
        self._check_open()
        raise NotKept(promise)

    def _check_kept(self, board: Board) -> None:
        self._check_open()
        self.capabilities.check(board.definition)

    def _check(self, answer: object) -> None:
        checked(self._cache, answer)

    async def submit(self, board: Board, name: str, score: Score) -> None:
        self._check_kept(board)
        if board.definition.operator == "increment":
            await self._ask(lambda client: self._add(client, board, name, float(score)))
        else:
            await self._ask(lambda client: self._submit(client, board, {name: float(score)}))

    async def submit_many(
        self, board: Board, batch: Sequence[Submission | Refusal], once: IdempotencyKey | None = None
    ) -> list[Refusal]:
        self._check_kept(board)
        attempts = [one for one in batch if isinstance(one, Submission)]
        if once or any(attempt.metadata is not None for attempt in attempts):
            self._refuse("keep what comes with a score, as its metadata or its idempotency key")
        if board.definition.operator == "increment":
            self._refuse("take a batch of scores to be added in one act")
        if attempts:
            scores = {attempt.name: float(attempt.score) for attempt in attempts}
            await self._ask(lambda client: self._submit(client, board, scores))
        return [one for one in batch if isinstance(one, Refusal)]

    async def _submit(self, client: CacheClientAsync, board: Board, scores: dict[str, float]) -> None:
        self._check(await client.sorted_set_put_elements(self._cache, board.key, scores, ttl=_ttl(board)))

    async def _add(self, client: CacheClientAsync, board: Board, name: str, amount: float) -> None:
        try:
            self._check(await client.sorted_set_increment_score(self._cache, board.key, name, amount, ttl=_ttl(board)))
        except AnswerLost as lost:
            raise SumUncertain(lost.problem) from lost.__cause__

    async def change(self, board: Board, attempt: Submission, once: IdempotencyKey | None = None) -> Change:  # noqa: ARG002
        self._refuse("tell what a submit changed, or keep what comes with it")

    async def standing(self, board: Board, name: str) -> Standing | None:
        self._check_kept(board)
        return await self._ask(lambda client: self._standing(client, board, name))

    async def _standing(self, client: CacheClientAsync, board: Board, name: str) -> Standing | None:
        found, place = await asyncio.gather(
            client.sorted_set_get_score(self._cache, board.key, name),
            client.sorted_set_get_rank(self._cache, board.key, name, _ORDERS[board.definition.order]),
        )
        self._check(found)
        if not isinstance(found, CacheSortedSetGetScore.Hit):
            return None
        self._check(place)
        return Standing(_score(found.score), int(place.rank)) if isinstance(place, CacheSortedSetGetRank.Hit) else None

    async def page(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> list[Ranked]:
        self._check_kept(board)
        if with_metadata:
            self._refuse("give metadata")
        if start >= FURTHEST_RANK:
            return []
        return await self._ask(lambda client: self._page(client, board, start, min(stop, FURTHEST_RANK)))

    async def _page(self, client: CacheClientAsync, board: Board, start: int, stop: int) -> list[Ranked]:
        order = _ORDERS[board.definition.order]
        found = await client.sorted_set_fetch_by_rank(self._cache, board.key, start, stop, order)
        self._check(found)
        if not isinstance(found, CacheSortedSetFetch.Hit):
            return []
        return [
            Ranked(value.decode(errors="replace"), _score(score), rank)
            for rank, (value, score) in enumerate(found.value_list_bytes, start)
        ]

    async def around(self, board: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked]:  # noqa: ARG002
        self._refuse("give the neighbours of a name")

    async def entries_named(self, board: Board, names: Sequence[str], *, with_metadata: bool = False) -> list[Ranked]:  # noqa: ARG002
        self._refuse("give the ranks of several names")

    async def entries_between_scores(
        self,
        board: Board,  # noqa: ARG002
        low: Score,  # noqa: ARG002
        high: Score,  # noqa: ARG002
        limit: int,  # noqa: ARG002
        *,
        with_metadata: bool = False,  # noqa: ARG002
    ) -> list[Ranked]:
        self._refuse("give the ranks of the entries between two scores")

    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        self._refuse("go on after an entry")

    async def summary(self, board: Board) -> Summary:  # noqa: ARG002
        self._refuse("sum a board up")

    async def place(self, board: Board, score: Score) -> Place:  # noqa: ARG002
        self._refuse("tell the rank of a score")

    async def count(self, board: Board) -> int:
        self._check_kept(board)
        return await self._ask(lambda client: self._count(client, board))

    async def _count(self, client: CacheClientAsync, board: Board) -> int:
        """Ask for the length as the SDK's own calls do inside, because it has none for that."""
        inner = client._data_client  # noqa: SLF001
        try:
            answer = await inner._build_stub().SortedSetLength(  # noqa: SLF001
                wire._SortedSetLengthRequest(set_name=board.key.encode()),  # noqa: SLF001
                metadata=Metadata(("cache", self._cache)),
                timeout=inner._default_deadline_seconds,  # noqa: SLF001
            )
        except RpcError as error:
            raise _translated(self._cache, convert_error(error, Service.CACHE)) from error
        length: int = answer.found.length
        return length

    async def remove(self, board: Board, name: str) -> bool:
        self._check_kept(board)
        return await self._ask(lambda client: self._remove(client, board, name))

    async def _remove(self, client: CacheClientAsync, board: Board, name: str) -> bool:
        found = await client.sorted_set_get_score(self._cache, board.key, name)
        self._check(found)
        self._check(await client.sorted_set_remove_element(self._cache, board.key, name))
        return isinstance(found, CacheSortedSetGetScore.Hit)

    async def drop(self, board: Board) -> bool:
        self._check_kept(board)
        return await self._ask(lambda client: self._drop(client, board))

    async def _drop(self, client: CacheClientAsync, board: Board) -> bool:
        found = await self._page(client, board, 0, 1)
        self._check(await client.delete(self._cache, board.key))
        return bool(found)

    async def names(self, after: str = "", limit: int | None = None) -> list[str]:  # noqa: ARG002
        self._refuse("list its boards")

    async def periods(self, board: Board) -> list[Period]:  # noqa: ARG002
        self._refuse("list the periods of a board")

    async def definitions(self) -> Mapping[str, Definition]:
        self._check_open()
        return {}

    async def define(self, name: str, definition: Definition) -> None:  # noqa: ARG002
        self._refuse("keep definitions")

    async def undefine(self, name: str) -> bool:  # noqa: ARG002
        self._refuse("keep definitions")

    async def ready(self) -> None:
        """Remove what cannot be there: that takes the cache and the right to write, and changes nothing."""
        await self._ask(self._ready)

    async def _ready(self, client: CacheClientAsync) -> None:
        self._check(await client.sorted_set_remove_element(self._cache, RESERVED, RESERVED))

    async def close(self) -> None:
        self._closed = True
        for line in self._lines:
            await line.retire()
            await line.closed.wait()


async def opened(cache: str, key: str, endpoint: str | None, *, ttl: timedelta = TTL) -> MomentoStore:
    """Give a store for a process that serves for long, once it is ready; raise StoreError where it is not."""
    store = MomentoStore(
        cache, FixedKey(key), endpoint, ttl=ttl, configuration=Configurations.InRegion.Default.latest()
    )
    try:
        await store.ready()
    except StoreError:
        await store.close()
        raise
    return store


def _apart(configuration: Configuration, sent_bytes: int) -> Configuration:
    """Give a client a connection of its own: gRPC has one for all channels that are alike to the last option."""
    strategy = configuration.get_transport_strategy()
    known = strategy.get_grpc_configuration()
    own = StaticGrpcConfiguration(
        known.get_deadline(),
        known.get_root_certificates_pem(),
        sent_bytes,
        known.get_max_receive_message_length(),
        known.get_keepalive_permit_without_calls(),  # type: ignore[arg-type] # 0 and 1 stand for the two
        known.get_keepalive_time(),
        known.get_keepalive_timeout(),
    )
    return configuration.with_transport_strategy(strategy.with_grpc_configuration(own))


def _ttl(board: Board) -> CollectionTtl:
    """Say how long the set of a board stays from now on; the client knows it of a board that does not say it."""
    seconds = board.definition.ttl_seconds
    return CollectionTtl(None if seconds is None else timedelta(seconds=seconds), refresh_ttl=True)


def _score(score: float) -> Score:
    return int(score) if score.is_integer() else score
