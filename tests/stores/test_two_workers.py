"""Two processes over one Redis: what one defines, hides or keeps is the other's at once."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from laurels.boards import Boards
from laurels.definition import BoardsFile, Bounds, Definition, Guard, Runs
from laurels.errors import BadParameter, DefinitionConflict, NotDeclared, NotDefined, ScoreRefused, StoreUnavailable
from laurels.stores.contract import FullSubmission, HiddenStanding, Standing, Submission
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.store import RedisStore
from tests.stores.guarantees import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis_servers import Node

pytestmark = pytest.mark.anyio
Two = tuple[Boards, Boards]


@pytest.fixture
async def two(redis_server: Node) -> AsyncIterator[Two]:
    """Open the boards of two processes."""
    stores = [RedisStore(redis_server.url) for _ in range(2)]
    first, second = [Boards(store) for store in stores]
    for boards in (first, second):
        await boards.declare()
    yield first, second
    for store in stores:
        await store.close()


async def test_definition(two: Two) -> None:
    """A board is what the other process has made of it: in submits, reads, periods and descriptions."""
    first, second = two
    await first.submit("kart", Submission("v", 5))
    await second.submit("kart", Submission("w", 7))
    await first.drop(first.board("kart"))
    await first.define("kart", Definition(operator="increment", order="ascending", windows=("daily",)))
    for _ in range(2):
        await second.submit("kart", Submission("v", 5))
    assert await first.standing(first.board("kart"), "v") == Standing(10, 0)
    today = await second.find_period("kart", "daily", None)
    assert await second.standing(today, "v") == Standing(10, 0)
    assert (await second.definition("kart")).operator == "increment"
    assert await second.names("", 9) == ["kart"]


async def test_windows_that_changed(two: Two) -> None:
    """Standings in windows are named by the definition by which they were read."""
    first, second = two
    await first.define("kart", Definition(windows=("daily", "weekly")))
    await second.submit("kart", Submission("v", 5))
    known = second.board("kart")
    await first.drop(first.board("kart"))
    await first.define("kart", Definition(windows=("weekly",)))
    await first.submit("kart", Submission("v", 7))
    found = await second.standing_in_full(known, "v", with_windows=True)
    assert (found.window_names, found.windows) == (("weekly",), [Standing(7, 0)])


@pytest.mark.parametrize("has_submitted", [False, True])
async def test_rules_that_refused(two: Two, has_submitted: bool) -> None:  # noqa: FBT001
    """What the old definition refuses, and what it would have taken, goes by the new one."""
    first, second = two
    await first.define("kart", Definition(scores=Bounds(max=10)))
    if has_submitted:
        await second.submit("kart", Submission("w", 1))
    with pytest.raises(ScoreRefused):
        await second.submit("kart", Submission("v", 11))
    await first.define("kart", Definition(scores=Bounds(max=20)))
    await second.submit("kart", Submission("v", 11))
    await first.define("kart", Definition(scores=Bounds(max=15)))
    with pytest.raises(ScoreRefused):
        await second.submit("kart", Submission("v", 16))
    assert len(await second.submit_many("kart", [Submission("v", 16), Submission("w", 17)])) == 2
    await first.undefine("kart")
    assert await second.submit_many("kart", [Submission("v", 16)]) == []
    assert shown((await first.page(first.board("kart"), 0, 1)).entries) == [("v", 16, 0)]


async def test_windows_that_came_and_went(two: Two) -> None:
    """A window that the other process has added is there, and one that it has taken away is not."""
    first, second = two
    with pytest.raises(BadParameter):
        await second.find_period("kart", "daily", None)
    await first.define("kart", Definition(windows=("daily",)))
    assert await second.count(await second.find_period("kart", "daily", None)) == 0
    await first.undefine("kart")
    with pytest.raises(NotDefined):
        await second.definition("kart")
    assert await second.names("", 9) == []


async def test_contradictions(two: Two) -> None:
    """Entries that the other process has kept contradict a definition."""
    first, second = two
    await second.submit("kart", Submission("v", 5))
    with pytest.raises(DefinitionConflict, match="order"):
        await first.define("kart", Definition(order="ascending"))
    await second.drop(second.board("kart"))
    assert await first.define("kart", Definition(order="ascending"))
    assert not await second.define("kart", Definition(order="descending"))


async def test_hidden_names(two: Two) -> None:
    """A name that one process hides is hidden in the other, whose submits go on."""
    first, second = two
    await second.submit("kart", Submission("v", 5))
    await first.hide("kart", "v")
    await second.submit("kart", Submission("v", 6))
    assert await second.count(second.board("kart")) == 0
    assert await second.standing(second.board("kart"), "v") == HiddenStanding(6)
    assert await second.show("kart", "v")
    assert await first.standing(first.board("kart"), "v") == Standing(6, 0)


async def test_keys(two: Two) -> None:
    """A key counts once, whichever process gets the retry."""
    first, second = two
    await first.define("kart", Definition(operator="increment"))
    for boards in (first, second, first):
        await boards.submit("kart", Submission("v", 5), "key")
    assert await second.standing(second.board("kart"), "v") == Standing(5, 0)


async def test_guard(two: Two) -> None:
    """A guard that one process sets holds what comes by the other."""
    first, second = two
    await second.submit("kart", Submission("v", 5))
    await first.define("kart", Definition(guard=Guard(hold_above=100)))
    await second.submit("kart", Submission("v", 500))
    assert await first.standing(first.board("kart"), "v") == Standing(5, 0)
    await first.release("kart", "v")
    assert await second.standing(second.board("kart"), "v") == Standing(500, 0)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_database_that_is_lost(redis_server: Node, partitions: int) -> None:
    """What processes have declared holds also on a server that has lost it; runs that they gave out are taken there."""
    laps = Definition(order="ascending", operator="best", partitions=partitions)
    file = BoardsFile(boards={"laps": laps, "runs": Definition(guard=Guard(runs=Runs()))})
    stores = [RedisStore(redis_server.url) for _ in range(3)]
    first, second, third = (Boards(store, file) for store in stores)
    for boards in (first, second):
        await boards.declare()
        await boards.submit("laps", Submission("v", 1))
    run = (await first.make_run("runs", "v")).run
    with closing(redis_server.client()) as client:
        client.flushall()
    await asyncio.gather(*(boards.submit("laps", Submission(*each)) for boards in (first, second) for each in TIMES))
    assert shown((await second.page(second.board("laps"), 0, 9)).entries) == [("w", 3, 0), ("v", 4, 1)]
    assert await stores[0].names() == ["laps"]
    await first.submit_in_full("runs", FullSubmission("v", 2, run=run))
    await third.declare()
    assert await third.definition("laps") == laps
    for store in stores:
        await store.close()


TIMES = [("v", 5), ("w", 7), ("v", 4), ("w", 3), ("v", 9)]


async def test_board_that_is_declared_no_more(redis_server: Node) -> None:
    """What another process has undefined stays undefined, also by one that has declared it."""
    stores = [RedisStore(redis_server.url) for _ in range(2)]
    first, second = Boards(stores[0], BoardsFile(boards={"laps": Definition(order="ascending")})), Boards(stores[1])
    for boards in (first, second):
        await boards.declare()
    await second.undefine("laps")
    await first.submit("laps", Submission("v", 1))
    assert (await first.definition("laps")).order == "descending"
    for store in stores:
        await store.close()


async def test_declared_only(redis_server: Node) -> None:
    """A board that another process has defined is taken by one that takes none that is not."""
    stores = [RedisStore(redis_server.url) for _ in range(2)]
    first, second = Boards(stores[0]), Boards(stores[1], BoardsFile(declared_only=True))
    for boards in (first, second):
        await boards.declare()
    with pytest.raises(NotDeclared):
        await second.submit("kart", Submission("v", 5))
    assert await second.count(second.board("kart")) == 0
    await first.define("kart", Definition(order="ascending"))
    await first.submit("kart", Submission("w", 4))
    assert await second.standing(second.board("kart"), "w") == Standing(4, 0)
    await second.submit("kart", Submission("v", 5))
    for store in stores:
        await store.close()


DEFAULT = BoardsFile(default=Definition(order="ascending", operator="best", windows=("daily",)))


async def test_other_defaults(redis_server: Node) -> None:
    """A board keeps the default that it was made under, whatever that of the process is which is asked."""
    stores = [RedisStore(redis_server.url) for _ in range(2)]
    plain, other = Boards(stores[0]), Boards(stores[1], DEFAULT)
    await plain.declare()
    await plain.submit("plain", Submission("v", 5))
    with pytest.raises(DefinitionConflict, match="go back to the default"):
        await other.declare()
    await plain.drop(plain.board("plain"))
    await other.declare()
    assert await other.count(await other.find_period("laps", "daily", None)) == 0
    for score in (9, 7, 8):
        await other.submit("laps", Submission("v", score))
        await plain.submit("laps", Submission("w", score))
    for boards in (plain, other):
        assert shown((await boards.page(boards.board("laps"), 0, 9)).entries) == [("v", 7, 0), ("w", 7, 1)]
        assert shown((await boards.page(await boards.find_period("laps", "daily", None), 0, 9)).entries) == [
            ("v", 7, 0),
            ("w", 7, 1),
        ]
    await plain.submit("new", Submission("v", 5))
    await plain.submit("new", Submission("v", 3))
    assert await other.standing(other.board("new"), "v") == Standing(3, 0)
    await other.submit("new", Submission("v", 4))
    assert await plain.standing(plain.board("new"), "v") == Standing(4, 0)
    assert await other.hide("unseen", "v")
    await other.submit("unseen", Submission("v", 4))
    assert await plain.standing(plain.board("unseen"), "v") == HiddenStanding(4)
    for store in stores:
        await store.close()


async def test_declared_files(redis_server: Node) -> None:
    """The file that was declared last counts in both processes, and nothing flaps."""
    stores = [RedisStore(redis_server.url) for _ in range(2)]
    boards = [
        Boards(store, BoardsFile(boards={"kart": Definition(scores=Bounds(max=most))}))
        for store, most in zip(stores, (10, 20), strict=True)
    ]
    for each in boards:
        await each.declare()
    for each in boards:
        await each.submit("kart", Submission("v", 15))
        with pytest.raises(ScoreRefused):
            await each.submit("kart", Submission("v", 25))
        assert (await each.definition("kart")).scores.max == 20
    for store in stores:
        await store.close()


async def test_later_version(two: Two, redis_server: Node) -> None:
    """What a later version has defined is not guessed at."""
    first, _ = two
    with redis_server.client() as client:
        client.set(f"{key_of('kart')}:state", "0123456789abcdef")
        client.set(f"{key_of('kart')}:definition", '{"colour":"red"}')
    with pytest.raises(StoreUnavailable, match="later version"):
        await first.submit("kart", Submission("v", 1))
