"""Idempotency: writes with a key that count once, from the client's key until it is forgotten a day later.

    key ──> in flight ──> known already? ──no──> record, in a batch ──> durable, applied: its first answer
                               │ yes                                         │
                               └──> the first answer, or KeyReused           ├──> in memory ──> on disk, forgotten later
                                                                             └──> no longer in flight

**A key** is two digests (:class:`~laurels.stores.contract.IdempotencyKey`, made in :mod:`laurels.submissions`): ``key``
of what the client sent and of the board and name that it belongs to, ``fingerprint`` of what is submitted. The same key
with another fingerprint is KeyReused.

**In flight** a key is from before the look-up, which may have to wait for the disk, until the batch of its write is
settled, whether or not the caller still waits. Any other caller with the key waits until then, and looks it up itself.

**The key is in the record** of the write (:mod:`laurels.stores.embedded.records`), so that both are durable at once. A
crash after that loses no answer: a restart applies the record again and comes to the same one.

**The first answer** is known when the record has been applied, and only then. It is the change that one submission
made, or the refusals of a batch. It is kept in memory until it is on disk, where it is written with a later batch, in
the order of the writes, as JSON under the tick of its write (the table ``once`` of
:mod:`laurels.stores.embedded.journal`). No batch is compacted before its answers are written, because with the record
the key would be gone. A refused write has not used its key, and has an answer too, without content: it says that the
batch need not wait any more.

**Forgotten** is an answer after KEY_SECONDS: from then on it is ignored, and later appends to the journal delete it. An
answer in memory goes when it is on disk.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from laurels.errors import KeyReused
from laurels.stores.contract import Change, Refusal
from laurels.stores.embedded.journal import KEY_TICKS, Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from laurels.stores.contract import IdempotencyKey
    from laurels.stores.embedded.records import Outcome

FirstAnswer = Change | list[Refusal]

_encode = msgspec.json.Encoder().encode
_DECODER: msgspec.json.Decoder[FirstAnswer] = msgspec.json.Decoder(FirstAnswer)


class FirstAnswers:
    """The keys in flight of one store, and its first answers.

    ``find_on_disk`` returns the answer to a key from there; ``now`` returns the present microsecond.
    """

    def __init__(self, find_on_disk: Callable[[bytes], Awaitable[Answer | None]], now: Callable[[], int]) -> None:
        self._find_on_disk = find_on_disk
        self._now = now
        self._in_flight: dict[bytes, asyncio.Future[None]] = {}
        self._in_memory: dict[bytes, Answer] = {}
        self.unwritten: list[Answer] = []

    async def begin(self, key: IdempotencyKey) -> FirstAnswer | None:
        """Return the first answer to a key; raise KeyReused.

        If there is none, return None: then the key is in flight, until the caller calls :meth:`end`.
        """
        while (other := self._in_flight.get(key.key)) is not None:
            await asyncio.shield(other)  # the future belongs to all who wait for it: none may cancel it
        self._in_flight[key.key] = asyncio.get_running_loop().create_future()
        try:
            found = self._in_memory.get(key.key) or await self._find_on_disk(key.key)
        except BaseException:
            self.end(key)
            raise
        if found is None or not found.body or found.tick + KEY_TICKS <= self._now():
            return None
        self.end(key)
        if found.print != key.fingerprint:
            raise KeyReused
        return _DECODER.decode(found.body)

    def end(self, key: IdempotencyKey) -> None:
        """Let the next caller with this key go on."""
        self._in_flight.pop(key.key).set_result(None)

    def add(self, key: IdempotencyKey, tick: int, outcome: Outcome | None) -> None:
        """Remember the answer to the write of this tick; None if it was refused."""
        answer = Answer(tick, key.key, key.fingerprint, b"" if outcome is None else _encode(outcome))
        self._in_memory[key.key] = answer
        self.unwritten.append(answer)

    def take_unwritten(self) -> list[Answer]:
        """Return the answers that are to be written, and leave it to the caller to do so."""
        taken, self.unwritten = self.unwritten, []
        return taken

    def put_back(self, answers: list[Answer]) -> None:
        """Take back answers that could not be written: they come before those that are newer."""
        self.unwritten = answers + self.unwritten

    def forget_written(self, answers: list[Answer]) -> None:
        """Leave answers to the disk; the key of one may have been used again since, and have a newer one."""
        for answer in answers:
            if self._in_memory.get(answer.key) is answer:
                del self._in_memory[answer.key]
