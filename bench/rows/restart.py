"""Start to first answer with a million entries: Laurels from its compact form or its journal, Redis from its RDB."""

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
    """Start each in turn on a copy of what it left behind."""
    directory = run.directory / "restart"
    directory.mkdir()
    journalled, folded = directory / "journalled", directory / "folded"
    asyncio.run(directories.submit(journalled, members(ENTRIES)))
    shutil.copytree(journalled, folded)
    asyncio.run(directories.fold(folded))
    _save_in_redis(directory)
    rounds = [(_start(run, folded), _start(run, journalled), _start_redis(directory)) for _ in range(run.repeat)]
    what = f"restart with {ENTRIES:,} entries, to the first answer"
    from_compact = [(compact, theirs) for compact, _, theirs in rounds]
    yield compare(Subject("restart", f"{what}, folded", "s", TARGET), "Redis RDB", from_compact)
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
