"""The embedded store: the contract, and what it does beyond it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import IO, TYPE_CHECKING

import pytest

from laurels.definition import Bounds, Definition
from laurels.errors import DefinitionConflict, DirectoryInUse, DirectoryUnusable, ScoreRefused, StoreUnavailable
from laurels.stores.contract import Board, Feed, Standing, Submission
from laurels.stores.embedded import capacity, commits, directory, journal
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.store import DEFINED_AT_ONCE, EmbeddedStore
from tests.stores import disk
from tests.stores.conformance import LAPS, Conformance
from tests.stores.guarantees import KART, InTime, Kept, fill, shown, submit_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from laurels.stores.contract import Store
    from tests.clock import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """Open a store over a new directory."""
    opened = await EmbeddedStore.open(tmp_path / "data")
    yield opened
    await opened.close()


class TestEmbedded(Conformance, InTime):
    """The embedded store keeps the contract."""

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
        """Open a store over a new directory."""
        opened = await EmbeddedStore.open(tmp_path / "data", clock=clock)
        await opened.define(LAPS.name, LAPS.definition)
        yield opened
        await opened.close()

    @pytest.fixture
    def kept(self, store: Store, tmp_path: Path) -> Kept:
        """Read the files while the store has them open, and hold what it answers against them."""

        async def read(board: Board) -> dict[str, float]:
            found = (await asyncio.to_thread(disk.read, tmp_path / "data")).get(board.key, {})
            assert {entry.name: entry.score for entry in await store.page(board, 0, 99)} == found
            return found

        return read


async def test_reopened(store: EmbeddedStore, tmp_path: Path) -> None:
    """A store opened again is as it was closed."""
    await store.define(LAPS.name, LAPS.definition)
    await fill(store, LAPS, {"v": 3, "silverhand": 1, "judy": 2})
    await store.remove(LAPS, "v")
    await store.close()
    again = await EmbeddedStore.open(tmp_path / "data")
    assert shown(await again.page(LAPS, 0, 9)) == [("silverhand", 1, 0), ("judy", 2, 1)]
    await again.close()


async def test_compacted(store: EmbeddedStore, tmp_path: Path) -> None:
    """A store opened on a snapshot and a journal after it is the one they were made from."""
    await fill(store, KART, {f"player-{n}": n for n in range(70_000)})
    compact(tmp_path / "data", 1)
    await store.submit(LAPS, Submission("v", 3))
    await store.submit(KART, Submission("player-0", 70_000))
    await store.close()
    again = await EmbeddedStore.open(tmp_path / "data")
    assert shown(await again.page(KART, 0, 2)) == [("player-0", 70_000, 0), ("player-69999", 69_999, 1)]
    assert (await again.count(KART), await again.standing(LAPS, "v")) == (70_000, Standing(3, 0))
    await again.close()


async def test_compacted_without_loading(store: EmbeddedStore, tmp_path: Path) -> None:
    """A compaction drops boards that it need not load, and copies those that nothing touches."""
    await fill(store, KART, {"v": 1})
    await fill(store, LAPS, {"v": 2})
    compact(tmp_path / "data", 2)
    await store.drop(KART)
    await store.define("other", Definition(order="ascending"))
    await store.undefine("other")
    before = disk.read(tmp_path / "data")
    compact(tmp_path / "data", 5)
    assert before == disk.read(tmp_path / "data") == {LAPS.name: {"v": 2}}


async def test_compacted_removal(store: EmbeddedStore, tmp_path: Path) -> None:
    """A compaction removes a name from the periods too, even if they are in an old snapshot."""
    board = Board(KART.name, feeds=(Feed("daily", "2026-11-22"),))
    await fill(store, board, {"v": 1, "w": 2})
    await store.remove(Board(KART.name, window="daily", period="2026-11-22"), "w")
    compact(tmp_path / "data", 2)
    await store.remove(KART, "v")
    compact(tmp_path / "data", 3)
    assert disk.read(tmp_path / "data") == {KART.name: {"w": 2}}


async def test_compacted_removal_from_a_period(store: EmbeddedStore, tmp_path: Path) -> None:
    """A compaction removes a name from one period alone, even if that is in an old snapshot."""
    period = Board(KART.name, window="daily", period="2026-11-22")
    await fill(store, Board(KART.name, feeds=(Feed("daily", "2026-11-22"),)), {"v": 1, "w": 2})
    compact(tmp_path / "data", 1)
    await store.remove(period, "w")
    compact(tmp_path / "data", 2)
    assert disk.read(tmp_path / "data") == {KART.name: {"v": 1, "w": 2}, period.key: {"v": 1}}


async def test_compacted_time_to_live(tmp_path: Path, clock: Clock) -> None:
    """The time of the last submit of an undeclared board survives a compaction."""
    ending = Definition(ttl="1h")
    store = await EmbeddedStore.open(tmp_path / "data", ending, clock=clock)
    await store.submit(Board("v", ending), Submission("v", 1))
    await store.close()
    compact(tmp_path / "data", 1)
    clock.now += 3599
    again = await EmbeddedStore.open(tmp_path / "data", ending, clock=clock)
    counts = [await again.count(Board("v", ending))]
    clock.now += 2
    assert [*counts, await again.count(Board("v", ending))] == [1, 0]
    await again.close()


async def test_progress(store: EmbeddedStore, tmp_path: Path) -> None:
    """Opening reports how many entries are loaded so far."""
    await fill(store, KART, {"v": 1, "w": 2})
    await fill(store, LAPS, {"v": 1})
    compact(tmp_path / "data", 2)
    await store.close()
    seen: list[int] = []
    await (await EmbeddedStore.open(tmp_path / "data", progress=seen.append)).close()
    assert seen == [2, 3]


async def test_batches_gather(store: EmbeddedStore, tmp_path: Path) -> None:
    """What arrives while the disk is busy is written together afterwards."""
    first = asyncio.ensure_future(store.submit(KART, Submission("v", 1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(first, *(store.submit(KART, Submission(f"player-{n}", n)) for n in range(100)))
    assert (disk.last(tmp_path / "data"), await store.count(KART)) == (2, 101)


async def test_large_batches_leave_the_loop_free(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While many entries are applied, others are served in between."""
    monkeypatch.setattr(commits, "APPLY_BYTES", 1)
    filling = asyncio.gather(*(fill(store, KART, {f"{n}-{m}": m for m in range(1000)}) for n in range(100)))
    seen = set[int]()
    singles: list[asyncio.Future[object]] = []
    while not filling.done():
        singles.append(asyncio.ensure_future(store.submit(KART, Submission(f"single-{len(singles)}", 0))))
        seen.add(await store.count(KART))
        await asyncio.sleep(0)
    await asyncio.gather(*singles)
    assert (len(seen) > 5, await store.count(KART)) == (True, 100_000 + len(singles))


