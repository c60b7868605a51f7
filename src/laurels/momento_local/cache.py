"""The calls on the items of a cache: sorted sets and scalars.

Each takes the cache and the request as it came, and gives the response. What the protocol's own words leave open is as
Redis has it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import common_pb2 as common

from laurels.momento_local.caches import Scalar
from laurels.momento_local.errors import BadArgument
from laurels.momento_local.rights import Act
from laurels.momento_local.sets import Range, SortedSet, finite

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.momento_local.caches import Cache

UNBOUNDED = common._Unbounded()
COMBINE: dict[int, Callable[[float, float], float]] = {
    wire._SortedSetUnionStoreRequest.SUM: lambda one, other: one + other,
    wire._SortedSetUnionStoreRequest.MIN: min,
    wire._SortedSetUnionStoreRequest.MAX: max,
}


def get(cache: Cache, request: wire._GetRequest) -> wire._GetResponse:
    """Give a scalar's body."""
    found = cache.scalar(request.cache_key)
    if found is None:
        return wire._GetResponse(result=wire.Miss)
    return wire._GetResponse(result=wire.Hit, cache_body=found.body)


def set_(cache: Cache, request: wire._SetRequest) -> wire._SetResponse:
    """Keep a scalar in place of any item that was there."""
    cache.keep(request.cache_key, Scalar(request.cache_body, cache.expiry(request.ttl_milliseconds)))
    return wire._SetResponse(result=wire.Ok)


def delete(cache: Cache, request: wire._DeleteRequest) -> wire._DeleteResponse:
    """Drop an item of any kind."""
    cache.drop(request.cache_key)
    return wire._DeleteResponse()


def put(cache: Cache, request: wire._SortedSetPutRequest) -> wire._SortedSetPutResponse:
    """Put all elements, or none where one cannot be kept."""
    elements = [(element.value, finite(element.score)) for element in request.elements]
    if elements:
        target = cache.set_for(request.set_name, request.ttl_milliseconds, refresh=request.refresh_ttl)
        for value, score in elements:
            target.put(value, score)
    return wire._SortedSetPutResponse()


def increment(cache: Cache, request: wire._SortedSetIncrementRequest) -> wire._SortedSetIncrementResponse:
    """Add to a score, which is 0 where there is none, and give the new one."""
    found = cache.sorted_set(request.set_name)
    score = finite(((found and found.score(request.value)) or 0.0) + request.amount)
    target = cache.set_for(request.set_name, request.ttl_milliseconds, refresh=request.refresh_ttl)
    target.put(request.value, score)
    return wire._SortedSetIncrementResponse(score=score)


def remove(cache: Cache, request: wire._SortedSetRemoveRequest) -> wire._SortedSetRemoveResponse:
    """Take some values off, or all; a set that has none left is gone."""
    chosen = request.WhichOneof("remove_elements")
    if chosen is None:
        raise BadArgument("The call does not say what to remove: give `all` or `some`.")
    found = cache.sorted_set(request.set_name)
    if found is not None:
        for value in request.some.values:
            found.remove(value)
        if chosen == "all" or not len(found):
            cache.drop(request.set_name)
    return wire._SortedSetRemoveResponse()


def fetch(cache: Cache, request: wire._SortedSetFetchRequest) -> wire._SortedSetFetchResponse:
    """Give the values of some ranks or scores, in either order."""
    chosen = request.WhichOneof("range")
    if chosen is None:
        raise BadArgument("The call does not say what to fetch: give `by_index` or `by_score`.")
    found = cache.sorted_set(request.set_name)
    if found is None:
        return wire._SortedSetFetchResponse(missing=wire._SortedSetFetchResponse._Missing())
    descending = request.order == wire._SortedSetFetchRequest.DESCENDING
    if chosen == "by_index":
        entries = _by_index(found, request.by_index, descending=descending)
    else:
        entries = _by_score(found, request.by_score, descending=descending)
    return _fetched(entries, with_scores=request.with_scores)


def _by_index(
    found: SortedSet, asked: wire._SortedSetFetchRequest._ByIndex, *, descending: bool
) -> list[tuple[bytes, float]]:
    stop = asked.exclusive_end_index if asked.HasField("exclusive_end_index") else len(found)
    return found.page(asked.inclusive_start_index, stop, descending=descending)


def _by_score(
    found: SortedSet, asked: wire._SortedSetFetchRequest._ByScore, *, descending: bool
) -> list[tuple[bytes, float]]:
    scores = Range(
        asked.min_score.score if asked.HasField("min_score") else -inf,
        asked.max_score.score if asked.HasField("max_score") else inf,
        asked.min_score.exclusive,
        asked.max_score.exclusive,
    )
    return found.within(scores, asked.offset, asked.count, descending=descending)


