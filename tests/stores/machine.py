"""A store against a dictionary: the acts that every store knows, to be drawn in any sequence."""

from __future__ import annotations

from operator import gt, lt
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laurels.stores.contract import Board, Change, Entry, Place, Ranked, Slice, Standing

if TYPE_CHECKING:
    import asyncio

    from laurels.stores.contract import Store

BOARDS = st.sampled_from([Board("kart"), Board("laps", "ascending"), Board("tiny")])
PLAYERS = st.sampled_from(["a", "b", "c", "d", "é", "😀", "aa", "B"])
SCORES = st.sampled_from([0, 1, 1.5, -7, 2**60])


def define(name: str) -> Board:
    """Tell the order of the boards of this model."""
    return Board(name, "ascending" if name == "laps" else "descending")


class StoreMachine(RuleBasedStateMachine):
    """A store and what it should hold. An heir sets ``runner`` and ``store``."""

    runner: asyncio.Runner
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, dict[str, float]] = {}

    def page(self, board: Board) -> list[Entry]:
        """Give a whole board as it should stand."""
        ordered = sorted(
            ((score, name.encode()) for name, score in self.model.get(board.name, {}).items()),
            reverse=board.order == "descending",
        )
        return [Entry(name.decode(), score) for score, name in ordered]

    def standing(self, board: Board, name: str) -> Standing | None:
        """Give the standing that a name should have."""
        ranks = {entry.name: Standing(entry.score, rank) for rank, entry in enumerate(self.page(board))}
        return ranks.get(name)

    def is_after(self, board: Board, entry: Entry, other: Entry) -> bool:
        """Tell whether the one stands after the other."""
        one, two = ((each.score, each.name.encode()) for each in (entry, other))
        return one < two if board.order == "descending" else one > two

    @rule(board=BOARDS, name=PLAYERS, score=SCORES)
    def submit(self, board: Board, name: str, score: float) -> None:
        """Submit one entry."""
        self.runner.run(self.store.submit(board, name, score))
        self.model.setdefault(board.name, {})[name] = score

    @precondition(lambda self: self.store.capabilities.one_state)
    @rule(board=BOARDS, name=PLAYERS, score=SCORES)
    def change(self, board: Board, name: str, score: float) -> None:
        """Submit one entry and compare what it is said to have changed."""
        before = self.standing(board, name)
        change = self.runner.run(self.store.change(board, name, score))
        self.model.setdefault(board.name, {})[name] = score
        assert change == Change(before, self.standing(board, name) or Standing(0, -1))

    @rule(board=BOARDS, entries=st.lists(st.builds(Entry, PLAYERS, SCORES), max_size=9))
    def submit_many(self, board: Board, entries: list[Entry]) -> None:
        """Submit several entries."""
        self.runner.run(self.store.submit_many(board, entries))
        if entries:
            self.model.setdefault(board.name, {}).update({entry.name: entry.score for entry in entries})

    @rule(board=BOARDS, name=PLAYERS)
    def remove(self, board: Board, name: str) -> None:
        """Remove one entry."""
        entries = self.model.get(board.name, {})
        assert self.runner.run(self.store.remove(board, name)) == (entries.pop(name, None) is not None)
        if not entries:
            self.model.pop(board.name, None)

    @rule(board=BOARDS, name=PLAYERS)
    def ask(self, board: Board, name: str) -> None:
        """Ask for a standing, and for how many there are."""
        assert self.runner.run(self.store.standing(board, name)) == self.standing(board, name)
        assert self.runner.run(self.store.count(board)) == len(self.model.get(board.name, {}))

    @precondition(lambda self: self.store.capabilities.one_state)
    @rule(board=BOARDS, name=PLAYERS, names=st.lists(PLAYERS, max_size=4), span=st.integers(0, 3))
    def ask_names(self, board: Board, name: str, names: list[str], span: int) -> None:
        """Ask for neighbours, and for several names."""
        page, standing = self.page(board), self.standing(board, name)
        first = max(0, standing.rank - span) if standing else 0
        around = Slice(first, page[first : standing.rank + span + 1]) if standing else None
        assert self.runner.run(self.store.around(board, name, span)) == around
        found = [Ranked(entry.name, entry.score, rank) for rank, entry in enumerate(page) if entry.name in names]
        assert self.runner.run(self.store.of_names(board, names)) == found

    @precondition(lambda self: self.store.capabilities.one_state)
    @rule(board=BOARDS, low=SCORES, high=SCORES, limit=st.integers(1, 4))
    def ask_scores(self, board: Board, low: float, high: float, limit: int) -> None:
        """Ask for what stands between two scores, and where a score would stand."""
        page, is_better = self.page(board), gt if board.order == "descending" else lt
        limits = min(low, high), max(low, high)
        first = sum(is_better(entry.score, limits[board.order == "descending"]) for entry in page)
        between = [entry for entry in page if limits[0] <= entry.score <= limits[1]]
        assert self.runner.run(self.store.within(board, *limits, limit)) == Slice(first, between[:limit])
        place = Place(sum(is_better(entry.score, low) for entry in page), len(page))
        assert self.runner.run(self.store.place(board, low)) == place

    @precondition(lambda self: self.store.capabilities.one_state)
    @rule(board=BOARDS, entry=st.builds(Entry, PLAYERS, SCORES), limit=st.integers(1, 4))
    def ask_after(self, board: Board, entry: Entry, limit: int) -> None:
        """Ask for what stands after a place, whoever has it."""
        before = [other for other in self.page(board) if not self.is_after(board, other, entry)]
        rest = self.page(board)[len(before) :]
        assert self.runner.run(self.store.after(board, entry, limit)) == Slice(len(before), rest[:limit])

    @precondition(lambda self: self.store.capabilities.one_state)
    @rule(board=BOARDS)
    def ask_summary(self, board: Board) -> None:
        """Ask for the board in a few figures."""
        scores = [entry.score for entry in self.page(board)]
        found = self.runner.run(self.store.summary(board))
        ends = (scores[0], scores[-1]) if scores else (None, None)
        assert (found.count, found.best, found.worst) == (len(scores), *ends)
        assert sum(bucket.count for bucket in found.histogram) == len(scores)
        for percent, score in found.percentiles.items():
            least = next((n for n in range(len(scores)) if 100 * (n + 1) >= percent * len(scores)), None)
            assert score == (None if least is None else scores[::-1][least])

    @rule(board=BOARDS)
    def drop(self, board: Board) -> None:
        """Drop a board."""
        assert self.runner.run(self.store.drop(board)) == (self.model.pop(board.name, None) is not None)

    @invariant()
    def same(self) -> None:
        """Hold the store against the model."""
        if self.store.capabilities.listing:
            assert self.runner.run(self.store.names()) == sorted(self.model)
        for board in map(define, self.model):
            assert self.runner.run(self.store.page(board, 0, 99)) == self.page(board)
