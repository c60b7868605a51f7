"""Random operations on an index and on the oracle: ``python -m tests.ranking.fuzz --seed 1 --seconds 60``.

Meant for a kernel built under AddressSanitizer, in which one allocation in some number fails: MemoryError is an outcome
like any other, after which the index must be as it was. ``--kernel`` names the folder of that build.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.machinery
import importlib.util
import itertools
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ranking.oracle import Oracle

if TYPE_CHECKING:
    from laurels.ranking.index import Index, Ranking

LETTERS = "ab\u00e9\u20ac\U0001f3c6"


def name(rng: random.Random, names: int) -> str:
    """Return one of this many names: short and long, ASCII and not."""
    number = rng.randrange(names)
    return (LETTERS[number % len(LETTERS)] * (number % 7 * number % 61) + str(number))[:60]


def score(rng: random.Random, scores: int) -> float:
    """Return one of this many scores: the fewer, the more ties."""
    return rng.choice([1, -1, 0.5, 1e300]) * rng.randrange(scores)


def submit(index: Index, oracle: Oracle, who: str, what: float, when: int, *, refresh: bool) -> None:
    """Submit on both, on the index first: if it has no memory, the oracle stays as it was too."""
    try:
        outcome: int | None = index.submit(who, what, when, refresh)
    except OverflowError:
        outcome = None
    assert outcome == oracle.submit(who, what, when, refresh=refresh)


def change(rng: random.Random, index: Index, oracle: Oracle, names: int, scores: int) -> None:
    """Make one random change on both and compare what they return."""
    who, what, when = name(rng, names), score(rng, scores), rng.randrange(4)
    match rng.randrange(10):
        case 0 | 1 | 2:
            assert index.put(who, what, when) == (who not in oracle.held)
            oracle.put(who, what, when)
        case 3 | 4 | 5:
            submit(index, oracle, who, what, when, refresh=rng.random() < 0.5)
        case 6:
            ranking: Ranking = rng.choice(["ordinal", "competition", "dense"])
            index.rank_by(ranking)
            oracle.ranking = ranking
        case _:
            assert index.remove(who) == (who in oracle.held)
            oracle.remove(who)


def ask(rng: random.Random, index: Index, oracle: Oracle, names: int, scores: int) -> None:
    """Ask both one random question and compare the answers."""
    who, what, when = name(rng, names), score(rng, scores), rng.randrange(4)
    match rng.randrange(6):
        case 0:
            row = oracle.row(who)
            assert (index.row(who), index.standing(who)) == (row, row and row[1:3])
            assert (index.score(who), index.place_of(who)) == (row and row[1], oracle.place_of(who))
        case 1:
            start, stop = rng.randrange(-2, names), rng.randrange(-2, names)
            cut = slice(max(start, 0), max(stop, 0))
            assert (index.page(start, stop), index.rows(start, stop)) == (oracle.entries()[cut], oracle.rows()[cut])
        case 2:
            low, high = sorted((what, score(rng, scores)))
            first, last = oracle.places(low, high)
            assert (index.places(low, high), index.count(low, high)) == ((first, last), last - first)
        case 3:
            assert index.place_of_score(what) == oracle.place_of_score(what)
            assert index.rank_of_score(what) == oracle.rank_of_score(what)
            assert index.place_after(who, what, when) == oracle.place_after(who, what, when)
        case 4:
            assert index.is_whole() == all(float(held).is_integer() for held, _ in oracle.held.values())
        case _:
            index.check()


def submit_many(rng: random.Random, index: Index, oracle: Oracle, names: int, scores: int) -> None:
    """Submit a batch on both; if there was no memory for all of it, some of its first have been submitted."""
    batch = [(name(rng, names), score(rng, scores)) for _ in range(rng.randrange(100))]
    counted: int | None = None
    with contextlib.suppress(MemoryError):
        counted = index.submit_many([who for who, _ in batch], [what for _, what in batch], 1)
    outcomes = []
    for i, (who, what) in enumerate(batch):
        if counted is None and index.rows(0, names) == oracle.rows():  # pragma: no cover - only if memory is short
            return
        outcomes.append(oracle.submit(who, what, 1 + 2 * i, refresh=False))
    assert counted in {None, sum(map(bool, outcomes))}


def reload(rng: random.Random, index: Index, other: Index) -> Index:
    """Load the dump, in pieces, shuffled or not, into the other index; at first with bytes that are no entries."""
    cuts = sorted({0, len(index), *(rng.randrange(len(index) + 1) for _ in range(5))})
    pieces = [index.dump(a, b) for a, b in itertools.pairwise(cuts)]
    if rng.random() < 0.5:
        rng.shuffle(pieces)
    with contextlib.suppress(ValueError, MemoryError):
        other.load([*pieces, rng.randbytes(rng.randrange(40)), b"cut off"])
    assert len(other) == 0
    other.load(pieces)
    assert other.rows(0, len(index)) == index.rows(0, len(index))
    return other


def run(kind: type[Index], seed: int) -> int:
    """Run one index through some thousands of operations; return how many ended with MemoryError."""
    rng = random.Random(seed)
    oracle = Oracle(
        descending=rng.random() < 0.5,
        ties=rng.choice(["name", "earliest", "latest"]),
        operator=rng.choice(["latest", "best", "increment"]),
        ranking=rng.choice(["ordinal", "competition", "dense"]),
        stamped=rng.random() < 0.5,
    )
    node, names, scores = rng.choice([4, 5, 7, 16, 62]), rng.choice([5, 60, 1000]), rng.choice([1, 3, 1000])
    index = empty(kind, oracle, node)
    steps, done = rng.choice([50, 500, 5000]), 0
    for step in range(steps):
        with contextlib.suppress(MemoryError):
            if step % 400 == 399:
                index = reload(rng, index, empty(kind, oracle, node))
            if step % 100 == 99 and oracle.operator != "increment":
                submit_many(rng, index, oracle, names, scores)
            (change if rng.random() < 0.6 else ask)(rng, index, oracle, names, scores)
            done += 1
    index.check()
    assert index.rows(0, names) == oracle.rows()
    return steps - done


def empty(kind: type[Index], oracle: Oracle, node: int) -> Index:
    """Return an empty index with the oracle's settings."""
    return kind(
        descending=oracle.descending,
        ties=oracle.ties,
        operator=oracle.operator,
        ranking=oracle.ranking,
        stamped=oracle.stamped,
        leaf=node,
        fan=node,
    )


def kernel(folder: Path | None) -> type[Index]:
    """Return the installed Index, or the one that was built into the folder."""
    name = "laurels.ranking.index"
    if folder is None:
        return importlib.import_module(name).Index  # type: ignore[no-any-return]
    [file] = (folder / "laurels" / "ranking").glob("index*.so")
    loader = importlib.machinery.ExtensionFileLoader(name, str(file))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(sys.modules[name])
    return sys.modules[name].Index  # type: ignore[no-any-return]


def main() -> None:
    """Run seed after seed until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--kernel", type=Path)
    arguments = parser.parse_args()
    kind = kernel(arguments.kernel)
    seed, refused, end = arguments.seed, 0, time.monotonic() + arguments.seconds
    while seed == arguments.seed or time.monotonic() < end:
        print(f"\rseed {seed}: ", end="", flush=True)  # noqa: T201
        refused += run(kind, seed)
        seed += 1
    print(f"all from {arguments.seed} passed; {refused} operations were refused for want of memory")  # noqa: T201


if __name__ == "__main__":
    main()
