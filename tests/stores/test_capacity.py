"""Limits of what a store holds: what is there goes on, and nothing goes beyond them, however much comes at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition
from laurels.errors import StoreFull
from laurels.stores.contract import (
    Board,
    Feed,
    FullSubmission,
    IdempotencyKey,
    Refusal,
    Standing,
    Submission,
    SubmitResult,
)
from laurels.stores.embedded import capacity
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.store import EmbeddedStore
from tests.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable
    from pathlib import Path

MANY = 1000
KART, LAPS = Board("mario-kart"), Board("laps")


def limits(*, boards: int = MANY, periods: int = MANY, entries: int = MANY) -> StoreLimits:
    """Return limits, all but those given out of reach."""
    return StoreLimits(boards, periods, entries)


@asynccontextmanager
async def opened(path: Path, limits: StoreLimits) -> AsyncIterator[EmbeddedStore]:
    """Open a store, and close it."""
    store = await EmbeddedStore.open(path, limits=limits, clock=Clock())
    try:
        yield store
    finally:
        await store.close()


def daily(day: int, *, oldest: str = "", board: str = "mario-kart") -> Board:
    """Return a board as a submit on a day of November feeds it."""
    return Board(board, Definition(windows=("daily",)), feeds=(Feed("daily", f"2026-11-{day:02}", oldest),))


async def outcomes(writes: Iterable[Awaitable[object]]) -> list[object]:
    """Do writes at the same time; return what each came to, errors too."""
    return await asyncio.gather(*writes, return_exceptions=True)


def refused(results: Iterable[object]) -> list[str]:
    """Return the settings that the writes which were refused name."""
    return [result.setting for result in results if isinstance(result, StoreFull)]


pytestmark = pytest.mark.anyio


async def test_entries_at_once(tmp_path: Path) -> None:
    """Of many new names at once as many are kept as there is room for, and names that are there go on."""
    async with opened(tmp_path, limits(entries=10)) as store:
        await store.submit(KART, Submission("v", 1))
        results = await outcomes(store.submit(KART, Submission(f"n{number}", number)) for number in range(20))
        assert refused(results) == ["--max-entries"] * 11
        await store.submit(KART, Submission("v", 2))
        assert (await store.count(KART), await store.standing(KART, "v")) == (10, Standing(2, 6))
        await store.remove(KART, "v")
        await store.submit(LAPS, Submission("w", 1))
        assert refused(await outcomes([store.submit(KART, Submission("v", 1))])) == ["--max-entries"]


async def test_same_new_name_at_once(tmp_path: Path) -> None:
    """A name that comes twice at once is one entry."""
    async with opened(tmp_path, limits(entries=2)) as store:
        writes = [store.submit(KART, Submission(name, 1)) for name in ("v", "v", "w", "v", "x")]
        assert refused(await outcomes(writes)) == ["--max-entries"]


async def test_name_that_is_on_its_way_out(tmp_path: Path) -> None:
    """A name that is being removed comes back as a new one; whoever takes its place meanwhile is no one too many."""
    async with opened(tmp_path, limits(entries=2)) as store:
        await store.submit(KART, Submission("v", 1))
        await store.submit(KART, Submission("w", 1))
        results = await outcomes([store.remove(KART, "v"), store.submit(KART, Submission("v", 2))])
        assert (results[0], refused(results)) == (True, ["--max-entries"])
        results = await outcomes([store.drop(KART), store.submit(KART, Submission("w", 2))])
        assert (results[0], refused(results)) == (True, [])  # one place is free
        assert await store.count(KART) == 1


async def test_boards_at_once(tmp_path: Path) -> None:
    """Boards with entries count, and so do those with a definition; the file's own get in."""
    async with opened(tmp_path, limits(boards=3)) as store:
        definition = Definition(order="ascending")
        writes: list[Awaitable[object]] = [store.define(f"board-{number}", definition) for number in range(2)]
        writes += [store.submit(Board(f"board-{number}", definition), Submission("v", 1)) for number in range(1, 5)]
        assert refused(await outcomes(writes)) == ["--max-boards"] * 2
        await store.submit(Board("board-0", definition), Submission("w", 1))
        await store.define("board-0", Definition(order="ascending", ranking="dense"))
        assert refused(await outcomes([store.define("board-9", definition)])) == ["--max-boards"]
        await store.declare({"laps": definition}, Definition())
        assert store.measure()["boards"] == 4
        assert [await store.drop(Board("board-1")), await store.undefine("board-1"), await store.undefine("laps")]
        assert store.measure()["boards"] == 2


async def test_periods(tmp_path: Path) -> None:
    """A period more is refused with all of its submit, unless another goes for it."""
    async with opened(tmp_path, limits(periods=2)) as store:
        for day in (1, 2):
            await store.submit(daily(day), Submission("v", day))
        results = await outcomes(
            [store.submit(daily(3), Submission("v", 3)), store.submit(daily(2), Submission("w", 3))]
        )
        assert refused(results) == ["--max-periods"]
        await store.submit(daily(3, oldest="2026-11-02"), Submission("v", 3))
        assert [period.period for period in await store.periods(KART)] == ["2026-11-02", "2026-11-03"]
        assert store.measure()["periods"] == 2


