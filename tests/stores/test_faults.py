"""What the embedded store does while its disk does not do what it should."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.errors import DirectoryUnusable, StoreUnavailable
from laurels.stores.contract import Standing, Submission
from laurels.stores.embedded import commits, compaction, journal
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.journal_rows import Origin, metadata_crc
from laurels.stores.embedded.sqlite_file import FORMAT
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import KART, fill, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount file systems to fill"),
]


def run(*command: str | Path) -> bool:
    """Run a command of the system, and return whether it succeeded."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of three megabytes."""
    (tmp_path / "volume").mkdir()
    assert run("mount", "-t", "tmpfs", "-o", "size=3m", "laurels", tmp_path / "volume")
    yield tmp_path / "volume"
    run("umount", "-l", tmp_path / "volume")


@pytest.fixture
async def store(volume: Path) -> AsyncIterator[EmbeddedStore]:
    """Open a store on the small file system."""
    opened = await EmbeddedStore.open(volume / "data")
    yield opened
    await opened.close()


def stuff(volume: Path, spare: int = 65536) -> Path:
    """Leave no more than ``spare`` bytes free."""
    (volume / "reserve").write_bytes(bytes(spare))
    filler = volume / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    (volume / "reserve").unlink()
    return filler


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "RETRY_SECONDS", 0.1)


def children() -> set[str]:
    """Return the processes that this one has started and not yet waited for."""
    return set().union(*(task.read_text().split() for task in Path("/proc/self/task").glob("*/children")))


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Make every write past the first page of a file an input/output error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def submit_until_refused(store: EmbeddedStore) -> int:
    """Submit players 0, 1, 2 and on; return the number of the one that was refused."""
    number = 0
    with suppress(StoreUnavailable):
        while True:
            await store.submit(KART, Submission(f"player-{number}", number))
            number += 1
    assert number > 0
    return number


async def recovered(store: EmbeddedStore) -> None:
    """Wait until the store says that it is ready again."""
    deadline = time.monotonic() + 20
    ready = False
    while not ready and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
        with suppress(StoreUnavailable):
            await store.ready()
            ready = True
    assert ready


async def test_full_disk(store: EmbeddedStore, volume: Path) -> None:
    """On a full disk a submit is refused, counts nowhere, and reads go on."""
    stuff(volume)
    refused = await submit_until_refused(store)
    with pytest.raises(StoreUnavailable, match="full"):
        await store.ready()
    assert (store.measure()["commit_failing"], store.measure()["commit_failures"]) == (True, 1)
    assert await store.standing(KART, f"player-{refused}") is None
    assert await store.count(KART) == refused


async def test_space_again(store: EmbeddedStore, volume: Path) -> None:
    """As soon as there is space again the store recovers, without traffic and without being opened anew."""
    filler = stuff(volume)
    accepted = await submit_until_refused(store)
    filler.unlink()
    await recovered(store)
    await store.submit(KART, Submission("v", -1))
    assert await store.standing(KART, "v") == Standing(-1, accepted)
    assert len(disk.read(volume / "data")[KART.name]) == accepted + 1


async def test_refused_is_not_kept(store: EmbeddedStore, volume: Path) -> None:
    """A submit that was refused is not there after a restart either."""
    filler = stuff(volume)
    refused = await submit_until_refused(store)
    filler.unlink()
    await store.close()
    again = await EmbeddedStore.open(volume / "data")
    assert (await again.standing(KART, f"player-{refused}"), await again.count(KART)) == (None, refused)
    await again.close()


async def test_whole_batch_is_refused(store: EmbeddedStore) -> None:
    """All that would have been written together is refused together, each caller with an error of its own."""
    with no_file_may_grow():
        ends = await asyncio.gather(
            *(store.submit(KART, Submission(f"v-{n}", n)) for n in range(64)), return_exceptions=True
        )
    assert {type(end) for end in ends} == {StoreUnavailable}
    assert (len(set(map(id, ends))), await store.count(KART)) == (64, 0)


async def test_refused_takes_no_room(tmp_path: Path) -> None:
    """What could not be written leaves its room in a store with limits to others."""
    store = await EmbeddedStore.open(tmp_path, limits=StoreLimits(entries=2))
    with no_file_may_grow():
        writes = [store.submit(KART, Submission(name, 1)) for name in ("v", "judy")]
        assert {type(each) for each in await asyncio.gather(*writes, return_exceptions=True)} == {StoreUnavailable}
    await fill(store, KART, {"alt": 1, "rogue": 2})
    await store.close()


