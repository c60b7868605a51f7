"""The store inside the process: ranking indexes in memory, SQLite files beneath them.

    reads     from the index, at once
    changes   a record in the journal; answered when it is durable and applied (:mod:`laurels.stores.commits`)
    start     the compact form in bulk, then the journal's batches since (:meth:`EmbeddedStore.open`)
    growth    the journal folded into the compact form by a child process (:mod:`laurels.stores.folding`)

The two files are checked against each other and against the mark when they are opened: each knows enough to
tell when the other is missing, older, or another directory's. A store that does not find everything it once
acknowledged does not open.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack, closing
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, cast

from msgspec import DecodeError

from laurels.definition import PLAIN, Definition
from laurels.errors import DataDamaged, DirectoryUnusable, StoreUnavailable
from laurels.ranking import Index, to_json
from laurels.stores import journal
from laurels.stores.commits import Commits
from laurels.stores.contract import (
    Attempt,
    Board,
    Capabilities,
    Change,
    Once,
    Period,
    Place,
    Ranked,
    Refusal,
    Score,
    Standing,
    Store,
    Summary,
)
from laurels.stores.directory import Directory, sync
from laurels.stores.folding import FOLD_BYTES, Folding
from laurels.stores.journal import Journal
from laurels.stores.records import Compare, Drop, Indexes, Put, PutMany, Record, Remove, decode
from laurels.stores.snapshot import Seal, Snapshot
from laurels.stores.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

NOTHING = Index()
"""Stands for every board that does not exist."""

_log = logging.getLogger("laurels.stores")


def _open_journal(directory: Directory, seal: Seal | None) -> Journal:
    path = directory.path / "journal.db"
    if not (path.exists() or seal or directory.reached or path.with_name("journal.db-wal").exists()):
        journal.create(path)
        sync(directory.path)
    return Journal(path)


def _agree(directory: Directory, log: Journal, seal: Seal | None) -> None:
    compact = directory.path / "boards.db"
    if log.last < directory.reached:
        raise DataDamaged(log.path, f"it ends with batch {log.last}, and {directory.reached} was acknowledged")
    if seal is None and log.first > 1:
        raise DataDamaged(compact, f"it is missing, and holds what came before batch {log.first} of the journal")
    if seal is not None and seal.origin != log.origin:
        raise DataDamaged(compact, "it belongs to another directory than journal.db")
    if seal is not None and log.last < seal.folded:
        raise DataDamaged(log.path, f"it ends with batch {log.last}, and boards.db holds batch {seal.folded}")
    if seal is not None and log.first > seal.folded + 1:
        raise DataDamaged(compact, f"it ends with batch {seal.folded}, and the journal begins with {log.first}")


def _load_compact(path: Path, boards: Indexes, progress: Callable[[int], None]) -> tuple[int, Seal | None]:
    if not path.exists():
        return 0, None
    loaded = 0
    with closing(Snapshot(path)) as snapshot:
        for name, chunks in groupby(snapshot.chunks(), key=itemgetter(0)):
            try:
                boards[name].load(packed for _, _, packed in chunks)
            except ValueError as error:
                raise DataDamaged(path, f"the entries of board {name!r} are not what was written") from error
            loaded += len(boards[name])
            progress(loaded)
        return loaded, snapshot.seal


def _replay(log: Journal, after: int, boards: Indexes) -> tuple[int, int]:
    count = size = 0
    for lsn, batch in log.rows(after):
        try:
            records = decode(batch)
        except DecodeError as error:
            raise DataDamaged(log.path, f"batch {lsn} cannot be read") from error
        for record in records:
            record.apply(boards)
        count += len(records)
        size += len(batch)
    return count, size


def _ranked(first: int, entries: list[tuple[str, Score]]) -> list[Ranked]:
    return [Ranked(name, score, rank) for rank, (name, score) in enumerate(entries, first)]


def _ignore(_: int) -> None:
    pass


class EmbeddedStore(Store):
    """A store that keeps a data directory of its own."""

    capabilities = Capabilities(durable=True)

    def __init__(self, directory: Directory, boards: Indexes, commits: Commits) -> None:
        self._directory = directory
        self._boards = boards
        self._commits = commits
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        default: Definition = PLAIN,
        *,
        clock: Callable[[], float] = time.time,
        progress: Callable[[int], None] = _ignore,
        fold_bytes: int = FOLD_BYTES,
    ) -> EmbeddedStore:
        """Take a data directory and load it, in a thread beside the loop; it is made if it is missing.

        Boards that are not declared have the definition ``default``. ``progress`` is told from that thread how many
        entries are loaded so far. A journal smaller than ``fold_bytes`` is not folded. Raises DirectoryInUse,
        DirectoryUnusable or DataDamaged.
        """
        try:
            return await asyncio.to_thread(cls._load, path, default, progress, fold_bytes)
        except OSError as error:
            raise DirectoryUnusable(path, str(error)) from error

    @classmethod
    def _load(cls, path: Path, default: Definition, progress: Callable[[int], None], fold_bytes: int) -> EmbeddedStore:
        began = time.monotonic()
        boards = Indexes(default)
        with ExitStack() as opened:
            directory = Directory(path)
            opened.callback(directory.release)
            loaded, seal = _load_compact(path / "boards.db", boards, progress)
            log = _open_journal(directory, seal)
            opened.callback(log.close)
            _agree(directory, log, seal)
            folded = seal.folded if seal else 0
            count, backlog = _replay(log, folded, boards)
            with journal.translated(log.path):
                log.reopen()
            folding = Folding(directory, log, folded=folded, backlog=backlog, fold_bytes=fold_bytes)
            opened.pop_all()
        took = time.monotonic() - began
        _log.info("Loaded %d entries and replayed %d changes of %d boards in %.2f s", loaded, count, len(boards), took)
        return cls(directory, boards, Commits(log, folding, directory, boards))

    def _index(self, board: Board) -> Index:
        if self._closed:
            raise StoreUnavailable("The store is closed")
        return self._boards.get(board.key, NOTHING)

    async def _keep(self, record: Record) -> bool | Change:
        batch = self._commits.add(record)
        place = len(batch.records) - 1
        await batch
        batch.check()
        return batch.outcomes[place]

    async def submit(self, board: Board, name: str, score: Score) -> None:
        batch = self._commits.add(Put(board.name, name, float(score)))
        await batch
        batch.check()

    async def change(self, board: Board, attempt: Attempt, once: Once | None = None) -> Change:
        if once or attempt.metadata is not None:
            raise NotImplementedError
        return cast("Change", await self._keep(Compare(board.name, attempt.name, float(attempt.score))))

    async def submit_many(
        self, board: Board, batch: Sequence[Attempt | Refusal], once: Once | None = None
    ) -> list[Refusal]:
        if once:
            raise NotImplementedError
        attempts = [entry for entry in batch if isinstance(entry, Attempt)]
        if attempts:
            names, scores = [entry.name for entry in attempts], [float(entry.score) for entry in attempts]
            await self._keep(PutMany(board.name, names, scores))
        return [entry for entry in batch if isinstance(entry, Refusal)]

    async def standing(self, board: Board, name: str) -> Standing | None:
        found = self._index(board).standing(name)
        return Standing(*found) if found else None

    async def page(self, board: Board, start: int, stop: int, *, noted: bool = False) -> list[Ranked]:
        return _ranked(start, self._index(board).page(start, stop))

    async def page_json(self, board: Board, start: int, stop: int) -> bytes:
        return to_json(self._index(board).dump(start, stop))

    async def around(self, board: Board, name: str, span: int, *, noted: bool = False) -> list[Ranked] | None:
        found = self._index(board).around(name, span)
        return _ranked(*found) if found else None

    async def of_names(self, board: Board, names: Sequence[str], *, noted: bool = False) -> list[Ranked]:
        index = self._index(board)
        found = [Ranked(name, *standing) for name in set(names) if (standing := index.standing(name))]
        return sorted(found, key=attrgetter("rank"))

    async def within(self, board: Board, low: Score, high: Score, limit: int, *, noted: bool = False) -> list[Ranked]:
        return _ranked(*self._index(board).range(low, high, limit))

    async def after(self, board: Board, entry: Ranked, limit: int, *, noted: bool = False) -> list[Ranked]:
        index = self._index(board)
        first = index.rank_after(entry.name, entry.score)
        return _ranked(first, index.page(first, first + limit))

    async def summary(self, board: Board) -> Summary:
        return summarize(self._index(board))

    async def place(self, board: Board, score: Score) -> Place:
        index = self._index(board)
        better = index.rank_of_score(score)
        return Place(better, better, len(index))

    async def count(self, board: Board) -> int:
        return len(self._index(board))

    async def remove(self, board: Board, name: str) -> bool:
        return cast("bool", await self._keep(Remove(board.name, name)))

    async def drop(self, board: Board) -> bool:
        return cast("bool", await self._keep(Drop(board.name)))

    async def names(self, after: str = "", limit: int | None = None) -> list[str]:
        self._check_open()
        return [name for name in sorted(self._boards) if name > after][:limit]

    async def periods(self, board: Board) -> list[Period]:
        self._check_open()
        return []

    async def definitions(self) -> Mapping[str, Definition]:
        self._check_open()
        return self._boards.declared

    async def define(self, name: str, definition: Definition) -> None:
        self._check_open()
        self._boards.declared[name] = definition

    async def undefine(self, name: str) -> bool:
        self._check_open()
        return self._boards.declared.pop(name, None) is not None

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed")

    async def ready(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed")
        if (failure := self._commits.failure) is not None:
            raise StoreUnavailable(f"The journal cannot be written: {failure}")

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._commits.close()
            self._directory.release()
