"""What the journal records, and what each record does to the state.

A record is one act of one caller. Its :meth:`apply` is the only code that changes a state: the server runs it on
records that have just become durable, a restart on records read back, and a fold on records it makes compact.
All three therefore agree. A record that is refused when it is applied changes nothing, and is refused again by the
others; its caller is told.

On disk a batch is a msgpack array of records, and a record an array that begins with its tag:

    0  board  name  score                                   Put
    1  board  [name]  [score]                               PutMany
    2  key  name                                            Remove
    3  key                                                  Drop
    4  tick                                                 At
    5  board  definition, as JSON                           Define
    6  board                                                Undefine
    7  board  name  score  [feed]  noted  once              Submit
    8  board  [name]  [score]  [feed]  [noted]  once  [refusal]      SubmitMany

Fields may be added at the end of a record, with defaults; a tag is never used again for another meaning. Scores
are doubles. Each batch begins with At. Metadata is no part of a record: it lies beside the batch
(:mod:`laurels.stores.embedded.journal`), and ``noted`` tells which attempts have some. Every record but At takes a sequence,
one with several attempts as many.
"""

from __future__ import annotations

from abc import abstractmethod
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from laurels.definition import Definition
from laurels.errors import ScoreRefused
from laurels.stores.contract import Change, Feed, IdempotencyKey, Refusal, Standing, key_of
from laurels.stores.embedded.state import EMPTY_INDEX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from laurels.stores.embedded.state import State

DEFAULT = "-"
"""Stands for all boards that are not declared, where a definition is recorded; no board has this name."""
HEAD = b"\xdd\0\0\0\0\x92\x04\xcf" + bytes(8)
"""A msgpack array of a four-byte count, and in it the first record: At, with eight bytes for the tick."""

Outcome: TypeAlias = int | Change | list[Refusal]


