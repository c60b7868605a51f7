"""What the embedded store does if its files are deleted, moved or replaced while it has them open."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import stat
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.errors import DirectoryInUse, FileLost, StoreUnavailable
from laurels.stores.contract import Submission
from laurels.stores.embedded import compaction, directory
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.journal import Journal
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import KART, fill, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """Return a directory with a snapshot."""
    store = await EmbeddedStore.open(tmp_path / "data")
    await store.submit(KART, Submission("v", 1))
    await store.close()
    compact(tmp_path / "data", 1)
    return tmp_path / "data"


@pytest.fixture
async def store(data: Path) -> AsyncIterator[EmbeddedStore]:
    """Open a store that has both files, and a log."""
    opened = await EmbeddedStore.open(data)
    await opened.submit(KART, Submission("judy", 2))
    yield opened
    await opened.close()


def delete(path: Path) -> None:
    """Delete a file or a directory."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace(path: Path) -> None:
    """Put a copy in the place of a file or a directory."""
    copy = path.with_name("copy")
    shutil.copytree(path, copy) if path.is_dir() else shutil.copy(path, copy)
    path.rename(path.with_name("original"))
    copy.rename(path)


def link(path: Path) -> None:
    """Put a link to a copy in the place of a file or a directory."""
    replace(path)
    path.rename(path.with_name("copy"))
    path.symlink_to(path.with_name("copy"))


NAMES = ["data", "data/journal.db", "data/journal.db-wal", "data/journal.db-shm", "data/boards.db"]


@pytest.mark.parametrize("harm", [delete, replace, link])
@pytest.mark.parametrize("name", NAMES)
async def test_harm(store: EmbeddedStore, data: Path, name: str, harm: Callable[[Path], None]) -> None:
    """If a name stands for nothing or another file, nothing is acknowledged, the reason is said, and reads go on."""
    harm(data.parent / name)
    for player in ("v", "silverhand"):
        with pytest.raises(FileLost, match=rf"{Path(name).name} (is gone|was replaced) .*`laurels export`"):
            await store.submit(KART, Submission(player, 9))
    with pytest.raises(FileLost, match=Path(name).name):
        await store.ready()
    assert shown(await store.page(KART, 0, 9)) == [("judy", 2, 0), ("v", 1, 1)]


@pytest.mark.parametrize("name", [*NAMES, "data/lock"])
async def test_put_back(store: EmbeddedStore, data: Path, name: str) -> None:
    """A file or directory that was moved away and back is as good as before, without what was refused meanwhile."""
    path = data.parent / name
    path.rename(data.parent / "moved")
    with suppress(FileLost):
        await store.submit(KART, Submission("refused", 9))
    is_mended = path.exists()  # only lock is made anew
    (data.parent / "moved").rename(path)
    await settled(store, ready=True)
    await store.submit(KART, Submission("v", 3))
    await store.close()
    assert disk.read(data)[KART.name] == {"v": 3, "judy": 2} | ({"refused": 9} if is_mended else {})


async def settled(store: EmbeddedStore, *, ready: bool) -> None:
    """Wait until the store is ready, or until it is not."""
    async with asyncio.timeout(20):
        while True:
            try:
                await store.ready()
            except StoreUnavailable:
                if not ready:
                    return
            else:
                if ready:
                    return
            await asyncio.sleep(0.01)


async def test_refused_is_not_in_what_was_moved(store: EmbeddedStore, data: Path) -> None:
    """What is refused because the directory was moved is not counted when that is opened where it is now."""
    shutil.move(data, data.with_name("moved"))
    with pytest.raises(FileLost):
        await store.submit(KART, Submission("refused", 9))
    await store.close()
    assert "refused" not in disk.read(data.with_name("moved"))[KART.name]


@pytest.mark.parametrize("name", NAMES)
async def test_without_traffic(store: EmbeddedStore, data: Path, name: str) -> None:
    """A store to which nobody submits notices it too."""
    await store.ready()
    delete(data.parent / name)
    await settled(store, ready=False)
    with pytest.raises(FileLost, match=Path(name).name):
        await store.ready()


async def test_another_in_its_place(store: EmbeddedStore, data: Path) -> None:
    """If a directory is deleted and another store makes it anew, the first leaves its files alone."""
    shutil.rmtree(data)
    other = await EmbeddedStore.open(data)
    await other.submit(KART, Submission("other", 1))
    with pytest.raises(FileLost):
        await store.submit(KART, Submission("v", 5))
    await store.close()
    await other.submit(KART, Submission("other", 2))
    shutil.copytree(data, data.with_name("killed"))
    await other.close()
    assert disk.read(data.with_name("killed")) == {KART.name: {"other": 2}}


async def test_old_files_in_its_place(store: EmbeddedStore, data: Path) -> None:
    """A store that is closed does not touch the files that somebody has put in the place of its own."""
    shutil.copytree(data, data.with_name("other"))
    for name in ("journal.db", "journal.db-wal", "boards.db"):
        data.with_name("other").joinpath(name).replace(data / name)
    held = {name: (data / name).read_bytes() for name in ("journal.db", "journal.db-wal", "boards.db")}
    with pytest.raises(FileLost):
        await store.submit(KART, Submission("v", 5))
    await store.close()
    assert {name: (data / name).read_bytes() for name in held} == held