async def test_waiter_that_raises(store: EmbeddedStore) -> None:
    """A callback that raises, as one that drives a coroutine by hand may, does not keep the others waiting."""
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context.get("exception")))
    others = asyncio.gather(*(store.submit(KART, Submission(f"player-{n}", n)) for n in range(9)))
    by_hand = store.submit(KART, Submission("v", 1))
    batch = by_hand.send(None)
    batch._asyncio_future_blocking = False  # noqa: SLF001 - as a task does
    batch.add_done_callback(lambda _: 1 // 0)
    await others
    by_hand.close()
    assert (await store.count(KART), [type(error) for error in errors]) == (10, [ZeroDivisionError])


async def test_waiter_that_raises_with_many_others(store: EmbeddedStore) -> None:
    """A callback that raises does not keep the batch that gathered behind its own from the disk."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    first = asyncio.gather(*(store.submit(KART, Submission(f"first-{n}", n)) for n in range(20)))
    by_hand = store.submit(KART, Submission("v", 1))
    batch = by_hand.send(None)
    batch._asyncio_future_blocking = False  # noqa: SLF001 - as a task does
    batch.add_done_callback(lambda _: 1 // 0)
    for _ in range(2):  # the others join the batch, and it is on its way to the disk
        await asyncio.sleep(0)
    second = asyncio.gather(*(store.submit(KART, Submission(f"second-{n}", n)) for n in range(20)))
    async with asyncio.timeout(10):
        await asyncio.gather(first, second)
    by_hand.close()
    assert await store.count(KART) == 41


async def test_unseen_before_durable(store: EmbeddedStore) -> None:
    """A change is not visible before it is durable."""
    submit = asyncio.ensure_future(store.submit(KART, Submission("v", 1)))
    await asyncio.sleep(0)
    assert await store.standing(KART, "v") is None
    await submit
    assert await store.standing(KART, "v") == Standing(1, 0)


async def test_cancelled_waiter(store: EmbeddedStore) -> None:
    """A caller that is cancelled does not cancel the others of its batch."""
    waiters = [asyncio.ensure_future(store.submit(KART, Submission(f"player-{n}", n))) for n in range(9)]
    await asyncio.sleep(0)
    waiters[4].cancel()
    assert [type(end) for end in await asyncio.gather(*waiters, return_exceptions=True)].count(
        asyncio.CancelledError
    ) == 1
    assert await store.count(KART) == 9


async def test_close_settles(store: EmbeddedStore, tmp_path: Path) -> None:
    """What was submitted before a close is acknowledged and kept."""
    waiters = [asyncio.ensure_future(store.submit(KART, Submission(f"player-{n}", n))) for n in range(100)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiters)
    assert len(disk.read(tmp_path / "data")[KART.name]) == 100


async def test_too_much_waits(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too much waits for the disk, callers are turned away at once."""
    monkeypatch.setattr(store._commits, "_waiting_bytes", 1000)  # noqa: SLF001 - the least that may be set is more
    monkeypatch.setattr(capacity, "UNCHECKED_BYTES", 100)
    waiters = [store.submit(KART, Submission(f"player-{n}", n)) for n in range(100)]
    ends = await asyncio.gather(*waiters, return_exceptions=True)
    refused = sum(isinstance(end, StoreUnavailable) for end in ends)
    assert (0 < refused < 100, await store.count(KART)) == (True, 100 - refused)


async def test_unencodable(store: EmbeddedStore) -> None:
    """A name that is no text fails alone, and not those that are written with it."""
    good, bad = store.submit(KART, Submission("v", 1)), store.submit(KART, Submission("\ud800", 1))
    ends = await asyncio.gather(good, bad, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), UnicodeEncodeError]
    assert await store.count(KART) == 1


