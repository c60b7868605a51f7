"""Reads of metadata from the disk: in groups, in a thread apart from writes, dropped and turned away."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

import pytest

from laurels.errors import StoreUnavailable
from laurels.stores.contract import Submission
from laurels.stores.embedded.lookups import Reader
from laurels.stores.embedded.metadata_rows import select_rows
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores.guarantees import KART, ONCE, submit_batch, submit_for_change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """Return a store with a hundred entries that have metadata."""
    store = await EmbeddedStore.open(tmp_path)
    await submit_batch(store, KART, [Submission(f"{number:02}", -number, b"%d" % number) for number in range(100)])
    yield store
    await store.close()


@pytest.fixture
def reader(store: EmbeddedStore) -> Reader:
    """Return what reads metadata for pages."""
    return store._lookups.of_reads  # noqa: SLF001 - to hold it up, as a slow disk would


@pytest.fixture
def busy(reader: Reader) -> Iterator[Event]:
    """Keep the reader from reading until the event is set."""
    go = Event()
    reader._thread.submit(go.wait)  # noqa: SLF001
    yield go
    go.set()


def read(store: EmbeddedStore, place: int) -> asyncio.Task[list[bytes | None]]:
    """Begin to read one entry."""

    async def page() -> list[bytes | None]:
        return [entry.metadata for entry in await store.page(KART, place, place + 1, with_metadata=True)]

    return asyncio.ensure_future(page())


async def begun(reader: Reader, count: int) -> None:
    """Wait until so many questions wait for the reader."""
    while len(reader._questions) < count:  # noqa: ASYNC110, SLF001 - nothing tells
        await asyncio.sleep(0)


async def test_questions_gather(store: EmbeddedStore, reader: Reader, busy: Event) -> None:
    """Questions that come while the thread is busy are answered at once, without those of cancelled callers."""
    statements: list[str] = []
    reads = [read(store, place) for place in range(10)]
    await begun(reader, 9)
    for each in reads[:1] + reads[5:]:
        each.cancel()
    reader.connect().set_trace_callback(statements.append)
    busy.set()
    assert await asyncio.gather(*reads[1:5]) == [[b"%d" % place] for place in range(1, 5)]
    assert all(each.cancelled() for each in reads[:1] + reads[5:])
    assert [statement.count(",") - 3 for statement in statements] == [0, 3]


async def test_writes_do_not_wait_for_pages(store: EmbeddedStore, busy: Event) -> None:
    """A retry and a submit with a key are answered while pages wait."""
    waiting = read(store, 1)
    await asyncio.sleep(0)
    assert not (await submit_for_change(store, KART, Submission("02", -2, b"2"))).counted
    assert (await submit_for_change(store, KART, Submission("v", 1), ONCE)).counted
    assert (await submit_for_change(store, KART, Submission("v", 1), ONCE)).counted
    assert not waiting.done()
    busy.set()
    assert await waiting == [b"1"]


async def test_too_many_questions(store: EmbeddedStore, reader: Reader, busy: Event) -> None:
    """Beyond so many a read of metadata is turned away at once; what is in memory is read all the same."""
    reads = [asyncio.ensure_future(store.page(KART, 0, 100, with_metadata=True)) for _ in range(400)]
    await begun(reader, 327)
    ends = asyncio.gather(*reads, return_exceptions=True)
    with pytest.raises(StoreUnavailable, match="than --max-waiting-reads allows: 32,768") as caught:
        await store.page(KART, 5, 6, with_metadata=True)
    assert caught.value.retry_after == 1
    busy.set()
    turned_away = [end for end in await ends if isinstance(end, StoreUnavailable)]
    assert len(turned_away) == 400 - 328
    assert [entry.metadata for entry in await store.page(KART, 5, 6, with_metadata=True)] == [b"5"]


async def test_close_while_questions_wait(store: EmbeddedStore, reader: Reader, busy: Event) -> None:
    """Questions that wait when the store closes are answered or refused: nobody waits for ever."""
    reads = [read(store, place) for place in range(4)]
    await begun(reader, 3)
    reads[3].cancel()
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    busy.set()
    first, *others, _ = await asyncio.gather(*reads, return_exceptions=True)
    await closing
    assert (first, [type(end) for end in others]) == ([b"0"], [StoreUnavailable, StoreUnavailable])


async def test_retry_while_the_store_closes(store: EmbeddedStore) -> None:
    """What cannot be compared because the store closes is not taken for new."""
    await store._lookups.of_writes.close()  # noqa: SLF001
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.submit(KART, Submission("02", -2, b"2"))
    store._lookups.of_writes = Reader(store._directory.path, "again", 1000)  # noqa: SLF001 - to be closed with the store


def test_metadata_in_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """That a file is locked says nothing of what is in it."""
    with closing(sqlite3.connect(tmp_path / "x")) as owner, closing(sqlite3.connect(tmp_path / "x", timeout=0)) as db:
        owner.execute("CREATE TABLE note (sequence INTEGER PRIMARY KEY)")
        owner.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            select_rows(db, "sequence", [1, 2])


async def test_unreadable_files_of_a_write(store: EmbeddedStore, tmp_path: Path) -> None:
    """If what a retry brings again cannot be read, the retry is taken for new metadata, and nothing else changes."""
    before = await store.page(KART, 1, 4)
    store._lookups.of_writes._journal_path = tmp_path / "nowhere.db"  # noqa: SLF001
    assert (await submit_for_change(store, KART, Submission("02", -2, b"2"))).counted
    assert await store.page(KART, 1, 4) == before


async def test_memory_is_bounded(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest metadata leaves memory, and is read again."""
    monkeypatch.setattr("laurels.stores.embedded.metadata.CACHE_BYTES", 1000)
    for _ in range(2):
        found = await store.page(KART, 0, 100, with_metadata=True)
        assert [entry.metadata for entry in found] == [b"%d" % place for place in range(100)]
    assert len(store._metadata._cache) == 6  # noqa: SLF001 - that is memory
