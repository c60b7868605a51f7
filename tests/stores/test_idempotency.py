"""Keys and metadata on the embedded store: across restarts, crashes, compactions, and a disk that fails."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition
from laurels.errors import DataDamaged, ScoreRefused, StoreFull, StoreUnavailable
from laurels.stores.contract import Board, Change, IdempotencyKey, Refusal, Score, Standing, Submission
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.journal import Journal
from laurels.stores.embedded.metadata_rows import select_rows
from laurels.stores.embedded.snapshot import Snapshot
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import KART, ONCE, fill, submit_batch, submit_for_change
from tests.stores.test_faults import no_file_may_grow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.clock import Clock

pytestmark = pytest.mark.anyio

LAST = Board("last")
SUMS = Board("sums", Definition(operator="increment"))
FIRST = Change(None, Standing(5, 0))
SECOND = Change(Standing(5, 0), Standing(10, 0))


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[EmbeddedStore]:
    """Open a store with a board that adds."""
    opened = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    await opened.define(SUMS.name, SUMS.definition)
    yield opened
    await opened.close()


def killed(store: EmbeddedStore, tmp_path: Path) -> Path:
    """Return a copy of what is on the store's disk just now, as if it had been killed."""
    assert store.capabilities.durable
    return shutil.copytree(tmp_path / "data", tmp_path / "killed")


async def count_once(data: Path, clock: Clock) -> tuple[object, Standing | None]:
    """Open a directory, submit with the key again, and return the answer and the standing."""
    store = await EmbeddedStore.open(data, clock=clock)
    answer = await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    found = await store.standing(SUMS, "v")
    await store.close()
    return answer, found


def answers(data: Path) -> int:
    """Return to how many keys there are answers on disk."""
    with closing(sqlite3.connect(f"file:{data / 'journal.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT sum(length(pairs)) FROM once").fetchone()[0] or 0) // 32


