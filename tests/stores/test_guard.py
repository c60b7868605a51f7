"""The guard of boards on the embedded store: what is refused, what is held, which runs count, and what survives."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

import pytest

from laurels.clock import SECOND
from laurels.definition import Definition, Guard, Runs
from laurels.errors import DefinitionConflict, RunRefused, ScoreRefused, StoreFull, StoreUnavailable, TooManyRequests
from laurels.stores.contract import Board, Feed, FullSubmission, IdempotencyKey, Refusal, Submission
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.guard import GuardMemory
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import declare, submit_batch, submit_for_change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from laurels.stores.contract import Change, Store
    from tests.clock import Clock

pytestmark = pytest.mark.anyio
RUNS = Definition(guard=Guard(runs=Runs(required=True, min_seconds=20, max_seconds=3600)))
HOLDING = Definition(operator="best", guard=Guard(hold_above=100))


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[EmbeddedStore]:
    """Open a store."""
    store = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    yield store
    await store.close()


async def reopened(store: EmbeddedStore, path: Path, clock: Clock, *, is_compacted: bool = False) -> EmbeddedStore:
    """Close a store and open it again, with or without a compaction in between."""
    await store.close()
    if is_compacted:
        compact(path, disk.last(path))
    return await EmbeddedStore.open(path, clock=clock)


async def submit(store: Store, board: Board, score: float, name: str = "v") -> Change:
    """Submit a score."""
    return await submit_for_change(store, board, Submission(name, score))


async def submit_run(store: Store, board: Board, run: str, name: str = "v") -> None:
    """Submit with a run."""
    await store.submit(board, FullSubmission(name, 1, run=run))


@pytest.mark.parametrize(
    ("definition", "had", "good", "bad"),
    [
        (Definition(guard=Guard(max_step=5)), 10, 15, 15.5),
        (Definition(operator="best", guard=Guard(max_step=5)), 10, 15, 16),
        (Definition(order="ascending", operator="best", guard=Guard(max_step=5)), 10, 5, 4),
        (Definition(order="ascending", guard=Guard(max_step=5)), 10, 500, 4),
        (Definition(operator="increment", guard=Guard(max_step=5)), 5, 5, 6),
        (Definition(operator="increment", order="ascending", guard=Guard(max_step=5)), -5, 99, -6),
    ],
    ids=["latest", "best", "ascending", "worse", "increment", "downwards"],
)
async def test_max_step(store: EmbeddedStore, definition: Definition, had: float, good: float, bad: float) -> None:
    """A submit may improve the entry of its player by the step and no more, in the board's order."""
    board = await declare(store, definition)
    await submit(store, board, had)
    with pytest.raises(ScoreRefused, match="takes steps of 5 at most"):
        await submit(store, board, bad)
    assert (await submit(store, board, good)).counted


async def test_first_step(store: EmbeddedStore) -> None:
    """Without an entry there is no step, but under an operator that adds, where it begins at 0."""
    board = await declare(store, Definition(guard=Guard(max_step=5)))
    await submit(store, board, 10**9)
    adding = await declare(store, Definition(operator="increment", guard=Guard(max_step=5)), "adding")
    with pytest.raises(ScoreRefused):
        await submit(store, adding, 6)


async def test_rate(store: EmbeddedStore, clock: Clock) -> None:
    """So many entries of one player are taken at once, then one whenever there is room; others are not concerned."""
    board = await declare(store, Definition(guard=Guard(per_player="3/m")))
    for score in (1, 2, 3):
        await submit(store, board, score)
    with pytest.raises(TooManyRequests, match="takes 3/m entries of one player") as raised:
        await submit(store, board, 4)
    error = raised.value
    assert (error.retry_after, error.policy, error.state) == (20, '"entries";q=3;w=60', '"entries";r=0;t=20')
    await submit(store, board, 4, "w")
    clock.now += 21
    await submit(store, board, 5)
    with pytest.raises(TooManyRequests):
        await submit(store, board, 6)


async def test_rate_that_changes(store: EmbeddedStore) -> None:
    """What was taken by one rate says nothing of another: whoever had used up a day may go on when it is a minute."""
    board = await declare(store, Definition(guard=Guard(per_player="1/d")))
    await submit(store, board, 1)
    board = await declare(store, Definition(guard=Guard(per_player="2/m")))
    for score in (2, 3):
        await submit(store, board, score)
    for rate in ("2/m", "1/d"):
        board = await declare(store, Definition(guard=Guard(per_player=rate)))
        with pytest.raises(TooManyRequests):
            await submit(store, board, 4)


