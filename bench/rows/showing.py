"""The page of a board for people, beside the same entries as JSON: what its first page costs, and how long it is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from bench.figures import Figure, Measure, Run, Subject, Target, compare
from bench.machine import SERVER_CORE, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBERS = 100_000
TARGETS = {"µs": Target("<=", 300, "figure"), "bytes": Target("<=", 30_000, "figure")}


def showing(run: Run) -> Iterator[Figure]:
    """Run ``bench/showing.py``."""
    rounds = [_costs() for _ in range(run.repeat)]
    for unit, target in TARGETS.items():
        what = f"first page for people, of 20 with all that can be shown, {MEMBERS:,} members"
        pairs = [(Measure(costs["html"][unit]), Measure(costs["json"][unit])) for costs in rounds]
        yield compare(Subject("showing", what, unit, target), "the same as JSON", pairs)


def _costs() -> dict[str, dict[str, float]]:
    command = pinned(SERVER_CORE, [sys.executable, "-m", "bench.showing", str(MEMBERS)])
    found = subprocess.run(command, capture_output=True, check=True).stdout
    return msgspec.json.decode(found, type=dict[str, dict[str, float]])
