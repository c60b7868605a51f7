"""A state from the files: the compact form in bulk, then the journal's batches since. A start and a fold begin so."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from msgspec import DecodeError

from laurels.errors import DataDamaged, LaurelsError
from laurels.stores.records import DEFAULT, decode, decode_definition
from laurels.stores.state import ELSEWHERE, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from laurels.definition import Definition
    from laurels.stores.journal import Origin
    from laurels.stores.records import Described, Outcome, Record
    from laurels.stores.snapshot import Snapshot


def begin(origin: Origin, compact: Snapshot | None, default: Definition) -> State:
    """Give a state without entries, as of the compact form; files of the first format take this default definition."""
    state = State(decode_definition(origin.first) if origin.first else default)
    if compact is not None:
        for about in compact.boards():
            if about.name == DEFAULT and about.definition:
                state.default = decode_definition(about.definition)
            elif about.definition:
                state.declared[about.name] = decode_definition(about.definition)
        state.resume(compact.seal.sequence)
    return state


def load(state: State, compact: Snapshot, wanted: Callable[[str], bool] = bool) -> Iterator[int]:
    """Load the entries of the wanted keys, all where it is not said, and give how many there are so far."""
    loaded = 0
    for key in compact.stored():
        if not wanted(key):
            state.begin(key, ELSEWHERE)
    for key, chunks in groupby(compact.chunks(wanted), key=itemgetter(0)):
        try:
            state[key].load((packed for _, _, packed in chunks), sequences=compact.is_whole)
        except ValueError as error:
            raise DataDamaged(compact.path, f"the entries of board {key!r} are not what was written") from error
        loaded += len(state[key])
        yield loaded
    for about in compact.boards():
        if about.renewed is not None:
            state.restore(about.name, about.renewed)


class Replay:
    """The batches of a journal, applied to a state; ``count`` records and ``size`` bytes so far.

    It gives those records that have metadata or a key, each with the sequence that it took first and what came of it,
    or None where it was refused.
    """

    def __init__(self, path: Path, rows: Iterable[tuple[int, bytes]], state: State) -> None:
        self._path = path
        self._rows = rows
        self._state = state
        self.count = 0
        self.size = 0

    def __iter__(self) -> Iterator[tuple[Described, int, Outcome | None]]:
        for lsn, batch in self._rows:
            records = read(self._path, lsn, batch)
            self.count += len(records)
            self.size += len(batch)
            yield from self._apply(records)

    def _apply(self, records: Iterable[Record]) -> Iterator[tuple[Described, int, Outcome | None]]:
        state = self._state
        for record in records:
            first = state.sequence + state.step if record.is_described else 0
            try:
                outcome: Outcome | None = record.apply(state)
            except LaurelsError:  # its caller was told
                outcome = None
            if first:
                yield cast("Described", record), first, outcome


def read(path: Path, lsn: int, batch: bytes) -> Sequence[Record]:
    """Read the records of a batch; DataDamaged where they are none."""
    try:
        return decode(batch)
    except DecodeError as error:
        raise DataDamaged(path, f"batch {lsn} cannot be read") from error
