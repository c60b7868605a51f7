"""Whatever dies at whatever moment, each acknowledged submit is there afterwards, once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from laurels.errors import RunRefused
from laurels.stores.contract import Board, FullSubmission
from laurels.stores.embedded.store import EmbeddedStore
from tests.length import times
from tests.stores.crasher import GUARDED, NAMES, SUMS, WORKERS, add, metadata_after, newest, read_all
from tests.stores.guarantees import KART

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio
ROUNDS = times(4)
"""How many kills each test makes."""
ROUND = 1_000_000
"""How many scores may be submitted between two kills."""


def wait(until: Callable[[], bool]) -> None:
    """Poll until a condition holds, and leave the core to what it waits for meanwhile."""
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def kill_compaction(server: int) -> bool:
    """Kill the compaction that a server has under way; return whether there was one."""
    children = Path(f"/proc/{server}/task").glob("*/children")
    compactions = [int(child) for task in children for child in task.read_text().split()]
    for compaction in compactions:
        os.kill(compaction, signal.SIGKILL)
    return bool(compactions)


def start_submitting(directory: Path, acknowledged: Path, base: int, count: int, *how: str) -> subprocess.Popen[bytes]:
    """Start a process whose workers each submit ``count`` scores, from ``base`` on."""
    arguments = (directory, acknowledged, base, count, *how)
    return subprocess.Popen([sys.executable, "-m", "tests.stores.crasher", *map(str, arguments)])


def crash(directory: Path, acknowledged: Path, base: int, random: Random, *how: str) -> None:
    """Run a process and kill it, in half of all cases after its compaction."""
    acknowledged.touch()
    size, growth = acknowledged.stat().st_size, random.randrange(1, 30_000)
    with start_submitting(directory, acknowledged, base, 1_000_000, *how) as process:
        wait(lambda: acknowledged.stat().st_size > size + growth)
        if random.random() < 0.5:
            wait(lambda: kill_compaction(process.pid))
        process.kill()


async def verify(directory: Path, acknowledged: Path) -> None:
    """Open the directory: each name has its last score, or a later one that was in flight at a kill."""
    store = await EmbeddedStore.open(directory)
    done = read_all(acknowledged)
    known = set(done)
    for (worker, name), score in {(worker, score % NAMES): score for worker, score in done}.items():
        found = await store.standing(KART, f"{worker}-{name}")
        assert found is not None
        follows = found.score % ROUND == 0 or (worker, found.score - 1) in known
        assert found.score == score or (found.score > score and follows), (worker, score)
    assert await store.count(KART) == WORKERS * NAMES
    await store.close()


@pytest.mark.slow
async def test_kill(tmp_path: Path) -> None:
    """After each of some kills every acknowledged score is there."""
    random = Random(7)
    data, acknowledged = tmp_path / "data", tmp_path / "acknowledged"
    start_submitting(data, acknowledged, 0, 10).wait()
    for number in range(1, ROUNDS + 1):
        crash(data, acknowledged, number * ROUND, random)
        await verify(data, acknowledged)


async def verify_sums(directory: Path, last: dict[int, int]) -> None:
    """Open the directory, and retry what each worker got no answer to: then all sums are exact, and all metadata."""
    store = await EmbeddedStore.open(directory)
    for worker, number in last.items():
        await add(store, worker, number + 1)
    day = Board(SUMS.name, SUMS.definition, "daily", "2026-11-22")
    for board in (SUMS, day):
        found = {int(entry.name): entry for entry in await store.page(board, 0, WORKERS, with_metadata=True)}
        assert {worker: entry.score for worker, entry in found.items()} == {
            worker: (number + 1) * (number + 2) // 2 for worker, number in last.items()
        }
        assert {worker: entry.metadata for worker, entry in found.items()} == {
            worker: metadata_after(number + 1) for worker, number in last.items()
        }
    await store.close()


@pytest.mark.slow
async def test_kill_while_adding(tmp_path: Path) -> None:
    """After each of some kills every number was added once, although each last one was sent again."""
    random = Random(8)
    data, acknowledged = tmp_path / "data", tmp_path / "acknowledged"
    acknowledged.touch()
    start_submitting(data, acknowledged, 0, 3, "add").wait()
    for _ in range(ROUNDS):
        crash(data, acknowledged, 0, random, "add")
        await verify_sums(data, newest(acknowledged))


async def verify_guard(directory: Path, used: list[list[str]], in_flight: int) -> None:
    """Open the directory: no acknowledged run counts again, and each that was used is counted once."""
    store = await EmbeddedStore.open(directory)
    again = (store.submit(GUARDED, FullSubmission(worker, 1, run=run)) for worker, run in used)
    assert {type(each) for each in await asyncio.gather(*again, return_exceptions=True)} == {RunRefused}
    held = {entry.name: entry.score for entry in await store.held(GUARDED)}
    assert all(count <= held[worker] for worker, count in Counter(worker for worker, _ in used).items())
    assert store.measure()["runs"] == sum(held.values()) <= len(used) + in_flight
    await store.close()


@pytest.mark.slow
async def test_kill_while_guarding(tmp_path: Path) -> None:
    """After each of some kills no acknowledged run can be used again, and what is held is what was used."""
    random = Random(9)
    data, acknowledged = tmp_path / "data", tmp_path / "acknowledged"
    acknowledged.touch()
    start_submitting(data, acknowledged, 0, 3, "guard").wait()
    for number in range(1, ROUNDS + 1):
        crash(data, acknowledged, 0, random, "guard")
        used = [line.split() for line in acknowledged.read_text().splitlines()]
        await verify_guard(data, used, number * WORKERS)
