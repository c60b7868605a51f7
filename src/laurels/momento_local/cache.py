"""The calls on the items of a cache: sorted sets and scalars.

Each takes the cache and the request's message, and returns the response's. What the protocol's documentation leaves
open is done as in Redis.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import common_pb2 as common

from laurels.momento_local.caches import Scalar
from laurels.momento_local.errors import BadArgument
from laurels.momento_local.rights import Action
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
    """Return a scalar's body."""
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
    """Put all elements, or none if one of them cannot be kept."""
    elements = [(element.value, finite(element.score)) for element in request.elements]
    if elements:
        target = cache.set_for(request.set_name, request.ttl_milliseconds, refresh=request.refresh_ttl)
        for value, score in elements:
            target.put(value, score)
    return wire._SortedSetPutResponse()


def increment(cache: Cache, request: wire._SortedSetIncrementRequest) -> wire._SortedSetIncrementResponse:
    """Add to a score, which is 0 for a new value, and return the sum."""
    found = cache.sorted_set(request.set_name)
    score = finite(((found and found.score(request.value)) or 0.0) + request.amount)
    target = cache.set_for(request.set_name, request.ttl_milliseconds, refresh=request.refresh_ttl)
    target.put(request.value, score)
    return wire._SortedSetIncrementResponse(score=score)


def remove(cache: Cache, request: wire._SortedSetRemoveRequest) -> wire._SortedSetRemoveResponse:
    """Remove some values, or all; a set that becomes empty is dropped."""
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
    """Return the values in a range of ranks or of scores, in either order."""
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
    return _make_response(entries, with_scores=request.with_scores)


def _by_index(
    found: SortedSet, ranks: wire._SortedSetFetchRequest._ByIndex, *, descending: bool
) -> list[tuple[bytes, float]]:
    stop = ranks.exclusive_end_index if ranks.HasField("exclusive_end_index") else len(found)
    return found.page(ranks.inclusive_start_index, stop, descending=descending)


def _by_score(
    found: SortedSet, limits: wire._SortedSetFetchRequest._ByScore, *, descending: bool
) -> list[tuple[bytes, float]]:
    scores = Range(
        limits.min_score.score if limits.HasField("min_score") else -inf,
        limits.max_score.score if limits.HasField("max_score") else inf,
        limits.min_score.exclusive,
        limits.max_score.exclusive,
    )
    return found.entries_between(scores, limits.offset, limits.count, descending=descending)


def _make_response(entries: list[tuple[bytes, float]], *, with_scores: bool) -> wire._SortedSetFetchResponse:
    response = wire._SortedSetFetchResponse()
    found = response.found
    if with_scores:
        # Without this an empty list of elements would leave the field unset, and the SDK could not read the answer.
        found.values_with_scores.SetInParent()
        add = found.values_with_scores.elements.add
        for value, score in entries:
            add(value=value, score=score)
    else:
        found.values.SetInParent()
        found.values.values.extend(value for value, _ in entries)
    return response


def scores(cache: Cache, request: wire._SortedSetGetScoreRequest) -> wire._SortedSetGetScoreResponse:
    """Return the scores of some values, in the order of the request."""
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
    """Return the rank of a value in either order; a missing set is a miss, as a missing value is."""
    found = cache.sorted_set(request.set_name)
    descending = request.order == wire._SortedSetGetRankRequest.DESCENDING
    place = None if found is None else found.rank(request.value, descending=descending)
    part = wire._SortedSetGetRankResponse._RankResponsePart(
        result=wire.Miss if place is None else wire.Hit, rank=place or 0
    )
    return wire._SortedSetGetRankResponse(element_rank=part)


def length(cache: Cache, request: wire._SortedSetLengthRequest) -> wire._SortedSetLengthResponse:
    """Return the number of values."""
    found = cache.sorted_set(request.set_name)
    response = wire._SortedSetLengthResponse()
    if found is None:
        response.missing.SetInParent()
    else:
        response.found.length = len(found)
    return response


def length_by_score(cache: Cache, request: wire._SortedSetLengthByScoreRequest) -> wire._SortedSetLengthByScoreResponse:
    """Return the number of values in a range of scores."""
    found = cache.sorted_set(request.set_name)
    response = wire._SortedSetLengthByScoreResponse()
    if found is None:
        response.missing.SetInParent()
        return response
    low, high = request.WhichOneof("min"), request.WhichOneof("max")
    response.found.length = found.count_between(
        Range(
            -inf if low in {None, "unbounded_min"} else getattr(request, low),
            inf if high in {None, "unbounded_max"} else getattr(request, high),
            low == "exclusive_min",
            high == "exclusive_max",
        )
    )
    return response


def union_store(cache: Cache, request: wire._SortedSetUnionStoreRequest) -> wire._SortedSetUnionStoreResponse:
    """Replace an item by the union of some sets, with weighted and combined scores; an empty union drops the item."""
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
    "Get": (Action.READ, "cache_key", get),
    "Set": (Action.WRITE, "cache_key", set_),
    "Delete": (Action.WRITE, "cache_key", delete),
    "SortedSetPut": (Action.WRITE, "set_name", put),
    "SortedSetFetch": (Action.READ, "set_name", fetch),
    "SortedSetGetScore": (Action.READ, "set_name", scores),
    "SortedSetRemove": (Action.WRITE, "set_name", remove),
    "SortedSetIncrement": (Action.WRITE, "set_name", increment),
    "SortedSetGetRank": (Action.READ, "set_name", rank),
    "SortedSetLength": (Action.READ, "set_name", length),
    "SortedSetLengthByScore": (Action.READ, "set_name", length_by_score),
    "SortedSetUnionStore": (Action.WRITE, "set_name", union_store),
}
"""The action, the field that names the item, and the function of each call; no other call is implemented."""