async def test_rate_in_a_batch(store: EmbeddedStore) -> None:
    """In a batch each entry counts, and is refused alone."""
    board = await declare(store, Definition(operator="increment", guard=Guard(per_player="2/h", max_step=50)))
    batch = [Submission(name, score) for name, score in (("v", 1), ("v", 51), ("w", 1), ("v", 2), ("v", 4), ("w", 8))]
    assert [refusal.index for refusal in await submit_batch(store, board, batch)] == [1, 4]
    assert [(each.name, each.score) for each in await store.page(board, 0, 9)] == [("w", 9), ("v", 3)]


async def test_refused_counts_for_nothing(store: EmbeddedStore, clock: Clock) -> None:
    """A refused submit uses up neither the rate nor a key nor a run."""
    guard = Guard(per_player="2/h", max_step=5, runs=Runs())
    board = await declare(store, Definition(guard=guard))
    await submit(store, board, 1)
    run, once = (await store.make_run(board, "v")).run, IdempotencyKey(b"k" * 16, b"f" * 16)
    with pytest.raises(ScoreRefused):
        await store.submit(board, FullSubmission("v", 100, run=run), once)
    clock.now += 1
    await store.submit(board, FullSubmission("v", 2, run=run), once)
    assert (await store.standing(board, "v")).score == 2  # type: ignore[union-attr]


async def test_concurrent_submits(store: EmbeddedStore) -> None:
    """Of submits that come at once as many are taken as one after the other."""
    board = await declare(store, Definition(operator="increment", guard=Guard(per_player="10/h")))
    submits = [store.submit(board, Submission("v", 1)) for _ in range(50)]
    results = await asyncio.gather(*submits, return_exceptions=True)
    assert sum(isinstance(each, TooManyRequests) for each in results) == 40
    assert (await store.standing(board, "v")).score == 10  # type: ignore[union-attr]


@pytest.mark.parametrize("is_compacted", [False, True], ids=["journal", "snapshot"])
async def test_all_survives(store: EmbeddedStore, tmp_path: Path, clock: Clock, *, is_compacted: bool) -> None:
    """Rates, used runs and held scores are what they were after a restart, from the journal as from a snapshot."""
    definition = Definition(operator="best", guard=Guard(per_player="2/m", hold_above=100, runs=Runs()))
    board = await declare(store, definition)
    run, other = [(await store.make_run(board, "v")).run for _ in range(2)]
    await submit_run(store, board, run)
    await store.submit(board, Submission("v", 500, b'{"a":1}'))
    for _ in range(2):
        store = await reopened(store, tmp_path / "data", clock, is_compacted=is_compacted)
        (held,) = await store.held(board)
        assert (held.name, held.score, held.metadata) == ("v", 500, b'{"a":1}')
        assert held.submitted_at is not None
        with pytest.raises(TooManyRequests):
            await submit(store, board, 7)
    clock.now += 61
    with pytest.raises(RunRefused, match="used before"):
        await submit_run(store, board, run)
    await submit_run(store, board, other)
    assert await store.release(board, held)
    store = await reopened(store, tmp_path / "data", clock, is_compacted=is_compacted)
    (entry,) = await store.page(board, 0, 9, with_metadata=True)
    assert (entry.score, entry.metadata, entry.submitted_at) == (500, b'{"a":1}', held.submitted_at)
    await store.close()


async def test_held(store: EmbeddedStore) -> None:
    """A score that is over is held: it changes nothing on the board or in its windows, and the operator decides."""
    board = await declare(store, Definition(operator="best", windows=("daily",), guard=Guard(hold_above=100)))
    board = Board(board.name, board.definition, feeds=(Feed("daily", "2026-11-22"),))
    first = await submit(store, board, 101)
    assert (first.previous, first.current.score, first.current.rank) == (None, 0, None)
    assert (first.counted, first.held) == (False, True)
    await submit(store, board, 100)
    again = await submit(store, board, 300)
    assert (again.previous, again.held) == (again.current, True)
    await submit(store, board, 200)
    assert [(each.name, each.score) for each in await store.held(board)] == [("v", 300)]
    assert [
        each.score for each in await store.page(Board(board.name, board.definition, "daily", "2026-11-22"), 0, 9)
    ] == [100]


async def test_held_sums(store: EmbeddedStore) -> None:
    """Under an operator that adds the sum is what is over, and what is held is added up."""
    board = await declare(store, Definition(operator="increment", guard=Guard(hold_above=100)))
    for score in (90, 20, 5, 30):
        await submit(store, board, score)
    (held,) = await store.held(board)
    assert (held.score, (await store.standing(board, "v")).score) == (50, 95)  # type: ignore[union-attr]
    assert await store.release(board, held)
    assert (await store.standing(board, "v")).score == 145  # type: ignore[union-attr]


