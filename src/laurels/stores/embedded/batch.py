"""A batch: records that become durable together, and the one future that all their callers wait for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, cast

from laurels.errors import FileLost, LaurelsError, RestartNeeded, StoreUnavailable
from laurels.stores.embedded.records import RULES, At, Outcome, Put, Record, Submit, begin_batch, compare, finish_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from laurels.stores.contract import IdempotencyKey
    from laurels.stores.embedded.answers import Answered, Answers, Compared
    from laurels.stores.embedded.capacity import Claims
    from laurels.stores.embedded.state import State

UNTIMED = At(0, RULES)
NEVER = -1
"""An agreed time before all others."""
Failure: TypeAlias = sqlite3.Error | FileLost
"""Why a batch could not be written, if it was not for an unexpected error."""


def unavailable(failure: Failure) -> StoreUnavailable:
    """Return a new error that says why nothing can be written."""
    if isinstance(failure, FileLost):
        return FileLost(failure.file, failure.reason)
    return StoreUnavailable(f"The journal cannot be written: {failure}")


class Reporting(NamedTuple):
    """A record whose caller wants to know what it changed. That is not on disk, where it is the record alone."""

    record: Put | Submit

    @property
    def board(self) -> str:
        """The board that it concerns."""
        return self.record.board

    def apply(self, state: State) -> Compared:
        """Apply the record, and return the standings just before and just after."""
        return compare(state, self.record, self.record.apply)


class Batch(asyncio.Future[None]):
    """Records that become durable together. It is done when they have, or when ``failure`` says why they have not.

    ``trouble`` says whether :meth:`check` has something to raise for any of the records. ``metadata`` has for each body
    the number of sequences taken before it, and from :meth:`begin_at` on its sequence. ``keyed`` has the writes with
    idempotency keys: their places among the records, and the sequences taken before. ``answers`` are those to writes of
    earlier batches, ``forget_until`` the agreed time up to which answers are forgotten. Beyond ``unchecked_bytes`` the
    records have ``claims`` to room in the store, each with its place.
    """

    drives_inline: ClassVar[bool] = True
    """An adapter may run a coroutine on from this future's callback, without a task around it."""

    # What all begin with stands here: there are thousands of batches a second
    tick = 0
    trouble = False
    metadata_bytes = 0
    forget_until = NEVER
    failure: BaseException | None = None
    unchecked_bytes = 0
    _more = 0

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.records: list[Record | Reporting] = [UNTIMED]
        self.encoded = begin_batch()
        self.outcomes: list[Outcome] = []
        self.refused: dict[int, LaurelsError] = {}
        self.metadata: list[tuple[int, bytes]] = []
        self.keyed: list[tuple[int, int, IdempotencyKey]] = []
        self.answers: list[Answers] = []
        self.claims: deque[tuple[int, Claims]] = deque()
        self._waiters: deque[Callable[[Batch], object]] = deque()

    @property
    def taken(self) -> int:
        """How many sequences the records take."""
        return len(self.records) - 1 + self._more

    @property
    def size(self) -> int:
        """How many bytes the records take, with their metadata."""
        return len(self.encoded) + self.metadata_bytes

    def begin_at(self, at: At) -> None:
        """Set the time of the writes: this tick and those after it."""
        self.tick = tick = at.tick
        self.records[0] = at
        if self.metadata:
            self.metadata = [((tick + before) << 1 | 1, body) for before, body in self.metadata]
        finish_batch(self.encoded, len(self.records), at)

    def describe(self, count: int, metadata: Sequence[tuple[int, bytes]]) -> None:
        """Add to the last record that it has ``count`` submissions, and metadata for those at some places."""
        before = self.taken - 1
        self._more += count - 1
        self.metadata += [(before + place, body) for place, body in metadata]
        self.metadata_bytes += sum(len(body) for _, body in metadata)

    def note_key(self) -> bytes:
        """Note that the last record, before anything is described of it, has an idempotency key, and return that."""
        place = len(self.records) - 1
        key: IdempotencyKey = self.records[place].key  # type: ignore[union-attr]
        self.keyed.append((place, place - 1 + self._more, key))
        return key.key

    def report_change(self) -> None:
        """Have the outcome of the last record, which is a submit, say what it changed."""
        self.records[-1] = Reporting(cast("Put | Submit", self.records[-1]))

    def apply(self, state: State, records: list[Record | Reporting]) -> None:
        """Apply the next of the records, up to one that leaves the state unfinished."""
        done, unfinished = self.outcomes.append, state.unfinished
        for record in records:
            try:
                done(record.apply(state))
            except LaurelsError as error:
                done(False)  # noqa: FBT003 - a place in the list, which nobody reads
                self.refused[id(record)] = error  # its identity is its own: ``records`` keeps it alive
                self.trouble = True
            if unfinished:
                return

    def answered(self) -> list[Answered]:
        """Return what the writes with keys came to, with their ticks."""
        tick, outcomes, refused = self.tick, cast("Sequence[Any]", self.outcomes), self.refused
        if refused:
            pairs = zip(self.records, outcomes, strict=True)
            outcomes = [None if id(record) in refused else outcome for record, outcome in pairs]
        return [(tick + before, key, outcomes[place]) for place, before, key in self.keyed]

    def add_done_callback(self, fn: Callable[[Batch], object], *, context: Context | None = None) -> None:
        """Call ``fn`` when the batch is settled."""
        self._waiters.append(fn if context is None else lambda batch: context.run(fn, batch))

    def settle(self) -> None:
        """Be done, and call the waiters; one that raises does not keep the others waiting."""
        if not self.done():
            self.set_result(None)
            self._wake()

    def _wake(self) -> None:
        waiters = self._waiters
        try:
            while waiters:
                waiters.popleft()(self)
        except Exception as error:  # noqa: BLE001 - as the loop does with the callbacks of any future
            self.get_loop().call_exception_handler({"message": "A waiter for a batch raised", "exception": error})
        finally:
            if waiters:
                self.get_loop().call_soon(self._wake)

    def check(self, record: Record | Reporting) -> None:
        """Raise if the batch could not be written, or if the record was refused."""
        if isinstance(self.failure, sqlite3.Error | FileLost):
            raise unavailable(self.failure) from self.failure
        if self.failure is not None:
            was_handed_over = self.tick > 0
            raise RestartNeeded(self.failure, in_doubt=was_handed_over) from self.failure
        if error := self.refused.get(id(record)):
            raise error

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """Refuse: a batch belongs to all its waiters."""
        return False
