"""Requests that do not say what they are for: refused, whatever is there, and nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import controlclient_pb2 as control

if TYPE_CHECKING:
    from tests.momento import Momento

Fetch = wire._SortedSetFetchRequest
NAN = float("nan")


def source(name: bytes = b"none", weight: float = 1.0) -> dict[str, Any]:
    """Return a source of a union, which is missing."""
    return {"set_name": name, "weight": weight}


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("UnionStore", {}, "`sources` is empty"),
        ("UnionStore", {"sources": [source(weight=NAN)]}, "not finite"),
        ("UnionStore", {"sources": [source(b"")]}, "the set_name of a source is empty"),
        ("UnionStore", {"sources": [source()], "aggregate": 7}, "no aggregate 7: give SUM, MIN, MAX"),
        ("UnionStore", {"sources": [source()], "ttl_milliseconds": 0}, "ttl_milliseconds is 0"),
        ("Put", {}, "`elements` is empty"),
        ("Put", {"elements": [{"value": b"a", "score": NAN}]}, "not finite"),
        ("Increment", {"value": b"a", "amount": float("inf")}, "not finite"),
        ("Remove", {}, "one of `all`, `some`"),
        ("Remove", {"some": {}}, "`some` has no values"),
        ("Fetch", {}, "one of `by_index`, `by_score`"),
        ("Fetch", {"by_index": {}, "order": 7}, "no order 7: give ASCENDING, DESCENDING"),
        ("Fetch", {"by_score": {"min_score": {"score": NAN}}}, "not a number"),
        ("Fetch", {"by_score": {"max_score": {"score": NAN}}}, "not a number"),
        ("GetRank", {"value": b"a", "order": 7}, "no order 7"),
        ("LengthByScore", {"exclusive_max": NAN}, "not a number"),
    ],
)
@pytest.mark.parametrize("key", [b"board", b"missing"])
def test_sorted_sets(momento: Momento, cache: str, key: bytes, name: str, fields: dict[str, Any], problem: str) -> None:
    """An invalid request on a sorted set is INVALID_ARGUMENT, if the set is there and if it is missing."""
    metadata = (("cache", cache),)
    element = {"value": b"a", "score": 1.0}
    put = wire._SortedSetPutRequest(set_name=b"board", elements=[element], ttl_milliseconds=60_000)
    momento.items.SortedSetPut(put, metadata=metadata)
    kind = getattr(wire, f"_SortedSet{name}Request")
    ttl = {"ttl_milliseconds": 60_000} if "ttl_milliseconds" in kind.DESCRIPTOR.fields_by_name else {}
    with pytest.raises(grpc.RpcError) as caught:
        getattr(momento.items, f"SortedSet{name}")(kind(**{"set_name": key, **ttl, **fields}), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert problem in caught.value.details()
    asked = wire._SortedSetGetScoreRequest(set_name=b"board", values=[b"a"])
    assert momento.items.SortedSetGetScore(asked, metadata=metadata).found.elements[0].score == 1.0


def test_a_read_of_nothing_answers_nothing(momento: Momento, cache: str) -> None:
    """A read of no values and of no keys is no error."""
    metadata = (("cache", cache),)
    scores = momento.items.SortedSetGetScore(wire._SortedSetGetScoreRequest(set_name=b"none"), metadata=metadata)
    assert scores.HasField("missing")
    assert not momento.items.KeysExist(wire._KeysExistRequest(), metadata=metadata).exists


def test_a_read_of_nothing_needs_a_key_that_is_valid(momento: Momento, cache: str) -> None:
    """Even a call on no item is not for everyone."""
    metadata = (("cache", cache), ("authorization", "wrong"))
    with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
        momento.items.KeysExist(wire._KeysExistRequest(), metadata=metadata)


def test_a_page_that_is_none(momento: Momento) -> None:
    """There is no second page of caches, and so no token for one."""
    with pytest.raises(grpc.RpcError) as caught:
        momento.caches.ListCaches(control._ListCachesRequest(next_token="2"))  # noqa: S106 - no secret
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
