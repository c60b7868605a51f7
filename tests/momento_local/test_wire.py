"""Calls that the official Python SDK does not make, with stubs of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import cachepubsub_pb2 as pubsub
from momento_wire_types import common_pb2 as common
from momento_wire_types import controlclient_pb2 as control

from laurels.momento_local.calls import SERVED

if TYPE_CHECKING:
    from tests.momento import Momento

Fetch = wire._SortedSetFetchRequest
Between = wire._SortedSetLengthByScoreRequest
Union = wire._SortedSetUnionStoreRequest
SCORES = {b"a": 1.0, b"b": 2.0, b"c": 2.0, b"d": 3.0}
HOUR = 3_600_000
ANY = common._Unbounded()


class Caller:
    """Makes calls on one cache, and returns the answers."""

    def __init__(self, momento: Momento, cache: str) -> None:
        self.momento = momento
        self.cache = cache

    def __call__(self, request: Any) -> Any:
        """Make the call that takes this request."""
        name = type(request).__name__.removeprefix("_").removesuffix("Request")
        return getattr(self.momento.items, name)(request, metadata=(("cache", self.cache),))

    def put(self, name: bytes, scores: dict[bytes, float]) -> None:
        """Put values to a set."""
        elements = [wire._SortedSetElement(value=value, score=score) for value, score in scores.items()]
        self(wire._SortedSetPutRequest(set_name=name, elements=elements, ttl_milliseconds=HOUR))

    def scores(self, name: bytes) -> dict[bytes, float]:
        """Return the scores in a set, in order."""
        everything = Fetch._ByIndex(unbounded_start=ANY, unbounded_end=ANY)
        answer = self(Fetch(set_name=name, with_scores=True, by_index=everything))
        return {element.value: element.score for element in answer.found.values_with_scores.elements}


@pytest.fixture
def call(momento: Momento, cache: str) -> Caller:
    """Return a caller for an empty cache."""
    return Caller(momento, cache)


@pytest.fixture
def board(call: Caller) -> Caller:
    """Return a caller for a cache in which the set "board" holds SCORES."""
    call.put(b"board", SCORES)
    return call


def refusal(call: Caller, request: Any) -> tuple[grpc.StatusCode, str]:
    """Return the status and the details of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value.code(), caught.value.details()


def test_length(board: Caller) -> None:
    """The length of a set is the number of its values."""
    assert board(wire._SortedSetLengthRequest(set_name=b"board")).found.length == 4


@pytest.mark.parametrize("request_of", [wire._SortedSetLengthRequest, Between, Fetch], ids=lambda of: of.__name__)
def test_missing(call: Caller, request_of: Any) -> None:
    """A set that was never put is missing."""
    request = request_of(set_name=b"none")
    if request_of is Fetch:
        request.by_index.SetInParent()
    assert call(request).HasField("missing")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        pytest.param({}, 4, id="none given"),
        pytest.param({"unbounded_min": ANY, "unbounded_max": ANY}, 4, id="unbounded"),
        pytest.param({"inclusive_min": 2.0, "inclusive_max": 3.0}, 3, id="inclusive"),
        pytest.param({"exclusive_min": 2.0, "exclusive_max": 3.0}, 0, id="exclusive"),
        pytest.param({"exclusive_min": 1.0, "inclusive_max": 2.0}, 2, id="mixed"),
        pytest.param({"inclusive_min": 3.0, "inclusive_max": 1.0}, 0, id="the wrong way round"),
        pytest.param({"inclusive_min": float("-inf"), "exclusive_max": float("inf")}, 4, id="infinite"),
    ],
)
def test_length_by_score(board: Caller, bounds: dict[str, Any], expected: int) -> None:
    """A length by score counts the values within the bounds, each inclusive or exclusive."""
    assert board(Between(set_name=b"board", **bounds)).found.length == expected


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
def test_fetch_with_exclusive_scores(board: Caller, order: str) -> None:
    """An exclusive bound leaves its score out, in either order."""
    bounds = {
        "min_score": Fetch._ByScore._Score(score=1.0, exclusive=True),
        "max_score": Fetch._ByScore._Score(score=3.0, exclusive=True),
    }
    answer = board(Fetch(set_name=b"board", order=order, by_score=Fetch._ByScore(**bounds, count=-1)))
    assert sorted(answer.found.values.values) == [b"b", b"c"]