async def test_definition_between_submits(store: EmbeddedStore) -> None:
    """A submit that is sent while its board is being defined follows the new definition."""
    adding = Definition(operator="increment")
    submits = (
        store.define(KART.name, adding),
        store.submit(KART, Submission("v", 2**53)),
        store.submit(KART, Submission("v", 1)),
    )
    ends = await asyncio.gather(*submits, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), type(None), ScoreRefused]
    refused = await submit_batch(store, KART, [Submission("w", 1), Submission("v", 1)])
    assert ([each.index for each in refused], await store.standing(KART, "v")) == ([1], Standing(2**53, 0))


async def test_default_definition(store: EmbeddedStore, tmp_path: Path) -> None:
    """The default definition changes if no board contradicts it, and holds for those that exist."""
    await fill(store, KART, {"v": 1, "w": 1})
    await store.close()
    again = await EmbeddedStore.open(tmp_path / "data")
    await again.declare({}, Definition(ranking="dense", ttl="7d"))
    assert await again.standing(KART, "v") == Standing(1, 0)
    with pytest.raises(DefinitionConflict, match=r"'mario-kart' .*declare it as it was"):
        await again.declare({}, Definition(operator="best"))
    await again.close()


async def test_default_definition_of_ended_boards(tmp_path: Path, clock: Clock) -> None:
    """Boards whose time to live is over contradict nothing."""
    store = await EmbeddedStore.open(tmp_path / "data", Definition(ttl="1h"), clock=clock)
    await store.submit(KART, Submission("v", 1))
    await store.close()
    clock.now += 3700
    again = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    await again.declare({}, Definition(order="ascending"))
    await fill(again, KART, {"v": 1, "w": 2})
    assert await again.standing(KART, "v") == Standing(1, 0)
    await again.close()


async def test_declaration_that_a_board_contradicts(store: EmbeddedStore) -> None:
    """Of what is declared together nothing is kept if one board contradicts it, be it the last of many."""
    await fill(store, KART, {"v": 1})
    before = dict(await store.definitions())
    many = {f"board-{number}": LAPS.definition for number in range(2 * DEFINED_AT_ONCE)}
    with pytest.raises(DefinitionConflict, match=r"'mario-kart' .*remove such entries first\.$"):
        await store.declare(many | {"mario-kart": Definition(scores=Bounds(min=2))}, Definition(ranking="dense"))
    assert (dict(await store.definitions()), store._state.default) == (before, Definition())  # noqa: SLF001
    await store.declare(many, Definition(ranking="dense"))
    assert dict(await store.definitions()) == before | many


async def test_declaration_of_an_ended_board(tmp_path: Path, clock: Clock) -> None:
    """A board whose time to live is over contradicts nothing that is declared."""
    store = await EmbeddedStore.open(tmp_path / "data", Definition(ttl="1h"), clock=clock)
    await store.submit(KART, Submission("v", 1))
    clock.now += 3700
    await store.declare({"mario-kart": Definition(order="ascending")}, Definition())
    await fill(store, KART, {"v": 1, "w": 2})
    assert await store.standing(KART, "v") == Standing(1, 0)
    await store.close()


async def test_same_directory(store: EmbeddedStore, tmp_path: Path) -> None:
    """A directory has one owner, and a second process gets an error that names it."""
    await store.submit(KART, Submission("v", 1))
    code = "import asyncio, sys, pathlib; from laurels.stores.embedded.store import EmbeddedStore as E; "
    code += "asyncio.run(E.open(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: ASYNC221
    assert f"in use by process {os.getpid()}." in second.stderr


