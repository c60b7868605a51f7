"""The rules of boards: which pages are good, which definition a board has, and what an act on it means at its time.

No I/O of its own: everything kept or read goes through one :class:`~laurels.stores.contract.Store`.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right, insort
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import lru_cache
from heapq import merge
from itertools import groupby, islice
from math import inf
from typing import TYPE_CHECKING, TypeVar, cast

from msgspec import Struct
from msgspec.structs import force_setattr

from laurels.definition import NO_FILE, BoardsFile, Definition
from laurels.entries import checked_board, checked_name, checked_score
from laurels.errors import (
    BadDefinition,
    BadParameter,
    DefinitionConflict,
    NotDeclared,
    NotDefined,
    NotKept,
    NotOnBoard,
    ScoreRefused,
)
from laurels.limits import NAMES_ASKED, PAGE_ENTRIES, SPAN_ENTRIES
from laurels.stores.contract import Board, Feed, Refusal, Score, Submission
from laurels.submissions import bounded, check_submission, once_of, refusals
from laurels.windows import Calendar, normalize_window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from laurels.stores.contract import Capabilities, Change, Period, Place, Ranked, Standing, Store, Summary

BOARDS_KNOWN = 4096
CALENDARS_KNOWN = 256
NOWHERE = "-"
"""The key of what is kept from sight: no board has that name."""

T = TypeVar("T")
_calendar = lru_cache(CALENDARS_KNOWN)(Calendar)


class Slice(Struct, frozen=True):
    """Entries that stand one behind the other, and whether there is one behind the last."""

    entries: list[Ranked]
    has_more: bool


class Found(Struct, frozen=True):
    """Of some names those that are on a board, in rank order, and the others as they were asked for."""

    entries: list[Ranked]
    missing: list[str]


class PeriodInfo(Struct, frozen=True):
    """A period that has ``count`` entries; ``start`` and ``stop`` are in ISO 8601 with the zone's offset."""

    window: str
    period: str
    start: str
    stop: str
    count: int
    is_current: bool


