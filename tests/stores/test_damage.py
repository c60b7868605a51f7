"""A data directory that is not as it was left either does not open, or opens with every entry that it had."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from laurels.errors import DataDamaged
from laurels.stores.contract import Submission
from laurels.stores.embedded import commits, snapshot
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.journal import Journal
from laurels.stores.embedded.snapshot import Contents
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.conformance import LAPS
from tests.stores.guarantees import KART, fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from laurels.stores.contract import Ranked

pytestmark = pytest.mark.anyio


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """Return a directory as a killed process leaves it: a snapshot, and a journal of which some is in the log only."""
    store = await EmbeddedStore.open(tmp_path / "live")
    await fill(store, KART, {f"player-{n:04}": n for n in range(700)})
    await fill(store, LAPS, {f"player-{n:04}": n for n in range(70)})
    await fill(store, KART, {f"player-{n:04}": -n for n in range(700)})
    await store.close()
    compact(tmp_path / "live", 2)
    with closing(Journal(tmp_path / "live/journal.db")) as journal:
        journal.drop(2)
    store = await EmbeddedStore.open(tmp_path / "live")
    for number in range(40):
        await store.submit(KART, Submission(f"player-{number:04}", 9000 + number))
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    await store.close()
    return tmp_path / "killed"


async def entries(directory: Path) -> list[Ranked]:
    """Open a directory and return what is on its boards."""
    store = await EmbeddedStore.open(directory)
    found = await store.page(KART, 0, 1000) + await store.page(LAPS, 0, 1000)
    await store.close()
    return found


async def test_undamaged(data: Path) -> None:
    """A killed store has every entry after it is opened again."""
    assert len(await entries(data)) == 770


def contents(directory: Path) -> dict[str, bytes]:
    """Return the bytes of every file that holds entries."""
    files = (*directory.glob("*.db"), *directory.glob("*-wal"))
    return {file.name: data for file in files if (data := file.read_bytes())}


def delete_all(directory: Path, files: str) -> None:
    """Delete the files that match a pattern."""
    for file in directory.glob(files):
        file.unlink()


def overwrite(file: Path) -> None:
    """Write garbage over the beginning of a file."""
    file.write_bytes(b"garbage" * 20 + file.read_bytes()[140:])


def halve(file: Path) -> None:
    """Cut off the second half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    """Cut off all of a file."""
    file.write_bytes(b"")


def delete(file: Path) -> None:
    """Delete a file."""
    file.unlink()


@pytest.mark.parametrize("harm", [overwrite, halve, empty, delete])
@pytest.mark.parametrize("name", ["journal.db", "boards.db", "journal.db-wal"])
async def test_harm(data: Path, harm: Callable[[Path], None], name: str) -> None:
    """If a file was cut, deleted or overwritten, the error names it, and nothing is changed."""
    harm(data / name)
    before = contents(data)
    with pytest.raises(DataDamaged) as caught:
        await entries(data)
    assert caught.value.file.name == name.removesuffix("-wal")
    assert contents(data) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["journal.db", "boards.db", "journal.db-wal"])
async def test_any_byte(data: Path, name: str, tmp_path: Path) -> None:
    """Whichever byte of a file is flipped, the damage is noticed, or no entry was in it."""
    whole = await entries(shutil.copytree(data, tmp_path / "whole"))
    for at in range(0, (data / name).stat().st_size, 311):
        copy = shutil.copytree(data, tmp_path / "copy")
        disk.flip(copy / name, at)
        with suppress(DataDamaged):
            assert await entries(copy) == whole, at
        shutil.rmtree(copy)


async def test_everything_but_the_lock_file_deleted(data: Path) -> None:
    """The last acknowledged LSN alone is enough to know that there was something."""
    delete_all(data, "*.db*")
    with pytest.raises(DataDamaged, match="missing"):
        await entries(data)


async def test_older_snapshot(data: Path, tmp_path: Path) -> None:
    """A snapshot from before the last compaction lacks what the journal no longer has."""
    shutil.copy(data / "boards.db", tmp_path)
    compact(data, disk.last(data))
    with closing(Journal(data / "journal.db")) as journal:
        journal.drop(disk.last(data))
    shutil.copy(tmp_path / "boards.db", data)
    with pytest.raises(DataDamaged, match=r"boards\.db .* ends with batch 2, and the journal begins with 43"):
        await entries(data)


async def test_journal_of_another_directory(data: Path, tmp_path: Path) -> None:
    """A journal that belongs to another directory than the snapshot is noticed."""
    compact(data, disk.last(data))
    delete_all(data, "lock")
    delete_all(data, "journal.db*")
    store = await EmbeddedStore.open(tmp_path / "new")
    await store.submit(KART, Submission("v", 1))
    await store.close()
    shutil.copy(tmp_path / "new/journal.db", data)
    with pytest.raises(DataDamaged, match=r"boards\.db is damaged: it belongs to another directory"):
        await entries(data)


async def test_journal_behind_the_snapshot(data: Path, tmp_path: Path) -> None:
    """A journal that ends before the snapshot does is noticed even without the last acknowledged LSN."""
    shutil.copytree(data, tmp_path / "early")
    store = await EmbeddedStore.open(data)
    await store.submit(KART, Submission("v", 1))
    await store.close()
    compact(data, disk.last(data))
    shutil.copy(data / "boards.db", tmp_path / "early")
    (tmp_path / "early/lock").unlink()
    with pytest.raises(DataDamaged, match=r"journal\.db .* ends with batch 43, and boards\.db holds batch 44"):
        await entries(tmp_path / "early")