def test_fetch_without_scores(board: Caller) -> None:
    """A fetch without scores returns the values alone."""
    answer = board(Fetch(set_name=b"board", by_index=Fetch._ByIndex(exclusive_end_index=2)))
    assert answer.found.WhichOneof("elements") == "values"
    assert list(answer.found.values.values) == [b"a", b"b"]


def test_remove_all(board: Caller) -> None:
    """When all values are removed, so is the set."""
    board(wire._SortedSetRemoveRequest(set_name=b"board", all=wire._SortedSetRemoveRequest._All()))
    assert board(wire._SortedSetLengthRequest(set_name=b"board")).HasField("missing")


def test_rank_in_a_missing_set_is_a_miss(call: Caller) -> None:
    """A rank in a missing set is a miss of the value, which is what the SDKs read."""
    answer = call(wire._SortedSetGetRankRequest(set_name=b"none", value=b"a"))
    assert answer.element_rank.result == wire.Miss


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("SUM", {b"c": -3.5, b"a": 2.0, b"b": 3.0}),
        ("MIN", {b"c": -3.5, b"b": -1.0, b"a": 2.0}),
        ("MAX", {b"c": -3.5, b"a": 2.0, b"b": 4.0}),
    ],
)
def test_union(call: Caller, aggregate: str, expected: dict[bytes, float]) -> None:
    """A union weights the scores of each set, combines those of one value, and replaces the set that was there."""
    call.put(b"one", {b"a": 1.0, b"b": 2.0})
    call.put(b"other", {b"b": 2.0, b"c": 7.0})
    sources = [Union._Source(set_name=name, weight=weight) for name, weight in ((b"one", 2.0), (b"other", -0.5))]
    request = Union(set_name=b"one", sources=sources, aggregate=aggregate, ttl_milliseconds=HOUR)
    assert call(request).length == 3
    assert list(call.scores(b"one").items()) == list(expected.items())


def test_a_union_of_nothing_leaves_nothing(board: Caller) -> None:
    """An empty union has the length 0, and drops its destination."""
    sources = [Union._Source(set_name=b"none", weight=1.0)]
    assert board(Union(set_name=b"board", sources=sources, ttl_milliseconds=HOUR)).length == 0
    assert board(wire._SortedSetLengthRequest(set_name=b"board")).HasField("missing")


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        pytest.param(Fetch(set_name=b"x"), "by_index", id="fetch of nothing"),
        pytest.param(wire._SortedSetRemoveRequest(set_name=b"x"), "`all`, `some`", id="remove of nothing"),
        pytest.param(Between(set_name=b"board", inclusive_min=float("nan")), "not a number", id="a bound that is NaN"),
        pytest.param(
            Union(set_name=b"x", sources=[Union._Source(set_name=b"board", weight=float("inf"))], ttl_milliseconds=1),
            "finite",
            id="an infinite weight",
        ),
        pytest.param(wire._SetRequest(cache_key=b"x", cache_body=b"y"), "at least 1", id="no TTL"),
        pytest.param(
            wire._SortedSetPutRequest(set_name=b"x", elements=[wire._SortedSetElement(value=b"a", score=1)]),
            "at least 1",
            id="no TTL of a set",
        ),
        pytest.param(Union.FromString(b"\x0a\x01x\x18\x07"), "SUM", id="an unknown aggregate"),
        pytest.param(wire._GetRequest(), "cache_key is empty", id="no key"),
        pytest.param(wire._SortedSetLengthRequest(), "set_name is empty", id="no name of a set"),
    ],
)
def test_invalid(board: Caller, request_: Any, problem: str) -> None:
    """An invalid request is answered with INVALID_ARGUMENT, and what would be right."""
    status, details = refusal(board, request_)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert problem in details


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        pytest.param((), grpc.StatusCode.INVALID_ARGUMENT, id="no cache"),
        pytest.param((("cache", " "),), grpc.StatusCode.INVALID_ARGUMENT, id="a blank"),
        pytest.param((("cache", "c" * 257),), grpc.StatusCode.INVALID_ARGUMENT, id="too long"),
        pytest.param((("cache", "no-such-cache"),), grpc.StatusCode.NOT_FOUND, id="an unknown cache"),
    ],
)
def test_the_cache_of_a_call(momento: Momento, metadata: Any, status: grpc.StatusCode) -> None:
    """A call must name an existing cache in its metadata."""
    with pytest.raises(grpc.RpcError) as caught:
        momento.items.Get(wire._GetRequest(cache_key=b"x"), metadata=metadata)
    assert caught.value.code() is status