def _fetched(entries: list[tuple[bytes, float]], *, with_scores: bool) -> wire._SortedSetFetchResponse:
    response = wire._SortedSetFetchResponse()
    found = response.found
    if with_scores:
        found.values_with_scores.SetInParent()
        add = found.values_with_scores.elements.add
        for value, score in entries:
            add(value=value, score=score)
    else:
        found.values.SetInParent()
        found.values.values.extend(value for value, _ in entries)
    return response


def scores(cache: Cache, request: wire._SortedSetGetScoreRequest) -> wire._SortedSetGetScoreResponse:
    """Give the scores of some values, in the order in which they are asked for."""
    found = cache.sorted_set(request.set_name)
    response = wire._SortedSetGetScoreResponse()
    if found is None:
        response.missing.SetInParent()
        return response
    response.found.SetInParent()
    add = response.found.elements.add
    for value in request.values:
        score = found.score(value)
        add(result=wire.Miss if score is None else wire.Hit, score=score or 0.0)
    return response


def rank(cache: Cache, request: wire._SortedSetGetRankRequest) -> wire._SortedSetGetRankResponse:
    """Give the rank of a value in either order; a set that is not there is a miss like a value that is not."""
    found = cache.sorted_set(request.set_name)
    descending = request.order == wire._SortedSetGetRankRequest.DESCENDING
    place = None if found is None else found.rank(request.value, descending=descending)
    part = wire._SortedSetGetRankResponse._RankResponsePart(
        result=wire.Miss if place is None else wire.Hit, rank=place or 0
    )
    return wire._SortedSetGetRankResponse(element_rank=part)


def length(cache: Cache, request: wire._SortedSetLengthRequest) -> wire._SortedSetLengthResponse:
    """Give the number of values."""
    found = cache.sorted_set(request.set_name)
    response = wire._SortedSetLengthResponse()
    if found is None:
        response.missing.SetInParent()
    else:
        response.found.length = len(found)
    return response


def length_by_score(cache: Cache, request: wire._SortedSetLengthByScoreRequest) -> wire._SortedSetLengthByScoreResponse:
    """Give the number of values within some scores."""
    found = cache.sorted_set(request.set_name)
    response = wire._SortedSetLengthByScoreResponse()
    if found is None:
        response.missing.SetInParent()
        return response
    low, high = request.WhichOneof("min"), request.WhichOneof("max")
    response.found.length = found.count(
        Range(
            -inf if low in {None, "unbounded_min"} else getattr(request, low),
            inf if high in {None, "unbounded_max"} else getattr(request, high),
            low == "exclusive_min",
            high == "exclusive_max",
        )
    )
    return response


def union_store(cache: Cache, request: wire._SortedSetUnionStoreRequest) -> wire._SortedSetUnionStoreResponse:
    """Keep the union of some sets, with weighted and combined scores, in place of any item; an empty one is none."""
    union: dict[bytes, float] = {}
    combine = COMBINE.get(request.aggregate)
    if combine is None:
        raise BadArgument(f"There is no aggregate {request.aggregate}: give SUM, MIN or MAX.")
    for source in request.sources:
        found = cache.sorted_set(source.set_name)
        for value, score in found.entries() if found else ():
            weighted = finite(score * source.weight)
            union[value] = finite(combine(union[value], weighted)) if value in union else weighted
    result = SortedSet(cache.expiry(request.ttl_milliseconds))
    for value, score in union.items():
        result.put(value, score)
    cache.drop(request.set_name)
    if union:
        cache.keep(request.set_name, result)
    return wire._SortedSetUnionStoreResponse(length=len(union))


CALLS = {
    "Get": (Act.READ, "cache_key", get),
    "Set": (Act.WRITE, "cache_key", set_),
    "Delete": (Act.WRITE, "cache_key", delete),
    "SortedSetPut": (Act.WRITE, "set_name", put),
    "SortedSetFetch": (Act.READ, "set_name", fetch),
    "SortedSetGetScore": (Act.READ, "set_name", scores),
    "SortedSetRemove": (Act.WRITE, "set_name", remove),
    "SortedSetIncrement": (Act.WRITE, "set_name", increment),
    "SortedSetGetRank": (Act.READ, "set_name", rank),
    "SortedSetLength": (Act.READ, "set_name", length),
    "SortedSetLengthByScore": (Act.READ, "set_name", length_by_score),
    "SortedSetUnionStore": (Act.WRITE, "set_name", union_store),
}
"""What each call does, and which of its fields names the item; the others of the service are not implemented."""
