"""Group commit: many callers, one thread that waits for the disk.

    loop      add  add  add ─┐ hand over           committed ─ apply, answer the waiters
                             ▼                          ▲
    thread              [ one row: write, fsync ] ──────┘

Records gather in the open batch. When the thread is idle the batch is handed over at the end of the loop's
iteration, so that all that came with it go along; while the thread is busy the next batch gathers. The slower
the disk, the larger the batches.

**A crowd travels together.** Callers that have just been answered tend to come back at once. Where there are
many, the next batch is held for a moment until most have, or they would fall into two halves, each waiting for
the other's commit before its own: twice the commits and twice the wait.

**Applied after commit.** Only when a batch is durable are its records applied, on the loop and in the journal's
order, and its waiters woken. So readers see only what is kept, a commit that failed needs no undoing, and a
restart repeats what happened here.

**One future for each batch**, shared by its waiters: no task and no future for a record, and when the batch is
settled they are called one after the other, not each through the loop. A batch cannot be called back, so a
waiter that is cancelled stays until it is settled.

**Time** is told when a batch is handed over: its acts have the microseconds from then on, each one of its own. It never
goes back, whatever the clock does.

**A failed commit** fails its whole batch. The next batch tries again, and without one the thread itself does
each second, with an empty batch, so that the store is known to be well again as soon as it is.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from laurels.errors import LaurelsError, StoreUnavailable
from laurels.stores.embedded.records import At, Outcome, Record, begin, encode, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from laurels.stores.contract import IdempotencyKey
    from laurels.stores.embedded.compaction import Compaction
    from laurels.stores.embedded.directory import Directory
    from laurels.stores.embedded.idempotency import Answers
    from laurels.stores.embedded.journal import Answer, Journal, Metadata
    from laurels.stores.embedded.state import State

BATCH_BYTES = 16 * 2**20
"""How much may wait for the disk before callers are turned away."""
APPLY_BYTES = 64 * 2**10
"""How much is applied before the loop may do something else: a few thousand entries."""
PROBE_SECONDS = 1.0
CROWD = 16
RETURNING = 0.7
LINGER_SECONDS = 0.0003
PROBE = b"\x90"
"""A batch without records."""
UNTIMED = At(0)


class Ticks:
    """Microseconds since the epoch, each given once and in order; ``last`` is the newest that was given."""

    def __init__(self, clock: Callable[[], float], last: int) -> None:
        self._clock = clock
        self._last = last

    def now(self) -> int:
        """Give the present one, which no act will have."""
        self._last = max(self._last, int(self._clock() * 1_000_000))
        return self._last

    def take(self, count: int) -> int:
        """Give the first of so many that nobody else has."""
        first = max(self._last + 1, int(self._clock() * 1_000_000))
        self._last = first + count - 1
        return first


class Batch(asyncio.Future[None]):
    """Records that become durable together; done when they have, or when ``failure`` says why they could not.

    ``trouble`` tells whether that, or the refusal of a record, is to be raised by :meth:`check`.
    ``notes`` are the metadata, with the number of sequences that are taken before each; ``onces`` tells of acts with
    keys: their places among the records, and the sequences taken before. ``answers`` are to acts of earlier batches.
    """

    drives_inline: ClassVar[bool] = True
    """An adapter may run a coroutine on from this future's callback, without a task around it."""

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.records: list[Record] = [UNTIMED]
        self.encoded = begin()
        self.tick = 0
        self.outcomes: list[Outcome] = []
        self.refused: dict[int, LaurelsError] = {}
        self.trouble = False
        self.notes: list[Metadata] = []
        self.onces: list[tuple[int, int, IdempotencyKey]] = []
        self.answers: list[Answer] = []
        self.failure: sqlite3.Error | None = None
        self._more = 0
        self.noted = 0
        self._waiters: deque[Callable[[Batch], object]] = deque()

    @property
    def taken(self) -> int:
        """How many sequences the records take."""
        return len(self.records) - 1 + self._more

    def begin_at(self, tick: int) -> None:
        """Have the acts at this microsecond and those after it."""
        self.tick = tick
        self.records[0] = At(tick)
        self.notes = [((tick + before) << 1 | 1, body) for before, body in self.notes]
        seal(self.encoded, len(self.records), tick)

    def describe(self, count: int, notes: Sequence[tuple[int, bytes]], once: IdempotencyKey | None) -> None:
        """Say of the last record that it has ``count`` attempts, metadata for those at some places, and a key."""
        before = self.taken - 1
        self._more += count - 1
        self.notes += [(before + place, body) for place, body in notes]
        self.noted += sum(len(body) for _, body in notes)
        if once:
            self.onces.append((len(self.records) - 1, before, once))

    def apply(self, state: State, records: list[Record]) -> None:
        """Apply the next of the records."""
        done = self.outcomes.append
        for record in records:
            try:
                done(record.apply(state))
            except LaurelsError as error:
                done(False)  # noqa: FBT003 - nobody asks
                self.refused[id(record)] = error
                self.trouble = True

    def add_done_callback(self, fn: Callable[[Batch], object], *, context: Context | None = None) -> None:
        """Call ``fn`` when the batch is settled."""
        self._waiters.append(fn if context is None else lambda batch: context.run(fn, batch))

    def settle(self) -> None:
        """Be done, and call the waiters; one that raises does not keep the others waiting."""
        self.set_result(None)
        self._wake()

    def _wake(self) -> None:
        waiters = self._waiters
        try:
            while waiters:
                waiters.popleft()(self)
        finally:
            if waiters:
                self.get_loop().call_soon(self._wake)

    def check(self, record: Record) -> None:
        """Raise StoreUnavailable where the batch could not be written, and why where the record was refused."""
        if self.failure is not None:
            raise StoreUnavailable(f"The journal cannot be written: {self.failure}") from self.failure
        if error := self.refused.get(id(record)):
            raise error

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """Refuse: a batch belongs to all its waiters."""
        return False


