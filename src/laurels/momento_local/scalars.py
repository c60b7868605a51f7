"""The calls on scalars, and those on items of any kind.

What the protocol leaves open is *assumed*: that an increment sets the time to live anew, as every other write of a
scalar does; that a condition on the value of an item that is no scalar is an error, and one on its presence is not; and
the hash of a value, which is its SHA-256.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from momento_wire_types import cacheclient_pb2 as wire

from laurels.momento_local.caches import Scalar
from laurels.momento_local.errors import BadArgument, WrongKind
from laurels.momento_local.fields import choice
from laurels.momento_local.item_calls import ItemCall, Need, changes, reads, writes
from laurels.momento_local.rights import Action
from laurels.momento_local.sets import SortedSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.momento_local.caches import Cache

NUMBER = re.compile(rb"-?[0-9]{1,19}")
RANGE = range(-(2**63), 2**63)

TYPES = {
    Scalar: wire._ItemGetTypeResponse.SCALAR,
    SortedSet: wire._ItemGetTypeResponse.SORTED_SET,
}

CONDITIONS: dict[str, Callable[[bytes | None, bytes], bool]] = {
    "equal": lambda value, other: value == other,
    "not_equal": lambda value, other: value != other,
    "present_and_not_equal": lambda value, other: value is not None and value != other,
    "absent_or_equal": lambda value, other: value is None or value == other,
    "present_and_hash_equal": lambda value, other: value is not None and hash_of(value) == other,
    "present_and_not_hash_equal": lambda value, other: value is not None and hash_of(value) != other,
    "absent_or_hash_equal": lambda value, other: value is None or hash_of(value) == other,
    "absent_or_not_hash_equal": lambda value, other: value is None or hash_of(value) != other,
}
"""Whether a scalar, None if it is missing, meets a condition on its value or its hash."""


def hash_of(body: bytes) -> bytes:
    """Return the hash of a value."""
    return sha256(body).digest()


def get(cache: Cache, request: wire._GetRequest) -> wire._GetResponse:
    """Return a scalar's body."""
    found = cache.scalar(request.cache_key)
    if found is None:
        return wire._GetResponse(result=wire.Miss)
    return wire._GetResponse(result=wire.Hit, cache_body=found.body)


def get_with_hash(cache: Cache, request: wire._GetWithHashRequest) -> wire._GetWithHashResponse:
    """Return a scalar's body and its hash."""
    found = cache.scalar(request.cache_key)
    if found is None:
        return wire._GetWithHashResponse(missing={})
    return wire._GetWithHashResponse(found={"value": found.body, "hash": hash_of(found.body)})


def set_(cache: Cache, request: wire._SetRequest) -> wire._SetResponse:
    """Keep a scalar in place of any item that was there."""
    _keep(cache, request)
    return wire._SetResponse(result=wire.Ok)


def set_if(cache: Cache, request: wire._SetIfRequest) -> wire._SetIfResponse:
    """Keep a scalar if what is there meets a condition."""
    if _keep_if(cache, request):
        return wire._SetIfResponse(stored={})
    return wire._SetIfResponse(not_stored={})


def set_if_hash(cache: Cache, request: wire._SetIfHashRequest) -> wire._SetIfHashResponse:
    """Keep a scalar if the hash of what is there meets a condition; return the hash of what is kept."""
    if _keep_if(cache, request):
        return wire._SetIfHashResponse(stored={"new_hash": hash_of(request.cache_body)})
    return wire._SetIfHashResponse(not_stored={})


def set_if_not_exists(cache: Cache, request: wire._SetIfNotExistsRequest) -> wire._SetIfNotExistsResponse:
    """Keep a scalar if there is no item."""
    expires = cache.expiry(request.ttl_milliseconds)
    if cache.item(request.cache_key) is not None:
        return wire._SetIfNotExistsResponse(not_stored={})
    cache.keep(request.cache_key, Scalar(request.cache_body, expires))
    return wire._SetIfNotExistsResponse(stored={})


