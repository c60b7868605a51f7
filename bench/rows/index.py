"""The index from Python: beside sortedcontainers in time, beside a sorted set of Redis in memory."""

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
    """Take the figures of ``bench/ranking.py``, and fill a sorted set with as many names of as many bytes."""
    rounds = [_times(MEDIUM) for _ in range(run.repeat)]
    for act, limit in (("standing", 6.0), ("update", 10.0)):
        pairs = [(_faster(times["laurels"], act), _faster(times["sortedcontainers"], act)) for times in rounds]
        subject = Subject("index", f"{act} from Python, {MEDIUM:,} members", "/s", Target(">=", limit))
        yield compare(subject, "sortedcontainers", pairs)
    yield _growth(run)
    yield _bytes(run, rounds[-1])
    yield from _crowd(run)


def _crowd(run: Run) -> Iterator[Figure]:
    """Take what 12,000 who share a score cost, beside the same board where nobody does."""
    rounds = [_times(SMALL, "--crowd") for _ in range(run.repeat)]
    for kind, about in (("by name", "ties by name"), ("by time", "ties by time, dense ranks")):
        for act in ("update", "standing"):
            pairs = [(Measure(times[f"{kind}, tied"][act]), Measure(times[f"{kind}, apart"][act])) for times in rounds]
            what = f"{act}, {CROWD:,} of {SMALL:,} sharing a score, {about}"
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


def _faster(times: dict[str, float], act: str) -> Measure:
    return Measure(1e6 / times[act])
