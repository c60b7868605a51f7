"""Boards of several partitions, on a real server: the contract, except that an answer is of one moment."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import wraps
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test
from msgspec import structs

from laurels.boards import Boards
from laurels.definition import BoardsFile, Bounds, Definition
from laurels.errors import AnswerLost, DefinitionChanged, DefinitionConflict, StoreUnavailable, SumUncertain
from laurels.stores.contract import Board, FullSubmission, IdempotencyKey, Standing, Submission
from laurels.stores.redis import partitions
from laurels.stores.redis.cluster import slot_of
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.partitions import partition_of
from laurels.stores.redis.relocation import partition
from laurels.stores.redis.store import RedisStore
from tests.stores.conformance import LAPS, Conformance
from tests.stores.guarantees import declare
from tests.stores.machine import DEFINITIONS, NAMES, StoreMachine
from tests.stores.model import Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from laurels.definition import Operator, Order
    from tests.clock import Clock
    from tests.redis_servers import Cluster, Node
    from tests.stores.guarantees import Kept

T = TypeVar("T")
pytestmark = pytest.mark.anyio


def spread(of: Definition, count: int) -> Definition:
    """Return a definition with so many partitions, if it may have any."""
    if of.ties != "name" or of.ranking == "dense" or of.ttl:
        return of
    return structs.replace(of, partitions=count)


class SpreadStore(RedisStore):
    """A store that spreads every board that it is asked for."""

    partitions = 4

    async def define(self, name: str, definition: Definition) -> None:
        """Spread it."""
        await super().define(name, spread(definition, self.partitions))

    async def definitions(self) -> Mapping[str, Definition]:
        """Return them as they were before they were spread."""
        return {name: structs.replace(each, partitions=1) for name, each in (await super().definitions()).items()}

    async def declare(self, definitions: Mapping[str, Definition], default: Definition) -> None:
        """Spread them."""
        every = {name: spread(each, self.partitions) for name, each in definitions.items()}
        await super().declare(every, spread(default, self.partitions))


def _spread_first(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def spreads(self: SpreadStore, *arguments: Any, **options: Any) -> Any:
        return method(self, *(_spread(each, self.partitions) for each in arguments), **options)

    return spreads


def _spread(argument: Any, count: int) -> Any:
    """Return an argument of the contract with its boards spread, periods of a board, too."""
    if isinstance(argument, Board):
        of = argument.definition
        return argument if "\n" in argument.name else structs.replace(argument, definition=spread(of, count))
    if isinstance(argument, list) and argument and isinstance(argument[0], Board):
        return [_spread(each, count) for each in argument]
    return argument


_READS = (
    "standing standing_in_full page page_json count around entries_named entries_between_scores entries_after summary "
    "place hidden"
)
_WRITES = "submit recall set_metadata remove drop hide show make_run held held_entry release reject periods"
for _name in f"{_READS} {_WRITES}".split(" "):
    setattr(SpreadStore, _name, _spread_first(getattr(RedisStore, _name)))


@pytest.fixture
def url(redis_server: Node) -> str:
    """Return where the server is."""
    return redis_server.url


@pytest.fixture(params=[4, 16], ids="K{}".format)
async def store(request: pytest.FixtureRequest, url: str, clock: Clock) -> AsyncIterator[SpreadStore]:
    """Open a store over an empty database."""
    opened = SpreadStore(url, lambda: clock.now)
    opened.partitions = request.param
    await opened.declare({LAPS.name: LAPS.definition}, Definition())
    yield opened
    await opened.close()


class TestPartitions(Conformance):
    """The store keeps the contract while nobody else writes."""

    @pytest.fixture
    def kept(self, url: str, store: SpreadStore) -> Kept:
        """Read the sorted sets."""

        async def read(board: Board) -> dict[str, float]:
            found: dict[str, float] = {}
            where = structs.replace(board, definition=spread(board.definition, store.partitions))
            skip = 0 if board.definition.ties == "name" else 12
            with closing(redis.Redis.from_url(url)) as client:
                for each in (
                    [partition(where, at) for at in range(store.partitions)]
                    if where.definition.partitions > 1
                    else [where]
                ):
                    key = key_of(each.name, each.window, each.period)
                    pairs = client.zrange(key, 0, -1, withscores=True)
                    found |= {name[skip:].decode(): score for name, score in pairs}
            return found

        return read

    async def test_ranking_changes_freely(self, store: SpreadStore) -> None:  # type: ignore[override]
        """A ranking that partitions can have may change while there are entries."""
        board = await declare(store, Definition())
        await store.submit(board, [Submission("v", 7), Submission("w", 7), Submission("x", 1)])
        board = await declare(store, Definition(ranking="competition"))
        assert await store.standing(board, "x") == Standing(1, 2)


def unpruned(board: Board) -> Board:
    """Return a board that keeps all periods: each partition removes its own, and the model knows none."""
    return structs.replace(board, feeds=tuple(structs.replace(feed, oldest="") for feed in board.feeds))


class UnprunedModel(Model):
    """Boards that keep all periods."""

    def board(self, name: str, *, day: int | None = None) -> Board:
        """Return a board that keeps all periods."""
        return unpruned(super().board(name, day=day))


class SpreadMachine(StoreMachine):
    """A store over a database that was emptied, whose boards are all spread."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        with closing(redis.Redis.from_url(self.url)) as client:
            client.flushall()
        self.runner = asyncio.Runner()
        self.model = UnprunedModel()
        self.store = SpreadStore(self.url, lambda: self.model.now)
        self.runner.run(self.store.declare({}, self.model.default))

    def dated(self, board: Board, entry: T) -> T:
        """Return an entry with the periods of its time."""
        entry = super().dated(board, entry)
        if isinstance(entry, FullSubmission):
            entry = structs.replace(entry, feeds=unpruned(structs.replace(board, feeds=entry.feeds)).feeds)
        return entry

    def once(self, key: bytes | None, *request: object) -> IdempotencyKey | None:
        """Return what makes a submit count once; a key belongs to a board and a name, as it does over HTTP."""
        who = getattr(request[1], "name", "")
        once = super().once(key, *request)
        return once and IdempotencyKey(
            blake2b(f"{who}".encode(), key=once.key, digest_size=16).digest(), once.fingerprint
        )

    @rule(name=NAMES, definition=DEFINITIONS)
    def define(self, name: str, definition: Definition) -> None:
        """Define a board as one with partitions can be."""
        ranking = "competition" if definition.ranking == "dense" else definition.ranking
        super().define(name, structs.replace(definition, ties="name", ranking=ranking, ttl=None))

    def teardown(self) -> None:
        """Close the store."""
        self.runner.run(self.store.close())
        self.runner.close()


