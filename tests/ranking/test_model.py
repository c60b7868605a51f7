"""The index beside the oracle: the same acts, the same answers, and every invariant after each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from laurels.ranking import Index
from tests.ranking.oracle import Oracle

if TYPE_CHECKING:
    from laurels.ranking.index import Score, Ties

NAMES = st.sampled_from([f"player-{i}" for i in range(40)]) | st.text("a\u00e9\U0001f3c6", min_size=1, max_size=3)
SCORES = st.sampled_from([1, 2, 3]) | st.sampled_from([-1.5, 0, 10**17, 1e300])
RANKS = st.integers(-2, 60)


class Model(RuleBasedStateMachine):
    """Both do each act."""

    @initialize(
        descending=st.booleans(),
        ties=st.sampled_from(["name", "earliest", "latest"]),
        node=st.sampled_from([4, 5, 62]),
        entries=st.dictionaries(NAMES, st.tuples(SCORES, st.integers(0, 3)), max_size=40),
    )
    def begin(self, descending: bool, ties: Ties, node: int, entries: dict[str, tuple[Score, int]]) -> None:  # noqa: FBT001
        """Begin with some entries, in nodes so small that they split and merge."""
        self.node = node
        self.oracle = Oracle(descending=descending, ties=ties)
        self.index = Index(descending=descending, ties=ties, leaf=node, fan=node)
        for name, (score, sequence) in entries.items():
            self.put(name, score, sequence)

    @rule(name=NAMES, score=SCORES, sequence=st.integers(0, 3))
    def put(self, name: str, score: Score, sequence: int) -> None:
        """Put a name."""
        assert self.index.put(name, score, sequence) == self.oracle.put(name, score, sequence)

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

    @rule(cuts=st.lists(RANKS, max_size=4), order=st.randoms(use_true_random=False))
    def reload(self, cuts: list[int], order: object) -> None:
        """Dump all in pieces, shuffle them, and go on with what is loaded from them."""
        ends = sorted({0, len(self.index), *(max(0, cut) for cut in cuts)})
        pieces = [self.index.dump(start, stop) for start, stop in itertools.pairwise(ends)]
        order.shuffle(pieces)  # type: ignore[attr-defined]
        self.index = Index(descending=self.oracle.descending, ties=self.oracle.ties, leaf=self.node, fan=self.node)
        self.index.load(pieces)

    @rule(name=NAMES, span=st.integers(-1, 5))
    def ask_name(self, name: str, span: int) -> None:
        """Ask all there is about a name."""
        assert self.index.standing(name) == self.oracle.standing(name)
        assert self.index.score(name) == self.oracle.held.get(name, (None,))[0]
        assert self.index.around(name, max(0, span)) == self.oracle.around(name, max(0, span))
        assert (name in self.index) == (name in self.oracle.held)

    @rule(low=SCORES, high=SCORES, limit=st.integers(0, 60))
    def ask_scores(self, low: Score, high: Score, limit: int) -> None:
        """Ask all there is about scores."""
        assert self.index.rank_of_score(low) == self.oracle.rank_of_score(low)
        assert self.index.range(low, high, limit) == self.oracle.range(low, high, limit)
        assert self.index.count(low, high) == len(self.oracle.range(low, high, 999)[1])

    @rule(name=NAMES, score=SCORES, sequence=st.integers(0, 3))
    def ask_place(self, name: str, score: Score, sequence: int) -> None:
        """Ask what stands after a place, whoever has it."""
        assert self.index.rank_after(name, score, sequence) == self.oracle.rank_after(name, score, sequence)

    @rule(start=RANKS, stop=RANKS)
    def ask_page(self, start: int, stop: int) -> None:
        """Ask for a page."""
        assert self.index.page(start, stop) == self.oracle.entries()[max(0, start) : max(0, stop)]

    @invariant()
    def whole(self) -> None:
        """Every invariant holds and every entry is in its place."""
        self.index.check()
        assert len(self.index) == len(self.oracle.held)
        assert self.index.page(0, len(self.index)) == self.oracle.entries()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
