"""What the journal records, and what each record does to the state.

A record is one write of one caller. Its :meth:`~Record.apply` is the only code that changes a state: the server runs it
on records that have just become durable, a restart on records read back, and a compaction on records that it puts into
the snapshot. All three therefore agree. A record that is refused when it is applied changes nothing, and is refused
again by the others; its caller gets the error.

On disk a batch is a msgpack array of records, and a record an array that begins with its tag:

    0  board  name  score                                   Put
    1  board  [name]  [score]                               PutMany
    2  key  name                                            Remove
    3  key                                                  Drop
    4  tick  rules  offset  is settled                      At
    5  board  definition, as JSON                           Define
    6  board                                                Undefine
    7  board  name  score  [feed]  has metadata  idempotency key  [equal]  time  operator  run             Submit
    8  board  [name]  [score]  [feed]  [place with metadata]  idempotency key  [refusal]  [equal]  [date]  SubmitMany
    9  key  name  [feed]  has metadata                                                             SetMetadata
    10 board  name                                          Hide
    11 board  name                                          Show
    12 board  name  sequence  [feed]  has metadata          Release

Fields may be added at the end of a record, with defaults; a tag is never used again for another meaning. Scores are
doubles. Each batch begins with At. Metadata is not part of a record: it is stored next to the batch
(:mod:`laurels.stores.embedded.journal`), and the record says which submissions have some. Every record but At takes a
sequence, one with several submissions as many. A date is the place of a submission that counts as of another time, that
time, and the periods that it feeds. Put and PutMany are the short encodings of the most common submits: to
one board, without metadata and key.

**Equal metadata.** Whether a submit with the score that a name has brings the very metadata that is kept already cannot
be seen by a record alone. So before it is written that is looked up, and the record says which metadata was found to
be equal to its own, by the sequences under which it is kept. Records before format 3 do not: in them the same score
with metadata counted as a new submission.
"""

from __future__ import annotations

from abc import abstractmethod
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import msgspec

from laurels.definition import Definition, Operator
from laurels.errors import ScoreRefused
from laurels.stores.contract import Feed, IdempotencyKey, Refusal, key_of
from laurels.stores.embedded.answers import Compared, StoredStanding
from laurels.stores.embedded.guard import HELD, held_key
from laurels.stores.embedded.stamp import Stamp, tick_of
from laurels.stores.embedded.state import ADDED, EMPTY_INDEX, NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from laurels.stores.embedded.state import State

DEFAULT = "-"
"""The name under which the default definition is recorded; no board has it."""
RULES = 1
"""The rules by which this version adds: before 0.5 (0) a sum might lose all of a fraction."""
HEAD = b"\xdd\0\0\0\0\x93\x04\xcf" + bytes(8) + bytes([RULES])
"""A msgpack array of a four-byte count, and in it the first record: At, with eight bytes for the tick."""

Outcome: TypeAlias = int | Compared | list[Refusal]
"""What applying a record came to."""


