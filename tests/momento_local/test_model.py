"""The local Momento server compared with a dictionary of dictionaries: every answer, and every invariant."""

from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import cacheclient_pb2_grpc
from momento_wire_types import common_pb2 as common

from laurels.momento_local.keys import Keys
from laurels.momento_local.server import MomentoServer
from tests.length import times

if TYPE_CHECKING:
    from collections.abc import Callable

Fetch = wire._SortedSetFetchRequest
Between = wire._SortedSetLengthByScoreRequest
Union = wire._SortedSetUnionStoreRequest
CACHE = "cache"
ANY = common._Unbounded()
COMBINE: dict[str, Callable[[float, float], float]] = {"SUM": lambda one, other: one + other, "MIN": min, "MAX": max}

SETS = st.sampled_from([b"one", b"two", b"\xff"])
LONG = [b"\xff" * 112 + bytes([i]) for i in range(3)] + [b"y" * 200 + bytes([i]) for i in range(6)]
VALUES = st.sampled_from([b"", b"\0", b"\0\0", b"a", b"b", b"\xe9", b"y" * 112, *LONG])
SCORES = st.sampled_from([0.0, 1.0, 1.5, -7.0, 2.0**60, -1e300])
RANKS = st.none() | st.integers(-9, 9)
BOUNDS = st.none() | SCORES
TTLS = st.integers(1, 3)
ORDERS = st.sampled_from(["ASCENDING", "DESCENDING"])


