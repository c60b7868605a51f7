"""Reads all of a data directory and checks it: every page and every row, and that they make a state."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.definition import DEFAULT_DEFINITION
from laurels.errors import DataDamaged, DirectoryUnusable
from laurels.stores.embedded.recovery import Recovery
from laurels.stores.embedded.snapshot import Snapshot
from laurels.stores.embedded.sqlite_file import SECOND_FORMAT, connect_read_only, translate_errors

if TYPE_CHECKING:
    from pathlib import Path


class Verified(Struct, frozen=True):
    """What was found to be good in a data directory."""

    boards: int
    entries: int
    metadata: int
    """Rows of metadata in the snapshot."""
    changes: int
    """Changes in the journal beyond the snapshot."""
    batch: int
    """The LSN of the newest batch."""
    time: int
    """When the newest write was made, in microseconds since the epoch; 0 if there is none."""
    format: int


def verify_directory(path: Path) -> Verified:
    """Read all of a data directory that no service uses, and change nothing in it but who has it locked.

    Raises DirectoryInUse, DirectoryUnusable, NewerFormat or DataDamaged.
    """
    if not (path / "journal.db").exists():
        raise DirectoryUnusable(path, "it has no journal.db, and so is no data directory")
    with ExitStack() as opened:
        recovery = Recovery(path, DEFAULT_DEFINITION, opened, opened)
        recovery.load(lambda _: None)
        replay = recovery.replay()
        if recovery.journal.origin.format > SECOND_FORMAT:
            recovery.load_keys()
        for name in ("boards.db", "journal.db"):
            if (path / name).exists():
                _check_pages(path / name)
        state = recovery.state
        for key, index in state.items():
            try:
                index.check()
            except AssertionError as error:
                raise DataDamaged(path, f"the entries of {key!r} contradict each other: {error}") from error
        return Verified(
            boards=len(state.names),
            entries=state.entry_count,
            metadata=_check_metadata(path / "boards.db"),
            changes=replay.count,
            batch=recovery.journal.last,
            time=state.offsets.time_of(state.sequence >> 1, 2**62),
            format=recovery.journal.origin.format,
        )


def _check_pages(path: Path) -> None:
    """Have SQLite look at every page of a file; raise DataDamaged."""
    with translate_errors(path), closing(connect_read_only(path)) as db:
        (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise DataDamaged(path, str(found))


def _check_metadata(path: Path) -> int:
    """Count the metadata of a snapshot; raise DataDamaged if any is not what was written, or missing."""
    if not path.exists():
        return 0
    count = 0
    with closing(Snapshot(path)) as snapshot:
        for stored in snapshot.metadata():
            if stored is None:
                raise DataDamaged(path, "metadata in it is damaged or missing; its entries are there")
            count += 1
    return count
