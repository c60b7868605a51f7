"""Ranks by each ranking, places, and sequences: every question gets the same answer."""

from __future__ import annotations

import math
import random
import struct
from typing import TYPE_CHECKING

import pytest

from laurels.ranking import Index, to_json

if TYPE_CHECKING:
    from laurels.ranking.index import Ranking, Ties

RANKINGS: list[Ranking] = ["ordinal", "competition", "dense"]


@pytest.mark.parametrize(
    ("ranking", "ranks"),
    [("ordinal", [0, 1, 2, 3, 4]), ("competition", [0, 1, 1, 3, 4]), ("dense", [0, 1, 1, 2, 3])],
)
@pytest.mark.parametrize("descending", [True, False], ids=["descending", "ascending"])
def test_rankings(ranking: Ranking, ranks: list[int], *, descending: bool) -> None:
    """Tied entries share a rank if the ranking says so, on a page that begins among them too."""
    index = Index(ranking=ranking, descending=descending)
    index.submit_many("abcde", [9, 8, 8, 7, 6] if descending else [6, 7, 7, 8, 9], 0)
    for start in range(5):
        assert [rank for *_, rank, _ in index.rows(start, 5)] == ranks[start:]


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("scores", [1, 7, 300, 10**6])
@pytest.mark.parametrize("node", [4, 7, 62])
def test_all_agree(ranking: Ranking, scores: int, node: int) -> None:
    """A row, a standing, a place and a page say the same of every name, while names come and go."""
    rng, index = random.Random(scores), Index(ranking=ranking, ties="earliest", leaf=node, fan=node)
    for i in range(3000):
        index.put(f"player-{rng.randrange(900)}", rng.randrange(scores), i)
        index.remove(f"player-{rng.randrange(900)}")
    index.check()
    rows = index.rows(0, 900)
    assert [index.row(name) for name, *_ in rows] == rows
    assert [index.standing(name) for name, *_ in rows] == [row[1:3] for row in rows]
    assert [index.place_of(name) for name, *_ in rows] == list(range(len(rows)))
    assert [index.place_after(row[0], row[1], row[3]) for row in rows] == [*range(1, len(rows) + 1)]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_scores_of_nobody(ranking: Ranking) -> None:
    """A score that nobody has gets the rank that it would have."""
    index = Index(ranking=ranking)
    index.submit_many([f"player-{i}" for i in range(3000)], [i // 300 * 2 for i in range(3000)], 0)
    better = {"ordinal": 1500, "competition": 1500, "dense": 5}[ranking]
    assert index.rank_of_score(9) == index.rank_of_score(8) == better
    assert index.rank_of_score(math.inf) == 0
    assert index.rank_of_score(-math.inf) == (10 if ranking == "dense" else 3000)


@pytest.mark.parametrize("node", [4, 7, 62])
@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("before", RANKINGS)
def test_rank_by(before: Ranking, ranking: Ranking, node: int) -> None:
    """After a change of ranking an index is like one that always had it, and stays so."""
    index, other = (Index(ranking=kind, ties="latest", leaf=node, fan=node) for kind in (before, ranking))
    for first in (0, 500):
        names = [f"player-{i}" for i in range(first, first + 1000)]
        for each in (index, other):
            each.submit_many(names, [i * i % 97 for i in range(1000)], first)
        index.rank_by(ranking)
        index.check()
        assert index.rows(0, 2000) == other.rows(0, 2000)
        assert [index.standing(name) for name in names] == [other.standing(name) for name in names]


def test_rank_by_when_empty() -> None:
    """The ranking of an empty index can change; an unknown ranking is refused and changes nothing."""
    index = Index()
    index.rank_by("dense")
    with pytest.raises(ValueError, match="ordinal, competition, dense, not 'sparse'"):
        index.rank_by("sparse")  # type: ignore[arg-type]
    index.submit_many("abc", [2, 2, 1], 0)
    index.check()
    assert index.standing("c") == (1, 1)


def test_dense_in_one_score() -> None:
    """12,000 entries that share a score count as one for those behind, until the last has another."""
    index = Index(ranking="dense")
    names = [f"player-{i}" for i in range(12_000)]
    index.submit_many(["first", "last", *names], [2, 0, *[1] * 12_000], 0)
    assert index.standing("last") == (0, 2)
    index.submit_many(names[1:], [3] * 11_999, 0)
    assert index.standing("last") == (0, 3)
    assert index.standing(names[0]) == (1, 2)
    index.remove(names[0])
    assert index.standing("last") == (0, 2)
    index.check()


def test_dense_of_near_scores() -> None:
    """Scores one double apart are two scores."""
    index = Index(ranking="dense", leaf=4, fan=4)
    scores = [1.0]
    for _ in range(40):
        scores.append(math.nextafter(scores[-1], 2))
    index.submit_many([f"player-{i}" for i in range(41)], scores, 0)
    index.check()
    assert [rank for *_, rank, _ in index.rows(0, 41)] == list(range(41))
    assert [index.standing(f"player-{40 - i}") for i in range(41)] == [(scores[40 - i], i) for i in range(41)]


@pytest.mark.parametrize(("ties", "stamped"), [("name", True), ("earliest", False), ("latest", False)])
def test_sequences_kept(ties: Ties, *, stamped: bool) -> None:
    """Sequences of 63 bits come back as they were, from rows and through a dump."""
    index, other = Index(ties=ties, stamped=stamped), Index(ties=ties, stamped=stamped)
    index.put("v", 1, 2**63 - 1)
    other.load([index.dump(0, 1)])
    assert other.rows(0, 1) == [other.row("v")] == [("v", 1, 0, 2**63 - 1)]


@pytest.mark.parametrize("ties", ["name", "earliest", "latest"])
def test_load_without_sequences(ties: Ties) -> None:
    """Entries dumped without sequences load into an index that keeps them: each has 0, and ties are by name."""
    old, index = Index(), Index(ties=ties, stamped=True)
    old.submit_many([f"player-{i}" for i in range(500)], [i % 3 for i in range(500)], 0)
    index.load([old.dump(0, 500)], sequences=False)
    index.check()
    assert index.rows(0, 500) == old.rows(0, 500)


@pytest.mark.parametrize("sequences", [True, False])
def test_load_unstamped(*, sequences: bool) -> None:
    """An index that keeps no sequences takes entries without them, whatever the argument says."""
    old, index = Index(), Index()
    old.put("v", 1)
    index.load([old.dump(0, 1)], sequences=sequences)
    assert index.page(0, 9) == [("v", 1)]


def test_load_keeps_settings() -> None:
    """A loaded index ranks and submits as it did before."""
    index = Index(descending=False, operator="best", ranking="dense", ties="latest")
    index.load([struct.pack("<dQB", 7, 1, 0) + b"v", struct.pack("<dQB", 7, 2, 0) + b"w"])
    assert index.submit("v", 8, 3) == 0
    assert index.submit("x", 9, 4) == 2
    assert index.rows(0, 9) == [("w", 7, 0, 2), ("v", 7, 0, 1), ("x", 9, 1, 4)]


@pytest.mark.parametrize("ties", ["name", "earliest", "latest"])
def test_dated(ties: Ties) -> None:
    """A tick comes back from rows and through a dump; an entry that had one has one from then on."""
    index, other = Index(ties=ties, stamped=True, leaf=4), Index(ties=ties, stamped=True)
    for place in range(20):
        index.submit(f"player-{place}", 1, 2 * place)
    assert index.submit("player-3", 2, 101, True, False, 0) == 1  # noqa: FBT003 - as the store does
    assert index.submit("player-4", 2, 102, True, False, 2**61 - 1) == 1  # noqa: FBT003
    assert index.submit("player-4", 3, 103) == 1
    index.check()
    other.load([index.dump(0, 20)])
    assert other.row("player-3") == index.row("player-3") == ("player-3", 2, 1, 101, 0)
    assert other.row("player-4") == index.row("player-4") == ("player-4", 3, 0, 103, 51)
    assert to_json(index.dump(1, 2), True, {101: b"{}"}) == b'[{"name":"player-3","score":2,"metadata":{}}]'  # noqa: FBT003


def test_what_no_index_keeps() -> None:
    """Sequences and ticks have bounds, and need an index that keeps them; a packed entry is not cut off."""
    with pytest.raises(ValueError, match=r"less than 2\^63"):
        Index(stamped=True).put("v", 1, 2**63)
    with pytest.raises(ValueError, match=r"less than 2\^61"):
        Index(stamped=True).submit("v", 1, tick=2**61)
    with pytest.raises(ValueError, match="keeps no sequences"):
        Index().submit("v", 1, tick=1)
    with pytest.raises(ValueError, match="damaged"):
        Index(stamped=True).load([struct.pack("<dQB", 7, 2**63, 0) + b"v"])


@pytest.mark.parametrize("stamped", [True, False])
def test_stamped_json(*, stamped: bool) -> None:
    """A page of packed entries becomes the same JSON with sequences as without."""
    index = Index(stamped=stamped)
    index.submit_many(["v", 'a"\n', "\u00e9" * 128], [20.5, 2**60, -1], 0)
    expected = '[{"name":"a\\"\\n","score":1152921504606846976},{"name":"v","score":20.5},{"name":"%s","score":-1}]'
    assert to_json(index.dump(0, 9), stamped).decode() == expected % ("\u00e9" * 128)


@pytest.mark.parametrize("kind", ["dense", "stamped"])
def test_memory(kind: str) -> None:
    """A dense ranking costs at most a fifth of a byte an entry, a sequence its 8 bytes and no more."""
    names, scores = [f"player-{i:08}" for i in range(50_000)], random.Random(1).sample(range(10**9), 50_000)
    index, other = Index(ranking="dense") if kind == "dense" else Index(stamped=True), Index()
    index.submit_many(names, scores, 0)
    other.submit_many(names, scores, 0)
    assert 0 < index.nbytes - other.nbytes < (0.2 if kind == "dense" else 9) * 50_000