def test_kinds_are_kept_apart(board: Caller) -> None:
    """A call on an item of the other kind is refused."""
    board(wire._SetRequest(cache_key=b"text", cache_body=b"v", ttl_milliseconds=HOUR))
    for request in (wire._SortedSetLengthRequest(set_name=b"text"), wire._GetRequest(cache_key=b"board")):
        status, details = refusal(board, request)
        assert status is grpc.StatusCode.FAILED_PRECONDITION
        assert "Delete it first" in details


def test_scalars(call: Caller) -> None:
    """A scalar replaces any item, and is there until it is deleted."""
    call.put(b"x", {b"a": 1.0})
    assert call(wire._SetRequest(cache_key=b"x", cache_body=b"v", ttl_milliseconds=HOUR)).result == wire.Ok
    assert call(wire._GetRequest(cache_key=b"x")) == wire._GetResponse(result=wire.Hit, cache_body=b"v")
    call(wire._DeleteRequest(cache_key=b"x"))
    assert call(wire._GetRequest(cache_key=b"x")).result == wire.Miss


def test_delete_takes_any_item(board: Caller) -> None:
    """A delete drops a sorted set too, and a missing item is no error."""
    for key in (b"board", b"none"):
        board(wire._DeleteRequest(cache_key=key))
    assert board(wire._SortedSetLengthRequest(set_name=b"board")).HasField("missing")


def test_what_is_not_implemented_says_so(call: Caller) -> None:
    """A call that the server does not have is answered with UNIMPLEMENTED and what it has, a stream too."""
    status, details = refusal(call, wire._SetPopRequest(set_name=b"x"))
    assert status is grpc.StatusCode.UNIMPLEMENTED
    assert "no SetPop: it has CreateCache, Delete," in details
    with pytest.raises(grpc.RpcError) as caught:
        list(call(wire._GetBatchRequest()))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("service", SERVED)
def test_what_is_served_is_in_the_protocol(momento: Momento, service: str) -> None:
    """Every call that is served is answered on its path: with anything but UNIMPLEMENTED."""
    for name in SERVED[service]:
        call = momento.channel.unary_stream(f"/{service}/{name}")
        with pytest.raises(grpc.RpcError) as caught:
            list(call(b"", metadata=(("cache", "no-such-cache"), ("authorization", "wrong"))))
        assert caught.value.code() is not grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["cache_client.Scs/Get", "cache_client.pubsub.Pubsub/Subscribe"])
def test_bytes_that_are_no_message(momento: Momento, path: str) -> None:
    """Bytes that cannot be decoded are refused, of a call and of a stream."""
    with pytest.raises(grpc.RpcError) as caught:
        list(momento.channel.unary_stream(f"/{path}")(b"\xff"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_signing_keys_are_not_implemented(momento: Momento) -> None:
    """So is a call on whole caches that the server does not have."""
    with pytest.raises(grpc.RpcError) as caught:
        momento.caches.CreateSigningKey(control._CreateSigningKeyRequest(ttl_minutes=1))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("topic", ["", "news"], ids=["no topic", "nothing to publish"])
def test_bad_publish(momento: Momento, cache: str, topic: str) -> None:
    """A publish without a topic or without a value is refused."""
    value = pubsub._TopicValue(text="hello") if not topic else None
    with pytest.raises(grpc.RpcError) as caught:
        momento.topics.Publish(pubsub._PublishRequest(cache_name=cache, topic=topic, value=value))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_large_set_is_put_whole(call: Caller) -> None:
    """A put may be as large as one item: 5 MB."""
    call.put(b"heavy", {bytes([number]) * 1_000_000: number for number in range(1, 6)})
    assert call(wire._SortedSetLengthRequest(set_name=b"heavy")).found.length == 5


def test_a_large_set_is_fetched_whole(call: Caller) -> None:
    """A large set is fetched in one answer."""
    call.put(b"board", {b"%060d" % number: float(number) for number in range(20_000)})
    assert len(call.scores(b"board")) == 20_000
