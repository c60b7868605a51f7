"""Hide and show, in the state of the embedded store; and what hidden names cost the standings of others."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from bench.figures import Figure, Measure, Run, Subject, Target, compare, median, single
from bench.machine import SERVER_CORE, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBERS = 1_000_000


def hiding(run: Run) -> Iterator[Figure]:
    """Run ``bench/hiding.py``."""
    rounds = [_times() for _ in range(run.repeat)]
    for operation in ("hide", "show"):
        subject = Subject("hiding", f"{operation}, {MEMBERS:,} members", "µs", Target("<=", 20, "figure"))
        yield single(subject, median([Measure(times[operation]) for times in rounds]))
    pairs = [(Measure(times["standing beside"]), Measure(times["standing"])) for times in rounds]
    what = f"standing beside 20,000 hidden names, {MEMBERS:,} members"
    yield compare(Subject("hiding", what, "µs", Target("<=", 1.1)), "before any is hidden", pairs)


def _times() -> dict[str, float]:
    command = pinned(SERVER_CORE, [sys.executable, "-m", "bench.hiding", str(MEMBERS)])
    found = subprocess.run(command, capture_output=True, check=True).stdout
    return msgspec.json.decode(found, type=dict[str, float])
