"""Whatever dies when, each acknowledged submit is there afterwards, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from laurels.stores.contract import Standing
from laurels.stores.embedded import EmbeddedStore
from tests.stores.conformance import KART
from tests.stores.crasher import NAMES, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio
ROUNDS = 30


def wait(until: Callable[[], bool]) -> None:
    """Poll until something is so."""
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline


def kill_fold(server: int) -> bool:
    """Kill the fold that a process has under way; tell whether there was one."""
    children = Path(f"/proc/{server}/task").glob("*/children")
    folds = [int(child) for task in children for child in task.read_text().split()]
    for fold in folds:
        os.kill(fold, signal.SIGKILL)
    return bool(folds)


def crash(directory: Path, acknowledged: Path, base: int, random: Random) -> dict[int, int]:
    """Run a process, kill it (and before that perhaps its fold) and give the last score acknowledged to each worker."""
    acknowledged.touch()
    size, growth = acknowledged.stat().st_size, random.randrange(1, 30_000)
    command = [sys.executable, "-m", "tests.stores.crasher", str(directory), str(acknowledged), str(base)]
    with subprocess.Popen(command) as process:
        wait(lambda: acknowledged.stat().st_size > size + growth)
        if random.random() < 0.5:
            wait(lambda: kill_fold(process.pid))
        process.kill()
    lines = acknowledged.read_text().splitlines()
    return {int(worker): int(score) for worker, score in map(str.split, lines)}


async def test_kill(tmp_path: Path) -> None:
    """After each of thirty kills every worker finds its last five scores, and at most one more that was under way."""
    random = Random(7)  # noqa: S311
    for number in range(1, ROUNDS + 1):
        last = crash(tmp_path / "data", tmp_path / "acknowledged", number * 1_000_000, random)
        store = await EmbeddedStore.open(tmp_path / "data")
        for worker, newest in last.items():
            for score in range(newest - NAMES + 1, newest + 1):
                found = await store.standing(KART, f"{worker}-{score % NAMES}")
                allowed = {score, newest + 1} if (newest + 1 - score) % NAMES == 0 else {score}
                assert isinstance(found, Standing)
                assert found.score in allowed, (number, worker, score)
        assert await store.count(KART) <= WORKERS * NAMES
        await store.close()