class Record(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """A write to a state. ``has_details`` says whether metadata or an idempotency key may come with its kind."""

    has_details: ClassVar[bool] = False

    @abstractmethod
    def apply(self, state: State) -> Outcome:
        """Change the state; raise what the caller is to get, and change nothing then."""

    def needs(self) -> Iterable[str]:
        """Return the keys whose entries must be in memory for it, except those of a board's periods."""
        return ()

    def idempotency_key(self) -> IdempotencyKey | None:
        """Return what makes the write count once."""
        return None


class Put(Record, tag=0, frozen=True, gc=False):
    """A score for a name on one board."""

    board: str
    name: str
    score: float

    def apply(self, state: State) -> Outcome:
        """Submit by the operator; return whether that counted."""
        if state.submits_do_more:
            return state.submit(self.board, (), self.name, self.score, Stamp(state.stamp()))
        # As there, for what most submits are
        sequence = state.sequence = state.sequence + state.step
        try:
            outcome = state[self.board].submit(self.name, self.score, sequence)
        except OverflowError as error:
            raise ScoreRefused(f"The score is refused: {error}.") from error
        if outcome == ADDED:
            state.entry_count += 1
        return outcome

    def needs(self) -> Iterable[str]:
        """Return that of the board."""
        return (self.board,)


class PutMany(Record, tag=1, frozen=True, gc=False):
    """Scores for names on one board, in their order; there is at least one."""

    board: str
    names: list[str]
    scores: list[float]

    def apply(self, state: State) -> Outcome:
        """Submit them all; return the refusals."""
        return _refusals(state.submit_many(self.board, (), self.names, self.scores), self.names, [])

    def needs(self) -> Iterable[str]:
        """Return that of the board."""
        return (self.board,)


class Remove(Record, tag=2, frozen=True, gc=False):
    """A name leaves a board and its periods, or one period."""

    key: str
    name: str

    def apply(self, state: State) -> Outcome:
        """Remove the entries, and each board and period with its last one; return whether the name was there."""
        state.stamp()
        return state.remove(self.key, self.name)

    def needs(self) -> Iterable[str]:
        """Return its key."""
        return (self.key,)


class Drop(Record, tag=3, frozen=True, gc=False):
    """A board is removed with all its periods and entries, or one period."""

    key: str

    def apply(self, state: State) -> Outcome:
        """Remove the entries; return whether there were any."""
        state.stamp()
        return state.drop(self.key)


AT = 4


class At(Record, tag=AT, frozen=True, gc=False):
    """What follows in the batch has this tick, each write the next one.

    ``offset`` is by how much ticks are ahead of the wall clock; ``is_settled`` says whether that could be trusted.
    """

    tick: int
    rules: Annotated[int, msgspec.Meta(le=RULES)] = 0
    """By which rules the writer decided: what was acknowledged then is applied as it was."""
    offset: int = 0
    is_settled: bool = True

    def apply(self, state: State) -> Outcome:
        """Move on to that time."""
        if state.lossy_sums or self.rules < RULES:
            state.submits_do_more = True
            state.lossy_sums = self.rules < RULES
        state.advance(self.tick, self.offset, is_settled=self.is_settled)
        return True


class Define(Record, tag=5, frozen=True, gc=False):
    """A board has a definition of its own from now on, or all that have none have this one."""

    board: str
    definition: bytes

    def apply(self, state: State) -> Outcome:
        """Define the board; return whether it was defined before; refuse what its entries contradict."""
        state.stamp()
        definition = decode_definition(self.definition)
        if self.board == DEFAULT:
            state.define_default(definition)
            return True
        return state.define(self.board, definition)

    def needs(self) -> Iterable[str]:
        """Return that of the board, whose entries may contradict."""
        return (self.board,)


class Undefine(Record, tag=6, frozen=True, gc=False):
    """A board has the default definition from now on."""

    board: str

    def apply(self, state: State) -> Outcome:
        """Forget the definition; return whether there was one; refuse what the board's entries contradict."""
        state.stamp()
        return state.define(self.board, None)

    def needs(self) -> Iterable[str]:
        """Return that of the board, whose entries may contradict."""
        return (self.board,)


class Submit(Record, tag=7, frozen=True, gc=False):
    """A score for a name on a board and the periods it feeds."""

    board: str
    name: str
    score: float
    feeds: tuple[Feed, ...] = ()
    has_metadata: bool = False
    key: IdempotencyKey | None = None
    equal: list[int] | None = None
    time: int | None = None
    operator: Operator | None = None
    run: bytes | None = None
    has_details: ClassVar[bool] = True

    def apply(self, state: State) -> Outcome:
        """Submit; return whether that changed anything, or with a key, whose answer is kept, what it changed."""
        if not self.key:
            return self.submit(state)
        if (
            state.submits_do_more
            or self.feeds
            or self.has_metadata
            or self.time is not None
            or self.operator is not None
            or state.may_refuse(self.board)
        ):
            return compare(state, self, self.submit)
        # As there, for what most submits with keys are
        sequence = state.sequence = state.sequence + state.step
        compared = state[self.board].submit_compared(self.name, self.score, sequence)
        if compared[0] is None:
            state.entry_count += 1
        return compared

    def submit(self, state: State) -> int:
        """Submit; return whether that counted, or HELD."""
        sequence = state.stamp(with_metadata=self.has_metadata)
        stamp = Stamp(sequence, self.equal, self.time, self.operator, self.run)
        return state.submit(self.board, self.feeds, self.name, self.score, stamp)

    def entries(self) -> Iterable[tuple[int, str, float]]:
        """Return place, name and score of each submission that has metadata."""
        return ((0, self.name, self.score),) if self.has_metadata else ()

    def with_equal(self, equal: Sequence[tuple[int, int]]) -> Submit:
        """Return the same with the metadata that was found equal: pairs of a place and a sequence."""
        return msgspec.structs.replace(self, equal=[sequence for _, sequence in equal])

    def needs(self) -> Iterable[str]:
        """Return those of the board and the periods."""
        return fed_keys(self.board, self.feeds)

    def idempotency_key(self) -> IdempotencyKey | None:
        """Return what makes it count once."""
        return self.key

    def metadata(self, first: int) -> Iterable[tuple[str, int]]:
        """Return the name, if it has metadata, with its sequence; ``first`` is the first sequence of the record."""
        return ((self.name, first | 1),) if self.has_metadata else ()


class Date(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """The time that a submission of a batch counts as of, and the periods that it feeds."""

    place: int
    time: int
    feeds: tuple[Feed, ...]


class SubmitMany(Record, tag=8, frozen=True, gc=False):
    """Scores for names on a board and the periods it feeds, in their order, next to what was refused before.

    ``equal`` has pairs of a place with metadata and a sequence; or, if its metadata is that of an earlier place for the
    same name, that place, inverted (``~``).
    """

    board: str
    names: list[str]
    scores: list[float]
    feeds: tuple[Feed, ...] = ()
    places_with_metadata: list[int] = []
    key: IdempotencyKey | None = None
    refused: list[Refusal] = []
    equal: list[tuple[int, int]] | None = None
    dates: list[Date] = []
    has_details: ClassVar[bool] = True

    def apply(self, state: State) -> Outcome:
        """Submit them all; return the refusals, with those from before, by their index in the batch."""
        if not self.names:
            state.stamp()
            return self.refused
        first = state.sequence + state.step
        equal = dict.fromkeys(self.places_with_metadata) if self.equal is None else self._equal(first, self.equal)
        dates = {date.place: date for date in self.dates} if self.dates else NOTHING
        refused = state.submit_many(self.board, self.feeds, self.names, self.scores, with_metadata=equal, dates=dates)
        return _refusals(refused, self.names, self.refused)

    def _equal(self, first: int, equal: Iterable[tuple[int, int]]) -> Mapping[int, set[int]]:
        """Return for each place with metadata the sequences under which the very same is kept."""
        found = {place: {first + 2 * place | 1} for place in self.places_with_metadata}
        for place, sequence in equal:
            same = found[place if sequence >= 0 else ~sequence]
            same |= {sequence} if sequence >= 0 else found[place]
            found[place] = same
        return found

    def entries(self) -> Iterable[tuple[int, str, float]]:
        """Return place, name and score of each submission that has metadata."""
        return ((place, self.names[place], self.scores[place]) for place in self.places_with_metadata)

    def with_equal(self, equal: Sequence[tuple[int, int]]) -> SubmitMany:
        """Return the same with the metadata that was found equal."""
        return msgspec.structs.replace(self, equal=equal)

    def needs(self) -> Iterable[str]:
        """Return those of the board and the periods."""
        if not self.dates:
            return fed_keys(self.board, self.feeds)
        feeds = (self.feeds, *(date.feeds for date in self.dates))
        return dict.fromkeys(key for each in feeds for key in fed_keys(self.board, each))

    def idempotency_key(self) -> IdempotencyKey | None:
        """Return what makes it count once."""
        return self.key

    def metadata(self, first: int) -> Iterable[tuple[str, int]]:
        """Return the names that have metadata, with their sequences; ``first`` is the first one of the record."""
        return ((self.names[place], (first + 2 * place) | 1) for place in self.places_with_metadata)


class SetMetadata(Record, tag=9, frozen=True, gc=False):
    """Other metadata, or none, for a name on a board and the periods it feeds, or on one period."""

    key: str
    name: str
    feeds: tuple[Feed, ...] = ()
    has_metadata: bool = False
    has_details: ClassVar[bool] = True

    def apply(self, state: State) -> Outcome:
        """Set it wherever the name is; return whether it is on the first."""
        sequence = state.stamp(with_metadata=self.has_metadata)
        found = [key for key in self.needs() if self.name in state.index_of(key, self.name)]
        for key in found:
            state.set_metadata(key, self.name, sequence)
        return self.key in found

    def needs(self) -> Iterable[str]:
        """Return those of the board and the periods."""
        return fed_keys(self.key, self.feeds)

    def metadata(self, first: int) -> Iterable[tuple[str, int]]:
        """Return the name, if it is to have metadata, with its sequence, which is ``first``."""
        return ((self.name, first | 1),) if self.has_metadata else ()


class Hide(Record, tag=10, frozen=True, gc=False):
    """A name is hidden on a board and in its periods, whether or not it has entries."""

    board: str
    name: str

    def apply(self, state: State) -> Outcome:
        """Hide it; return whether it was not hidden."""
        state.stamp()
        return state.hide(self.board, self.name)

    def needs(self) -> Iterable[str]:
        """Return that of the board."""
        return (self.board,)


class Show(Record, tag=11, frozen=True, gc=False):
    """A hidden name is shown."""

    board: str
    name: str

    def apply(self, state: State) -> Outcome:
        """Show it; return whether it was hidden."""
        state.stamp()
        return state.show(self.board, self.name)

    def needs(self) -> Iterable[str]:
        """Return that of the board."""
        return (self.board,)


class Release(Record, tag=12, frozen=True, gc=False):
    """A held entry counts, as of its time, if it is still the one of that sequence."""

    board: str
    name: str
    held: int
    feeds: tuple[Feed, ...] = ()
    has_metadata: bool = False
    has_details: ClassVar[bool] = True

    def apply(self, state: State) -> Outcome:
        """Submit it past the guard, and hold it no more; return whether it was that one."""
        sequence, key = state.stamp(with_metadata=self.has_metadata), held_key(self.board)
        row = state.get(key, EMPTY_INDEX).row(self.name)
        if row is None or row[3] != self.held:
            return False
        stamp = Stamp(sequence, equal=(), tick=tick_of(row), is_guarded=False)
        state.submit(self.board, self.feeds, self.name, row[1], stamp)
        return state.remove(key, self.name)

    def needs(self) -> Iterable[str]:
        """Return those of the board and the periods."""
        return fed_keys(self.board, self.feeds)

    def metadata(self, first: int) -> Iterable[tuple[str, int]]:
        """Return the name, if it has metadata, with its sequence, which is ``first``."""
        return ((self.name, first | 1),) if self.has_metadata else ()


AnyRecord: TypeAlias = (
    Put | PutMany | Remove | Drop | At | Define | Undefine | Submit | SubmitMany | SetMetadata | Hide | Show | Release
)
Detailed: TypeAlias = Submit | SubmitMany | SetMetadata | Release

_OF_KEYS = Remove | Drop | SetMetadata

_encoder = msgspec.msgpack.Encoder()
encode_into = _encoder.encode_into
_DECODER = msgspec.msgpack.Decoder(list[AnyRecord])
_encode_json = msgspec.json.Encoder().encode
_UNPARTITIONED = b',"partitions":1}'
decode_definition = msgspec.json.Decoder(Definition).decode


def encode_definition(definition: Definition) -> bytes:
    """Return a definition as the format has it, which knows no partitions: there is one."""
    return _encode_json(definition).replace(_UNPARTITIONED, b"}")


def board_of(record: object) -> str:
    """Return the name of the board that a record concerns; that of none, if it concerns none, or all."""
    if isinstance(record, _OF_KEYS):
        return record.key.partition("\n")[0]
    board: str = getattr(record, "board", DEFAULT)
    return board


def compare(state: State, record: Put | Submit, submit: Callable[[State], object]) -> Compared:
    """Submit the score of a record, and return the standings just before and just after."""
    board, name = record.board, record.name
    before = standing(state, board, name)
    outcome: int = submit(state)  # type: ignore[assignment]
    after = standing(state, board, name)
    if after is None and (board, name) in state.hidden:  # its score is held, and it has no other
        after = 0, None
    return before, after, HELD if outcome == HELD else outcome > 0


def standing(state: State, board: str, name: str) -> StoredStanding | None:
    """Return score and rank of a name, None if it has no entry; a hidden one has no rank."""
    found = state.get(board, EMPTY_INDEX).standing(name)
    if found is None and (score := state.find_hidden(board).score(name)) is not None:
        return score, None
    return found


def fed_keys(board: str, feeds: Iterable[Feed]) -> Iterable[str]:
    """Return the keys of a board and of the periods that a submit to it feeds."""
    return (board, *(key_of(board, feed.window, feed.period) for feed in feeds))


def _refusals(refused: list[tuple[int, str]], names: list[str], before: list[Refusal]) -> list[Refusal]:
    if not refused:
        return before
    taken = {refusal.index for refusal in before}
    places = [place for place in range(len(names) + len(before)) if place not in taken]
    found = [Refusal(places[place], names[place], problem) for place, problem in refused]
    return sorted(before + found, key=attrgetter("index"))


def begin_batch() -> bytearray:
    """Return the encoding of a batch that has At, of no time yet, and nothing else."""
    return bytearray(HEAD)


def finish_batch(batch: bytearray, count: int, at: At) -> None:
    """Write at the head of a batch how many records it holds, At included, and when it was."""
    batch[1:5] = count.to_bytes(4, "big")
    if at.is_settled and not at.offset:  # most are, and need not say so
        batch[8:16] = at.tick.to_bytes(8, "big")
    else:
        batch[5 : len(HEAD)] = _encoder.encode(at)


def decode(encoded: bytes) -> Sequence[Record]:
    """Return the records of one batch; :exc:`msgspec.DecodeError` if they are none."""
    return _DECODER.decode(encoded)


INTEGER_BYTES = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}
"""How long an integer of msgpack is, by its first byte; others, and booleans, are that byte alone."""
ARRAY_BYTES = {0xDC: 3, 0xDD: 5}
"""How long the head of an array is, by its first byte; others are that byte alone."""
_decode_begin = msgspec.msgpack.Decoder(At).decode


def decode_begin(encoded: bytes) -> At | None:
    """Return the At of a batch without decoding what follows it; None if it has none, as in the first format."""
    start = at = ARRAY_BYTES.get(encoded[0], 1)
    if at >= len(encoded) or encoded[at + 1] != AT:
        return None
    for _ in range(1 + (encoded[at] & 0x0F)):  # the head of the record, and its fields, all of them integers
        at += INTEGER_BYTES.get(encoded[at], 1)
    return _decode_begin(encoded[start:at])
