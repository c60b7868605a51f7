"""Recovery: a data directory becomes the state that it holds, or the reason why it cannot.

    own      the directory is locked (:mod:`laurels.stores.embedded.directory`)
    check    snapshot, journal and last acknowledged LSN are held against each other
    load     the entries of the snapshot, in bulk
    replay   the batches of the journal past the snapshot's LSN, applied as they were when they were written
    upgrade  a journal of an earlier format becomes one of today's; only now is a file with entries written to
    keys     the idempotency keys that are known, from the journal

A compaction begins in the same way (:mod:`laurels.stores.embedded.compact`), with those keys that it needs: a server, a
restart and a compaction take the same records and come to the same state.

**The check.** Each file can be missing, older than the others, or another directory's. The journal knows the LSNs of
its oldest and newest batches, the snapshot that up to which it holds the journal, the lock file that of the last
acknowledged batch, and snapshot and journal share an id. If these leave a gap, something that was acknowledged is not
there, and the directory does not open. Nor does it if the CRC of the batch that the snapshot ends with, or that was
acknowledged last, is another in the journal: a copy of the directory has gone on by itself, and a file is from there.

**Damage, or a later version.** A row whose CRC is wrong is damaged. A row whose CRC is right is what somebody wrote; if
it cannot be decoded, then because a later version wrote it, with a record, a field or a value that this version does
not know: that is NewerFormat, and the file is good. Only what has not even the form that all versions write is damage
all the same. A field is never skipped, for what it means for the entries is not known here; only in refusals and
answers, which a caller reads and which decide nothing, an unknown one is.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import DecodeError, ValidationError

from laurels.definition import Definition
from laurels.errors import DataDamaged, LaurelsError
from laurels.stores.embedded import journal
from laurels.stores.embedded.compaction import Compaction
from laurels.stores.embedded.directory import Directory, sync_directory
from laurels.stores.embedded.journal import Journal
from laurels.stores.embedded.journal_rows import Origin
from laurels.stores.embedded.key_table import KeyTable
from laurels.stores.embedded.records import DEFAULT, Outcome, decode, decode_definition, encode_definition
from laurels.stores.embedded.snapshot import ANOTHER_COPY, HIDDEN, Snapshot, decode_offsets
from laurels.stores.embedded.sqlite_file import FORMAT, newer_format, translate_errors
from laurels.stores.embedded.state import ON_DISK, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from laurels.errors import StoreError
    from laurels.stores.embedded.answers import Answered
    from laurels.stores.embedded.holds import Holds
    from laurels.stores.embedded.records import Detailed, Record

KEY_BITS = 64
"""How many bits of a key are told apart without a look at the disk."""
_log = logging.getLogger("laurels.stores")
_ANY_RECORDS = msgspec.msgpack.Decoder(list[list[Any]])
"""The form of a batch in every version: an array of records, each an array."""


def begin_state(path: Path, origin: Origin, snapshot: Snapshot | None, default: Definition) -> State:
    """Return a state without entries, with the definitions as of the snapshot.

    ``origin`` is that of the journal at ``path``. Files of the first format do not hold a default definition; they get
    ``default``.
    """
    state = State(_read_definition(path, "the first default definition", origin.first) if origin.first else default)
    if snapshot is not None:
        for row in snapshot.board_rows():
            if not row.definition:
                continue
            definition = _read_definition(snapshot.path, f"the definition of {row.name!r}", row.definition)
            if row.name == DEFAULT:
                state.declare_default(definition)
            else:
                state.declare(row.name, definition)
        state.resume(snapshot.footer.sequence, decode_offsets(snapshot.footer.offsets))
        for mark in snapshot.marks():
            state.guard_memory.restore(*mark)
    return state


def load_snapshot(state: State, snapshot: Snapshot, wanted: Callable[[str], bool] = bool) -> Iterator[int]:
    """Load the entries of the wanted keys, by default of all, and yield how many there are so far."""
    loaded = 0
    for board, name in snapshot.hidden():
        state.hide(board, name)
    for key in {key.removeprefix(HIDDEN) for key in snapshot.stored_keys()}:
        if not wanted(key):
            state.begin(key, ON_DISK)
    for key, chunks in groupby(snapshot.chunks(lambda key: wanted(key.removeprefix(HIDDEN))), key=itemgetter(0)):
        index = state[key.removeprefix(HIDDEN)]
        if key.startswith(HIDDEN):
            index = state.begin_hidden(key.removeprefix(HIDDEN))
        try:
            index.load((entries for _, _, entries in chunks), sequences=not snapshot.is_first_format)
        except ValueError as error:
            raise DataDamaged(snapshot.path, f"the entries of board {key!r} are not what was written") from error
        loaded += len(index)
        state.entry_count = loaded
        yield loaded
    for row in snapshot.board_rows():  # last: a board that comes into being begins its time to live anew
        if row.renewed is not None:
            state.restore(row.name, row.renewed)
    for key, name, sequence in snapshot.moved():
        state.move(key, name, sequence)


class Replay:
    """The batches of a journal, applied to a state; ``count`` records and ``size`` bytes so far.

    It yields those records that have metadata or a key, each with the sequence that it took first and its outcome, or
    None if it was refused.
    """

    def __init__(self, path: Path, batches: Iterable[tuple[int, bytes]], state: State) -> None:
        self._path = path
        self._batches = batches
        self._state = state
        self.count = 0
        self.size = 0

    def __iter__(self) -> Iterator[tuple[Detailed, int, Outcome | None]]:
        for lsn, batch in self._batches:
            records = read_records(self._path, lsn, batch)
            self.count += len(records)
            self.size += len(batch)
            yield from self._apply(lsn, records)

    def _apply(self, lsn: int, records: Iterable[Record]) -> Iterator[tuple[Detailed, int, Outcome | None]]:
        state = self._state
        for record in records:
            first = state.sequence + state.step if record.has_details else 0
            try:
                outcome: Outcome | None = record.apply(state)
                state.work()
            except LaurelsError:  # refused as it was then, and changes nothing; its caller got the error
                outcome = None
            except DecodeError as error:  # `apply` must not raise NewerFormat, which would pass for a refusal
                raise _unreadable(self._path, f"a definition in batch {lsn}", error) from error
            if first:
                yield cast("Detailed", record), first, outcome


def read_records(path: Path, lsn: int, batch: bytes) -> Sequence[Record]:
    """Read the records of a batch; raise NewerFormat if one is not known here, DataDamaged if they are none."""
    try:
        return decode(batch)
    except DecodeError as error:
        try:
            _ANY_RECORDS.decode(batch)
        except DecodeError:
            raise DataDamaged(path, f"batch {lsn} cannot be read") from error
        raise newer_format(path, f"a record in batch {lsn}") from error


def _read_definition(path: Path, which: str, definition: bytes) -> Definition:
    try:
        return decode_definition(definition)
    except DecodeError as error:
        raise _unreadable(path, which, error) from error


def _unreadable(path: Path, what: str, error: DecodeError) -> StoreError:
    """Return what it means that JSON with the right CRC cannot be decoded: if it is JSON, a later version wrote it."""
    if isinstance(error, ValidationError):
        return newer_format(path, what)
    return DataDamaged(path, f"{what} cannot be read")


class Recovery:
    """A data directory that is being opened: its files, and the state that they hold.

    What the store needs from then on is closed by ``opened``, what only the recovery needs by ``reading``.
    """

    def __init__(self, path: Path, default: Definition, opened: ExitStack, reading: ExitStack) -> None:
        self.directory = Directory(path)
        opened.callback(self.directory.release)
        boards = path / "boards.db"
        self._snapshot = reading.enter_context(closing(Snapshot(boards))) if boards.exists() else None
        self.journal = _open_journal(self.directory, default)
        opened.callback(self.journal.close)
        _check_agreement(self.directory, self.journal, self._snapshot)
        self.compacted_upto = self._snapshot.footer.compacted_upto if self._snapshot else 0
        self._first = Definition(order=default.order)  # all that a deployment of the first format could choose
        self.state = begin_state(self.journal.path, self.journal.origin, self._snapshot, self._first)
        self.keys = KeyTable(KEY_BITS)
        self.agreed = 0
        self.answered: list[Answered] = []

    def load(self, progress: Callable[[int], None]) -> int:
        """Load the snapshot, and return how many entries that were."""
        loaded = 0
        for loaded in load_snapshot(self.state, self._snapshot) if self._snapshot else ():
            progress(loaded)
        return loaded

    def replay(self) -> Replay:
        """Apply the journal; raise DataDamaged if metadata is missing.

        ``answered`` are then the writes with keys whose answers are not in the journal yet.
        """
        replay = Replay(self.journal.path, self.journal.batches(self.compacted_upto), self.state)
        described = set[int]()
        for record, first, outcome in replay:
            described.update(sequence for _, sequence in record.metadata(first))
            key = record.idempotency_key()
            if key and first >> 1 > self.journal.newest_answer:  # a sequence is the tick, and a bit for metadata
                self.answered.append((first >> 1, key, cast("Any", outcome)))
        for sequence, body in self.journal.metadata(self.compacted_upto) if described else ():
            replay.size += len(body)
            described.discard(sequence)
        if described:
            raise DataDamaged(self.journal.path, f"metadata {min(described)} is missing")
        return replay

    def upgrade(self) -> None:
        """Connect for writing, and bring a journal of an earlier format up to date."""
        with translate_errors(self.journal.path):
            self.journal.reopen()
            if (before := self.journal.origin.format) < FORMAT:
                _log.info("Bringing the directory from format %d to %d", before, FORMAT)
                self.journal.upgrade(encode_definition(self._first))
                _log.info("The directory is of format %d now", FORMAT)
            self.journal.rebuild()

    def load_keys(self) -> None:
        """Fill ``keys`` with those whose answers are in the journal; ``agreed`` is then the time of the newest."""
        for row in self.journal.answers():
            self.keys.add(row.pairs, row.tick)
            self.agreed = row.agreed

    def compaction(self, backlog: int, compact_bytes: int, holds: Holds) -> Compaction:
        """Return what will compact the journal, of which ``backlog`` bytes are not in the snapshot."""
        compaction = Compaction(
            self.directory,
            self.journal,
            compacted_upto=self.compacted_upto,
            backlog=backlog,
            compact_bytes=compact_bytes,
            holds=holds,
        )
        compaction.lost = self._snapshot.footer.lost if self._snapshot else 0
        return compaction


def _open_journal(directory: Directory, default: Definition) -> Journal:
    """Open the journal; make it only if nothing shows that there ever was one, or a lost one would become empty."""
    path = directory.path / "journal.db"
    others = directory.path / "boards.db", journal.log_of(path)
    if not (path.exists() or directory.acknowledged or any(other.exists() for other in others)):
        journal.create(path, Origin(os.urandom(16), first=encode_definition(default)))
        sync_directory(directory.path)
    journal.rewrite_log(path)
    return Journal(path, directory.names)


def _check_agreement(directory: Directory, log: Journal, snapshot: Snapshot | None) -> None:
    boards, acknowledged = directory.path / "boards.db", directory.acknowledged
    if log.last < acknowledged:
        raise DataDamaged(log.path, f"it ends with batch {log.last}, and {acknowledged} was acknowledged")
    crc = log.crc_of(acknowledged)  # None if it was compacted since: after a loss of power the mark may be older
    if crc is not None and directory.acknowledged_crc not in (crc, None):
        raise DataDamaged(log.path, f"its batch {acknowledged} is not the one that was acknowledged: {ANOTHER_COPY}")
    if snapshot is None:
        if log.first > 1:
            raise DataDamaged(boards, f"it is missing, and holds what came before batch {log.first} of the journal")
        return
    upto = snapshot.footer.compacted_upto
    if snapshot.footer.origin == log.origin.id and log.last < upto:
        raise DataDamaged(log.path, f"it ends with batch {log.last}, and boards.db holds batch {upto}")
    if snapshot.footer.origin == log.origin.id and log.first > upto + 1:
        raise DataDamaged(boards, f"it ends with batch {upto}, and the journal begins with {log.first}")
    snapshot.check_history(log)
