"""What the journal records, and what each record does to the boards.

A record is one act of one caller. Its :meth:`apply` is the only code that changes boards: the server runs it on
records that have just become durable, a restart on records read back, and a fold on records it makes compact.
All three therefore agree.

On disk a batch is a msgpack array of records, and a record an array that begins with its tag:

    0  board  name  score       Put
    1  board  [name]  [score]   PutMany
    2  board  name              Remove
    3  board                    Drop

Fields may be added at the end of a record, with defaults; a tag is never used again for another meaning. Scores
are doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from laurels.ranking import Index
from laurels.stores.contract import Change, Standing

if TYPE_CHECKING:
    from laurels.definition import Definition

ARRAY32 = 0xDD
"""The msgpack byte before a four-byte count and that many values."""


class Indexes(dict[str, Index]):
    """The index of each board that has entries; a board comes into being when it is subscripted."""

    def __init__(self, default: Definition) -> None:
        super().__init__()
        self.default = default
        self.declared: dict[str, Definition] = {}

    def __missing__(self, name: str) -> Index:
        definition = self.declared.get(name, self.default)
        index = self[name] = Index(descending=definition.order == "descending")
        return index


class Put(msgspec.Struct, array_like=True, tag=0, frozen=True, gc=False):
    """A name takes a score, in place of any it had."""

    board: str
    name: str
    score: float

    def apply(self, boards: Indexes) -> bool | Change:
        """Put the entry; tell whether the name was new."""
        return boards[self.board].put(self.name, self.score)


class Compare(Put, array_like=True, tag=0, frozen=True, gc=False):
    """A Put, and on disk nothing else, whose caller wants to know what it changed."""

    def apply(self, boards: Indexes) -> bool | Change:
        """Put the entry and give the standings just before and just after."""
        index = boards[self.board]
        before = index.standing(self.name)
        index.put(self.name, self.score)
        score, rank = index.standing(self.name) or (self.score, 0)
        return Change(Standing(*before) if before else None, Standing(score, rank))


class PutMany(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """Names take their scores, in their order; there is at least one."""

    board: str
    names: list[str]
    scores: list[float]

    def apply(self, boards: Indexes) -> bool | Change:
        """Put the entries."""
        put = boards[self.board].put
        for name, score in zip(self.names, self.scores, strict=True):
            put(name, score)
        return True


class Remove(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """A name leaves a board."""

    board: str
    name: str

    def apply(self, boards: Indexes) -> bool | Change:
        """Remove the entry, and the board with its last one; tell whether it was there."""
        index = boards.get(self.board)
        if index is None or not index.remove(self.name):
            return False
        if not len(index):
            del boards[self.board]
        return True


class Drop(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """A board goes with all its entries."""

    board: str

    def apply(self, boards: Indexes) -> bool | Change:
        """Remove the board; tell whether it was there."""
        return boards.pop(self.board, None) is not None


Record = Put | PutMany | Remove | Drop

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Record])


def begin() -> bytearray:
    """Give the encoding of a batch without records."""
    return bytearray((ARRAY32, 0, 0, 0, 0))


def encode(record: Record, batch: bytearray) -> None:
    """Append a record to a batch; one that cannot be encoded raises and leaves no trace."""
    size = len(batch)
    try:
        _ENCODER.encode_into(record, batch, -1)
    except BaseException:
        del batch[size:]
        raise


def seal(batch: bytearray, count: int) -> None:
    """Write at the head of a batch how many records it holds."""
    batch[1:5] = count.to_bytes(4, "big")


def decode(encoded: bytes) -> list[Record]:
    """Read the records of one batch; :exc:`msgspec.DecodeError` where they are none."""
    return _DECODER.decode(encoded)
