"""Boards of several partitions, on a real server: the contract, except that an answer is of one moment."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import structs

from laurels.definition import Definition
from laurels.stores.contract import Board, Ranked, Submission
from laurels.stores.redis import partitions
from laurels.stores.redis.partitions import partition_of, partitions_of
from laurels.stores.redis.store import RedisStore, key_of
from tests.stores.conformance import Conformance
from tests.stores.machine import StoreMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.redis_servers import Node
    from tests.stores.guarantees import Kept

pytestmark = pytest.mark.anyio


def spread(board: Board, count: int) -> Board:
    """Return a board with so many partitions, if its definition may have any."""
    of = board.definition
    if "\n" in board.name or of.ties != "name" or of.ranking == "dense" or of.ttl:
        return board
    return structs.replace(board, definition=structs.replace(of, partitions=count))


class SpreadStore(RedisStore):
    """A store that spreads every board it is asked for."""

    partitions = 4


def _spread_first(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def spreads(self: SpreadStore, board: Board, *arguments: Any, **options: Any) -> Any:
        return method(self, spread(board, self.partitions), *arguments, **options)

    return spreads


for _name in (
    "submit recall set_metadata remove drop hide show make_run held held_entry release reject standing page page_json "
    "count around entries_named entries_between_scores entries_after summary place hidden periods"
).split():
    setattr(SpreadStore, _name, _spread_first(getattr(RedisStore, _name)))


@pytest.fixture
def url(redis_server: Node) -> str:
    """Return where the server is."""
    return redis_server.url


@pytest.fixture(params=[4, 16], ids="K{}".format)
async def store(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SpreadStore]:
    """Open a store over an empty database."""
    opened = SpreadStore(url, answer_seconds=5)
    opened.partitions = request.param
    yield opened
    await opened.close()


class TestPartitions(Conformance):
    """The store keeps the contract while nobody else writes."""

    @pytest.fixture
    def kept(self, url: str, store: SpreadStore) -> Kept:
        """Read the sorted sets."""

        async def read(board: Board) -> dict[str, float]:
            found: dict[str, float] = {}
            where = spread(board, store.partitions)
            skip = 0 if board.definition.ties == "name" else 12
            with closing(redis.Redis.from_url(url)) as client:
                for each in partitions_of(where) if where.definition.partitions > 1 else [where]:
                    key = key_of(each.name, each.window, each.period)
                    pairs = client.zrange(key, 0, -1, withscores=True)
                    found |= {name[skip:].decode(): score for name, score in pairs}
            return found

        return read
