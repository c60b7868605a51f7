"""The index at the limits of what it takes."""

from __future__ import annotations

import doctest
import math
import random
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import laurels.ranking.index
from laurels.ranking import Index
from tests.ranking.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.ranking.index import Score, Ties


def make_index(*entries: tuple[str, Score], descending: bool = True, ties: Ties = "name") -> Index:
    """Return an index of these entries, with sequences from 0 on."""
    index = Index(descending=descending, ties=ties)
    for sequence, (name, score) in enumerate(entries):
        index.put(name, score, sequence)
    return index


def pack(name: bytes, score: float) -> bytes:
    """Pack an entry by hand."""
    return struct.pack("<dB", score, len(name) - 1) + name


def test_docstrings() -> None:
    """Every example in a docstring holds, and every public method has one."""
    outcome = doctest.testmod(laurels.ranking.index)
    methods = [name for name in vars(Index) if not name.startswith("_") and callable(getattr(Index, name))]
    assert outcome.failed == 0
    assert {name for name in methods if ">>>" in getattr(Index, name).__doc__} == set(methods)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(42, 42, id="int"),
        pytest.param(42.0, 42, id="whole float"),
        pytest.param(0.1, 0.1, id="fraction"),
        pytest.param(-0.0, 0, id="minus zero"),
        pytest.param(True, 1, id="bool"),
        pytest.param(2**53 + 2, 2**53 + 2, id="beyond 2^53"),
        pytest.param(-(2**53), -(2**53), id="minus 2^53"),
        pytest.param(2**1023, 2**1023, id="great int"),
        pytest.param(1e300, int(1e300), id="great float"),
        pytest.param(5e-324, 5e-324, id="least"),
        pytest.param(-1.7976931348623157e308, -int(1.7976931348623157e308), id="most negative"),
    ],
)
@pytest.mark.parametrize("descending", [True, False], ids=["descending", "ascending"])
def test_scores_kept(given: Score, kept: Score, descending: bool) -> None:  # noqa: FBT001
    """A score comes back exactly, as an int if it is whole."""
    index = make_index(("v", given), descending=descending)
    assert index.standing("v") == (kept, 0)
    assert type(index.score("v")) is type(kept)


@pytest.mark.parametrize(
    ("score", "error"),
    [
        pytest.param(math.nan, ValueError, id="nan"),
        pytest.param(math.inf, ValueError, id="infinite"),
        pytest.param(2**53 + 1, ValueError, id="too precise"),
        pytest.param(10**400, ValueError, id="too great"),
        pytest.param("1", TypeError, id="str"),
        pytest.param(None, TypeError, id="None"),
    ],
)
def test_scores_refused(score: Any, error: type[Exception]) -> None:
    """A score that is not exactly a finite double is refused, and nothing is changed."""
    index = make_index(("v", 1))
    with pytest.raises(error):
        index.put("v", score)
    assert index.page(0, 2) == [("v", 1)]


@pytest.mark.parametrize("name", ["a", "a" * 256, "\u00e9" * 128, "\U0001f3c6", "a\x00b", "1234567", "12345678"])
def test_names_kept(name: str) -> None:
    """A name of 1 to 256 bytes comes back as it was."""
    index = make_index((name, 1), ("other", 0))
    assert index.page(0, 1) == [(name, 1)]
    assert name in index


def test_names_of_every_length() -> None:
    """A name of any length comes back as it was, from a page, from packed bytes, and after a load of these."""
    names = ["".join(chr(48 + i % 75) for i in range(size)) for size in range(1, 257)]
    index, other = (
        make_index(*((name, size) for size, name in enumerate(names)), descending=False),
        Index(descending=False),
    )
    other.load([index.dump(0, 256)])
    assert [name for name, _ in index.page(0, 256)] == names
    assert other.rows(0, 256) == index.rows(0, 256)
    assert all(name in other for name in names)


@pytest.mark.parametrize("name", ["", "a" * 257, "\u00e9" * 129, "\ud800"], ids=["empty", "257", "258", "surrogate"])
def test_names_refused(name: str) -> None:
    """A name that is not 1 to 256 bytes of UTF-8 is a ValueError."""
    index = Index()
    with pytest.raises(ValueError, match=r"name|surrogates"):
        index.put(name, 1)
    with pytest.raises(ValueError, match=r"name|surrogates"):
        index.standing(name)


def test_contains_anything() -> None:
    """An object that is not a str is not in an index."""
    index = make_index(("v", 1))
    assert "v" in index
    assert 1 not in index


