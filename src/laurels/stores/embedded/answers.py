"""First answers to writes with idempotency keys, as they are on disk: a row for those of one batch, 40 at most.

    tick     that of the last write that the row is for; a write that was refused has no answer, but counts here
    agreed   when it was, in microseconds of agreed time: the keys are forgotten a day of that time later
    pairs    the keys, each with its fingerprint behind it, 32 bytes a pair
    bodies   what the writes came to, in the same order, as a msgpack array:
                 [[score, rank] before or nil, [score, rank] after or nil, whether it counted]   of one submission,
                                       with nil for the rank of a hidden name, and -1 behind it if it is held
                 {"refusals": [...]}                                                      of a batch
             with scores as doubles if one is beyond 64 bits

Rows of many keys cost little beside the keys themselves: some 52 bytes a key, where a row of its own for each took 85
and its entry in an index 40 more.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from laurels.stores.contract import Change, HiddenStanding, Refusal, Score, Standing
from laurels.stores.embedded.guard import HELD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from laurels.stores.contract import IdempotencyKey

ROW_ANSWERS = 40
"""Two rows of so many submissions fill a page of the file."""
KEY_BYTES, PAIR_BYTES = 16, 32

StoredStanding = tuple[Score, int | None]
"""Score and rank of a name; a hidden one has no rank."""
Compared = tuple[StoredStanding | None, StoredStanding | None, bool | int]
"""Score and rank of a name just before a submission and just after, and whether it counted, or HELD."""


class BatchAnswer(Struct, frozen=True, gc=False):
    """What was refused of a batch."""

    refusals: list[Refusal]


Body = Compared | BatchAnswer
Answered = tuple[int, "IdempotencyKey", "Compared | list[Refusal] | None"]
"""The tick of a write, its key, and what the write came to, None if it was refused."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Body]).decode


class Answer(Struct, frozen=True, gc=False):
    """The first answer to one write."""

    fingerprint: bytes
    body: Body

    @property
    def outcome(self) -> Compared | list[Refusal]:
        """What the write came to."""
        if isinstance(self.body, BatchAnswer):
            return self.body.refusals
        before, after, counted = self.body
        return before and _with_score(int, before), after and _with_score(int, after), counted


class Answers(Struct, frozen=True, gc=False):
    """One row."""

    tick: int
    agreed: int
    pairs: bytes
    bodies: bytes

    def crc(self) -> int:
        """Return its CRC32."""
        return zlib.crc32(self.bodies, zlib.crc32(b"%d %d %b" % (self.tick, self.agreed, self.pairs)))

    def find(self, key: bytes) -> Answer | None:
        """Return the answer to a key, None if it is not here; raise DecodeError if a later version wrote it."""
        at = next((at for at in range(0, len(self.pairs), PAIR_BYTES) if self.pairs.startswith(key, at)), None)
        if at is None:
            return None
        return Answer(self.pairs[at + KEY_BYTES : at + PAIR_BYTES], _decode(self.bodies)[at // PAIR_BYTES])


def change(compared: Compared) -> Change:
    """Return the change that two standings are."""
    before, after, counted = compared
    current = _standing(after) if after else Standing(0, None)
    return Change(_standing(before) if before else None, current, counted is True, counted == HELD)


def _standing(stored: StoredStanding) -> Standing:
    score, rank = stored
    return HiddenStanding(score) if rank is None else Standing(score, rank)


def pack(answered: Sequence[Answered], agreed: int) -> Iterator[Answers]:
    """Yield the rows for the writes with keys of one batch, in their order."""
    start = 0
    for end in _ends([outcome for _, _, outcome in answered]):
        yield _row(answered[start:end], agreed)
        start = end


def _ends(outcomes: Sequence[Compared | list[Refusal] | None]) -> Iterator[int]:
    """Yield where a row ends, since outcomes of batches may be long."""
    if list not in map(type, outcomes):  # nearly always, and then no step for each of them is needed
        yield from range(ROW_ANSWERS, len(outcomes), ROW_ANSWERS)
        if outcomes:
            yield len(outcomes)
        return
    size = 0
    for end, outcome in enumerate(outcomes, 1):
        size += 1 + len(outcome) if isinstance(outcome, list) else 1
        if size >= ROW_ANSWERS or end == len(outcomes):
            yield end
            size = 0


def _row(answered: Sequence[Answered], agreed: int) -> Answers:
    pairs = b"".join([key.key + key.fingerprint for _, key, outcome in answered if outcome is not None])
    outcomes = [outcome for _, _, outcome in answered if outcome is not None]
    bodies: list[Body] = outcomes  # type: ignore[assignment]
    if list in map(type, outcomes):
        bodies = [BatchAnswer(outcome) if isinstance(outcome, list) else outcome for outcome in outcomes]
    try:
        encoded = _encode(bodies)
    except OverflowError:
        encoded = _encode([body if isinstance(body, BatchAnswer) else _as_doubles(body) for body in bodies])
    return Answers(answered[-1][0], agreed, pairs, encoded)


def _as_doubles(compared: Compared) -> Compared:
    before, after, counted = compared
    return before and _with_score(float, before), after and _with_score(float, after), counted


def _with_score(kind: type[float], standing: StoredStanding) -> StoredStanding:
    """Return a standing with its score as another type, if that is the same number."""
    score, rank = standing
    return (kind(score), rank) if kind(score) == score else standing
