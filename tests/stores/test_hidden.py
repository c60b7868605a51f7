"""Hidden names in the embedded store: in portions, at its limits, in time, on a damaged disk, and across kills."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition, Guard
from laurels.errors import DataDamaged, StoreFull
from laurels.stores.contract import (
    Board,
    Change,
    Feed,
    FullSubmission,
    HiddenName,
    HiddenStanding,
    Standing,
    Submission,
)
from laurels.stores.embedded import commits
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.store import EmbeddedStore
from tests.length import times
from tests.stores import disk
from tests.stores.crasher import HIDING, WORKERS, newest
from tests.stores.guarantees import KART, fill, submit_for_change
from tests.stores.test_crash import crash, start_submitting

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tests.clock import Clock

pytestmark = pytest.mark.anyio
DAYS = [f"2026-11-{day:02}" for day in range(1, 21)]
DAILY = Definition(windows=("daily",))


def on(day: str) -> Board:
    """Return a day of the board."""
    return Board(KART.name, DAILY, "daily", day)


def feeding(day: str) -> Board:
    """Return the board as a submit feeds it on a day."""
    return Board(KART.name, DAILY, feeds=(Feed("daily", day),))


async def seen_until(
    store: EmbeddedStore, name: str, done: Coroutine[None, None, bool]
) -> list[list[tuple[Standing | None, int]]]:
    """Return what the board and its days said of a name, and how many they had, until a write was done."""
    task = asyncio.ensure_future(done)
    seen: list[list[tuple[Standing | None, int]]] = []
    while not task.done():
        boards = (Board(KART.name, DAILY), *map(on, DAYS))
        seen.append([(await store.standing(each, name), await store.count(each)) for each in boards])
        await asyncio.sleep(0)
    assert await task
    return seen


@pytest.mark.parametrize("others", [["w"], []], ids=["one of two", "the only one"])
async def test_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: list[str]) -> None:
    """In each moment of hiding and showing a name each period says what it said before, or what it says after."""
    monkeypatch.setattr(commits, "STEPS", 1)
    store = await EmbeddedStore.open(tmp_path)
    for day in DAYS:
        await store.submit(feeding(day), [Submission(name, 1) for name in ("v", *others)])
    rank = len(others)
    shown: tuple[Standing | None, int] = Standing(1, rank), rank + 1
    hidden: tuple[Standing | None, int] = HiddenStanding(1), rank
    for change, before, after in ((store.hide, shown, hidden), (store.show, hidden, shown)):
        seen = await seen_until(store, "v", change(KART, "v"))
        for board in range(len(DAYS) + 1):
            said = [moment[board] for moment in seen]
            assert said == sorted(said, key=[before, after].index)
        assert any(len({*map(str, moment)}) == 2 for moment in seen)
    assert store.measure()["entries"] == (rank + 1) * (len(DAYS) + 1)
    await store.close()


async def test_bounded(tmp_path: Path) -> None:
    """Of many names at once as many are hidden as there may be; one that is hidden goes on, and room comes back."""
    store = await EmbeddedStore.open(tmp_path, limits=StoreLimits(hidden=3))
    results = await asyncio.gather(*(store.hide(KART, f"v{number}") for number in range(5)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, StoreFull)] == [True] * 3
    assert not await store.hide(KART, "v0")
    with pytest.raises(StoreFull, match=r"as many hidden names .*: 3\. .* --max-hidden, or show some of them"):
        await store.hide(Board("other"), "w")
    assert await store.show(KART, "v0")
    assert await store.hide(Board("other"), "w")
    assert (store.measure()["hidden"], store.measure()["hidden_limit"]) == (3, 3)
    await store.close()


async def test_counted_among_the_entries(tmp_path: Path) -> None:
    """Entries of hidden names count as others do, and a period that has no others is no new one."""
    store = await EmbeddedStore.open(tmp_path, limits=StoreLimits(1, 1, 4))
    day = feeding(DAYS[0])
    await store.submit(day, Submission("v", 1))
    await store.hide(KART, "v")
    for name in ("v", "w"):
        await store.submit(day, Submission(name, 2))
    for refused in (store.submit(day, Submission("x", 1)), store.submit(feeding(DAYS[1]), Submission("v", 1))):
        with pytest.raises(StoreFull):
            await refused
    assert await store.remove(KART, "v")
    await store.submit(day, Submission("x", 1))
    assert {store.measure()[what] for what in ("boards", "periods")} == {1}
    await store.close()


async def test_pruned(tmp_path: Path, clock: Clock) -> None:
    """A period that is no longer kept takes its hidden entries along, also if a hidden name begins the next."""
    store = await EmbeddedStore.open(tmp_path, limits=StoreLimits(entries=4), clock=clock)
    await store.hide(KART, "v")
    for day in DAYS[:3]:
        await store.submit(Board(KART.name, DAILY, feeds=(Feed("daily", day, day),)), Submission("v", 1))
    assert (store.measure()["periods"], store.measure()["entries"]) == (1, 2)
    assert [await store.standing(on(day), "v") for day in DAYS[1:3]] == [HiddenStanding(0), HiddenStanding(1)]
    await store.close()


async def test_ttl(tmp_path: Path, clock: Clock) -> None:
    """A submit of a hidden name renews its board's time; its entry ends with the board, and it stays hidden."""
    board = Board("ends", Definition(ttl="1h"))
    store = await EmbeddedStore.open(tmp_path, clock=clock)
    await store.define(board.name, board.definition)
    await store.hide(board, "v")
    for name in ("w", "v"):
        await store.submit(board, Submission(name, 1))
        clock.now += 3000
    assert await store.count(board) == 1
    clock.now += 1000
    assert (await store.standing(board, "v"), await store.hidden(board)) == (HiddenStanding(0), [HiddenName("v")])
    await store.submit(board, Submission("v", 2))
    assert (await store.count(board), await store.standing(board, "v")) == (0, HiddenStanding(2))
    await store.close()


