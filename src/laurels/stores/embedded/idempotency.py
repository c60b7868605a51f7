"""Idempotency: writes with a key that count once, from the client's key until it is forgotten a day later.

    key ──> in flight, or in the table? ──no──> record, in a batch ──> durable, applied: its first answer
                       │ yes                                                                     │
                       └──> the first answer, or KeyReused     forgotten  <──  on disk  <──  in the table

**A key** is two digests (:class:`~laurels.stores.contract.IdempotencyKey`, made in :mod:`laurels.submissions`): ``key``
of what the client sent and of the board and name that it belongs to, ``fingerprint`` of what is submitted. The same key
with another fingerprint is KeyReused.

**The table** (:mod:`laurels.stores.embedded.key_table`) is in memory and names the row of a key's answer. Most keys are
new: it does not know them, and the disk is not asked. If it names rows, they are read, and decide.

**In flight** a key is from when its record joins a batch until the batch is settled, whether or not the caller still
waits. Another caller with the key waits for that too, and then looks it up. From when a key is found to be new until it
is in flight its caller waits for nothing.

**The key is in the record** of the write (:mod:`laurels.stores.embedded.records`), so that both are durable at once. A
crash after that loses no answer: a restart applies the record again and comes to the same one.

**The first answer** is known when the record has been applied, and only then: the standings before and after, or the
refusals of a batch. The answers of one batch are a row (:mod:`laurels.stores.embedded.answers`), which is kept in
memory until it is on disk; it is written with a later batch, in the order of the writes. No batch is compacted before
its answers are written, because with the record the key would be gone. A refused write has not used its key, but counts
as answered: the batch need not wait any more.

**Forgotten** is a row after KEY_SECONDS of *agreed* time, which only passes while wall clock and monotonic clock agree
that it does: a clock that jumps forgets nothing. It goes on where the newest row left it, so the time in which no
server runs need not count. From then on the answers are ignored; the thread that commits deletes them, from the oldest
on, and then their keys leave the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.errors import KeyReused, StoreFull
from laurels.limits import KEY_HOURS
from laurels.stores.embedded.answers import pack
from laurels.stores.embedded.batch import NEVER
from laurels.stores.embedded.journal import KEY_TICKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from laurels.clock import Clock
    from laurels.stores.contract import IdempotencyKey
    from laurels.stores.embedded.answers import Answer, Answered, Answers
    from laurels.stores.embedded.batch import Batch
    from laurels.stores.embedded.key_table import KeyTable


class FirstAnswers:
    """The keys in flight of one store, and its first answers.

    ``keys`` has those of the answers on disk. ``find_on_disk`` returns the answer to a key from the row of a tick,
    unless that is of an agreed time up to the last argument. ``limit`` is how many keys there may be.
    """

    def __init__(
        self,
        keys: KeyTable,
        find_on_disk: Callable[[bytes, int, int], Awaitable[Answer | None]],
        clock: Clock,
        limit: int,
    ) -> None:
        self._keys = keys
        self._find_on_disk = find_on_disk
        self._clock = clock
        self._limit = limit
        self._in_flight: dict[bytes, Batch] = {}
        self._in_memory: dict[int, Answers] = {}
        self.unwritten: list[Answers] = []

    # Questions

    def may_know(self, key: IdempotencyKey) -> bool:
        """Return whether a key may have an answer, or get one, which :meth:`find` then returns."""
        return key.key in self._in_flight or bool(self._keys.find(key.key))

    async def find(self, key: IdempotencyKey) -> Answer | None:
        """Return the first answer to a key; raise KeyReused.

        If there is none, return None: then the caller may submit, if it waits for nothing before that.
        """
        passed: set[int] = set()
        while True:
            while (batch := self._in_flight.get(key.key)) is not None:
                await batch
            tick = next((tick for tick in self._keys.find(key.key) if tick not in passed), None)
            if tick is None:
                return None
            answer = await self._find_in(tick, key.key)
            if answer is not None:
                if answer.fingerprint != key.fingerprint:
                    raise KeyReused
                return answer
            passed.add(tick)

    async def _find_in(self, tick: int, key: bytes) -> Answer | None:
        until = self.forgotten_until()
        row = self._in_memory.get(tick)
        if row is None:
            return await self._find_on_disk(key, tick, until)
        return row.find(key) if row.agreed > until else None

    @property
    def count(self) -> int:
        """How many keys are remembered or in flight."""
        return len(self._keys) + len(self._in_flight)

    @property
    def nbytes(self) -> int:
        """How many bytes the table of keys takes."""
        return self._keys.nbytes

    def is_full(self) -> bool:
        """Return whether there are as many keys as there may be."""
        return len(self._keys) + len(self._in_flight) >= self._limit

    def full(self) -> StoreFull:
        """Return the error for one more."""
        remedy = f"submit without one until those of the last {KEY_HOURS} hours are forgotten"
        return StoreFull("idempotency keys", self._limit, "--max-keys", remedy)

    # The life of a key

    def begin(self, batch: Batch) -> None:
        """Take the key of the last record of a batch in flight, until :meth:`end`."""
        self._in_flight[batch.note_key()] = batch

    def end(self, batch: Batch) -> None:
        """Let the next callers with the keys of a batch go on."""
        for _, _, key in batch.keyed:
            self._in_flight.pop(key.key, None)

    def add(self, answered: Sequence[Answered]) -> None:
        """Remember the answers to the writes with keys of one batch."""
        for row in pack(answered, self._clock.agreed):
            self._keys.add(row.pairs, row.tick)
            self._in_memory[row.tick] = row
            self.unwritten.append(row)

    def take_unwritten(self) -> list[Answers]:
        """Return the answers that are to be written, and leave it to the caller to do so."""
        taken, self.unwritten = self.unwritten, []
        return taken

    def put_back(self, answers: list[Answers]) -> None:
        """Take back answers that could not be written: they come before those that are newer."""
        self.unwritten = answers + self.unwritten

    def leave_to_disk(self, answers: list[Answers]) -> None:
        """Leave answers to the disk, where they are now."""
        for row in answers:
            del self._in_memory[row.tick]

    # Forgetting

    def forgotten_until(self) -> int:
        """Return the agreed time up to which answers are forgotten."""
        return self._clock.agreed - KEY_TICKS if self._keys else NEVER

    def forget(self, rows: Iterable[tuple[bytes, int]]) -> None:
        """Take keys out of the table whose answers were deleted, each few with the tick of their row."""
        for pairs, tick in rows:
            self._keys.remove(pairs, tick)