def increment(cache: Cache, request: wire._IncrementRequest) -> wire._IncrementResponse:
    """Add to a whole number in decimal digits, which is 0 for a new item, and return the sum."""
    expires = cache.expiry(request.ttl_milliseconds)
    found = cache.scalar(request.cache_key)
    before = b"0" if found is None else found.body
    if not NUMBER.fullmatch(before) or int(before) not in RANGE:
        raise WrongKind(request.cache_key, Scalar.kind, "whole number of 64 bits")
    value = int(before) + request.amount
    if value not in RANGE:
        raise BadArgument(f"The sum {value} does not fit in 64 bits: give another `amount`.")
    cache.keep(request.cache_key, Scalar(b"%d" % value, expires))
    return wire._IncrementResponse(value=value)


def delete(cache: Cache, request: wire._DeleteRequest) -> wire._DeleteResponse:
    """Drop an item of any kind."""
    cache.drop(request.cache_key)
    return wire._DeleteResponse()


def keys_exist(cache: Cache, request: wire._KeysExistRequest) -> wire._KeysExistResponse:
    """Return for each key whether there is an item of any kind."""
    return wire._KeysExistResponse(exists=[cache.item(key) is not None for key in request.cache_keys])


def item_type(cache: Cache, request: wire._ItemGetTypeRequest) -> wire._ItemGetTypeResponse:
    """Return the kind of an item."""
    found = cache.item(request.cache_key)
    if found is None:
        return wire._ItemGetTypeResponse(missing={})
    return wire._ItemGetTypeResponse(found={"item_type": TYPES[type(found)]})


def item_ttl(cache: Cache, request: wire._ItemGetTtlRequest) -> wire._ItemGetTtlResponse:
    """Return how long an item of any kind has left."""
    found = cache.item(request.cache_key)
    if found is None:
        return wire._ItemGetTtlResponse(missing={})
    return wire._ItemGetTtlResponse(found={"remaining_ttl_millis": cache.remaining(found)})


def update_ttl(cache: Cache, request: wire._UpdateTtlRequest) -> wire._UpdateTtlResponse:
    """Set the time to live of an item of any kind: always, or if that makes it longer, or shorter."""
    chosen = choice(request, "update_ttl", "how long")
    expires = cache.expiry(getattr(request, chosen))
    found = cache.item(request.cache_key)
    if found is None:
        return wire._UpdateTtlResponse(missing={})
    if not _does_apply(chosen, found.expires, expires):
        return wire._UpdateTtlResponse(not_set={})
    found.expires = expires
    return wire._UpdateTtlResponse(set={})


def _does_apply(chosen: str, before: float, after: float) -> bool:
    if chosen == "increase_to_milliseconds":
        return after > before
    return chosen == "overwrite_to_milliseconds" or after < before


def _keep(cache: Cache, request: Any) -> None:
    cache.keep(request.cache_key, Scalar(request.cache_body, cache.expiry(request.ttl_milliseconds)))


def _keep_if(cache: Cache, request: Any) -> bool:
    """Keep a scalar if its condition is met; return whether it is."""
    chosen = choice(request, "condition", "on which condition")
    cache.expiry(request.ttl_milliseconds)
    if chosen in CONDITIONS:
        found = cache.scalar(request.cache_key)
        condition = getattr(request, chosen)
        other = condition.hash_to_check if "hash" in chosen else condition.value_to_check
        is_met = CONDITIONS[chosen](None if found is None else found.body, other)
    else:
        is_there = cache.item(request.cache_key) is not None
        is_met = chosen == "unconditional" or is_there == (chosen == "present")
    if is_met:
        _keep(cache, request)
    return is_met


def _keys_exist_needs(request: wire._KeysExistRequest) -> list[Need]:
    return [Need(Action.READ, "one of the cache_keys", key) for key in request.cache_keys]


CALLS = {
    "Get": ItemCall(reads("cache_key"), get),
    "GetWithHash": ItemCall(reads("cache_key"), get_with_hash),
    "Set": ItemCall(writes("cache_key"), set_),
    "SetIf": ItemCall(changes("cache_key"), set_if),
    "SetIfHash": ItemCall(changes("cache_key"), set_if_hash),
    "SetIfNotExists": ItemCall(changes("cache_key"), set_if_not_exists),
    "Increment": ItemCall(changes("cache_key"), increment),
    "Delete": ItemCall(writes("cache_key"), delete),
    "KeysExist": ItemCall(_keys_exist_needs, keys_exist),
    "ItemGetType": ItemCall(reads("cache_key"), item_type),
    "ItemGetTtl": ItemCall(reads("cache_key"), item_ttl),
    "UpdateTtl": ItemCall(changes("cache_key"), update_ttl),
}