@pytest.mark.parametrize(
    ("ties", "descending", "names"),
    [
        pytest.param("name", True, ["c", "b", "a\u00e9", "a"], id="name descending"),
        pytest.param("name", False, ["a", "a\u00e9", "b", "c"], id="name ascending"),
        pytest.param("earliest", True, ["b", "a\u00e9", "c", "a"], id="earliest"),
        pytest.param("latest", True, ["a", "c", "a\u00e9", "b"], id="latest"),
        pytest.param("latest", False, ["a", "c", "a\u00e9", "b"], id="latest ascending"),
    ],
)
def test_ties(ties: Ties, descending: bool, names: list[str]) -> None:  # noqa: FBT001
    """Equal scores are ordered by the bytes of their names or by their sequences."""
    index = make_index(("b", 1), ("a\u00e9", 1), ("c", 1), ("a", 1), ties=ties, descending=descending)
    assert [name for name, _ in index.page(0, 9)] == names


@pytest.mark.parametrize(("ties", "first"), [("earliest", "v"), ("latest", "silverhand")])
def test_ties_of_a_new_sequence(ties: Ties, first: str) -> None:
    """A put of the same score with another sequence moves the entry; equal sequences are ordered by name."""
    index = make_index(("silverhand", 1), ("v", 1), ("a", 0), ties=ties)
    assert index.put("silverhand", 1, 2**63 - 1) is False
    index.put("johnny", 1, 2**63 - 1)
    names = [name for name, _ in index.page(0, 3)]
    assert names[0] == first
    assert names.index("silverhand") + 1 == names.index("johnny")


@pytest.mark.parametrize(
    ("start", "stop", "names"),
    [(0, 2, "ab"), (1, 99, "bc"), (-5, 1, "a"), (2, 1, ""), (3, 4, ""), (0, 10**30, "abc"), (-(10**30), -1, "")],
)
def test_page(start: int, stop: int, names: str) -> None:
    """A page is clipped to the places that there are."""
    index = make_index(("a", 3), ("b", 2), ("c", 1))
    assert [name for name, _ in index.page(start, stop)] == list(names)


@pytest.mark.parametrize("descending", [True, False], ids=["descending", "ascending"])
@pytest.mark.parametrize(("low", "high"), [(1, 2), (1.5, 1.7), (2, 1), (-math.inf, math.inf), (3, 9), (-9, 0), (2, 2)])
def test_between(low: float, high: float, descending: bool) -> None:  # noqa: FBT001
    """Places between two scores include both ends; a count is how many they are."""
    entries = [("a", 1), ("b", 2), ("c", 2), ("d", 3)]
    index, oracle = make_index(*entries, descending=descending), Oracle(descending=descending)
    oracle.held = {name: (score, 0) for name, score in entries}
    first, stop = oracle.places(low, high)
    assert index.places(low, high) == (first, stop)
    assert index.count(low, high) == stop - first


@pytest.mark.parametrize("ties", ["name", "earliest", "latest"])
@pytest.mark.parametrize("descending", [True, False], ids=["descending", "ascending"])
def test_after_every_entry(ties: Ties, descending: bool) -> None:  # noqa: FBT001
    """After an entry comes the next, through thousands of ties, and also when the entry has been removed."""
    index = make_index(*((f"player-{i}", i % 3) for i in range(3000)), ties=ties, descending=descending)
    for place, (name, score) in enumerate(index.page(0, 3000)):
        assert index.place_after(name, score, int(name[7:])) == place + 1
        index.remove(name)
        assert index.place_after(name, score, int(name[7:])) == place
        index.put(name, score, int(name[7:]))


def test_after_refused() -> None:
    """A position needs a valid name and a finite score."""
    for name, score in (("", 1), ("v", math.inf)):
        with pytest.raises(ValueError, match=r"name|finite"):
            Index().place_after(name, score)


def test_nan_bound() -> None:
    """NaN is no bound."""
    with pytest.raises(ValueError, match="number"):
        Index().place_of_score(math.nan)


def test_missing() -> None:
    """A name that is not there gives None or False, and no error."""
    index = make_index(("v", 1))
    assert index.standing("x") is None
    assert index.score("x") is None
    assert index.place_of("x") is None
    assert index.row("x") is None
    assert index.remove("x") is False


def test_empty() -> None:
    """An empty index answers every question."""
    index = Index()
    index.check()
    assert index.page(0, 9) == []
    assert index.rows(0, 9) == []
    assert index.dump(0, 9) == b""
    assert index.is_whole()
    assert index.rank_of_score(1) == 0
    assert index.places(0, 1) == (0, 0)
    assert index.place_after("v", 1) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"ties": "random"},
        {"operator": "worst"},
        {"ranking": "olympic"},
        {"leaf": 3},
        {"fan": 3},
        {"leaf": 1025},
        {"fan": 1025},
    ],
    ids=str,
)
def test_arguments_refused(wrong: dict[str, Any]) -> None:
    """Settings that are not possible are a ValueError."""
    with pytest.raises(ValueError, match=r"ties|operator|ranking|leaf"):
        Index(**wrong)


