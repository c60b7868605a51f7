"""A primary is killed over and over under load, and a replica takes its place: what is lost is counted.

Each submit adds 1 to a name of its own, so that one that was counted twice shows, and one that was lost, too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from laurels.definition import Definition
from laurels.errors import AnswerLost, StoreUnavailable
from laurels.stores.contract import Board, IdempotencyKey, Submission
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.store import RedisStore
from tests.redis_servers import Node, Servers, until

if TYPE_CHECKING:
    from tests.redis_servers import Sentinels
    from tests.soak.run import Figures, Run

SUMS = Board("sums", Definition(operator="increment"))
SUBMITTERS = 16
LONGEST_OUTAGE = 30.0


class Submits:
    """What was submitted, by its name, and how it was answered."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.acknowledged: set[str] = set()
        self.uncertain: set[str] = set()
        self.refused = 0
        self.longest = 0.0
        self.is_ended = False

    async def go_on(self, place: int) -> None:
        """Submit one after another, every other one with a key, until the end."""
        number = 0
        while not self.is_ended:
            number += 1
            await self._submit(f"{place}-{number}", has_key=number % 2 == 0)

    async def _submit(self, name: str, *, has_key: bool) -> None:
        """Submit 1 until that is acknowledged; without a key only until nobody knows whether it counted."""
        key = IdempotencyKey(name.encode().ljust(16), bytes(16)) if has_key else None
        start = time.monotonic()
        while time.monotonic() < start + LONGEST_OUTAGE:  # pragma: no branch - a fault
            try:
                await self.store.submit(SUMS, Submission(name, 1), key)
            except StoreUnavailable as error:
                self.refused += 1
                if isinstance(error, AnswerLost):  # pragma: no branch - it depends on the moment
                    self.uncertain.add(name)
                    if key is None:  # pragma: no branch - it depends on the moment
                        return
                await asyncio.sleep(0.01)
            else:
                self.acknowledged.add(name)
                break
        self.longest = max(self.longest, time.monotonic() - start)

    async def read(self) -> dict[str, float]:
        """Return all names with their scores, once the board can be read."""
        while True:
            try:
                count = await self.store.count(SUMS)
                pages = [await self.store.page(SUMS, start, start + 1000) for start in range(0, count, 1000)]
            except StoreUnavailable:  # pragma: no cover - it depends on the moment
                await asyncio.sleep(0.01)
            else:
                return {entry.name: entry.score for page in pages for entry in page}


async def _fail_over(run: Run, sentinels: Sentinels, wait: int, end: float) -> Figures:
    store = RedisStore(sentinels.url, settings=RedisSettings(timeout=2, wait=wait))
    await store.define(SUMS.name, SUMS.definition)
    submits, killed = Submits(store), list[Node]()
    tasks = [asyncio.ensure_future(submits.go_on(place)) for place in range(SUBMITTERS)]
    while not killed or (time.monotonic() < end and run.goes_on(kills=len(killed), wait=wait)):
        if killed:  # pragma: no cover - it is shorter in the suite
            await asyncio.to_thread(_follow, sentinels, killed[-1])
        killed.append(sentinels.primary)
        await asyncio.sleep(run.random.uniform(0.2, 1))
        killed[-1].kill()
        # A server that comes back while another is being elected is believed until that is done, and then forgets
        await asyncio.to_thread(until, lambda: sentinels.primary is not killed[-1])
        before = len(submits.acknowledged)
        while len(submits.acknowledged) < before + SUBMITTERS:  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)
    submits.is_ended = True
    await asyncio.gather(*tasks)
    found = await submits.read()
    await store.close()
    assert submits.longest < LONGEST_OUTAGE
    twice = {name: score for name, score in found.items() if score != 1}
    assert not twice, f"counted twice: {twice}"
    unasked = found.keys() - submits.acknowledged - submits.uncertain
    assert not unasked, f"counted though that was denied: {unasked}"
    return {
        "kills": len(killed),
        "acknowledged": len(submits.acknowledged),
        "refused": submits.refused,
        "longest outage": round(submits.longest, 2),
        "lost": len(submits.acknowledged - found.keys()),
        "counted twice": 0,
    }


def _follow(sentinels: Sentinels, killed: Node) -> None:  # pragma: no cover - it is shorter in the suite
    """Have a server that was killed follow its successor from its start on, and wait until all is whole."""
    killed.arguments = ("--replicaof", "127.0.0.1", str(sentinels.primary.port))
    killed.start()
    until(sentinels.is_whole)


def fail_over(run: Run) -> Figures:
    """Kill primaries, half of the time with ``--redis-wait 1``: nothing is counted twice, and what is lost is said."""
    figures: Figures = {}
    with ExitStack() as stack:
        servers = Servers(run.directory, stack)
        for wait in (0, 1):
            end = time.monotonic() + run.seconds / 2
            found = asyncio.run(_fail_over(run, servers.sentinels(), wait, end))
            figures |= {f"{name}, wait {wait}": value for name, value in found.items()}
    return figures
