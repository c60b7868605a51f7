"""The embedded store on a wall clock that jumps: what is hidden, what is deleted, and what order and time become."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.clock import SECOND, SETTLE_SECONDS
from laurels.clock import Clock as MachineClock
from laurels.definition import Definition
from laurels.errors import DefinitionConflict
from laurels.stores.contract import Board, Submission
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.offsets import OFFSETS, Offsets
from laurels.stores.embedded.records import At
from laurels.stores.embedded.state import State
from laurels.stores.embedded.store import EmbeddedStore
from tests.clock import Clock
from tests.stores import disk
from tests.stores.guarantees import KART, day, days, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Reopen = Callable[[], Awaitable[EmbeddedStore]]

pytestmark = pytest.mark.anyio

DAY, YEAR = 86_400.0, 365 * 86_400.0
JUMPS = pytest.mark.parametrize("jump", [30 * DAY, 5 * YEAR], ids=["30 days", "5 years"])
ENDING = Board("ending", Definition(ttl="7d"))
OTHER = Board("other")


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[EmbeddedStore]:
    """Open a store with a board that ends."""
    opened = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    await opened.define(ENDING.name, ENDING.definition)
    await opened.submit(ENDING, Submission("v", 1))
    yield opened
    await opened.close()


@pytest.fixture(params=["going on", "restarted", "compacted"])
async def reopen(
    request: pytest.FixtureRequest, store: EmbeddedStore, tmp_path: Path, clock: Clock
) -> AsyncIterator[Reopen]:
    """Return what gives the store as it is, after a crash, or after a compaction and a crash."""
    opened = [store]

    async def reopened() -> EmbeddedStore:
        if request.param == "going on":
            return store
        data = shutil.copytree(tmp_path / "data", tmp_path / f"killed-{len(opened)}")
        if request.param == "compacted":
            compact(data, disk.last(data))
        opened.append(await EmbeddedStore.open(data, clock=clock))
        return opened[-1]

    yield reopened
    for each in opened:
        await each.close()


async def settle(store: EmbeddedStore, clock: Clock) -> None:
    """Let an hour pass, and write once."""
    clock()
    clock.now += SETTLE_SECONDS
    await store.submit(OTHER, Submission("settled", 1))


async def times(store: EmbeddedStore, board: Board) -> dict[str, float]:
    """Return when each entry of a board was submitted, in seconds."""
    return {entry.name: (entry.submitted_at or 0) / SECOND for entry in await store.page(board, 0, 99)}


@JUMPS
async def test_ended_board_comes_back(store: EmbeddedStore, reopen: Reopen, clock: Clock, jump: float) -> None:
    """A board that is over by a clock that was wrong for a moment is hidden, and there again."""
    clock.turn(jump)
    assert await store.count(ENDING) == 0
    await store.submit(OTHER, Submission("v", 1))
    assert (await store.count(ENDING), await store.names()) == (0, ["other"])
    clock.turn(-jump)
    store = await reopen()
    await store.submit(OTHER, Submission("w", 1))
    await settle(store, clock)
    assert shown(await store.page(ENDING, 0, 9)) == [("v", 1, 0)]


@JUMPS
async def test_ended_board_that_goes_on(store: EmbeddedStore, reopen: Reopen, clock: Clock, jump: float) -> None:
    """A submit during a jump goes to the board as it was, whose time is counted from the right clock after it."""
    clock.turn(jump)
    await store.submit(ENDING, Submission("w", 2))
    assert await store.count(ENDING) == 2
    clock.turn(-jump)
    store = await reopen()
    await settle(store, clock)
    clock.now += 7 * DAY - 2 * SETTLE_SECONDS
    assert await store.count(ENDING) == 2
    clock.now += 2 * SETTLE_SECONDS
    assert await store.count(ENDING) == 0


async def test_clock_that_stays(store: EmbeddedStore, reopen: Reopen, clock: Clock) -> None:
    """A jump forward that stays ends boards as usual, after an hour."""
    clock.turn(30 * DAY)
    await store.submit(OTHER, Submission("v", 1))
    store = await reopen()
    clock.now += SETTLE_SECONDS - 1
    await store.submit(OTHER, Submission("v", 2))
    assert ENDING.name in store._state  # noqa: SLF001 - nothing else tells a hidden board from a deleted one
    clock.now += 1
    await store.submit(OTHER, Submission("v", 3))
    assert ENDING.name not in store._state  # noqa: SLF001


async def test_jump_back_for_a_moment(store: EmbeddedStore, reopen: Reopen, clock: Clock) -> None:
    """What was submitted while the clock was a month behind is not a month old when it is right again."""
    clock.turn(-30 * DAY)
    await store.submit(ENDING, Submission("w", 1))
    assert await times(store, ENDING) == pytest.approx({"v": clock.now, "w": clock.now}, abs=1)
    clock.now += 60
    clock.turn(30 * DAY)
    store = await reopen()
    await settle(store, clock)
    ago = SETTLE_SECONDS + 60
    assert await times(store, ENDING) == pytest.approx({"v": clock.now - ago, "w": clock.now - ago}, abs=1)


@JUMPS
async def test_order_and_time(store: EmbeddedStore, reopen: Reopen, clock: Clock, jump: float) -> None:
    """After a jump back the order goes on, and times are those of the wall clock; none is in the future."""
    board = Board("laps", Definition(ties="earliest"))
    await store.define(board.name, board.definition)
    expected = {}
    for name, turn in {"before": 0, "during": jump, "after": -jump, "later": 0}.items():
        clock.now += 60
        clock.turn(turn)
        expected[name] = clock.now
        await store.submit(board, Submission(name, 7))
    store = await reopen()
    await store.submit(board, Submission("last", 7))
    entries = await store.page(board, 0, 9)
    assert [entry.name for entry in entries] == ["before", "during", "after", "later", "last"]
    expected |= {"during": expected["after"], "last": clock.now}
    assert await times(store, board) == pytest.approx(expected, abs=0.001)
    assert store.measure()["newest_record_ahead_seconds"] == pytest.approx(jump, rel=0.01)


async def test_order_that_is_caught_up_with(store: EmbeddedStore, clock: Clock) -> None:
    """A clock that comes past the newest record is the order again."""
    for turn in (DAY, -DAY, 2 * DAY):
        clock.turn(turn)
        await store.submit(OTHER, Submission(str(turn), 1))
    (entry,) = await store.entries_named(OTHER, [str(2 * DAY)])
    assert (entry.sequence >> 1, entry.submitted_at) == (clock.now * SECOND, clock.now * SECOND)


async def test_clock_that_trembles(store: EmbeddedStore, clock: Clock) -> None:
    """Steps back of less than a second change nothing but that ticks follow each other."""
    clock.now -= 0.5
    await store.submit(OTHER, Submission("v", 1))
    (entry,) = await store.page(OTHER, 0, 1)
    assert entry.submitted_at == clock.now * SECOND + SECOND // 2 + 2


async def test_many_jumps(store: EmbeddedStore, reopen: Reopen, clock: Clock) -> None:
    """However often the clock jumps, what is known of that has a bound, and no time is in the future."""
    for number in range(2 * OFFSETS):
        clock.turn(DAY * (1 + number % 7) * (-1) ** number)
        await store.submit(OTHER, Submission(str(number), number))
    store = await reopen()
    await store.submit(OTHER, Submission("last", 10**6))
    assert len(store._state.offsets) == OFFSETS  # noqa: SLF001
    assert max((await times(store, OTHER)).values()) <= clock.now + 1
    assert (await times(store, OTHER))["last"] == pytest.approx(clock.now, abs=1)


def test_shortest_is_forgotten() -> None:
    """Of too many changes of the offset the shortest time between two is forgotten."""
    state = State(Definition())
    for number in range(1, OFFSETS + 1):
        At(number * 1000, offset=number % 2 + 1).apply(state)
    At(OFFSETS * 1000 + 1, offset=7).apply(state)
    assert len(state.offsets) == OFFSETS
    assert state.offsets[-2:] == [((OFFSETS - 1) * 1000, 2), (OFFSETS * 1000 + 1, 7)]


@JUMPS
async def test_periods_are_kept(store: EmbeddedStore, reopen: Reopen, clock: Clock, jump: float) -> None:
    """A period that begins while the clock is not settled deletes none; the next that begins does."""
    first, second = days(KART, "2026-11-01", "2026-11-02")
    await store.submit(first, Submission("v", 1))
    await store.submit(second, Submission("v", 1))
    clock.turn(jump)
    (wrong,) = days(KART, "2031-11-26", oldest="2031-11-24")
    await store.submit(wrong, Submission("v", 2))
    clock.turn(-jump)
    store = await reopen()
    assert await store.count(day(KART, "2026-11-01")) == 1
    await settle(store, clock)
    (third,) = days(KART, "2026-11-03", oldest="2026-11-02")
    await store.submit(third, Submission("v", 1))
    assert [each.period for each in await store.periods(KART)] == ["2026-11-02", "2026-11-03", "2031-11-26"]


async def test_old_periods_get_entries(store: EmbeddedStore, reopen: Reopen, clock: Clock) -> None:
    """A jump back feeds a period of before, and deletes nothing."""
    old, new = (days(KART, name, oldest=oldest)[0] for name, oldest in (("10-27", "10-25"), ("11-26", "11-24")))
    await store.submit(new, Submission("v", 1))
    clock.turn(-30 * DAY)
    await store.submit(old, Submission("v", 2))
    clock.turn(30 * DAY)
    store = await reopen()
    await store.submit(new, Submission("w", 2))
    assert [(each.period, each.count) for each in await store.periods(KART)] == [("10-27", 1), ("11-26", 2)]


async def test_definitions_during_a_jump(store: EmbeddedStore, reopen: Reopen, clock: Clock) -> None:
    """A time to live that changes during a jump neither ends a board nor lets one that was hidden be lost."""
    await store.submit(OTHER, Submission("v", 1))
    clock.turn(30 * DAY)
    await store.define(ENDING.name, Definition(ttl="60d"))
    await store.define(OTHER.name, Definition(ttl="1h"))
    assert await store.count(ENDING) == 1
    clock.turn(-30 * DAY)
    store = await reopen()
    await store.define(ENDING.name, ENDING.definition)
    await store.submit(KART, Submission("v", 1))
    assert (await store.count(ENDING), await store.count(OTHER)) == (1, 1)
    clock.now += 3601
    assert (await store.count(ENDING), await store.count(OTHER)) == (1, 0)


async def test_default_definition_during_a_jump(tmp_path: Path, clock: Clock) -> None:
    """A board that is only hidden contradicts a new default definition, which would be that of its entries."""
    store = await EmbeddedStore.open(tmp_path / "data", ENDING.definition, clock=clock)
    await store.submit(KART, Submission("v", 1))
    clock.turn(30 * DAY)
    assert await store.count(KART) == 0
    with pytest.raises(DefinitionConflict, match="mario-kart"):
        await store.declare({}, Definition(order="ascending"))
    clock.now += SETTLE_SECONDS
    await store.declare({}, Definition(order="ascending"))
    await store.submit(KART, Submission("w", 1))
    assert shown(await store.page(KART, 0, 9)) == [("w", 1, 0)]
    await store.close()


async def test_ended_board_that_contradicts_when_the_clock_jumps(tmp_path: Path, clock: Clock) -> None:
    """An ended board goes with the definition that it contradicts, even if the clock jumps before both are written."""
    store = await EmbeddedStore.open(tmp_path / "data", ENDING.definition, clock=clock)
    await store.submit(KART, Submission("v", 1))
    clock.now += 8 * DAY
    setting = asyncio.ensure_future(store.declare({}, Definition(order="ascending")))
    await asyncio.sleep(0)  # what is to be written is in the open batch, which has no time yet
    clock.turn(DAY)
    await setting
    assert (await store.count(KART), KART.name in store._state) == (0, False)  # noqa: SLF001
    await store.close()


async def test_far_ahead_of_the_clock(store: EmbeddedStore, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that jumps is logged and warned of until it has settled."""
    assert (store.warnings(), store.measure()["clock_settled"]) == ([], 1)
    clock.turn(30 * DAY)
    (warning,) = store.warnings()
    assert "jumped forward by 30 days" in warning
    assert store.measure()["clock_settled"] == 0
    store._watch._look()  # noqa: SLF001 - as each second
    assert warning in caplog.text
    clock.now += SETTLE_SECONDS
    store._watch._look()  # noqa: SLF001
    assert store.warnings() == []


