"""The boards that a principal has rights on, found among all there are.

The list of boards is sorted, so that a pattern such as ``mario-*`` is one range of names, and what is outside is never
looked at. In a range a pattern such as ``*-kart`` leaves out boards. They are looked at in portions, and the event
loop serves others between them. A list ends early, with what it has, when many were left out; but never empty, unless
there is no more: where it goes on is the name of its last board, and no name of a board that is not the principal's.
"""

from __future__ import annotations

import asyncio
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from laurels.entries import last_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.access.principal import Principal
    from laurels.boards import Boards

PORTION = 200
"""How many boards are looked at in one turn of the loop."""
ENOUGH = 10_000
"""How many boards are looked at for one list, if some of them are the principal's."""
SURROGATES = range(0xD800, 0xE000)
"""What no name has; a text with one cannot be compared with names."""


class NameRange(NamedTuple):
    """The boards from one name to another, both inclusive."""

    first: str
    last: str


async def find_permitted_boards(
    boards: Boards, principal: Principal, after: str, limit: int, prefix: str = ""
) -> tuple[list[str], str | None]:
    """Return the names of at most ``limit`` boards after a name that a principal has rights on, and the next ``after``.

    That is None if there are no more. With a prefix only boards whose names begin so are returned.
    """
    found, following = await _find_permitted(boards, principal, max(after, _just_before(prefix)), limit)
    fitting = list(takewhile(lambda name: name.startswith(prefix), found))
    return fitting, following if len(fitting) == len(found) else None


async def _find_permitted(boards: Boards, principal: Principal, after: str, limit: int) -> tuple[list[str], str | None]:
    if principal.has_every_board:
        found = await boards.names(after, limit + 1)
        return found[:limit], found[limit - 1] if len(found) > limit else None
    found, seen = [], 0
    for first, last in find_name_ranges(principal.boards):
        place = max(after, _just_before(first))
        while place < last:
            names = await boards.names(place, 1 if first == last else PORTION)
            found += [name for name in names if name <= last and principal.may_on(name)]
            seen += len(names)
            if len(found) > limit or (found and seen > ENOUGH):
                return found[:limit], found[:limit][-1]
            place = names[-1] if names else last
            await asyncio.sleep(0)
    return found, None


def find_name_ranges(patterns: Sequence[str]) -> list[NameRange]:
    """Return where boards may match one of the patterns, in their order; no board is in two."""
    found: list[NameRange] = []
    for first, *others in sorted(pattern.split("*", 1) for pattern in patterns):
        if not found or first > found[-1].last:
            found.append(NameRange(first, last_name(first) if others else first))
        elif others:
            found[-1] = NameRange(found[-1].first, max(found[-1].last, last_name(first)))
    return found


def _just_before(name: str) -> str:
    """Return a text that comes after all names that come before this one."""
    if not name:
        return ""
    before = max(ord(name[-1]) - 1, 0)
    return last_name(name[:-1] + chr(0xD7FF if before in SURROGATES else before))
