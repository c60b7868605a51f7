"""The feed against fresh reads, in any sequence of changes, kills, gaps and slow reading."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from laurels.boards import Boards
from laurels.live import feed as feeds
from laurels.live import hub as hubs
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.redis import watching
from laurels.stores.redis.store import RedisStore
from tests.length import times
from tests.live.machine import FeedMachine

if TYPE_CHECKING:
    from laurels.stores.contract import Store
    from tests.redis_servers import Node


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ticks be short, and what is kept little."""
    monkeypatch.setattr(hubs, "TICK_SECONDS", 0.001)
    monkeypatch.setattr(hubs, "TURN_SECONDS", 60.0)
    monkeypatch.setattr(hubs, "LINGERING", 1)
    monkeypatch.setattr(feeds, "RING", 3)


class EmbeddedMachine(FeedMachine):
    """Over a store in this process, which a kill leaves as it is."""

    reads_at_once = True

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        super().__init__()

    async def open(self) -> Store:
        """Open the store."""
        return await EmbeddedStore.open(self.directory)

    def teardown(self) -> None:
        """Leave nothing."""
        super().teardown()
        shutil.rmtree(self.directory)


class RedisMachine(FeedMachine):
    """Over a server of Redis, on which another process than that of the clients writes."""

    url: str
    writer: Boards

    def __init__(self) -> None:
        with closing(redis.Redis.from_url(self.url)) as client:
            client.flushall()
        super().__init__()

    async def open(self) -> Store:
        """Open the store, and that of the other process, unless that is open."""
        if not hasattr(self, "writer"):
            self.writer = Boards(RedisStore(self.url), clock=lambda: self.now)
            await self.writer.declare()
        return RedisStore(self.url)

    @property
    def writing(self) -> Boards:
        """The boards of the other process."""
        return self.writer

    def teardown(self) -> None:
        """Close the other store, too."""
        self.rest()
        self.runner.run(self.writer.store.close())
        super().teardown()


def test_embedded() -> None:
    """Over the embedded store: at every event what a client shows is what a fresh read gives."""
    run_state_machine_as_test(EmbeddedMachine, settings=settings(max_examples=times(10), stateful_step_count=50))


def test_redis(redis_server: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over Redis: what another process changes is shown by all who look on, as soon as there is rest."""
    monkeypatch.setattr(watching, "PAUSE_SECONDS", 0.001)
    machine = type("Machine", (RedisMachine,), {"url": redis_server.url})
    run_state_machine_as_test(machine, settings=settings(max_examples=times(15), stateful_step_count=50))
