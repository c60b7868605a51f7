"""Makes a data directory of a backup, as of its end or of a moment before that."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.backup.parts import SNAPSHOT, format_time
from laurels.backup.reading import Reading
from laurels.backup.verify import verify_directory
from laurels.errors import BackupDamaged, NewerFormat, NothingToRestore, TargetInUse
from laurels.stores.embedded import journal
from laurels.stores.embedded.directory import sync_directory
from laurels.stores.embedded.journal_rows import Origin
from laurels.stores.embedded.records import decode_begin
from laurels.stores.embedded.sqlite_file import FORMAT, translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from laurels.backup.parts import Base, Segment
    from laurels.backup.verify import Verified

ALWAYS = 2**63
SCRATCH = ".restoring"
"""What is added to the name of a directory, or made in it if it is there, until all is good."""


class Restored(Struct, frozen=True):
    """What was restored."""

    time: int
    """When the newest write was made, in microseconds since the epoch."""
    verified: Verified
    is_cut: bool
    """Whether the backup goes on after that."""


class Rebuild:
    """Takes the parts of a backup into a directory; batches later than ``until`` (microseconds) are left out."""

    def __init__(self, path: Path, until: int = ALWAYS) -> None:
        self._path = path
        self._until = until
        self._db: sqlite3.Connection | None = None
        self._run_key = b""
        self._since = 0
        self.time = 0
        self.is_cut = False

    def take_snapshot(self, chunk: bytes) -> None:
        """Add to the file of the snapshot."""
        with (self._path / SNAPSHOT).open("ab") as file:
            file.write(chunk)

    def take_base(self, base: Base) -> None:
        """Make the journal, with nothing in it."""
        if base.format > FORMAT:
            raise NewerFormat(self._path, base.format, FORMAT, base.version)
        if self._until < base.time:
            raise NothingToRestore(
                f"The backup is of {format_time(base.time)} or later, and --until is {format_time(self._until)}: "
                "name a later time, or an older backup."
            )
        path = self._path / "journal.db"
        journal.create(path, Origin(base.origin, base.format, base.first))
        self._db = sqlite3.connect(path, isolation_level=None)
        self.time, self._since = base.time, base.since

    def take_segment(self, segment: Segment) -> bool:
        """Add its rows, up to the first batch that is too late."""
        assert self._db is not None  # noqa: S101 - the base was there
        batches, late = self._cut(segment)
        last = batches[-1][0] if batches else segment.after
        with translate_errors(self._path / "journal.db"):
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO batch VALUES (?, ?, ?)", batches)
            metadata = (row for row in segment.metadata if row[1] <= last)
            self._db.executemany("INSERT OR REPLACE INTO note VALUES (?, ?, ?, ?)", metadata)
            self._db.executemany("INSERT OR REPLACE INTO once VALUES (?, ?, ?, ?, ?)", segment.answers)
            if late is not None:
                self._db.execute("DELETE FROM once WHERE tick >= ?", (late,))
            self._db.execute("COMMIT")
        self._run_key = segment.run_key or self._run_key
        self.is_cut = late is not None
        return not self.is_cut

    def _cut(self, segment: Segment) -> tuple[list[tuple[int, int, bytes]], int | None]:
        """Return the batches that are not too late, and the tick of the first that is."""
        for place, (lsn, _, records) in enumerate(segment.batches):
            begin = decode_begin(records)
            if begin is None or lsn <= self._since:  # of that batch alone the journal needs the row
                continue
            if begin.tick - begin.offset > self._until:
                return segment.batches[:place], begin.tick
            self.time = begin.tick - begin.offset
        return segment.batches, None

    def finish(self) -> None:
        """Make all of it durable."""
        if self._db is None:
            raise BackupDamaged("base.json", "it is missing")
        self._db.close()
        if self._run_key:
            (self._path / "runs").write_bytes(self._run_key)
        for file in self._path.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        sync_directory(self._path)


def restore(
    parts: Iterable[tuple[str, Iterator[bytes]]],
    target: Path,
    until: int = ALWAYS,
    progress: Callable[[int], None] = lambda _: None,
) -> Restored:
    """Make a data directory of the parts of a backup, and verify it; it has its name only when both are done.

    ``progress`` is called with the bytes that were read since the last call. Raises TargetInUse, BackupDamaged,
    DataDamaged, NewerFormat or OSError, and leaves nothing behind then.
    """
    check_target(target)
    is_there = target.exists()  # perhaps a mount, which cannot be replaced, and nothing be made beside it
    path = target.absolute()
    beside = path / SCRATCH if is_there else path.with_name(path.name + SCRATCH)
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    beside.mkdir(mode=0o700, parents=True)
    try:
        rebuild = Rebuild(beside, until)
        reading = Reading(rebuild)
        try:
            for size in reading.read(parts):
                progress(size)
        except BackupDamaged as damage:
            raise _with_way_out(damage, rebuild, reading) from damage
        rebuild.finish()
        verified = verify_directory(beside)
        if is_there:
            _move_up(beside)
        else:
            beside.rename(target)
        sync_directory(beside.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Restored(rebuild.time, verified, rebuild.is_cut)


def _move_up(scratch: Path) -> None:
    """Move the files of a directory to the one that it is in: the journal last, as without one nothing opens."""
    for file in scratch.iterdir():
        if file.name != "journal.db":
            file.rename(scratch.parent / file.name)
    sync_directory(scratch.parent)
    (scratch / "journal.db").rename(scratch.parent / "journal.db")


def _with_way_out(damage: BackupDamaged, rebuild: Rebuild, reading: Reading) -> BackupDamaged:
    """Return an error that also says until when a backup can be restored, if it can."""
    if reading.newest is None:
        return damage
    way_out = f"What was written before that can be restored: --until {format_time(rebuild.time)}"
    return BackupDamaged(damage.part, f"{damage.problem}. {way_out}")


def check_target(target: Path) -> None:
    """Raise TargetInUse if something is where a directory is to be made."""
    if target.exists() and (not target.is_dir() or any(item.name != SCRATCH for item in target.iterdir())):
        raise TargetInUse(target)