async def test_held_sums_that_cannot_be(store: EmbeddedStore) -> None:
    """A held sum that would lose digits is refused, and counts for nothing."""
    board = await declare(store, Definition(operator="increment", guard=Guard(hold_above=5, per_player="2/h")))
    await submit(store, board, 2**53 - 1)
    with pytest.raises(ScoreRefused):
        await submit(store, board, 6)
    await submit(store, board, 1)


async def test_held_downwards(store: EmbeddedStore) -> None:
    """Where lower is better, what is lower is over."""
    board = await declare(store, Definition(order="ascending", guard=Guard(hold_above=10)))
    assert not (await submit(store, board, 10)).held
    assert (await submit(store, board, 9.5)).held


async def test_replay_of_what_was_held(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A replay by key gets the first answer, that it is held, also after a restart, and meets no rate."""
    board = await declare(store, Definition(operator="best", guard=Guard(hold_above=100, per_player="1/d")))
    once = IdempotencyKey(b"k" * 16, b"f" * 16)
    first = await submit_for_change(store, board, Submission("v", 101), once)
    assert await submit_for_change(store, board, Submission("v", 101), once) == first
    store = await reopened(store, tmp_path / "data", clock)
    assert await submit_for_change(store, board, Submission("v", 101), once) == first
    await store.close()


async def test_operator_passes_the_guard(store: EmbeddedStore) -> None:
    """A submit with an operator meets no guard, and counts for none."""
    board = await declare(store, Definition(guard=Guard(max_step=1, per_player="1/d", hold_above=10)))
    for score in (5, 50, 500):
        await store.submit(board, FullSubmission("v", score, operator="latest"))
    await submit(store, board, 7)
    assert (await store.standing(board, "v")).score == 7  # type: ignore[union-attr]


async def test_release_under_latest(store: EmbeddedStore) -> None:
    """A released score does not replace a newer one; into a board without one it comes with its time."""
    board = await declare(store, Definition(guard=Guard(hold_above=100)))
    for name in "vw":
        await submit(store, board, 200, name)
    await submit(store, board, 3)
    for held in await store.held(board):
        assert await store.release(board, held)
    assert [(each.name, each.score) for each in await store.page(board, 0, 9)] == [("w", 200), ("v", 3)]


async def test_what_is_rejected_stays_so(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """What was rejected is gone after a compaction that has nothing else to do with the board, too."""
    board = await declare(store, HOLDING)
    await submit(store, board, 500)
    await submit(store, board, 5, "w")
    store = await reopened(store, tmp_path / "data", clock, is_compacted=True)
    assert await store.reject(board, "v")
    store = await reopened(store, tmp_path / "data", clock, is_compacted=True)
    assert await store.held(board) == []
    assert store.measure()["entries"] == 1
    await store.close()


async def test_release_of_what_was_replaced(store: EmbeddedStore) -> None:
    """If another score was held meanwhile, or none is, nothing is released."""
    board = await declare(store, HOLDING)
    await submit(store, board, 200)
    (held,) = await store.held(board)
    await submit(store, board, 300)
    assert not await store.release(board, held)
    assert await store.reject(board, "v")
    assert not await store.reject(board, "v")
    assert not await store.release(board, held)


async def test_held_of_a_hidden_name(store: EmbeddedStore) -> None:
    """What is held is released and rejected, whether or not its name is hidden."""
    board = await declare(store, HOLDING)
    for name in ("v", "w"):
        await submit(store, board, 101, name)
        await store.hide(board, name)
    held = await store.held(board)
    assert [await store.reject(board, "v"), await store.release(board, held[0])] == [True, True]
    assert await store.held(board) == []
    assert await store.show(board, "w")
    assert [entry.name for entry in await store.page(board, 0, 9)] == ["w"]


async def test_release_that_is_refused(store: EmbeddedStore) -> None:
    """A released sum that cannot be is refused, and stays held."""
    board = await declare(store, Definition(operator="increment", guard=Guard(hold_above=5)))
    await submit(store, board, 6)
    (held,) = await store.held(board)
    await store.submit(board, FullSubmission("v", 2**53 - 1, operator="increment"))
    with pytest.raises(ScoreRefused):
        await store.release(board, held)
    assert await store.held(board) == [held]


async def test_held_goes_with_its_board(store: EmbeddedStore, clock: Clock) -> None:
    """What is held goes when its name is removed, its board is dropped, or the time of that is over."""
    board = await declare(store, Definition(ttl="1h", guard=Guard(hold_above=100)))
    for name in "vw":
        await submit(store, board, 200, name)
    assert await store.remove(board, "v")
    assert [each.name for each in await store.held(board)] == ["w"]
    assert await store.drop(board)
    assert await store.held(board) == []
    await submit(store, board, 200)
    clock.now += 3601
    assert await store.held(board) == []
    await submit(store, board, 200, "x")
    assert [each.name for each in await store.held(board)] == ["x"]


async def test_held_contradicts(store: EmbeddedStore) -> None:
    """While something is held its order and operator stay; its bounds do not, and neither does the guard."""
    board = await declare(store, HOLDING)
    await submit(store, board, 200)
    with pytest.raises(DefinitionConflict, match="held scores that were submitted with order 'descending'"):
        await store.define(board.name, Definition(order="ascending", operator="best"))
    with pytest.raises(DefinitionConflict):
        await store.declare({board.name: Definition()}, Definition())
    await store.define(board.name, Definition(operator="best"))
    assert len(await store.held(board)) == 1


async def test_default_with_a_guard(store: EmbeddedStore) -> None:
    """A board without a definition of its own has the guard of the default; held alone it counts as a board."""
    await store.declare({}, HOLDING)
    await submit(store, Board("b", HOLDING), 200)
    assert store.measure()["boards"] == 1
    with pytest.raises(DefinitionConflict):
        await store.declare({}, Definition())
    await store.reject(Board("b", HOLDING), "v")
    assert store.measure()["boards"] == 0


async def test_pages_of_held(store: EmbeddedStore) -> None:
    """Held scores are listed from the best, and on from the place of one that is held no more."""
    board = await declare(store, HOLDING)
    for score, name in enumerate("abcd", 101):
        await submit(store, board, score, name)
    first = await store.held(board, None, 2)
    assert [each.name for each in first] == ["d", "c"]
    await store.reject(board, "c")
    assert [each.name for each in await store.held(board, first[-1], 9)] == ["b", "a"]


async def test_entries_include_the_held(tmp_path: Path, clock: Clock) -> None:
    """What is held counts as an entry: for a new one there is room, or none; an update of either needs none."""
    store = await EmbeddedStore.open(tmp_path, clock=clock, limits=StoreLimits(entries=3))
    board = await declare(store, HOLDING)
    await submit(store, board, 1)
    await submit(store, board, 200)
    await submit(store, board, 200, "w")
    for score, name in ((1, "w"), (200, "x"), (1, "x")):
        with pytest.raises(StoreFull):
            await submit(store, board, score, name)
    refused = await submit_batch(store, board, [Submission("x", 300), Submission("v", 2), Submission("v", 300)])
    assert [each.index for each in refused] == [0]
    await submit(store, board, 400)
    await store.submit(board, FullSubmission("v", 900, operator="latest"))
    await store.close()


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [(19, "too short: it is accepted 20 seconds after"), (3601, "too old: it was accepted for 3600")],
)
async def test_time_of_a_run(store: EmbeddedStore, clock: Clock, seconds: int, problem: str) -> None:
    """A run is accepted from its least to its greatest age."""
    board = await declare(store, RUNS)
    made = await store.make_run(board, "v")
    assert made.expires_at == int((clock.now + 3600) * SECOND)
    clock.now += seconds
    with pytest.raises(RunRefused, match=problem):
        await submit_run(store, board, made.run)


async def test_run_is_used_once(store: EmbeddedStore, clock: Clock) -> None:
    """A run counts once, and once of many submits that come at once."""
    board = await declare(store, RUNS)
    run = (await store.make_run(board, "v")).run
    clock.now += 30
    results = await asyncio.gather(*(submit_run(store, board, run) for _ in range(5)), return_exceptions=True)
    assert [isinstance(each, RunRefused) for each in results].count(True) == 4


async def test_foreign_runs(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A run of another board, another name or another directory is none, nor is one that is forged or cut."""
    board, other = await declare(store, RUNS), await declare(store, RUNS, "other")
    with pytest.raises(RunRefused):
        await submit_run(store, board, "A" * 48)
    run = (await store.make_run(board, "v")).run
    elsewhere = await EmbeddedStore.open(tmp_path / "elsewhere", clock=clock)
    foreign = (await elsewhere.make_run(board, "v")).run
    await elsewhere.close()
    clock.now += 30
    forged = run[:5] + ("A" if run[5] != "A" else "B") + run[6:]
    for where, name, text in (
        (other, "v", run),
        (board, "w", run),
        (board, "v", foreign),
        (board, "v", forged),
        (board, "v", run[:-1]),
        (board, "v", run + "="),
        (board, "v", "é"),
        (board, "v", ""),
    ):
        with pytest.raises(RunRefused, match="was not made here for this board and this player"):
            await submit_run(store, where, text, name)
    await submit_run(store, board, run)


async def test_runs_by_a_clock_that_jumps(store: EmbeddedStore, clock: Clock) -> None:
    """A clock that is put back lets no used run count again."""
    board = await declare(store, RUNS)
    run = (await store.make_run(board, "v")).run
    clock.now += 30
    await submit_run(store, board, run)
    clock.turn(-5000)
    with pytest.raises(RunRefused):
        await submit_run(store, board, run)


async def test_longer_runs_are_those_to_come(store: EmbeddedStore, clock: Clock) -> None:
    """A run lives as long as it was made for, whatever the guard says later, and no longer than that says now."""
    board = await declare(store, RUNS)
    run, other = [(await store.make_run(board, "v")).run for _ in range(2)]
    longer = await declare(store, Definition(guard=Guard(runs=Runs(max_seconds=7200))))
    clock.now += 3700
    with pytest.raises(RunRefused, match="accepted for 3600 seconds"):
        await submit_run(store, longer, run)
    shorter = await declare(store, Definition(guard=Guard(runs=Runs(max_seconds=60))))
    with pytest.raises(RunRefused, match="accepted for 60 seconds"):
        await submit_run(store, shorter, other)


async def test_limit_of_runs(tmp_path: Path, clock: Clock) -> None:
    """Beyond so many used runs further ones are refused until the old ones are too late anyway."""
    store = await EmbeddedStore.open(tmp_path, clock=clock, limits=StoreLimits(runs=2))
    board = await declare(store, Definition(guard=Guard(runs=Runs(max_seconds=60))))
    first, second, third = [(await store.make_run(board, "v")).run for _ in range(3)]
    await submit_run(store, board, first)
    await submit_run(store, board, second)
    with pytest.raises(StoreFull, match="--max-runs"):
        await submit_run(store, board, third)
    with pytest.raises(RunRefused, match="used before"):
        await submit_run(store, board, first)
    clock.now += 61
    await submit_run(store, board, (await store.make_run(board, "v")).run)
    assert store.measure()["runs"] == 1
    await store.close()


async def test_key_of_runs(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """The key of runs is made once, for the owner's eyes alone, and is told by nothing; a damaged one is made anew."""
    board, path = await declare(store, RUNS), tmp_path / "data" / "runs"
    runs = await asyncio.gather(*(store.make_run(board, "v") for _ in range(3)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert repr(store._runs) == "<RunSigner>"  # noqa: SLF001 - what a trace could show
    assert path.read_bytes().hex() not in repr(vars(store._runs))  # noqa: SLF001 - what a trace could show
    clock.now += 30
    for made in runs:
        await submit_run(store, board, made.run)
    path.write_bytes(b"short")
    store = await reopened(store, tmp_path / "data", clock)
    run = (await store.make_run(board, "v")).run
    clock.now += 30
    await submit_run(store, board, run)
    await store.close()


async def test_key_of_runs_that_cannot_be_kept(store: EmbeddedStore, tmp_path: Path) -> None:
    """Without a place for the key no run is made."""
    board = await declare(store, RUNS)
    (tmp_path / "data" / "runs.new").mkdir()
    with pytest.raises(StoreUnavailable, match="The key of runs cannot be kept"):
        await store.make_run(board, "v")


async def test_marks_are_forgotten() -> None:
    """What says nothing any more is forgotten, a few at a time, and is in no snapshot."""
    memory = GuardMemory()
    for number in range(100):
        run = number.to_bytes(8, "big") + (1).to_bytes(4, "big") + bytes(8)
        memory.remember("b", Guard(per_player="1/s"), f"p{number}", run, number)
    assert len(memory.meters) == 100
    later = 10 * SECOND
    assert list(memory.all_live(later)) == []
    for number in range(50):
        memory.remember("b", Guard(per_player="1/s"), "v", None, later + number * SECOND)
    assert (len(memory.meters), len(memory.runs)) == (1, 0)


async def test_refusals_go_with_a_batch_that_is_guarded(store: EmbeddedStore) -> None:
    """What was refused before is in the result with what the guard refuses."""
    board = await declare(store, Definition(operator="increment", guard=Guard(max_step=5)))
    batch: list[Submission | Refusal] = [Refusal(0, "x", "is no score"), Submission("v", 6), Submission("v", 5)]
    assert [each.index for each in await submit_batch(store, board, batch)] == [0, 1]
