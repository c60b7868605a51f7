"""The calls on sorted sets.

Each takes the cache and the request's message, and returns the response's. A request is checked before the set is
looked up: what is wrong with it does not depend on what is there. A read of no values answers none, and a write of none
is refused. What the protocol's documentation leaves open is done as in Redis.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import common_pb2 as common

from laurels.momento_local.errors import BadArgument
from laurels.momento_local.fields import choice, known
from laurels.momento_local.item_calls import ItemCall, Need, changes, reads, writes
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


def put(cache: Cache, request: wire._SortedSetPutRequest) -> wire._SortedSetPutResponse:
    """Put all elements, or none if one of them cannot be kept."""
    elements = [(element.value, finite(element.score)) for element in request.elements]
    if not elements:
        raise BadArgument("`elements` is empty: give at least one.")
    values, ttl = [value for value, _ in elements], request.ttl_milliseconds
    target = cache.set_for(request.set_name, ttl, refresh=request.refresh_ttl, values=values)
    for value, score in elements:
        target.put(value, score)
    return wire._SortedSetPutResponse()


def increment(cache: Cache, request: wire._SortedSetIncrementRequest) -> wire._SortedSetIncrementResponse:
    """Add to a score, which is 0 for a new value, and return the sum."""
    finite(request.amount)
    found = cache.sorted_set(request.set_name)
    score = finite(((found and found.score(request.value)) or 0.0) + request.amount)
    values, ttl = [request.value], request.ttl_milliseconds
    target = cache.set_for(request.set_name, ttl, refresh=request.refresh_ttl, values=values)
    target.put(request.value, score)
    return wire._SortedSetIncrementResponse(score=score)


def remove(cache: Cache, request: wire._SortedSetRemoveRequest) -> wire._SortedSetRemoveResponse:
    """Remove some values, or all; a set that becomes empty is dropped."""
    chosen = choice(request, "remove_elements", "what to remove")
    if chosen == "some" and not request.some.values:
        raise BadArgument("`some` has no values: give at least one, or `all`.")
    found = cache.sorted_set(request.set_name)
    if found is not None:
        for value in request.some.values:
            found.remove(value)
        if chosen == "all" or not len(found):
            cache.drop(request.set_name)
    return wire._SortedSetRemoveResponse()


def fetch(cache: Cache, request: wire._SortedSetFetchRequest) -> wire._SortedSetFetchResponse:
    """Return the values in a range of ranks or of scores, in either order."""
    chosen = choice(request, "range", "what to fetch")
    descending = known(request, "order") == wire._SortedSetFetchRequest.DESCENDING
    ranks, limits = request.by_index, request.by_score
    scores = _range(limits)
    found = cache.sorted_set(request.set_name)
    if found is None:
        return wire._SortedSetFetchResponse(missing={})
    if chosen == "by_index":
        stop = ranks.exclusive_end_index if ranks.HasField("exclusive_end_index") else len(found)
        entries = found.page(ranks.inclusive_start_index, stop, descending=descending)
    else:
        entries = found.entries_between(scores, limits.offset, limits.count, descending=descending)
    return _make_response(entries, with_scores=request.with_scores)


def _range(limits: wire._SortedSetFetchRequest._ByScore) -> Range:
    return Range(
        limits.min_score.score if limits.HasField("min_score") else -inf,
        limits.max_score.score if limits.HasField("max_score") else inf,
        limits.min_score.exclusive,
        limits.max_score.exclusive,
    )


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
    if found is None:
        return wire._SortedSetGetScoreResponse(missing={})
    response = wire._SortedSetGetScoreResponse(found={})
    add = response.found.elements.add
    for value in request.values:
        score = found.score(value)
        add(result=wire.Miss if score is None else wire.Hit, score=score or 0.0)
    return response


def rank(cache: Cache, request: wire._SortedSetGetRankRequest) -> wire._SortedSetGetRankResponse:
    """Return the rank of a value in either order; a missing set is a miss, as a missing value is."""
    descending = known(request, "order") == wire._SortedSetGetRankRequest.DESCENDING
    found = cache.sorted_set(request.set_name)
    place = None if found is None else found.rank(request.value, descending=descending)
    part = wire._SortedSetGetRankResponse._RankResponsePart(
        result=wire.Miss if place is None else wire.Hit, rank=place or 0
    )
    return wire._SortedSetGetRankResponse(element_rank=part)


def length(cache: Cache, request: wire._SortedSetLengthRequest) -> wire._SortedSetLengthResponse:
    """Return the number of values."""
    found = cache.sorted_set(request.set_name)
    if found is None:
        return wire._SortedSetLengthResponse(missing={})
    return wire._SortedSetLengthResponse(found={"length": len(found)})


def length_by_score(cache: Cache, request: wire._SortedSetLengthByScoreRequest) -> wire._SortedSetLengthByScoreResponse:
    """Return the number of values in a range of scores."""
    low, high = request.WhichOneof("min"), request.WhichOneof("max")
    scores = Range(
        -inf if low in {None, "unbounded_min"} else getattr(request, low),
        inf if high in {None, "unbounded_max"} else getattr(request, high),
        low == "exclusive_min",
        high == "exclusive_max",
    )
    found = cache.sorted_set(request.set_name)
    if found is None:
        return wire._SortedSetLengthByScoreResponse(missing={})
    return wire._SortedSetLengthByScoreResponse(found={"length": found.count_between(scores)})


def union_store(cache: Cache, request: wire._SortedSetUnionStoreRequest) -> wire._SortedSetUnionStoreResponse:
    """Replace an item by the union of some sets, with weighted and combined scores; an empty union drops the item."""
    combine = COMBINE[known(request, "aggregate")]
    if not request.sources:
        raise BadArgument("`sources` is empty: give at least one set. To drop the destination, delete it.")
    weights = [(source.set_name, finite(source.weight)) for source in request.sources]
    result = SortedSet(cache.expiry(request.ttl_milliseconds))
    for name, weight in weights:
        found = cache.sorted_set(name)
        for value, score in found.entries() if found else ():
            weighted, other = finite(score * weight), result.score(value)
            result.put(value, weighted if other is None else finite(combine(other, weighted)))
    if len(result):
        cache.keep(request.set_name, result)
    else:
        cache.drop(request.set_name)
    return wire._SortedSetUnionStoreResponse(length=len(result))


def _union_needs(request: wire._SortedSetUnionStoreRequest) -> list[Need]:
    return [
        *changes("set_name")(request),
        *(Need(Action.READ, "the set_name of a source", source.set_name) for source in request.sources),
    ]


CALLS = {
    "SortedSetPut": ItemCall(writes("set_name"), put),
    "SortedSetFetch": ItemCall(reads("set_name"), fetch),
    "SortedSetGetScore": ItemCall(reads("set_name"), scores),
    "SortedSetRemove": ItemCall(writes("set_name"), remove),
    "SortedSetIncrement": ItemCall(changes("set_name"), increment),
    "SortedSetGetRank": ItemCall(reads("set_name"), rank),
    "SortedSetLength": ItemCall(reads("set_name"), length),
    "SortedSetLengthByScore": ItemCall(reads("set_name"), length_by_score),
    "SortedSetUnionStore": ItemCall(_union_needs, union_store),
}