async def test_once_after_a_crash(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A key whose answer was not on disk yet is known by its record, which is."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    await_answer = killed(store, tmp_path)
    assert answers(await_answer) == 0
    assert await count_once(await_answer, clock) == (FIRST, Standing(5, 0))


async def test_once_after_a_restart(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A store that is closed leaves no answer unwritten, and the next has it from there."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    await store.close()
    assert answers(tmp_path / "data") == 1
    compact(tmp_path / "data", disk.last(tmp_path / "data"))
    assert await count_once(tmp_path / "data", clock) == (FIRST, Standing(5, 0))


async def test_once_on_disk(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """An answer goes to the disk with the next batch, and is found there."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    await store.submit(SUMS, Submission("v", 1))
    assert answers(tmp_path / "data") == 1
    assert await submit_for_change(store, SUMS, Submission("v", 5), ONCE) == FIRST
    assert await count_once(killed(store, tmp_path), clock) == (FIRST, Standing(6, 0))


async def test_compaction_waits_for_answers(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A write is not compacted before its answer is on disk; earlier ones are."""
    await store.submit(KART, Submission("v", 1))
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    compact(tmp_path / "data", disk.last(tmp_path / "data"))
    compact(tmp_path / "data", disk.last(tmp_path / "data"))
    with closing(sqlite3.connect(tmp_path / "data/boards.db")) as db:
        assert db.execute("SELECT folded FROM seal").fetchone() == (disk.last(tmp_path / "data") - 1,)
    assert await count_once(killed(store, tmp_path), clock) == (FIRST, Standing(5, 0))


async def test_compaction_beyond_a_refused_write(store: EmbeddedStore, tmp_path: Path) -> None:
    """That a write with a key was refused is an answer too: no compaction waits for it."""
    await store.submit(SUMS, Submission("v", 2**53))
    with pytest.raises(ScoreRefused):
        await submit_for_change(store, SUMS, Submission("v", 1), ONCE)
    await store.submit(KART, Submission("v", 1))
    await store.submit(KART, Submission("v", 2))
    compact(tmp_path / "data", disk.last(tmp_path / "data"))
    with closing(sqlite3.connect(tmp_path / "data/boards.db")) as db:
        assert db.execute("SELECT folded FROM seal").fetchone() == (disk.last(tmp_path / "data"),)


async def test_failed_writes_use_no_key(store: EmbeddedStore) -> None:
    """A write that failed has not used its key, and its metadata is not kept."""
    with no_file_may_grow():
        ends = await asyncio.gather(
            *(submit_for_change(store, SUMS, Submission("v", 5, b"{}"), ONCE) for _ in range(3)), return_exceptions=True
        )
    assert [type(end) for end in ends] == [StoreUnavailable] * 3
    assert await submit_for_change(store, SUMS, Submission("v", 5, b"[]"), ONCE) == FIRST
    assert [entry.metadata for entry in await store.page(SUMS, 0, 9, with_metadata=True)] == [b"[]"]


async def test_answers_that_could_not_be_written(store: EmbeddedStore, tmp_path: Path) -> None:
    """Answers whose batch failed go to the disk with the next one."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    with no_file_may_grow(), pytest.raises(StoreUnavailable):
        await store.submit(KART, Submission("v", 1))
    assert await submit_for_change(store, SUMS, Submission("v", 5), ONCE) == FIRST
    await store.submit(KART, Submission("v", 1))
    assert answers(tmp_path / "data") == 1


async def test_answers_are_forgotten(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """Answers older than a day leave the disk and the memory as others come."""
    for number in range(5):
        await submit_for_change(store, SUMS, Submission("v", 5), IdempotencyKey(bytes([number] * 16), b"a" * 16))
    clock.now += 86_461
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    for _ in range(2):
        await store.submit(KART, Submission("v", 1))
    assert (answers(tmp_path / "data"), len(store._answers._keys)) == (1, 1)  # noqa: SLF001 - that is memory


async def test_forgotten_in_a_journal_that_is_not_compacted(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A key that is forgotten stays so, although a restart finds its record, and no compaction waits for its answer."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    clock.now += 86_461
    for _ in range(3):
        await store.submit(KART, Submission("v", 1))
    assert (answers(tmp_path / "data"), len(store._answers._keys)) == (0, 0)  # noqa: SLF001 - that is memory
    assert await count_once(killed(store, tmp_path), clock) == (SECOND, Standing(10, 0))
    compact(tmp_path / "data", disk.last(tmp_path / "data"))
    with closing(sqlite3.connect(tmp_path / "data/boards.db")) as db:
        assert db.execute("SELECT folded FROM seal").fetchone() == (disk.last(tmp_path / "data"),)


async def test_many_answers_are_forgotten(
    store: EmbeddedStore, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more are deleted at once than between two commits, and none that is younger than a day."""
    monkeypatch.setattr("laurels.stores.embedded.journal.FORGET_ROWS", 2)
    for number in range(6):
        await submit_for_change(store, SUMS, Submission("v", 5), IdempotencyKey(bytes([number] * 16), b"a" * 16))
        clock.now += 20_000 if number == 4 else 0
    clock.now += 66_461
    left = []
    for _ in range(4):
        await store.submit(KART, Submission("v", 1))
        left.append(answers(tmp_path / "data"))
    assert (sorted(left, reverse=True), left[-1]) == (left, 1)


JUMPS = {"forward": 30 * 86_400, "back": -30 * 86_400}


@pytest.mark.parametrize("seconds", JUMPS.values(), ids=JUMPS)
async def test_jump_of_the_clock_forgets_no_key(store: EmbeddedStore, clock: Clock, seconds: int) -> None:
    """A key is known while the wall clock shows another time, and when it shows the right one again."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    clock.turn(seconds)
    for number in range(3):
        await submit_for_change(store, KART, Submission("v", 1), IdempotencyKey(bytes([number] * 16), b"a" * 16))
    found = [await submit_for_change(store, SUMS, Submission("v", 5), ONCE)]
    clock.turn(-seconds)
    found.append(await submit_for_change(store, SUMS, Submission("v", 5), ONCE))
    assert (found, await store.standing(SUMS, "v")) == ([FIRST, FIRST], Standing(5, 0))


async def test_a_day_around_a_jump(store: EmbeddedStore, clock: Clock) -> None:
    """A key is forgotten after a day in which time passed, whatever the wall clock showed meanwhile."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    clock.now += 50_000
    await store.submit(KART, Submission("v", 1))
    clock.turn(-400_000)
    await store.submit(KART, Submission("v", 1))
    clock.now += 30_000
    assert await store.recall(KART, ONCE) is not None
    clock.now += 10_000
    assert await store.recall(KART, ONCE) is None


async def test_days_without_a_server(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """Time in which no server runs, as far as the clock can tell, makes no key older."""
    clock.now += 90_000
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    clock.now += 40_000
    await submit_for_change(store, KART, Submission("v", 5), IdempotencyKey(b"2" * 16, b"a" * 16))
    await store.close()
    later = type(clock)(clock.now + 30 * 86_400, boot="another")
    again = await EmbeddedStore.open(tmp_path / "data", clock=later)
    later.now += 42_000  # and an hour that both clocks of a test have behind them
    known = await again.recall(KART, ONCE)
    later.now += 1_500
    assert (known is not None, await again.recall(KART, ONCE)) == (True, None)
    await again.close()


@pytest.fixture
async def small(tmp_path: Path, clock: Clock) -> AsyncIterator[EmbeddedStore]:
    """Open a store that may hold two keys."""
    opened = await EmbeddedStore.open(tmp_path / "data", clock=clock, limits=StoreLimits(keys=2))
    yield opened
    await opened.close()


def numbered(number: int) -> IdempotencyKey:
    """Return one of many keys."""
    return IdempotencyKey(bytes([number] * 16), b"a" * 16)


async def test_as_many_keys_as_there_may_be(small: EmbeddedStore) -> None:
    """A new key is refused, known ones get their answers, and submits without a key go on."""
    ends = await asyncio.gather(
        *(submit_for_change(small, KART, Submission("v", n), numbered(n)) for n in range(3)), return_exceptions=True
    )
    assert [type(end) for end in ends] == [Change, Change, StoreFull]
    with pytest.raises(StoreFull, match=r"as many idempotency keys .*: 2\. .* raise --max-keys, or submit without one"):
        await small.submit(KART, [Submission("v", 9)], numbered(9))
    assert await submit_for_change(small, KART, Submission("v", 0), numbered(0)) == Change(None, Standing(0, 0))
    await small.submit(KART, Submission("v", 7))
    assert await small.standing(KART, "v") == Standing(7, 0)
    assert (small.measure()["keys"], small.measure()["keys_limit"]) == (2, 2)


async def test_room_for_keys(small: EmbeddedStore, clock: Clock) -> None:
    """There is room again when keys have expired, although nothing else is submitted."""
    for number in range(2):
        await small.submit(KART, Submission("v", number), numbered(number))
    await small.submit(KART, Submission("v", 3))
    clock.now += 86_461
    async with asyncio.timeout(20):
        while True:
            try:
                await small.submit(KART, Submission("v", 5), numbered(5))
                break
            except StoreFull:
                await asyncio.sleep(0.01)  # a commit forgets them, of which no event tells
    assert await small.standing(KART, "v") == Standing(5, 0)


async def test_expired_key_after_a_restart(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """A key that has expired counts anew, although its write is still in the journal when the store is opened."""
    await store.submit(SUMS, Submission("v", 5), ONCE)
    await store.submit(SUMS, Submission("v", 1))
    clock.now += 86_461
    await store.submit(SUMS, Submission("v", 1))
    assert await count_once(killed(store, tmp_path), clock) == (
        Change(Standing(7, 0), Standing(12, 0)),
        Standing(12, 0),
    )


@pytest.mark.parametrize("score", [10**20, -(10**300), 2**64], ids=["ten to 20", "to 300", "two to 64"])
async def test_first_answer_with_a_great_score(store: EmbeddedStore, tmp_path: Path, clock: Clock, score: int) -> None:
    """A whole score beyond 64 bits is in the first answer as it is."""
    first = await submit_for_change(store, KART, Submission("v", float(score)), ONCE)
    await store.submit(KART, Submission("w", 1))
    again = await EmbeddedStore.open(killed(store, tmp_path), clock=clock)
    assert [await submit_for_change(each, KART, Submission("v", float(score)), ONCE) for each in (store, again)] == [
        first,
        first,
    ]
    assert first == Change(None, Standing(int(float(score)), 0))
    await again.close()


async def test_keys_that_begin_alike(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that the table does not tell apart have each their own answer, in memory, on disk and after a restart."""
    monkeypatch.setattr("laurels.stores.embedded.recovery.KEY_BITS", 0)
    store = await EmbeddedStore.open(tmp_path / "data", clock=clock)

    async def submit_all() -> list[Change | None]:
        submits = (submit_for_change(store, KART, Submission(f"{n}", n), numbered(n)) for n in range(20))
        return list(await asyncio.gather(*submits))

    first = await submit_all()
    assert await store.recall(KART, numbered(99)) is None
    seen = [await submit_all()]
    await store.submit(LAST, Submission("v", 1))
    assert await store.recall(KART, numbered(99)) is None
    seen.append(await submit_all())
    await store.close()
    store = await EmbeddedStore.open(tmp_path / "data", clock=clock)
    seen.append(await submit_all())
    assert (seen, await store.count(KART)) == ([first] * 3, 20)
    await store.close()


async def test_many_answers_of_one_batch(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """The answers of a large batch are several rows, and refusals among them."""
    await store.submit(SUMS, Submission("v", 2**53))
    sent = [
        submit_for_change(store, SUMS, Submission("v" if n % 9 == 0 else f"{n}", 1), numbered(n)) for n in range(200)
    ]
    ends = await asyncio.gather(*sent, return_exceptions=True)
    assert [isinstance(end, ScoreRefused) for end in ends] == [n % 9 == 0 for n in range(200)]
    await store.submit(KART, Submission("v", 1))
    assert answers(tmp_path / "data") == 200 - 23
    again = await EmbeddedStore.open(killed(store, tmp_path), clock=clock)
    found = [await again.recall(KART, numbered(n)) for n in range(200)]
    assert [each and each.changes[0] for each in found] == [None if n % 9 == 0 else ends[n] for n in range(200)]
    await again.close()


async def test_caller_that_gives_up(store: EmbeddedStore) -> None:
    """A submit whose caller is gone counts all the same, and once; another caller with its key gets its answer."""
    first = asyncio.ensure_future(submit_for_change(store, SUMS, Submission("v", 5), ONCE))
    second = asyncio.ensure_future(submit_for_change(store, SUMS, Submission("v", 5), ONCE))
    deadline = time.monotonic() + 20
    while store._commits._open is None and time.monotonic() < deadline:  # noqa: ASYNC110, SLF001 - it is in a batch then
        await asyncio.sleep(0)
    first.cancel()
    assert (await second, await store.standing(SUMS, "v")) == (FIRST, Standing(5, 0))


async def test_caller_that_gives_up_early(store: EmbeddedStore) -> None:
    """A caller that is cancelled while its key is looked up lets the next one submit."""
    first = asyncio.ensure_future(submit_for_change(store, SUMS, Submission("v", 5), ONCE))
    await asyncio.sleep(0)
    first.cancel()
    assert await submit_for_change(store, SUMS, Submission("v", 5), ONCE) == FIRST


async def test_key_that_is_used_again(store: EmbeddedStore, clock: Clock) -> None:
    """A key that was forgotten and is used again before its old answer is on disk has its new one."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    clock.now += 86_401
    assert [await submit_for_change(store, SUMS, Submission("v", 5), ONCE) for _ in range(2)] == [SECOND, SECOND]
    await store.submit(KART, Submission("v", 1))
    assert await submit_for_change(store, SUMS, Submission("v", 5), ONCE) == SECOND


async def test_key_of_a_closed_store(store: EmbeddedStore) -> None:
    """A store that is closed looks up no keys."""
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await submit_for_change(store, SUMS, Submission("v", 5), ONCE)


async def test_compaction_that_finds_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction in which every batch must wait for answers is tried again later."""
    monkeypatch.setattr("laurels.stores.embedded.compaction.RETRY_SECONDS", 0.1)
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=0)
    await submit_for_change(store, KART, Submission("v", 5), ONCE)
    deadline = time.monotonic() + 60
    while disk.compacted_upto(tmp_path / "data") is None and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    assert disk.compacted_upto(tmp_path / "data") == 0
    while not disk.compacted_upto(tmp_path / "data") and time.monotonic() < deadline:
        await store.submit(KART, Submission("v", 1))
    await store.close()
    assert disk.compacted_upto(tmp_path / "data")


async def test_key_with_what_cannot_be_kept(store: EmbeddedStore) -> None:
    """A submit that cannot even be encoded releases its key."""
    with pytest.raises(UnicodeEncodeError):
        await submit_for_change(store, SUMS, Submission("\ud800", 5), ONCE)
    assert await submit_for_change(store, SUMS, Submission("v", 5), ONCE) == FIRST


async def test_batches_that_are_refused_in_part(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """The refusals of a batch are returned again after a crash, the earlier ones included."""
    batch: list[Submission | Refusal] = [
        Submission("v", 2**53),
        Refusal(1, "x", "is no score"),
        Submission("v", 1),
        Submission("w", 1),
    ]
    first = await submit_batch(store, SUMS, batch, ONCE)
    again = await EmbeddedStore.open(killed(store, tmp_path), clock=clock)
    assert (await submit_batch(again, SUMS, batch, ONCE), [each.index for each in first]) == (first, [1, 2])
    await again.close()


async def notes(data: Path, clock: Clock) -> list[bytes | None]:
    """Open a directory, and return the metadata on a board."""
    store = await EmbeddedStore.open(data, clock=clock)
    page = await store.page(KART, 0, 99, with_metadata=True)
    await store.close()
    return [entry.metadata for entry in page]


async def test_metadata_through_compactions(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """Metadata goes into the snapshot with the entry it belongs to, and from there into the next one."""
    data = tmp_path / "data"
    await submit_batch(store, KART, [Submission("a", 3, b"1"), Submission("b", 2, b"2"), Submission("c", 1, b"3")])
    compact(data, disk.last(data))
    await store.submit(SUMS, Submission("v", 1))
    compact(data, disk.last(data))
    await submit_batch(store, KART, [Submission("b", 2, b"4"), Submission("c", 0)])
    compact(data, disk.last(data))
    await store.close()
    with closing(Journal(data / "journal.db")) as journal:
        while journal.first < disk.last(data) - 1:
            journal.drop(disk.last(data) - 1)
    with closing(sqlite3.connect(data / "boards.db")) as db:
        assert db.execute("SELECT name, body FROM note").fetchall() == [("a", b"1"), ("b", b"4")]
    assert await notes(data, clock) == [b"1", b"4", None]


async def test_metadata_of_the_newest_snapshot(store: EmbeddedStore, tmp_path: Path) -> None:
    """Metadata is looked up in the present snapshot, even if an older one is open."""
    for name in "ab":
        await submit_for_change(store, KART, Submission(name, 1, name.encode()))
        await store.submit(SUMS, Submission("v", 1))
        compact(tmp_path / "data", disk.last(tmp_path / "data"))
        sql("DELETE FROM note")(tmp_path / "data/journal.db")
        found = await store.page(KART, 0, 9, with_metadata=True)
    assert [entry.metadata for entry in found] == [b"b", b"a"]


async def test_writes_in_one_batch(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """Whatever comes before it in its batch, a submission gets its own metadata and answer."""
    await fill(store, KART, {"v": 1, "w": 1})
    await asyncio.gather(
        store.remove(KART, "v"),
        store.drop(Board("ghost")),
        store.define("one", Definition()),
        store.undefine("one"),
        store.submit(KART, Submission("x", 1)),
        fill(store, KART, {"y": 1, "z": 1}),
        submit_batch(store, SUMS, [Submission("v", 1), Submission("v", 1, b"1")]),
        submit_for_change(store, KART, Submission("w", 1, b"{}")),
    )
    before = await store.page(KART, 0, 9, with_metadata=True), await store.page(SUMS, 0, 9, with_metadata=True)
    again = await EmbeddedStore.open(killed(store, tmp_path), clock=clock)
    assert (
        await again.page(KART, 0, 9, with_metadata=True),
        await again.page(SUMS, 0, 9, with_metadata=True),
    ) == before
    assert {entry.name: entry.metadata for entry in before[0] + before[1]} == {
        "w": b"{}",
        "x": None,
        "y": None,
        "z": None,
        "v": b"1",
    }
    await again.close()


async def test_metadata_while_compactions_go_on(tmp_path: Path) -> None:
    """A read while entries are replaced and compacted returns the metadata of the very entries that it returns."""
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=5_000)
    stop = False

    async def write(worker: int) -> None:
        score = 0
        while not stop:
            score += 1
            await submit_for_change(store, KART, Submission(f"{worker}", score, b"%d" % score))

    writers = [asyncio.ensure_future(write(worker)) for worker in range(8)]
    snapshots = set[int]()
    deadline = time.monotonic() + 60
    while len(snapshots) < 4 and time.monotonic() < deadline:
        await asyncio.sleep(0.001)  # reads from memory never wait, and would starve the journal
        for entry in await store.page(KART, 0, 9, with_metadata=True):
            assert entry.metadata == b"%d" % entry.score
        if (tmp_path / "data/boards.db").exists():
            snapshots.add((tmp_path / "data/boards.db").stat().st_mtime_ns)
    stop = True
    await asyncio.gather(*writers)
    await store.close()
    assert len(snapshots) == 4


def sql(change: str) -> Callable[[Path], None]:
    """Change a file by hand."""

    def do(file: Path) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(change)

    return do


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DELETE FROM note", r"journal\.db is damaged: metadata \d+ is missing"),
        ("UPDATE note SET body = x'00'", r"metadata \d+ is not what was written"),
        ("UPDATE note SET sequence = sequence + 2", r"metadata \d+ is not what was written"),
    ],
    ids=["missing", "other", "elsewhere"],
)
async def test_damaged_notes(store: EmbeddedStore, tmp_path: Path, clock: Clock, change: str, problem: str) -> None:
    """A journal whose metadata is not what was written does not open."""
    await submit_for_change(store, KART, Submission("v", 5, b"{}"))
    data = killed(store, tmp_path)
    sql(change)(data / "journal.db")
    with pytest.raises(DataDamaged, match=problem):
        await notes(data, clock)


DAMAGE = {
    "missing": "DELETE FROM note WHERE body = x'31'",
    "other": "UPDATE note SET body = x'00' WHERE body = x'31'",
    "no bytes": "UPDATE note SET body = 5 WHERE body = x'31'",
    "elsewhere": "UPDATE note SET sequence = sequence + 1000 WHERE body = x'31'",
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", ["journal.db", "boards.db"])
async def test_damaged_metadata_holds_nothing_up(store: EmbeddedStore, tmp_path: Path, name: str, change: str) -> None:
    """A read says which entry's metadata is damaged; compactions go on without it and count it; a retry mends it."""
    data = tmp_path / "data"
    await submit_batch(store, KART, [Submission("a", 3, b"1"), Submission("b", 2, b"2"), Submission("c", 1)])
    if name == "boards.db":
        compact(data, disk.last(data))
        sql("DELETE FROM note")(data / "journal.db")
    sql(change)(data / name)
    expected = [("a", 3, None, True), ("b", 2, b"2", False), ("c", 1, None, False)]
    assert await damaged_page(store) == expected
    as_json = await store.page_json(KART, 0, 2, with_metadata=True)
    assert as_json == (
        b'[{"name":"a","score":3,"metadata":null,"metadataDamaged":true},{"name":"b","score":2,"metadata":2}]'
    )
    for number in range(2):
        await store.submit(KART, Submission("z", -number))
        compact(data, disk.last(data))
        with closing(Snapshot(data / "boards.db")) as snapshot:
            assert snapshot.footer.lost == 1
    sql("DELETE FROM note")(data / "journal.db")
    assert (await damaged_page(store))[:3] == expected
    await store.submit(KART, Submission("a", 3, b"1"))
    assert [entry.metadata for entry in await store.page(KART, 0, 2, with_metadata=True)] == [b"1", b"2"]


async def test_lost_metadata_that_nobody_has_any_more(store: EmbeddedStore, tmp_path: Path) -> None:
    """Metadata that is missing, but of an entry that was replaced since, is no loss."""
    data = tmp_path / "data"
    await store.submit(KART, Submission("a", 3, b"1"))
    await store.submit(KART, Submission("a", 4, b"2"))
    sql("DELETE FROM note WHERE body = x'31'")(data / "journal.db")
    compact(data, disk.last(data))
    with closing(Snapshot(data / "boards.db")) as snapshot:
        assert (snapshot.footer.lost, snapshot.footer.metadata) == (0, 1)


async def test_where_metadata_is_is_checked(store: EmbeddedStore, tmp_path: Path) -> None:
    """A directory in which it is damaged under which sequence metadata is does not open."""
    data = tmp_path / "data"
    await store.submit(KART, Submission("a", 3))
    await store.set_metadata(KART, "a", b"1")
    await store.close()
    compact(data, disk.last(data))
    sql("UPDATE moved SET sequence = sequence + 2")(data / "boards.db")
    with pytest.raises(DataDamaged, match="where the metadata of 'a' is, is not what was written"):
        await EmbeddedStore.open(data)


async def test_batches_over_metadata_that_came_later(store: EmbeddedStore, tmp_path: Path) -> None:
    """A batch of plain scores takes metadata away that was set alone, where it counts and only there."""
    await fill(store, KART, {"a": 3, "b": 2})
    for name in "ab":
        await store.set_metadata(KART, name, b"1")
    await fill(store, KART, {"a": 3, "b": 1, "c": 0})
    for _ in range(2):
        page = await store.page(KART, 0, 9, with_metadata=True)
        assert {entry.name: entry.metadata for entry in page} == {"a": b"1", "b": None, "c": None}
        compact(tmp_path / "data", disk.last(tmp_path / "data"))
        sql("DELETE FROM note")(tmp_path / "data/journal.db")


async def damaged_page(store: EmbeddedStore) -> list[tuple[str, Score, bytes | None, bool]]:
    """Return a page with metadata, and whether that of each entry is damaged."""
    page = await store.page(KART, 0, 9, with_metadata=True)
    return [(entry.name, entry.score, entry.metadata, entry.is_metadata_damaged) for entry in page]


@pytest.mark.parametrize("number", [b"050", b"099"], ids=["amid", "at the end"])
@pytest.mark.parametrize("name", ["journal.db", "boards.db"])
async def test_metadata_on_a_damaged_page(store: EmbeddedStore, tmp_path: Path, name: str, number: bytes) -> None:
    """What SQLite itself cannot read is left out by reads and compactions; all that is before and behind it stays."""
    data, killed_data = tmp_path / "data", tmp_path / "killed"
    batch = [Submission(f"{number:03}", -number, b"%03d" % number * 250) for number in range(100)]
    await submit_batch(store, KART, batch)
    compact(data, disk.last(data))
    await store.submit(KART, Submission("z", -1000))
    await store.close()
    if name == "boards.db":
        sql("DELETE FROM note")(data / "journal.db")
    content = bytearray((data / name).read_bytes())
    size = int.from_bytes(content[16:18], "big")
    hit = content.index(number * 250) // size * size
    content[hit : hit + 8] = b"\xff" * 8  # the head of a page of the table
    (data / name).write_bytes(content)
    if name == "journal.db":
        (data / "boards.db").unlink()
        shutil.copytree(data, killed_data)
    else:
        killed_data = data
    with closing(sqlite3.connect(killed_data / name)) as db:
        ((first,),) = db.execute("SELECT sequence FROM note ORDER BY sequence LIMIT 1")
        sequences = [first + 2 * place for place in range(100)]
        read = len(select_rows(db, "sequence", sequences))
    compact(killed_data, disk.last(killed_data))
    with closing(Snapshot(killed_data / "boards.db")) as snapshot:
        kept = {stored.name for stored in snapshot.metadata() if stored}
        assert 1 <= snapshot.footer.lost <= 16
    assert len(kept) == 100 - snapshot.footer.lost
    assert read == len(kept)
    assert {"000", "098" if number == b"050" else "001"} <= kept
    assert number.decode() not in kept


async def test_damaged_answer(store: EmbeddedStore, tmp_path: Path, clock: Clock) -> None:
    """An answer that is not what was written is not given, and what is asked with its key not done."""
    await submit_for_change(store, SUMS, Submission("v", 5), ONCE)
    await store.close()
    sql("UPDATE once SET bodies = x'90'")(tmp_path / "data/journal.db")
    with pytest.raises(DataDamaged, match=r"answer \d+ is not what was written"):
        await count_once(tmp_path / "data", clock)


async def test_unreadable_files(store: EmbeddedStore, tmp_path: Path) -> None:
    """If the files cannot be read, what needs them is refused, and the rest goes on."""
    await submit_for_change(store, KART, Submission("v", 5, b"{}"), ONCE)
    await store.submit(KART, Submission("w", 1))
    (tmp_path / "data/journal.db").rename(tmp_path / "data/away.db")
    with pytest.raises(StoreUnavailable, match=r"journal\.db cannot be read"):
        await store.page(KART, 0, 9, with_metadata=True)
    with pytest.raises(StoreUnavailable, match=r"journal\.db cannot be read"):
        await store.recall(KART, ONCE)
    (tmp_path / "data/away.db").rename(tmp_path / "data/journal.db")
    assert len(await store.page(KART, 0, 9)) == 2


async def test_too_much_metadata(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata that waits for the disk counts in what may wait."""
    monkeypatch.setattr(store._commits, "_waiting_bytes", 1000)  # noqa: SLF001 - the least that may be set is more
    submits = (submit_for_change(store, KART, Submission(f"{number}", 1, b"x" * 1024)) for number in range(3))
    ends = await asyncio.gather(*submits, return_exceptions=True)
    assert [type(end) for end in ends] == [Change, StoreUnavailable, StoreUnavailable]


async def test_ended_boards_leave_memory(store: EmbeddedStore, clock: Clock) -> None:
    """A board whose time is over leaves memory with whatever is done next."""
    for number in range(50):
        await store.define(f"board-{number}", Definition(ttl="1h"))
        await fill(store, Board(f"board-{number}", Definition(ttl="1h")), {"v": 1, "w": 2})
    clock.now += 1800
    await store.submit(Board("board-7", Definition(ttl="1h")), Submission("v", 2))
    clock.now += 1801
    await store.submit(KART, Submission("v", 1))
    assert sorted(store._state) == ["board-7", KART.name]  # noqa: SLF001 - that is memory


async def test_dropped_boards_leave_memory(store: EmbeddedStore) -> None:
    """A board that is dropped before its time leaves no more of it than a few ends to wait for."""
    ending = Definition(ttl="1h")
    for number in range(300):
        await store.define(f"board-{number}", ending)
        await store.submit(Board(f"board-{number}", ending), Submission("v", 1))
        await store.drop(Board(f"board-{number}", ending))
    assert len(store._state._ends) < 100  # noqa: SLF001 - that is memory
