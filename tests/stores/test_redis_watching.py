"""Boards in Redis that are watched: every change is told, whoever makes it, and what may have been missed as well."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing, suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition, Guard
from laurels.errors import StoreError
from laurels.stores.contract import Board, Feed, FullSubmission, IdempotencyKey, Submission
from laurels.stores.redis import watching
from laurels.stores.redis.cluster import slot_of
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.listening import Listener
from laurels.stores.redis.store import RedisStore
from tests.redis_servers import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.redis_servers import Cluster, Node, Sentinels

pytestmark = pytest.mark.anyio

KART = Board("kart")
SERVERS = pytest.mark.parametrize("redis_server", ["redis", "redis-6.2", "valkey"], indirect=True)
SECONDS = 20


class Watcher:
    """Who watches a board."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self._told = asyncio.Event()

    def mark(self) -> None:
        """Know that it may have changed."""
        self._told.set()

    async def told(self) -> None:
        """Wait until it is said that the board has changed."""
        await asyncio.wait_for(self._told.wait(), SECONDS)
        self._told.clear()

    async def until(self, seen: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a read sees something, reading only when told."""
        is_seen = False
        while not is_seen:
            await self.told()
            is_seen = await seen()


@asynccontextmanager
async def watching_kart(url: str, board: str = "kart") -> AsyncIterator[Watcher]:
    """Watch a board until the end of the block, from when that is known to work."""
    store = RedisStore(url)
    watcher = Watcher(store)
    await store.learn(board)
    assert store.watch(board, watcher.mark)
    await watcher.told()
    yield watcher
    store.watch(board, None)
    await store.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStore]:
    """Open a store for the block."""
    store = RedisStore(url)
    yield store
    await store.close()


def scored(store: RedisStore, score: float, board: Board = KART) -> Callable[[], Awaitable[bool]]:
    """Return whether a read sees a score of v."""

    async def see() -> bool:
        [found] = await asyncio.gather(store.standing(board, "v"), return_exceptions=True)
        return getattr(found, "score", None) == score

    return see


GUARDED = Board("guarded", Definition(operator="best", guard=Guard(hold_above=10)))
TIMED = Board("timed", Definition(ties="earliest", windows=("daily",), ttl="1h"))


def with_feed(board: Board) -> Board:
    """Return a board that feeds a day."""
    return Board(board.name, board.definition, feeds=(Feed("daily", "2026-11-22"),))


async def release(store: RedisStore, board: Board) -> None:
    """Have a score held, and let it count."""
    await store.submit(board, Submission("v", 20))
    held = await store.held_entry(board, "v", with_metadata=True)
    assert held is not None
    assert await store.release(board, held)


CHANGES: dict[str, tuple[Board, Callable[[RedisStore, Board], Awaitable[object]]]] = {
    "submit": (KART, lambda store, board: store.submit(board, Submission("v", 2))),
    "metadata": (KART, lambda store, board: store.submit(board, Submission("v", 1, b"[1]"))),
    "change": (KART, lambda store, board: store.submit(board, Submission("v", 2), want_changes=True)),
    "keyed": (KART, lambda store, board: store.submit(board, Submission("v", 2), IdempotencyKey(b"k" * 16, b"f" * 16))),
    "dated": (KART, lambda store, board: store.submit(board, FullSubmission("v", 2, submitted_at=1))),
    "batch": (KART, lambda store, board: store.submit(board, [Submission("v", 2), Submission("w", 3)])),
    "full batch": (KART, lambda store, board: store.submit(board, [Submission("v", 2), Submission("v", 3, b"1")])),
    "ties": (TIMED, lambda store, board: store.submit(board, Submission("w", 2))),
    "again": (TIMED, lambda store, board: store.submit(board, Submission("v", 2))),
    "period": (TIMED, lambda store, board: store.submit(with_feed(board), Submission("v", 1))),
    "set metadata": (KART, lambda store, board: store.set_metadata(board, "v", b"[1]")),
    "remove": (KART, lambda store, board: store.remove(board, "v")),
    "drop": (KART, lambda store, board: store.drop(board)),
    "hide": (KART, lambda store, board: store.hide(board, "v")),
    "define": (KART, lambda store, board: store.define(board.name, Definition(ranking="dense"))),
    "release": (GUARDED, release),
}


@SERVERS
async def test_every_change_is_told(redis_server: Node) -> None:
    """Whatever another process changes is told."""
    async with opened(redis_server.url) as writer:
        for board in (TIMED, GUARDED):
            await writer.define(board.name, board.definition)
        for board, change in CHANGES.values():
            await writer.submit(board, Submission("v", 1))
            async with watching_kart(redis_server.url, board.name) as watcher:
                await change(writer, board)
                await watcher.told()
            if board is KART:
                await writer.show(KART, "v")
                await writer.drop(KART)
                await writer.undefine(KART.name)


@SERVERS
async def test_the_newest_is_seen(redis_server: Node) -> None:
    """However fast a board changes, who reads when told sees the last change, and all watchers do."""
    async with (
        opened(redis_server.url) as writer,
        watching_kart(redis_server.url) as first,
        watching_kart(redis_server.url) as second,
    ):
        for last in (100, 300):
            await asyncio.gather(*(writer.submit(KART, Submission("v", score)) for score in range(last + 1)))
            for watcher in (first, second):
                await watcher.until(scored(watcher.store, last))


async def test_few_messages(redis_server: Node) -> None:
    """A board that changes fast costs few messages, and one that nobody watches any more one at most."""
    with closing(redis_server.client()) as client:

        def messages() -> int:
            return int(client.info("commandstats").get("cmdstat_spublish", {"calls": 0})["calls"])

        async with opened(redis_server.url) as writer:
            async with watching_kart(redis_server.url) as watcher:
                before = messages()
                for score in range(300):
                    await writer.submit(KART, Submission("v", score))
                await watcher.until(scored(watcher.store, 299))
                assert 1 <= messages() - before < 100
            await writer.submit(KART, Submission("v", 500))  # takes away what is left of who is gone
            before = messages()
            for score in range(20):
                await writer.submit(KART, Submission("v", score))
            assert messages() == before
            assert not client.exists(f"{key_of('kart')}:state")


async def test_what_changes_nothing_is_not_told(redis_server: Node) -> None:
    """A submit that changes nothing, and a read, tell nobody."""
    async with opened(redis_server.url) as writer:
        await writer.submit(KART, Submission("v", 1))
        async with watching_kart(redis_server.url):
            await writer.submit(KART, Submission("v", 1))
            await writer.page(KART, 0, 9)
            await writer.remove(KART, "nobody")
            with closing(redis_server.client()) as client:
                assert client.get(f"{key_of('kart')}:state") == b"!s"


async def test_a_lost_connection(redis_server: Node) -> None:
    """A connection that is lost is made again, and the board is taken for changed."""
    async with opened(redis_server.url) as writer, watching_kart(redis_server.url) as watcher:
        with closing(redis_server.client()) as client:
            assert client.client_kill_filter(_type="pubsub") == 1
        await watcher.told()
        await writer.submit(KART, Submission("v", 7))
        await watcher.until(scored(watcher.store, 7))


async def test_a_killed_server(redis_server: Node) -> None:
    """A server that was killed and is back tells again."""
    async with watching_kart(redis_server.url) as watcher:
        redis_server.kill()
        redis_server.start()
        await watcher.told()
        async with opened(redis_server.url) as writer:
            await writer.submit(KART, Submission("v", 7))
            await watcher.until(scored(watcher.store, 7))


async def test_a_mark_that_is_gone(redis_server: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that was not told, because what asks for it was lost, is found, and the connection is made anew."""
    monkeypatch.setattr(watching, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(watching, "GRACE_SECONDS", 0.05)
    async with watching_kart(redis_server.url) as watcher:
        with closing(redis_server.client()) as client:
            before = {each["id"] for each in client.client_list(_type="pubsub")}
            client.delete(f"{key_of('kart')}:state")
            while not before.isdisjoint(each["id"] for each in client.client_list(_type="pubsub")):
                await watcher.told()


async def test_definitions_are_looked_at(redis_server: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is told it is looked how the board is defined."""
    monkeypatch.setattr(watching, "CHECK_SECONDS", 0.05)
    async with opened(redis_server.url) as writer:
        await writer.define("kart", Definition(partitions=4))
    async with watching_kart(redis_server.url):
        with closing(redis_server.client()) as client:

            def looks() -> int:
                return int(client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"])

            before = looks()
            await asyncio.to_thread(until, lambda: looks() > before + 2, SECONDS)


async def test_nobody_listens_any_more(redis_server: Node) -> None:
    """Who watches no more listens to nothing, and may begin anew."""
    async with watching_kart(redis_server.url) as watcher:
        with closing(redis_server.client()) as client:
            channels = [f"{key_of('kart')}:changes".encode()]
            assert client.pubsub_shardchannels() == channels
            watcher.store.watch("kart", None)
            await asyncio.to_thread(until, lambda: not client.pubsub_shardchannels(), SECONDS)
            watcher.store.watch("kart", watcher.mark)
            await watcher.told()
            assert client.pubsub_shardchannels() == channels


async def test_what_is_no_redis() -> None:
    """A connection to what does not speak the protocol is given up, and an answer that nobody waits for is ignored."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+OK\r\n*3\r\n$8\r\nsmessage\r\n$1\r\nx\r\n$0\r\n\r\n?\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        listener, loop = Listener(), asyncio.get_running_loop()
        listener.told[b"y"] = told = asyncio.Event()
        await loop.create_connection(lambda: listener, *server.sockets[0].getsockname())
        await asyncio.wait_for(told.wait(), SECONDS)
        assert listener.is_lost
        with pytest.raises(ConnectionError):
            await listener.subscribe(b"x", told)
        listener.unsubscribe(b"y")
        assert not listener.told


async def test_channels_are_not_permitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If channels are not permitted, submits go on, the board is looked at again and again, and that is said."""
    monkeypatch.setattr(watching, "CHECK_SECONDS", 0.05)
    users = ["default off", "games on >secret ~laurels:* +@all resetchannels"]
    with running(tmp_path / "node", users=users) as node:
        url = node.url.replace("redis://", "redis://games:secret@")
        async with watching_kart(url) as watcher, opened(url) as writer:
            assert "&laurels:*" in watcher.store.warnings()[-1]
            for score in range(3):
                await writer.submit(KART, Submission("v", score))
            await watcher.until(scored(watcher.store, 2))


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 16), (16, 1)])
async def test_partitions(redis_server: Node, before: int, after: int) -> None:
    """A board is watched in all its partitions, also if they become others."""
    boards = {count: Board("world", Definition(partitions=count)) for count in (before, after)}
    async with opened(redis_server.url) as writer:
        await writer.define("world", boards[before].definition)
        async with watching_kart(redis_server.url, "world") as watcher:

            def sees(count: int, number: int) -> Callable[[], Awaitable[bool]]:
                async def see() -> bool:
                    return await watcher.store.count(boards[count]) == number

                return see

            for name in range(20):
                await writer.submit(boards[before], Submission(f"n{name}", name))
                await watcher.until(sees(before, name + 1))
            async for _ in writer.repartition("world", after, lambda _: None):
                pass
            await watcher.store.learn("world")
            for name in range(20, 40):
                await writer.submit(boards[after], Submission(f"n{name}", name))
                await watcher.until(sees(after, name + 1))


async def submit_at_last(store: RedisStore) -> float:
    """Submit scores of v until one is kept; return that."""
    for score in count(10):  # pragma: no branch - one is kept at last
        with suppress(StoreError):
            await store.submit(KART, Submission("v", score))
            break
        await asyncio.sleep(0.01)  # what is refused at once lets nothing else run
    return score


async def test_a_cluster(redis_cluster: Cluster) -> None:
    """In a cluster a board's own node tells; another that takes its place does so, too."""
    async with opened(redis_cluster.url) as writer, watching_kart(redis_cluster.url) as watcher:
        for score in (1, 2):
            await writer.submit(KART, Submission("v", score))
            await watcher.until(scored(watcher.store, score))
        redis_cluster.primary_of(slot_of(key_of("kart"))).kill()
        await watcher.told()
        await watcher.until(scored(watcher.store, await submit_at_last(writer)))


async def test_a_failover(redis_sentinels: Sentinels) -> None:
    """Who watches over Sentinels is told by the new primary."""
    async with opened(redis_sentinels.url) as writer, watching_kart(redis_sentinels.url) as watcher:
        redis_sentinels.primary.kill()
        await watcher.until(scored(watcher.store, await submit_at_last(writer)))


async def test_a_slot_that_moves(redis_cluster: Cluster) -> None:
    """The node that a board's slot is moved to tells from then on."""
    slot = slot_of(key_of("kart"))
    async with opened(redis_cluster.url) as writer, watching_kart(redis_cluster.url) as watcher:
        await writer.submit(KART, Submission("v", 1))
        source = redis_cluster.primary_of(slot)
        target = next(node for node in redis_cluster.nodes[:3] if node is not source)
        move_slot(redis_cluster, slot, source, target)
        await watcher.until(scored(watcher.store, 1))
        await writer.submit(KART, Submission("v", 2))
        await watcher.until(scored(watcher.store, 2))


def move_slot(cluster: Cluster, slot: int, source: Node, target: Node) -> None:
    """Move a slot with its keys to another node."""
    with closing(source.client()) as old, closing(target.client()) as new:
        ids = [client.execute_command("CLUSTER MYID").decode() for client in (old, new)]
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
        while keys := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for client in (new, old):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])
    until(lambda: cluster.primary_of(slot) is target)
