"""The store inside the process: ranking indexes in memory, SQLite files beneath them.

    reads     from the index, at once; metadata and first answers from the files (:mod:`laurels.stores.embedded.lookups`)
    changes   a record in the journal; answered when it is durable and applied (:mod:`laurels.stores.embedded.commits`)
    start     the compact form in bulk, then the journal's batches since (:mod:`laurels.stores.embedded.loading`)
    growth    the journal folded into the compact form by a child process (:mod:`laurels.stores.embedded.compaction`)

The two files are checked against each other and against the mark when they are opened: each knows enough to
tell when the other is missing, older, or another directory's. A store that does not find everything it once
acknowledged does not open.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast

from laurels.definition import DEFAULT_DEFINITION, Definition
from laurels.errors import DataDamaged, DefinitionConflict, DirectoryUnusable, StoreUnavailable
from laurels.ranking import to_json
from laurels.stores.contract import (
    Board,
    Capabilities,
    Change,
    IdempotencyKey,
    Period,
    Place,
    Ranked,
    Refusal,
    Score,
    Standing,
    Store,
    Submission,
    Summary,
    key_of,
)
from laurels.stores.embedded.commits import Commits, Files, Ticks
from laurels.stores.embedded.compaction import COMPACT_BYTES
from laurels.stores.embedded.idempotency import Answers
from laurels.stores.embedded.lookups import DiskLookups
from laurels.stores.embedded.records import (
    DEFAULT,
    Compare,
    Define,
    Drop,
    Outcome,
    Put,
    PutMany,
    Record,
    Remove,
    Report,
    Submit,
    SubmitMany,
    Undefine,
    encode_definition,
)
from laurels.stores.embedded.recovery import Recovery
from laurels.stores.embedded.state import EMPTY_INDEX, State
from laurels.stores.embedded.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from laurels.ranking import Index

Row: TypeAlias = tuple[str, Score, int, int]
"""A name, its score, its rank and the sequence of its attempt."""

NAMES_READ = 256
"""How many names of boards are read at once."""

_log = logging.getLogger("laurels.stores")


def _ignore(_: int) -> None:
    pass


class EmbeddedStore(Store):
    """A store that keeps a data directory of its own."""

    capabilities = Capabilities(durable=True)

    def __init__(self, files: Files, state: State, clock: Callable[[], float]) -> None:
        self._directory = files.directory
        self._state = state
        self._ticks = Ticks(clock, state.sequence >> 1)
        self._archive = DiskLookups(files.directory.path)
        self._answers = Answers(self._archive.answer, self._ticks.now)
        self._commits = Commits(files, state, self._ticks, self._answers)
        self._closed = False

    @classmethod
    async def open(  # noqa: PLR0913 - a deployment's settings, all but one by name
        cls,
        path: Path,
        default: Definition = DEFAULT_DEFINITION,
        *,
        declared: Iterable[tuple[str, Definition]] = (),
        clock: Callable[[], float] = time.time,
        progress: Callable[[int], None] = _ignore,
        compact_bytes: int = COMPACT_BYTES,
    ) -> EmbeddedStore:
        """Take a data directory and load it, in a thread beside the loop; it is made if it is missing.

        Boards that are not declared have the definition ``default``; those that are ``declared`` are so before it
        changes. Where what is there contradicts any, DefinitionConflict is raised. ``clock`` gives the seconds since
        the epoch. ``progress`` is told from that thread how many entries are loaded so far. A journal smaller than
        ``compact_bytes`` is not folded. Raises DirectoryInUse, DirectoryUnusable, NewerFormat or DataDamaged.
        """
        try:
            files, state, answers = await asyncio.to_thread(cls._load, path, default, progress, compact_bytes)
        except OSError as error:
            raise DirectoryUnusable(path, str(error)) from error
        store = cls(files, state, clock)
        for answer in answers:
            store._answers.know(*answer)
        try:
            await store._declare(declared)
            await store._take_default(default)
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    def _load(
        cls, path: Path, default: Definition, progress: Callable[[int], None], compact_bytes: int
    ) -> tuple[Files, State, list[tuple[IdempotencyKey, int, Outcome | None]]]:
        began = time.monotonic()
        with ExitStack() as opened, ExitStack() as read:
            opening = Recovery(path, default, opened, read)
            loaded = opening.load(progress)
            replay = opening.replay()
            opening.upgrade()
            folding = opening.compaction(replay.size, compact_bytes)
            opened.pop_all()
        took = time.monotonic() - began
        boards = len(opening.state.names)
        _log.info(
            "Loaded %d entries and replayed %d changes of %d boards in %.2f s", loaded, replay.count, boards, took
        )
        return Files(opening.directory, opening.journal, folding), opening.state, opening.answers

    async def _declare(self, declared: Iterable[tuple[str, Definition]]) -> None:
        for name, definition in declared:
            if self._state.declared.get(name) != definition:
                await self.define(name, definition)

    async def _take_default(self, default: Definition) -> None:
        if default == self._state.default:
            return
        for board in self._state.undeclared():
            problem = None if self._is_over(board) else self._state.problem(board, default)
            if problem:
                way = "it has the default definition: declare it as it was, or start with the default that was"
                raise DefinitionConflict(board, f"{problem} ({way})")
        await self._keep(Define(DEFAULT, encode_definition(default)))

    def _is_over(self, board: str) -> bool:
        return bool(self._state.renewed) and self._state.is_over(board, self._ticks.now())

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed")

    # Changes

    async def _keep(self, record: Record) -> Outcome:
        batch = self._commits.add(record)
        place = len(batch.records) - 1
        await batch
        batch.check(record)
        return batch.outcomes[place]

    async def _keep_once(
        self, record: Record, count: int, notes: Sequence[tuple[int, bytes]], once: IdempotencyKey | None
    ) -> Outcome:
        """Keep a record of ``count`` attempts with their metadata, or give what came of the one with its key before."""
        if once and (answer := await self._answers.claim(once)) is not None:
            return answer
        try:
            batch = self._commits.add(record)
        except BaseException:
            if once:
                self._answers.release(once.key)
            raise
        place = len(batch.records) - 1
        batch.describe(count, notes, once)
        await batch
        batch.check(record)
        return batch.outcomes[place]

    async def submit(self, board: Board, name: str, score: Score) -> None:
        record = Put(board.name, name, float(score)) if board.single_put else _submit(board, name, score)
        batch = self._commits.add(record)
        await batch
        if batch.trouble:
            batch.check(record)

    async def change(self, board: Board, attempt: Submission, once: IdempotencyKey | None = None) -> Change:
        name, score, metadata = attempt.name, float(attempt.score), attempt.metadata
        if board.single_put and once is None and metadata is None:
            return cast("Change", await self._keep(Compare(board.name, name, score)))
        record = Report(board.name, name, score, board.feeds, metadata is not None, once)
        notes = [(0, metadata)] if metadata is not None else []
        return cast("Change", await self._keep_once(record, 1, notes, once))

    async def submit_many(
        self, board: Board, batch: Sequence[Submission | Refusal], once: IdempotencyKey | None = None
    ) -> list[Refusal]:
        attempts = [entry for entry in batch if isinstance(entry, Submission)]
        refused = [entry for entry in batch if isinstance(entry, Refusal)]
        if not attempts and not once:
            self._check_open()
            return refused
        names, scores = [entry.name for entry in attempts], [float(entry.score) for entry in attempts]
        notes = [(place, entry.metadata) for place, entry in enumerate(attempts) if entry.metadata is not None]
        record: Record = PutMany(board.name, names, scores)
        if not board.single_put or refused or notes or once:
            noted = [place for place, _ in notes]
            record = SubmitMany(board.name, names, scores, board.feeds, noted, once, refused)
        return cast("list[Refusal]", await self._keep_once(record, max(1, len(names)), notes, once))

    async def recall(self, once: IdempotencyKey) -> Change | list[Refusal] | None:
        self._check_open()
        answer = await self._answers.claim(once)
        if answer is None:
            self._answers.release(once.key)
        return cast("Change | list[Refusal] | None", answer)

    async def remove(self, board: Board, name: str) -> bool:
        return cast("bool", await self._keep(Remove(board.key, name)))

    async def drop(self, board: Board) -> bool:
        return cast("bool", await self._keep(Drop(board.key)))

    async def define(self, name: str, definition: Definition) -> None:
        await self._keep(Define(name, encode_definition(definition)))

    async def undefine(self, name: str) -> bool:
        return cast("bool", await self._keep(Undefine(name)))

    # Reads

    def _index(self, board: Board) -> Index:
        if self._closed:
            raise StoreUnavailable("The store is closed")
        if self._state.renewed and self._is_over(board.name):
            return EMPTY_INDEX
        return self._state.get(board.key, EMPTY_INDEX)

    async def _ranked(self, board: Board, read: Callable[[Index], list[Row]], *, with_metadata: bool) -> list[Ranked]:
        rows = read(self._index(board))
        if not with_metadata:
            return list(map(_entry, rows))
        missing: list[tuple[str, int]] = []
        while wanted := [(name, sequence) for name, _, _, sequence in rows if sequence & 1]:
            found = await self._archive.metadata(board.key, wanted)
            before, missing = missing, [entry for entry in wanted if entry[1] not in found]
            if not missing:
                return [_entry(row, found.get(row[3])) for row in rows]
            if missing == before:
                raise DataDamaged(self._directory.path, f"the metadata of {missing[0][0]!r} is missing")
            rows = read(self._index(board))
        return list(map(_entry, rows))

    async def standing(self, board: Board, name: str) -> Standing | None:
        found = self._index(board).standing(name)
        return Standing(*found) if found else None

    async def page(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> list[Ranked]:
        return await self._ranked(board, lambda index: index.rows(start, stop), with_metadata=with_metadata)

    async def page_json(self, board: Board, start: int, stop: int) -> bytes:
        return to_json(self._index(board).dump(start, stop), stamped=True)

    async def around(self, board: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked] | None:
        found = await self._ranked(board, lambda index: _around(index, name, span), with_metadata=with_metadata)
        return found or None

    async def entries_named(self, board: Board, names: Sequence[str], *, with_metadata: bool = False) -> list[Ranked]:
        return await self._ranked(board, lambda index: _of_names(index, names), with_metadata=with_metadata)

    async def entries_between_scores(
        self, board: Board, low: Score, high: Score, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        def read(index: Index) -> list[Row]:
            first, stop = index.places(low, high)
            return index.rows(first, min(stop, first + limit))

        return await self._ranked(board, read, with_metadata=with_metadata)

    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        def read(index: Index) -> list[Row]:
            first = index.place_after(entry.name, entry.score, entry.sequence)
            return index.rows(first, first + limit)

        return await self._ranked(board, read, with_metadata=with_metadata)

    async def summary(self, board: Board) -> Summary:
        return summarize(self._index(board))

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
            yield from (name for name, *_ in rows if not self._is_over(name))
            place += NAMES_READ

    async def periods(self, board: Board) -> list[Period]:
        self._check_open()
        windows = {} if self._is_over(board.name) else self._state.periods.get(board.name, {})
        return [
            Period(window, period, len(self._state[key_of(board.name, window, period)]))
            for window in sorted(windows)
            for period in windows[window]
        ]

    async def definitions(self) -> Mapping[str, Definition]:
        self._check_open()
        return MappingProxyType(self._state.declared)

    async def ready(self) -> None:
        self._check_open()
        if (failure := self._commits.failure) is not None:
            raise StoreUnavailable(f"The journal cannot be written: {failure}")

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._archive.close()
            await self._commits.close()
            self._directory.release()


def _submit(board: Board, name: str, score: Score) -> Submit:
    return Submit(board.name, name, float(score), board.feeds)


def _entry(row: Row, metadata: bytes | None = None) -> Ranked:
    name, score, rank, sequence = row
    return Ranked(name, score, rank, sequence, sequence >> 1 or None, metadata)


def _around(index: Index, name: str, span: int) -> list[Row]:
    place = index.place_of(name)
    return [] if place is None else index.rows(max(0, place - span), place + span + 1)


def _of_names(index: Index, names: Sequence[str]) -> list[Row]:
    places = sorted(place for name in set(names) if (place := index.place_of(name)) is not None)
    return [index.rows(place, place + 1)[0] for place in places]
