"""Leaderboards: compared with a sorted list, and what is refused, with the protocol's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from momento import AuthClient, CredentialProvider
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.config.auth_configurations import AuthConfigurations
from momento.responses import GenerateDisposableToken
from momento.utilities import ExpiresIn
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import controlclient_pb2 as control

from laurels.momento_local.leaderboard_messages import DESCRIPTOR
from laurels.momento_local.ranked import Leaderboard

if TYPE_CHECKING:
    from tests.momento import Momento

IDS = st.integers(0, 12) | st.sampled_from([2**32 - 1, 100, 101])
SCORES = st.sampled_from([0.0, -0.0, -1.5, 2.0, 1e300, 5e-324])
METHODS = DESCRIPTOR.services_by_name["Leaderboard"].methods_by_name
MANY = range(8193)


def made_of(scores: dict[int, float]) -> Leaderboard:
    """Return a leaderboard; every element is put twice, and one more is removed again."""
    board = Leaderboard()
    for number, score in [(77, 0.0), *((number, 1.0) for number in scores), *scores.items()]:
        board.put(number, score)
    board.remove(77)
    return board


def ordered(scores: dict[int, float], *, descending: bool) -> list[tuple[int, int, float]]:
    """Return the ids, ranks and scores in order: ties by the ids as text."""
    entries = sorted((score, str(number)) for number, score in scores.items())
    return [(int(name), rank, score) for rank, (score, name) in enumerate(entries[::-1] if descending else entries)]


@given(st.dictionaries(IDS, SCORES), st.booleans(), st.integers(0, 9), st.integers(0, 9))
def test_by_rank(scores: dict[int, float], descending: bool, start: int, stop: int) -> None:  # noqa: FBT001
    """A range of ranks is half-open, and clipped."""
    expected = ordered(scores, descending=descending)[start:stop]
    assert made_of(scores).by_rank(start, stop, descending=descending) == expected


@given(st.dictionaries(IDS, SCORES), st.booleans(), SCORES, SCORES, st.integers(0, 4), st.integers(1, 4))
def test_by_score(
    scores: dict[int, float],
    descending: bool,  # noqa: FBT001
    low: float,
    high: float,
    offset: int,
    limit: int,
) -> None:
    """A range of scores has its lower bound alone; offset and limit count within it, the ranks do not."""
    inside = [entry for entry in ordered(scores, descending=descending) if low <= entry[2] < high]
    found = made_of(scores).by_score(low, high, offset, limit, descending=descending)
    assert found == inside[offset : offset + limit]


@given(st.dictionaries(IDS, SCORES), st.booleans(), st.lists(IDS))
def test_ranks(scores: dict[int, float], descending: bool, numbers: list[int]) -> None:  # noqa: FBT001
    """Ranks come in the order of the ids, without missing ones; those of competition count the better scores."""
    board, expected = made_of(scores), {entry[0]: entry for entry in ordered(scores, descending=descending)}
    assert board.ranks(numbers, descending=descending) == [expected[n] for n in numbers if n in expected]
    for number, rank, score in board.competition_ranks(numbers, descending=descending):
        assert score == scores[number]
        assert rank == sum(other > score if descending else other < score for other in scores.values())


class Caller:
    """Makes calls on one cache, with fields of their requests."""

    def __init__(self, momento: Momento, cache: str) -> None:
        self.channel = momento.channel
        self.cache = cache
        self.key = ""

    def __call__(self, name: str, **fields: Any) -> Any:
        """Make a call on the leaderboard "board", unless the fields have another."""
        method = METHODS[name]
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = self.channel.unary_unary(
            f"/leaderboard.Leaderboard/{name}", request.SerializeToString, response.FromString
        )
        metadata = (("cache", self.cache), ("authorization", self.key))
        return call(request(**{"leaderboard": "board", **fields}), metadata=metadata)


@pytest.fixture
def call(momento: Momento, cache: str) -> Caller:
    """Return a caller for an empty cache."""
    return Caller(momento, cache)


def elements(*scores: float) -> list[dict[str, float]]:
    """Return elements with the ids 0, 1 and so on."""
    return [{"id": number, "score": score} for number, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("UpsertElements", {}, "0 elements: give 1 to 8192"),
        ("UpsertElements", {"elements": elements(*MANY)}, "8,193 elements"),
        ("UpsertElements", {"elements": elements(1, float("nan"))}, "not finite"),
        ("UpsertElements", {"elements": elements(1, float("inf"))}, "not finite"),
        ("UpsertElements", {"leaderboard": "", "elements": elements(1)}, "leaderboard is empty"),
        ("UpsertElements", {"leaderboard": " ", "elements": elements(1)}, "leaderboard is empty"),
        ("RemoveElements", {}, "0 ids"),
        ("RemoveElements", {"ids": MANY}, "8,193 ids"),
        ("GetRank", {"ids": MANY}, "8,193 ids: give 0 to 8192"),
        ("GetRank", {"order": 7}, "no order 7: give ASCENDING, DESCENDING"),
        ("GetCompetitionRank", {"ids": MANY}, "8,193 ids"),
        ("GetCompetitionRank", {"order": 7}, "no order 7"),
        ("GetByRank", {}, "give 1 to 8,192 ranks"),
        ("GetByRank", {"rank_range": {"start_inclusive": 4, "end_exclusive": 3}}, "from 4 to below 3"),
        ("GetByRank", {"rank_range": {"end_exclusive": 8193}}, "give 1 to 8,192"),
        ("GetByScore", {"limit_elements": 5}, "`score_range` is missing"),
        ("GetByScore", {"score_range": {}}, "`limit_elements` is 0"),
        ("GetByScore", {"score_range": {}, "limit_elements": 8193}, "`limit_elements` is 8193"),
        ("GetByScore", {"score_range": {"min_inclusive": float("nan")}, "limit_elements": 1}, "not finite"),
        ("GetByScore", {"score_range": {"max_exclusive": float("inf")}, "limit_elements": 1}, "not finite"),
        (
            "GetByScore",
            {"score_range": {"min_inclusive": 2, "max_exclusive": 1}, "limit_elements": 1},
            "give the lower one first",
        ),
    ],
)
def test_invalid(call: Caller, name: str, fields: dict[str, Any], problem: str) -> None:
    """An invalid request is answered with INVALID_ARGUMENT and what would be right, and changes nothing."""
    call("UpsertElements", elements=elements(5.0))
    with pytest.raises(grpc.RpcError) as caught:
        call(name, **fields)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert problem.replace("8192", "8,192") in caught.value.details()
    found = call("GetByRank", rank_range={"end_exclusive": 8192})
    assert [(element.id, element.score) for element in found.elements] == [(0, 5.0)]


def test_as_many_as_the_protocol_has(call: Caller) -> None:
    """8,192 elements are put, read and removed in one call each; the last one takes the leaderboard with it."""
    call("UpsertElements", elements=elements(*range(8192)))
    assert len(call("GetByRank", rank_range={"start_inclusive": 1, "end_exclusive": 8193}).elements) == 8191
    assert call("GetByScore", score_range={}, limit_elements=8192, offset=8000).elements[0].rank == 8000
    assert call("GetRank", ids=[8191], order=1).elements[0].rank == 0
    call("RemoveElements", ids=range(8192))
    assert call("GetLeaderboardLength").count == 0


def test_a_leaderboard_is_no_item(momento: Momento, call: Caller) -> None:
    """A leaderboard and an item may have one name; flushing the cache drops both."""
    call("UpsertElements", elements=elements(5.0))
    found = momento.items.ItemGetType(wire._ItemGetTypeRequest(cache_key=b"board"), metadata=(("cache", call.cache),))
    assert found.HasField("missing")
    momento.caches.FlushCache(control._FlushCacheRequest(cache_name=call.cache))
    assert call("GetLeaderboardLength").count == 0


def test_a_token_for_reading_may_not_write(momento: Momento, call: Caller) -> None:
    """A leaderboard needs the rights on the item of its name."""
    with AuthClient(AuthConfigurations.Laptop.latest(), momento.credentials) as client:
        scope = DisposableTokenScopes.cache_key_read_only(call.cache, "board")
        made = client.generate_disposable_token(scope, ExpiresIn.minutes(1))
    assert isinstance(made, GenerateDisposableToken.Success)
    call.key = CredentialProvider.from_disposable_token(made.auth_token).auth_token
    assert call("GetLeaderboardLength").count == 0
    for name, fields in (("UpsertElements", {"elements": elements(1.0)}), ("GetRank", {"leaderboard": "other"})):
        with pytest.raises(grpc.RpcError) as caught:
            call(name, **fields)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
