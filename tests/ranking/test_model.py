"""The index against the oracle: the same operations, the same answers, and every invariant after each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from laurels.ranking import Index
from tests.length import times
from tests.ranking.oracle import Oracle

if TYPE_CHECKING:
    from laurels.ranking.index import Operator, Ranking, Score, Ties

NAMES = st.sampled_from([f"player-{i}" for i in range(40)]) | st.text("a\u00e9\U0001f3c6", min_size=1, max_size=3)
SCORES = st.sampled_from([1, 2, 3]) | st.sampled_from([-1.5, 0, 2**53, 10**17, 1e308, 5e-324, 0.3, 1e13])
PLACES = st.integers(-2, 60)
SEQUENCES = st.integers(0, 5)
TICKS = st.integers(-1, 2)


class Model(RuleBasedStateMachine):
    """Index and oracle do each operation."""

    @initialize(
        descending=st.booleans(),
        ties=st.sampled_from(["name", "earliest", "latest"]),
        operator=st.sampled_from(["latest", "best", "increment"]),
        ranking=st.sampled_from(["ordinal", "competition", "dense"]),
        stamped=st.booleans(),
        node=st.sampled_from([4, 5, 62]),
        entries=st.dictionaries(NAMES, st.tuples(SCORES, SEQUENCES), max_size=40),
    )
    def begin(
        self,
        *,
        descending: bool,
        ties: Ties,
        operator: Operator,
        ranking: Ranking,
        stamped: bool,
        node: int,
        entries: dict[str, tuple[Score, int]],
    ) -> None:
        """Begin with some entries, in nodes so small that they split and merge."""
        self.node = node
        self.oracle = Oracle(descending, ties, operator, ranking, stamped)
        self.index = self.empty()
        for name, (score, sequence) in entries.items():
            self.put(name, score, sequence)

    def empty(self) -> Index:
        """Return an empty index with the oracle's settings."""
        kind = self.oracle
        return Index(
            descending=kind.descending,
            ties=kind.ties,
            operator=kind.operator,
            ranking=kind.ranking,
            stamped=kind.stamped,
            leaf=self.node,
            fan=self.node,
        )

    @rule(name=NAMES, score=SCORES, sequence=SEQUENCES)
    def put(self, name: str, score: Score, sequence: int) -> None:
        """Put a name."""
        assert self.index.put(name, score, sequence) == self.oracle.put(name, score, sequence)

    @rule(name=NAMES, score=SCORES, sequence=SEQUENCES, refresh=st.booleans(), lossy=st.booleans(), tick=TICKS)
    def submit(self, name: str, score: Score, sequence: int, *, refresh: bool, lossy: bool, tick: int) -> None:
        """Submit a score, which may be refused."""
        tick = self.known(tick)
        outcome = self.oracle.submit(name, score, sequence, refresh=refresh, lossy=lossy, tick=tick)
        if outcome is None:
            with pytest.raises(OverflowError, match="sum"):
                self.index.submit(name, score, sequence, refresh, lossy, tick)
        else:
            assert self.index.submit(name, score, sequence, refresh, lossy, tick) == outcome

    def known(self, tick: int) -> int:
        """Return a tick, or none if the index keeps none."""
        return tick if self.oracle.stamped or self.oracle.ties != "name" else -1

    @rule(name=NAMES, mark=st.booleans())
    @precondition(lambda self: self.known(1) > 0)
    def mark(self, name: str, *, mark: bool) -> None:
        """Mark an entry, if that leaves it its place."""
        score, sequence = self.oracle.held.get(name, (0, 0))
        others = [held for other, held in self.oracle.held.items() if other != name]
        if not any(held[1] // 2 == sequence // 2 for held in others):
            assert self.index.mark(name, mark) == (name in self.oracle.held)
            if name in self.oracle.held:
                self.oracle.held[name] = (score, sequence & ~1 | mark)

    @rule(batch=st.lists(st.tuples(NAMES, SCORES), max_size=40), sequence=SEQUENCES)
    @precondition(lambda self: self.oracle.operator != "increment")
    def submit_many(self, batch: list[tuple[str, Score]], sequence: int) -> None:
        """Submit a batch."""
        counted = [
            self.oracle.submit(name, score, sequence + 2 * i, refresh=False) for i, (name, score) in enumerate(batch)
        ]
        names, scores = [name for name, _ in batch], [score for _, score in batch]
        assert self.index.submit_many(names, scores, sequence) == sum(map(bool, counted))

    @rule(names=st.lists(NAMES, max_size=20))
    def remove(self, names: list[str]) -> None:
        """Remove names."""
        for name in names:
            assert self.index.remove(name) == self.oracle.remove(name)

    @rule()
    def clear(self) -> None:
        """Remove all names."""
        self.index.clear()
        self.oracle.held.clear()
        self.oracle.ticks.clear()

    @rule(cuts=st.lists(PLACES, max_size=4), order=st.randoms(use_true_random=False))
    def reload(self, cuts: list[int], order: object) -> None:
        """Dump all in pieces, shuffle them, and go on with an index that is loaded from them."""
        ends = sorted({0, len(self.index), *(max(0, cut) for cut in cuts)})
        pieces = [self.index.dump(start, stop) for start, stop in itertools.pairwise(ends)]
        order.shuffle(pieces)  # type: ignore[attr-defined]
        self.index = self.empty()
        self.index.load(pieces)

    @rule(ranking=st.sampled_from(["ordinal", "competition", "dense"]))
    def rank_by(self, ranking: Ranking) -> None:
        """Change the ranking."""
        self.index.rank_by(ranking)
        self.oracle.ranking = ranking

    @rule(name=NAMES)
    def ask_name(self, name: str) -> None:
        """Ask all there is about a name."""
        row = self.oracle.row(name)
        assert self.index.row(name) == row
        assert self.index.standing(name) == (row and row[1:3])
        assert self.index.score(name) == (row and row[1])
        assert self.index.place_of(name) == self.oracle.place_of(name)
        assert (name in self.index) == (row is not None)

    @rule(low=SCORES, high=SCORES)
    def ask_scores(self, low: Score, high: Score) -> None:
        """Ask all there is about scores."""
        places = self.oracle.places(low, high)
        assert self.index.place_of_score(low) == self.oracle.place_of_score(low)
        assert self.index.rank_of_score(low) == self.oracle.rank_of_score(low)
        assert self.index.places(low, high) == places
        assert self.index.count(low, high) == places[1] - places[0]

    @rule()
    def ask_whole(self) -> None:
        """Ask whether all scores are whole."""
        assert self.index.is_whole() == all(float(score).is_integer() for score, _ in self.oracle.held.values())

    @rule(name=NAMES, score=SCORES, sequence=SEQUENCES, tick=TICKS)
    def ask_place(self, name: str, score: Score, sequence: int, tick: int) -> None:
        """Ask which entry comes after a position, whether or not that is taken."""
        place = name, score, sequence, self.known(tick)
        assert self.index.place_after(*place) == self.oracle.place_after(*place)

    @rule(start=PLACES, stop=PLACES)
    def ask_page(self, start: int, stop: int) -> None:
        """Ask for a page."""
        cut = slice(max(0, start), max(0, stop))
        assert self.index.page(start, stop) == self.oracle.entries()[cut]
        assert self.index.rows(start, stop) == self.oracle.rows()[cut]

    @invariant()
    def agree(self) -> None:
        """Every invariant holds, and every entry is in its place."""
        self.index.check()
        assert len(self.index) == len(self.oracle.held)
        assert self.index.rows(0, len(self.index)) == self.oracle.rows()


TestModel = pytest.mark.slow(Model.TestCase)
TestModel.settings = settings(max_examples=times(80), stateful_step_count=30)
