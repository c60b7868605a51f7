"""The Momento store against a dictionary, with every kind of board that it keeps, while time goes by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laurels.definition import Definition
from laurels.stores.contract import Board, Ranked, Standing, Submission
from laurels.stores.momento.connection import TTL, FixedKey
from laurels.stores.momento.store import MomentoStore
from tests.length import times
from tests.stores.guarantees import submit_batch
from tests.stores.test_momento import Local

if TYPE_CHECKING:
    from collections.abc import Iterator

BOARDS = [
    Board("kart"),
    Board("short", Definition(order="ascending", ttl="40s")),
    Board("sums", Definition(operator="increment", order="ascending")),
    Board("short sums", Definition(operator="increment", ttl="40s")),
]
ANY = st.sampled_from(BOARDS)
LATEST = st.sampled_from([board for board in BOARDS if board.definition.operator == "latest"])
PLAYERS = st.sampled_from(["a", "é", "😀", "B"])
SCORES = st.sampled_from([0, 1, 1.5, -7, 2**40])
SECONDS = st.sampled_from([1, 39, 41, 7 * 86_400 - 1, 7 * 86_400 + 1])


class MomentoClockMachine(RuleBasedStateMachine):
    """A store over a server whose clock the test controls, and what the store should hold."""

    runner: asyncio.Runner
    local: Local

    def __init__(self) -> None:
        super().__init__()
        for board in BOARDS:
            self.local.server.caches["boards"].drop(board.key.encode())
        self.store = MomentoStore("boards", FixedKey(self.local.key()), self.local.endpoint)
        self.model: dict[str, dict[str, float]] = {}
        self.ends: dict[str, float] = {}

    def teardown(self) -> None:
        """Close the store."""
        self.runner.run(self.store.close())

    def entries(self, board: Board) -> dict[str, float]:
        """Return what a board should hold now."""
        return self.model.get(board.key, {}) if self.local.now < self.ends.get(board.key, 0) else {}

    def page(self, board: Board) -> list[Ranked]:
        """Return a whole board in the order that it should have now."""
        ordered = sorted(
            ((score, name.encode()) for name, score in self.entries(board).items()),
            reverse=board.definition.order == "descending",
        )
        return [Ranked(name.decode(), score, rank) for rank, (score, name) in enumerate(ordered)]

    def put(self, board: Board, scores: list[tuple[str, float]]) -> None:
        """Do as a submit should."""
        entries = dict(self.entries(board))
        for name, score in scores:
            entries[name] = score + (entries.get(name, 0) if board.definition.operator == "increment" else 0)
        self.model[board.key] = entries
        self.ends[board.key] = self.local.now + (board.definition.ttl_seconds or TTL.total_seconds())

    @rule(board=ANY, name=PLAYERS, score=SCORES)
    def submit(self, board: Board, name: str, score: float) -> None:
        """Submit one score."""
        self.runner.run(self.store.submit(board, Submission(name, score)))
        self.put(board, [(name, score)])

    @rule(board=LATEST, scores=st.lists(st.tuples(PLAYERS, SCORES), max_size=5))
    def submit_batch(self, board: Board, scores: list[tuple[str, float]]) -> None:
        """Submit several scores."""
        assert self.runner.run(submit_batch(self.store, board, [Submission(*score) for score in scores])) == []
        if scores:
            self.put(board, scores)

    @precondition(lambda self: self.model)
    @rule(board=ANY, name=PLAYERS)
    def remove(self, board: Board, name: str) -> None:
        """Remove a name; that does not lengthen a board's time."""
        assert self.runner.run(self.store.remove(board, name)) == (name in self.entries(board))
        self.model[board.key] = {other: score for other, score in self.entries(board).items() if other != name}

    @rule(board=ANY)
    def drop(self, board: Board) -> None:
        """Drop a board."""
        assert self.runner.run(self.store.drop(board)) == bool(self.entries(board))
        self.model.pop(board.key, None)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.local.now += seconds

    @invariant()
    def same(self) -> None:
        """Compare the store with the model."""
        for board in map(self.known, self.model):
            page = self.page(board)
            assert self.runner.run(self.store.page(board, 0, 99)) == page
            assert self.runner.run(self.store.count(board)) == len(page)
            for entry in page[:1]:
                assert self.runner.run(self.store.standing(board, entry.name)) == Standing(entry.score, 0)

    def known(self, key: str) -> Board:
        """Return the board of a key."""
        return next(board for board in BOARDS if board.key == key)


@pytest.fixture(scope="module")
def one_loop() -> Iterator[None]:
    """Set the machine's server and its loop, one for all, as gRPC needs it."""
    with asyncio.Runner() as MomentoClockMachine.runner:
        MomentoClockMachine.local = MomentoClockMachine.runner.run(_started())
        yield
        MomentoClockMachine.runner.run(MomentoClockMachine.local.server.stop(0))


async def _started() -> Local:
    local = Local()
    await local.server.start()
    return local


TestMomentoClock = pytest.mark.slow(pytest.mark.usefixtures("one_loop")(MomentoClockMachine.TestCase))
TestMomentoClock.settings = settings(max_examples=times(15), stateful_step_count=25)
