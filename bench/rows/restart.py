"""Start to first response with a million entries: Laurels from its snapshot or its journal, Redis from its RDB file."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from bench import directories, servers
from bench.figures import Figure, Measure, Run, Subject, Target, compare
from bench.members import members, name_of
from bench.peers import redis
from bench.requests import BOARD, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRIES = 1_000_000
ASKED = Request("GET", f"/{BOARD}/{name_of(ENTRIES // 2)}")
TARGET = Target("<=", 1.5)


def restart(run: Run) -> Iterator[Figure]:
    """Start each in turn on a copy of the files it left behind."""
    directory = run.directory / "restart"
    directory.mkdir()
    journalled, compacted = directory / "journalled", directory / "compacted"
    asyncio.run(directories.submit(journalled, members(ENTRIES)))
    shutil.copytree(journalled, compacted)
    asyncio.run(directories.compact(compacted))
    _save_in_redis(directory)
    rounds = [(_start(run, compacted), _start(run, journalled), _start_redis(directory)) for _ in range(run.repeat)]
    what = f"restart with {ENTRIES:,} entries, to the first response"
    from_snapshot = [(loaded, theirs) for loaded, _, theirs in rounds]
    yield compare(Subject("restart", f"{what}, compacted", "s", TARGET), "Redis RDB", from_snapshot)
    from_journal = [(replayed, theirs) for _, replayed, theirs in rounds]
    yield compare(Subject("restart", f"{what}, all in the journal", "s", TARGET), "Redis RDB", from_journal)


def _start(run: Run, origin: Path) -> Measure:
    data = run.directory / "started"
    shutil.copytree(origin, data)
    with servers.laurels(run.directory, data) as server:
        taken = server.await_answer(ASKED.wire)
    shutil.rmtree(data)
    return Measure(taken)


def _save_in_redis(directory: Path) -> None:
    with servers.redis(directory) as server:
        server.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME)
        redis.fill(server.port, BOARD, members(ENTRIES))
        redis.command(server.port, "SAVE")


def _start_redis(directory: Path) -> Measure:
    with servers.redis(directory) as server:
        return Measure(server.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME))