def test_model(url: str) -> None:
    """Boards of partitions do what dictionaries do, in any sequence of operations."""
    machine = type("Machine", (SpreadMachine,), {"url": url})
    run_state_machine_as_test(machine, settings=settings(deadline=None, max_examples=30, stateful_step_count=25))


@pytest.fixture
async def plain(url: str) -> AsyncIterator[RedisStore]:
    """Open a store with one board of eight partitions."""
    opened = RedisStore(url)
    await opened.define(WORLD.name, WORLD.definition)
    yield opened
    await opened.close()


WORLD = Board("world", Definition(partitions=8))


async def fill(store: RedisStore, board: Board, names: Sequence[str]) -> list[tuple[str, float]]:
    """Give names scores of which many are equal, and return them in the board's order."""
    entries = [(name, float(crc32(name.encode()[::-1]) % 97)) for name in names]
    for start in range(0, len(entries), 1000):
        await store.submit(board, [Submission(*each) for each in entries[start : start + 1000]])
    return sorted(entries, key=lambda each: (each[1], each[0]), reverse=board.definition.order == "descending")


def on_one_partition(count: int) -> list[str]:
    """Return names that somebody chose so that all are on one partition."""
    return list(islice((f"n{at}" for at in range(10**6) if partition_of(f"n{at}", 8) == 3), count))


@pytest.mark.parametrize("order", ["descending", "ascending"])
@pytest.mark.parametrize("names", [[f"n{at}" for at in range(3000)], on_one_partition(2000)], ids=["even", "skewed"])
async def test_deep_pages(plain: RedisStore, monkeypatch: pytest.MonkeyPatch, names: list[str], order: Order) -> None:
    """A page anywhere is that of the sorted list, also where splits have to be found, however names are spread."""
    monkeypatch.setattr(partitions, "READ_AT_ONCE", 30)
    board = Board("deep", Definition(partitions=8, order=order, ranking="competition"))
    await plain.define(board.name, board.definition)
    entries = await fill(plain, board, names)
    for start in (0, 31, 500, 1234, len(names) - 3, len(names), 10**9):
        found = await plain.page(board, start, start + 20)
        assert [(each.name, each.score) for each in found] == entries[start : start + 20]
        for each in found:
            assert each.rank == [score for _, score in entries].index(each.score)
    middle = entries[1000][0]
    around = await plain.around(board, middle, 300)
    assert [each.name for each in around or ()] == [name for name, _ in entries[700:1301]]


