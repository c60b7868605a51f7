"""The members of the boards that are measured: seeded, so that every run and every peer has the same."""

from __future__ import annotations

import gzip
import itertools
import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SEED = 20261123
PACKAGES = 226_974
LETTERS = "etaoinsrhldcumfpgwybvkxjqz"
WORDS = 8_000
WORD_LENGTHS = (2, 3, 4, 5, 6, 7, 8, 10, 12)
NAME_WORDS = (1, 2, 2, 2, 3)
SCOPED = 0.5
CURVE = (
    (0, 2_399_072_936),
    (10, 1_383_676_363),
    (100, 522_832_103),
    (1_000, 137_234_975),
    (5_000, 11_521_466),
    (10_000, 2_718_130),
    (20_000, 540_965),
    (50_000, 53_212),
    (100_000, 6_717),
    (150_000, 1_893),
    (170_000, 1_261),
    (200_000, 737),
    (220_000, 533),
    (226_973, 480),
)
"""Rank and score of a public registry's download counts: a few giants, and a tail of ties."""


def name_of(place: int) -> str:
    """Return the 15-byte name of a member."""
    return f"player-{place:08d}"


def members(count: int) -> Iterator[tuple[str, int]]:
    """Return names of 15 bytes in random order, with random scores."""
    chance = random.Random(SEED)
    places = list(range(count))
    chance.shuffle(places)
    return ((name_of(place), chance.randrange(1_000_000)) for place in places)


def batches(entries: Iterable[tuple[str, int]], size: int = 1_000) -> Iterator[list[tuple[str, int]]]:
    """Cut entries into lists of ``size``, the last as long as what is left."""
    rest = iter(entries)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def write_packages(file: Path, count: int = PACKAGES) -> None:
    """Write a gzipped TSV of package names and download counts, sorted by name.

    It resembles a public registry's list: as many rows, names of about the same length (19 bytes in the mean, half of
    them scoped), and the same curve of scores, two thirds of which are shared.
    """
    chance = random.Random(SEED)
    words = ["".join(chance.choices(LETTERS, k=chance.choice(WORD_LENGTHS))) for _ in range(WORDS)]
    names: set[str] = set()
    while len(names) < count:
        names.add(_package(chance, words))
    scores = [_score_at(rank * PACKAGES // count) for rank in range(count)]
    chance.shuffle(scores)
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.write("name\tscore\n")
        out.writelines(f"{name}\t{score}\n" for name, score in zip(sorted(names), scores, strict=True))


def _package(chance: random.Random, words: list[str]) -> str:
    scope = f"@{chance.choice(words)}/" if chance.random() < SCOPED else ""
    return scope + "-".join(chance.choices(words, k=chance.choice(NAME_WORDS)))


def _score_at(rank: int) -> int:
    for (left, high), (right, low) in itertools.pairwise(CURVE):
        if rank <= right:
            return round(high * math.pow(low / high, (rank - left) / (right - left)))
    raise IndexError(rank)