async def test_same_process(store: EmbeddedStore, tmp_path: Path) -> None:
    """The process that owns a directory cannot open it again."""
    await store.ready()
    with pytest.raises(DirectoryInUse):
        await EmbeddedStore.open(tmp_path / "data")


@pytest.fixture
async def orphaned(tmp_path: Path) -> AsyncIterator[IO[str]]:
    """Hold the lock of a directory whose owner is dead, as a compaction that was just being started does."""
    await (await EmbeddedStore.open(tmp_path / "data")).close()
    owner = subprocess.Popen(["true"])  # noqa: ASYNC220
    owner.wait()
    with (tmp_path / "data/lock").open("r+") as lock:
        lock.write(f"{owner.pid:<10}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


async def test_orphaned_lock(orphaned: IO[str], tmp_path: Path) -> None:
    """A lock that outlives its owner is waited for."""
    opening = asyncio.ensure_future(EmbeddedStore.open(tmp_path / "data"))
    assert not (await asyncio.wait([opening], timeout=0.1))[0]
    fcntl.flock(orphaned, fcntl.LOCK_UN)
    await (await opening).close()


async def test_lock_that_stays(orphaned: IO[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not released belongs to another process."""
    monkeypatch.setattr(directory, "ORPHAN_SECONDS", 0.0)
    with pytest.raises(DirectoryInUse):
        await EmbeddedStore.open(tmp_path / "data")
    assert not orphaned.closed


async def test_new_directory(store: EmbeddedStore, tmp_path: Path) -> None:
    """A directory that was missing is made for its owner alone."""
    await store.ready()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_files_in_the_way(tmp_path: Path) -> None:
    """Any other refusal of the system is reported with the directory's name."""
    (tmp_path / "data/journal.db.new").mkdir(parents=True)
    with pytest.raises(DirectoryUnusable, match=r"data .* Is a directory"):
        await EmbeddedStore.open(tmp_path / "data")


async def test_directory_is_a_file(tmp_path: Path) -> None:
    """A path that is no directory cannot be used."""
    (tmp_path / "data").touch()
    with pytest.raises(DirectoryUnusable, match="Not a directory"):
        await EmbeddedStore.open(tmp_path / "data")


def journal_bytes(data: Path) -> int:
    """Return how large a journal is."""
    return (data / "journal.db").stat().st_size


async def test_journal_is_given_back(tmp_path: Path) -> None:
    """A journal that has grown while it could not be compacted shrinks when it can, and loses nothing."""
    data = tmp_path / "data"
    store = await EmbeddedStore.open(data, compact_bytes=2**40)
    for number in range(30):
        await submit_batch(store, KART, [Submission(f"{name}" * 10, number) for name in range(1000)])
    await store.close()
    grown = journal_bytes(data)
    store = await EmbeddedStore.open(data, compact_bytes=100_000)
    async with asyncio.timeout(30):
        while journal_bytes(data) > grown // 4:
            await store.submit(KART, Submission("v", 1))
    await store.close()
    assert len(disk.read(data)[KART.name]) == 1001


async def test_log_is_given_back(tmp_path: Path) -> None:
    """The log of the journal does not stay as large as the largest commit."""
    data = tmp_path / "data"
    store = await EmbeddedStore.open(data)
    batch = [Submission(f"{name}" * 10, name, b'"%b"' % (b"x" * 1000)) for name in range(1000)]
    await asyncio.gather(*(submit_batch(store, Board(f"{number}"), batch) for number in range(6)))
    log = data / "journal.db-wal"
    grown = log.stat().st_size
    await store.submit(KART, Submission("v", 1))
    assert log.stat().st_size <= journal.LOG_BYTES < grown
    await store.close()


async def make_as_earlier(data: Path) -> int:
    """Make a journal as versions made it that could not give pages back; return how large it is, without content."""
    await (await EmbeddedStore.open(data)).close()
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as other:
        other.execute("PRAGMA auto_vacuum=NONE")
        other.execute("VACUUM")
        other.execute("CREATE TABLE large AS SELECT zeroblob(1000000)")
        other.execute("DROP TABLE large")
    return journal_bytes(data)


async def test_journal_of_an_earlier_version_is_given_back(tmp_path: Path) -> None:
    """So does a journal that an earlier version made, from the first start on."""
    data = tmp_path / "data"
    grown = await make_as_earlier(data)
    await (await EmbeddedStore.open(data, compact_bytes=0)).close()
    assert journal_bytes(data) < grown // 4


async def test_journal_too_large_to_be_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal of an earlier version that holds much stays as it is."""
    monkeypatch.setattr(journal, "REBUILD_BYTES", 0)
    data = tmp_path / "data"
    grown = await make_as_earlier(data)
    store = await EmbeddedStore.open(data, compact_bytes=0)
    await store.submit(KART, Submission("v", 1))
    await store.close()
    assert journal_bytes(data) == grown
