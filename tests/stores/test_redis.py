"""The store on Redis: the contract, on a real server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from laurels.stores.redis.store import RedisStore, key_of
from tests.stores.conformance import Conformance
from tests.stores.machine import StoreMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from laurels.stores.contract import Board, Store
    from tests.stores.guarantees import Kept

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server for the tests of a module."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place: Path = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--dir", str(place), "--save", "", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        with closing(redis.Redis(port=port)) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert process.poll() is None
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


class TestRedis(Conformance):
    """The store keeps the contract."""

    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[Store]:
        """Open a store over an empty database."""
        with closing(redis.Redis.from_url(url)) as client:
            client.flushall()
        opened = RedisStore(url)
        yield opened
        await opened.close()

    @pytest.fixture
    def kept(self, url: str) -> Kept:
        """Read the sorted set."""

        async def read(board: Board) -> dict[str, float]:
            skip = 0 if board.definition.ties == "name" else 12
            with closing(redis.Redis.from_url(url)) as client:
                found = client.zrange(key_of(board.name, board.window, board.period), 0, -1, withscores=True)
                return {name[skip:].decode(): score for name, score in found}

        return read


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
    run_state_machine_as_test(machine, settings=settings(deadline=None, max_examples=100, stateful_step_count=30))