class _Feeding:
    """A board with windows, as a submit finds it at its time: with the periods that it feeds."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._since, self._until = inf, -inf

    def at(self, now: float) -> Board:
        """Give the board with its feeds. Until one of its periods ends that costs next to nothing."""
        if not self._since <= now < self._until:
            name, definition = self._board.name, self._board.definition
            calendars = [_calendar(window, definition.time_zone) for window in definition.windows]
            spans = [calendar.span_at(now) for calendar in calendars]
            feeds = (
                Feed(calendar.window, span.period, _oldest(calendar, definition, now))
                for calendar, span in zip(calendars, spans, strict=True)
            )
            self._board = Board(name, definition, feeds=tuple(feeds))
            self._since = max((span.start for span in spans), default=-inf)
            self._until = min((span.stop for span in spans), default=inf)
        return self._board


class Boards:
    """All boards of one store, as the deployment's file and the definitions that the store keeps declare them.

    Methods that only pass an act on to the store give its awaitable, so that no coroutine stands between the two.
    They raise BadName, BadParameter, ScoreRefused and NotDeclared before the store is asked; its errors pass through.
    """

    def __init__(self, store: Store, file: BoardsFile = NO_FILE, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._file = file
        self._clock = clock
        self._definitions = dict(file.boards)
        self._names = sorted(self._definitions)
        self._changing: dict[str, asyncio.Event] = {}
        self._under_way: dict[str, set[asyncio.Future[None]]] = {}
        self._known = lru_cache(BOARDS_KNOWN)(self._find)
        self._simple = lru_cache(BOARDS_KNOWN)(self._find_simple)
        self._feeding = lru_cache(BOARDS_KNOWN)(self._find_feeding)
        self.board: Callable[[str], Board] = self._known
        """Give the board of a name, of all times; where the rules keep it from sight, one without entries."""

    async def declare(self) -> None:
        """Have the store keep the file's definitions, and take up those that it keeps; once, before all else.

        Raises BadDefinition where the store cannot keep one, DefinitionConflict where stored entries contradict one.
        """
        check_kept(self._file, self.store.capabilities, "The boards file")
        kept = await self.store.definitions()
        for name, definition in self._file.boards.items():
            if self.store.capabilities.defining and kept.get(name) != definition:
                await self.store.define(name, definition)
        self._definitions = dict(kept) | self._file.boards
        self._names = sorted(self._definitions)
        self._forget()

    def _forget(self) -> None:
        for cache in (self._known, self._simple, self._feeding):
            cache.cache_clear()

    # Which board it is

    def _find(self, name: str) -> Board:
        board = Board(checked_board(name), self._definitions.get(name, self._file.default))
        return _hidden(board) if self._is_closed(name) else board

    def _is_closed(self, name: str) -> bool:
        return self._file.declared_only and name not in self._definitions

    def _find_open(self, name: str) -> Board:
        if self._is_closed(checked_board(name)):
            raise NotDeclared(name)
        return self.board(name)

    def _find_simple(self, name: str) -> Board | None:
        """Give the board where a submit asks no more of the rules than a good name and score."""
        board = self._find_open(name)
        definition = board.definition
        is_ruled = definition.windows or definition.scores != NO_FILE.default.scores or name in self._changing
        return None if is_ruled else board

    def _find_feeding(self, name: str) -> _Feeding:
        return _Feeding(self._find_open(name))

    async def _settled(self, name: str) -> Board:
        """Give the board as a submit finds it now, or once its definition has changed."""
        while name in self._changing:
            await self._changing[name].wait()
        return self._simple(name) or self._feeding(name).at(self._clock())

    def period_of(self, name: str, window: str, period: str | None) -> Board:
        """Give a period of a window of a board, the current one where ``period`` is None.

        One that is not kept any more, or has not begun, is given as one without entries. Raises BadParameter where the
        board has no such window, or the window no such period.
        """
        where = self.board(name)
        definition = where.definition
        if window not in definition.windows:
            window = _window_of(definition, window)
        calendar = _calendar(window, definition.time_zone)
        now = self._clock()
        current = calendar.span_at(now).period
        if period is None:
            period = current
        else:
            calendar.check(period)
        found = Board(name, definition, window, period)
        is_kept = _oldest(calendar, definition, now) <= period <= current
        return found if is_kept and where.key != NOWHERE else _hidden(found)

    async def periods(self, name: str) -> list[PeriodInfo]:
        """Give the periods of a board that have entries and can be read, by window and from the oldest."""
        where = self.board(name)
        found = []
        for period in await self.store.periods(where):
            if self.period_of(name, period.window, period.period).key != NOWHERE:
                calendar = _calendar(period.window, where.definition.time_zone)
                found.append(_told(calendar, period, calendar.span_at(self._clock()).period))
        return found

    # Acts

    def submit(self, board: str, name: str, score: Score) -> Awaitable[None]:
        """Submit a score for a name."""
        where = self._simple(board)
        if where is None:
            return self._submit(board, name, score)
        return self.store.submit(where, checked_name(name), checked_score(score))

    async def _submit(self, board: str, name: str, score: Score) -> None:
        where = await self._settled(board)
        await self.store.submit(where, checked_name(name), bounded(checked_score(score), where.definition))

    @property
    def tells_changes(self) -> bool:
        """Tell whether :meth:`change` can be kept by this store; it raises NotKept where not."""
        return self.store.capabilities.one_state

    async def change(self, board: str, attempt: Submission, key: str | None = None) -> Change:
        """Submit, and tell the standings before and after; a ``key`` makes it count once."""
        once = once_of(key, (board, attempt.name), [attempt])
        where = await self._settled(board)
        try:
            check_submission(attempt, where.definition)
        except ScoreRefused:
            first = await self.store.recall(once) if once else None
            if first is None:
                raise
            return cast("Change", first)
        act = self.store.change(where, attempt, once)
        return await (self._keyed(board, act) if once else act)

    async def submit_many(
        self, board: str, batch: Sequence[Submission | Refusal], key: str | None = None
    ) -> list[Refusal]:
        """Submit all good attempts in one act, in their order; tell of the others why not.

        A refusal in the batch stands for one that could not even be read, and is told with the rest.
        """
        once = once_of(key, (board, ""), batch)
        where = await self._settled(board)
        refused = dict(refusals(batch, where.definition))
        checked = [refused.get(index, attempt) for index, attempt in enumerate(batch)] if refused else batch
        act = self.store.submit_many(where, checked, once)
        return await (self._keyed(board, act) if once else act)

    async def _keyed(self, board: str, act: Awaitable[T]) -> T:
        """Do an act with a key, which the store may first look for: a change of the definition waits for its end."""
        done = asyncio.get_running_loop().create_future()
        under_way = self._under_way.setdefault(board, set())
        under_way.add(done)
        try:
            return await act
        finally:
            done.set_result(None)
            under_way.discard(done)
            if not under_way:
                del self._under_way[board]

    def remove(self, where: Board, name: str) -> Awaitable[bool]:
        """Take a name off a board and its periods, or off one period; tell whether it was there."""
        return self.store.remove(_shown(where), checked_name(name))

    def drop(self, where: Board) -> Awaitable[bool]:
        """Remove a board with all its entries and periods, or one period; tell whether it was there."""
        return self.store.drop(_shown(where))

    # Reads

    def standing(self, where: Board, name: str) -> Awaitable[Standing | None]:
        """Give score and rank of a name, None where it is not on the board."""
        return self.store.standing(where, checked_name(name))

    def page_json(self, where: Board, start: int, stop: int) -> Awaitable[bytes]:
        """Give the entries at the places from ``start`` up to ``stop``, 1,000 at most, as a JSON array."""
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        return self.store.page_json(where, start, stop)

    async def page(
        self, where: Board, start: int, stop: int, *, with_metadata: bool = False, want_cursor: bool = False
    ) -> Slice:
        """Give the same entries with their ranks, and with their metadata where that is ``noted``.

        ``want_cursor`` tells that those after them are to be asked for; NotKept is raised where :meth:`entries_after` would be.
        """
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        if want_cursor and not self.store.capabilities.one_state:
            raise NotKept("go on after a page")
        return _stretch(await self.store.page(where, start, stop + 1, with_metadata=with_metadata), stop - start)

    async def entries_after(self, where: Board, entry: Ranked, limit: int, *, with_metadata: bool = False) -> Slice:
        """Give the entries that stand next after the place of ``entry``, 1,000 at most, wherever it stands now."""
        _check_number("limit", limit, 1, PAGE_ENTRIES)
        checked_name(entry.name)
        checked_score(entry.score)
        return _stretch(await self.store.entries_after(where, entry, limit + 1, with_metadata=with_metadata), limit)

    async def around(self, where: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked]:
        """Give a name with up to ``span`` entries, 500 at most, on either side; raise NotOnBoard where it is not."""
        _check_number("span", span, 0, SPAN_ENTRIES)
        found = await self.store.around(where, checked_name(name, "around"), span, with_metadata=with_metadata)
        if found is None:
            raise NotOnBoard("around", name)
        return found

    async def entries_named(self, where: Board, names: Sequence[str], *, with_metadata: bool = False) -> Found:
        """Give the entries of these names, 100 at most and each once."""
        if len(names) > NAMES_ASKED:
            raise BadParameter("name", f"{len(names)} names are asked for: ask for at most {NAMES_ASKED} at a time.")
        if len(set(names)) < len(names):
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise BadParameter("name", f"The name {twice!r} stands twice: ask for each name once.")
        entries = await self.store.entries_named(
            where, [checked_name(name) for name in names], with_metadata=with_metadata
        )
        found = {entry.name for entry in entries}
        return Found(entries, [name for name in names if name not in found])

    async def entries_between_scores(
        self, where: Board, low: Score | None, high: Score | None, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        """Give the best entries, 1,000 at most, with scores from ``low`` to ``high``; None leaves an end open."""
        _check_number("limit", limit, 1, PAGE_ENTRIES)
        if low is not None and high is not None and low > high:
            raise BadParameter("maxScore", f"No score is from {low} to {high}: maxScore is not below minScore.")
        ends = -inf if low is None else low, inf if high is None else high
        return await self.store.entries_between_scores(where, *ends, limit, with_metadata=with_metadata)

    def summary(self, where: Board) -> Awaitable[Summary]:
        """Give a board in a few figures."""
        return self.store.summary(where)

    def place(self, where: Board, score: Score) -> Awaitable[Place]:
        """Tell where a score would stand."""
        return self.store.place(where, score)

    # Definitions

    async def definition(self, name: str) -> Definition:
        """Give the definition of a board; raise NotDefined where it is neither declared nor has entries."""
        where = self.board(name)
        if name in self._definitions or await self.store.count(where):
            return where.definition
        raise NotDefined(name)

    async def definitions(self, after: str, limit: int) -> list[tuple[str, Definition, bool]]:
        """Give boards that are declared or have entries, by the bytes of their names: the first after ``after``.

        Each with its definition, and whether it has one of its own. Raises NotKept where only the store could tell.
        """
        stored = [] if self._file.declared_only else await self.store.names(after, limit)
        first = bisect_right(self._names, after)
        names = (name for name, _ in groupby(merge(self._names[first : first + limit], stored)))
        return [(name, self.board(name).definition, name in self._definitions) for name in islice(names, limit)]

    async def define(self, name: str, definition: Definition) -> bool:
        """Give a board this definition from now on; tell whether it had none of its own."""
        async with self._redefined(name):
            self.store.capabilities.check(definition)
            await self.store.define(name, definition)
            is_new = name not in self._definitions
            if is_new:
                insort(self._names, name)
            self._definitions[name] = definition
        return is_new

    async def undefine(self, name: str) -> bool:
        """Give a board the default definition from now on; tell whether it had one of its own."""
        async with self._redefined(name):
            was = await self.store.undefine(name)
            if self._definitions.pop(name, None):
                self._names.remove(name)
        return was

    @asynccontextmanager
    async def _redefined(self, name: str) -> AsyncIterator[None]:
        """Let submits to a board wait until its definition has changed or has not, so that none comes late.

        An awaitable that :meth:`submit` gave before is of the old definition: it is to be awaited at once.
        """
        if checked_board(name) in self._file.boards:
            raise DefinitionConflict(name, "it is declared in the boards file; change it there and restart")
        while name in self._changing:
            await self._changing[name].wait()
        self._changing[name] = asyncio.Event()
        self._forget()
        try:
            if under_way := self._under_way.get(name):
                await asyncio.wait(under_way)
            yield
        finally:
            self._changing.pop(name).set()
            self._forget()

    def ready(self) -> Awaitable[None]:
        """Return where submits can be kept now; raise StoreUnavailable where not."""
        return self.store.ready()


def _hidden(board: Board) -> Board:
    force_setattr(board, "key", NOWHERE)
    return board


def _shown(board: Board) -> Board:
    return board if board.key != NOWHERE else Board(board.name, board.definition, board.window, board.period)


def _window_of(definition: Definition, text: str) -> str:
    """Find a window however its line is written."""
    with suppress(ValueError):
        text = normalize_window(text)
    if text not in definition.windows:
        has = f"it has {', '.join(map(repr, definition.windows))}" if definition.windows else "it has none"
        raise BadParameter("window", f"{text!r} is no window of this board: {has}.")
    return text


def _oldest(calendar: Calendar, definition: Definition, now: float) -> str:
    """Give the oldest period that is kept, or nothing where all are."""
    count = definition.keep.get(calendar.window)
    return calendar.past(calendar.span_at(now), count) if count else ""


def _told(calendar: Calendar, period: Period, current: str) -> PeriodInfo:
    span = calendar.span_of(period.period)
    start, stop = (datetime.fromtimestamp(end, calendar.zone).isoformat() for end in (span.start, span.stop))
    return PeriodInfo(period.window, period.period, start, stop, period.count, period.period == current)


def check_kept(file: BoardsFile, capabilities: Capabilities, called: str) -> None:
    """Raise BadDefinition where a store cannot keep what a file declares; ``called`` is the file's name in that."""
    tables = {"[default]": file.default} | {f"[boards.{name}]": of for name, of in file.boards.items()}
    for table, definition in tables.items():
        try:
            capabilities.check(definition)
        except NotKept as error:
            raise BadDefinition("", str(error), f"{called}, {table}") from error


def _page_problem(start: int, stop: int) -> str:
    if stop <= start:
        return f"The range from startRank {start} to endRank {stop} is empty: endRank is exclusive and above startRank."
    return (
        f"The range from startRank {start} to endRank {stop} spans {stop - start} ranks: a page holds {PAGE_ENTRIES:,}."
    )


def _check_number(parameter: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise BadParameter(parameter, f"{parameter} is {number}: it must be from {least} to {most:,}.")


def _stretch(found: list[Ranked], limit: int) -> Slice:
    return Slice(found[:limit], len(found) > limit)
