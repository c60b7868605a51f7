"""To hide and to show names of a large board in the state of the embedded store: ``python -m bench.hiding MEMBERS``.

Written as JSON. Times are microseconds, the median of ROUNDS. Standings are those of names that are not hidden, read as
the store reads them: before any is hidden, and while some are.
"""

from __future__ import annotations

import random
import statistics
import sys
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from bench.members import batches, members
from laurels.definition import Definition
from laurels.stores.embedded.records import Hide, PutMany, Show
from laurels.stores.embedded.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BOARD = "b"
NAMES = 20_000
"""So many are hidden and then shown in a round."""
ROUNDS = 5


def measure(count: int) -> dict[str, float]:
    """Return microseconds by what is done, on a board of so many members."""
    state = State(Definition())
    state.resume(2, ())
    for entries in batches(members(count)):
        names, scores = zip(*entries, strict=True)
        PutMany(BOARD, list(names), [float(score) for score in scores]).apply(state)
    chosen = [name for name, _ in random.Random(7).sample(list(members(count)), 2 * NAMES)]
    hidden, others = chosen[:NAMES], chosen[NAMES:]
    standing = state[BOARD].standing
    times: dict[str, list[float]] = {what: [] for what in ("standing", "hide", "standing beside", "show")}
    for _ in range(ROUNDS):
        times["standing"].append(_time(standing, others))
        times["hide"].append(_time(lambda record: record.apply(state), [Hide(BOARD, name) for name in hidden]))
        times["standing beside"].append(_time(standing, others))
        times["show"].append(_time(lambda record: record.apply(state), [Show(BOARD, name) for name in hidden]))
    return {what: statistics.median(taken) for what, taken in times.items()}


def _time(do: Callable[..., object], each: Iterable[object]) -> float:
    begun = perf_counter()
    for one in each:
        do(one)
    return (perf_counter() - begun) / NAMES * 1e6


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure(int(sys.argv[1]))))