async def test_where_a_name_is(plain: RedisStore, url: str) -> None:
    """Any client can tell where a name is; no other board has these keys, and the list has the board once."""
    await plain.submit(WORLD, [Submission("v", 1), Submission("silverhand", 2)])
    await plain.submit(Board("world#1/8"), Submission("v", 3))
    with closing(redis.Redis.from_url(url)) as client:
        assert client.zscore(f"laurels:{{world#{crc32(b'v') % 8}/8}}", "v") == 1
        assert client.zscore("laurels:{world%231/8}", "v") == 3
        assert not client.exists("laurels:{world}")
    assert await plain.names() == ["world", "world#1/8"]
    assert await plain.names("world") == ["world#1/8"]
    assert await plain.names(limit=1) == ["world"]


async def test_partitions_that_are_forgotten(plain: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of partitions is bounded, also for boards that are none; what is forgotten is asked for again."""
    monkeypatch.setattr("laurels.stores.redis.definitions.PARTITIONS_KNOWN", 10)
    boards = Boards(plain, BoardsFile(default=Definition(partitions=4)))
    await boards.declare()
    for expected in (1, 2):
        for number in range(8):
            await boards.submit(f"b{number}", Submission(f"v{expected}", 1))
            assert await boards.count(boards.board(f"b{number}")) == expected
            assert await boards.count(boards.board(f"none{number}")) == 0
            assert len(plain._definitions._partitions) <= 10  # noqa: SLF001 - nothing reports it
            assert len(plain._definitions._boards) <= 16  # noqa: SLF001 - nothing reports it


async def test_other_number_of_partitions(plain: RedisStore, url: str) -> None:
    """While a board has entries their partitions stay; then nobody goes on with those that it has no more."""
    other = RedisStore(url)
    await plain.submit(WORLD, Submission("v", 1))
    await other.learn("world")
    assert await other.standing(WORLD, "v") == Standing(1, 0)
    fewer = Definition(partitions=3)
    with pytest.raises(DefinitionConflict, match="its entries are in 8 partitions, not 3"):
        await plain.define("world", fewer)
    await plain.drop(WORLD)
    await plain.define("world", fewer)
    for act in (other.submit(WORLD, Submission("v", 2)), other.standing(WORLD, "v"), other.page(WORLD, 0, 9)):
        with pytest.raises(DefinitionChanged):
            await act
    await other.submit(Board("world", fewer), Submission("v", 2))
    assert await plain.standing(Board("world", fewer), "v") == Standing(2, 0)
    await other.close()


async def test_definition_that_was_changed_by_half(plain: RedisStore, url: str) -> None:
    """Who was killed before all partitions had a definition is followed by the next act, which completes it."""
    await plain.submit(WORLD, [Submission(f"n{at}", at) for at in range(20)])
    with closing(redis.Redis.from_url(url)) as client:
        before = {key: client.get(key) for key in client.keys("laurels:{world#*/8}:state")}
        board = Board("world", Definition(partitions=8, operator="latest", scores=Bounds(max=100)))
        await plain.define("world", board.definition)
        client.mset(before)
    other = RedisStore(url)
    await other.learn("world")
    assert len(await other.page(board, 0, 99)) == 20
    await other.submit(board, Submission("n3", 50))
    assert await other.standing(board, "n3") == Standing(50, 0)
    await other.close()


async def test_batch_of_which_half_was_kept(plain: RedisStore, url: str) -> None:
    """A retry with the key keeps what is missing, and nothing twice."""
    sums = Board("sums", Definition(partitions=8, operator="increment"))
    await plain.define(sums.name, sums.definition)
    key = IdempotencyKey(b"k" * 16, b"f" * 16)
    batch = [Submission(f"n{at}", 1) for at in range(40)]
    await plain.submit(sums, batch, key)
    lost = partition(sums, 5)
    with closing(redis.Redis.from_url(url)) as client:  # as if the server had been down for one partition
        client.delete(f"{key_of(lost.name)}:key:{key.key.hex()}", key_of(lost.name), f"{key_of(lost.name)}:entries")
    await plain.submit(sums, batch, key)
    assert {entry.score for entry in await plain.page(sums, 0, 99)} == {1}
    assert await plain.count(sums) == 40


async def test_ranks_while_others_write(plain: RedisStore, url: str) -> None:
    """A rank lies between the sum of the least and of the greatest counts that the partitions had meanwhile."""
    names = [f"n{at}" for at in range(200)]
    await plain.submit(WORLD, [*(Submission(name, 1) for name in names), Submission("v", 5)])
    writer = RedisStore(url)
    await writer.learn("world")
    counts, above = [[0] * 8, [0] * 8], set[str]()

    async def write() -> None:
        for at in range(400):
            name = names[at * 7 % 200]
            above.symmetric_difference_update({name})
            counts.append([sum(partition_of(each, 8) == part for each in above) for part in range(8)])
            await writer.submit(WORLD, Submission(name, 9 if name in above else 1))

    async def read() -> None:
        while not writing.done():
            first = len(counts) - 2  # the last write may not be there yet
            found = await plain.standing(WORLD, "v")
            each = list(zip(*counts[first:], strict=True))
            assert found is not None
            assert sum(map(min, each)) <= (found.rank or 0) <= sum(map(max, each))

    writing = asyncio.ensure_future(write())
    await asyncio.gather(writing, *(read() for _ in range(4)))
    assert await plain.standing(WORLD, "v") == Standing(5, len(above))
    await writer.close()


async def test_over_a_cluster(redis_cluster: Cluster) -> None:
    """Partitions are on several nodes, and answers are of all."""
    store = RedisStore(redis_cluster.url)
    await store.define(WORLD.name, WORLD.definition)
    assert len({redis_cluster.primary_of(slot_of(key_of(partition(WORLD, at).name))) for at in range(8)}) > 1
    entries = await fill(store, WORLD, [f"n{at}" for at in range(300)])
    assert [(each.name, each.score) for each in await store.page(WORLD, 100, 200)] == entries[100:200]
    assert await store.standing(WORLD, entries[250][0]) == Standing(entries[250][1], 250)
    assert (await store.summary(WORLD)).count == 300
    assert await store.names() == ["world"]
    await store.close()


async def test_partition_that_fails(plain: RedisStore, url: str) -> None:
    """If some partitions alone have kept a batch, the error says so, and that sums must not be sent again."""
    batch = [Submission(f"n{at}", 1) for at in range(40)]
    operators: list[Operator] = ["increment", "latest"]
    for operator in operators:
        board = Board(operator, Definition(partitions=8, operator=operator))
        await plain.define(board.name, board.definition)
        with closing(redis.Redis.from_url(url)) as client:
            client.set(key_of(partition(board, 5).name), "no sorted set")
        with pytest.raises(AnswerLost, match="part of the batch") as raised:
            await plain.submit(board, batch)
        assert isinstance(raised.value, SumUncertain) == (operator == "increment")
        assert "Nothing was counted" not in str(raised.value)


async def test_key_that_is_used_again(url: str, clock: Clock) -> None:
    """A key whose time is over is as new, and so are the ranks that are told of it."""
    store = RedisStore(url, lambda: clock.now)
    await store.define(WORLD.name, WORLD.definition)
    key = IdempotencyKey(b"k" * 16, b"f" * 16)
    ranks = []
    for other in ("a", "b"):
        await store.submit(WORLD, Submission(other, 9))
        for _ in range(2):
            result = await store.submit(WORLD, Submission("v", 5), key, want_changes=True)
            ranks += [change.current.rank for change in result.changes] if result else []
            await store.submit(WORLD, Submission(f"{other}-later", 9))
        clock.now += 90_000
    assert ranks == [1, 1, 3, 3]
    await store.close()


async def test_counts_that_are_over(plain: RedisStore) -> None:
    """A page of entries that others have removed since they were counted is empty, and no endless search."""
    search = plain._partitions._find_split  # noqa: SLF001 - others would have to remove between two reads
    assert await search(WORLD, [1000] * 8, 5000) == [0] * 8
    assert await search(WORLD, [0] * 8, 5000) == [0] * 8


async def test_definition_that_changes_all_the_time(plain: RedisStore) -> None:
    """An act that is refused again and again ends."""

    async def act(_: Board) -> None:
        raise DefinitionChanged("world")

    with pytest.raises(StoreUnavailable, match="all the time"):
        await plain._partitions._at(WORLD, 0, act)  # noqa: SLF001 - nobody defines that often
