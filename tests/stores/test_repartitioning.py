"""Boards whose entries are moved to another number of partitions, while others read and write."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import aclosing, closing, suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
import redis

from laurels.boards import Boards
from laurels.definition import Definition, Guard, Runs
from laurels.errors import DefinitionConflict, RunRefused
from laurels.stores.contract import Board, Feed, FullSubmission, HiddenStanding, IdempotencyKey, Standing, Submission
from laurels.stores.redis import relocation
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.relocation import partition
from laurels.stores.redis.store import RedisStore
from tests.cli.conftest import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis_servers import Cluster, Node

pytestmark = pytest.mark.anyio
SUMS = Definition(operator="increment")


class Killed(Exception):
    """The process is gone."""


class Mortal(RedisStore):
    """A store whose process is killed after some acts: before the next one, so that this is never sent."""

    left = 10**9

    async def _act(self, *words: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return await super()._act(*words)


@pytest.fixture
async def store(redis_server: Node, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisStore]:
    """Open a store, which moves few names at once."""
    monkeypatch.setattr(relocation, "AT_ONCE", 7)
    opened = RedisStore(redis_server.url)
    yield opened
    await opened.close()


async def move(store: RedisStore, name: str, count: int) -> list[tuple[int, int]]:
    """Move all, and return the progress."""
    return [step async for step in store.repartition(name, count, lambda _: None)]


async def begin(store: RedisStore, name: str, count: int, steps: int = 1) -> None:
    """Move some entries, and leave it there."""
    async with aclosing(store.repartition(name, count, lambda _: None)) as moving:
        for _ in range(steps):
            await anext(moving)


async def board_of(store: RedisStore, name: str) -> Board:
    """Return a board as Redis has it."""
    await store.learn(name)
    return Board(name, (await store.definitions())[name])


@pytest.mark.parametrize(("old", "new"), [(1, 4), (4, 3), (3, 1), (2, 16)], ids=str)
async def test_all_that_is_kept_moves(store: RedisStore, redis_server: Node, old: int, new: int) -> None:
    """Entries move with their details, periods, hidden names, held scores and meters; half-way all is there once."""
    guard = Guard(hold_above=900, per_player="9/h")
    definition = Definition(windows=("daily",), guard=guard, partitions=old, ranking="competition")
    await store.define("kart", definition)
    board = Board("kart", definition, feeds=(Feed("daily", "2026-11-22"),))
    await store.submit(board, [Submission(f"n{at}", at % 50, b"%d" % at) for at in range(100)])
    await store.submit(board, Submission("n7", 950))
    await store.hide(board, "n8")
    await store.hide(board, "nobody")

    async def look(board: Board) -> list[Any]:
        day = Board("kart", board.definition, "daily", "2026-11-22")
        return [
            await store.page(board, 0, 999, with_metadata=True),
            [(each.name, each.score, each.metadata) for each in await store.page(day, 0, 999, with_metadata=True)],
            await store.held(board),
            await store.hidden(board),
            [await store.standing(board, name) for name in ("n8", "n7", "nobody", "x")],
            await store.entries_named(board, [f"n{at}" for at in range(0, 100, 9)]),
            await store.around(board, "n9", 5),
            await store.names(),
        ]

    before = await look(board)
    assert before[4][0] == HiddenStanding(8)
    await begin(store, "kart", new, 2)
    there = await board_of(store, "kart")
    assert there.definition.partitions == new
    half = await look(there)
    assert [each.name for each in half[0]] == [each.name for each in before[0]]
    assert half[1:5] == before[1:5]
    assert (await move(store, "kart", new))[-1][1] == 0
    assert await look(await board_of(store, "kart")) == before
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        of_old = [key_of(partition(board, at, old).name) for at in range(old)]
        left = {key for start in of_old for key in client.keys(f"{start}*")}
        ends = (b":state", b":definition", b":moves", b":clock")
        assert {key for key in left if not key.endswith(ends)} == set() or new == 1
        assert len(client.keys("laurels:*:meter:*")) == 100
    assert await move(store, "kart", new) == []


class Load:
    """Services that submit and read while entries are moved."""

    def __init__(self, url: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.stores = [RedisStore(url) for _ in range(4)]
        self.sent = {f"n{at}": 1 for at in range(60)}
        self.is_over = False

    async def __aenter__(self) -> Self:
        """Begin, with a score for each name."""
        every = [Boards(each) for each in self.stores]
        for boards in every:
            await boards.declare()
        for name in self.sent:
            await every[0].submit("sums", Submission(name, 1), f"{name}-1")
        acts = zip((self.write, self.write, self.read, self.read), every, strict=True)
        self.busy = [asyncio.ensure_future(act(boards)) for act, boards in acts]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End; raise what one of them raised."""
        self.is_over = True
        await asyncio.gather(*self.busy)
        for each in self.stores:
            await each.close()

    async def write(self, boards: Boards) -> None:
        """Add to sums, some twice with the same key, as after an answer that was lost."""
        while not self.is_over:
            if self.chance.random() < 0.3:
                names = self.chance.sample(list(self.sent), 9)
                for name in names:
                    self.sent[name] += 1
                assert await boards.submit_many("sums", [Submission(name, 1) for name in names]) == []
            name = self.chance.choice(list(self.sent))
            self.sent[name] += 1
            key = f"{name}-{self.sent[name]}"
            for _ in range(self.chance.choice([1, 1, 1, 2])):
                await boards.submit("sums", Submission(name, 1), key)

    async def read(self, boards: Boards) -> None:
        """Find each name once, on a page and alone."""
        while not self.is_over:
            found = await boards.page(boards.board("sums"), 0, 999)
            assert sorted(entry.name for entry in found.entries) == sorted(self.sent)
            name = self.chance.choice(list(self.sent))
            assert await boards.standing(boards.board("sums"), name) is not None


