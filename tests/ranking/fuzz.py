"""Random acts on an index and on the oracle: ``python -m tests.ranking.fuzz --seed 1 --seconds 60``.

Meant for a kernel built under AddressSanitizer, in which one allocation in so many fails: MemoryError is an answer
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
    from laurels.ranking.index import Index, Ties

LETTERS = "ab\u00e9\u20ac\U0001f3c6"


def name(rng: random.Random, names: int) -> str:
    """Give one of so many names: short and long, ASCII and not."""
    number = rng.randrange(names)
    return (LETTERS[number % len(LETTERS)] * (number % 7 * number % 61) + str(number))[:60]


def score(rng: random.Random, scores: int) -> float:
    """Give one of so many scores, so that ties are as heavy as wanted."""
    return rng.choice([1, -1, 0.5, 1e300]) * rng.randrange(scores)


def act(rng: random.Random, index: Index, oracle: Oracle, names: int, scores: int) -> None:
    """Do one random act on both and compare the answers."""
    who, what, when = name(rng, names), score(rng, scores), rng.randrange(4)
    start, stop = rng.randrange(-2, names), rng.randrange(-2, names)
    low, high = sorted((what, score(rng, scores)))
    match rng.randrange(16):
        case 0 | 1 | 2 | 3 | 4:
            assert index.put(who, what, when) == (who not in oracle.held)
            oracle.put(who, what, when)
        case 5 | 6 | 7:
            assert index.remove(who) == (who in oracle.held)
            oracle.remove(who)
        case 8:
            assert index.standing(who) == oracle.standing(who)
        case 9:
            assert index.page(start, stop) == oracle.entries()[max(start, 0) : max(stop, 0)]
        case 10:
            assert index.around(who, 3) == oracle.around(who, 3)
        case 11:
            assert index.range(low, high, 10) == oracle.range(low, high, 10)
        case 12:
            assert index.rank_of_score(what) == oracle.rank_of_score(what)
            assert index.rank_after(who, what, when) == oracle.rank_after(who, what, when)
        case 13:
            assert index.count(low, high) == len(oracle.range(low, high, names)[1])
        case 14:
            assert index.score(who) == oracle.held.get(who, (None,))[0]
        case _:
            index.check()


def reload(rng: random.Random, index: Index, other: Index) -> Index:
    """Load the dump, in pieces, shuffled or not, into the other; at first with bytes that are no entries."""
    cuts = sorted({0, len(index), *(rng.randrange(len(index) + 1) for _ in range(5))})
    pieces = [index.dump(a, b) for a, b in itertools.pairwise(cuts)]
    if rng.random() < 0.5:
        rng.shuffle(pieces)
    with contextlib.suppress(ValueError, MemoryError):
        other.load([*pieces, rng.randbytes(rng.randrange(40)), b"cut off"])
    assert len(other) == 0
    other.load(pieces)
    assert other.page(0, len(index)) == index.page(0, len(index))
    return other


def run(kind: type[Index], seed: int) -> int:
    """Live one index through some thousands of acts; give the number of answers that were MemoryError."""
    rng = random.Random(seed)
    descending = rng.random() < 0.5
    ties: Ties = rng.choice(["name", "earliest", "latest"])
    node, names, scores = rng.choice([4, 5, 7, 16, 62]), rng.choice([5, 60, 1000]), rng.choice([1, 3, 1000])
    index = kind(descending=descending, ties=ties, leaf=node, fan=node)
    oracle = Oracle(descending=descending, ties=ties)
    steps, done = rng.choice([50, 500, 5000]), 0
    for step in range(steps):
        with contextlib.suppress(MemoryError):
            if step % 400 == 399:
                index = reload(rng, index, kind(descending=descending, ties=ties, leaf=node, fan=node))
            act(rng, index, oracle, names, scores)
            done += 1
    index.check()
    assert index.page(0, names) == oracle.entries()
    return steps - done


def kernel(folder: Path | None) -> type[Index]:
    """Give the installed Index, or that which was built into the folder."""
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
    wanted = parser.parse_args()
    kind = kernel(wanted.kernel)
    seed, refused, end = wanted.seed, 0, time.monotonic() + wanted.seconds
    while seed == wanted.seed or time.monotonic() < end:
        print(f"\rseed {seed}: ", end="", flush=True)  # noqa: T201
        refused += run(kind, seed)
        seed += 1
    print(f"all from {wanted.seed} passed; {refused} acts were refused for want of memory")  # noqa: T201


if __name__ == "__main__":
    main()
