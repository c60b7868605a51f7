"""Sorted sets in Redis, filled and read through its own command line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench.machine import CLIENT_CORE, pinned
from bench.members import batches

if TYPE_CHECKING:
    from collections.abc import Iterable


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
