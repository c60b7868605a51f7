"""A backup of a running store: it is of one moment, and becomes that store again."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from laurels.backup.parts import Base, decode_base, encode_json
from laurels.backup.reading import check_passing
from laurels.backup.restore import restore
from laurels.backup.sources import find_backup
from laurels.backup.tar import read_tar
from laurels.backup.verify import verify_directory
from laurels.definition import Definition, Guard, Runs
from laurels.errors import (
    BackupAbandoned,
    BackupDamaged,
    DataDamaged,
    DirectoryUnusable,
    NewerFormat,
    NothingToRestore,
    TargetInUse,
)
from laurels.stores.contract import Board, IdempotencyKey, Standing, Submission
from laurels.stores.embedded.backup import stream_backup
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterable

BOARD = Board("kart")
BASE = Base(1, "0.9.0", 6, bytes(16), b"", begun=0, since=0, time=0, snapshot_bytes=0, snapshot_sha256="")
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


def test_keys_count_once_after_a_restore_to_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys whose writes are in the snapshot are known whatever is left out of the journal after it."""
    monkeypatch.setattr("laurels.stores.embedded.copying.SEGMENT_BYTES", 100)
    adding = Board("sum", Definition(operator="increment"))

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=1000)
        await store.define("sum", adding.definition)
        await store.submit(adding, Submission("v", 5), KEY, want_changes=True)
        while not (tmp_path / "data" / "boards.db").exists():
            await fill(store, range(10))
        await fill(store, range(3))
        moment = time.time_ns() // 1000
        await fill(store, range(30))
        backup = await backup_of(store)
        await store.close()
        assert restore(read_tar(backup), tmp_path / "copy", moment).is_cut
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
        while not (path / "boards.db").exists():
            await fill(store, range(30))
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


def test_restore_into_an_empty_directory(tmp_path: Path) -> None:
    """A directory that is there stays that directory, which may be a mount, and nothing is made beside it."""
    backup = make_backup(tmp_path / "data")
    target = tmp_path / "empty"
    target.mkdir()
    was = target.stat().st_ino
    (target / ".restoring").mkdir()  # of a restore that was killed
    with pytest.raises(BackupDamaged, match="cut off"):
        restore(read_tar([backup[: len(backup) // 2]]), target)
    assert [*target.iterdir()] == []
    restore(read_tar([backup]), target)
    assert verify_directory(target).entries
    assert target.stat().st_ino == was
    assert not (target / ".restoring").exists()


def test_restore_of_a_time_before_the_backup(tmp_path: Path) -> None:
    """A backup cannot go back before its snapshot, and says to when it can."""
    backup = make_backup(tmp_path / "data")
    with pytest.raises(NothingToRestore, match="name a later time, or an older backup"):
        restore(read_tar([backup]), tmp_path / "copy", until=1)


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        (b"{}", "is not what was written"),
        (encode_json(msgspec.structs.replace(BASE, layout=2)), "in a layout that this version does not know"),
        (b'{"a":1,"crc":%d}' % zlib.crc32(b'{"a":1'), "does not say what it is of"),
    ],
    ids=["no-sum", "later", "other"],
)
def test_base_that_cannot_be_read(encoded: bytes, problem: str) -> None:
    """What a backup says of itself is checked, and a later layout names the version that wrote it."""
    with pytest.raises(BackupDamaged, match=problem):
        decode_base("base.json", encoded)


def parts_of(backup: bytes) -> list[tuple[str, bytes]]:
    """Return the parts of a backup."""
    return [(name, b"".join(chunks)) for name, chunks in read_tar([backup])]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda parts: parts[1:], "boards.db: it is not what was written"),
        (lambda parts: [*parts[:2], ("segments/00000002", parts[2][1])], "segments/00000001: it is missing"),
        (lambda parts: [*parts[:2], parts[-1]], "segments are missing before it"),
        (lambda parts: [("notes.txt", b"hello"), *parts], "no backup has that in this place"),
        (lambda parts: [*parts[:2], parts[2], ("segments/00000002", parts[2][1])], "does not follow"),
        (lambda parts: parts[:1], "base.json: it is missing"),
        (lambda parts: [*parts[:2], ("segments/00000001", b"laurels segment 9")], "a later version"),
    ],
    ids=["no-snapshot", "no-segment", "no-segments", "more", "twice", "no-base", "newer"],
)
def test_parts_that_make_no_backup(tmp_path: Path, change: Any, problem: str) -> None:
    """A part that is missing, is there twice, or is none of a backup is noticed."""
    parts = change(parts_of(make_backup(tmp_path / "data")))
    with pytest.raises(BackupDamaged, match=re.escape(problem)):
        restore(((name, iter([content])) for name, content in parts), tmp_path / "copy")


