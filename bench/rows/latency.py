"""The time of a submit at a steady offered rate, together with reads, while the journal is compacted."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench import directories, requests, servers
from bench.figures import Figure, Measure, Run, Subject, Target, single
from bench.machine import CLIENT_CORE, family, pinned
from bench.members import members
from bench.openloop import Trace
from laurels.stores.embedded.compaction import COMPACT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.servers import Server

MEMBERS = 100_000
SUBMITS = 10_000
READS = 2_000
PREPARED = 50_000
SECONDS = 30.0
"""Long enough to fill the rest of the journal, compact it, and go on for a while."""
RECORD_BYTES = 32
FILLED = 0.9
"""The part of the journal's threshold that is written before, so that the compaction comes early in the run."""
WHAT = f"submit at {SUBMITS:,}/s with {READS:,} reads/s, open loop"
USUAL = Target("<=", 10, of="figure")
WORST = Target("<=", 100, of="figure")
COMPACT = b"laurels.stores.embedded.compact"


class Compactions:
    """The compactions seen while a command ran, each as its begin and end on the monotonic clock."""

    SETTLING = 1.0
    """Seconds after the child's end in which the server still drops rows from the journal."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []

    def watch(self, server: Server, process: subprocess.Popen[bytes]) -> None:
        """Look at the server's children until the process ends."""
        begun: float | None = None
        while process.poll() is None:
            compacting = any(COMPACT in _command(pid) for pid in family(server.pid))
            now = time.perf_counter()
            if compacting and begun is None:
                begun = now
            if not compacting and begun is not None:
                self.spans.append((begun, now + self.SETTLING))
                begun = None
            time.sleep(0.02)

    def during(self, trace: Trace) -> list[float]:
        """Return the times of the requests that were due during a compaction."""
        return [
            taken
            for due, taken in zip(trace.due, trace.taken, strict=True)
            if any(begin <= due <= end for begin, end in self.spans)
        ]


def latency(run: Run) -> Iterator[Figure]:
    """Offer submits and reads in an open loop, once."""
    directory = run.directory / "latency"
    directory.mkdir()
    fill = itertools.islice(itertools.cycle(members(MEMBERS)), int(COMPACT_BYTES * FILLED / RECORD_BYTES))
    asyncio.run(directories.submit(directory / "data", fill))
    with servers.laurels(directory, directory / "data") as server:
        server.await_answer()
        before = server.cpu()
        traces, compactions = _offer(server, directory)
        spent = server.cpu() - before
    yield from _figures(traces["submit"], traces["standing"], compactions, spent)


def _figures(submits: Trace, reads: Trace, compactions: Compactions, spent: float) -> Iterator[Figure]:
    count = len(submits.taken) + len(reads.taken)
    note = f"p50 {_at(submits.taken, 0.5)}, p99.9 {_at(submits.taken, 0.999)}; reads p99 {_at(reads.taken, 0.99)}"
    lag = f"generator late by {_at(submits.lag, 0.99)} (p99)"
    p99 = Measure(_quantile(submits.taken, 0.99) * 1e3, spent / count * 1e6)
    yield single(Subject("latency", f"{WHAT}: p99", "ms", USUAL), p99, f"{note}; {lag}")
    worst = Measure(max(submits.taken + reads.taken) * 1e3)
    yield single(Subject("latency", "the slowest of all these requests", "ms", WORST), worst)
    slowest = Measure(max(compactions.during(submits) + compactions.during(reads), default=float("inf")) * 1e3)
    taken = (f"{end - begin - compactions.SETTLING:.1f} s" for begin, end in compactions.spans)
    took = ", ".join(taken) or "none happened"
    during = Subject("latency", "the slowest while the journal is compacted", "ms", WORST)
    yield single(during, slowest, f"compactions: {took}")


def _offer(server: Server, directory: Path) -> tuple[dict[str, Trace], Compactions]:
    submits = requests.save(requests.submits(MEMBERS, PREPARED), directory / "submits")
    reads = requests.save(requests.standings(MEMBERS, PREPARED), directory / "reads")
    output = directory / "traces.json"
    command = [sys.executable, "-m", "bench.openloop", str(server.port), str(SECONDS), str(output)]
    command += [f"submit={SUBMITS}={submits}", f"standing={READS}={reads}"]
    compactions = Compactions()
    with subprocess.Popen(pinned(CLIENT_CORE, command), env=servers.ENVIRONMENT) as process:
        compactions.watch(server, process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return msgspec.json.decode(output.read_bytes(), type=dict[str, Trace]), compactions


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _quantile(times: list[float], quantile: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * quantile))]


def _at(times: list[float], quantile: float) -> str:
    return f"{_quantile(times, quantile) * 1e3:.2f} ms"
