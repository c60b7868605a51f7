"""The store on Redis: the contract, on a real server."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import TYPE_CHECKING, get_args

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from redis.crc import key_slot

from laurels.clock import SECOND
from laurels.definition import Definition, Order
from laurels.errors import AnswerLost, DefinitionChanged, StoreUnavailable, SumUncertain
from laurels.stores.contract import Board, Feed, FullSubmission, IdempotencyKey, Standing, Submission
from laurels.stores.redis.keys import LARGEST, key_of
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.store import RedisStore
from tests.length import times
from tests.redis_servers import PROGRAMS
from tests.stores.conformance import LAPS, Conformance
from tests.stores.guarantees import KART, InTime, declare, shown
from tests.stores.machine import StoreMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from laurels.stores.contract import Store
    from tests.clock import Clock
    from tests.redis_servers import Node
    from tests.stores.guarantees import Kept

pytestmark = pytest.mark.anyio


async def until_ready(store: RedisStore) -> None:
    """Wait until a store has found out that its server is back."""
    while True:
        try:
            await store.ready()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
        else:
            return


SUMS = Board("sums", Definition(operator="increment"))


@pytest.fixture
def url(redis_server: Node) -> str:
    """Return where the server is."""
    return redis_server.url


@pytest.fixture
async def store(url: str) -> AsyncIterator[RedisStore]:
    """Open a store over an empty database."""
    opened = RedisStore(url, settings=RedisSettings(timeout=1))
    for board in (LAPS, SUMS):
        await opened.define(board.name, board.definition)
    yield opened
    await opened.close()


def keeping(url: str) -> Kept:
    """Return what reads a sorted set, past the store."""

    async def read(board: Board) -> dict[str, float]:
        skip = 0 if board.definition.ties == "name" else 12
        with closing(redis.Redis.from_url(url)) as client:
            found = client.zrange(key_of(board.name, board.window, board.period), 0, -1, withscores=True)
            return {name[skip:].decode(): score for name, score in found}

    return read


@pytest.mark.parametrize("redis_server", PROGRAMS, indirect=True)
class TestRedis(Conformance):
    """The store keeps the contract."""

    @pytest.fixture
    def kept(self, url: str) -> Kept:
        """Read the sorted set."""
        return keeping(url)


class TestRedisInTime(InTime):
    """It keeps what depends on time, by the clock of whoever asks."""

    @pytest.fixture
    async def store(self, url: str, clock: Clock) -> AsyncIterator[RedisStore]:
        """Open a store with a clock that the test sets."""
        opened = RedisStore(url, clock)
        yield opened
        await opened.close()

    @pytest.fixture
    def kept(self, url: str) -> Kept:
        """Read the sorted set."""
        return keeping(url)

    async def test_after_a_clock_that_went_back(self, store: Store, clock: Clock) -> None:
        """What is dated stands where its time is, also if what was submitted before was later by the clock of then."""
        board = await declare(store, Definition(ties="earliest"))
        await store.submit(board, Submission("a", 7))
        clock.turn(-3600)
        await store.submit(board, Submission("b", 7))
        await store.submit(board, FullSubmission("c", 7, None, round(clock.now * SECOND)))
        assert "".join(entry.name for entry in await store.page(board, 0, 9)) == "cab"


class RedisMachine(StoreMachine):
    """A store over a database that was emptied."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        with closing(redis.Redis.from_url(self.url)) as client:
            client.flushall()
        self.runner = asyncio.Runner()
        self.store = RedisStore(self.url, lambda: self.model.now)

    def teardown(self) -> None:
        """Close the store."""
        self.runner.run(self.store.close())
        self.runner.close()


def test_model(url: str) -> None:
    """The store does what dictionaries do, in any sequence of operations."""
    machine = type("Machine", (RedisMachine,), {"url": url})
    run_state_machine_as_test(machine, settings=settings(deadline=None, max_examples=times(40), stateful_step_count=30))


async def test_server_that_is_killed(store: RedisStore, redis_server: Node) -> None:
    """While there is no server nothing is counted, and it is said; when it is back, all is as it was."""
    await store.submit(KART, Submission("v", 1))
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await store.submit(KART, Submission("v", 2))
    with pytest.raises(StoreUnavailable):
        await store.standing(KART, "v")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.ready()
    redis_server.start()
    await until_ready(store)
    assert await store.standing(KART, "v") == Standing(1, 0)


async def test_server_that_hangs(store: RedisStore, redis_server: Node) -> None:
    """What gets no answer in time may have counted, and the error says so; a sum must not be sent again."""
    await store.submit(KART, Submission("v", 1))
    await store.submit(SUMS, Submission("v", 1))
    redis_server.stall()
    try:
        acts = store.submit(KART, Submission("v", 2)), store.submit(SUMS, Submission("v", 2))
        kinds = [type(each) for each in await asyncio.gather(*acts, return_exceptions=True)]
        assert kinds == [AnswerLost, SumUncertain]
    finally:
        redis_server.resume()
    await until_ready(store)
    assert await store.standing(KART, "w") is None


async def test_scripts_that_are_flushed(store: RedisStore, url: str) -> None:
    """A server that has forgotten the scripts gets them again; nothing is lost, and nothing is done twice."""
    for _ in range(3):
        await asyncio.gather(*(store.submit(SUMS, Submission("v", 1)) for _ in range(300)))
        with closing(redis.Redis.from_url(url)) as client:
            client.script_flush()
    assert await store.standing(SUMS, "v") == Standing(900, 0)


async def test_too_much_waits(url: str) -> None:
    """What is beyond the budget is refused at once, and the rest is answered."""
    store = RedisStore(url, settings=RedisSettings(waiting=10))
    results = await asyncio.gather(*(store.standing(KART, "v") for _ in range(12)), return_exceptions=True)
    assert [type(result) for result in results] == [*[type(None)] * 10, StoreUnavailable, StoreUnavailable]
    await store.close()