@pytest.fixture
async def twin(data: Path) -> Path:
    """Return a copy of the directory that has gone on by itself, as the first has, for the same number of batches."""
    twin = shutil.copytree(data, data.with_name("twin"))
    for directory in (data, twin):
        store = await EmbeddedStore.open(directory)
        await store.submit(KART, Submission(directory.name, 1))
        shutil.copytree(directory, directory.with_name(f"{directory.name}-killed"))
        await store.close()
        with closing(Journal(directory / "journal.db")) as journal:
            journal.append(commits.PROBE)  # holds nothing that could tell one from the other
    return twin


@pytest.mark.parametrize("upto", [44, 45], ids=["a submit", "a probe"])
async def test_snapshot_of_a_copy(data: Path, twin: Path, upto: int) -> None:
    """A snapshot of a copy that has gone on by itself does not open, whatever the batch that it ends with."""
    compact(twin, upto)
    shutil.copy(twin / "boards.db", data)
    with pytest.raises(DataDamaged, match=r"boards\.db .* is another in journal\.db: .* from a copy of this directory"):
        await entries(data)


async def test_snapshot_of_a_copy_behind_a_compaction(data: Path, twin: Path) -> None:
    """So it is if the journal no longer has that batch, but all after it."""
    compact(twin, 44)
    compact(data, 45)
    with closing(Journal(data / "journal.db")) as journal:
        journal.drop(45)
    shutil.copy(twin / "boards.db", data)
    with pytest.raises(DataDamaged, match="batch 44, with which it ends, is another"):
        await entries(data)


@pytest.mark.parametrize(
    ("name", "source"), [("journal.db", "twin"), ("lock", "twin"), ("journal.db-wal", "twin-killed")]
)
async def test_file_of_a_copy(data: Path, twin: Path, name: str, source: str) -> None:
    """A journal, a log or a lock file of a copy that has gone on by itself does not open with the others."""
    directory = data.with_name("killed-killed") if name.endswith("wal") else data
    shutil.copy(twin.with_name(source) / name, directory)
    (directory / "journal.db-shm").unlink(missing_ok=True)
    with pytest.raises(DataDamaged, match=r"batch 44 is not the one that was acknowledged: .* from a copy"):
        await entries(directory)


async def test_all_files_of_a_copy(data: Path, twin: Path) -> None:
    """All files of a copy are a good directory."""
    for name in ("journal.db", "boards.db", "lock"):
        shutil.copy(twin / name, data)
    assert len(await entries(data)) == 771


async def test_snapshot_of_the_same_history(data: Path) -> None:
    """A snapshot from before opens if the journal still has all since, also one that a copy has made meanwhile."""
    twin = shutil.copytree(data, data.with_name("twin"))
    compact(twin, 20)
    before = await entries(shutil.copytree(data, data.with_name("whole")))
    compact(data, 30)
    shutil.copy(twin / "boards.db", data)
    assert await entries(data) == before


async def test_lock_file_of_an_earlier_version(data: Path) -> None:
    """A lock file that does not say the CRC of the last acknowledged batch opens."""
    (data / "lock").write_text(f"{1:<10}\n{42:<20}\n")
    assert len(await entries(data)) == 770


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("journal.db", "DELETE FROM batch WHERE lsn = 20", "batch 20 is missing"),
        ("journal.db", "UPDATE batch SET lsn = 400 WHERE lsn = 43", "batch 43 is missing"),
        ("journal.db", "UPDATE batch SET records = 'text' WHERE lsn = 20", "batch 20 is not what was written"),
        ("journal.db", "UPDATE origin SET format = 1", "what it says of itself is not what was written"),
        ("journal.db", "UPDATE origin SET format = 0", "its format is 0"),
        ("journal.db", "DELETE FROM origin", "it does not say what it is"),
        ("journal.db", "DROP TABLE batch", "no such table"),
        ("boards.db", "DELETE FROM chunk WHERE id = 1", "it holds 2 chunks and boards, and 3 were written"),
        ("boards.db", "UPDATE chunk SET board = 'laps'", "chunk 1 is not what was written"),
        ("boards.db", "UPDATE seal SET folded = 1", "its seal is broken"),
        ("boards.db", "DELETE FROM seal", "its seal is missing"),
    ],
)
async def test_changed_by_hand(data: Path, name: str, change: str, problem: str) -> None:
    """Files that are in order to SQLite are damaged all the same if they do not say what was written."""
    with closing(sqlite3.connect(data / name)) as db:
        db.execute(change)
        db.commit()
    with pytest.raises(DataDamaged, match=problem):
        await entries(data)


@pytest.mark.parametrize(("name", "problem"), [("journal.db", "batch 44 cannot be read"), ("boards.db", "entries of")])
async def test_written_wrong(data: Path, name: str, problem: str) -> None:
    """Bytes that have the right CRC, but the form of no record or no entries, are damage."""
    with closing(Journal(data / "journal.db")) as journal:
        if name == "journal.db":
            journal.append(b"no records")
        else:
            contents = Contents(1, [("mario-kart", 0, b"no entries")], [], [])
            snapshot.write(data / name, journal.origin.id, (journal.last, journal.crc), contents)
    with pytest.raises(DataDamaged, match=problem):
        await entries(data)


async def test_compaction_beyond_the_journal(data: Path) -> None:
    """A compaction fails if the journal does not reach as far as it was asked to."""
    with pytest.raises(DataDamaged, match="batch 44 is missing"):
        compact(data, 44)


async def test_unreadable_lock_file(data: Path) -> None:
    """A lock file that is garbage keeps no entry from being loaded."""
    (data / "lock").write_text("garbage")
    assert len(await entries(data)) == 770