def test_journal_with_damage_is_not_copied(tmp_path: Path) -> None:
    """A backup of a journal with another byte fails, and names the file; so does one of damaged metadata."""

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=10**9)
        await fill(store, range(10))
        with closing(sqlite3.connect(tmp_path / "data" / "journal.db", isolation_level=None)) as db:
            db.execute("UPDATE note SET body = x'00' WHERE sequence = (SELECT max(sequence) FROM note)")
            with pytest.raises(DataDamaged, match="metadata"):
                await backup_of(store)
            db.execute("DELETE FROM batch WHERE lsn = 1")
            with pytest.raises(DataDamaged, match="batch 1 is missing"):
                await backup_of(store)
        await store.close()

    asyncio.run(run())


def test_verify_damaged_metadata(tmp_path: Path) -> None:
    """Metadata that a start would not read is read, too."""
    make_backup(tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / "boards.db", isolation_level=None)) as db:
        db.execute("UPDATE note SET body = x'00' WHERE sequence = (SELECT max(sequence) FROM note)")
    with pytest.raises(DataDamaged, match="metadata in it is damaged"):
        verify_directory(tmp_path / "data")


def test_verify_what_is_none(tmp_path: Path) -> None:
    """A directory without a journal is no data directory, and stays empty."""
    with pytest.raises(DirectoryUnusable, match=r"no journal\.db"):
        verify_directory(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_files_by_time(tmp_path: Path) -> None:
    """Of several files the one is taken that has the time; the newest one without a time."""
    backup = make_backup(tmp_path / "data")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(NothingToRestore, match="There is no backup"):
        find_backup(str(place), None)
    for name in ("20260101T000000Z", "20260102T000000Z", "20260103T000000Z"):
        (place / f"laurels-{name}.tar").write_bytes(backup)
    day = 24 * 60 * 60 * 10**6
    second = 1_767_312_000_000_000  # 2026-01-02
    found = [
        find_backup(str(place), until).name[-20:-4] for until in (None, second - day // 2, second, second + 9 * day)
    ]
    assert found == ["20260103T000000Z", "20260102T000000Z", "20260102T000000Z", "20260103T000000Z"]


def test_file_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is found by its path, whatever it is called and wherever it is."""
    backup = make_backup(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "kart.bak", Path("kart"), Path("kart.tar"), tmp_path / "b.tar"):
        path.write_bytes(backup)
        assert [name for name, part in find_backup(str(path), None).parts if list(part)][-1] == "end.json"
    assert find_backup("/kart.tar", None).name == "//kart.tar"  # not one of this directory


def test_run_keys_are_kept(tmp_path: Path) -> None:
    """The key of runs is in a backup: a run that was begun before goes on after the restore."""
    guarded = Board("g", Definition(guard=Guard(runs=Runs())))

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data")
        await store.define("g", guarded.definition)
        await store.make_run(guarded, "v")
        backup = await backup_of(store)
        await store.close()
        (tmp_path / "copy").mkdir()
        restore(read_tar(backup), tmp_path / "copy")
        assert (tmp_path / "copy" / "runs").read_bytes() == (tmp_path / "data" / "runs").read_bytes()

    asyncio.run(run())


def test_format_of_a_later_version(tmp_path: Path) -> None:
    """A backup of a directory of a later format is refused before anything is made of it."""
    later = encode_json(msgspec.structs.replace(BASE, format=99))
    with pytest.raises(NewerFormat):
        restore([("base.json", iter([later]))], tmp_path / "copy")
    assert not [*tmp_path.iterdir()]
