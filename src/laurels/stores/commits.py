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
from typing import TYPE_CHECKING

from laurels.errors import StoreUnavailable
from laurels.stores.records import Indexes, Record, begin, encode, seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from laurels.stores.contract import Change
    from laurels.stores.directory import Directory
    from laurels.stores.folding import Folding
    from laurels.stores.journal import Journal

BATCH_BYTES = 16 * 2**20
"""How much may wait for the disk before callers are turned away."""
APPLY_BYTES = 64 * 2**10
"""How much is applied before the loop may do something else: a few thousand entries."""
PROBE_SECONDS = 1.0
CROWD = 16
RETURNING = 0.7
LINGER_SECONDS = 0.0003


class Batch(asyncio.Future[None]):
    """Records that become durable together; done when they have, or when ``failure`` says why they could not."""

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.records: list[Record] = []
        self.encoded = begin()
        self.outcomes: list[bool | Change] = []
        self.failure: sqlite3.Error | None = None
        self._waiters: deque[Callable[[Batch], object]] = deque()

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

    def check(self) -> None:
        """Raise StoreUnavailable where the batch could not be written."""
        if self.failure is not None:
            raise StoreUnavailable(f"The journal cannot be written: {self.failure}") from self.failure

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """Refuse: a batch belongs to all its waiters."""
        return False


class Commits:
    """The thread that commits, and the batches on their way through it."""

    def __init__(self, journal: Journal, folding: Folding, directory: Directory, boards: Indexes) -> None:
        self.failure: sqlite3.Error | None = None
        self._journal = journal
        self._folding = folding
        self._directory = directory
        self._boards = boards
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
        if len(batch.encoded) > BATCH_BYTES:
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
        seal(batch.encoded, len(batch.records))
        self._queue.put(batch)

    def _committed(self, batch: Batch) -> None:
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
        batch, boards = self._settling[0], self._boards
        if batch.failure is None:
            done = len(batch.outcomes)
            portion = batch.records[done : done + 1 + len(batch.records) * APPLY_BYTES // len(batch.encoded)]
            batch.outcomes += [record.apply(boards) for record in portion]
        settled = batch.failure is not None or len(batch.outcomes) == len(batch.records)
        if settled:
            self._settling.popleft()
        if self._settling:
            batch.get_loop().call_soon(self._settle)
        if settled:
            batch.settle()

    async def close(self) -> None:
        """Settle every batch and end the thread."""
        self._farewell = Batch()
        if self._newest is not None:
            await self._newest
        self._queue.put(self._farewell)
        await self._farewell

    def _run(self) -> None:
        wait: float | None = 0.0
        while True:
            try:
                batch = self._queue.get(timeout=wait)
            except queue.Empty:
                if self.failure is not None:
                    self.failure = self._commit(b"\x90")
            else:
                if batch is self._farewell:
                    break
                self.failure = batch.failure = self._commit(batch.encoded)
                batch.get_loop().call_soon_threadsafe(self._committed, batch)
            wait = PROBE_SECONDS if self.failure is not None else self._folding.step()
        self._folding.stop()
        self._journal.close()
        batch.get_loop().call_soon_threadsafe(batch.settle)

    def _commit(self, encoded: bytes | bytearray) -> sqlite3.Error | None:
        try:
            lsn = self._journal.append(encoded)
        except sqlite3.Error as error:
            return error
        self._directory.mark(lsn)
        self._folding.grew(len(encoded))
        return None
