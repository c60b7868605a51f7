"""What may happen at the worst moment while the entries of a board are moved to another number of partitions."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from laurels.boards import Boards
from laurels.definition import Bounds, Definition
from laurels.errors import DefinitionConflict, KeyReused
from laurels.stores.contract import Board, Feed, HiddenName, IdempotencyKey, Standing, Submission
from laurels.stores.redis.partitions import partition_of
from laurels.stores.redis.store import RedisStore
from tests.stores.test_repartitioning import Killed, Mortal, begin, board_of, move

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.redis_servers import Node

pytestmark = pytest.mark.anyio
KEY = IdempotencyKey(b"1" * 16, b"a" * 16)
TWO = Definition(operator="increment", partitions=2)
DAYS = Definition(windows=("daily",), partitions=2)


class Interrupted(RedisStore):
    """A store of a process that stands still once, before an act of a script or after it, while others do something."""

    before: tuple[str, Callable[[], Awaitable[Any]]] | None = None
    after: tuple[str, Callable[[], Awaitable[Any]]] | None = None

    async def _act(self, *words: Any) -> Any:
        said = [word for word in words if isinstance(word, str)]
        if self.before and self.before[0] in said:
            (_, others), self.before = self.before, None
            await others()
        answer = await super()._act(*words)
        if self.after and self.after[0] in said:
            (_, others), self.after = self.after, None
            await others()
        return answer


@pytest.fixture
async def store(redis_server: Node) -> AsyncIterator[RedisStore]:
    """Open a store that others are beside."""
    opened = RedisStore(redis_server.url)
    await opened.define("sums", TWO)
    yield opened
    await opened.close()


@pytest.fixture
async def slow(redis_server: Node) -> AsyncIterator[Interrupted]:
    """Open the store of a process that stands still once."""
    opened = Interrupted(redis_server.url)
    yield opened
    await opened.close()


async def declare(url: str, count: int) -> None:
    """Say that the board is being moved to so many partitions, and do no more."""
    killed = Mortal(url)
    killed.left = 0
    with suppress(Killed):
        await move(killed, "sums", count)
    await killed.close()


@pytest.mark.parametrize("batch", [False, True], ids=["alone", "batch"])
async def test_a_submit_just_before_its_partition_is_left(
    store: RedisStore, slow: Interrupted, redis_server: Node, *, batch: bool
) -> None:
    """What a slow process submits where entries come from counts once, if its retry is under way meanwhile."""
    old = Board("sums", TWO)
    await store.submit(old, Submission("other", 1))
    await declare(redis_server.url, 3)
    submit: Any = [Submission(f"n{at}", 1) for at in range(20)] if batch else Submission("v", 1)
    slow.before = ("named", lambda: store.submit(old, submit, KEY))
    await slow.submit(await board_of(slow, "sums"), submit, KEY)
    await move(slow, "sums", 3)
    found = await slow.page(await board_of(slow, "sums"), 0, 99)
    assert {entry.score for entry in found} == {1}


async def test_a_name_that_is_on_its_way_again(store: RedisStore, slow: Interrupted, redis_server: Node) -> None:
    """Who has moved a name in vain, because the board was dropped meanwhile, does not remove what is to be moved."""
    await store.hide(Board("sums", TWO), "v")

    async def others() -> None:
        await store.drop(await board_of(store, "sums"))
        killed = Mortal(redis_server.url)
        killed.left = 2
        with suppress(Killed):
            await move(killed, "sums", 3)
        await killed.close()

    slow.after = ("some", others)
    await move(slow, "sums", 3)
    board = await board_of(store, "sums")
    assert await store.hidden(board) == [HiddenName("v")]


async def test_a_copy_that_comes_too_late(store: RedisStore, slow: Interrupted) -> None:
    """A name arrives once, also if who moves it learns meanwhile that all has been moved."""
    await store.submit(Board("sums", TWO), Submission("v", 1))

    async def others() -> None:
        await move(store, "sums", 3)
        await store.submit(await board_of(store, "sums"), Submission("v", 1))
        assert await slow.standing(await board_of(slow, "sums"), "v") == Standing(2, 0)

    slow.after = ("some", others)
    await move(slow, "sums", 3)
    assert await store.standing(await board_of(store, "sums"), "v") == Standing(2, 0)


async def test_a_period_that_is_dropped_meanwhile(store: RedisStore, slow: Interrupted) -> None:
    """What was copied before does not bring the period back."""
    today = Board("days", DAYS, window="daily", period="2026-11-27")
    await store.define("days", DAYS)
    await store.submit(Board("days", DAYS, feeds=(Feed("daily", "2026-11-27", ""),)), Submission("v", 1))

    async def others() -> None:
        assert await store.drop(replace(today, definition=(await board_of(store, "days")).definition))

    slow.after = ("some", others)
    await move(slow, "days", 3)
    board = await board_of(store, "days")
    assert await store.standing(board, "v") == Standing(1, 0)
    assert await store.count(replace(today, definition=board.definition)) == 0
    assert await store.periods(board) == []


async def test_who_is_late_does_not_end_the_next_move(store: RedisStore, slow: Interrupted) -> None:
    """A command that goes on after all is done, and while entries are moved further, says so and leaves that alone."""
    await store.submit(Board("sums", TWO), [Submission(f"n{at}", at) for at in range(300)])
    async with aclosing(slow.repartition("sums", 3, lambda _: None)) as late:
        await anext(late)
        await move(store, "sums", 3)
        await begin(store, "sums", 5)
        with pytest.raises(DefinitionConflict, match="5 partitions"):
            [step async for step in late]
    await move(store, "sums", 5)
    board = await board_of(store, "sums")
    assert (await store.count(board), len(await store.page(board, 0, 999))) == (300, 300)


@pytest.mark.parametrize("count", [1, 2], ids=str)
async def test_who_knows_the_number_from_before(store: RedisStore, slow: Interrupted, count: int) -> None:
    """Who was idle while a board got other partitions and those again knows what was submitted meanwhile."""
    await move(store, "sums", count)
    idle, busy = Boards(slow), Boards(store)
    await idle.declare()
    await busy.declare()
    await idle.submit("sums", Submission("v", 1))
    await move(store, "sums", 3)
    await busy.submit("sums", Submission("v", 1), "once")
    await move(store, "sums", count)
    await idle.submit("sums", Submission("v", 1), "once")
    assert await idle.standing(idle.board("sums"), "v") == Standing(2, 0)


@pytest.mark.parametrize("last", [1, 2, 3], ids=str)
async def test_a_retry_after_bounds_have_changed(store: RedisStore, last: int) -> None:
    """A retry gets its first answer if the board has been moved and has got bounds since, which exclude its score."""
    boards = Boards(store)
    await boards.declare()
    best = Definition(operator="best", partitions=2)
    await store.define("sums", best)
    await boards.submit("sums", Submission("v", 500), "once")
    await move(store, "sums", 3)
    if last != 3:
        await move(store, "sums", last)
    await store.remove(await board_of(store, "sums"), "v")
    await store.define("sums", Definition(partitions=last, operator="best", scores=Bounds(max=100)))
    await boards.submit("sums", Submission("v", 500), "once")
    assert await store.standing(await board_of(store, "sums"), "v") is None


async def test_a_key_of_another_batch(store: RedisStore) -> None:
    """A key that another batch was submitted with is refused, wherever the board is."""
    await move(store, "sums", 1)
    await store.submit(await board_of(store, "sums"), [Submission(f"n{at}", 1) for at in range(9)], KEY)
    await move(store, "sums", 4)
    other = IdempotencyKey(KEY.key, b"b" * 16)
    with pytest.raises(KeyReused):
        await store.submit(await board_of(store, "sums"), [Submission(f"n{at}", 2) for at in range(9)], other)


async def test_a_definition_that_changes_meanwhile(store: RedisStore, slow: Interrupted) -> None:
    """The command goes on by a definition that the board gets while it runs."""
    await store.submit(Board("sums", TWO), [Submission(f"n{at}", at) for at in range(300)])
    async with aclosing(slow.repartition("sums", 3, lambda _: None)) as moving:
        await anext(moving)
        bounded = Definition(operator="increment", partitions=3, scores=Bounds(max=1000))
        await store.define("sums", bounded)
        steps = [step async for step in moving]
    assert steps[-1][1] == 0
    assert await store.count(await board_of(store, "sums")) == 300


async def test_a_read_while_the_move_ends(store: RedisStore, slow: Interrupted, redis_server: Node) -> None:
    """A read that began while entries were moved, and goes on when all have been, is done again."""
    await store.submit(Board("sums", TWO), [Submission(f"n{at}", at) for at in range(40)])
    await declare(redis_server.url, 3)
    boards = Boards(slow)
    await boards.declare()

    async def others() -> None:
        await move(store, "sums", (await board_of(slow, "sums")).definition.partitions)
        await board_of(slow, "sums")

    for name, rank in (("n0", 39), ("n20", 19), ("n39", 0)):
        count = (await board_of(slow, "sums")).definition.partitions
        slow.after = ("standing", others)
        assert await boards.standing(boards.board("sums"), name) == Standing(int(name[1:]), rank)
        await declare(redis_server.url, count + 1)


async def test_a_batch_while_the_move_ends(store: RedisStore, slow: Interrupted, redis_server: Node) -> None:
    """A batch that began while entries were moved is kept in the right partitions when all have been."""
    await store.submit(Board("sums", TWO), [Submission(f"n{at}", 1) for at in range(40)])
    await declare(redis_server.url, 3)

    async def others() -> None:
        await move(store, "sums", 3)
        await board_of(slow, "sums")

    slow.after = ("left", others)
    await slow.submit(await board_of(slow, "sums"), [Submission(f"n{at}", 1) for at in range(40)])
    board = await board_of(store, "sums")
    assert {await store.standing(board, f"n{at}") for at in range(40)} == {Standing(2, at) for at in range(40)}
    assert await store.count(board) == 40


async def test_a_submit_that_was_begun_before(store: RedisStore, slow: Interrupted) -> None:
    """Nothing is submitted any more to a partition that entries are moved from, whatever its process has learnt."""
    names = [f"n{at}" for at in range(20)]
    await store.submit(Board("sums", TWO), [Submission(name, 1) for name in names])
    last = next(name for name in names if partition_of(name, 2) == 0)
    boards = Boards(slow)
    await boards.declare()
    async with aclosing(store.repartition("sums", 3, lambda _: None)) as moving:

        async def others() -> None:
            await anext(moving)
            await anext(moving)
            await slow.page(await board_of(slow, "sums"), 0, 9)

        slow.before = (last, others)
        await boards.submit("sums", Submission(last, 1))
        assert [step async for step in moving][-1][1] == 0
    standing = await store.standing(await board_of(store, "sums"), last)
    assert standing is not None
    assert standing.score == 2
