"""The state that an operation changes, as the audit log shows it before and after.

An operation names one of these functions in ``shows``. Each gets what the handler gets: the context, and what is after.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.entries import is_name
from laurels.http.held_scores import held_score
from laurels.http.reads import find_board
from laurels.http.wire import HeldScore, StandingOfName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.definition import Definition
    from laurels.http.gate import Context
    from laurels.stores.contract import Standing


class Filled(Struct, frozen=True):
    """A board, or a period, by how many entries it has."""

    entries: int


class HeldBack(Struct, frozen=True):
    """A name, by its standing and by the score that its board's guard holds back."""

    standing: Standing | None
    held: HeldScore | None


class KeyRights(Struct, frozen=True):
    """A key, by what it may do."""

    scopes: tuple[str, ...]
    boards: tuple[str, ...]
    expires: datetime | None


async def show_standing(
    context: Context, board: str, name: str, window: str | None = None, period: str | None = None
) -> Standing | None:
    """Return the standing of a name."""
    return await context.boards.standing(await find_board(context.boards, board, window, period), name)


async def show_held(context: Context, board: str, name: str) -> HeldBack:
    """Return the standing of a name, and what is held of it."""
    boards = context.boards
    standing = await boards.standing(boards.board(board), name)
    entry = await boards.held_entry(board, name)
    return HeldBack(standing, held_score(entry))


async def show_count(context: Context, board: str, window: str | None, period: str | None) -> Filled:
    """Return how many entries there are."""
    return Filled(await context.boards.count(await find_board(context.boards, board, window, period)))


async def show_restored(context: Context, board: str, _: object, window: str | None, period: str | None) -> Filled:
    """Return how many entries there are on what entries are restored to."""
    return await show_count(context, board, window, period)


async def show_own_definition(context: Context, board: str, *_: object) -> Definition | None:
    """Return the definition that is a board's own."""
    await context.boards.learn(board)
    definition, is_own = context.boards.describe(board)
    return definition if is_own else None


async def show_key(context: Context, key: str) -> KeyRights | None:
    """Return what a key may do."""
    found = context.access.file.keys.get(key) if context.access is not None else None
    return None if found is None else KeyRights(found.scopes, found.boards, found.expires)


async def show_standings(context: Context, board: str, names: Sequence[str]) -> dict[str, StandingOfName]:
    """Return the standings of names, as far as they are on the board: not of those that a batch refuses one by one."""
    good = list(filter(is_name, names))
    found = await context.boards.entries_named(context.boards.board(board), good)
    return {each.name: StandingOfName(each.score, each.rank) for each in found.entries}
