"""Fold the journal into the compact form: ``python -m laurels.stores.fold DIRECTORY LSN``.

Reads the old compact form once, copying the chunks of boards that the journal does not touch and loading the
others; applies the journal's batches up to LSN as a restart would; and writes the new form. It reads the
journal through a connection that cannot write, so the server's stays the only one that does.

The process ends when its standard input does, which is when its parent is gone.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from laurels.definition import PLAIN
from laurels.errors import LaurelsError
from laurels.stores import journal, snapshot
from laurels.stores.records import Indexes, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from laurels.stores.snapshot import Chunk


def fold(directory: Path, upto: int) -> None:
    """Make the compact form of a directory hold the journal up to and with ``upto``."""
    with ExitStack() as held:
        log = directory / "journal.db"
        db = held.enter_context(closing(journal.reader(log)))
        path = directory / "boards.db"
        old = held.enter_context(closing(snapshot.Snapshot(path))) if path.exists() else None
        after = old.seal.folded if old else 0
        touched = {record.board for _, batch in journal.read(db, log, after, upto) for record in decode(batch)}
        batches = (batch for _, batch in journal.read(db, log, after, upto))
        chunks = _renewed(old.chunks() if old else (), touched, batches)
        snapshot.write(path, journal.origin(db, log), upto, chunks)


def _renewed(old: Iterable[Chunk], touched: set[str], batches: Iterable[bytes]) -> Iterator[Chunk]:
    boards = Indexes(PLAIN)
    for name, chunks in groupby(old, key=itemgetter(0)):
        if name in touched:
            boards[name].load(packed for _, _, packed in chunks)
        else:
            yield from chunks
    for batch in batches:
        for record in decode(batch):
            record.apply(boards)
    for name, index in boards.items():
        for part, start in enumerate(range(0, len(index), snapshot.CHUNK_ENTRIES)):
            yield name, part, index.dump(start, start + snapshot.CHUNK_ENTRIES)


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