def test_packed_format() -> None:
    """An entry is packed as its double, the sequence on timed boards, the length less 1, and the name."""
    assert make_index(("v", 2077)).dump(0, 1) == struct.pack("<dB", 2077, 0) + b"v"
    assert make_index(("a", 0), ("v", 2), ties="latest").dump(0, 1) == struct.pack("<dQB", 2, 1, 0) + b"v"


@pytest.mark.parametrize("ties", ["name", "earliest", "latest"])
@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("size", [1, 4, 62, 63, 3000])
def test_load(ties: Ties, size: int, shuffled: bool) -> None:  # noqa: FBT001
    """Entries that were dumped in pieces are loaded, in whatever order they come."""
    index = make_index(*((f"player-{i}", i * 7 % 5) for i in range(size)), ties=ties)
    pieces = [index.dump(i, i + 1) for i in range(size)]
    if shuffled:
        random.Random(size).shuffle(pieces)
    other = Index(ties=ties)
    other.load(pieces)
    other.check()
    assert other.dump(0, size) == index.dump(0, size)


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(pack(b"v", 1)[:-1], id="cut in the name"),
        pytest.param(pack(b"v", 1)[:5], id="cut in the score"),
        pytest.param(pack(b"v", math.nan), id="nan"),
        pytest.param(pack(b"\xff", 1), id="not utf-8"),
        pytest.param(pack(b"v", 1) + pack(b"v", 1), id="twice with one score"),
        pytest.param(pack(b"v", 2) + pack(b"x", 1) + pack(b"v", 0), id="twice in order"),
        pytest.param(pack(b"v", 2) + pack(b"x", 1) + pack(b"v", 3), id="twice out of order"),
    ],
)
def test_load_damaged(chunk: bytes) -> None:
    """Damaged bytes are a ValueError, and the index stays empty."""
    index = Index()
    with pytest.raises(ValueError, match=r"damaged|twice|utf-8"):
        index.load([pack(b"silverhand", 34), chunk])
    index.check()
    assert len(index) == 0


def test_load_over() -> None:
    """Only an empty index is loaded, one that is still empty at the end."""
    index = Index()

    def chunks() -> Iterator[bytes]:
        yield pack(b"v", 1)
        index.put("silverhand", 34)

    with pytest.raises(ValueError, match="filled while"):
        index.load(chunks())
    with pytest.raises(ValueError, match="only an empty"):
        index.load([])
    assert index.page(0, 9) == [("silverhand", 34)]


def test_load_of_str() -> None:
    """A chunk that is not bytes is a TypeError."""
    with pytest.raises(TypeError):
        Index().load(["v"])  # type: ignore[list-item]


def test_load_nothing() -> None:
    """Chunks without entries load nothing."""
    index = Index()
    index.load([b""])
    index.check()
    assert len(index) == 0


def test_memory_small() -> None:
    """A board of ten entries takes little more than a kilobyte."""
    assert make_index(*((f"player-{i:08}", i) for i in range(10))).nbytes < 1300


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_memory_large(order: str) -> None:
    """An entry with a name of 15 bytes takes no more than 52 bytes, however the scores come."""
    scores = sorted(random.Random(1).sample(range(10**9), 50_000), reverse=order == "descending")
    if order == "random":
        random.Random(2).shuffle(scores)
    index = make_index(*((f"{i * 0x9E3779B97F4A7C15 % 2**60:015x}", score) for i, score in enumerate(scores)))
    index.check()
    assert index.nbytes / len(index) < 52


def test_memory_freed() -> None:
    """An index whose entries were all removed is as small as a new one."""
    index = make_index(*((f"player-{i}", i % 3) for i in range(5000)))
    for i in range(5000):
        assert index.remove(f"player-{i}")
    index.check()
    assert index.nbytes == Index().nbytes == sys.getsizeof(index)


@pytest.mark.parametrize("size", [1, 8, 200, 256])
def test_memory_reused(size: int) -> None:
    """Names that come and go take no more memory than at their most."""
    index = make_index(*((f"{i:0{size}}"[-size:], i) for i in range(min(3000, 10**size))))
    held = index.nbytes
    for i in range(9):
        assert index.remove(f"{i:0{size}}"[-size:])
        assert index.put(f"{i:0{size}}"[-size:], i)
    assert index.nbytes <= held + 70 * 8


STARVED = """
import resource
from laurels.ranking import Index
index = Index()
index.put("first", 1)
have = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (have + (24 << 20), resource.RLIM_INFINITY))
n = 1
try:
    while True:
        index.put("player %d" % n, n * 7919 % 65536)
        n += 1
except MemoryError:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.check()
assert len(index) == n and index.put("player %d" % n, 1)
print(n)
"""


def test_starved() -> None:
    """If there is no memory, a put raises MemoryError and the index is as it was."""
    done = subprocess.run([sys.executable, "-c", STARVED], check=True, capture_output=True, text=True, timeout=120)
    assert int(done.stdout) > 10_000