async def test_looks_change_nothing(store: EmbeddedStore, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory in which nothing has changed for long is looked at with one call; each second, all names are."""
    monkeypatch.setattr(directory, "SAME_MOMENT_SECONDS", -1)
    for number in range(3):
        await store.submit(KART, Submission("v", number))
    delete(data / "journal.db-shm")
    with pytest.raises(FileLost, match="shm"):
        await store.submit(KART, Submission("v", 9))


async def test_deleted_lock(store: EmbeddedStore, data: Path) -> None:
    """A lock file that is deleted is made anew with what it says; no other store opens meanwhile."""
    (data / "lock").unlink()
    with pytest.raises(DirectoryInUse):
        await EmbeddedStore.open(data)
    await store.submit(KART, Submission("v", 5))
    assert (data / "lock").read_text().split()[:2] == [str(os.getpid()), str(disk.last(data))]
    (data / "lock").unlink()
    await store.submit(KART, Submission("v", 6))
    await store.close()
    (data / "journal.db").unlink()
    with pytest.raises(Exception, match="is missing"):
        await EmbeddedStore.open(data)


async def test_lock_of_another(store: EmbeddedStore, data: Path) -> None:
    """If a process that knows only the lock file is quicker, it has the directory."""
    (data / "lock").unlink()
    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(FileLost, match="another process has made it anew"):
            await store.submit(KART, Submission("v", 5))
    await settled(store, ready=True)


async def test_lock_that_cannot_be_made(store: EmbeddedStore, data: Path) -> None:
    """A lock file that cannot be made anew is lost."""
    (data / "lock").unlink()
    (data / "lock").mkdir()
    with pytest.raises(FileLost, match="lock was deleted, and cannot be made anew"):
        await store.submit(KART, Submission("v", 5))


async def test_lock_of_an_older_version(data: Path) -> None:
    """A process that holds the lock file alone, as older versions do, owns the directory."""
    with (data / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getppid():<10}")
        lock.flush()
        with pytest.raises(DirectoryInUse, match=str(os.getppid())):
            await EmbeddedStore.open(data)


async def test_directory_that_cannot_be_locked(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that locks no directories, the lock file serves."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    store = await EmbeddedStore.open(data)
    with pytest.raises(DirectoryInUse):
        await EmbeddedStore.open(data)
    await store.close()


async def test_replaced_during_a_compaction(data: Path) -> None:
    """A compaction of a directory that is replaced meanwhile changes nothing in the one that has its place."""
    store = await EmbeddedStore.open(data)
    await store.submit(KART, Submission("v", 2))
    await store.close()
    held = (data / "boards.db").read_bytes()
    with (data / "folding").open() as lock:
        replace(data)
        ended = disk.run_compaction(data, lock.fileno())
    assert (ended.returncode, "folding was replaced" in ended.stderr) == (1, True)
    assert (data / "boards.db").read_bytes() == held


async def test_snapshot_from_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that appears during a compaction, but is not of this journal, does not count."""
    monkeypatch.setattr(compaction, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(sys, "executable", "/bin/true")
    await (await EmbeddedStore.open(tmp_path / "data")).close()
    for directory_, player in ((tmp_path / "data", "v"), (shutil.copytree(tmp_path / "data", tmp_path / "copy"), "w")):
        store = await EmbeddedStore.open(directory_)
        await store.submit(KART, Submission(player, 1))
        await store.close()
    compact(tmp_path / "copy", 1)
    store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=0)
    await store.submit(KART, Submission("v", 2))
    shutil.copy(tmp_path / "copy/boards.db", tmp_path / "data")
    async with asyncio.timeout(30):
        while "from a copy of this directory" not in caplog.text:
            await store.submit(KART, Submission("v", 2))
    await store.close()
    with closing(Journal(tmp_path / "data/journal.db")) as journal:
        assert journal.first == 1


async def test_compaction_that_dies_at_its_end(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction that dies when its snapshot is complete and in its place counts."""
    script = data.with_name("python")
    script.write_text(f'#!/bin/sh\n{sys.executable} "$@"\nexit 1\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    store = await EmbeddedStore.open(data, compact_bytes=0)
    async with asyncio.timeout(30):
        while disk.compacted_upto(data) == 1 or store._commits._files.journal.first == 1:  # noqa: SLF001 - nothing reports it
            await store.submit(KART, Submission("v", 2))
    await store.close()


async def test_compacted_meanwhile(store: EmbeddedStore, data: Path) -> None:
    """A compaction replaces the snapshot, and the store goes on."""
    await store.close()
    busy = await EmbeddedStore.open(data, compact_bytes=0)
    inode = (data / "boards.db").stat().st_ino
    deadline = time.monotonic() + 30
    while (data / "boards.db").stat().st_ino == inode and time.monotonic() < deadline:
        await fill(busy, KART, {f"player-{number}": number for number in range(100)})
    await fill(busy, KART, {"v": 7})
    await busy.ready()
    await busy.close()
    assert disk.read(data)[KART.name]["v"] == 7
