"""The store inside the process: ranking indexes in memory, SQLite files on disk.

    reads     from the index, at once; metadata and first answers from disk (:mod:`laurels.stores.embedded.lookups`)
    writes    a record in the journal; answered when it is durable and applied (:mod:`laurels.stores.embedded.commits`)
    start     the snapshot in bulk, then the batches of the journal since (:mod:`laurels.stores.embedded.recovery`)
    growth    a child process compacts the journal into the snapshot (:mod:`laurels.stores.embedded.compaction`)

The two files are checked against each other and against the last acknowledged LSN when they are opened: each knows
enough to say that the other is missing, older, or another directory's. A store that does not find everything that it
once acknowledged does not open.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left, bisect_right
from contextlib import ExitStack
from itertools import chain, islice
from shutil import disk_usage
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from msgspec import structs

from laurels.backup.limits import ArchiveLimits
from laurels.clock import SECOND, Clock
from laurels.definition import DEFAULT_DEFINITION, Definition
from laurels.errors import (
    DefinitionConflict,
    DirectoryUnusable,
    RestartNeeded,
    StoreFull,
    StoreUnavailable,
)
from laurels.limits import DEFAULT_SUMMARY_BUCKETS
from laurels.ranking import to_json
from laurels.stores.contract import (
    PERCENTILES,
    Board,
    Capabilities,
    Entries,
    FullStanding,
    FullSubmission,
    HiddenName,
    HiddenStanding,
    IdempotencyKey,
    Percentile,
    Period,
    PeriodRange,
    Place,
    Ranked,
    Refusal,
    Run,
    Score,
    Standing,
    Store,
    Submission,
    SubmitResult,
    Summary,
    key_of,
)
from laurels.stores.embedded.answers import change
from laurels.stores.embedded.backup import read_ahead, stream_backup
from laurels.stores.embedded.batch import unavailable
from laurels.stores.embedded.capacity import Capacity, StoreLimits
from laurels.stores.embedded.commits import Commits, Files, Ticks
from laurels.stores.embedded.compaction import COMPACT_BYTES
from laurels.stores.embedded.copying import Source
from laurels.stores.embedded.guard import held_key
from laurels.stores.embedded.holds import Hold, Holds
from laurels.stores.embedded.idempotency import FirstAnswers
from laurels.stores.embedded.index_memory import IndexMemory
from laurels.stores.embedded.lookups import DiskLookups
from laurels.stores.embedded.metadata import Metadata, rank_row
from laurels.stores.embedded.records import (
    DEFAULT,
    Date,
    Define,
    Drop,
    Hide,
    Outcome,
    Put,
    PutMany,
    Record,
    Release,
    Remove,
    SetMetadata,
    Show,
    Submit,
    SubmitMany,
    Undefine,
    encode_definition,
)
from laurels.stores.embedded.recovery import Recovery
from laurels.stores.embedded.runs import RunSigner
from laurels.stores.embedded.state import EMPTY_INDEX
from laurels.stores.embedded.summary import summarize_index
from laurels.stores.embedded.watch import ClockWatch
from laurels.stores.neighbours import places_around

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from laurels.definition import Guard, Runs
    from laurels.figures import Figures
    from laurels.ranking import Index
    from laurels.ranking.index import Row
    from laurels.stores.embedded.answers import Compared
    from laurels.stores.embedded.batch import Batch
    from laurels.stores.embedded.records import Detailed

NAMES_READ = 256
"""How many names of boards are read from the index at once."""

DEFINED_AT_ONCE = 500
"""How many definitions are looked at, or written in one batch, before the loop may do something else."""
FREED_IN_THREAD = 10_000
"""The entries from which on it takes longer to free an index, a microsecond for 600, than to hand it to a thread."""

_log = logging.getLogger("laurels.stores")


def _ignore(_: int) -> None:
    pass


class EmbeddedStore(Store):
    """A store with a data directory of its own."""

    capabilities = Capabilities(durable=True, backups=True)
    waits_inline = True

    def __init__(self, files: Files, recovery: Recovery, clock: Clock, limits: StoreLimits, source: Source) -> None:
        self._directory = files.directory
        self._compaction = files.compaction
        self._state = state = recovery.state
        self._clock = clock
        self._ticks = Ticks(clock, state.sequence >> 1, state.offsets.current)
        self.source = source
        self._lookups = DiskLookups(files.directory.path, limits.waiting_reads)
        self._metadata = Metadata(state, self._lookups)
        clock.begin_at(recovery.agreed)
        self._watch = ClockWatch(clock, state.now)
        self._runs = RunSigner(files.directory)
        self._answers = FirstAnswers(recovery.keys, self._lookups.answer, clock, limits.keys)
        self._answers.add(recovery.answered)
        self._loop = asyncio.get_running_loop()
        state.discard = self._free
        self._capacity = Capacity(limits, state)
        self._index_memory = IndexMemory(state)
        self._journal = files.journal
        self._commits = Commits(files, state, self._ticks, self._answers, self._capacity)

    @classmethod
    async def open(  # noqa: PLR0913 - the settings of a store
        cls,
        path: Path,
        default: Definition = DEFAULT_DEFINITION,
        *,
        clock: Clock | None = None,
        progress: Callable[[int], None] = _ignore,
        compact_bytes: int = COMPACT_BYTES,
        limits: StoreLimits = StoreLimits(),  # noqa: B008 - frozen
        keep_journal: bool = False,
        backlog: int = ArchiveLimits().backlog,
    ) -> EmbeddedStore:
        """Take ownership of a data directory, made if it is missing, and load it, in a thread.

        A new directory begins with the definition ``default`` for all boards that have none of their own; one that
        is there keeps its own until :meth:`declare`. ``clock`` is the machine's if there is none. ``progress`` is
        called in that thread with the number of entries loaded so far. A journal smaller than ``compact_bytes`` is not
        compacted. What would go beyond ``limits`` is refused with StoreFull from then on. With ``keep_journal``
        all batches stay in the journal until ``source.kept`` moves; a copy fails if more than ``backlog`` bytes are
        appended while it reads. Raises DirectoryInUse, DirectoryUnusable, NewerFormat or DataDamaged.
        """
        holds = Holds(backlog)
        kept = Hold(holds) if keep_journal else None
        try:
            files, recovery = await asyncio.to_thread(cls._load, path, default, progress, compact_bytes, holds)
        except OSError as error:
            raise DirectoryUnusable(path, str(error)) from error
        clock = clock or Clock()
        clock.resume(files.directory.read_clock())
        source = Source(path, files.journal, holds, kept)
        return cls(files, recovery, clock, limits, source)

    @classmethod
    def _load(
        cls, path: Path, default: Definition, progress: Callable[[int], None], compact_bytes: int, holds: Holds
    ) -> tuple[Files, Recovery]:
        began = time.monotonic()
        with ExitStack() as opened, ExitStack() as reading:
            recovery = Recovery(path, default, opened, reading)
            loaded = recovery.load(progress)
            replay = recovery.replay()
            recovery.upgrade()
            recovery.load_keys()
            compaction = recovery.compaction(replay.size, compact_bytes, holds)
            opened.pop_all()
        took = time.monotonic() - began
        boards = len(recovery.state.names)
        _log.debug(
            "Loaded %d entries and replayed %d changes of %d boards in %.2f s", loaded, replay.count, boards, took
        )
        return Files(recovery.directory, recovery.journal, compaction), recovery

    def _free(self, index: Index) -> None:
        """Free the memory of an index that is gone: of a large one in a thread, which does not keep the loop."""
        if len(index) >= FREED_IN_THREAD:
            self._loop.run_in_executor(None, index.clear)

    def _is_over(self, board: str) -> bool:
        """Return whether the time of a board is over by the wall clock: it is hidden, and may come back with that."""
        return board in self._state.renewed and self._state.is_over(board, int(self._clock() * SECOND))

    def trace_calls(self) -> None:
        self._commits.is_traced = True

    # Writes

    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        if not isinstance(submissions, Submission):
            return await self._submit_many(board, submissions, idempotency_key, want_changes=want_changes)
        if submissions.metadata is not None or type(submissions) is not Submission:
            return await self._submit_detailed(board, submissions, idempotency_key, want_changes=want_changes)
        name, score = submissions.name, float(submissions.score)
        record: Put | Submit
        if idempotency_key is None:  # as in _keep, but for what comes with most submits only
            record = Put(board.name, name, score) if board.single_put else Submit(board.name, name, score, board.feeds)
            batch = self._commits.add(record)
            if want_changes:
                return await self._await_change(batch)
        elif want_changes:
            return await self._submit_detailed(board, submissions, idempotency_key, want_changes=True)
        else:
            if self._answers.may_know(idempotency_key) and await self._answers.find(idempotency_key):
                return None
            record = Submit(board.name, name, score, board.feeds, has_metadata=False, key=idempotency_key)
            batch = self._commits.add_keyed(record)
        await batch
        if batch.trouble:
            batch.check(record)
        return None

    async def _submit_detailed(
        self, board: Board, submission: Submission, key: IdempotencyKey | None, *, want_changes: bool
    ) -> SubmitResult | None:
        """Submit what may have metadata, and may count as of another time or by another operator."""
        metadata = submission.metadata
        feeds, time, operator = board.feeds, None, None
        if isinstance(submission, FullSubmission):
            feeds, time, operator = submission.feeds, submission.submitted_at, submission.operator
        score, has_metadata = float(submission.score), metadata is not None
        record = Submit(board.name, submission.name, score, feeds, has_metadata, key, time=time, operator=operator)
        bodies = [] if metadata is None else [(0, metadata)]
        with ExitStack() as held:
            if isinstance(submission, FullSubmission) and submission.run is not None:
                run = self._runs.read(board.name, submission.name, submission.run)
                record = structs.replace(record, run=run)
                held.enter_context(self._capacity.using(run, self._ticks.now()))
            outcome = await self._keep(record, 1, bodies, key, report_change=want_changes)
        return SubmitResult(changes=(change(cast("Compared", outcome)),)) if want_changes else None

    @staticmethod
    async def _await_change(batch: Batch) -> SubmitResult:
        """Return what the last record of an open batch changes."""
        place = len(batch.records) - 1
        batch.report_change()
        await batch
        batch.check(batch.records[place])
        return SubmitResult(changes=(change(cast("Compared", batch.outcomes[place])),))

    async def _submit_many(
        self,
        board: Board,
        batch: Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None,
        *,
        want_changes: bool,
    ) -> SubmitResult:
        if want_changes:
            self._refuse("tell what a batch changed")
        try:
            batch = self._capacity.fit(board, batch)
        except StoreFull:
            first = await self.recall(board, idempotency_key) if idempotency_key else None
            if first is None:
                raise
            return first
        submissions = [entry for entry in batch if isinstance(entry, Submission)]
        refused = [entry for entry in batch if isinstance(entry, Refusal)]
        if not submissions and not idempotency_key:
            self._check_open()
            return SubmitResult(refused)
        names, scores = [entry.name for entry in submissions], [float(entry.score) for entry in submissions]
        bodies = [(place, entry.metadata) for place, entry in enumerate(submissions) if entry.metadata is not None]
        record: Record = PutMany(board.name, names, scores)
        dates = [
            Date(place, entry.submitted_at, entry.feeds)
            for place, entry in enumerate(submissions)
            if isinstance(entry, FullSubmission) and entry.submitted_at is not None
        ]
        if not board.single_put or refused or bodies or idempotency_key or dates:
            places = [place for place, _ in bodies]
            record = SubmitMany(board.name, names, scores, board.feeds, places, idempotency_key, refused, dates=dates)
        outcome = await self._keep(record, max(1, len(names)), bodies, idempotency_key)
        return SubmitResult(cast("list[Refusal]", outcome))

    async def _keep(
        self,
        record: Record,
        count: int = 1,
        metadata: Sequence[tuple[int, bytes]] = (),
        key: IdempotencyKey | None = None,
        *,
        report_change: bool = False,
    ) -> Outcome:
        """Keep a record of ``count`` submissions with their metadata, unless there is a first answer to its key.

        Return what it came to, or that answer.
        """
        with ExitStack() as held:
            if metadata:
                record = await self._compare(record, metadata, held)
            if key and (answer := self._answers.may_know(key) and await self._answers.find(key)):
                return answer.outcome
            batch = self._commits.add_detailed(record, count, metadata)
            release = held.pop_all()
        if metadata:
            batch.add_done_callback(lambda _: release.close())
        place = len(batch.records) - 1
        if report_change and not key:  # a record with a key reports it anyway, because its answer is kept
            batch.report_change()
        await batch
        batch.check(batch.records[place])
        return batch.outcomes[place]

    async def _compare(self, record: Record, metadata: Sequence[tuple[int, bytes]], held: ExitStack) -> Record:
        """Return a record with what metadata is equal to its own, if that decides, and keep other writes waiting."""
        board = next(iter(record.needs())).partition("\n")[0]
        operator = record.operator if isinstance(record, Submit) else None
        if self._state.operator_rules(board, operator).adds:
            return record
        await self._metadata.hold(board, (name for name, _ in cast("Detailed", record).metadata(0)), held)
        return await self._metadata.compare(record, metadata) if isinstance(record, Submit | SubmitMany) else record

    def may_know(self, idempotency_key: IdempotencyKey) -> bool:
        return self._answers.may_know(idempotency_key)

    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:  # noqa: ARG002
        self._check_open()
        answer = await self._answers.find(idempotency_key)
        if answer is None:
            return None
        outcome = answer.outcome
        return SubmitResult(outcome) if isinstance(outcome, list) else SubmitResult(changes=(change(outcome),))

    async def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> bool:
        record = SetMetadata(board.key, name, board.feeds, metadata is not None)
        return cast("bool", await self._keep(record, metadata=[] if metadata is None else [(0, metadata)]))

    async def remove(self, board: Board, name: str) -> bool:
        return cast("bool", await self._keep(Remove(board.key, name)))

    async def drop(self, board: Board) -> bool:
        return cast("bool", await self._keep(Drop(board.key)))

    async def hide(self, board: Board, name: str) -> bool:
        with self._capacity.hiding(board.name, name):
            return cast("bool", await self._keep(Hide(board.name, name)))

    async def show(self, board: Board, name: str) -> bool:
        return cast("bool", await self._keep(Show(board.name, name)))

    # The guard

    async def make_run(self, board: Board, name: str) -> Run:
        self._check_open()
        seconds = cast("Runs", cast("Guard", board.definition.guard).runs).max_seconds
        expires = int(self._clock() * SECOND) + seconds * SECOND
        return Run(await self._runs.make(board.name, name, self._ticks.now(), seconds), expires)

    def _held_index(self, board: Board) -> Index:
        self._check_open()
        if not board.visible or self._is_over(board.name):
            return EMPTY_INDEX
        return self._state.get(held_key(board.name), EMPTY_INDEX)

    async def held(self, board: Board, after: Ranked | None = None, limit: int | None = None) -> list[Ranked]:
        def read(_: Index) -> list[Row]:
            index = self._held_index(board)
            first = 0
            if after is not None:
                sequence = after.sequence & ~1 if board.definition.ties == "latest" else after.sequence | 1
                first = index.place_after(after.name, after.score, sequence, after.tick)
            return index.rows(first, len(index) if limit is None else first + limit)

        return await self._ranked_under(held_key(board.name), board, read, with_metadata=True)

    async def held_entry(self, board: Board, name: str, *, with_metadata: bool = False) -> Ranked | None:
        def read(_: Index) -> list[Row]:
            row = self._held_index(board).row(name)
            return [row] if row else []

        found = await self._ranked_under(held_key(board.name), board, read, with_metadata=with_metadata)
        return found[0] if found else None

    async def release(self, board: Board, held: Ranked) -> bool:
        record = Release(board.name, held.name, held.sequence, board.feeds, held.metadata is not None)
        return cast("bool", await self._keep(record, metadata=[(0, held.metadata)] if held.metadata else []))

    async def reject(self, board: Board, name: str) -> bool:
        return cast("bool", await self._keep(Remove(held_key(board.name), name)))

    # Definitions

    def measure(self) -> Figures:
        held = self._capacity.held() | {"hidden": self._state.hidden.count, "keys": self._answers.count}
        held |= {"runs": len(self._state.guard_memory.runs)}
        limits = {f"{what}_limit": getattr(self._capacity.limits, what) for what in held}
        times = {
            "clock_settled": self._clock.is_settled,
            "newest_record_ahead_seconds": max(0.0, self._ticks.last / SECOND - self._clock()),
        }
        memory = {"index_bytes": self._index_memory.read(), "keys_bytes": self._answers.nbytes}
        parts = self._commits.measure(), self._compaction.measure(), self._measure_disk()
        return dict(chain.from_iterable(each.items() for each in (held, limits, times, memory, *parts)))

    def _measure_disk(self) -> Figures:
        try:
            return {
                "journal_bytes": self._journal.measure_size(),
                "disk_free_bytes": disk_usage(self._directory.path).free,
            }
        except OSError:  # the directory is gone, of which a submit says more
            return {}

    def warnings(self) -> list[str]:
        failing = "The journal could not be compacted, and grows until it can: the log says why."
        return [*self._watch.warnings(), *([failing] if self._compaction.failure else [])]

    async def definitions(self) -> Mapping[str, Definition]:
        self._check_open()
        return MappingProxyType(self._state.declared)

    async def define(self, name: str, definition: Definition) -> None:
        await self._keep(Define(name, encode_definition(definition)))

    async def undefine(self, name: str) -> bool:
        return cast("bool", await self._keep(Undefine(name)))

    @property
    def default_definition(self) -> Definition:
        return self._state.default

    async def declare(self, definitions: Mapping[str, Definition], default: Definition) -> None:
        self._check_open()
        await self._commits.settle_written()
        state = self._state
        new, ended = await self._find_new(definitions, "")
        if default != state.default:
            undeclared = {name: default for name in state.undeclared() if name not in definitions}
            way = " (it has the default definition: declare it as it was, or go back to the default that was)"
            ended += (await self._find_new(undeclared, way))[1]
        self._capacity.exempt.update(new)
        # The default after the boards, which may contradict it as they were
        definers = new if default == state.default else {**new, DEFAULT: default}
        records = chain(map(Drop, ended), (Define(name, encode_definition(of)) for name, of in definers.items()))
        while portion := list(islice(records, DEFINED_AT_ONCE)):
            await self._keep_all(portion)

    async def _find_new(
        self, definitions: Mapping[str, Definition], way: str
    ) -> tuple[dict[str, Definition], list[str]]:
        """Return which definitions are new, and the boards that have ended with what contradicts theirs.

        Raises DefinitionConflict, which says the ``way`` out, if any other board contradicts its definition.
        """
        new, ended = {}, []
        for count, (name, definition) in enumerate(definitions.items(), 1):
            if definition != self._state.declared.get(name):
                new[name] = definition
                if problem := self._state.problem(name, definition):
                    if not (self._is_over(name) and self._clock.is_settled):
                        raise DefinitionConflict(name, problem.problem + way, problem.pointer)
                    ended.append(name)
            if count % DEFINED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return new, ended

    async def _keep_all(self, records: list[Record]) -> None:
        """Keep records in one batch, which has one clock for all of them."""
        batches = [self._commits.add(record) for record in records]
        await batches[-1]
        for record in records:
            batches[-1].check(record)

    # Reads

    def _index(self, board: Board) -> Index:
        if self.is_closed:
            raise StoreUnavailable("The store is closed")
        if not board.visible or (self._state.renewed and self._is_over(board.name)):
            return EMPTY_INDEX
        return self._state.find(board.key) if board.window else self._state.get(board.key, EMPTY_INDEX)

    async def _ranked(self, board: Board, read: Callable[[Index], list[Row]], *, with_metadata: bool) -> list[Ranked]:
        return await self._ranked_under(board.key, board, read, with_metadata=with_metadata)

    async def _ranked_under(
        self, key: str, board: Board, read: Callable[[Index], list[Row]], *, with_metadata: bool
    ) -> list[Ranked]:
        if with_metadata:
            entries = await self._metadata.entries(key, lambda: read(self._index(board)))
        else:
            entries = list(map(rank_row, read(self._index(board))))
        return self._in_time(entries)

    def _in_time(self, entries: list[Ranked]) -> list[Ranked]:
        """Return entries with the times of their submissions, of which they have the ticks."""
        if not self._state.offsets:
            return entries
        now, time_of = int(self._clock() * SECOND), self._state.offsets.time_of
        return [
            structs.replace(each, submitted_at=each.submitted_at and time_of(each.submitted_at, now))
            for each in entries
        ]

    async def _entries(self, board: Board, find: Callable[[Index], Sequence[int]], *, with_metadata: bool) -> Entries:
        """Return the entries at the places that ``find`` finds."""
        places: Sequence[int] = ()
        total = 0

        def read(index: Index) -> list[Row]:
            nonlocal places, total
            places, total = find(index), len(index)
            if isinstance(places, range):
                return index.rows(places.start, places.stop)
            return [index.rows(place, place + 1)[0] for place in places]

        entries = await self._ranked(board, read, with_metadata=with_metadata)
        return Entries(entries, places[: len(entries)], total)

    async def standing(self, board: Board, name: str) -> Standing | None:
        found = self._index(board).standing(name)
        if found:
            return Standing(*found)
        return self._hidden_standing(board, name) if self._state.hidden.count else None

    async def standing_in_full(
        self,
        board: Board,
        name: str,
        periods: Sequence[Board] = (),
        *,
        with_metadata: bool = False,
        with_held: bool = False,
    ) -> FullStanding:
        found = FullStanding()

        def read(index: Index) -> list[Row]:
            nonlocal found
            row, total, place, better = index.row(name), len(index), None, None
            standing = Standing(row[1], row[2]) if row else self._hidden_standing(board, name)
            if row:
                place, better = index.place_of(name), index.place_of_score(row[1])
            elif standing:
                row = self._find_hidden(board).row(name)
            held = self._held_index(board).row(name) if with_held else None
            windows = [self._standing_in(period, name) for period in periods]
            found = FullStanding(standing, place, better, total, windows=windows, held=rank_row(held) if held else None)
            return [row] if row else []

        entries = await self._ranked(board, read, with_metadata=with_metadata)
        return found.with_details(entries, self._in_time([found.held] if found.held else []))

    def _standing_in(self, board: Board, name: str) -> Standing | None:
        """Return the standing of a name that has an entry, hidden or not."""
        if found := self._index(board).standing(name):
            return Standing(*found)
        score = self._find_hidden(board).score(name) if board.visible else None
        return None if score is None else HiddenStanding(score)

    def _hidden_standing(self, board: Board, name: str) -> HiddenStanding | None:
        if not board.visible or (board.name, name) not in self._state.hidden:
            return None
        return HiddenStanding(self._find_hidden(board).score(name) or 0)

    def _find_hidden(self, board: Board) -> Index:
        return EMPTY_INDEX if self._is_over(board.name) else self._state.find_hidden(board.key)

    async def hidden(
        self, board: Board, after: str = "", limit: int | None = None, *, with_metadata: bool = False
    ) -> list[HiddenName]:
        names: list[str] = []

        def read(_: Index) -> list[Row]:
            names[:] = islice(self._state.hidden.names_after(board.name, after), limit) if board.visible else ()
            index = self._find_hidden(board)
            return [row for name in names if (row := index.row(name))]

        entries = await self._ranked(board, read, with_metadata=with_metadata)
        found = {
            each.name: HiddenName(each.name, each.score, each.submitted_at, each.metadata, each.is_metadata_damaged)
            for each in entries
        }
        return [found.get(name) or HiddenName(name) for name in names]

    async def page(
        self,
        board: Board,
        start: int,
        stop: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,  # noqa: ARG002 - they cost nothing here
    ) -> Entries:
        return await self._entries(board, lambda _: range(start, stop), with_metadata=with_metadata)

    async def page_json(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> bytes:
        packed = self._index(board).dump(start, stop)
        if not with_metadata:
            return to_json(packed, stamped=True)
        found = self._metadata.page_json(board.key, packed)
        return found or await super().page_json(board, start, stop, with_metadata=True)

    async def around(  # noqa: PLR0913 - the options of a read
        self,
        board: Board,
        name: str,
        span: int,
        limit: int | None = None,
        *,
        with_metadata: bool = False,
        with_places: bool = False,  # noqa: ARG002
    ) -> Entries | None:
        def find(index: Index) -> Sequence[int]:
            place = index.place_of(name)
            return () if place is None else places_around(place, len(index), span, limit)

        return await self._entries(board, find, with_metadata=with_metadata) or None

    async def entries_named(
        self,
        board: Board,
        names: Sequence[str],
        *,
        with_metadata: bool = False,
        with_places: bool = False,  # noqa: ARG002
    ) -> Entries:
        def find(index: Index) -> Sequence[int]:
            return sorted(place for name in set(names) if (place := index.place_of(name)) is not None)

        return await self._entries(board, find, with_metadata=with_metadata)

    async def entries_between_scores(  # noqa: PLR0913 - the options of a read
        self,
        board: Board,
        low: Score,
        high: Score,
        limit: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,  # noqa: ARG002
    ) -> Entries:
        def find(index: Index) -> Sequence[int]:
            first, stop = index.places(low, high)
            return range(first, min(stop, first + limit))

        return await self._entries(board, find, with_metadata=with_metadata)

    async def entries_after(
        self,
        board: Board,
        entry: Ranked,
        limit: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,  # noqa: ARG002
    ) -> Entries:
        def find(index: Index) -> Sequence[int]:
            # The last bit of its sequence may be another: its metadata may have come or gone meanwhile
            sequence = entry.sequence & ~1 if board.definition.ties == "latest" else entry.sequence | 1
            first = index.place_after(entry.name, entry.score, sequence, entry.tick)
            return range(first, first + limit)

        return await self._entries(board, find, with_metadata=with_metadata)

    async def summary(
        self, board: Board, percentiles: Sequence[Percentile] = PERCENTILES, buckets: int = DEFAULT_SUMMARY_BUCKETS
    ) -> Summary:
        return summarize_index(self._index(board), percentiles, buckets)

    async def place(self, board: Board, score: Score) -> Place:
        index = self._index(board)
        return Place(index.rank_of_score(score), index.place_of_score(score), len(index))

    async def count(self, board: Board) -> int:
        return len(self._index(board))

    async def names(self, after: str = "", limit: int | None = None) -> list[str]:
        self._check_open()
        return list(islice(self._names(after), limit))

    def _names(self, after: str) -> Iterator[str]:
        names = self._state.names
        place = names.place_after(after, 0) if after else 0
        while rows := names.rows(place, place + NAMES_READ):
            yield from (name for name, *_ in rows if len(self._state[name]) and not self._is_over(name))
            place += NAMES_READ

    async def periods(
        self, board: Board, ranges: Sequence[PeriodRange] | None = None, limit: int | None = None
    ) -> list[Period]:
        self._check_open()
        windows = {} if self._is_over(board.name) else self._state.periods.get(board.name, {})
        if ranges is None:
            ranges = [PeriodRange(window, "", windows[window][-1]) for window in sorted(windows)]
        found = (
            Period(each.window, period, count)
            for each in ranges
            for period in _in_range(windows.get(each.window, []), each)
            if (count := len(self._state[key_of(board.name, each.window, period)]))
        )
        return list(islice(found, limit))

    def backup(self) -> AsyncGenerator[bytes, None]:
        self._check_open()
        return read_ahead(stream_backup(self.source))

    def watch(self, board: str, changed: Callable[[], object] | None) -> bool:
        if changed is None:
            self._commits.watched.pop(board, None)
        else:
            self._commits.watched[board] = changed
        return True

    # The store itself

    async def ready(self) -> None:
        self._check_open()
        if (error := self._commits.broken) is not None:
            raise RestartNeeded(error, in_doubt=False) from error
        if (failure := self._commits.failure) is not None:
            raise unavailable(failure) from failure

    async def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._watch.close()
            self._index_memory.close()
            try:
                await self._lookups.close()
            finally:
                try:
                    await self._commits.close()
                finally:
                    self._directory.release()


def _in_range(periods: Sequence[str], among: PeriodRange) -> Iterator[str]:
    """Yield the periods of a window in a range; they are sorted."""
    places = range(bisect_left(periods, among.first), bisect_right(periods, among.last))
    return (periods[place] for place in places)
