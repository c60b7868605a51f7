"""The store on Momento's sorted sets, through the official SDK.

A board is one sorted set of one cache: the value of an element is the name, its score the score. Momento orders equal
scores as the contract orders them by name, adds to a score in one operation, and removes a whole set a time after its
last submit: that of the board's definition, or the store's own (7 days by default). An addition is sent once: if its
answer is lost, neither the SDK nor this store sends it again.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from grpc import RpcError
from grpc.aio import Metadata
from momento import Configurations
from momento.errors import convert_error
from momento.internal.services import Service
from momento.requests import CollectionTtl, SortOrder
from momento.responses import CacheSortedSetFetch, CacheSortedSetGetRank, CacheSortedSetGetScore
from momento_wire_types import cacheclient_pb2 as wire

from laurels.errors import AnswerLost, StoreError, SumUncertain
from laurels.stores.contract import (
    Board,
    Capabilities,
    Entries,
    FullSubmission,
    IdempotencyKey,
    Order,
    Ranked,
    Refusal,
    Score,
    Standing,
    Store,
    Submission,
    SubmitResult,
)
from laurels.stores.momento.connection import TTL, FixedKey, Keys, call_attributes, connect_cache
from laurels.stores.momento.errors import check_answer, translate
from laurels.tracing import calling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from momento import CacheClientAsync
    from momento.config import Configuration

    from laurels.figures import Figures

FURTHEST_RANK = 2**31 - 1
"""Ranks are 32-bit integers on the wire, and a set of 5 MB ends long before."""
RESERVED = "-"
"""No board has this name."""

_ORDERS: dict[Order, SortOrder] = {"descending": SortOrder.DESCENDING, "ascending": SortOrder.ASCENDING}


class MomentoStore(Store):
    """A store that keeps its boards in one cache of Momento's. It belongs to the event loop of its first operation.

    ``endpoint`` is for keys that do not hold their own. ``ttl`` is how long a board stays after its last submit.
    Stores with another ``namespace`` in the same cache have other boards.
    """

    capabilities = Capabilities(
        durable=False,
        one_state=False,
        listing=False,
        defining=False,
        submission_details=False,
        guarding=False,
        windows=False,
        hiding=False,
        exact_sums=False,
        batched_sums=False,
        operators=frozenset({"latest", "increment"}),
        ties=frozenset({"name"}),
        rankings=frozenset({"ordinal"}),
    )

    def __init__(  # noqa: PLR0913 - the settings of a store
        self,
        cache: str,
        keys: Keys,
        endpoint: str | None = None,
        *,
        ttl: timedelta = TTL,
        namespace: str | None = None,
        configuration: Configuration | None = None,
    ) -> None:
        self._cache = cache
        self._namespace = f"{namespace}\n" if namespace else ""  # no name of a board has a line feed
        self._connection = connect_cache(keys, endpoint, ttl, configuration)

    def _check_kept(self, board: Board) -> None:
        self._check_open()
        self.capabilities.check(board.definition)

    def _set_of(self, board: Board) -> str:
        return self._namespace + board.key

    def _check(self, answer: object) -> None:
        check_answer(self._cache, answer)

    # Writes

    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        if not isinstance(submissions, Submission):
            return await self._submit_many(board, submissions, idempotency_key, want_changes=want_changes)
        name, score = submissions.name, float(submissions.score)
        if want_changes or idempotency_key or _has_details(submissions):
            self._refuse("tell what a submit changed, or keep what comes with it")
        self._check_kept(board)
        if board.definition.operator_rules.adds:
            await self._connection.call(lambda client: self._add(client, board, name, score))
        else:
            await self._connection.call(lambda client: self._put(client, board, {name: score}))
        return None

    async def _submit_many(
        self,
        board: Board,
        batch: Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None,
        *,
        want_changes: bool,
    ) -> SubmitResult:
        self._check_kept(board)
        if want_changes:
            self._refuse("tell what a batch changed")
        submissions = [entry for entry in batch if isinstance(entry, Submission)]
        if idempotency_key or any(map(_has_details, submissions)):
            self._refuse("keep what comes with a score, as its metadata or its idempotency key")
        if board.definition.operator_rules.adds:
            self._refuse("take a batch of scores to be added in one act")
        if submissions:
            scores = {submission.name: float(submission.score) for submission in submissions}
            await self._connection.call(lambda client: self._put(client, board, scores))
        return SubmitResult([entry for entry in batch if isinstance(entry, Refusal)])

    async def _put(self, client: CacheClientAsync, board: Board, scores: dict[str, float]) -> None:
        self._check(await client.sorted_set_put_elements(self._cache, self._set_of(board), scores, ttl=_ttl(board)))

    async def _add(self, client: CacheClientAsync, board: Board, name: str, amount: float) -> None:
        try:
            self._check(
                await client.sorted_set_increment_score(self._cache, self._set_of(board), name, amount, ttl=_ttl(board))
            )
        except AnswerLost as lost:
            raise SumUncertain(lost.problem) from lost.__cause__

    async def remove(self, board: Board, name: str) -> bool:
        self._check_kept(board)
        return await self._connection.call(lambda client: self._remove(client, board, name))

    async def _remove(self, client: CacheClientAsync, board: Board, name: str) -> bool:
        found = await client.sorted_set_get_score(self._cache, self._set_of(board), name)
        self._check(found)
        self._check(await client.sorted_set_remove_element(self._cache, self._set_of(board), name))
        return isinstance(found, CacheSortedSetGetScore.Hit)

    async def drop(self, board: Board) -> bool:
        self._check_kept(board)
        return await self._connection.call(lambda client: self._drop(client, board))

    async def _drop(self, client: CacheClientAsync, board: Board) -> bool:
        found = await self._page(client, board, 0, 1)
        self._check(await client.delete(self._cache, self._set_of(board)))
        return bool(found)

    # Reads

    async def standing(self, board: Board, name: str) -> Standing | None:
        self._check_kept(board)
        if not board.visible:
            return None
        return await self._connection.call(lambda client: self._standing(client, board, name))

    async def _standing(self, client: CacheClientAsync, board: Board, name: str) -> Standing | None:
        found, place = await asyncio.gather(
            client.sorted_set_get_score(self._cache, self._set_of(board), name),
            client.sorted_set_get_rank(self._cache, self._set_of(board), name, _ORDERS[board.definition.order]),
        )
        self._check(found)
        if not isinstance(found, CacheSortedSetGetScore.Hit):
            return None
        self._check(place)
        return Standing(_score(found.score), int(place.rank)) if isinstance(place, CacheSortedSetGetRank.Hit) else None

    async def page(
        self, board: Board, start: int, stop: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        self._check_kept(board)
        if with_metadata:
            self._refuse("give metadata")
        total = await self.count(board) if with_places else 0
        if start >= FURTHEST_RANK or not board.visible:
            return Entries((), (), total)
        stop = min(stop, FURTHEST_RANK)
        found = await self._connection.call(lambda client: self._page(client, board, start, stop))
        return Entries(found, range(start, start + len(found)), total)

    async def _page(self, client: CacheClientAsync, board: Board, start: int, stop: int) -> list[Ranked]:
        order = _ORDERS[board.definition.order]
        found = await client.sorted_set_fetch_by_rank(self._cache, self._set_of(board), start, stop, order)
        self._check(found)
        if not isinstance(found, CacheSortedSetFetch.Hit):
            return []
        return [
            Ranked(value.decode(errors="replace"), _score(score), rank)
            for rank, (value, score) in enumerate(found.value_list_bytes, start)
        ]

    async def count(self, board: Board) -> int:
        self._check_kept(board)
        return await self._connection.call(lambda client: self._count(client, board)) if board.visible else 0

    async def _count(self, client: CacheClientAsync, board: Board) -> int:
        """Ask for the length as the SDK's own calls do internally, because it has no call for that."""
        inner, name = client._data_client, "sorted_set_length"  # noqa: SLF001
        try:
            with calling(name, call_attributes(name, self._cache), is_remote=True):
                answer = await inner._build_stub().SortedSetLength(  # noqa: SLF001
                    wire._SortedSetLengthRequest(set_name=self._set_of(board).encode()),  # noqa: SLF001
                    metadata=Metadata(("cache", self._cache)),
                    timeout=inner._default_deadline_seconds,  # noqa: SLF001
                )
        except RpcError as error:
            cause = convert_error(error, Service.CACHE)  # by which a connection that is lost is known
            raise translate(self._cache, cause) from cause
        length: int = answer.found.length
        return length

    # The store itself

    def measure(self) -> Figures:
        return self._connection.measure()

    async def ready(self) -> None:
        """Remove what cannot be there: that needs the cache and the right to write, and changes nothing."""
        await self._connection.call(self._ready)

    async def _ready(self, client: CacheClientAsync) -> None:
        self._check(await client.sorted_set_remove_element(self._cache, self._namespace + RESERVED, RESERVED))

    async def close(self) -> None:
        self.is_closed = True
        await self._connection.close()


async def open_store(cache: str, key: str, endpoint: str | None, *, ttl: timedelta = TTL) -> MomentoStore:
    """Return a store for a process that serves for long, once it is ready; raise StoreError if it is not."""
    store = MomentoStore(
        cache, FixedKey(key), endpoint, ttl=ttl, configuration=Configurations.InRegion.Default.latest()
    )
    try:
        await store.ready()
    except StoreError:
        await store.close()
        raise
    return store


def _ttl(board: Board) -> CollectionTtl:
    """Return how long the set of a board stays from now on; None is the client's own time."""
    seconds = board.definition.ttl_seconds
    return CollectionTtl(None if seconds is None else timedelta(seconds=seconds), refresh_ttl=True)


def _has_details(submission: Submission) -> bool:
    return submission.metadata is not None or isinstance(submission, FullSubmission)


def _score(score: float) -> Score:
    return int(score) if score.is_integer() else score
