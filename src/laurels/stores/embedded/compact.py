"""Fold the journal into the compact form: ``python -m laurels.stores.embedded.compact DIRECTORY LSN``.

Reads the old compact form, loading the keys that the journal touches; applies the journal's batches up to LSN as a
restart would; and writes the new form, copying the chunks of the other keys that are still there. It reads the
journal through a connection that cannot write, so the server's stays the only one that does.

A batch whose answers are not on disk yet (:mod:`laurels.stores.embedded.idempotency`) is not folded, nor what comes after it.

The process ends when its standard input does, which is when its parent is gone.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from laurels.definition import DEFAULT_DEFINITION
from laurels.errors import DataDamaged, LaurelsError
from laurels.stores.embedded import journal, snapshot
from laurels.stores.embedded.records import DEFAULT, At, Remove, encode_definition
from laurels.stores.embedded.recovery import Replay, begin_state, load_snapshot, read_records
from laurels.stores.embedded.snapshot import About, Contents, Snapshot
from laurels.stores.embedded.state import EMPTY_INDEX, ON_DISK, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.stores.embedded.snapshot import Chunk, Note
    from laurels.stores.embedded.state import State


def fold(directory: Path, upto: int) -> None:
    """Make the compact form of a directory hold the journal up to and with ``upto``, or as far as it is answered."""
    path, log = directory / "boards.db", directory / "journal.db"
    with ExitStack() as held:
        old = held.enter_context(closing(Snapshot(path))) if path.exists() else None
        db = held.enter_context(closing(journal.reader(log)))
        work = Fold(log, db, old, upto)
        if work.upto > work.after or old is None:
            work.apply()
            snapshot.write(path, work.origin.id, work.upto, work.contents())


class Fold:
    """One fold: the batches past ``after`` up to ``upto``, on what the old compact form holds."""

    def __init__(self, log: Path, db: sqlite3.Connection, old: Snapshot | None, upto: int) -> None:
        self._log = log
        self._db = db
        self._old = old
        self.origin = journal.origin(db, log)
        self.after = old.seal.folded if old else 0
        self._keys: set[str] = set()
        self._boards: set[str] = set()
        self.upto = self._look(upto)
        self._state = begin_state(self.origin, old, DEFAULT_DEFINITION)
        self._noted: dict[int, tuple[tuple[str, str], ...]] = {}

    def _look(self, upto: int) -> int:
        """Find which keys are touched, and how far the batches are answered."""
        answered = journal.answered(self._db)
        for lsn, batch in journal.read(self._db, self._log, self.after, upto):
            records = read_records(self._log, lsn, batch)
            begun = records[0] if records else None
            if isinstance(begun, At) and begun.tick > answered and any(record.idempotency_key() for record in records):
                return lsn - 1
            for record in records:
                self._keys.update(record.needs())
                if isinstance(record, Remove):
                    self._boards.add(record.key)
        return upto

    def _is_touched(self, key: str) -> bool:
        is_old = self._old is not None and not self._old.is_whole
        return is_old or key in self._keys or key.partition("\n")[0] in self._boards

    def apply(self) -> None:
        """Load what is touched, and apply the batches."""
        if self._old:
            list(load_snapshot(self._state, self._old, self._is_touched))
        rows = journal.read(self._db, self._log, self.after, self.upto)
        for record, first, _ in Replay(self._log, rows, self._state):
            for name, sequence in record.metadata(first):
                self._noted[sequence] = tuple((key, name) for key in record.needs())

    def contents(self) -> Contents:
        """Give what the new compact form is made of."""
        return Contents(self._state.sequence, self._chunks(), about(self._state), self._notes())

    def _is_elsewhere(self, key: str) -> bool:
        return self._state.get(key) is ON_DISK

    def _chunks(self) -> Iterator[Chunk]:
        if self._old:
            yield from self._old.chunks(self._is_elsewhere)
        for key, index in self._state.items():
            for part, chunk in enumerate(packed(index)):
                yield key, part, chunk

    def _notes(self) -> Iterator[Note]:
        for note in self._old.notes() if self._old else ():
            if self._is_elsewhere(note[0]) or self._counts(*note[:3]):
                yield note
        for sequence, body in journal.read_notes(self._db, self._log, self.after, self.upto):
            for key, name in self._noted.pop(sequence, ()):
                if self._counts(key, name, sequence):
                    yield key, name, sequence, body
        if self._noted:
            raise DataDamaged(self._log, f"note {next(iter(self._noted))} is missing")

    def _counts(self, key: str, name: str, sequence: int) -> bool:
        row = self._state.get(key, EMPTY_INDEX).row(name)
        return row is not None and row[3] == sequence


def about(state: State) -> Iterator[About]:
    """Give what is known of boards beside their entries."""
    yield About(DEFAULT, encode_definition(state.default), None)
    for name in sorted(state.declared.keys() | state.renewed.keys()):
        definition = state.declared.get(name)
        yield About(name, encode_definition(definition) if definition else None, state.renewed.get(name))


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """Fold as the command line says; a problem is one line on standard error."""
    os.nice(19)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        fold(Path(sys.argv[1]), int(sys.argv[2]))
    except (LaurelsError, OSError, sqlite3.Error) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
