"""A backup of a running store: it is of one moment, and becomes that store again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from laurels.backup.reading import check_passing
from laurels.backup.restore import restore
from laurels.backup.tar import read_tar
from laurels.definition import Definition
from laurels.errors import BackupAbandoned, BackupDamaged, NothingToRestore, TargetInUse
from laurels.stores.contract import Board, IdempotencyKey, Standing, Submission
from laurels.stores.embedded.backup import stream_backup
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BOARD = Board("kart")
KEY = IdempotencyKey(b"k" * 16, b"f" * 16)


async def fill(store: EmbeddedStore, names: Iterable[int]) -> None:
    """Submit a score for each number, some with metadata, one batch each."""
    for each in names:
        metadata = b'{"run":%d}' % each if each % 3 == 0 else None
        await store.submit(BOARD, Submission(f"p{each % 50}", each, metadata))


async def read_all(store: EmbeddedStore) -> list[tuple[str, float, bytes | None]]:
    """Return all that is on the board."""
    return [(each.name, each.score, each.metadata) for each in await store.page(BOARD, 0, 1000, with_metadata=True)]


async def backup_of(store: EmbeddedStore) -> list[bytes]:
    """Return a backup."""
    return [piece async for piece in store.backup()]


@pytest.mark.parametrize("compact_bytes", [1000, 10**9], ids=["compacted", "journal-only"])
def test_restored_store_is_the_same(tmp_path: Path, compact_bytes: int) -> None:
    """What is restored has the same entries with their metadata, and goes on from there."""

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=compact_bytes)
        await fill(store, range(400))
        backup = await backup_of(store)
        expected = await read_all(store)
        await fill(store, range(400, 500))
        await store.close()
        restored = restore(read_tar(check_passing(backup)), tmp_path / "copy")
        again = await EmbeddedStore.open(tmp_path / "copy")
        assert await read_all(again) == expected
        assert restored.verified.entries == len(expected)
        await fill(again, range(1000, 1010))
        await again.close()

    asyncio.run(run())


def test_is_whole_while_the_store_is_written_and_compacted(tmp_path: Path) -> None:
    """Batches that a backup has yet to read stay in the journal, however often it is compacted meanwhile."""

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=500)
        await fill(store, range(300))
        pieces = store.backup()
        backup = [await anext(pieces)]  # the snapshot is open, and the journal held
        for start in range(300, 2000, 100):
            await fill(store, range(start, start + 100))
        backup += [piece async for piece in pieces]
        await store.close()
        restore(read_tar(check_passing(backup)), tmp_path / "copy")
        again = await EmbeddedStore.open(tmp_path / "copy")
        assert len(await read_all(again)) == 50
        await again.close()

    asyncio.run(run())


def test_keys_count_once_after_a_restore(tmp_path: Path) -> None:
    """A write with a key that was acknowledged before the backup is not done again after the restore."""
    adding = Board("sum", Definition(operator="increment"))

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data")
        await store.define("sum", adding.definition)
        await store.submit(adding, Submission("v", 5), KEY, want_changes=True)
        backup = await backup_of(store)
        await store.close()
        restore(read_tar(backup), tmp_path / "copy")
        again = await EmbeddedStore.open(tmp_path / "copy")
        await again.submit(adding, Submission("v", 5), KEY, want_changes=True)
        assert await again.standing(adding, "v") == Standing(5, 0)
        await again.close()

    asyncio.run(run())


def test_slow_reader_does_not_keep_the_journal_for_ever(tmp_path: Path) -> None:
    """A backup that is read too slowly fails, and the journal may shrink again."""

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=500, backlog=2000)
        await fill(store, range(300))
        pieces = stream_backup(store.source)
        next(pieces)
        await fill(store, range(300))
        with pytest.raises(BackupAbandoned, match="--archive-backlog"):
            list(pieces)
        await store.close()

    asyncio.run(run())


def make_backup(path: Path) -> bytes:
    """Return a backup of a store with a snapshot and a journal."""

    async def run() -> bytes:
        store = await EmbeddedStore.open(path, compact_bytes=1000)
        await fill(store, range(300))
        backup = b"".join(await backup_of(store))
        await store.close()
        return backup

    return asyncio.run(run())


def test_every_damage_is_noticed(tmp_path: Path) -> None:
    """A backup that is cut, or has another byte anywhere but in padding, is none."""
    backup = make_backup(tmp_path / "data")
    assert b"".join(check_passing([backup])) == backup
    for cut in range(0, len(backup) - 1024, len(backup) // 40):
        with pytest.raises(BackupDamaged):
            list(check_passing([backup[:cut]]))
    unnoticed = 0
    for place in range(0, len(backup), len(backup) // 100):
        changed = bytearray(backup)
        changed[place] ^= 0x5A
        try:
            list(check_passing([bytes(changed)]))
        except BackupDamaged:
            continue
        unnoticed += any(backup[place : place + 1])  # padding is zero
    assert unnoticed == 0


def test_restore_makes_no_half_directory(tmp_path: Path) -> None:
    """A damaged backup leaves nothing behind, and a directory that has something in it stays as it is."""
    backup = make_backup(tmp_path / "data")
    with pytest.raises(BackupDamaged, match="cut off"):
        restore(read_tar([backup[: len(backup) // 2]]), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(TargetInUse, match="not empty"):
        restore(read_tar([backup]), tmp_path / "data")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data"]


def test_restore_of_a_time_before_the_backup(tmp_path: Path) -> None:
    """A backup cannot go back before its snapshot, and says to when it can."""
    backup = make_backup(tmp_path / "data")
    with pytest.raises(NothingToRestore, match="name a later time, or an older backup"):
        restore(read_tar([backup]), tmp_path / "copy", until=1)
