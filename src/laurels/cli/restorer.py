"""Entries that are restored over HTTP: in batches, of which several are under way at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.cli.client import ALL_TIME
from laurels.cli.transfer import Batch
from laurels.http.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.cli.client import CommandClient, Period
    from laurels.stores.contract import Entry

AT_ONCE = 4
"""How many batches are under way at a time, unless their order matters."""


class RefusedEntry(Struct, frozen=True):
    """An entry that was not kept, and why."""

    name: str
    problem: str


class Restorer:
    """Restores entries on a board, or in one period of it; ``accepted`` and ``refused`` are those that are done.

    A batch is sent again while the service says when: twice is as once. No two batches with one name are under way.
    """

    def __init__(self, client: CommandClient, board: str, when: Period = ALL_TIME, *, at_once: int = AT_ONCE) -> None:
        self.accepted = 0
        self.refused: list[RefusedEntry] = []
        self._client = client
        self._board = board
        self._when = when
        self._at_once = at_once
        self._begin()
        self._under_way: dict[asyncio.Task[None], set[str]] = {}

    def _begin(self) -> None:
        self._batch = Batch()
        self._names: dict[str, None] = {}

    async def add(self, entries: Iterable[Entry]) -> None:
        """Take entries, in their order; return once all but the last few are sent."""
        for entry in entries:
            encoded = encode(entry)
            if entry.name in self._names or not self._batch.has_room(len(encoded)):
                await self._send()
            self._batch.add(len(self._names), encoded)
            self._names[entry.name] = None

    async def finish(self) -> None:
        """Send what is left, and wait for all."""
        if self._names:
            await self._send()
        await self._wait(asyncio.ALL_COMPLETED)

    async def cancel(self) -> None:
        """End what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self) -> None:
        names = {*self._names}
        while len(self._under_way) >= self._at_once or not all(map(names.isdisjoint, self._under_way.values())):
            await self._wait(asyncio.FIRST_COMPLETED)
        self._under_way[asyncio.create_task(self._restore(self._batch, [*self._names]))] = names
        self._begin()

    async def _wait(self, until: str) -> None:
        if self._under_way:
            done, _ = await asyncio.wait(self._under_way, return_when=until)
            for task in done:
                del self._under_way[task]
                task.result()

    async def _restore(self, batch: Batch, names: list[str]) -> None:
        receipt = await self._client.restore_batch(self._board, batch.body(), len(names), self._when)
        self.accepted += receipt.accepted
        self.refused += [RefusedEntry(names[each.index], each.problem) for each in receipt.refused]
