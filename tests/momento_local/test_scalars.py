"""The calls on scalars and on items of any kind: what the JavaScript SDK does not show, with stubs of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento_wire_types import cacheclient_pb2 as wire

from laurels.momento_local.caches import Cache, Scalar

if TYPE_CHECKING:
    from tests.clock import Clock
    from tests.momento import Momento

HOUR = 3_600_000
MOST = 2**63 - 1


class Caller:
    """Makes calls on one cache."""

    def __init__(self, momento: Momento, cache: str) -> None:
        self.items = momento.items
        self.cache = cache

    def __call__(self, name: str, key: bytes = b"k", **fields: Any) -> Any:
        """Make a call on an item."""
        request = getattr(wire, f"_{name}Request")(cache_key=key, **fields)
        return getattr(self.items, name)(request, metadata=(("cache", self.cache),))

    def set(self, body: bytes) -> None:
        """Set the item "k"."""
        self("Set", cache_body=body, ttl_milliseconds=HOUR)

    def body(self) -> bytes:
        """Return the body of the item "k"."""
        body: bytes = self("Get").cache_body
        return body

    def refusal(self, name: str, key: bytes = b"k", **fields: Any) -> tuple[grpc.StatusCode, str]:
        """Return the status and the details of a call that is refused."""
        with pytest.raises(grpc.RpcError) as caught:
            self(name, key, **fields)
        return caught.value.code(), caught.value.details()


@pytest.fixture
def call(momento: Momento, cache: str) -> Caller:
    """Return a caller for a cache in which "set" is a sorted set."""
    element = wire._SortedSetElement(value=b"v", score=1)
    request = wire._SortedSetPutRequest(set_name=b"set", elements=[element], ttl_milliseconds=HOUR)
    momento.items.SortedSetPut(request, metadata=(("cache", cache),))
    return Caller(momento, cache)


@pytest.mark.parametrize(
    ("body", "amount", "value"),
    [(b"5", -7, -2), (b"-0", 0, 0), (b"%d" % (MOST - 1), 1, MOST), (b"%d" % (-MOST), -1, -MOST - 1)],
)
def test_increment(call: Caller, body: bytes, amount: int, value: int) -> None:
    """A number in decimal digits is incremented in the range of 64 bits."""
    call.set(body)
    assert call("Increment", amount=amount, ttl_milliseconds=HOUR).value == value
    assert call.body() == b"%d" % value


@pytest.mark.parametrize("body", [b"", b"x", b" 1", b"1.0", b"+1", b"1" * 20, b"%d" % (MOST + 1), "\u0661".encode()])
def test_increment_of_no_number(call: Caller, body: bytes) -> None:
    """What is no number of 64 bits is not incremented, and stays."""
    call.set(body)
    status, details = call.refusal("Increment", amount=1, ttl_milliseconds=HOUR)
    assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert "not a whole number of 64 bits" in details
    assert call.body() == body


def test_set_if_not_exists(call: Caller) -> None:
    """A value is stored once."""
    for body, outcome in ((b"one", "stored"), (b"two", "not_stored")):
        answer = call("SetIfNotExists", cache_body=body, ttl_milliseconds=HOUR)
        assert answer.WhichOneof("result") == outcome
    assert call.body() == b"one"


def test_increment_beyond_64_bits(call: Caller) -> None:
    """A sum that does not fit is refused, and the number stays."""
    call.set(b"%d" % MOST)
    status, details = call.refusal("Increment", amount=1, ttl_milliseconds=HOUR)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert "does not fit in 64 bits" in details
    assert call.body() == b"%d" % MOST


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("Increment", {"amount": 1}, "ttl_milliseconds is 0"),
        ("SetIfNotExists", {}, "ttl_milliseconds is 0"),
        ("SetIf", {"present": {}}, "ttl_milliseconds is 0"),
        ("SetIf", {"equal": {"value_to_check": b"nothing"}}, "ttl_milliseconds is 0"),
        ("SetIf", {"ttl_milliseconds": 1}, "`present`, `present_and_not_equal`, `absent`"),
        ("SetIfHash", {"ttl_milliseconds": 1}, "on which condition"),
        ("UpdateTtl", {}, "one of `increase_to_milliseconds`, `decrease_to_milliseconds`"),
        ("UpdateTtl", {"overwrite_to_milliseconds": 0}, "give at least 1"),
        ("UpdateTtl", {"decrease_to_milliseconds": 0}, "give at least 1"),
        *((name, {"key": b""}, "cache_key is empty") for name in ("ItemGetTtl", "ItemGetType", "GetWithHash")),
    ],
)
def test_invalid(call: Caller, name: str, fields: dict[str, Any], problem: str) -> None:
    """An invalid request is answered with INVALID_ARGUMENT and what would be right, and changes nothing."""
    call.set(b"7")
    status, details = call.refusal(name, **fields)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert problem in details
    assert call.body() == b"7"


def test_an_empty_key_among_others(momento: Momento, cache: str) -> None:
    """Each of the keys that are asked for must have at least one byte."""
    with pytest.raises(grpc.RpcError, match="one of the cache_keys is empty"):
        momento.items.KeysExist(wire._KeysExistRequest(cache_keys=[b"k", b""]), metadata=(("cache", cache),))


def test_conditions_on_an_item_of_another_kind(call: Caller) -> None:
    """A sorted set is present, but has no value to compare."""
    fields = {"cache_body": b"v", "ttl_milliseconds": HOUR}
    assert call("SetIf", b"set", absent={}, **fields).HasField("not_stored")
    assert call("SetIfNotExists", b"set", **fields).HasField("not_stored")
    for condition in ("equal", "not_equal"):
        status, _ = call.refusal("SetIf", b"set", **fields, **{condition: {"value_to_check": b"v"}})
        assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert call("SetIf", b"set", present={}, **fields).HasField("stored")
    assert call("ItemGetType", b"set").found.item_type == wire._ItemGetTypeResponse.SCALAR


def test_a_refusal_of_a_long_key(call: Caller) -> None:
    """A refusal that repeats a key of any length still arrives."""
    key = b"\xff" * 100_000
    call("Set", key, cache_body=b"x", ttl_milliseconds=HOUR)
    status, details = call.refusal("Increment", key, amount=1, ttl_milliseconds=HOUR)
    assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert len(details) == 1_000


def test_a_condition_that_is_met_sets_the_ttl(call: Caller) -> None:
    """The time to live begins anew with a value that is stored, and not with one that is not."""
    call.set(b"v")
    for body, least, most in ((b"w", HOUR - 60_000, HOUR), (b"v", 1, 5_000)):
        check = {"value_to_check": body}
        call("SetIf", cache_body=b"x", ttl_milliseconds=5_000, equal=check)
        assert least <= call("ItemGetTtl").found.remaining_ttl_millis <= most


def test_the_longest_ttl(call: Caller) -> None:
    """The longest time to live that the protocol has is kept, and read."""
    call("Set", cache_body=b"v", ttl_milliseconds=2**64 - 1)
    assert call("ItemGetTtl").found.remaining_ttl_millis > 2**63


def test_what_is_left_of_a_ttl(clock: Clock) -> None:
    """A millisecond that has begun is left."""
    cache = Cache(clock, page=1)
    item = Scalar(b"v", cache.expiry(1_000))
    clock.now += 0.9995
    assert cache.remaining(item) == 1
