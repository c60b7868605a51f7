"""The rules of boards: which names, scores and pages are good, and what an act on a board means.

No I/O of its own: everything kept or read goes through one :class:`~laurels.stores.contract.Store`.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from math import inf, isfinite
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.errors import BadName, BadParameter, NotKept, NotOnBoard, ScoreRefused
from laurels.stores.contract import Board, Ranked, Slice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from laurels.stores.contract import Change, Entry, Order, Place, Score, Standing, Store, Summary

NAME_BYTES = 256
PAGE_ENTRIES = 1000
SPAN_ENTRIES = 500
NAMES_ASKED = 100
EXACT = 2**53
BOARDS_KNOWN = 4096
_DOTS = frozenset({".", ".."})
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def checked_name(name: str, parameter: str = "name") -> str:
    """Give ``name`` back where it may stand on a board; raise BadName where not.

    ``.`` and ``..`` are refused because clients and proxies take them out of a path before it arrives.
    """
    if name.isascii() and name.isprintable() and 0 < len(name) <= NAME_BYTES and name not in _DOTS:
        return name
    if not name:
        raise BadName(parameter, "is empty")
    if name in _DOTS:
        raise BadName(parameter, f"is {name!r}, which clients take out of a path")
    if _CONTROL.search(name):
        raise BadName(parameter, "has a control character")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadName(parameter, "has half of a surrogate pair") from None
    if size > NAME_BYTES:
        raise BadName(parameter, f"has {size} bytes")
    return name


def checked_score(score: Score) -> Score:
    """Give ``score`` back where a double holds it exactly; raise ScoreRefused where not."""
    if -EXACT <= score <= EXACT:
        return score
    if isinstance(score, float):
        if isfinite(score):
            return score
        raise ScoreRefused("The score is not finite. A score is a finite number.")
    try:
        exact = int(float(score)) == score
    except OverflowError:
        raise ScoreRefused("The score is beyond the range of a double (about 1.8e308).") from None
    if not exact:
        raise ScoreRefused(
            f"The score {score} would be rounded to {float(score):.0f}. Beyond 2^53 only integers that a double "
            "holds exactly are kept.",
        )
    return score


class Refusal(Struct, frozen=True, gc=False):
    """Why one entry of a batch was not kept; ``index`` is its place in the batch, from 0."""

    index: int
    name: str
    problem: str


class Stretch(Struct, frozen=True):
    """Entries that stand one behind the other, and whether there is one behind the last."""

    entries: list[Ranked]
    is_followed: bool


class Found(Struct, frozen=True):
    """Of some names those that are on a board, in rank order, and the others as they were asked for."""

    entries: list[Ranked]
    missing: list[str]


class Boards:
    """All boards of one store, under one deployment's defaults.

    Methods that only pass an act on to the store give its awaitable, so that no coroutine stands between the two.
    They raise BadName, BadParameter and ScoreRefused before the store is asked; its errors pass through.
    """

    def __init__(self, store: Store, order: Order = "descending") -> None:
        self.store = store
        self._board = lru_cache(BOARDS_KNOWN)(partial(_checked_board, order=order))

    def submit(self, board: str, name: str, score: Score) -> Awaitable[None]:
        """Put a name on a board with this score, in place of any it had."""
        return self.store.submit(self._board(board), checked_name(name), checked_score(score))

    @property
    def tells_changes(self) -> bool:
        """Tell whether :meth:`change` can be kept by this store; it raises NotKept where not."""
        return self.store.capabilities.one_state

    def change(self, board: str, name: str, score: Score) -> Awaitable[Change]:
        """Submit, and tell the standings before and after."""
        return self.store.change(self._board(board), checked_name(name), checked_score(score))

    async def submit_many(self, board: str, entries: Sequence[Entry | Refusal]) -> list[Refusal]:
        """Submit all good entries in one act, in their order; tell of the others why not.

        A refusal among ``entries`` stands for one that could not even be read, and is told with the rest.
        """
        where = self._board(board)
        good: list[Entry] = []
        refused: list[Refusal] = []
        for index, entry in enumerate(entries):
            if isinstance(entry, Refusal):
                refused.append(entry)
                continue
            try:
                checked_name(entry.name)
                checked_score(entry.score)
            except (BadName, ScoreRefused) as error:
                refused.append(Refusal(index, entry.name, str(error)))
            else:
                good.append(entry)
        await self.store.submit_many(where, good)
        return refused

    def standing(self, board: str, name: str) -> Awaitable[Standing | None]:
        """Give score and rank of a name, None where it is not on the board."""
        return self.store.standing(self._board(board), checked_name(name))

    def page_json(self, board: str, start: int, stop: int) -> Awaitable[bytes]:
        """Give the entries of rank ``start`` up to but not including ``stop``, 1,000 at most, as a JSON array."""
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        return self.store.page_json(self._board(board), start, stop)

    async def page(self, board: str, start: int, stop: int, *, going_on: bool = False) -> Stretch:
        """Give the same entries with their ranks.

        ``going_on`` tells that those after them are to be asked for; NotKept is raised where :meth:`after` would be.
        """
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        if going_on and not self.store.capabilities.one_state:
            raise NotKept("go on after a page")
        entries = await self.store.page(self._board(board), start, stop + 1)
        return _stretch(Slice(start, entries), stop - start)

    async def after(self, board: str, entry: Entry, limit: int) -> Stretch:
        """Give the entries that stand next after the place of ``entry``, 1,000 at most, wherever it stands now."""
        _check_number("limit", limit, 1, PAGE_ENTRIES)
        checked_name(entry.name)
        checked_score(entry.score)
        return _stretch(await self.store.after(self._board(board), entry, limit + 1), limit)

    async def around(self, board: str, name: str, span: int) -> list[Ranked]:
        """Give a name with up to ``span`` entries, 500 at most, on either side; raise NotOnBoard where it is not."""
        _check_number("span", span, 0, SPAN_ENTRIES)
        found = await self.store.around(self._board(board), checked_name(name, "around"), span)
        if found is None:
            raise NotOnBoard("around", name)
        return found.ranked()

    async def of_names(self, board: str, names: Sequence[str]) -> Found:
        """Give the entries of these names, 100 at most and each once."""
        if len(names) > NAMES_ASKED:
            raise BadParameter("name", f"{len(names)} names are asked for: ask for at most {NAMES_ASKED} at a time.")
        if len(set(names)) < len(names):
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise BadParameter("name", f"The name {twice!r} stands twice: ask for each name once.")
        entries = await self.store.of_names(self._board(board), [checked_name(name) for name in names])
        found = {entry.name for entry in entries}
        return Found(entries, [name for name in names if name not in found])

    async def within(self, board: str, low: Score | None, high: Score | None, limit: int) -> list[Ranked]:
        """Give the best entries, 1,000 at most, with scores from ``low`` to ``high``; None leaves an end open."""
        _check_number("limit", limit, 1, PAGE_ENTRIES)
        if low is not None and high is not None and low > high:
            raise BadParameter("maxScore", f"No score is from {low} to {high}: maxScore is not below minScore.")
        ends = -inf if low is None else low, inf if high is None else high
        return (await self.store.within(self._board(board), *ends, limit)).ranked()

    def summary(self, board: str) -> Awaitable[Summary]:
        """Give a board in a few figures."""
        return self.store.summary(self._board(board))

    def place(self, board: str, score: Score) -> Awaitable[Place]:
        """Tell where a score would stand."""
        return self.store.place(self._board(board), score)

    def remove(self, board: str, name: str) -> Awaitable[bool]:
        """Take a name off a board; tell whether it was there."""
        return self.store.remove(self._board(board), checked_name(name))

    def drop(self, board: str) -> Awaitable[bool]:
        """Remove a board with all its entries; tell whether it was there."""
        return self.store.drop(self._board(board))

    def ready(self) -> Awaitable[None]:
        """Return where submits can be kept now; raise StoreUnavailable where not."""
        return self.store.ready()


def _checked_board(name: str, order: Order) -> Board:
    if name == "-":
        raise BadName("board", "'-' is reserved for the service's own routes")
    return Board(checked_name(name, "board"), order)


def _page_problem(start: int, stop: int) -> str:
    if stop <= start:
        return f"The range from startRank {start} to endRank {stop} is empty: endRank is exclusive and above startRank."
    return (
        f"The range from startRank {start} to endRank {stop} spans {stop - start} ranks: a page holds {PAGE_ENTRIES:,}."
    )


def _check_number(parameter: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise BadParameter(parameter, f"{parameter} is {number}: it must be from {least} to {most:,}.")


def _stretch(found: Slice, limit: int) -> Stretch:
    return Stretch(Slice(found.first, found.entries[:limit]).ranked(), len(found.entries) > limit)
