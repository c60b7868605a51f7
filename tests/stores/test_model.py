"""The embedded store against a dictionary, through any sequence of acts, restarts and folds."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laurels.stores.contract import Board, Change, Entry, Standing
from laurels.stores.embedded import EmbeddedStore
from laurels.stores.fold import fold
from tests.stores import disk

BOARDS = st.sampled_from([Board("kart"), Board("laps", "ascending"), Board("tiny")])
PLAYERS = st.sampled_from(["a", "b", "c", "d", "é", "😀", "aa", "B"])
SCORES = st.sampled_from([0, 1, 1.5, -7, 2**60])


def define(name: str) -> Board:
    """Tell the order of the boards of this model."""
    return Board(name, "ascending" if name == "laps" else "descending")


class StoreMachine(RuleBasedStateMachine):
    """A store and what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.model: dict[str, dict[str, float]] = {}
        self.begin()

    def begin(self) -> None:
        """Open the store."""
        self.store = self.runner.run(EmbeddedStore.open(self.directory, define))

    def teardown(self) -> None:
        """Close the store and leave nothing."""
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.directory)

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

    @rule(board=BOARDS)
    def drop(self, board: Board) -> None:
        """Drop a board."""
        assert self.runner.run(self.store.drop(board)) == (self.model.pop(board.name, None) is not None)

    @rule()
    def reopen(self) -> None:
        """Close the store and open it again."""
        self.runner.run(self.store.close())
        self.begin()

    @precondition(lambda self: disk.last(self.directory) > 0)
    @rule()
    def fold(self) -> None:
        """Fold the journal, as the child process would."""
        fold(self.directory, disk.last(self.directory))

    @invariant()
    def same(self) -> None:
        """Hold the store against the model."""
        assert self.runner.run(self.store.names()) == sorted(self.model)
        for board in map(define, self.model):
            assert self.runner.run(self.store.page(board, 0, 99)) == self.page(board)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