class ServerMachine(RuleBasedStateMachine):
    """A server, a channel to it, and the model: scores by values, and when each set expires."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.model: dict[bytes, dict[bytes, float]] = {}
        self.ends: dict[bytes, float] = {}
        self.runner = asyncio.Runner()
        self.runner.run(self.begin())

    async def begin(self) -> None:
        """Start the server and connect to it."""
        keys = Keys(b"secret" * 6, lambda: self.now, is_open=True)
        self.server = MomentoServer(keys, clock=lambda: self.now)
        port = self.server.listen("127.0.0.1", 0)
        self.server.caches.create(CACHE)
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = cacheclient_pb2_grpc.ScsStub(self.channel)  # type: ignore[no-untyped-call]

    def teardown(self) -> None:
        """Close the channel and stop the server."""
        self.runner.run(self.channel.close())
        self.runner.run(self.server.stop())
        self.runner.close()

    def call(self, request: Any) -> Any:
        """Make the call that takes this request."""
        method = getattr(self.stub, type(request).__name__.removeprefix("_").removesuffix("Request"))

        async def make() -> Any:
            return await method(request, metadata=(("cache", CACHE),))

        return self.runner.run(make())

    def entries(self, name: bytes, order: str) -> list[tuple[bytes, float]] | None:
        """Return the model's entries of a whole set, None if it is missing."""
        if name not in self.model:
            return None
        ordered = sorted((score, value) for value, score in self.model[name].items())
        return [(value, score) for score, value in (ordered if order == "ASCENDING" else reversed(ordered))]

    def fetch(self, request: Fetch) -> list[tuple[bytes, float]] | None:
        """Return the server's answer to a fetch, None if the set is missing."""
        answer = self.call(request)
        if answer.HasField("missing"):
            return None
        return [(element.value, element.score) for element in answer.found.values_with_scores.elements]

    def touch(self, name: bytes, ttl: int, *, refresh: bool) -> dict[bytes, float]:
        """Return the model's scores of a set that is written, with its new time to expire."""
        if name not in self.model or refresh:
            self.ends[name] = self.now + ttl
        return self.model.setdefault(name, {})

    @rule(name=SETS, scores=st.dictionaries(VALUES, SCORES, min_size=1, max_size=9), ttl=TTLS, refresh=st.booleans())
    def put(self, name: bytes, scores: dict[bytes, float], ttl: int, refresh: bool) -> None:  # noqa: FBT001
        """Put some values."""
        elements = [wire._SortedSetElement(value=value, score=score) for value, score in scores.items()]
        self.call(
            wire._SortedSetPutRequest(
                set_name=name, elements=elements, ttl_milliseconds=1000 * ttl, refresh_ttl=refresh
            )
        )
        self.touch(name, ttl, refresh=refresh).update(scores)

    @rule(name=SETS, value=VALUES, amount=SCORES, ttl=TTLS, refresh=st.booleans())
    def increment(self, name: bytes, value: bytes, amount: float, ttl: int, refresh: bool) -> None:  # noqa: FBT001
        """Add to the score of a value."""
        answer = self.call(
            wire._SortedSetIncrementRequest(
                set_name=name, value=value, amount=amount, ttl_milliseconds=1000 * ttl, refresh_ttl=refresh
            )
        )
        scores = self.touch(name, ttl, refresh=refresh)
        scores[value] = scores.get(value, 0.0) + amount
        assert answer.score == scores[value]

    @rule(name=SETS, values=st.lists(VALUES, min_size=1, max_size=6))
    def remove(self, name: bytes, values: list[bytes]) -> None:
        """Remove some values."""
        some = wire._SortedSetRemoveRequest._Some(values=values)
        self.call(wire._SortedSetRemoveRequest(set_name=name, some=some))
        scores = self.model.get(name, {})
        for value in values:
            scores.pop(value, None)
        if not scores:
            self.model.pop(name, None)

    @rule(name=SETS)
    def remove_all(self, name: bytes) -> None:
        """Remove all values."""
        self.call(wire._SortedSetRemoveRequest(set_name=name, all=wire._SortedSetRemoveRequest._All()))
        self.model.pop(name, None)

    @rule(
        name=SETS,
        sources=st.lists(st.tuples(SETS, st.sampled_from([1.0, -2.0, 0.1, 0.0])), min_size=1, max_size=3),
        aggregate=st.sampled_from(sorted(COMBINE)),
        ttl=TTLS,
    )
    def union(self, name: bytes, sources: list[tuple[bytes, float]], aggregate: str, ttl: int) -> None:
        """Unite some sets."""
        union: dict[bytes, float] = {}
        for source, weight in sources:
            for value, score in self.model.get(source, {}).items():
                weighted = score * struct.unpack("f", struct.pack("f", weight))[0]
                union[value] = COMBINE[aggregate](union[value], weighted) if value in union else weighted
        weighted_sources = [Union._Source(set_name=source, weight=weight) for source, weight in sources]
        answer = self.call(
            Union(set_name=name, sources=weighted_sources, aggregate=aggregate, ttl_milliseconds=1000 * ttl)
        )
        assert answer.length == len(union)
        self.model.pop(name, None)
        if union:
            self.model[name], self.ends[name] = union, self.now + ttl

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5]))
    def wait(self, seconds: float) -> None:
        """Let some time pass."""
        self.now += seconds
        self.model = {name: scores for name, scores in self.model.items() if self.ends[name] > self.now}

    @rule(name=SETS, order=ORDERS, start=RANKS, end=RANKS)
    def fetch_by_rank(self, name: bytes, order: str, start: int | None, end: int | None) -> None:
        """Fetch by rank."""
        ranks = Fetch._ByIndex(
            inclusive_start_index=start,
            unbounded_start=ANY if start is None else None,
            exclusive_end_index=end,
            unbounded_end=ANY if end is None else None,
        )
        whole = self.entries(name, order)
        got = self.fetch(Fetch(set_name=name, order=order, with_scores=True, by_index=ranks))
        assert got == (None if whole is None else whole[start:end])

    @rule(
        name=SETS,
        order=ORDERS,
        low=BOUNDS,
        high=BOUNDS,
        out=st.tuples(st.booleans(), st.booleans()),
        offset=st.integers(0, 5),
        count=st.integers(-1, 5),
    )
    def fetch_by_score(
        self,
        name: bytes,
        order: str,
        low: float | None,
        high: float | None,
        out: tuple[bool, bool],
        offset: int,
        count: int,
    ) -> None:
        """Fetch by score, and count the values in the range."""
        scores = Fetch._ByScore(
            min_score=None if low is None else Fetch._ByScore._Score(score=low, exclusive=out[0]),
            unbounded_min=ANY if low is None else None,
            max_score=None if high is None else Fetch._ByScore._Score(score=high, exclusive=out[1]),
            unbounded_max=ANY if high is None else None,
            offset=offset,
            count=count,
        )
        whole = self.entries(name, order)
        inside = [entry for entry in whole or [] if within(entry[1], low, high, out)]
        last = len(inside) if count < 0 else offset + count
        got = self.fetch(Fetch(set_name=name, order=order, with_scores=True, by_score=scores))
        assert got == (None if whole is None else inside[offset:last])
        bounds = {
            "exclusive_min" if out[0] else "inclusive_min": low,
            "exclusive_max" if out[1] else "inclusive_max": high,
        }
        answer = self.call(Between(set_name=name, **bounds))
        assert answer.found.length == len(inside)
        assert answer.HasField("missing") == (whole is None)

    @rule(name=SETS, values=st.lists(VALUES, max_size=4), order=ORDERS)
    def read_values(self, name: bytes, values: list[bytes], order: str) -> None:
        """Read scores and ranks of values."""
        whole = self.entries(name, order)
        answer = self.call(wire._SortedSetGetScoreRequest(set_name=name, values=values))
        assert answer.HasField("missing") == (whole is None)
        scores = [part.score if part.result == wire.Hit else None for part in answer.found.elements]
        assert scores == ([] if whole is None else [dict(whole).get(value) for value in values])
        ranks = {value: rank for rank, (value, _) in enumerate(whole or [])}
        for value in values:
            rank = self.call(wire._SortedSetGetRankRequest(set_name=name, value=value, order=order)).element_rank
            assert (rank.rank if rank.result == wire.Hit else None) == ranks.get(value)

    @invariant()
    def same(self) -> None:
        """Every set equals the model's, and no expired set is kept."""
        cache = self.server.caches[CACHE]
        for name in [b"one", b"two", b"\xff"]:
            found = cache.sorted_set(name)
            assert (None if found is None else list(found.entries())) == self.entries(name, "ASCENDING")
            if found is not None:
                found.check()
        assert len(cache) == len(self.model)


def within(score: float, low: float | None, high: float | None, out: tuple[bool, bool]) -> bool:
    """Return whether a score is within bounds, each of which may be excluded."""
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return low <= score <= high and not (out[0] and score == low) and not (out[1] and score == high)


TestServer = pytest.mark.slow(ServerMachine.TestCase)
TestServer.settings = settings(max_examples=times(30), stateful_step_count=30)
