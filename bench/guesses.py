"""Whether the time of a refusal tells how near a guessed key is: ``python -m bench.guesses GUESSES``.

Written as JSON. Guesses begin with more and more characters of a key that exists, and have a right checksum. They are
made in random order, and each is timed alone. ``ns`` is the median of those that begin so, ``z`` by how many standard
errors their mean differs from that of all others, once the slowest tenth, which the machine made slow, is left out:
beyond 5, and the more the more they share, it would tell something.
"""

from __future__ import annotations

import random
import statistics
import sys
from contextlib import suppress
from itertools import chain
from math import sqrt
from time import perf_counter_ns

import msgspec

from laurels.access.file import AccessFile, Key
from laurels.access.keys import CHECK_CHARACTERS, PREFIX, SECRET_CHARACTERS, complete_key, digest_key, make_key
from laurels.errors import BadCredential
from laurels.http.access import Access
from laurels.http.messages import Request
from laurels.http.operations import STANDING

SHARED = (0, 14, 28, SECRET_CHARACTERS - 1)
"""How many characters of the secret a guess begins with."""
OTHERS = 100
"""Keys that exist besides."""
KEPT = 0.9


def measure(count: int) -> dict[int, dict[str, float]]:
    """Return what is to be told of so many guesses, by how many characters they share with the key."""
    key = make_key()
    keys = [key, *(make_key() for _ in range(OTHERS))]
    access = Access(AccessFile(keys={f"key-{number}": Key(digest_key(each)) for number, each in enumerate(keys)}))
    shared = random.sample(SHARED * (count // len(SHARED)), count // len(SHARED) * len(SHARED))
    times: dict[int, list[int]] = {each: [] for each in SHARED}
    for each in shared:
        times[each].append(_time(access, _guess(key, each)))
    kept = {each: sorted(taken)[: int(len(taken) * KEPT)] for each, taken in times.items()}
    return {
        each: {
            "ns": statistics.median(taken),
            "z": _compare(taken, list(chain(*(other for one, other in kept.items() if one != each)))),
        }
        for each, taken in kept.items()
    }


def _guess(key: str, shared: int) -> str:
    """Return another key that begins as this one does."""
    place = len(PREFIX) + shared
    rest = make_key()[place:-CHECK_CHARACTERS]
    return complete_key(key[:place] + rest) if key[place] != rest[0] else _guess(key, shared)


def _time(access: Access, guess: str) -> int:
    request = Request("GET", b"/b/v", b"", {b"authorization": f"Bearer {guess}".encode()})
    begun = perf_counter_ns()
    with suppress(BadCredential):
        access.authenticate(request, STANDING)
    return perf_counter_ns() - begun


def _compare(some: list[int], others: list[int]) -> float:
    error = sqrt(statistics.variance(some) / len(some) + statistics.variance(others) / len(others))
    return (statistics.fmean(some) - statistics.fmean(others)) / error


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure(int(sys.argv[1]))))
