"""Time the ranking index against sortedcontainers: ``python -m bench.ranking 100000 1000000 10000000``.

Each figure is from Python, strings in and tuples out, one core; names are 15 bytes, scores random. The names to
look up are made just before, as those of requests are, in blocks that are not timed. A time is the median of the
blocks, in microseconds. Bytes are per entry, by the index's own exact count and by the process's resident memory.

``--crowd`` times boards on which 12,000 names share one score, and the same boards with a score of its own for each of
them: one of these names gets a score nearby or its old one, and is looked up. "By name" is the default board; "by time"
one with the earliest first among equals, and dense ranks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Protocol

from sortedcontainers import SortedList

from laurels.ranking import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 10_000
CROWD = 12_000
MIDDLE = 500_000_000
MOST_FOR_SORTED_LIST = 2_000_000


class Ranking(Protocol):
    """What is timed."""

    def put(self, name: str, score: int) -> bool:
        """Replace what the name had; return whether it is new."""

    def standing(self, name: str) -> tuple[float, int] | None:
        """Return score and rank."""

    def page(self, start: int, stop: int) -> list[tuple[str, float]]:
        """Return entries by rank."""


class Sorted:
    """A sorted list of scores and names, and a dict of the scores: what one would write in pure Python."""

    def __init__(self) -> None:
        self.scores: dict[str, int] = {}
        self.order: SortedList[tuple[int, str]] = SortedList()

    def put(self, name: str, score: int) -> bool:
        """Replace what the name had; return whether it is new."""
        old = self.scores.get(name)
        if old is not None:
            self.order.remove((old, name))
        self.order.add((score, name))
        self.scores[name] = score
        return old is None

    def standing(self, name: str) -> tuple[int, int] | None:
        """Return score and rank."""
        score = self.scores[name]
        return score, len(self.order) - 1 - self.order.bisect_left((score, name))

    def page(self, start: int, stop: int) -> list[tuple[str, float]]:
        """Return entries by rank."""
        n = len(self.order)
        return [(name, score) for score, name in reversed(self.order[max(0, n - stop) : n - start])]


def name_of(number: int) -> str:
    """Return the 15-byte name of a number below 2^60; numbers that are near have names that are far apart."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**60:015x}"