@pytest.mark.parametrize(("away", "warns"), [(-61, True), (-59, False), (7 * DAY, False), (8 * DAY, True)])
async def test_start_far_from_the_newest_record(
    store: EmbeddedStore, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, away: float, *, warns: bool
) -> None:
    """A start at a time far from that of the newest record logs both, and warns for an hour."""
    await store.close()
    clock.turn(away)
    again = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    found = [each for each in again.warnings() if "newest record is of 1970-01-12T13:46:40+00:00" in each]
    assert (len(found), "newest record is of" in caplog.text) == (warns, warns)
    clock.now += SETTLE_SECONDS
    assert again.warnings() == []
    await again.close()


@pytest.mark.parametrize("boot", ["tests", "another"])
async def test_start_of_the_machine(store: EmbeddedStore, tmp_path: Path, clock: Clock, boot: str) -> None:
    """After a start of the machine nothing is deleted for an hour; after one of the server alone it is."""
    await store.close()
    clock.now += 8 * DAY
    later = MachineClock(lambda: clock.now, lambda: clock.now, boot=boot, earliest=0)
    again = await EmbeddedStore.open(tmp_path / "data", clock=later)
    await again.submit(OTHER, Submission("v", 1))
    assert (await again.count(ENDING), ENDING.name in again._state) == (0, boot == "another")  # noqa: SLF001
    await again.close()


