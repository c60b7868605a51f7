"""Group commit: many callers, one thread that waits for the disk.

    loop      add  add  add ─┐ hand over           committed ─ apply, answer the waiters
                             ▼                          ▲
    thread              [ one row: write, fsync ] ──────┘

Records gather in the open batch. If the thread is idle, the batch is handed over at the end of the loop's iteration,
so that everything of that iteration is in it; while the thread is busy the next batch gathers. The slower the disk, the
larger the batches.

**Batch window.** Callers that have just been answered tend to come back at once. If there are many, the next batch is
held for a moment until most of them have. Otherwise they would fall into two halves, each waiting for the other's
commit before its own: twice the commits and twice the wait.

**Applied after commit.** Only when a batch is durable are its records applied, on the loop and in the journal's
order, and its waiters woken. So readers see only what is kept, a commit that failed needs no undoing, and a restart
repeats what happened here.

**One future for each batch**, shared by its waiters: no task and no future for a record, and when the batch is
settled they are called one after the other, not each through the loop. A batch cannot be cancelled, so a waiter that is
cancelled stays until it is settled.

**Time** is read when a batch is handed over: its writes have the microseconds from then on, each one of its own. Their
order never goes back, whatever the clock does (:class:`Ticks`).

**With a batch go** its claims to room in the store, until its records are applied (:mod:`.capacity`); its keys, which
are in flight until it is settled; the answers to writes of batches before it, and up to when answers are forgotten
(:mod:`.idempotency`).

**A failed commit** fails its whole batch. The next batch tries again, and without one the thread itself does each
second, with an empty batch, so that the store is known to be well again as soon as it is. While all is well it looks
each second whether its files are still there.

**An unexpected error**, in the thread or while a batch is applied, leaves it open what is on disk, or leaves the index
behind the journal. Neither can be mended here: it is logged, every batch under way fails, and so does every later
write, at once, with RestartNeeded. Reads go on. A restart reads the journal anew. Every step of a batch goes through
:meth:`Commits._guard`, or a batch that nobody settles would keep its waiters, and all after them, for ever.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from laurels.clock import SECOND
from laurels.errors import FileLost, RestartNeeded, StoreUnavailable
from laurels.limits import format_size
from laurels.stores.embedded.batch import NEVER, Batch, Failure
from laurels.stores.embedded.commit_figures import CommitFigures
from laurels.stores.embedded.records import RULES, At, board_of, encode_into
from laurels.tracing import begin_call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.clock import Clock
    from laurels.figures import Figures
    from laurels.stores.embedded.answers import Answers
    from laurels.stores.embedded.batch import Reporting
    from laurels.stores.embedded.capacity import Capacity
    from laurels.stores.embedded.compaction import Compaction
    from laurels.stores.embedded.directory import Directory
    from laurels.stores.embedded.idempotency import FirstAnswers
    from laurels.stores.embedded.journal import Journal
    from laurels.stores.embedded.records import Record
    from laurels.stores.embedded.state import State

APPLY_BYTES = 64 * 2**10
"""How much is applied before the loop may do something else: a few thousand entries."""
STEPS = 256
"""How many steps of what is unfinished are taken before that."""
PROBE_SECONDS = 1.0
"""How often it is tried without traffic whether there could be a commit."""
WINDOW_RECORDS, WINDOW_RETURNING, WINDOW_SECONDS = 16, 0.7, 0.0003
"""The batch window: with so many records under way, a batch waits for that part of them, and no longer than this."""
PROBE = b"\x90"
"""A batch without records."""

_log = logging.getLogger("laurels.stores")


class Ticks:
    """The order of all writes: microseconds since the epoch by the wall clock, each used once and never going back.

    If the wall clock goes back by more than a second, ticks are ahead of it by an offset from then on, which becomes
    less by what the wall clock jumps forward. ``last`` is the newest tick that was used.
    """

    def __init__(self, clock: Clock, last: int, offset: int) -> None:
        self.clock = clock
        self.last = last
        self._offset = offset
        self._turned = clock.turned

    def take(self, count: int) -> At:
        """Return the first of so many that nobody else has, and what else there is to say of that moment."""
        clock = self.clock
        first = int(clock() * SECOND)
        if first > self.last:
            self._turned, self._offset = clock.turned, 0
        else:
            first = self._go_on(first)
        self.last = first + count - 1
        return At(first, RULES, self._offset, clock.is_settled)

    def now(self) -> int:
        """Return the tick of a write at this moment, or less, without taking it."""
        return max(self.last, int(self.clock() * SECOND) + self._offset)

    def _go_on(self, wall: int) -> int:
        """Return the tick after the last at a time that is not after it, and know by how much it is ahead."""
        turned, self._turned = self.clock.turned - self._turned, self.clock.turned
        if turned > 0:
            self._offset = max(0, self._offset - int(turned * SECOND))
        if wall + self._offset < self.last - SECOND:
            self._offset = self.last + 1 - wall
        return max(self.last + 1, wall + self._offset)


def _trace(batch: Batch) -> None:
    """Make a span of the wait of a request for its batch."""
    ended = begin_call("commit", {})
    if ended is not None:
        batch.add_done_callback(lambda batch: ended(batch.failure, {"laurels.batch.records": len(batch.records) - 1}))


class Files(NamedTuple):
    """What a store has on disk, and what keeps it small."""

    directory: Directory
    journal: Journal
    compaction: Compaction


class Commits:
    """The thread that commits, and the batches on their way through it.

    ``failure`` is why the journal could not be written last, until it can be again; ``broken`` is an unexpected error,
    after which nothing is written.
    """

    def __init__(self, files: Files, state: State, ticks: Ticks, answers: FirstAnswers, capacity: Capacity) -> None:
        self.failure: Failure | None = None
        self.broken: BaseException | None = None
        self.figures = CommitFigures()
        self.watched: dict[str, Callable[[], object]] = {}
        """What to call when a record has been applied that concerns a board, by the names of boards."""
        self.is_traced = False
        self._files = files
        self._state = state
        self._ticks = ticks
        self._answers = answers
        self._capacity = capacity
        self._waiting_bytes = capacity.limits.waiting_changes
        self._loop = asyncio.get_running_loop()
        self._open: Batch | None = None
        self._newest: Batch | None = None
        self._stop_marker: Batch | None = None
        self._settling: deque[Batch] = deque()
        self._busy = False
        self._is_halted = False
        self._queue: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="laurels-journal", daemon=True).start()

    def add(self, record: Record) -> Batch:
        """Put a record into the open batch, and return the batch; the record is its last."""
        batch = self._open or self._begin()
        encoded = batch.encoded
        size = len(encoded)
        if size > batch.unchecked_bytes or batch.metadata_bytes > self._waiting_bytes:
            self._check_room(batch, record)
        try:
            encode_into(record, encoded, -1)
        except BaseException:  # what cannot be encoded fails alone, not with all that are in the batch
            del encoded[size:]
            raise
        batch.records.append(record)
        if self.is_traced:
            _trace(batch)
        return batch

    def _check_room(self, batch: Batch, record: Record) -> None:
        """Raise StoreUnavailable if too much waits for the disk, StoreFull if the store may not hold the record."""
        most = self._waiting_bytes
        if len(batch.encoded) > most or batch.metadata_bytes > most:
            raise StoreUnavailable(
                f"More changes wait for the disk than --max-waiting-changes allows: {format_size(most)}",
                setting="--max-waiting-changes",
            )
        more = 0 if batch.claims else self._capacity.begin()
        batch.unchecked_bytes += more
        if not more:
            batch.claims.append((len(batch.records), self._capacity.claim(record)))

    def add_keyed(self, record: Record) -> Batch:
        """Add a record with a new idempotency key, which is in flight from then on; raise StoreFull."""
        if self._answers.is_full():
            self._refuse_key()
        batch = self.add(record)
        # Guarded, because a batch must not be written with a record that is described by half
        self._guard(self._answers.begin, batch)
        return batch

    def _refuse_key(self) -> NoReturn:
        if self._open is None and self._files.journal.may_forget(self._answers.forgotten_until()):
            self._begin()  # its commit forgets keys, which nothing else might bring about
        raise self._answers.full()

    def add_detailed(self, record: Record, count: int, metadata: Sequence[tuple[int, bytes]]) -> Batch:
        """Add a record with what :meth:`Batch.describe` says of it, and with its key if it has one."""
        batch = self.add_keyed(record) if record.idempotency_key() else self.add(record)
        self._guard(lambda batch: batch.describe(count, metadata), batch)
        return batch

    def _begin(self) -> Batch:
        if self._stop_marker is not None:
            raise StoreUnavailable("The store is closed")
        if self.broken is not None:
            raise RestartNeeded(self.broken, in_doubt=False) from self.broken
        batch = self._open = self._newest = Batch()
        batch.unchecked_bytes = self._capacity.begin()
        if not self._busy:
            # Not at once: what else arrives in this iteration of the loop is to be in the batch
            batch.get_loop().call_soon(self._guard, self._hand_over, batch)
        return batch

    # On the loop: the steps of a batch

    def _guard(self, step: Callable[[Batch], None], batch: Batch) -> None:
        """Take a step of a batch; whatever it raises ends all writes, but leaves nobody waiting."""
        try:
            step(batch)
        except BaseException as error:
            self._break(error, batch)
            if not isinstance(error, Exception):
                raise

    def _hand_over(self, batch: Batch) -> None:
        if self.broken is not None:
            return
        batch.begin_at(self._ticks.take(batch.taken))
        batch.answers = self._answers.take_unwritten()
        batch.forget_until = self._answers.forgotten_until()
        self._queue.put(batch)
        self._open = None  # not before: if anything above raises, it is as the open batch that this one fails
        self._busy = True

    def _committed(self, batch: Batch) -> None:
        if self.broken is not None:
            self._break(self.broken, batch)
            return
        if batch.failure is not None:
            batch.trouble = True
            self._answers.put_back(batch.answers)
        else:
            self._answers.leave_to_disk(batch.answers)
        if self._open is None:
            self._busy = False
        else:
            under_way = len(batch.records) + len(self._open.records)
            enough = int(under_way * WINDOW_RETURNING) if under_way >= WINDOW_RECORDS else 0
            self._delay_for_more(self._open, enough, time.monotonic() + WINDOW_SECONDS)
        self._settling.append(batch)
        if len(self._settling) == 1:
            self._settle(batch)

    def _delay_for_more(self, batch: Batch, enough: int, until: float) -> None:
        """Hand a batch over when it has ``enough`` records, or when the time is up."""
        if len(batch.records) >= enough or time.monotonic() > until:
            self._hand_over(batch)
        else:
            again = partial(self._delay_for_more, enough=enough, until=until)
            batch.get_loop().call_soon(self._guard, again, batch)

    def _settle(self, batch: Batch) -> None:
        """Apply the next records of the first batch that is durable, and answer its waiters after the last."""
        if self.broken is not None:
            return
        count, before = len(batch.records), len(batch.outcomes)
        done = self._apply(batch) if batch.failure is None else count
        if self.watched:
            self._tell(batch.records[max(0, before - 1) : len(batch.outcomes)])  # the last one may have been unfinished
        if batch.claims:
            self._release_claims(batch, done)
        is_settled = done == count
        if is_settled:
            self._release(batch)
            self._settling.popleft()
        if self._settling:
            batch.get_loop().call_soon(self._guard, self._settle, self._settling[0])
        if is_settled:
            batch.settle()

    def _apply(self, batch: Batch) -> int:
        """Apply the next records of a batch, and return how many are done."""
        state, records, done, size = self._state, batch.records, len(batch.outcomes), len(batch.encoded)
        if not state.unfinished:
            is_all = size <= APPLY_BYTES and not done
            batch.apply(state, records if is_all else records[done : done + 1 + len(records) * APPLY_BYTES // size])
        if state.unfinished:
            state.work(STEPS)
        return len(batch.outcomes) - bool(state.unfinished)

    def _tell(self, records: Sequence[Record | Reporting]) -> None:
        """Tell who watches the boards of records that they may have changed."""
        for board in self.watched.keys() & set(map(board_of, records)):
            self.watched[board]()

    def _release_claims(self, batch: Batch, done: int) -> None:
        """Give up the claims of the records that are ``done``."""
        while batch.claims and batch.claims[0][0] < done:
            self._capacity.release(batch.claims.popleft()[1])

    def _release(self, batch: Batch) -> None:
        """Let go what a batch held, and remember the answers to its writes, unless it failed."""
        self._capacity.end(batch.unchecked_bytes)
        if batch.keyed:
            self._answers.end(batch)
            if batch.failure is None:
                self._answers.add(batch.answered())

    def _break(self, error: BaseException, batch: Batch | None) -> None:
        """End all writes: fail every batch that is on the loop, and ``batch``. Those in the thread come back here."""
        first = self.broken is None
        self.broken = self.broken or error
        failed = dict.fromkeys(each for each in (*self._settling, batch, self._open) if each is not None)
        self._settling.clear()
        self._open = None
        for each in failed:
            if not each.done():
                each.failure = each.failure or error
                each.trouble = True
                self._release_claims(each, len(each.records))
                self._release(each)
                each.get_loop().call_soon(each.settle)  # not here: a waiter may raise
        if first:
            _log.critical("An unexpected error: no more writes until the service is restarted", exc_info=error)

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        waiting = self._open
        return {
            **self.figures.read(),
            "commit_failing": self.failure is not None,
            "restart_needed": self.broken is not None,
            "open_batch_records": 0 if waiting is None else waiting.taken,
            "open_batch_bytes": 0 if waiting is None else waiting.size,
            "open_batch_limit_bytes": self._waiting_bytes,
        }

    async def settle_written(self) -> None:
        """Wait until every record that has been added is applied, or has failed."""
        if self._newest is not None and not self._newest.done():
            await self._newest

    async def close(self) -> None:
        """Settle every batch, write every answer, and end the thread."""
        self._stop_marker = Batch()
        while self._newest is not None and not self._newest.done():
            await self._newest
        if self._answers.unwritten and self.broken is None:
            await self._flush_answers()
        self._queue.put(self._stop_marker)
        await self._stop_marker
        if self._stop_marker.failure is not None:
            raise self._stop_marker.failure

    async def _flush_answers(self) -> None:
        batch = Batch()
        self._guard(self._hand_over, batch)
        await batch

    # In the thread

    def _run(self) -> None:
        wait: float | None = 0.0
        while (batch := self._take(wait)) is None or batch is not self._stop_marker:
            wait = self._work(batch)
        try:
            try:
                self._files.compaction.stop()
            finally:
                self._files.journal.close()
        except BaseException as error:  # noqa: BLE001 - close() waits for the marker, and raises this
            batch.failure = error
        batch.get_loop().call_soon_threadsafe(batch.settle)

    def _take(self, wait: float | None) -> Batch | None:
        try:
            return self._queue.get(timeout=wait)
        except queue.Empty:
            return None

    def _work(self, batch: Batch | None) -> float | None:
        """Commit a batch, or look whether one could be committed if there is none; return how long to wait for another.

        An unexpected error is handed to the loop: in this thread nobody would see it, and all would wait for ever.
        """
        is_broken = self._is_halted or self.broken is not None
        before = self.failure
        try:
            if batch is not None:
                if not is_broken:
                    self.failure = batch.failure = self._commit_batch(batch)
                batch.get_loop().call_soon_threadsafe(self._guard, self._committed, batch)
            elif not is_broken:
                self.failure = self._look() if self.failure is None else self._commit(PROBE)
            if is_broken:
                return None
            if str(self.failure) != str(before):
                self._log_failure()
            wait = None if self.failure is not None else self._files.compaction.step()
            return PROBE_SECONDS if wait is None else min(wait, PROBE_SECONDS)
        except BaseException as error:  # noqa: BLE001 - see above
            self._is_halted = True  # at once: what is already in the queue must not be written after this
            self._loop.call_soon_threadsafe(self._break, error, batch)
            return None

    def _log_failure(self) -> None:
        if self.failure is None:
            _log.warning("The journal can be written again: submits are taken")
        else:
            _log.error("The journal cannot be written, and submits are refused until it can: %s", self.failure)

    def _commit_batch(self, batch: Batch) -> Failure | None:
        self.figures.begin()
        failure = self._commit(batch.encoded, batch.metadata, batch.answers, batch.forget_until)
        self.figures.add(batch, failure)
        return failure

    def _look(self) -> Failure | None:
        try:
            self._files.journal.check_names()
        except FileLost as error:
            return error
        return None

    def _commit(
        self,
        encoded: bytes | bytearray,
        metadata: Sequence[tuple[int, bytes]] = (),
        answers: Sequence[Answers] = (),
        forget_until: int = NEVER,
    ) -> Failure | None:
        journal = self._files.journal
        try:
            if forget_until != NEVER and (forgotten := journal.forget(forget_until)):
                self._loop.call_soon_threadsafe(self._answers.forget, forgotten)
            lsn = journal.append(encoded, metadata, answers)
        except (sqlite3.Error, FileLost) as error:
            return error
        self._files.directory.write_acknowledged(lsn, journal.crc)
        self._files.directory.write_clock(self._ticks.clock.memory)
        self._files.compaction.grew(len(encoded) + sum(len(body) for _, body in metadata))
        return None