async def test_failing_writes(store: EmbeddedStore) -> None:
    """A write error fails the submit it hits, and the next one that can be written succeeds at once."""
    await store.submit(KART, Submission("v", 1))
    with no_file_may_grow(), pytest.raises(StoreUnavailable, match="I/O error"):
        await store.submit(KART, Submission("v", 2))
    await store.submit(KART, Submission("w", 3))
    await store.ready()
    assert shown(await store.page(KART, 0, 9)) == [("w", 3, 0), ("v", 1, 1)]


async def test_close_while_failing(store: EmbeddedStore, volume: Path) -> None:
    """A store that cannot write closes, and keeps what it acknowledged."""
    filler = stuff(volume)
    accepted = await submit_until_refused(store)
    await store.close()
    filler.unlink()
    assert len(disk.read(volume / "data").get(KART.name, {})) == accepted


async def test_opening_without_space(volume: Path) -> None:
    """A new directory on a full disk cannot be used, and the error says so."""
    stuff(volume, spare=0)
    with pytest.raises(DirectoryUnusable, match=r"full|No space"):
        await EmbeddedStore.open(volume / "data")


async def test_read_only(store: EmbeddedStore, volume: Path) -> None:
    """A directory on a file system mounted for reading cannot be used."""
    await store.close()
    assert run("mount", "-o", "remount,ro", volume)
    with pytest.raises(DirectoryUnusable, match="Read-only"):
        await EmbeddedStore.open(volume / "data")


async def until(store: EmbeddedStore, done: Callable[[], bool]) -> None:
    """Submit until something has happened."""
    deadline = time.monotonic() + 30
    while not done() and time.monotonic() < deadline:
        await store.submit(KART, Submission("v", 0))
    assert done()


async def test_compaction_without_space(volume: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A compaction for which there is no space waits until there is, and submits go on."""
    store = await EmbeddedStore.open(volume / "data", compact_bytes=300_000)
    await fill(store, KART, {f"player-{n}" * 10: n for n in range(4000)})
    await until(store, lambda: "bytes of space" in caplog.text)
    assert run("mount", "-o", "remount,size=32m", volume)
    await until(store, (volume / "data/boards.db").exists)
    await store.close()
    assert len(disk.read(volume / "data")[KART.name]) == 4001


async def test_compaction_of_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A compaction that meets damage says so and leaves everything as it was; submits go on."""
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=30_000)
    await fill(store, KART, {f"player-{n}": n for n in range(4000)})
    await until(store, (tmp_path / "data/boards.db").exists)
    damage = disk.flip(tmp_path / "data/boards.db", 70_000)
    await fill(store, KART, {f"player-{n}": n for n in range(4000)})
    await until(store, lambda: "boards.db is damaged" in caplog.text)
    figures = store.measure()
    assert (figures["compaction_failing"], figures["compactions"]) == (True, 1)
    assert figures["compaction_failures"]
    assert "could not be compacted" in store.warnings()[-1]
    assert (tmp_path / "data/boards.db").read_bytes() == damage
    await store.close()


async def test_compaction_that_cannot_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compaction whose process cannot be started is tried again later."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=0)
    await until(store, lambda: "/nowhere/python" in caplog.text)
    monkeypatch.undo()
    monkeypatch.setattr(compaction, "RETRY_SECONDS", 0.1)
    await until(store, (tmp_path / "data/boards.db").exists)
    await store.close()