async def test_clock_file_in_the_way(tmp_path: Path, clock: Clock) -> None:
    """A file that can be neither read nor written only makes the next process wait, and is written when it can be."""
    (tmp_path / "data/clock").mkdir(parents=True)
    store = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    await store.submit(KART, Submission("v", 1))
    assert await store.count(KART) == 1
    (tmp_path / "data/clock").rmdir()
    await store.submit(KART, Submission("v", 2))
    assert (tmp_path / "data/clock").read_bytes() == clock.memory
    await store.close()


async def test_back_and_forward_between_starts(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """What a start with a clock in the past has written ends nothing that the right clock would not end."""
    for turn in (30 * DAY, -60 * DAY):
        clock.turn(turn)
        await store.submit(OTHER, Submission(str(turn), 1))
        data = shutil.copytree(tmp_path / "data", tmp_path / f"data {turn}")
    clock.turn(30 * DAY)
    again = await EmbeddedStore.open(data, clock=clock)
    assert await again.count(ENDING) == 1
    await settle(again, clock)
    assert await again.count(ENDING) == 1
    await again.close()


async def test_back_for_one_start_after_another_jump(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A process knows by how much the clock jumped before it began, and counts that as a jump that it saw."""
    await store.close()
    begin, left = clock.now, dict[str, float]()
    for ahead in (30 * DAY, 0, -400 * DAY, 0):
        clock = Clock(begin)
        clock.turn(ahead)
        store = await EmbeddedStore.open(tmp_path / "data", clock=clock)
        await store.submit(ENDING if ahead else OTHER, Submission(str(ahead), 1))
        left = await times(store, ENDING)
        await store.close()
    assert set(left) == {"v", str(30 * DAY), str(-400 * DAY)}


async def test_back_for_a_moment_after_another_jump(store: EmbeddedStore, reopen: Reopen, clock: Clock) -> None:
    """A jump forward takes back what one back has added to the order, and what was written between is not old."""
    for turn in (30 * DAY, -30 * DAY, -10 * DAY):
        clock.turn(turn)
        await store.submit(ENDING, Submission(str(turn), 1))
    clock.turn(10 * DAY)
    await store.submit(OTHER, Submission("v", 1))
    store = await reopen()
    assert await times(store, ENDING) == pytest.approx(dict.fromkeys(await times(store, ENDING), clock.now), abs=1)
    await settle(store, clock)
    assert await store.count(ENDING) == 4


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["turn", "pass", "submit", "define"]),
            st.sampled_from([-40 * DAY, -8 * DAY, -1.5, 0.3, 7 * DAY + 1, 30 * DAY]),
        ),
        max_size=30,
    )
)
def test_same_after_a_restart_and_a_compaction(steps: list[tuple[str, float]]) -> None:
    """Whatever a clock does, a restart and a compaction come to the state that the server has."""

    async def run(folder: Path) -> None:
        clock = Clock()
        store = await EmbeddedStore.open(folder / "data", ENDING.definition, clock=clock)
        for number, (step, seconds) in enumerate(steps):
            if step == "turn":
                clock.turn(seconds)
            elif step == "pass":
                clock.now += abs(seconds)
            elif step == "submit":
                await store.submit(Board(f"board {number % 3}"), Submission(str(number), 1))
            else:
                await store.define(f"board {number % 3}", Definition(ttl="10d" if seconds > 0 else None))
        shutil.copytree(folder / "data", folder / "killed")
        shutil.copytree(folder / "data", folder / "compacted")
        if last := disk.last(folder / "data"):
            compact(folder / "compacted", last)
        expected = decided(store._state)  # noqa: SLF001
        await store.close()
        for name in ("killed", "compacted"):
            again = await EmbeddedStore.open(folder / name, clock=clock)
            assert decided(again._state) == expected  # noqa: SLF001
            await again.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def decided(state: State) -> object:
    """Return what is decided of a state by its records."""
    entries = {key: index.page(0, 99) for key, index in state.items()}
    return entries, state.sequence, state.offsets, state.renewed, state.declared


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 60)), max_size=4), st.integers(0, 400), st.integers(0, 400)
)
def test_tick_of_a_time(steps: list[tuple[int, int]], time: int, other: int) -> None:
    """Ticks are in the order of times, and the tick of a time since the last change, or without one, has that time."""
    offsets, tick, now = Offsets(), 0, 10**9
    for step, offset in steps:
        tick += step
        offsets.add(tick, offset)
    found = offsets.tick_of(time)
    assert found >= 0
    assert found <= offsets.tick_of(max(time, other))
    if time >= tick - offsets.current:
        assert offsets.time_of(found, now) == time
