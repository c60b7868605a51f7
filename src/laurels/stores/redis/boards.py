"""The list of boards: a board is put there before its first submit, and taken out long after its last entry has gone.

A board may have gone when somebody looks, and be there again a moment later. So one that looks gone is only taken out
if it was put there more than a day before; and no process believes for long that it has put it there, because a server
that was flushed has lost that. Each board that is put there brings two of the oldest, which are looked at: so the list
does not grow for ever.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, Any

from laurels.stores.redis.calls import Script
from laurels.stores.redis.keys import BOARDS, LISTED, key_of, owner_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

REMEMBERED = 100_000
"""Of how many boards it is remembered that they are listed."""
REMEMBERED_SECONDS = 300
DAY_MILLISECONDS = 24 * 3600 * 1000
AT_ONCE = 500
"""How many boards are looked at at once."""
BEHIND_PARTITIONS = "\n\U0010ffff"
"""Behind the name of a board these are all its partitions, and no other board."""
_LIST, _LISTED = Script("list", closed=True), Script("listed")


class BoardList:
    """The boards that may have entries. ``listed`` are some that are known to be there."""

    def __init__(
        self, call: Callable[..., Awaitable[Any]], ask: Callable[..., Awaitable[Any]], now: Callable[[], int]
    ) -> None:
        self._call = call
        self._ask = ask
        self._now = now
        self.listed: set[str] = set()
        self._listing: dict[str, asyncio.Future[Any]] = {}
        self._since = monotonic()

    async def add(self, name: str) -> None:
        """Have the list hold a name."""
        listing = self._listing.get(name)
        if listing is None:
            listing = self._listing[name] = asyncio.ensure_future(self._add(name))
            listing.add_done_callback(lambda _: self._listing.pop(name))
        await asyncio.shield(listing)

    async def _add(self, name: str) -> None:
        old = await self._change("add", name)
        if len(self.listed) >= REMEMBERED or monotonic() > self._since + REMEMBERED_SECONDS:
            self.listed.clear()
            self._since = monotonic()
        self.listed.add(name)
        if old:
            names = [each.decode() for each in old]
            counts = await self._counts(names)
            gone = [each for each, count in zip(names, counts, strict=True) if count < 0]
            there = [each for each in names if each not in gone]
            await asyncio.gather(self._change("drop", *gone), self._change("keep", *there))

    async def _change(self, kind: str, *names: str) -> Any:
        return await self._call(_LIST, (BOARDS, LISTED), DAY_MILLISECONDS, kind, *names)

    async def _counts(self, names: Sequence[str]) -> list[int]:
        """Return how many entries boards have; -1 for one that has nothing at all."""
        now = self._now()
        counts: list[int] = await asyncio.gather(*(self._call(_LISTED, (key_of(name),), now) for name in names))
        return counts

    async def all(self) -> AsyncIterator[str]:
        """Yield the names of the boards on the list, whatever is there."""
        last = ""
        async for name in self._names(""):
            if (owner := owner_of(name)) != last:
                yield (last := owner)

    async def _names(self, after: str) -> AsyncIterator[str]:
        """Yield the names on the list after that of a board, those of partitions, too."""
        start = f"({after}{BEHIND_PARTITIONS}" if after else "-"
        while page := await self._ask(BOARDS, "ZRANGEBYLEX", BOARDS, start, "+", "LIMIT", 0, AT_ONCE):
            for name in page:
                yield name.decode()
            start = f"({page[-1].decode()}"

    async def names(self, after: str, limit: int | None) -> list[str]:
        """Return the names of boards that have entries: all, or the first after one."""
        found: list[str] = []
        page: list[str] = []
        async for name in self._names(after):
            page.append(name)
            if len(page) == AT_ONCE:
                found += await self._there(page, found)
                page.clear()
                if limit is not None and len(found) >= limit:
                    return found[:limit]
        found += await self._there(page, found)
        return found[:limit]

    async def _there(self, names: Sequence[str], found: Sequence[str]) -> list[str]:
        """Return which boards have entries, in any partition, and are not found yet."""
        there = [owner_of(name) for name, count in zip(names, await self._counts(names), strict=True) if count > 0]
        return [name for name, _ in groupby(there) if name not in found[-1:]]
