"""Sorted sets on the local Momento server, with the official SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from momento.errors import MomentoErrorCode
from momento.requests import SortOrder
from momento.responses import (
    CacheSortedSetFetch,
    CacheSortedSetGetRank,
    CacheSortedSetGetScore,
    CacheSortedSetGetScores,
    CacheSortedSetIncrementScore,
)

if TYPE_CHECKING:
    from momento import CacheClientAsync

pytestmark = pytest.mark.anyio
ASCENDING, DESCENDING = SortOrder.ASCENDING, SortOrder.DESCENDING
SCORES = {"a": 1.0, "b": 2.0, "c": 2.0, "d": 3.0}
LONG = b"\xff" * 3000


async def fetch(client: CacheClientAsync, cache: str, **options: Any) -> list[tuple[bytes, float]]:
    """Fetch values of the set "board": by score if an option is about that, and else by rank."""
    by_score = {"min_score", "max_score", "offset", "count"} & set(options)
    call = client.sorted_set_fetch_by_score if by_score else client.sorted_set_fetch_by_rank
    response = await call(cache, "board", **options)
    assert isinstance(response, CacheSortedSetFetch.Hit), response
    return response.value_list_bytes


async def values(client: CacheClientAsync, cache: str, **options: Any) -> str:
    """Fetch values of one letter, as a word."""
    return b"".join(value for value, _ in await fetch(client, cache, **options)).decode()


@pytest.fixture
async def board(client: CacheClientAsync, cache: str) -> str:
    """Return a cache in which the set "board" holds SCORES."""
    await client.sorted_set_put_elements(cache, "board", SCORES)
    return cache


@pytest.mark.parametrize(
    ("order", "start", "end", "expected"),
    [
        pytest.param(ASCENDING, None, None, "abcd", id="all"),
        pytest.param(DESCENDING, None, None, "dcba", id="descending is the reverse, ties too"),
        pytest.param(ASCENDING, 1, 3, "bc", id="half-open"),
        pytest.param(DESCENDING, 1, 3, "cb", id="half-open, descending"),
        pytest.param(ASCENDING, -3, -1, "bc", id="negative"),
        pytest.param(DESCENDING, -3, -1, "cb", id="negative, descending"),
        pytest.param(ASCENDING, 2, 99, "cd", id="clipped"),
        pytest.param(DESCENDING, -99, 1, "d", id="clipped before the first"),
        pytest.param(ASCENDING, 4, None, "", id="beyond the end is found and empty"),
    ],
)
async def test_by_rank(
    client: CacheClientAsync, board: str, order: SortOrder, start: int | None, end: int | None, expected: str
) -> None:
    """A range of ranks is half-open, in the given order, and negative ranks count from the end."""
    assert await values(client, board, start_rank=start, end_rank=end, sort_order=order) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"min_score": 2.0, "max_score": 3.0}, "bcd", id="both ends are in"),
        pytest.param({"min_score": 2.0, "sort_order": DESCENDING}, "dcb", id="descending"),
        pytest.param({"max_score": 2.0}, "abc", id="no lower end"),
        pytest.param({"offset": 1, "count": 2}, "bc", id="offset and count"),
        pytest.param({"offset": 1, "count": 2, "sort_order": DESCENDING}, "cb", id="offset and count, descending"),
        pytest.param({"max_score": 2.0, "offset": 1, "sort_order": DESCENDING}, "ba", id="offset within the scores"),
        pytest.param({"count": -5}, "abcd", id="a negative count is all"),
        pytest.param({"count": 0}, "", id="a count of none"),
        pytest.param({"offset": 9, "count": 2}, "", id="offset beyond the end"),
        pytest.param({"min_score": 3.0, "max_score": 1.0}, "", id="ends the wrong way round"),
    ],
)
async def test_by_score(client: CacheClientAsync, board: str, options: dict[str, Any], expected: str) -> None:
    """A range of scores has both ends; offset and count apply to the values in it."""
    assert await values(client, board, **options) == expected


@pytest.mark.parametrize(("order", "ranks"), [(ASCENDING, [0, 1, 2, 3]), (DESCENDING, [3, 2, 1, 0])], ids=str)
async def test_rank(client: CacheClientAsync, board: str, order: SortOrder, ranks: list[int]) -> None:
    """A rank is the place in the given order."""
    responses = [await client.sorted_set_get_rank(board, "board", value, order) for value in SCORES]
    assert [getattr(response, "rank", None) for response in responses] == ranks


async def test_scores(client: CacheClientAsync, board: str) -> None:
    """Scores are in the order of the request, with a miss for a missing value."""
    response = await client.sorted_set_get_scores(board, "board", ["d", "nobody", "a"])
    assert isinstance(response, CacheSortedSetGetScores.Hit)
    assert [getattr(part, "score", None) for part in response.responses] == [3.0, None, 1.0]


async def test_nothing_there_is_a_miss(client: CacheClientAsync, cache: str) -> None:
    """A missing set is a miss for every read, and removing from it is no error."""
    assert isinstance(await client.sorted_set_fetch_by_rank(cache, "none"), CacheSortedSetFetch.Miss)
    assert isinstance(await client.sorted_set_get_rank(cache, "none", "a"), CacheSortedSetGetRank.Miss)
    assert isinstance(await client.sorted_set_get_score(cache, "none", "a"), CacheSortedSetGetScore.Miss)
    assert isinstance(await client.sorted_set_get_scores(cache, "none", ["a"]), CacheSortedSetGetScores.Miss)
    await client.sorted_set_remove_element(cache, "none", "a")


async def test_a_value_not_there_is_a_miss(client: CacheClientAsync, board: str) -> None:
    """A value that is not in the set is a miss, a long one too."""
    assert isinstance(await client.sorted_set_get_rank(board, "board", "nobody"), CacheSortedSetGetRank.Miss)
    assert isinstance(await client.sorted_set_get_rank(board, "board", LONG), CacheSortedSetGetRank.Miss)
    assert isinstance(await client.sorted_set_get_score(board, "board", LONG), CacheSortedSetGetScore.Miss)


async def test_put_replaces(client: CacheClientAsync, board: str) -> None:
    """A value has the score of the last put."""
    await client.sorted_set_put_element(board, "board", "a", 9.5)
    assert await fetch(client, board, start_rank=-1) == [(b"a", 9.5)]


async def test_values_are_bytes(client: CacheClientAsync, cache: str) -> None:
    """Any bytes are a value; values with equal scores are in the order of their bytes."""
    wanted = [b"", b"\0", b"\0\0", b"\0a", b"a", "é".encode() * 128, b"\xe9", b"\xff", LONG[:-1], LONG]
    await client.sorted_set_put_elements(cache, "board", dict.fromkeys(reversed(wanted), 0.0))
    assert [value for value, _ in await fetch(client, cache)] == wanted


@pytest.mark.parametrize("removed", [["a"], ["b", "d", "nobody"], []], ids=str)
async def test_remove(client: CacheClientAsync, board: str, removed: list[str]) -> None:
    """The removed values are gone, and the rest stays."""
    await client.sorted_set_remove_elements(board, "board", removed)
    assert await values(client, board) == "".join(value for value in SCORES if value not in removed)


async def test_the_last_one_removed_ends_the_set(client: CacheClientAsync, board: str) -> None:
    """A set without values is missing."""
    await client.sorted_set_remove_elements(board, "board", list(SCORES))
    assert isinstance(await client.sorted_set_fetch_by_rank(board, "board"), CacheSortedSetFetch.Miss)


async def test_increment(client: CacheClientAsync, board: str) -> None:
    """An increment adds to the score, which is 0 for a new value, and returns the sum."""
    responses = [await client.sorted_set_increment_score(board, "board", value, -1.5) for value in ("a", "new")]
    scores = [part.score for part in responses if isinstance(part, CacheSortedSetIncrementScore.Success)]
    assert scores == [-0.5, -1.5]
    assert await fetch(client, board, end_rank=2) == [(b"new", -1.5), (b"a", -0.5)]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")], ids=str)
async def test_a_score_is_finite(client: CacheClientAsync, board: str, score: float) -> None:
    """A score that is not finite is an invalid argument, and nothing of its call is kept."""
    response = await client.sorted_set_put_elements(board, "board", {"new": 1.0, "bad": score})
    assert getattr(response, "error_code", None) == MomentoErrorCode.INVALID_ARGUMENT_ERROR
    assert await values(client, board) == "abcd"


async def test_an_increment_past_the_greatest_is_refused(client: CacheClientAsync, cache: str) -> None:
    """A sum that is not finite is an invalid argument, and the old score stays."""
    await client.sorted_set_put_element(cache, "board", "a", 1.7e308)
    response = await client.sorted_set_increment_score(cache, "board", "a", 1.7e308)
    assert getattr(response, "error_code", None) == MomentoErrorCode.INVALID_ARGUMENT_ERROR
    assert await fetch(client, cache) == [(b"a", 1.7e308)]


async def test_a_missing_cache_is_not_found(client: CacheClientAsync) -> None:
    """A call on a missing cache is answered with NOT_FOUND."""
    response = await client.sorted_set_fetch_by_rank("no-such-cache", "board")
    assert isinstance(response, CacheSortedSetFetch.Error)
    assert response.error_code == MomentoErrorCode.NOT_FOUND_ERROR


async def test_an_unknown_call_says_so(client: CacheClientAsync, board: str) -> None:
    """The SDK reports a call that the server does not have as a bad request, with the name of the call."""
    response = await client.dictionary_fetch(board, "board")
    assert getattr(response, "error_code", None) == MomentoErrorCode.BAD_REQUEST_ERROR
    assert "has no DictionaryFetch" in str(response)
