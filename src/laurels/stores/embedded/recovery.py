"""A data directory that is being opened: its files are held against each other, and the state in them is loaded.

A state comes from the files: the compact form in bulk, then the journal's batches since. A start and a fold begin so.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from msgspec import DecodeError

from laurels.definition import Definition
from laurels.errors import DataDamaged, LaurelsError
from laurels.stores.embedded import journal
from laurels.stores.embedded.compaction import Compaction
from laurels.stores.embedded.directory import Directory, sync
from laurels.stores.embedded.journal import OLDEST_FORMAT, Journal
from laurels.stores.embedded.records import DEFAULT, Outcome, decode, decode_definition, encode_definition
from laurels.stores.embedded.snapshot import Seal, Snapshot
from laurels.stores.embedded.state import ON_DISK, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from laurels.stores.contract import IdempotencyKey
    from laurels.stores.embedded.journal import Origin
    from laurels.stores.embedded.records import Detailed, Record


def begin_state(origin: Origin, compact: Snapshot | None, default: Definition) -> State:
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


def load_snapshot(state: State, compact: Snapshot, wanted: Callable[[str], bool] = bool) -> Iterator[int]:
    """Load the entries of the wanted keys, all where it is not said, and give how many there are so far."""
    loaded = 0
    for key in compact.stored():
        if not wanted(key):
            state.begin(key, ON_DISK)
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

    def __iter__(self) -> Iterator[tuple[Detailed, int, Outcome | None]]:
        for lsn, batch in self._rows:
            records = read_records(self._path, lsn, batch)
            self.count += len(records)
            self.size += len(batch)
            yield from self._apply(records)

    def _apply(self, records: Iterable[Record]) -> Iterator[tuple[Detailed, int, Outcome | None]]:
        state = self._state
        for record in records:
            first = state.sequence + state.step if record.has_details else 0
            try:
                outcome: Outcome | None = record.apply(state)
            except LaurelsError:  # its caller was told
                outcome = None
            if first:
                yield cast("Detailed", record), first, outcome


def read_records(path: Path, lsn: int, batch: bytes) -> Sequence[Record]:
    """Read the records of a batch; DataDamaged where they are none."""
    try:
        return decode(batch)
    except DecodeError as error:
        raise DataDamaged(path, f"batch {lsn} cannot be read") from error


def _open_journal(directory: Directory, default: Definition) -> Journal:
    path = directory.path / "journal.db"
    others = directory.path / "boards.db", path.with_name("journal.db-wal")
    if not (path.exists() or directory.reached or any(other.exists() for other in others)):
        journal.create(path, encode_definition(default))
        sync(directory.path)
    return Journal(path)


def _agree(directory: Directory, log: Journal, seal: Seal | None) -> None:
    compact = directory.path / "boards.db"
    if log.last < directory.reached:
        raise DataDamaged(log.path, f"it ends with batch {log.last}, and {directory.reached} was acknowledged")
    if seal is None and log.first > 1:
        raise DataDamaged(compact, f"it is missing, and holds what came before batch {log.first} of the journal")
    if seal is not None and seal.origin != log.origin.id:
        raise DataDamaged(compact, "it belongs to another directory than journal.db")
    if seal is not None and log.last < seal.folded:
        raise DataDamaged(log.path, f"it ends with batch {log.last}, and boards.db holds batch {seal.folded}")
    if seal is not None and log.first > seal.folded + 1:
        raise DataDamaged(compact, f"it ends with batch {seal.folded}, and the journal begins with {log.first}")


class Opening:
    """A data directory that is being loaded: its files, and the state that they hold."""

    def __init__(self, path: Path, default: Definition, opened: ExitStack, read: ExitStack) -> None:
        self.directory = Directory(path)
        opened.callback(self.directory.release)
        compact = path / "boards.db"
        self._compact = read.enter_context(closing(Snapshot(compact))) if compact.exists() else None
        self.journal = _open_journal(self.directory, default)
        opened.callback(self.journal.close)
        seal = self._compact.seal if self._compact else None
        _agree(self.directory, self.journal, seal)
        self.folded = seal.folded if seal else 0
        self._first = Definition(order=default.order)
        self.state = begin_state(self.journal.origin, self._compact, self._first)
        self.answers: list[tuple[IdempotencyKey, int, Outcome | None]] = []

    def load(self, progress: Callable[[int], None]) -> int:
        """Load the compact form, and give how many entries that were."""
        loaded = 0
        for loaded in load_snapshot(self.state, self._compact) if self._compact else ():
            progress(loaded)
        return loaded

    def replay(self) -> Replay:
        """Apply the journal; DataDamaged where metadata is missing."""
        replay = Replay(self.journal.path, self.journal.rows(self.folded), self.state)
        noted = set[int]()
        for record, first, outcome in replay:
            noted.update(sequence for _, sequence in record.metadata(first))
            once = record.idempotency_key()
            if once and first >> 1 > self.journal.answered:
                self.answers.append((once, first >> 1, outcome))
        for sequence, body in self.journal.notes(self.folded) if noted else ():
            replay.size += len(body)
            noted.discard(sequence)
        if noted:
            raise DataDamaged(self.journal.path, f"note {min(noted)} is missing")
        return replay

    def upgrade(self) -> None:
        """Connect for writing, and bring a journal of the first format up to date."""
        with journal.translated(self.journal.path):
            self.journal.reopen()
            if self.journal.origin.format == OLDEST_FORMAT:
                self.journal.upgrade(encode_definition(self._first))

    def folding(self, backlog: int, compact_bytes: int) -> Compaction:
        """Give what will fold the journal, of which so many bytes are not folded."""
        return Compaction(
            self.directory, self.journal, folded=self.folded, backlog=backlog, compact_bytes=compact_bytes
        )
