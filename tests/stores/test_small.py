"""The smallest store: a dictionary. It has the eight methods of its own, and all others refuse by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.stores.contract import (
    Board,
    Capabilities,
    Entries,
    Ranked,
    Refusal,
    Standing,
    Store,
    Submission,
    SubmitResult,
)
from tests.stores.conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.stores.contract import IdempotencyKey
    from tests.stores.guarantees import Kept


class SmallStore(Store):
    """A store in this process's memory, of boards under the operator ``latest`` alone."""

    capabilities = Capabilities(
        durable=False,
        one_state=False,
        listing=False,
        defining=False,
        submission_details=False,
        windows=False,
        hiding=False,
        guarding=False,
        ttl=False,
        exact_sums=False,
        batched_sums=False,
        operators=frozenset({"latest"}),
        ties=frozenset({"name"}),
        rankings=frozenset({"ordinal"}),
    )

    def __init__(self) -> None:
        self.boards: dict[str, dict[str, float]] = {}

    def entries(self, board: Board) -> dict[str, float]:
        """Return the entries of a board that is open and can be kept, as a read sees them."""
        self._check_open()
        self.capabilities.check(board.definition)
        return self.boards.get(board.key, {}) if board.visible else {}

    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        """Keep the scores; of a batch return the refusals."""
        entries = self.entries(board)
        batch = [submissions] if isinstance(submissions, Submission) else submissions
        good = [each for each in batch if isinstance(each, Submission)]
        if want_changes or idempotency_key or any(each.metadata is not None for each in good):
            self._refuse("keep more of a submission than its score")
        if good:
            self.boards[board.key] = entries | {each.name: each.score for each in good}
        return SubmitResult([each for each in batch if isinstance(each, Refusal)])

    async def remove(self, board: Board, name: str) -> bool:
        """Remove a name, and the board with its last one."""
        self.entries(board)
        found = self.boards.get(board.key, {}).pop(name, None)
        if not self.boards.get(board.key):
            self.boards.pop(board.key, None)
        return found is not None

    async def drop(self, board: Board) -> bool:
        """Remove a board."""
        self.entries(board)
        return self.boards.pop(board.key, None) is not None

    async def standing(self, board: Board, name: str) -> Standing | None:
        """Look a name up on the whole board."""
        page = await self.page(board, 0, len(self.entries(board)))
        return next((Standing(entry.score, entry.rank) for entry in page if entry.name == name), None)

    async def page(
        self, board: Board, start: int, stop: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        """Sort the whole board."""
        entries = self.entries(board)
        if with_metadata:
            self._refuse("give metadata")
        backwards = board.definition.order == "descending"
        rows = sorted(entries.items(), key=lambda row: (row[1], row[0].encode()), reverse=backwards)
        found = [Ranked(*row, rank) for rank, row in enumerate(rows[start:stop], start)]
        return Entries(found, range(start, start + len(found)), len(rows)) if with_places else Entries(found)

    async def count(self, board: Board) -> int:
        """Count the entries."""
        return len(self.entries(board))

    async def ready(self) -> None:
        """Be ready until it is closed."""
        self._check_open()

    async def close(self) -> None:
        """Keep the entries for the test to look at."""
        self.is_closed = True


def test_small_store_measures_nothing() -> None:
    """A store need not have figures for its operator."""
    assert (SmallStore().measure(), SmallStore().warnings()) == ({}, ())


class TestSmall(Conformance):
    """A store of a hundred lines keeps the contract, as far as its capabilities say."""

    @pytest.fixture
    def store(self) -> SmallStore:
        """Make a store."""
        return SmallStore()

    @pytest.fixture
    def kept(self, store: SmallStore) -> Kept:
        """Read the dictionary."""

        async def read(board: Board) -> dict[str, float]:
            return store.boards.get(board.key, {})

        return read


def test_methods_of_its_own() -> None:
    """A store must have eight methods."""
    assert Store.__abstractmethods__ == {"submit", "remove", "drop", "standing", "page", "count", "ready", "close"}
