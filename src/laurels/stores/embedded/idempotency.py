"""Acts that count once: which are under way, and the first answers that are not on disk yet.

    claim ──> look here, then on disk ──> the act, in a batch ──> durable, applied: its answer ──> on disk, later
                    │ there                                            │
                    └──> the first answer, or KeyReused                └──> the claim is let go

**A claim** comes before the look, which may take the disk's time: whoever brings the same key meanwhile waits for the
one who has it. It is let go when the batch of the act is settled, whether or not its caller still waits.

**An answer** is known when its record has been applied, and only then: it stays here until it is on disk, in the order
of the acts. A crash in between loses none, for the key is in the record: a restart comes to the same answer. No
batch is folded away before its answers are written. That an act was refused is an answer too, without content: its
key was not used.
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

_encode = msgspec.json.Encoder().encode
_DECODER: msgspec.json.Decoder[Change | list[Refusal]] = msgspec.json.Decoder(Change | list[Refusal])


class Answers:
    """The claims of one store, and its answers; ``find`` looks for one on disk, ``now`` gives the microsecond."""

    def __init__(self, find: Callable[[bytes], Awaitable[Answer | None]], now: Callable[[], int]) -> None:
        self._find = find
        self._now = now
        self._claims: dict[bytes, asyncio.Future[None]] = {}
        self._fresh: dict[bytes, Answer] = {}
        self.unwritten: list[Answer] = []

    async def claim(self, once: IdempotencyKey) -> Outcome | None:
        """Give the first answer to acts with this key, or None where there is none, and the claim then."""
        while (claim := self._claims.get(once.key)) is not None:
            await asyncio.shield(claim)
        self._claims[once.key] = asyncio.get_running_loop().create_future()
        try:
            found = self._fresh.get(once.key) or await self._find(once.key)
        except BaseException:
            self.release(once.key)
            raise
        if found is None or not found.body or found.tick + KEY_TICKS <= self._now():
            return None
        self.release(once.key)
        if found.print != once.print:
            raise KeyReused
        return _DECODER.decode(found.body)

    def release(self, key: bytes) -> None:
        """Let the next act with this key go on."""
        self._claims.pop(key).set_result(None)

    def know(self, once: IdempotencyKey, tick: int, outcome: Outcome | None) -> None:
        """Take up the answer to the act of this tick; None where it was refused."""
        answer = Answer(tick, once.key, once.print, b"" if outcome is None else _encode(outcome))
        self._fresh[once.key] = answer
        self.unwritten.append(answer)

    def take(self) -> list[Answer]:
        """Give the answers to be written, which are then no longer told as such."""
        taken, self.unwritten = self.unwritten, []
        return taken

    def put_back(self, answers: list[Answer]) -> None:
        """Tell again as unwritten what could not be written."""
        self.unwritten = answers + self.unwritten

    def forget(self, answers: list[Answer]) -> None:
        """Leave to the disk what is there now."""
        for answer in answers:
            if self._fresh.get(answer.key) is answer:
                del self._fresh[answer.key]
