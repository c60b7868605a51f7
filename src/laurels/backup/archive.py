"""The continuous archive: a thread that ships the journal of a running store to a place, a few seconds behind.

    every SHIP_SECONDS     what was committed since goes to the place as segments of the current generation
    every ``every``        a new generation is begun: its snapshot is copied by a second thread, while segments go on
                           to the one before; then generations go that are older than ``keep``

**Nothing waits for it.** A commit never does. What was not shipped is held in the journal, so that compactions leave it
there; if that becomes more than the source's limit, the hold is given up, which makes a gap, and a new generation is
begun as soon as the place takes one.

**A restart goes on** with the newest generation if the journal has the very batch that it ends with. If not, this
directory has another history, or was restored: a new generation is begun, and the old ones stay.

**It trusts no place.** If the generation is gone from there, or another service adds to it, a new one is begun, and
until then what was written is held: a disk may only be away. Nor does it trust a clock: generations are in the order in
which they were begun, whatever the time was, and none is removed while nobody knows whether the time is right.

What fails is tried again, and told in the log when it begins and when it is over.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.backup.generations import list_generations, list_parts, new_name, newest_segment
from laurels.backup.parts import (
    BASE,
    LAYOUT,
    SNAPSHOT,
    decode_segment,
    encode_json,
    encode_segment,
    format_time,
    segment_name,
)
from laurels.clock import SECOND
from laurels.errors import BackupAbandoned, BackupDamaged, BackupError, LaurelsError, NotInPlace
from laurels.stores.embedded.copying import JournalReader, Position, SnapshotCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from laurels.backup.places import Place
    from laurels.stores.embedded.copying import Source
    from laurels.stores.embedded.holds import Hold

SHIP_SECONDS = 4.0
STOP_SECONDS = 10.0
"""How long the end of the service waits for what is still to be shipped."""
RETRY_SECONDS = 30.0
"""How long after a copy the next may be begun, if it failed."""

_log = logging.getLogger("laurels.backup")


class ArchiveSettings(Struct, frozen=True):
    """How an archive is kept."""

    every: float
    """How often a new generation is begun, in seconds."""
    keep: float
    """How many seconds back it can be restored at least; older generations are removed."""
    ship_seconds: float = SHIP_SECONDS
    retry_seconds: float = RETRY_SECONDS


class _Writing:
    """The generation that is being written: ``number`` segments so far. To be closed."""

    def __init__(self, name: str, begun: int, reader: JournalReader, hold: Hold, number: int = 0) -> None:
        self.name = name
        self.begun = begun
        self.reader = reader
        self.hold = hold
        self.number = number

    def find_trouble(self, place: Place) -> str:
        """Return why nothing can be added to what is at the place, or nothing."""
        try:
            b"".join(place.read(f"{self.name}/{BASE}"))
        except NotInPlace:
            return f"{self.name} is no longer there; a new copy is begun."
        name = f"{self.name}/{segment_name(self.number + 1)}"
        with suppress(NotInPlace, BackupDamaged):
            there = decode_segment(name, b"".join(place.read(name)))  # perhaps a write that seemed to fail
            if there.after != self.reader.after or self.reader.crc_of(there.last) != there.crc:
                return "Another service writes to it, and needs a place of its own; a new copy is begun."
        return ""

    def ship(self, place: Place) -> None:
        """Write what the journal has to the place, and let go of it."""
        for segment in self.reader.segments():
            place.write(f"{self.name}/{segment_name(self.number + 1)}", [encode_segment(segment)])
            self.number += 1
            self.hold.move(segment.last)

    def close(self) -> None:
        """Hold nothing more."""
        self.reader.close()
        self.hold.release()


class Archive:
    """The archive of one store, which was opened to keep its journal."""

    def __init__(
        self, place: Place, source: Source, settings: ArchiveSettings, is_time_known: Callable[[], bool] = lambda: True
    ) -> None:
        assert source.kept is not None  # noqa: S101 - see above
        self._place = place
        self._source = source
        self._first_hold = source.kept
        self._settings = settings
        self._is_time_known = is_time_known
        self._stop = Event()
        self._writing: _Writing | None = None
        self._base: Future[_Writing] | None = None
        self._not_before = 0.0
        self._failure = ""
        self._is_base_failing = False
        self._previous = ""
        """The generation that the next one follows."""
        self._gaps = 0
        self._is_resumed = self._is_given_up = False
        self._shipped = time.monotonic()
        self._thread = Thread(target=self._run, name="laurels-archive", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ship what is left, for STOP_SECONDS at most; what could not be is shipped after the next start."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive() or self._failure:
            _log.warning("What was written last is not in the archive at %s yet; the next start goes on", self._place)

    def measure(self) -> Mapping[str, float]:
        """Return how far behind it is, and what failed."""
        writing = self._writing
        is_behind = writing is None or writing.reader.after < self._source.last
        return {
            "archive_behind_seconds": time.monotonic() - self._shipped if is_behind else 0.0,
            "archive_waiting_bytes": (writing.hold if writing else self._first_hold).grown,
            "archive_backlog_bytes": self._source.limit,
            "archive_failing": float(bool(self._failure)),
            "archive_gaps": self._gaps,
        }

    def _run(self) -> None:
        is_last, wait = False, 0.0
        while not is_last:
            is_last = self._stop.wait(wait)
            wait = self._settings.ship_seconds
            try:
                self._step(is_last=is_last)
            except Exception as error:  # noqa: BLE001 - if the thread ended, the journal would be held for ever
                self._fail(str(error))
            else:
                self._recover()
        if self._writing is not None:
            self._writing.close()

    def _fail(self, problem: str) -> None:
        if not self._failure:
            _log.warning("The archive at %s is behind, and goes on trying: %s", self._place, problem)
        self._failure = problem

    def _recover(self) -> None:
        if self._is_base_failing:
            return
        if self._failure:
            _log.info("The archive at %s goes on", self._place)
        self._failure = ""

    def _step(self, *, is_last: bool) -> None:
        if not self._is_resumed:
            self._find_newest()
        trouble = self._ship(self._writing) if self._writing is not None else ""
        if self._base is None and not is_last and self._is_base_due(is_needed=bool(trouble)):
            self._base = self._begin_in_thread()
        if self._base is not None and self._base.done():
            self._take_base()
        elif trouble:
            raise BackupError(trouble)

    def _ship(self, writing: _Writing) -> str:
        """Ship what was written since; return why that cannot be, if it takes a new generation."""
        trouble = ""
        try:
            self._source.check(writing.hold)
            if writing.reader.after < self._source.last:
                trouble = writing.find_trouble(self._place)
            if not trouble:
                writing.ship(self._place)
                self._shipped = time.monotonic()
        except BackupAbandoned:
            self._writing = None
            writing.close()
            self._leave_gap(format_time(writing.reader.time))
        return trouble

    def _leave_gap(self, begin: str) -> None:
        self._gaps += 1
        _log.error(
            "The archive at %s has a gap from %s on: more waits for it than --archive-backlog allows. It goes on with "
            "a new copy as soon as it can",
            self._place,
            begin,
        )

    def _is_base_due(self, *, is_needed: bool) -> bool:
        due = self._settings.every * SECOND
        if time.monotonic() < self._not_before:
            return False
        return is_needed or self._writing is None or not 0 <= time.time() * SECOND - self._writing.begun <= due

    def _take_base(self) -> None:
        if self._writing is not None:
            self._ship(self._writing)  # once more: what is of before the new one was begun belongs to this one
        base, self._base = self._base, None
        assert base is not None  # noqa: S101 - the caller has looked
        self._not_before = time.monotonic() + self._settings.retry_seconds
        self._is_base_failing = True
        begun = base.result()
        self._is_base_failing = False
        self._previous = begun.name
        before, self._writing = self._writing, begun
        if before is not None:
            before.close()
        self._ship(begun)
        self._remove_old(begun.name)

    def _find_newest(self) -> None:
        """Go on with the newest generation, if that can be; what it does not need is held no more."""
        if not self._is_given_up and self._first_hold.is_over:  # the place has failed for as long
            self._is_given_up = True
            self._leave_gap("the last start or before")
        found = self._resume()  # after a gap too: the next generation follows it
        self._is_resumed = True
        if found is not None and self._is_given_up:
            found.close()
        else:
            self._writing = found
        if self._writing is None:
            self._first_hold.release()

    def _resume(self) -> _Writing | None:
        """Return the newest generation to go on with, None if the journal does not follow it."""
        origin = self._source.origin
        generations = list_generations(self._place, skip_damaged=True)
        if not generations:
            return None
        if generations[-1].base.origin != origin.id:
            _log.warning(
                "The archive at %s is of another data directory so far. If another service still writes to it, give "
                "each a place of its own",
                self._place,
            )
            return None
        name, base = generations[-1]
        self._previous = name
        try:
            found = newest_segment(self._place, name)
        except BackupDamaged as error:
            _log.warning("The archive at %s goes on with a new copy: %s", self._place, error)
            return None
        if found is None or (base.format, base.layout) != (origin.format, LAYOUT):
            return None
        number, segment = found
        position = Position(segment.last, segment.crc, segment.answered, segment.time)
        with ExitStack() as opened:
            reader = opened.enter_context(closing(JournalReader(self._source, self._first_hold, position)))
            if (crc := reader.crc_of(segment.last)) != segment.crc:
                if crc is not None or self._source.last < segment.last:
                    self._previous = ""  # the directory was restored, or is a copy that has gone on by itself
                _log.warning("The archive at %s goes on with a new copy: its end is not in the journal", self._place)
                return None
            opened.pop_all()
        return _Writing(name, base.begun, reader, self._first_hold, number)

    def _begin_in_thread(self) -> Future[_Writing]:
        begun: Future[_Writing] = Future()

        def begin() -> None:
            try:
                begun.set_result(self._begin_generation())
            except BaseException as error:  # noqa: BLE001 - the other thread raises it
                begun.set_exception(error)

        # A daemon: what a place that hangs holds up must not be the end of the process
        Thread(target=begin, name="laurels-archive-base", daemon=True).start()
        return begun

    def _while_running(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._stop.is_set():
                raise BackupError("The service stops: the copy is begun anew after the next start.")
            yield chunk

    def _begin_generation(self) -> _Writing:
        """Copy the snapshot to the place."""
        with ExitStack() as opened:
            hold = self._source.hold()
            opened.callback(hold.release)
            with closing(SnapshotCopy(self._source, hold, self._previous)) as copy:
                name = new_name(copy.base.begun, max(list_parts(self._place), default=""))
                opened.callback(self._discard, name)
                if copy.size:
                    self._place.write(f"{name}/{SNAPSHOT}", self._while_running(copy.chunks()))
                base = copy.base
                reader = JournalReader.from_snapshot(self._source, copy)
            opened.callback(reader.close)
            begun = _Writing(name, base.begun, reader, hold)
            begun.ship(self._place)  # before it counts: the snapshot needs the batch it ends with
            self._place.write(f"{name}/{BASE}", [encode_json(base)])
            opened.pop_all()
            return begun

    def _discard(self, name: str) -> None:
        """Remove what there is of a copy that failed: the next would find as much less room."""
        with suppress(LaurelsError):  # then a later one removes it
            for part in [item.name for item in self._place.names(f"{name}/")]:
                self._place.delete(part)

    def _remove_old(self, current: str) -> None:
        """Remove what no time of the last ``keep`` seconds needs, and what is left of copies that failed."""
        if not self._is_time_known():
            return
        oldest = (time.time() - self._settings.keep) * SECOND
        generations = list_generations(self._place, skip_damaged=True)
        needed = {current} | {
            each.name
            for each, following in zip(generations, [*generations[1:], None], strict=True)
            if following is None or following.base.begun > oldest
        }
        for name, parts in list_parts(self._place).items():
            if name not in needed and name < current:
                for part in sorted(parts, key=lambda part: not part.endswith(BASE)):  # first: then it counts no more
                    self._place.delete(part)
