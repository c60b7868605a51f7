"""Measures the boards that a program opens in its own process: ``python bench/in_process.py SECONDS``.

Reads of standings, and submits that are on disk when the call returns: by one task of asyncio and by a thousand at a
time, by one thread and by eight. The directory is a new one below TMPDIR.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import laurels

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BOARD, MEMBERS, TASKS, THREADS = "packages", 10_000, 1000, 8


async def _rate_of_tasks(call: Callable[[str], Awaitable[object]], tasks: int, seconds: float) -> float:
    """Return how often a second tasks make a call, each one after another."""
    until, done = perf_counter() + seconds, 0

    async def repeat(number: int) -> None:
        nonlocal done
        while perf_counter() < until:
            await call(f"name-{number}")
            done += 1

    begun = perf_counter()
    await asyncio.gather(*map(repeat, range(tasks)))
    return done / (perf_counter() - begun)


async def _measure_tasks(directory: str, seconds: float) -> dict[str, float]:
    async with laurels.open(directory) as boards:
        await boards.submit_many(BOARD, {f"name-{number}": number for number in range(MEMBERS)})
        read, write = (
            lambda name: boards.standing(BOARD, name),
            lambda name: boards.submit(BOARD, name, perf_counter()),
        )
        return {
            "standing, a task": await _rate_of_tasks(read, 1, seconds),
            "submit, a task": await _rate_of_tasks(write, 1, seconds),
            f"submit, {TASKS:,} tasks": await _rate_of_tasks(write, TASKS, seconds),
        }


def _rate_of_threads(call: Callable[[str], object], threads: int, seconds: float) -> float:
    """Return how often a second threads make a call, each one after another."""

    def repeat(number: int) -> int:
        until, done = perf_counter() + seconds, 0
        while perf_counter() < until:
            call(f"name-{number}")
            done += 1
        return done

    begun = perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(repeat, range(threads)))
    return done / (perf_counter() - begun)


def _measure_threads(directory: str, seconds: float) -> dict[str, float]:
    with laurels.open(directory) as boards:
        calls: dict[str, Callable[[str], object]] = {
            "standing": lambda name: boards.standing(BOARD, name),
            "submit": lambda name: boards.submit(BOARD, name, perf_counter()),
        }
        return {
            f"{what}, {threads} thread{'s' if threads > 1 else ''}": _rate_of_threads(call, threads, seconds)
            for what, call in calls.items()
            for threads in (1, THREADS)
        }


def main(seconds: float) -> None:
    """Print the rates as JSON."""
    with tempfile.TemporaryDirectory(prefix="laurels-bench-") as directory:
        rates = asyncio.run(_measure_tasks(directory, seconds)) | _measure_threads(directory, seconds)
    print(json.dumps(rates))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(float(sys.argv[1]))
