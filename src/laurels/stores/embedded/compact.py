"""The process that compacts the journal: ``python -m laurels.stores.embedded.compact DIRECTORY LSN LOCK``.

It reads the old snapshot, loading the keys that the journal touches; applies the journal's batches up to LSN as a
restart would; and writes the new snapshot, copying the chunks of the other keys that are still there. So its memory is
that of the boards that changed. It reads the journal through a connection that cannot write: the server's stays the
only one that does. When to compact is decided by :mod:`laurels.stores.embedded.compaction`.

Metadata that is damaged or missing is left out and counted. It must hold nothing else up, and its entry still says that
it has some.

A batch whose answers are not on disk yet (:mod:`laurels.stores.embedded.idempotency`) is not compacted, nor what comes
after it: until then a restart finds these answers by applying the batch again.

LOCK is the inherited descriptor of the directory's file ``folding``. If the directory has another such file when the
new snapshot is complete, it is not the one that was to be compacted, and nothing in it is replaced.

The process ends when its standard input does, which is when its parent is gone.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from laurels.definition import DEFAULT_DEFINITION
from laurels.errors import LaurelsError
from laurels.stores.embedded import journal_rows, snapshot
from laurels.stores.embedded.directory import check_file
from laurels.stores.embedded.guard import held_key
from laurels.stores.embedded.records import DEFAULT, At, Hide, Remove, Show, encode_definition
from laurels.stores.embedded.recovery import Replay, begin_state, load_snapshot, read_records
from laurels.stores.embedded.snapshot import HIDDEN, BoardRow, Contents, Snapshot, StoredMetadata
from laurels.stores.embedded.sqlite_file import connect_read_only
from laurels.stores.embedded.state import ON_DISK, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from laurels.stores.embedded.snapshot import Chunk, Moved
    from laurels.stores.embedded.state import State


def compact(directory: Path, upto: int, confirm: Callable[[], object] = lambda: None) -> None:
    """Make a directory's snapshot hold the journal up to and including ``upto``, or as far as it is answered.

    ``confirm`` is called before the snapshot is replaced, and raises if it must not be.
    """
    path, log = directory / "boards.db", directory / "journal.db"
    with ExitStack() as held:
        old = held.enter_context(closing(Snapshot(path))) if path.exists() else None
        db = held.enter_context(closing(connect_read_only(log)))
        run = CompactionRun(log, db, old, upto)
        if run.upto > run.after or old is None:
            run.apply()
            snapshot.write(path, run.origin.id, (run.upto, run.crc), run.contents(), confirm)


class CompactionRun:
    """One compaction: the batches past ``after`` up to ``upto``, applied to what the old snapshot holds."""

    def __init__(self, log: Path, db: sqlite3.Connection, old: Snapshot | None, upto: int) -> None:
        self._log = log
        self._db = db
        self._old = old
        self.origin = journal_rows.read_origin(db, log)
        self.after = old.footer.compacted_upto if old else 0
        self._touched_keys: set[str] = set()
        self._touched_boards: set[str] = set()
        self.upto = self._survey(upto)
        self.crc = journal_rows.read_batch_crc(db, self.upto) or 0
        self._state = begin_state(log, self.origin, old, DEFAULT_DEFINITION)
        self._described: dict[int, tuple[str, tuple[str, ...]]] = {}

    def _survey(self, upto: int) -> int:
        """Find the keys that are touched, and return the last LSN up to which all batches are answered."""
        answered = journal_rows.read_newest_answer(self._db)
        for lsn, batch in journal_rows.read_batches(self._db, self._log, self.after, upto):
            records = read_records(self._log, lsn, batch)
            begun = records[0] if records else None
            if isinstance(begun, At) and begun.tick > answered and any(record.idempotency_key() for record in records):
                return lsn - 1
            for record in records:
                self._touched_keys.update(record.needs())
                if isinstance(record, Remove | Hide | Show):  # of the board's periods too, whichever there are
                    self._touched_boards.update(record.needs())
        return upto

    def _is_touched(self, key: str) -> bool:
        """Return whether a key must be loaded; all must from the first format, whose chunks cannot be copied."""
        if self._old is not None and self._old.is_first_format:
            return True
        touched = self._touched_keys  # held entries also with those of their board
        return key in touched or key.removesuffix("\n") in touched or key.partition("\n")[0] in self._touched_boards

    def apply(self) -> None:
        """Load what is touched, and apply the batches."""
        if self._old:
            list(load_snapshot(self._state, self._old, self._is_touched))
        batches = journal_rows.read_batches(self._db, self._log, self.after, self.upto)
        for record, first, _ in Replay(self._log, batches, self._state):
            for name, sequence in record.metadata(first):
                keys = tuple(record.needs())
                self._described[sequence] = name, (*keys, held_key(keys[0]))

    def contents(self) -> Contents:
        """Return what the new snapshot is made of."""
        state, lost = self._state, self._old.footer.lost if self._old else 0
        boards, moved = board_rows(state), moved_rows(state)
        noted = state.hidden.all_names(), state.guard_memory.all_live(state.sequence >> 1)
        return Contents(state.sequence, self._chunks(), boards, self._metadata(), moved, lost, state.offsets, *noted)

    def _is_on_disk(self, key: str) -> bool:
        return self._state.get(key) is ON_DISK

    def _chunks(self) -> Iterator[Chunk]:
        if self._old:
            yield from self._old.chunks(lambda key: self._is_on_disk(key.removeprefix(HIDDEN)))
        hidden = ((HIDDEN + key, index) for key, index in self._state.hidden.entries.items())
        for key, index in chain(self._state.items(), hidden):  # ON_DISK is empty, and adds nothing
            for part, chunk in enumerate(packed(index)):
                yield key, part, chunk

    def _metadata(self) -> Iterator[StoredMetadata | None]:
        """Return what still counts of the old metadata and the journal's, and None for what was lost of it."""
        for stored in self._old.metadata() if self._old else ():
            if stored is None:
                yield None
                continue
            keys = tuple(
                key for key in stored.keys if self._is_on_disk(key) or self._counts(key, stored.name, stored.sequence)
            )
            if keys:
                yield stored if keys == stored.keys else replace(stored, keys=keys)
        for sequence, body in journal_rows.read_metadata(self._db, self._log, self.after, self.upto):
            if body is not None and (described := self._described.pop(sequence, None)):
                name, keys = described
                if keys := tuple(key for key in keys if self._counts(key, name, sequence)):
                    yield StoredMetadata(sequence, name, keys, body)
        for sequence, (name, keys) in self._described.items():
            if any(self._counts(key, name, sequence) for key in keys):
                yield None

    def _counts(self, key: str, name: str, sequence: int) -> bool:
        """Return whether an entry still has the metadata that is kept under a sequence."""
        return self._state.metadata_of(key, name) == sequence


def moved_rows(state: State) -> Iterator[Moved]:
    """Return the entries whose metadata came later than they did."""
    for key, moved in state.moved.items():
        for name, sequence in moved.items():
            yield key, name, sequence


def board_rows(state: State) -> Iterator[BoardRow]:
    """Return what is known of boards besides their entries."""
    yield BoardRow(DEFAULT, encode_definition(state.default), None)
    for name in sorted(state.declared.keys() | state.renewed.keys()):
        definition = state.declared.get(name)
        yield BoardRow(name, encode_definition(definition) if definition else None, state.renewed.get(name))


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the parent's end of the pipe is closed, be it by SIGKILL
    os._exit(1)


def main() -> None:
    """Compact as the command line says; a problem is one line on standard error, which the server logs."""
    os.nice(19)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        directory, held = Path(sys.argv[1]), int(sys.argv[3])
        compact(directory, int(sys.argv[2]), lambda: check_file(directory / "folding", os.fstat(held)))
    except (LaurelsError, OSError, sqlite3.Error) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