async def test_compaction_that_leaves_what_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submits go on whatever a compaction left behind."""
    monkeypatch.setattr(sys, "executable", "/bin/true")
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=0)
    await store.submit(KART, Submission("v", 1))
    compact(tmp_path / "data", 1)
    with closing(sqlite3.connect(tmp_path / "data/boards.db")) as other, other:
        other.execute("UPDATE seal SET format = format + 1")
    async with asyncio.timeout(30):
        await until(store, lambda: f"boards.db has format {FORMAT + 1}" in caplog.text)
        await store.submit(KART, Submission("w", 1))
        await store.close()


async def test_damaged_metadata_in_a_running_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A compaction leaves damaged metadata out, says how much in log and figures, and the next start knows it."""
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=0)
    await store.submit(KART, Submission("w", 1, b"1"))
    await until(store, (tmp_path / "data/boards.db").exists)
    with closing(sqlite3.connect(tmp_path / "data/boards.db")) as db, db:
        db.execute("UPDATE note SET body = x'00'")
    await until(store, lambda: store.measure()["metadata_lost"] == 1)
    assert "Metadata of 1 entries is damaged or missing" in caplog.text
    assert not store.measure()["compaction_failing"]
    await store.close()
    store = await EmbeddedStore.open(tmp_path / "data")
    assert store.measure()["metadata_lost"] == 1
    (entry,) = await store.entries_named(KART, ["w"], with_metadata=True)
    assert (entry.score, entry.metadata, entry.is_metadata_damaged) == (1, None, True)
    await store.close()


async def test_rows_that_went_unnoticed(tmp_path: Path) -> None:
    """Compacted rows whose deletion failed, but happened on disk after all, are not looked for again."""
    path = tmp_path / "journal.db"
    journal.create(path, Origin(bytes(16)))
    with closing(journal.Journal(path)) as log:
        for _ in range(3):
            log.append(commits.PROBE)
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("DELETE FROM batch WHERE lsn < 3")
        log.drop(3)
        assert log.first == 3


async def test_notes_of_a_refused_batch(tmp_path: Path) -> None:
    """What a refused batch left behind, from before the clock was put back, does not take valid metadata with it."""
    path = tmp_path / "journal.db"
    journal.create(path, Origin(bytes(16)))
    with closing(journal.Journal(path)) as log:
        log.append(commits.PROBE, [(101, b"1")])
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("INSERT INTO note VALUES (501, 1, ?, x'30')", (metadata_crc(1, 501, b"0"),))
        log.append(commits.PROBE, [(301, b"2")])
        while log.first < 2:
            log.drop(2)
        assert list(log.metadata(1)) == [(301, b"2")]


async def test_refused_but_written(store: EmbeddedStore, volume: Path) -> None:
    """A refused batch that the disk kept after all is gone with the next one."""
    await store.submit(KART, Submission("v", 1))
    with no_file_may_grow(), pytest.raises(StoreUnavailable):
        await store.submit(KART, Submission("v", 2))
    with closing(sqlite3.connect(volume / "data/journal.db")) as other, other:
        other.execute("INSERT INTO batch VALUES (2, 0, 'what fsync refused')")
    await store.submit(KART, Submission("v", 3))
    assert disk.read(volume / "data") == {KART.name: {"v": 3}}


async def test_opening_waits_for_a_compaction(tmp_path: Path) -> None:
    """A store does not open while a compaction of its predecessor is alive."""
    await (await EmbeddedStore.open(tmp_path / "data")).close()
    with (tmp_path / "data/folding").open() as compaction:
        fcntl.flock(compaction, fcntl.LOCK_EX)
        opening = asyncio.ensure_future(EmbeddedStore.open(tmp_path / "data"))
        assert not (await asyncio.wait([opening], timeout=0.2))[0]
    await (await opening).close()


async def test_opening_with_failing_writes(tmp_path: Path) -> None:
    """A directory in which nothing can be written cannot be used."""
    with no_file_may_grow(), pytest.raises(DirectoryUnusable, match=r"journal\.db: disk I/O error"):
        await EmbeddedStore.open(tmp_path / "data")


def test_compaction_ends_with_its_parent(tmp_path: Path) -> None:
    """A compaction that hangs ends when the process that started it is gone."""
    journal.create(tmp_path / "journal.db", Origin(bytes(16), first=b"{}"))
    os.mkfifo(tmp_path / "boards.db")
    command = [sys.executable, "-m", "laurels.stores.embedded.compact", str(tmp_path), "1", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as compaction:
        assert compaction.stdin is not None
        compaction.stdin.close()
        assert compaction.wait(30) == 1


async def test_compaction_ends_with_its_store(tmp_path: Path) -> None:
    """A store that is closed during a compaction leaves no process and no unfinished file."""
    others = children()
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=0)
    await store.submit(KART, Submission("v", 1))
    await until(store, lambda: children() != others)
    await store.close()
    assert children() == others
