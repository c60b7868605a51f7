"""What takes long is done in portions: nobody sees a part of it, and it is as if it had been done at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition
from laurels.stores.contract import Board, Feed, Submission
from laurels.stores.embedded import commits
from laurels.stores.embedded.store import FREED_IN_THREAD, EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from laurels.stores.contract import Period
    from tests.clock import Clock

pytestmark = pytest.mark.anyio
DAYS = [f"2026-11-{day:02}" for day in range(1, 21)]
DAILY = Definition(windows=("daily",))
KART = Board("mario-kart", DAILY)


def on(day: str, *, fed: bool = False) -> Board:
    """Return a day of the board, or the board as a submit feeds it then."""
    return Board("mario-kart", DAILY, feeds=(Feed("daily", day),)) if fed else Board("mario-kart", DAILY, "daily", day)


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> AsyncIterator[EmbeddedStore]:
    """Open a store that takes one step at a time, with a board of twenty periods."""
    monkeypatch.setattr(commits, "STEPS", 1)
    opened = await EmbeddedStore.open(tmp_path, clock=clock)
    for day in DAYS:
        await opened.submit(on(day, fed=True), [Submission("v", 1), Submission(day, 1)])
    yield opened
    await opened.close()


async def seen_until(
    store: EmbeddedStore, done: Coroutine[None, None, bool]
) -> list[tuple[int, list[int], list[Period]]]:
    """Return what was seen of the board and its days in each turn of the loop until a write was done."""
    task, seen = asyncio.ensure_future(done), []
    while not task.done():
        counts = [await store.count(on(day)) for day in DAYS]
        seen.append((await store.count(KART), counts, await store.periods(KART)))
        await asyncio.sleep(0)
    assert await task
    return seen


async def test_drop(store: EmbeddedStore) -> None:
    """A board that is dropped is gone at once, with all its periods."""
    seen = await seen_until(store, store.drop(KART))
    whole, nothing = (21, [2] * len(DAYS)), (0, [0] * len(DAYS))
    assert [one[:2] for one in seen] == sorted((one[:2] for one in seen), key=[whole, nothing].index)
    assert {(count, len(periods)) for count, _, periods in seen} == {(21, 20), (0, 0)}
    assert [(one[:2] == nothing) for one in seen].count(True) > len(DAYS) // 2
    assert (store.measure()["periods"], store.measure()["entries"]) == (0, 0)


async def test_writes_behind_a_drop(store: EmbeddedStore, tmp_path: Path) -> None:
    """What is submitted behind a drop is on a new board and in new periods, here and on disk."""
    day = on(DAYS[0], fed=True)
    dropped, *_ = await asyncio.gather(
        store.drop(KART), store.submit(day, Submission("w", 2)), store.submit(on(DAYS[3], fed=True), Submission("w", 3))
    )
    assert dropped
    assert [await store.count(board) for board in (KART, on(DAYS[0]), on(DAYS[1]), on(DAYS[3]))] == [1, 1, 0, 1]
    assert store.measure()["entries"] == 3
    assert (await asyncio.to_thread(disk.read, tmp_path))[on(DAYS[0]).key] == {"w": 2}


async def test_removal(store: EmbeddedStore) -> None:
    """A name is gone from all periods when its removal is answered, and periods with their last name."""
    await store.remove(on(DAYS[0]), DAYS[0])
    await seen_until(store, store.remove(KART, "v"))
    assert [await store.count(on(day)) for day in DAYS] == [0] + [1] * 19
    assert (len(await store.periods(KART)), store.measure()["periods"]) == (19, 19)


async def test_ends(store: EmbeddedStore, clock: Clock) -> None:
    """Boards whose time is over at once are all gone when the next write is answered."""
    ending = Definition(ttl="1s")
    for number in range(20):
        await store.define(f"board-{number}", ending)
        await store.submit(Board(f"board-{number}", ending), Submission("v", 1))
    clock.now += 7200
    await store.submit(Board("board-0", ending), Submission("w", 1))
    assert (await store.names(), store.measure()["entries"]) == (["board-0", "mario-kart"], 62)


async def test_large_board(store: EmbeddedStore) -> None:
    """A board that is large enough to be freed in a thread is gone as any other."""
    board = Board("large")
    await fill(store, board, {f"player-{number}": number for number in range(FREED_IN_THREAD)})
    assert await store.drop(board)
    assert await store.count(board) == 0
