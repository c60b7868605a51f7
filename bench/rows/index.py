"""The index from Python: its time compared with sortedcontainers, its memory with a sorted set of Redis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench import ranking, servers
from bench.figures import Figure, Measure, Run, Subject, Target, compare
from bench.machine import SERVER_CORE, pinned
from bench.members import members
from bench.peers import redis
from bench.ranking import CROWD
from bench.requests import BOARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    Times = dict[str, dict[str, float]]

SMALL = 100_000
MEDIUM = 1_000_000
LARGE = 10_000_000


def index(run: Run) -> Iterator[Figure]:
    """Run ``bench/ranking.py``, and fill a sorted set with as many names of the same length."""
    rounds = [_times(MEDIUM) for _ in range(run.repeat)]
    for operation, limit in (("standing", 6.0), ("update", 10.0)):
        pairs = [(_rate(times["laurels"][operation]), _rate(times["sortedcontainers"][operation])) for times in rounds]
        subject = Subject("index", f"{operation} from Python, {MEDIUM:,} members", "/s", Target(">=", limit))
        yield compare(subject, "sortedcontainers", pairs)
    yield _growth(run)
    yield _bytes(run, rounds[-1])
    yield from _crowd(run)


def _crowd(run: Run) -> Iterator[Figure]:
    """Measure a board on which 12,000 entries share a score, against the same board without ties."""
    rounds = [_times(SMALL, "--crowd") for _ in range(run.repeat)]
    for kind, about in (("by name", "ties by name"), ("by time", "ties by time, dense ranks")):
        for operation in ("update", "standing"):
            tied, apart = f"{kind}, tied", f"{kind}, apart"
            pairs = [(Measure(times[tied][operation]), Measure(times[apart][operation])) for times in rounds]
            what = f"{operation}, {CROWD:,} of {SMALL:,} sharing a score, {about}"
            yield compare(Subject("index", what, "µs", Target("<=", 1.25)), "no ties", pairs)
    pairs = [(Measure(times["stamped"]["bytes"]), Measure(times["plain"]["bytes"])) for times in rounds]
    yield compare(Subject("index", "bytes an entry with its sequence", "B", Target("<=", 1.25)), "without", pairs)


def _growth(run: Run) -> Figure:
    rounds = [[_times(size)["laurels"]["standing"] for size in (LARGE, SMALL)] for _ in range(run.repeat)]
    pairs = [(Measure(large), Measure(small)) for large, small in rounds]
    subject = Subject("index", f"standing from Python, {LARGE:,} members", "µs", Target("<=", 2))
    return compare(subject, f"at {SMALL:,}", pairs)


def _bytes(run: Run, times: Times) -> Figure:
    with servers.redis(run.directory) as server:
        server.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME)
        before = redis.used_memory(server.port)
        redis.fill(server.port, BOARD, members(MEDIUM))
        theirs = Measure((redis.used_memory(server.port) - before) / MEDIUM)
    subject = Subject("index", f"bytes an entry, {MEDIUM:,} members, 15-byte names", "B", Target("<=", 0.5))
    note = f"resident memory: {times['laurels']['resident bytes']:.0f} B"
    return compare(subject, "Redis", [(Measure(times["laurels"]["bytes"]), theirs)], note)


def _times(size: int, *options: str) -> Times:
    command = pinned(SERVER_CORE, [sys.executable, str(Path(ranking.__file__)), str(size), "--json", *options])
    done = subprocess.run(command, env=servers.ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=dict[int, dict[str, dict[str, float]]])[size]


def _rate(microseconds: float) -> Measure:
    return Measure(1e6 / microseconds)