def resident() -> int:
    """Return the process's resident bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def time_blocks(operate: Callable[[list[str], list[int]], None], names: Iterator[list[str]], scores: int) -> float:
    """Return the median over blocks of the microseconds that one operation takes."""
    rng, times = random.Random(1), []
    for block in names:
        values = [rng.randrange(scores) for _ in block]
        start = time.perf_counter()
        operate(block, values)
        times.append((time.perf_counter() - start) / len(block) * 1e6)
    return median(times)


def all_names(n: int) -> Iterator[list[str]]:
    """Return the names of a board in blocks."""
    for start in range(0, n, BLOCK):
        yield [name_of(i) for i in range(start, min(n, start + BLOCK))]


def some_names(n: int, blocks: int) -> Iterator[list[str]]:
    """Return random names of a board in blocks."""
    rng = random.Random(2)
    for _ in range(blocks):
        yield [name_of(rng.randrange(n)) for _ in range(BLOCK)]


def operations(ranking: Ranking) -> dict[str, Callable[[list[str], list[int]], None]]:
    """Return the loops that are timed."""
    put, standing, page = ranking.put, ranking.standing, ranking.page

    def puts(names: list[str], scores: list[int]) -> None:
        for name, score in zip(names, scores, strict=True):
            put(name, score)

    def standings(names: list[str], _: list[int]) -> None:
        for name in names:
            standing(name)

    def pages(_: list[str], scores: list[int]) -> None:
        for score in scores:
            page(score, score + 20)

    return {"put": puts, "standing": standings, "page": pages}


def measure(ranking: Ranking, n: int, *, scores: int, blocks: int) -> dict[str, float]:
    """Fill a ranking at random and time it."""
    before = resident()
    do = operations(ranking)
    figures = {"insert": time_blocks(do["put"], all_names(n), scores)}
    figures["resident bytes"] = (resident() - before) / n
    figures["standing"] = time_blocks(do["standing"], some_names(n, blocks), scores)
    figures["update"] = time_blocks(do["put"], some_names(n, blocks), scores)
    figures["page of 20"] = time_blocks(do["page"], some_names(n, max(1, blocks // 10)), n)
    return figures


def loads(index: Index, n: int) -> dict[str, float]:
    """Time the whole dump and the load of it, in seconds, in order and shuffled in pieces."""
    started = time.perf_counter()
    pieces = [index.dump(start, start + 50_000) for start in range(0, n, 50_000)]
    figures = {"dump s": time.perf_counter() - started}
    for label in ("load s", "shuffled load s"):
        other = Index()
        started = time.perf_counter()
        other.load(pieces)
        figures[label] = time.perf_counter() - started
        figures[label.replace(" s", " bytes")] = other.nbytes / n
        random.Random(3).shuffle(pieces)
    return figures


def rows(n: int, *, scores: int, blocks: int) -> dict[str, dict[str, float]]:
    """Return the figures of both at one size."""
    index = Index()
    figures = {"laurels": measure(index, n, scores=scores, blocks=blocks)}
    figures["laurels"] |= {"bytes": index.nbytes / n} | loads(index, n)
    del index
    if n <= MOST_FOR_SORTED_LIST:
        figures["sortedcontainers"] = measure(Sorted(), n, scores=scores, blocks=blocks)
    return figures


def crowd(index: Index, n: int, apart: int, blocks: int) -> dict[str, float]:
    """Time a board whose crowd has scores this far apart; 0 for ties."""
    rng, sequence = random.Random(1), itertools.count(2, 2)
    homes = {name_of(i): MIDDLE + apart * i for i in range(CROWD)}
    everybody = homes | {name_of(i): rng.randrange(2 * MIDDLE) for i in range(CROWD, n)}
    for name in rng.sample(list(everybody), n):
        index.submit(name, everybody[name], next(sequence))

    def updates(names: list[str], nearby: list[int]) -> None:
        for name, score in zip(names, nearby, strict=True):
            index.submit(name, MIDDLE - score if score % 2 else homes[name], next(sequence))

    def standings(names: list[str], _: list[int]) -> None:
        for name in names:
            index.standing(name)

    return {
        "update": time_blocks(updates, some_names(CROWD, blocks), 1000),
        "standing": time_blocks(standings, some_names(CROWD, blocks), 1000),
    }


def crowds(n: int, *, scores: int, blocks: int) -> dict[str, dict[str, float]]:
    """Return the figures of boards with and without ties, of both kinds, and the bytes of a stamped entry."""
    figures = {
        f"{kind}, {'apart' if apart else 'tied'}": crowd(board, n, apart, blocks)
        for apart in (0, 1)
        for kind, board in (("by name", Index()), ("by time", Index(ties="earliest", ranking="dense")))
    }
    for kind, stamped in (("plain", Index()), ("stamped", Index(stamped=True))):
        time_blocks(operations(stamped)["put"], all_names(n), scores)
        figures[kind] = {"bytes": stamped.nbytes / n}
    return figures


def main() -> None:
    """Print the figures of each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--scores", type=int, default=1_000_000_000, help="how many scores there are")
    parser.add_argument("--blocks", type=int, default=30, help="rounds of 10,000 operations")
    parser.add_argument("--crowd", action="store_true", help="boards with a crowd of ties, and the same without")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    take = crowds if arguments.crowd else rows
    result = {n: take(n, scores=arguments.scores, blocks=arguments.blocks) for n in arguments.sizes}
    if arguments.json:
        json.dump(result, sys.stdout, indent=2)
        return
    for n, contenders in result.items():
        print(f"\n{n:,} members{'':12}" + "".join(f"{who:>18}" for who in contenders))  # noqa: T201
        for what in dict.fromkeys(itertools.chain(*contenders.values())):
            cells = (f"{figures[what]:18.3f}" if what in figures else f"{'':18}" for figures in contenders.values())
            print(f"{what:24}" + "".join(cells))  # noqa: T201


if __name__ == "__main__":
    main()