@pytest.mark.parametrize("seed", range(3))
async def test_under_load_with_kills(store: RedisStore, redis_server: Node, seed: int) -> None:
    """While K goes 1, 4, 3, 1, and whoever moves is killed at any act, sums are exact, and each name is there once."""
    await store.define("sums", SUMS)
    async with Load(redis_server.url, seed) as load:
        for count in (4, 3, 1):
            for _ in range(20):
                killed = Mortal(redis_server.url)
                killed.left = load.chance.randrange(12)
                with suppress(Killed):
                    await move(killed, "sums", count)
                await killed.close()
            await move(store, "sums", count)
    board = await board_of(store, "sums")
    assert {entry.name: entry.score for entry in await store.page(board, 0, 999)} == load.sent
    assert await store.count(board) == len(load.sent)


async def test_acts_while_entries_are_moved(store: RedisStore) -> None:
    """What concerns a name moves it first; what removes all leaves nothing, and nothing comes after."""
    await store.define("sums", SUMS)
    await store.submit(Board("sums", SUMS), [Submission(f"n{at}", at) for at in range(40)])
    await begin(store, "sums", 4)
    board = await board_of(store, "sums")
    await store.submit(board, Submission("n30", 1))
    assert await store.standing(board, "n30") == Standing(31, 9)
    assert await store.remove(board, "n31")
    assert await store.set_metadata(board, "n32", b"1")
    change = await store.submit(board, Submission("n33", 100), want_changes=True)
    assert change is not None
    assert change.changes[0].current == Standing(133, 0)
    await store.submit(board, [Submission(f"n{at}", 1000) for at in range(36, 44)])
    assert await store.count(board) == 43
    assert await store.drop(board)
    assert not await store.drop(board)
    assert (await store.page(board, 0, 9), await store.count(board)) == ([], 0)
    assert (await move(store, "sums", 4))[-1] == (0, 0)


