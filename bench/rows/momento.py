"""Single calls a second of the local Momento server, from the official SDK on the other core."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from momento import CacheClientAsync, Configurations, CredentialProvider
from momento.responses import (
    CacheSortedSetFetch,
    CacheSortedSetGetRank,
    CacheSortedSetPutElement,
    CacheSortedSetPutElements,
    CreateCache,
)

from bench import servers
from bench.errors import LoadFailed
from bench.figures import Figure, Measure, Run, Subject, Target, median, single
from bench.members import batches, members, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.servers import Server

MEMBERS = 10_000
IN_FLIGHT = 32
PAGE = 20
WARM_UP = 1.0
CACHE, BOARD = "bench", "board"


def momento(run: Run) -> Iterator[Figure]:
    """Put a score, get a rank and fetch a page of 20, in turns, from several concurrent tasks."""
    with servers.momento(run.directory) as server:
        server.await_answer(servers.HTTP_2_HELLO, servers.HTTP_2_WELCOME)
        measures = asyncio.run(_measured(server, run))
    measure = median(measures)
    spread = f"{min(taken.value for taken in measures):,.0f} to {max(taken.value for taken in measures):,.0f}"
    subject = Subject(
        "momento", f"single calls, {MEMBERS:,} members, {IN_FLIGHT} at once", "/s", Target(">=", 1_600, "figure")
    )
    yield single(subject, measure, f"{spread}; busy {measure.value * (measure.cpu or 0) / 1e6:.0%}")


async def _measured(server: Server, run: Run) -> list[Measure]:
    credentials = CredentialProvider.for_momento_local("127.0.0.1", server.port)
    async with CacheClientAsync(Configurations.Laptop.v1(), credentials, timedelta(hours=1)) as client:
        _succeeded(await client.create_cache(CACHE), CreateCache.Success)
        for batch in batches(members(MEMBERS)):
            elements = {name: float(score) for name, score in batch}
            _succeeded(await client.sorted_set_put_elements(CACHE, BOARD, elements), CacheSortedSetPutElements.Success)
        await _burst(server, client, WARM_UP)
        return [await _burst(server, client, run.seconds) for _ in range(run.repeat)]


async def _burst(server: Server, client: CacheClientAsync, seconds: float) -> Measure:
    spent, begun = server.cpu(), time.perf_counter()
    counts = await asyncio.gather(*(_calls(client, Random(seed), begun + seconds) for seed in range(IN_FLIGHT)))
    calls, taken = sum(counts), time.perf_counter() - begun
    return Measure(calls / taken, (server.cpu() - spent) * 1e6 / calls)


async def _calls(client: CacheClientAsync, chance: Random, end: float) -> int:
    """Make calls, one after the other, until a time on the clock; return how many."""
    calls = 0
    while time.perf_counter() < end:
        name, start = name_of(chance.randrange(MEMBERS)), chance.randrange(MEMBERS - PAGE)
        put = await client.sorted_set_put_element(CACHE, BOARD, name, chance.randrange(1_000_000) * 1.0)
        _succeeded(put, CacheSortedSetPutElement.Success)
        _succeeded(await client.sorted_set_get_rank(CACHE, BOARD, name), CacheSortedSetGetRank.Hit)
        page = await client.sorted_set_fetch_by_rank(CACHE, BOARD, start, start + PAGE)
        _succeeded(page, CacheSortedSetFetch.Hit)
        calls += 3
    return calls


def _succeeded(response: object, wanted: type) -> None:
    if not isinstance(response, wanted):
        raise LoadFailed("momento-local", str(response))
