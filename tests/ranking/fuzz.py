"""Random acts on an index and on the oracle, for so many seconds: ``python -m tests.ranking.fuzz --seed 1 --seconds 60``.

Meant for a build under AddressSanitizer in which one allocation in so many fails: MemoryError is an answer like any other, after which the
index must be as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time

from laurels.ranking import Index
from tests.ranking.oracle import Oracle

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
        case 13:
            assert index.count(low, high) == len(oracle.range(low, high, names)[1])
        case 14:
            assert index.score(who) == oracle.held.get(who, (None,))[0]
        case _:
            index.check()


def reload(rng: random.Random, index: Index, *, descending: bool, ties: str, node: int) -> Index:
    """Dump the index in pieces, shuffled or not, and damaged at times, and load them into another."""
    cuts = sorted({0, len(index), *(rng.randrange(len(index) + 1) for _ in range(5))})
    pieces = [index.dump(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    if rng.random() < 0.5:
        rng.shuffle(pieces)
    other = Index(descending=descending, ties=ties, leaf=node, fan=node)  # type: ignore[arg-type]
    damaged = rng.randbytes(rng.randrange(40))
    with contextlib.suppress(ValueError, MemoryError):
        other.load([*pieces, pieces[-1][:-1] if pieces else b"", damaged])
        other.clear()
    assert len(other) == 0
    other.load(pieces)
    assert other.page(0, len(index)) == index.page(0, len(index))
    return other


def run(seed: int) -> int:
    """Live one index from empty through a few hundred acts; give the number of answers that were MemoryError."""
    rng = random.Random(seed)
    descending, ties = rng.random() < 0.5, rng.choice(["name", "earliest", "latest"])
    node, names, scores = rng.choice([4, 5, 7, 16, 62]), rng.choice([5, 60, 1000]), rng.choice([1, 3, 1000])
    index = Index(descending=descending, ties=ties, leaf=node, fan=node)  # type: ignore[arg-type]
    oracle = Oracle(descending=descending, ties=ties)  # type: ignore[arg-type]
    refused = 0
    for step in range(rng.choice([50, 500, 5000])):
        try:
            if step % 400 == 399:
                index = reload(rng, index, descending=descending, ties=ties, node=node)
            act(rng, index, oracle, names, scores)
        except MemoryError:
            refused += 1
            index.check()
    index.check()
    assert index.page(0, names) == oracle.entries()
    return refused


def main() -> None:
    """Run seed after seed until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    wanted = parser.parse_args()
    seed, refused, end = wanted.seed, 0, time.monotonic() + wanted.seconds
    while time.monotonic() < end:
        try:
            refused += run(seed)
        except BaseException:
            print(f"seed {seed} failed")  # noqa: T201
            raise
        seed += 1
    print(f"seeds {wanted.seed} to {seed - 1} passed; {refused} acts were refused for want of memory")  # noqa: T201


if __name__ == "__main__":
    main()