async def test_one_number_at_a_time(store: RedisStore) -> None:
    """While entries are moved to one number they cannot be moved to another, nor the board be defined with it."""
    await store.define("sums", SUMS)
    await store.submit(Board("sums", SUMS), [Submission(f"n{at}", at) for at in range(20)])
    await begin(store, "sums", 4)
    with pytest.raises(DefinitionConflict, match="finish that with laurels boards repartition sums 4"):
        await move(store, "sums", 3)
    with pytest.raises(DefinitionConflict, match="being moved to 4 partitions"):
        await store.define("sums", SUMS)
    bounded = Definition(operator="increment", partitions=4, keep={})
    await store.define("sums", bounded)
    await move(store, "sums", 4)
    assert await store.count(Board("sums", bounded)) == 20


async def test_keys_that_were_used_before(store: RedisStore) -> None:
    """A retry counts once, also if the board has been moved since: alone, and in a batch of which half was kept."""
    board = Board("sums", SUMS)
    await store.define("sums", SUMS)
    one, many = IdempotencyKey(b"1" * 16, b"a" * 16), IdempotencyKey(b"2" * 16, b"b" * 16)
    first = await store.submit(board, Submission("v", 1), one, want_changes=True)
    batch = [Submission(f"n{at}", 1) for at in range(20)]
    await store.submit(board, batch, many)
    for count in (4, 3, 1):
        await begin(store, "sums", count)
        board = await board_of(store, "sums")
        assert await store.submit(board, Submission("v", 1), one, want_changes=True) == first
        await move(store, "sums", count)
        board = await board_of(store, "sums")
        await store.submit(board, batch, many)
        assert await store.submit(board, Submission("v", 1), one, want_changes=True) == first
    assert {entry.score for entry in await store.page(board, 0, 99)} == {1}


async def test_runs_that_were_used_before(store: RedisStore) -> None:
    """A run is used up for ever, wherever the board is."""
    definition = Definition(guard=Guard(runs=Runs()))
    board = Board("kart", definition)
    await store.define("kart", definition)
    run = await store.make_run(board, "v")
    fresh = await store.make_run(board, "v")
    await store.submit(board, FullSubmission("v", 1, run=run.run))
    for count in (4, 1):
        await move(store, "kart", count)
        board = await board_of(store, "kart")
        with pytest.raises(RunRefused):
            await store.submit(board, FullSubmission("v", 2, run=run.run))
    await store.submit(board, FullSubmission("v", 3, run=fresh.run))
    assert await store.standing(board, "v") == Standing(3, 0)


def test_command(redis_server: Node) -> None:
    """The command says what it has done, refuses what a board cannot be, and has nothing to do when it is done."""

    async def fill() -> None:
        store = RedisStore(redis_server.url)
        await store.define("sums", SUMS)
        await store.define("timed", Definition(ties="earliest"))
        await store.submit(Board("sums", SUMS), [Submission(f"n{at}", at) for at in range(20)])
        await store.close()

    asyncio.run(fill())
    command = ("boards", "repartition", "--store", redis_server.url)
    assert "sums is spread over 4 partitions, 20 names moved" in run("", *command, "sums", "4").stdout
    again = run("", *command, "sums", "4", "--json")
    assert json.loads(again.stdout) == {"board": "sums", "partitions": 4, "moved": 0}
    refused = run("", *command, "timed", "4")
    assert (refused.exit_code, "share no clock" in refused.stderr) == (1, True)


async def test_over_a_cluster(redis_cluster: Cluster) -> None:
    """Entries move between nodes."""
    store = RedisStore(redis_cluster.url)
    await store.define("sums", SUMS)
    await store.submit(Board("sums", SUMS), [Submission(f"n{at}", at) for at in range(300)])
    await begin(store, "sums", 5)
    board = await board_of(store, "sums")
    await store.submit(board, FullSubmission("n299", 1000))
    assert [each.name for each in await store.page(board, 0, 3)] == ["n299", "n298", "n297"]
    await move(store, "sums", 5)
    board = await board_of(store, "sums")
    assert await store.count(board) == 300
    await store.close()
