"""The calls on the leaderboards of a cache: Momento's service ``leaderboard.Leaderboard``.

A leaderboard is made by its first element and gone with its last. A missing one is empty, never an error. What the
protocol leaves open is *assumed*: that a missing bound of scores is none, that a call that gives an id twice means the
last score, that competition ranks are descending unless the call says otherwise (as Momento's SDK for Rust has it), and
that a token for one item is also one for the leaderboard of that name.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from laurels.momento_local import leaderboard_messages as wire
from laurels.momento_local.errors import BadArgument
from laurels.momento_local.fields import known
from laurels.momento_local.item_calls import ItemCall, reads, writes
from laurels.momento_local.ranked import Leaderboard
from laurels.momento_local.sets import finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sized

    from laurels.momento_local.caches import Cache
    from laurels.momento_local.ranked import Ranked

MOST = 8192
"""The elements of one call, by the protocol."""


def delete(cache: Cache, request: Any) -> Any:
    """Delete a leaderboard, if it is there."""
    cache.leaderboards.pop(request.leaderboard, None)
    return wire.Empty()


def upsert(cache: Cache, request: Any) -> Any:
    """Set the scores of elements, of all or of none."""
    elements = [(element.id, finite(element.score)) for element in request.elements]
    _check_number("elements", elements, least=1)
    board = cache.leaderboards.setdefault(request.leaderboard, Leaderboard())
    for number, score in elements:
        board.put(number, score)
    return wire.Empty()


def remove(cache: Cache, request: Any) -> Any:
    """Remove elements; those that are missing are no error."""
    _check_number("ids", request.ids, least=1)
    board = _board(cache, request)
    for number in request.ids:
        board.remove(number)
    if not len(board):
        cache.leaderboards.pop(request.leaderboard, None)
    return wire.Empty()


def length(cache: Cache, request: Any) -> Any:
    """Return the number of elements."""
    return wire.LengthResponse(count=len(_board(cache, request)))


def by_rank(cache: Cache, request: Any) -> Any:
    """Return the elements in a range of ranks, which is half-open and must not be empty."""
    ranks, descending = request.rank_range, _is_descending(request)
    if not 1 <= ranks.end_exclusive - ranks.start_inclusive <= MOST:
        raise BadArgument(
            f"`rank_range` is from {ranks.start_inclusive} to below {ranks.end_exclusive}: give 1 to {MOST:,} ranks."
        )
    found = _board(cache, request).by_rank(ranks.start_inclusive, ranks.end_exclusive, descending=descending)
    return wire.ByRankResponse(elements=_elements(found))


def by_score(cache: Cache, request: Any) -> Any:
    """Return elements in a range of scores, which includes its lower bound alone."""
    if not request.HasField("score_range"):
        raise BadArgument("`score_range` is missing: give bounds, or say that there are none.")
    if not 1 <= request.limit_elements <= MOST:
        raise BadArgument(f"`limit_elements` is {request.limit_elements}: give 1 to {MOST:,}.")
    scores, descending = request.score_range, _is_descending(request)
    low = finite(scores.min_inclusive) if scores.HasField("min_inclusive") else -inf
    high = finite(scores.max_exclusive) if scores.HasField("max_exclusive") else inf
    if low > high:
        raise BadArgument(f"`score_range` is from {low} to below {high}: give the lower one first.")
    found = _board(cache, request).by_score(low, high, request.offset, request.limit_elements, descending=descending)
    return wire.ByScoreResponse(elements=_elements(found))


def rank(cache: Cache, request: Any) -> Any:
    """Return the ordinal ranks of elements, without those that are missing."""
    _check_number("ids", request.ids, least=0)
    found = _board(cache, request).ranks(request.ids, descending=_is_descending(request))
    return wire.RankResponse(elements=_elements(found))


def competition_rank(cache: Cache, request: Any) -> Any:
    """Return the competition ranks of elements, without those that are missing."""
    _check_number("ids", request.ids, least=0)
    descending = _is_descending(request) if request.HasField("order") else True
    found = _board(cache, request).competition_ranks(request.ids, descending=descending)
    return wire.CompetitionRankResponse(elements=_elements(found))


def _board(cache: Cache, request: Any) -> Leaderboard:
    """Return a leaderboard to read or to remove from; a missing one is empty."""
    return cache.leaderboards.get(request.leaderboard) or Leaderboard()


def _check_number(what: str, given: Sized, *, least: int) -> None:
    if not least <= len(given) <= MOST:
        raise BadArgument(f"The call has {len(given):,} {what}: give {least} to {MOST:,}.")


def _is_descending(request: Any) -> bool:
    return known(request, "order") == wire.DESCENDING


def _elements(found: Iterable[Ranked]) -> list[dict[str, Any]]:
    return [element._asdict() for element in found]


CALLS = {
    "DeleteLeaderboard": ItemCall(writes("leaderboard"), delete),
    "UpsertElements": ItemCall(writes("leaderboard"), upsert),
    "RemoveElements": ItemCall(writes("leaderboard"), remove),
    "GetLeaderboardLength": ItemCall(reads("leaderboard"), length),
    "GetByRank": ItemCall(reads("leaderboard"), by_rank),
    "GetRank": ItemCall(reads("leaderboard"), rank),
    "GetByScore": ItemCall(reads("leaderboard"), by_score),
    "GetCompetitionRank": ItemCall(reads("leaderboard"), competition_rank),
}
