"""A store against a dictionary: the acts that every store knows, to be drawn in any sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laurels.stores.contract import Board, Change, Entry, Standing

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