async def test_entries_of_other_programs(store: RedisStore, url: str) -> None:
    """A plain board is a plain sorted set, which other programs may write to."""
    await store.submit(KART, Submission("v", 1))
    with closing(redis.Redis.from_url(url)) as client:
        assert client.zrange("laurels:{mario-kart}", 0, -1, withscores=True) == [(b"v", 1)]
        client.zadd("laurels:{mario-kart}", {"w": 2})
    assert shown(await store.page(KART, 0, 9)) == [("w", 2, 0), ("v", 1, 1)]
    await store.submit(KART, Submission("w", 3))
    assert shown((await store.around(KART, "w", 1)) or []) == [("w", 3, 0), ("v", 1, 1)]
    assert await store.remove(KART, "w")


@pytest.mark.parametrize("partitions", [1, 2])
async def test_what_no_entry_of_ours_has(store: RedisStore, url: str, partitions: int) -> None:
    """A name that is no UTF-8 and scores without end, which other programs have put there, break no read."""
    board = Board("wide", Definition(partitions=partitions))
    await store.define(board.name, board.definition)
    await store.submit(board, Submission("v", 1))
    with closing(redis.Redis.from_url(url)) as client:
        key = "laurels:{wide}" if partitions == 1 else "laurels:{wide#1/2}"
        client.zadd(key, {b"\xffx": 2, "best": "inf", "worst": "-inf"})
        client.zadd(key, {b"\xff%d" % each: 2 for each in range(2000)})
    page = shown(await store.page(board, 0, 3000))
    assert page[:2] == [("best", LARGEST, 0), ("\ufffdx", 2, 1)]
    assert page[-1] == ("worst", -LARGEST, len(page) - 1)
    assert shown(await store.page(board, len(page) - 2, 3000)) == page[-2:]
    assert b'{"name":"\xef\xbf\xbdx","score":2}' in await store.page_json(board, 0, 9)
    around = shown(await store.around(board, "v", 1) or [])
    assert [name[:1] for name, *_ in around] == ["\ufffd", "v", "w"]
    summary = await store.summary(board)
    assert (summary.count, summary.best, summary.worst) == (len(page), LARGEST, -LARGEST)


async def test_cluster_that_is_not_there() -> None:
    """What is asked of a cluster of which no node answers fails, also right after the last attempt to reach one did."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        store = RedisStore(f"redis+cluster://127.0.0.1:{nobody.getsockname()[1]}")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await asyncio.wait_for(store.standing(KART, "v"), 10)
        await store.close()


class Passwords:
    """Has another password for each connection, and counts them."""

    asked = 0

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return the next."""
        self.asked += 1
        return "laurels", f"password-{self.asked}"


async def test_credentials_at_each_connection(url: str) -> None:
    """Each connection is made with what the credentials are at that moment; connections are made anew when told so."""
    passwords = Passwords()
    with closing(redis.Redis.from_url(url)) as client:
        client.acl_setuser(
            "laurels",
            enabled=True,
            reset=True,
            passwords=["+password-1", "+password-2"],
            categories=["+@all"],
            keys="*",
        )
        store = RedisStore(url, credentials=passwords)
        await store.ready()
        await store.standing(KART, "v")
        assert passwords.asked == 1
        await store.reconnect()
        await store.ready()
        assert passwords.asked == 2
        await store.reconnect()
        with pytest.raises(StoreUnavailable):
            await store.ready()
        await store.close()
        client.acl_deluser("laurels")


@pytest.mark.parametrize("name", ["}", "{", "a}b", "%7D", "a:b", "}{"])
async def test_one_slot(store: RedisStore, url: str, name: str) -> None:
    """All keys of a board are in one slot, whatever its name is, and no other board's."""
    definition = Definition(windows=("daily",), ranking="dense", ties="earliest")
    await store.define(name, definition)
    board = Board(name, definition, feeds=(Feed("daily", "2026-11-22"),))
    await store.submit(board, Submission("v", 1), IdempotencyKey(b"1" * 16, b"a" * 16))
    with closing(redis.Redis.from_url(url)) as client:
        keys = [key for key in client.keys("laurels:*") if key_of(name).encode() in key]
        assert len({key_slot(key) for key in keys}) == 1
        assert {key for key in client.keys("*") if not key.startswith(b"laurels:")} == set()
    assert (len(keys), await store.names()) == (11, [name])


@pytest.mark.parametrize("order", get_args(Order))
async def test_large_batches(store: RedisStore, order: Order) -> None:
    """A batch of more entries than one command takes counts as its entries do one by one, and so does what follows."""
    board = await declare(store, Definition(order=order, operator="best"))
    first, then = ({f"v{each}": each * step % 1009 for each in range(2_500)} for step in (7, 13))
    for scores in (first, then):
        assert await store.submit(board, [Submission(name, score) for name, score in scores.items()]) is None
    best = max if order == "descending" else min
    page = await store.page(board, 0, 3_000)
    assert {entry.name: entry.score for entry in page} == {name: best(first[name], then[name]) for name in first}


async def test_batch_by_an_old_definition(store: RedisStore, url: str) -> None:
    """A process that has not heard of a definition submits a batch to nothing, and is told; another time it counts."""
    other = RedisStore(url)
    entries = [Submission("v", 7), Submission("w", 5)]
    await other.submit(KART, entries)
    defined = await declare(store, Definition(ranking="dense"), KART.name)
    with pytest.raises(DefinitionChanged):
        await other.submit(KART, [Submission("v", 1), Submission("w", 1)])
    assert await store.standing(defined, "v") == Standing(7, 0)
    await other.close()