class Files(NamedTuple):
    """What a store has on disk, and what keeps it small."""

    directory: Directory
    journal: Journal
    folding: Compaction


class Commits:
    """The thread that commits, and the batches on their way through it."""

    def __init__(self, files: Files, state: State, ticks: Ticks, answers: Answers) -> None:
        self.failure: sqlite3.Error | None = None
        self._files = files
        self._state = state
        self._ticks = ticks
        self._answers = answers
        self._open: Batch | None = None
        self._newest: Batch | None = None
        self._farewell: Batch | None = None
        self._settling: deque[Batch] = deque()
        self._busy = False
        self._queue: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="laurels-journal", daemon=True).start()

    def add(self, record: Record) -> Batch:
        """Put a record into the open batch, and give the batch; the record is its last."""
        batch = self._open or self._begin()
        if len(batch.encoded) > BATCH_BYTES or batch.noted > BATCH_BYTES:
            raise StoreUnavailable("Too many changes wait for the disk")
        encode(record, batch.encoded)
        batch.records.append(record)
        return batch

    def _begin(self) -> Batch:
        if self._farewell is not None:
            raise StoreUnavailable("The store is closed")
        batch = self._open = self._newest = Batch()
        if not self._busy:
            batch.get_loop().call_soon(self._hand_over, batch)
        return batch

    def _hand_over(self, batch: Batch) -> None:
        self._open = None
        self._busy = True
        batch.begin_at(self._ticks.take(batch.taken))
        batch.answers = self._answers.take()
        self._queue.put(batch)

    def _committed(self, batch: Batch) -> None:
        if batch.failure is None:
            self._answers.forget(batch.answers)
        else:
            self._answers.put_back(batch.answers)
        if self._open is None:
            self._busy = False
        else:
            crowd = len(batch.records) + len(self._open.records)
            enough = int(crowd * RETURNING) if crowd >= CROWD else 0
            self._linger(self._open, enough, time.monotonic() + LINGER_SECONDS)
        self._settling.append(batch)
        if len(self._settling) == 1:
            self._settle()

    def _linger(self, batch: Batch, enough: int, until: float) -> None:
        if len(batch.records) >= enough or time.monotonic() > until:
            self._hand_over(batch)
        else:
            batch.get_loop().call_soon(self._linger, batch, enough, until)

    def _settle(self) -> None:
        batch = self._settling[0]
        batch.trouble |= batch.failure is not None
        if batch.failure is None:
            done = len(batch.outcomes)
            portion = batch.records[done : done + 1 + len(batch.records) * APPLY_BYTES // len(batch.encoded)]
            batch.apply(self._state, portion)
        settled = batch.failure is not None or len(batch.outcomes) == len(batch.records)
        if settled:
            self._settling.popleft()
        if self._settling:
            batch.get_loop().call_soon(self._settle)
        if settled:
            self._answer(batch)
            batch.settle()

    def _answer(self, batch: Batch) -> None:
        for place, before, once in batch.onces:
            if batch.failure is None:
                is_refused = id(batch.records[place]) in batch.refused
                self._answers.know(once, batch.tick + before, None if is_refused else batch.outcomes[place])
            self._answers.release(once.key)

    async def close(self) -> None:
        """Settle every batch, write every answer, and end the thread."""
        self._farewell = Batch()
        while self._newest is not None and not self._newest.done():
            await self._newest
        if self._answers.unwritten:
            await self._last_words()
        self._queue.put(self._farewell)
        await self._farewell

    async def _last_words(self) -> None:
        batch = Batch()
        self._hand_over(batch)
        await batch

    def _run(self) -> None:
        wait: float | None = 0.0
        while True:
            try:
                batch = self._queue.get(timeout=wait)
            except queue.Empty:
                if self.failure is not None:
                    self.failure = self._commit(PROBE)
            else:
                if batch is self._farewell:
                    break
                self.failure = batch.failure = self._commit(batch.encoded, batch.notes, batch.answers)
                batch.get_loop().call_soon_threadsafe(self._committed, batch)
            wait = PROBE_SECONDS if self.failure is not None else self._files.folding.step()
        self._files.folding.stop()
        self._files.journal.close()
        batch.get_loop().call_soon_threadsafe(batch.settle)

    def _commit(
        self, encoded: bytes | bytearray, notes: Sequence[Metadata] = (), answers: Sequence[Answer] = ()
    ) -> sqlite3.Error | None:
        try:
            lsn = self._files.journal.append(encoded, notes, answers)
        except sqlite3.Error as error:
            return error
        self._files.directory.write_acknowledged(lsn)
        self._files.folding.grew(len(encoded) + sum(len(body) for _, body in notes))
        return None
