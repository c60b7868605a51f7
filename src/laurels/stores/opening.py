"""A data directory that is being opened: its files are held against each other, and the state in them is loaded."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from laurels.definition import Definition
from laurels.errors import DataDamaged
from laurels.stores import journal, loading
from laurels.stores.directory import Directory, sync
from laurels.stores.folding import Folding
from laurels.stores.journal import OLDEST_FORMAT, Journal
from laurels.stores.records import Outcome, encode_definition
from laurels.stores.snapshot import Seal, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from laurels.stores.contract import Once


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
        self.state = loading.begin(self.journal.origin, self._compact, self._first)
        self.answers: list[tuple[Once, int, Outcome | None]] = []

    def load(self, progress: Callable[[int], None]) -> int:
        """Load the compact form, and give how many entries that were."""
        loaded = 0
        for loaded in loading.load(self.state, self._compact) if self._compact else ():
            progress(loaded)
        return loaded

    def replay(self) -> loading.Replay:
        """Apply the journal; DataDamaged where metadata is missing."""
        replay = loading.Replay(self.journal.path, self.journal.rows(self.folded), self.state)
        noted = set[int]()
        for record, first, outcome in replay:
            noted.update(sequence for _, sequence in record.notes(first))
            once = record.identity()
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

    def folding(self, backlog: int, fold_bytes: int) -> Folding:
        """Give what will fold the journal, of which so many bytes are not folded."""
        return Folding(self.directory, self.journal, folded=self.folded, backlog=backlog, fold_bytes=fold_bytes)
