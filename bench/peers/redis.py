"""Sorted sets in Redis, filled and read through its own command line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench.machine import CLIENT_CORE, on_both_cores, pinned
from bench.members import batches

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = 100_000
"""Of how many names redis-benchmark chooses."""


def fill(port: int, key: str, entries: Iterable[tuple[str, int]]) -> None:
    """Add entries to a sorted set."""
    stream = b"".join(_zadd(key, batch) for batch in batches(entries))
    command = pinned(CLIENT_CORE, ["redis-cli", "-p", str(port), "--pipe"])
    subprocess.run(command, input=stream, stdout=subprocess.DEVNULL, check=True)


def used_memory(port: int) -> int:
    """Return how many bytes Redis has allocated."""
    lines = command(port, "INFO", "memory").splitlines()
    return int(next(line for line in lines if line.startswith("used_memory:")).partition(":")[2])


def command(port: int, *words: str) -> str:
    """Send one command; return the reply as text."""
    done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _zadd(key: str, batch: list[tuple[str, int]]) -> bytes:
    words = ["ZADD", key]
    for name, score in batch:
        words += [str(score), name]
    bulks = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{bulks}".encode()


def benchmark(port: int, connections: int, count: int, *words: str) -> float:
    """Run ``redis-benchmark`` of one command, not pipelined, from whichever core is free; return calls a second.

    ``__rand_int__`` in a word is a number of twelve digits below ``NAMES``.
    """
    options = ["-p", str(port), "-c", str(connections), "-n", str(count), "-r", str(NAMES), "--csv"]
    done = subprocess.run(
        on_both_cores(["redis-benchmark", *options, *words]), capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1].split('","')[1])
