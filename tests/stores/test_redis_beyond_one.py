"""The store on a cluster, and on a primary that Sentinels watch: the same contract."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from laurels.stores.redis.keys import key_of
from laurels.stores.redis.store import RedisStore
from tests.stores.conformance import LAPS, Conformance
from tests.stores.test_redis import SUMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from laurels.stores.contract import Board
    from tests.redis_servers import Cluster, Sentinels
    from tests.stores.guarantees import Kept

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(url: str) -> AsyncIterator[RedisStore]:
    """Open a store over empty servers."""
    opened = RedisStore(url)
    for board in (LAPS, SUMS):
        await opened.define(board.name, board.definition)
    yield opened
    await opened.close()


def keeping(connect: Callable[[], Any]) -> Kept:
    """Return what reads a sorted set, past the store."""

    async def read(board: Board) -> dict[str, float]:
        skip = 0 if board.definition.ties == "name" else 12
        with closing(connect()) as client:
            found = client.zrange(key_of(board.name, board.window, board.period), 0, -1, withscores=True)
            return {name[skip:].decode(): score for name, score in found}

    return read


class TestCluster(Conformance):
    """The store keeps the contract on a cluster."""

    @pytest.fixture
    def url(self, redis_cluster: Cluster) -> str:
        """Return where the cluster is."""
        return redis_cluster.url

    @pytest.fixture
    def kept(self, redis_cluster: Cluster) -> Kept:
        """Read the sorted set."""
        return keeping(lambda: redis.RedisCluster(host="127.0.0.1", port=redis_cluster.nodes[0].port))


class TestSentinels(Conformance):
    """The store keeps the contract on a primary that Sentinels watch."""

    @pytest.fixture
    def url(self, redis_sentinels: Sentinels) -> str:
        """Return where the Sentinels are."""
        return redis_sentinels.url

    @pytest.fixture
    def kept(self, redis_sentinels: Sentinels) -> Kept:
        """Read the sorted set."""
        return keeping(redis_sentinels.primary.client)