async def test_entries_of_periods(tmp_path: Path) -> None:
    """An entry counts on the board and in each period; those of a period that goes make room for one that begins."""
    async with opened(tmp_path, limits(entries=5)) as store:
        await store.submit(daily(1), [Submission("v", 1), Submission("w", 1)])
        assert store.measure()["entries"] == 4
        assert refused(await outcomes([store.submit(daily(1), Submission("x", 3))])) == ["--max-entries"]
        await store.submit(daily(2, oldest="2026-11-02"), Submission("v", 3))
        assert store.measure()["entries"] == 3


async def test_periods_of_then(tmp_path: Path) -> None:
    """Of a batch that counts as of other times the periods of then count."""
    then = [FullSubmission(f"n{day}", day, None, day, (Feed("daily", f"2026-11-0{day}", ""),)) for day in (1, 2)]
    async with opened(tmp_path, limits(periods=2, entries=4)) as store:
        assert refused(await outcomes([store.submit(daily(9), then)])) == []
        assert (store.measure()["periods"], store.measure()["entries"]) == (2, 4)
        assert refused(await outcomes([store.submit(daily(1), then)])) == []
    async with opened(tmp_path / "fewer", limits(periods=1)) as store:
        assert refused(await outcomes([store.submit(daily(1), [Submission("n3", 3), *then])])) == ["--max-periods"]
        assert store.measure()["entries"] == 0


async def test_batch(tmp_path: Path) -> None:
    """Of a batch each entry is kept or refused on its own."""
    async with opened(tmp_path, limits(entries=2)) as store:
        await store.submit(KART, Submission("v", 1))
        names = ("w", "x", "v", "w", "y")
        result = await store.submit(KART, [Refusal(0, "", "bad"), *(Submission(name, 5, b"{}") for name in names)])
        assert result is not None
        assert [(refusal.index, refusal.name) for refusal in result.refusals] == [(0, ""), (2, "x"), (5, "y")]
        assert "--max-entries" in result.refusals[1].problem
        page = await store.page(KART, 0, 9, with_metadata=True)
        assert [(entry.name, entry.metadata) for entry in page] == [("w", b"{}"), ("v", b"{}")]


async def test_batch_without_room(tmp_path: Path) -> None:
    """A batch none of which can be kept is refused as a whole, and its key is not used."""
    async with opened(tmp_path, limits(boards=1, entries=3)) as store:
        await store.submit(KART, Submission("v", 1))
        key = IdempotencyKey(b"k" * 16, b"f" * 16)
        assert refused(await outcomes([store.submit(LAPS, [Submission("w", 1)], key)])) == ["--max-boards"]
        await store.submit(KART, [Submission("w", 1), Submission("x", 1)], key)
        assert refused(await outcomes([store.submit(KART, [Submission("y", 1)], key)])) == []
        other = IdempotencyKey(b"o" * 16, b"f" * 16)
        for each in (other, None):
            assert refused(await outcomes([store.submit(KART, [Submission("y", 1)], each)])) == ["--max-entries"]
        assert await store.recall(KART, other) is None
        nothing = [Refusal(0, "", "bad")]
        assert await store.submit(KART, nothing) == SubmitResult(nothing)


async def test_limits_below_what_is_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that holds more than its limits opens, warns, and takes nothing new; it counts as before."""
    async with opened(tmp_path, limits()) as store:
        await store.submit(daily(1), [Submission("v", 1), Submission("w", 1)])
        await store.define("laps", Definition())
        before = store.measure()
    async with opened(tmp_path, limits(boards=1, entries=3)) as store:
        assert {name: store.measure()[name] for name in ("boards", "entries", "periods")} == {
            name: before[name] for name in ("boards", "entries", "periods")
        }
        await store.submit(daily(1), Submission("v", 2))
        assert refused(await outcomes([store.submit(daily(1), Submission("x", 2))])) == ["--max-entries"]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [setting for setting in ("--max-boards", "--max-periods", "--max-entries") if setting in str(warnings)] == [
        "--max-boards",
        "--max-entries",
    ]


async def test_from_far_to_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is not checked at first, because the limits are far, is from some size on."""
    monkeypatch.setattr(capacity, "UNCHECKED_BYTES", 60)
    monkeypatch.setattr(capacity, "UNCHECKED", {"boards": 1, "periods": 1, "entries": 4})
    async with opened(tmp_path, limits(entries=50)) as store:
        for start in range(0, 56, 8):
            names = [f"n{number}" for number in range(start, start + 8)]
            results = await outcomes(store.submit(KART, Submission(name, 1)) for name in names)
        assert (len(refused(results)), store.measure()["entries"]) == (6, 50)