class Record(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """An act on a state.

    ``is_described`` tells whether more comes with it: metadata, or a key.
    """

    is_described: ClassVar[bool] = False

    @abstractmethod
    def apply(self, state: State) -> Outcome:
        """Do the act and give what it came to; raise what its caller is to be told, and change nothing then."""

    def needs(self) -> Iterable[str]:
        """Give the keys whose entries must be at hand for it, those of a board's periods aside."""
        return ()

    def identity(self) -> IdempotencyKey | None:
        """Give what makes the act count once."""
        return None


class Put(Record, tag=0, frozen=True, gc=False):
    """A score for a name on one board."""

    board: str
    name: str
    score: float

    def apply(self, state: State) -> Outcome:
        """Submit by the operator; tell whether that counted."""
        sequence = state.sequence = state.sequence + state.step
        if state.renewed:
            state.renew(self.board)
        try:
            return state[self.board].submit(self.name, self.score, sequence)
        except OverflowError as error:
            raise ScoreRefused(f"The score is refused: {error}.") from error

    def needs(self) -> Iterable[str]:
        """Give the board's."""
        return (self.board,)


class Compare(Put, tag=0, frozen=True, gc=False):
    """A Put, and on disk nothing else, whose caller wants to know what it changed."""

    def apply(self, state: State) -> Outcome:
        """Submit and give the standings just before and just after."""
        before = _standing(state, self.board, self.name)
        counted = bool(super().apply(state))
        return Change(before, _standing(state, self.board, self.name) or NOWHERE, counted)


class PutMany(Record, tag=1, frozen=True, gc=False):
    """Scores for names on one board, in their order; there is at least one."""

    board: str
    names: list[str]
    scores: list[float]

    def apply(self, state: State) -> Outcome:
        """Submit them all; give the refusals."""
        return _refusals(state.submit_many(self.board, (), self.names, self.scores), self.names, [])

    def needs(self) -> Iterable[str]:
        """Give the board's."""
        return (self.board,)


class Remove(Record, tag=2, frozen=True, gc=False):
    """A name leaves a board and its periods, or one period."""

    key: str
    name: str

    def apply(self, state: State) -> Outcome:
        """Remove the entries, and each board and period with its last one; tell whether the name was there."""
        state.stamp()
        return state.remove(self.key, self.name)

    def needs(self) -> Iterable[str]:
        """Give its key."""
        return (self.key,)


class Drop(Record, tag=3, frozen=True, gc=False):
    """A board goes with all its periods and entries, or one period."""

    key: str

    def apply(self, state: State) -> Outcome:
        """Remove the entries; tell whether there were any."""
        state.stamp()
        return state.drop(self.key)


class At(Record, tag=4, frozen=True, gc=False):
    """What follows in the batch was submitted at this microsecond, each act one after the other."""

    tick: int

    def apply(self, state: State) -> Outcome:
        """Let the time come."""
        state.advance(self.tick)
        return True


class Define(Record, tag=5, frozen=True, gc=False):
    """A board has a definition of its own from now on, or all that have none have this one."""

    board: str
    definition: bytes

    def apply(self, state: State) -> Outcome:
        """Declare the board; tell whether it was already; refuse what its entries contradict."""
        state.stamp()
        definition = decode_definition(self.definition)
        if self.board == DEFAULT:
            state.define_default(definition)
            return True
        return state.define(self.board, definition)

    def needs(self) -> Iterable[str]:
        """Give the board's, whose entries may contradict."""
        return (self.board,)


class Undefine(Record, tag=6, frozen=True, gc=False):
    """A board has the default definition from now on."""

    board: str

    def apply(self, state: State) -> Outcome:
        """Forget the declaration; tell whether there was one; refuse what the board's entries contradict."""
        state.stamp()
        return state.define(self.board, None)

    def needs(self) -> Iterable[str]:
        """Give the board's, whose entries may contradict."""
        return (self.board,)


class Submit(Record, tag=7, frozen=True, gc=False):
    """A score for a name on a board and the periods it feeds."""

    board: str
    name: str
    score: float
    feeds: tuple[Feed, ...] = ()
    noted: bool = False
    once: IdempotencyKey | None = None
    is_described: ClassVar[bool] = True
    is_told: ClassVar[bool] = False

    def apply(self, state: State) -> Outcome:
        """Submit; tell whether that counted on the board, or what it changed there if that is to be told."""
        sequence = state.stamp(with_metadata=self.noted)
        if not (self.is_told or self.once):
            return state.submit(self.board, self.feeds, self.name, self.score, sequence)
        before = _standing(state, self.board, self.name)
        counted = state.submit(self.board, self.feeds, self.name, self.score, sequence)
        return Change(before, _standing(state, self.board, self.name) or NOWHERE, counted)

    def needs(self) -> Iterable[str]:
        """Give the board's and those of the periods."""
        return _fed(self.board, self.feeds)

    def identity(self) -> IdempotencyKey | None:
        """Give what makes it count once."""
        return self.once

    def notes(self, first: int) -> Iterable[tuple[str, int]]:
        """Give the name, if it has metadata, with its sequence; ``first`` is the one that the act takes first."""
        return ((self.name, first | 1),) if self.noted else ()


class Report(Submit, tag=7, frozen=True, gc=False):
    """A Submit, and on disk nothing else, whose caller wants to know what it changed."""

    is_told: ClassVar[bool] = True


class SubmitMany(Record, tag=8, frozen=True, gc=False):
    """Scores for names on a board and the periods it feeds, in their order, beside what was refused before."""

    board: str
    names: list[str]
    scores: list[float]
    feeds: tuple[Feed, ...] = ()
    noted: list[int] = []
    once: IdempotencyKey | None = None
    refused: list[Refusal] = []
    is_described: ClassVar[bool] = True

    def apply(self, state: State) -> Outcome:
        """Submit them all; give the refusals, with those from before, by their places in the batch."""
        if not self.names:
            state.stamp()
            return self.refused
        refused = state.submit_many(self.board, self.feeds, self.names, self.scores, frozenset(self.noted))
        return _refusals(refused, self.names, self.refused)

    def needs(self) -> Iterable[str]:
        """Give the board's and those of the periods."""
        return _fed(self.board, self.feeds)

    def identity(self) -> IdempotencyKey | None:
        """Give what makes it count once."""
        return self.once

    def notes(self, first: int) -> Iterable[tuple[str, int]]:
        """Give the names that have metadata, with their sequences; ``first`` is the one that the act takes first."""
        return ((self.names[place], (first + 2 * place) | 1) for place in self.noted)


Known: TypeAlias = Put | PutMany | Remove | Drop | At | Define | Undefine | Submit | SubmitMany
Described: TypeAlias = Submit | SubmitMany
NOWHERE = Standing(0, 0)
"""Where an entry stands that is nowhere, and of which nobody asks."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Known])
encode_definition = msgspec.json.Encoder().encode
decode_definition = msgspec.json.Decoder(Definition).decode


def _standing(state: State, board: str, name: str) -> Standing | None:
    found = state.get(board, EMPTY_INDEX).standing(name)
    return Standing(*found) if found else None


def _fed(board: str, feeds: Iterable[Feed]) -> Iterable[str]:
    return (board, *(key_of(board, feed.window, feed.period) for feed in feeds))


def _refusals(refused: list[tuple[int, str]], names: list[str], before: list[Refusal]) -> list[Refusal]:
    if not refused:
        return before
    taken = {refusal.index for refusal in before}
    places = [place for place in range(len(names) + len(before)) if place not in taken]
    found = [Refusal(places[place], names[place], problem) for place, problem in refused]
    return sorted(before + found, key=attrgetter("index"))


def begin() -> bytearray:
    """Give the encoding of a batch that has At, of no time yet, and nothing else."""
    return bytearray(HEAD)


def encode(record: Record, batch: bytearray) -> None:
    """Append a record to a batch; one that cannot be encoded raises and leaves no trace."""
    size = len(batch)
    try:
        _ENCODER.encode_into(record, batch, -1)
    except BaseException:
        del batch[size:]
        raise


def seal(batch: bytearray, count: int, tick: int) -> None:
    """Write at the head of a batch how many records it holds, At included, and when it was."""
    batch[1:5] = count.to_bytes(4, "big")
    batch[8:16] = tick.to_bytes(8, "big")


def decode(encoded: bytes) -> Sequence[Record]:
    """Read the records of one batch; :exc:`msgspec.DecodeError` where they are none."""
    return _DECODER.decode(encoded)