async def test_held(tmp_path: Path) -> None:
    """A score that is held for a hidden name says that it is hidden; released, it is still on no list."""
    board = Board("guarded", Definition(guard=Guard(hold_above=10)))
    store = await EmbeddedStore.open(tmp_path)
    await store.define(board.name, board.definition)
    await store.hide(board, "v")
    assert await submit_for_change(store, board, Submission("v", 11)) == Change(None, HiddenStanding(0), False, True)  # noqa: FBT003
    (held,) = await store.held(board)
    assert await store.release(board, held)
    assert (await store.standing(board, "v"), await store.count(board)) == (HiddenStanding(11), 0)
    await store.close()


async def test_dated(tmp_path: Path, clock: Clock) -> None:
    """What counts as of another time keeps its place among ties while it is hidden, over restarts and compactions."""
    board = Board("kart", Definition(ties="earliest", operator="best"))
    store = await EmbeddedStore.open(tmp_path, clock=clock)
    await store.define(board.name, board.definition)
    await fill(store, board, {"now": 7, "later": 7})
    await store.submit(board, FullSubmission("then", 7, b"1", 10**11))
    await store.hide(board, "then")
    await store.submit(board, FullSubmission("then", 7, b"2", 10**11 - 1))
    before = await store.page(board, 0, 9)
    for show in (False, True):
        await store.close()
        compact(tmp_path, disk.last(tmp_path))
        store = await EmbeddedStore.open(tmp_path, clock=clock)
        assert await store.page(board, 0, 9) == before
        if show:
            await store.show(board, "then")
        else:
            await store.submit(Board("other"), Submission("v", 1))
    page = await store.page(board, 0, 9, with_metadata=True)
    assert next((entry.name, entry.metadata, entry.submitted_at) for entry in page) == ("then", b"2", 10**11 - 1)
    await store.close()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE hidden SET name = 'w'", "that 'w' is hidden, or on which board, is not what was written"),
        ("UPDATE hidden SET board = 'laps'", "that 'v' is hidden, or on which board, is not what was written"),
        ("DELETE FROM hidden", "it holds .* chunks and boards"),
    ],
)
async def test_changed_by_hand(tmp_path: Path, change: str, problem: str) -> None:
    """A snapshot whose hidden names are not those that were written does not open."""
    store = await EmbeddedStore.open(tmp_path)
    await store.hide(KART, "v")
    await store.close()
    compact(tmp_path, disk.last(tmp_path))
    with closing(sqlite3.connect(tmp_path / "boards.db")) as db, db:
        db.execute(change)
    with pytest.raises(DataDamaged, match=problem):
        await EmbeddedStore.open(tmp_path)


async def verify_hidden(directory: Path, last: dict[int, int]) -> None:
    """Open the directory: each name is as it was left, or as what was in flight at the kill has left it."""
    store = await EmbeddedStore.open(directory)
    page = {entry.name: entry for entry in await store.page(HIDING, 0, WORKERS)}
    marks = {each.name: each for each in await store.hidden(HIDING)}
    assert page.keys() | marks.keys() == {*map(str, last)}
    assert not page.keys() & marks.keys()
    assert [entry.rank for entry in page.values()] == list(range(len(page)))
    for worker, number in last.items():
        name = str(worker)
        score = page[name].score if name in page else marks[name].score
        assert score in {number, number + 1}
        if score == number + 1:
            assert (name in marks) == bool(score % 2)
        today = await store.standing(Board(HIDING.name, HIDING.definition, "daily", "2026-11-22"), name)
        assert today is not None
        assert (today.score, today.rank is None) == (score, name in marks)
    await store.close()


@pytest.mark.slow
async def test_kill_while_hiding(tmp_path: Path) -> None:
    """After each of some kills, half of them of a compaction too, every name is hidden, or not, as was acknowledged."""
    random = Random(9)
    data, acknowledged = tmp_path / "data", tmp_path / "acknowledged"
    acknowledged.touch()
    start_submitting(data, acknowledged, 0, 3, "hide").wait()
    for _ in range(times(4)):
        crash(data, acknowledged, 0, random, "hide")
        await verify_hidden(data, newest(acknowledged))
