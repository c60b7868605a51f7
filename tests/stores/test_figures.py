"""What stores measure: of commits and the disk, of indexes, and of servers that fail."""

from __future__ import annotations

import _sqlite3
import asyncio
import ctypes
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from laurels.errors import StoreError, StoreUnavailable
from laurels.figures import Histogram
from laurels.stores.contract import Board, Submission
from laurels.stores.embedded import index_memory
from laurels.stores.embedded.sqlite_file import register_sync_clock, times_syncs
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.redis import troubles
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.store import open_store
from laurels.stores.redis.troubles import Troubles
from laurels.stores.redis.url import Address
from tests.stores.guarantees import KART, fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from laurels.stores.contract import Store
    from tests.redis_servers import Node

pytestmark = pytest.mark.anyio


def measured(store: Store, name: str) -> Any:
    """Return a figure of a store."""
    return store.measure()[name]


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it holds; nothing tells when."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_commits(tmp_path: Path) -> None:
    """Each batch counts once, with its changes, its bytes, and how long it took; most of that waiting for the disk."""
    store = await EmbeddedStore.open(tmp_path)
    await store.submit(KART, Submission("v", 1))
    waiting = asyncio.gather(store.submit(KART, Submission("v", 2)), store.submit(KART, [Submission("w", 1)] * 3))
    await until(lambda: measured(store, "open_batch_records"))
    assert measured(store, "open_batch_records") == 4
    assert measured(store, "open_batch_bytes") > 30
    await waiting
    seconds, fsyncs, records = (
        measured(store, f"commit_{name}") for name in ("duration_seconds", "fsync_seconds", "records")
    )
    assert [each.counts[-1] for each in (seconds, fsyncs, records)] == [2, 2, 2]
    assert 0 < fsyncs.total < seconds.total
    assert (records.counts[:2], records.total) == ((1, 2), 5.0)
    assert measured(store, "open_batch_records") == 0
    await store.close()


async def test_compactions(tmp_path: Path) -> None:
    """One that succeeds is counted and timed, and leaves a snapshot of some size."""
    store = await EmbeddedStore.open(tmp_path, compact_bytes=30_000)
    await fill(store, KART, {f"player-{n}": n for n in range(4000)})
    while not measured(store, "compactions"):
        await store.submit(KART, Submission("v", 0))
    assert measured(store, "compaction_duration_seconds").counts[-1] == measured(store, "compactions")
    assert measured(store, "snapshot_bytes") > 30_000
    assert measured(store, "journal_bytes") > 4096
    assert not measured(store, "compaction_failing")
    await store.close()


async def test_directory_that_is_gone(tmp_path: Path) -> None:
    """What the disk has is left out, and all else is still told."""
    store = await EmbeddedStore.open(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert "disk_free_bytes" not in store.measure()
    with pytest.raises(StoreUnavailable):
        await store.submit(KART, Submission("v", 1))
    assert (measured(store, "commit_failing"), measured(store, "commit_failures")) == (True, 1)
    await store.close()


async def test_memory_of_many_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is summed some boards at a time, also while boards go; a store that closes meanwhile is not asked any more."""
    monkeypatch.setattr(index_memory, "AT_ONCE", 2)
    monkeypatch.setattr(index_memory, "FRESH_SECONDS", 0.0)
    store = await EmbeddedStore.open(tmp_path)
    boards = [Board(f"board-{number}") for number in range(5)]
    for board in boards:
        await store.submit(board, Submission("v", 1))
    assert measured(store, "index_bytes") == 0
    await store.drop(boards[3])
    await until(lambda: measured(store, "index_bytes"))
    assert 5 * 100 < measured(store, "index_bytes") < 5 * 10_000
    store.measure()
    await store.close()


async def test_no_clock_for_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite's functions are not to be found, the journal is written all the same, and the figure is left out."""
    assert not register_sync_clock(ctypes.CDLL(None))
    times_syncs.cache_clear()
    monkeypatch.setattr(_sqlite3, "__file__", None)
    store = await EmbeddedStore.open(tmp_path)
    await store.submit(KART, Submission("v", 1))
    assert "commit_fsync_seconds" not in store.measure()
    await store.close()
    times_syncs.cache_clear()


async def test_troubles_with_redis(redis_server: Node) -> None:
    """What goes wrong is counted by server and kind, and so is how long answers take."""
    store = await open_store(redis_server.url, settings=RedisSettings(timeout=0.2))
    await store.submit(KART, Submission("v", 1))
    none = {"unreachable": 0, "lost": 0, "timeout": 0, "refused": 0}
    assert measured(store, "redis_errors") == {redis_server.address: none}
    seconds = measured(store, "redis_answer_seconds")
    assert isinstance(seconds, Histogram)
    assert 0 < seconds.total / seconds.counts[-1] < 1
    with closing(redis_server.client()) as client:
        client.set("laurels:{kart}", "of another kind")
        client.config_set("maxmemory", "1")
    with pytest.raises(StoreError):
        await store.submit(Board("full"), Submission("v", 1))
    assert measured(store, "redis_errors")[redis_server.address]["refused"] > 0
    redis_server.stall()
    with pytest.raises(StoreUnavailable):
        await store.submit(KART, Submission("v", 1))
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await store.submit(KART, Submission("v", 1))
    counts = measured(store, "redis_errors")[redis_server.address]
    assert counts["timeout"] == 1
    assert counts["unreachable"] > 0
    await store.close()


async def test_connection_that_is_lost(redis_server: Node) -> None:
    """A connection that the server closes is counted as lost, once."""
    store = await open_store(redis_server.url)
    with closing(redis_server.client()) as client:
        client.client_kill_filter(skipme=True)
    await until(lambda: measured(store, "redis_errors")[redis_server.address]["lost"])
    await store.submit(KART, Submission("v", 1))
    assert measured(store, "redis_errors")[redis_server.address]["lost"] == 1
    await store.close()


def test_servers_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many servers each has counts of its own; those after them share theirs."""
    monkeypatch.setattr(troubles, "MOST_SERVERS", 2)
    counted = Troubles()
    for name in "abcda":
        counted.add(name, "lost")
    lost = {name: each["lost"] for name, each in counted.measure()["redis_errors"].items()}  # type: ignore[union-attr, index]
    assert lost == {"a": 2, "b": 1, "others": 2}


@pytest.mark.parametrize(
    ("address", "shown"),
    [(Address("::1", 6379), "[::1]:6379"), (Address("cache", 1), "cache:1"), (Address("/run/redis"), "/run/redis")],
    ids=["v6", "name", "socket"],
)
def test_addresses(address: Address, shown: str) -> None:
    """An address is shown as people write it."""
    assert str(address) == shown
