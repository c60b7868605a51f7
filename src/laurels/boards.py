"""The rules of boards: which reads and submits are good, which definition a board has, and which period it is.

No I/O of its own: everything that is kept or read goes through one :class:`~laurels.stores.contract.Store`.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import lru_cache
from heapq import merge
from itertools import groupby, islice
from math import inf
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, structs

from laurels.clock import SECOND
from laurels.definition import NO_FILE, BoardsFile, Definition
from laurels.entries import check_entry, checked_board, checked_name, checked_score, last_name
from laurels.errors import (
    BadBody,
    BadDefinition,
    BadParameter,
    DefinitionChanged,
    DefinitionConflict,
    DefinitionStale,
    KeyReused,
    LaurelsError,
    NotDeclared,
    NotDefined,
    NotHeld,
    NotKept,
    NotOnBoard,
    RunRefused,
    ScoreRefused,
    StoreError,
    StoreUnavailable,
    truncate,
)
from laurels.limits import DEFAULT_SUMMARY_BUCKETS, NAME_BYTES, NAMES_ASKED, PAGE_ENTRIES
from laurels.restoring import restore
from laurels.stores.contract import (
    PERCENTILES,
    Board,
    Count,
    Entries,
    Feed,
    FullSubmission,
    PeriodRange,
    Refusal,
    Score,
    Submission,
)
from laurels.submissions import (
    check_bounds,
    check_metadata,
    check_past,
    check_run,
    check_submission,
    find_refusals,
    make_idempotency_key,
    make_submit_key,
    operator_of,
    requires_run,
    run_missing,
)
from laurels.turnstile import Turnstile
from laurels.windows import FIRST_YEAR, Calendar, normalize_window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from laurels.figures import Figures
    from laurels.stores.contract import (
        Capabilities,
        Change,
        FullStanding,
        HiddenName,
        IdempotencyKey,
        Percentile,
        Period,
        Place,
        Ranked,
        Run,
        Standing,
        Store,
        Summary,
    )

BOARDS_CACHED = 4096
MOST_REPEATED = 20
"""How often something is tried, at most, while other processes define its board anew."""
REPEATED = (
    *("submit", "submit_in_full", "submit_many", "set_metadata", "restore", "hide", "show", "remove", "drop"),
    *("make_run", "held", "held_entry", "release", "reject"),
    *(
        "standing",
        "standing_in_full",
        "page_json",
        "page",
        "entries_after",
        "around",
        "entries_named",
        "entries_between_scores",
    ),
    *("summary", "place", "hidden", "count", "periods", "find_period"),
)
"""The methods that go by a definition."""
T = TypeVar("T")
CALENDARS_CACHED = 4096
PERIODS_AT_ONCE = 50
"""How many periods are described before the loop may do something else."""

_calendar = lru_cache(CALENDARS_CACHED)(Calendar)
_past_calendar = lru_cache(CALENDARS_CACHED)(Calendar)
"""Calendars that are asked for times before now: each keeps the period that it was asked for last."""


class Slice(Struct, frozen=True):
    """Consecutive entries of a board, and whether there are more after them."""

    entries: Entries
    has_more: bool


class Found(Struct, frozen=True):
    """Of some names those that are on a board, in rank order, and the others in the order of the request."""

    entries: Entries
    missing: list[str]


class ListedPeriod(Struct, frozen=True):
    """A period that has entries. It begins at ``start`` and ends before ``stop``, both in the board's time zone."""

    window: str
    period: str
    start: str
    stop: str
    count: Count
    current: bool


class _Feeding:
    """A board with the periods that a submit feeds now. Until one of them ends, asking again costs next to nothing."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._since, self._until = inf, -inf

    def at(self, now: float) -> Board:
        if not self._since <= now < self._until:
            name, definition = self._board.name, self._board.definition
            calendars = [_calendar(window, definition.time_zone) for window in definition.windows]
            spans = [calendar.span_at(now) for calendar in calendars]
            feeds = (
                Feed(calendar.window, span.period, _oldest_kept(calendar, definition, now))
                for calendar, span in zip(calendars, spans, strict=True)
            )
            self._board = Board(name, definition, feeds=tuple(feeds))
            self._since = max((span.start for span in spans), default=-inf)
            self._until = min((span.stop for span in spans), default=inf)
        return self._board


class Boards:
    """All boards of one store, as the deployment's file and the definitions that the store keeps define them.

    The rules are checked before the store is asked: BadName, BadParameter, BadBody, ScoreRefused and NotDeclared are
    raised then. Errors of the store pass through.
    """

    def __init__(self, store: Store, file: BoardsFile = NO_FILE, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._file = file
        self._clock = clock
        self._stored: Mapping[str, Definition] = {}
        self._defined: list[str] = []
        self._redefined: set[str] = set()
        self._submits = Turnstile(self._forget)
        self._changes = 0
        self._accepted = self._refused = 0
        self.redefined: Callable[[str], object] = lambda _: None
        """Called with a board whose definition may be another, or with EVERY_BOARD."""
        if store.shares_definitions:
            store.follow(self._learn)
            for method in REPEATED:
                setattr(self, method, self._repeated(getattr(self, method)))
        self.board = lru_cache(BOARDS_CACHED)(self._find)
        """Return the all-time board of a name; it is not visible if the deployment hides undeclared boards."""
        self._feeding = lru_cache(BOARDS_CACHED)(self._find_feeding)

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {"batch_entries": {"accepted": self._accepted, "refused": self._refused}}

    async def declare(self, file: BoardsFile | None = None) -> None:
        """Have the store keep the file's definitions, and use those that it keeps.

        Once before anything else, and again for another ``file``, which takes the place of the first. A board that it
        has no more keeps the definition that is in the store. Raises BadDefinition if the store cannot keep one,
        DefinitionConflict if stored entries contradict one; then all is as it was.
        """
        store = self.store
        if file is None:
            check_kept(file := self._file, store.capabilities, "The boards file")
        else:  # while other requests are answered, whom a long file must not keep waiting
            await asyncio.to_thread(check_kept, file, store.capabilities, "The boards file")
        self._stored = await store.definitions()
        async with self._submits.close_all():
            try:
                await store.declare(file.boards if store.capabilities.defining else {}, file.default)
                self._file = file
            finally:  # a disk that fails half-way has kept some
                self._redefined.clear()
                self._defined = sorted(self._stored.keys() | self._file.boards.keys())

    # Definitions that other processes change

    def _learn(self, board: str) -> None:
        """Know that a board is defined otherwise than it was."""
        self._changes += 1
        self._redefined.add(board)
        self._forget(board)

    def _repeated(self, method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        """Return a method that is done again if the definition, by which it was done or refused, has become another."""

        async def repeat(board: Board | str, *args: object, **options: object) -> T:
            for _ in range(MOST_REPEATED):
                before = self._changes
                try:
                    return await method(board, *args, **options)
                except DefinitionChanged:
                    pass
                except StoreError:
                    raise
                except LaurelsError:
                    await self.learn(board if isinstance(board, str) else board.name)
                    if self._changes == before:
                        raise
                board = board if isinstance(board, str) else self._find_again(board)
                args = tuple(self._find_again(each) if isinstance(each, Board) else each for each in args)
            raise StoreUnavailable("The definition of the board changes all the time")

        return repeat

    def _find_again(self, where: Board) -> Board:
        """Return a board, or a period of it, as it is defined now; the current period stays the current one."""
        if not where.window:
            return self.board(where.name)
        calendar = _calendar(where.window, where.definition.time_zone)
        is_current = calendar.span_at(self._clock()).period == where.period
        return self.period_of(where.name, where.window, None if is_current else where.period)

    async def learn(self, board: str) -> None:
        """Know how a board is defined now, if other processes may have defined it anew."""
        if self.store.shares_definitions:
            await self.store.learn(checked_board(board))

    def _forget(self, board: str) -> None:
        """Forget what follows from definitions, because that of a board has changed, or that of every board."""
        self.board.cache_clear()
        self._feeding.cache_clear()
        self.redefined(board)

    # Which board it is

    def _own_definition(self, name: str) -> Definition | None:
        stored = self._stored.get(name)
        return stored if stored or self.store.shares_definitions else self._file.boards.get(name)

    def _find(self, name: str) -> Board:
        definition = self._own_definition(checked_board(name))
        visible = definition is not None or not self._file.declared_only
        return Board(name, definition or self.store.default_of(name, self._file.default), visible=visible)

    def _find_feeding(self, name: str) -> _Feeding:
        return _Feeding(self.board(name))

    def _board_to_submit(self, name: str) -> Board:
        """Return the board as a submit feeds it now; its definition is not being changed."""
        board = self.board(name)
        if not board.visible:
            raise NotDeclared(name)
        return self._feeding(name).at(self._clock()) if board.definition.windows else board

    def period_of(self, name: str, window: str, period: str | None) -> Board:
        """Return a period of a window of a board, the current one if ``period`` is None.

        One that is not kept any more, or has not begun, is not visible. Raises BadParameter if the board has no such
        window, or the window no such period.
        """
        board = self.board(name)
        definition = board.definition
        if window not in definition.windows:
            window = _find_window(definition, window)
        calendar = _calendar(window, definition.time_zone)
        now = self._clock()
        current = calendar.span_at(now).period
        if period is None:
            period = current
        else:
            calendar.check(period)
        is_kept = _oldest_kept(calendar, definition, now) <= period <= current
        return Board(name, definition, window, period, visible=is_kept and board.visible)

    def now(self) -> float:
        """Return the present instant, in seconds since the epoch."""
        return self._clock()

    def period_end(self, where: Board) -> float:
        """Return the instant at which the current period of a window ends."""
        return _calendar(where.window, where.definition.time_zone).span_at(self._clock()).stop

    async def find_period(self, name: str, window: str, period: str | None) -> Board:
        """Return a period as :meth:`period_of` does."""
        return self.period_of(name, window, period)

    def periods_near(self, where: Board, count: int) -> tuple[str, list[str]]:
        """Return the current period of a window, and the latest ``count`` before it that are kept.

        If those do not reach back to ``where``, it and the nearest on both sides of it are returned instead.
        """
        definition, now = where.definition, self._clock()
        calendar = _calendar(where.window, definition.time_zone)
        oldest, current = _oldest_kept(calendar, definition, now), calendar.span_at(now).period
        near = [calendar.past(now, back) for back in range(1, count + 1)]
        if str(FIRST_YEAR) <= where.period < near[-1]:
            past = _past_calendar(where.window, definition.time_zone)
            later = past.span_of(where.period).stop
            for _ in range(1, count // 2):
                later = past.span_at(later).stop
            near = [past.past(later, back) for back in range(count)]
        return current, [period for period in near if period and period >= oldest]

    async def periods(
        self, name: str, after: tuple[str, str] = ("", ""), limit: int | None = None
    ) -> list[ListedPeriod]:
        """Return the periods of a board that have entries and are visible, by window and from the oldest.

        The first of those after a window and a period of it, whether or not that is there.
        """
        board = self.board(name)
        definition, now = board.definition, self._clock()
        windows = [window for window in sorted(definition.windows) if board.visible and window >= after[0]]
        calendars = {window: _calendar(window, definition.time_zone) for window in windows}
        next_name = f"{after[1]}\0"  # no name is between
        ranges = [
            PeriodRange(
                window,
                max(_oldest_kept(calendar, definition, now), next_name if window == after[0] else ""),
                calendar.span_at(now).period,
            )
            for window, calendar in calendars.items()
        ]
        listed = []
        for count, period in enumerate(await self.store.periods(board, ranges, limit), 1):
            calendar = calendars[period.window]
            listed.append(_describe_period(calendar, period, calendar.span_at(now).period))
            if count % PERIODS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return listed

    # Writes

    @property
    def reports_changes(self) -> bool:
        """Whether :meth:`submit` can return a change; it raises NotKept if one is wanted all the same."""
        return self.store.capabilities.one_state

    def submit(
        self,
        board: str,
        submission: Submission,
        key: str | None = None,
        *,
        want_change: bool = False,
        needs_run: bool = False,
    ) -> Awaitable[Change | None]:
        """Submit a score for a name; return what it changed if that is wanted. A ``key`` makes it count once.

        ``needs_run`` says that it is refused without a run if the board requires one.

        The awaitable is to be awaited at once: the definition of the board may change after it was made.
        """
        if submission.metadata is None and not (want_change or self._submits.changing):
            where = self.board(board)
            if where.takes_any_score:
                # Most submits: the rules have no more to say, the store has nothing to return, and its awaitable is
                # enough. A coroutine around it would cost as much as all the checks.
                if key is None:
                    check_entry(submission.name, submission.score)
                    return self.store.submit(where, submission)  # type: ignore[return-value]
                once = make_submit_key(key, board, submission)
                check_entry(submission.name, submission.score)
                if not self.store.may_know(once):
                    return self.store.submit(where, submission, once)  # type: ignore[return-value]
        return self.submit_in_full(board, submission, key, want_change=want_change, needs_run=needs_run)

    def submit_in_full(
        self,
        board: str,
        submission: Submission,
        key: str | None = None,
        *,
        want_change: bool = False,
        needs_run: bool = False,
    ) -> Awaitable[Change | None]:
        """Submit as :meth:`submit` does, also a FullSubmission; raise BadBody if its time is to come, and NotKept."""
        if operator_of(submission) and not self.store.capabilities.guarding:
            raise NotKept("submit by another operator than the board's")
        if key is None:
            return self._submit(board, submission, None, want_change=want_change, needs_run=needs_run)
        return self._submit_once(board, submission, key, want_change=want_change, needs_run=needs_run)

    async def _submit_once(
        self, board: str, submission: Submission, key: str, *, want_change: bool, needs_run: bool
    ) -> Change | None:
        once = make_submit_key(key, board, submission)
        try:
            return await self._submit(board, submission, once, want_change=want_change, needs_run=needs_run)
        except KeyReused:
            # Before 0.5 every fingerprint was a digest
            once = make_idempotency_key(key, board, submission.name, (submission,))
            return await self._submit(board, submission, once, want_change=want_change, needs_run=needs_run)

    async def _submit(
        self, board: str, submission: Submission, once: IdempotencyKey | None, *, want_change: bool, needs_run: bool
    ) -> Change | None:
        if self._submits.changing:
            await self._submits.wait(board)
        where = self._board_to_submit(board)
        try:
            check_submission(submission, where.definition)
            check_run(board, submission, where.definition, needs_run=needs_run)
            if isinstance(submission, FullSubmission):
                submission = self._date(where, submission)
        except ScoreRefused:
            # A retry gets the first answer even if the board has got bounds since that exclude its score
            first = await self.store.recall(where, once) if once else None
            if first is None:
                raise
        else:
            submitting = self.store.submit(where, submission, once, want_changes=want_change)
            may_wait = once is not None or submission.metadata is not None
            first = await (self._submits.let_pass(board, submitting) if may_wait else submitting)
        return first.changes[0] if first and want_change else None

    async def submit_many(
        self, board: str, batch: Sequence[Submission | Refusal], key: str | None = None, *, needs_run: bool = False
    ) -> list[Refusal]:
        """Submit all good submissions of a batch in one operation, in their order; return why the others are not kept.

        A refusal in the batch is that of an entry that could not even be read, and is returned with the rest. With
        ``needs_run`` all of them are refused if the board requires one, because a batch has none; a retry of one from
        before gets the first answer.
        """
        once = None if key is None else make_idempotency_key(key, board, "", batch)
        if self._submits.changing:
            await self._submits.wait(board)
        where = self._board_to_submit(board)
        if needs_run and requires_run(where.definition):
            first = await self.store.recall(where, once) if once else None
            if first is None:
                raise run_missing(board)
            return list(first.refusals)
        refused = dict(find_refusals(batch, where.definition))
        checked = [refused.get(index, entry) for index, entry in enumerate(batch)] if refused else batch
        if FullSubmission in set(map(type, checked)):
            checked = self._date_all(where, checked)
        result = await self._submits.let_pass(board, self.store.submit(where, checked, once))
        refusals = list(result.refusals) if result else []
        self._accepted += len(batch) - len(refusals)
        self._refused += len(refusals)
        return refusals

    def _date(self, where: Board, submission: FullSubmission) -> FullSubmission:
        """Return a submission with the periods of its time that are kept; raise BadBody if that is to come."""
        if submission.submitted_at is None:
            return structs.replace(submission, feeds=where.feeds)
        now, time = self._clock(), submission.submitted_at / SECOND
        check_past(time, now)
        return structs.replace(submission, feeds=tuple(_find_feeds(where, time, now)))

    def _date_all(self, where: Board, batch: Sequence[Submission | Refusal]) -> list[Submission | Refusal]:
        dated: list[Submission | Refusal] = []
        for index, entry in enumerate(batch):
            try:
                dated.append(self._date(where, entry) if isinstance(entry, FullSubmission) else entry)
            except BadBody as error:
                dated.append(Refusal(index, entry.name, str(error)))
        return dated

    async def set_metadata(self, board: str, name: str, metadata: bytes | None, period: Board | None = None) -> None:
        """Replace the metadata of a name on a board and in its current periods, or in one ``period``; None for none.

        Raises NotOnBoard if the name is not there.
        """
        checked_name(name)
        check_metadata(metadata)
        if self._submits.changing:
            await self._submits.wait(board)
        where = period or self._board_to_submit(board)
        if not where.visible or not await self.store.set_metadata(where, name, metadata):
            raise NotOnBoard("name", name)

    async def restore(self, where: Board, batch: Sequence[Submission | Refusal]) -> list[Refusal]:
        """Give names exactly these entries on a board alone, or on one period of it; return why some are not kept.

        Whatever the operator and the guard say; bounds hold. A board or a period that is not visible takes none.
        """
        await self._submits.wait(where.name)
        if not where.visible:
            raise BadParameter("period", "That period is not kept.") if where.window else NotDeclared(where.name)
        where = structs.replace(where, definition=self.board(where.name).definition)
        return await self._submits.let_pass(where.name, restore(self.store, where, batch, self._clock()))

    def hide(self, board: str, name: str) -> Awaitable[bool]:
        """Hide a name on a board and in its periods; return whether it was not hidden."""
        where = self.board(board)
        if not where.visible:
            raise NotDeclared(board)
        return self.store.hide(where, checked_name(name))

    def show(self, board: str, name: str) -> Awaitable[bool]:
        """Let a hidden name be as any other again; return whether it was hidden."""
        return self.store.show(self.board(board), checked_name(name))

    def remove(self, where: Board, name: str) -> Awaitable[bool]:
        """Remove a name from a board and its periods, or from one period; return whether it was there."""
        return self.store.remove(where, checked_name(name))

    def drop(self, where: Board) -> Awaitable[bool]:
        """Remove a board with all its entries and periods, or one period; return whether it existed."""
        return self.store.drop(where)

    # The guard

    async def make_run(self, board: str, name: str) -> Run:
        """Return a run of a player for a board; raise RunRefused if that takes none."""
        where = self._board_to_submit(board)
        guard = where.definition.guard
        if guard is None or guard.runs is None:
            raise RunRefused(f"The board {truncate(board)!r} takes no runs: its definition has none in guard.")
        return await self.store.make_run(where, checked_name(name))

    async def held(self, board: str, after: Ranked | None, limit: int) -> Slice:
        """Return held entries of a board, best first: the first of those after the place of one."""
        if after is not None:
            checked_name(after.name)
            checked_score(after.score)
        return _slice(await self.store.held(self.board(board), after, limit + 1), limit)

    async def held_entry(self, board: str, name: str) -> Ranked | None:
        """Return what is held of a name, None if that is nothing."""
        return await self.store.held_entry(self.board(board), checked_name(name))

    async def release(self, board: str, name: str) -> None:
        """Let what is held of a name count as of its time, into the periods that are still kept.

        Raises NotHeld if nothing is, and ScoreRefused if the board does not accept it; then it stays held.
        """
        checked_name(name)
        while True:  # until nothing else was held meanwhile
            await self._submits.wait(board)
            if await self._submits.let_pass(board, self._release(board, name)):
                return

    async def _release(self, board: str, name: str) -> bool:
        where = self.board(board)
        held = await self.store.held_entry(where, name, with_metadata=True)
        if held is None:
            raise NotHeld(name)
        check_bounds(held.score, where.definition)
        now, time = self._clock(), (held.submitted_at or 0) / SECOND
        feeds = tuple(_find_feeds(where, min(time, now), now))
        return await self.store.release(structs.replace(where, feeds=feeds), held)

    async def reject(self, board: str, name: str) -> None:
        """Forget what is held of a name; raise NotHeld if nothing is."""
        if not await self.store.reject(self.board(board), checked_name(name)):
            raise NotHeld(name)

    # Reads

    def standing(self, where: Board, name: str) -> Awaitable[Standing | None]:
        """Return score and rank of a name, None if it is not on the board."""
        return self.store.standing(where, checked_name(name))

    async def standing_in_full(
        self,
        where: Board,
        name: str,
        *,
        with_metadata: bool = False,
        with_windows: bool = False,
        with_held: bool = False,
    ) -> FullStanding:
        """Return all there is to say of a name, with its standings in the current periods if that is wanted."""
        windows = where.definition.windows if with_windows else ()
        if with_windows and where.window:
            raise BadParameter("include", "windows goes with the board of all time, not with one of its windows.")
        periods = [self.period_of(where.name, window, None) for window in windows]
        found = await self.store.standing_in_full(
            where, checked_name(name), periods, with_metadata=with_metadata, with_held=with_held
        )
        return structs.replace(found, window_names=windows) if windows else found

    def page_json(self, where: Board, start: int, stop: int, *, with_metadata: bool = False) -> Awaitable[bytes]:
        """Return the entries at the places from ``start`` up to ``stop``, 1,000 at most, as a JSON array."""
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        return self.store.page_json(where, start, stop, with_metadata=with_metadata)

    async def page(  # noqa: PLR0913 - the options of a read
        self,
        where: Board,
        start: int,
        stop: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
        want_cursor: bool = False,
    ) -> Slice:
        """Return the same entries with their ranks, and with their metadata or places and total if that is wanted.

        ``want_cursor`` says that those after them will be asked for: NotKept is raised if :meth:`entries_after` would.
        """
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        if want_cursor and not self.store.capabilities.one_state:
            raise NotKept("go on after a page")
        found = await self.store.page(where, start, stop + 1, with_metadata=with_metadata, with_places=with_places)
        return _slice(found, stop - start)

    async def entries_after(
        self, where: Board, entry: Ranked, limit: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Slice:
        """Return the entries that come next after the place of ``entry``, 1,000 at most, wherever it is now."""
        if not 1 <= limit <= PAGE_ENTRIES:  # a cursor says how many, and anybody can make one
            raise BadParameter("limit", f"limit is {limit}: it must be from 1 to {PAGE_ENTRIES:,}.")
        checked_name(entry.name)
        checked_score(entry.score)
        found = await self.store.entries_after(
            where, entry, limit + 1, with_metadata=with_metadata, with_places=with_places
        )
        return _slice(found, limit)

    async def around(  # noqa: PLR0913 - the options of a read
        self,
        where: Board,
        name: str,
        span: int,
        limit: int | None = None,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
    ) -> Entries:
        """Return a name with up to ``span`` entries on either side, or with a ``limit`` so many entries in all.

        Raises NotOnBoard if it is missing.
        """
        checked_name(name, "around")
        found = await self.store.around(where, name, span, limit, with_metadata=with_metadata, with_places=with_places)
        if found is None:
            raise NotOnBoard("around", name)
        return found

    async def entries_named(
        self, where: Board, names: Sequence[str], *, with_metadata: bool = False, with_places: bool = False
    ) -> Found:
        """Return the entries of these names, 100 at most and each once."""
        if len(names) > NAMES_ASKED:
            raise BadParameter("name", f"{len(names)} names are asked for: ask for at most {NAMES_ASKED} at a time.")
        if len(set(names)) < len(names):
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise BadParameter("name", f"The name {truncate(twice)!r} stands twice: ask for each name once.")
        entries = await self.store.entries_named(
            where, [checked_name(name) for name in names], with_metadata=with_metadata, with_places=with_places
        )
        found = {entry.name for entry in entries}
        return Found(entries, [name for name in names if name not in found])

    async def entries_between_scores(  # noqa: PLR0913 - the options of a read
        self,
        where: Board,
        low: Score | None,
        high: Score | None,
        limit: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
    ) -> Entries:
        """Return the best ``limit`` entries with scores from ``low`` to ``high``; None leaves an end open."""
        if low is not None and high is not None and low > high:
            raise BadParameter("maxScore", f"No score is from {low} to {high}: maxScore is not below minScore.")
        ends = -inf if low is None else low, inf if high is None else high
        return await self.store.entries_between_scores(
            where, *ends, limit, with_metadata=with_metadata, with_places=with_places
        )

    def summary(
        self, where: Board, percentiles: Sequence[Percentile] = PERCENTILES, buckets: int = DEFAULT_SUMMARY_BUCKETS
    ) -> Awaitable[Summary]:
        """Return a board in a few figures."""
        return self.store.summary(where, percentiles, buckets)

    def place(self, where: Board, score: Score) -> Awaitable[Place]:
        """Return the place that a score would have."""
        return self.store.place(where, score)

    def hidden(
        self, where: Board, after: str, limit: int, *, with_metadata: bool = False
    ) -> Awaitable[list[HiddenName]]:
        """Return the hidden names of a board, by their bytes: the first after ``after``, with their entries."""
        if after:
            checked_name(after, "after")
        return self.store.hidden(where, after, limit, with_metadata=with_metadata)

    # Definitions

    async def definition(self, name: str) -> Definition:
        """Return the definition of a board; raise NotDefined if it has neither one of its own nor entries."""
        await self.learn(name)
        where = self.board(name)
        if self._own_definition(name) or await self.store.count(where):
            return where.definition
        raise NotDefined(name)

    def count(self, where: Board) -> Awaitable[int]:
        """Return how many entries a board, or a period of it, has."""
        return self.store.count(where)

    def describe(self, name: str) -> tuple[Definition, bool]:
        """Return the definition of a board, and whether it is its own."""
        return self.board(name).definition, self._own_definition(name) is not None

    async def names(self, after: str, limit: int) -> list[str]:
        """Return the boards that are defined or have entries, by the bytes of their names: the first after ``after``.

        Raises NotKept if the store cannot list its boards.
        """
        if len(after.encode()) > NAME_BYTES:
            after = last_name(after)  # the store knows no longer ones
        if self.store.shares_definitions:
            await self.store.learn()
        stored = [] if self._file.declared_only else await self.store.names(after, limit)
        defined = self._sorted_names()
        first = bisect_right(defined, after)
        names = (name for name, _ in groupby(merge(defined[first : first + limit], stored)))
        return list(islice(names, limit))

    def _sorted_names(self) -> list[str]:
        """Return the names of the boards that are defined, in their order; what has changed since is put right."""
        names = self._defined
        for name in self._redefined:
            place, is_defined = bisect_left(names, name), self._own_definition(name) is not None
            was_defined = names[place : place + 1] == [name]
            names[place : place + was_defined] = [name] * is_defined
        self._redefined.clear()
        return names

    async def define(
        self, name: str, definition: Definition, is_expected: Callable[[Definition], bool] | None = None
    ) -> bool:
        """Define a board from now on; return whether it had no definition of its own.

        Raises DefinitionStale if the definition that it has is another than expected.
        """
        async with self._change_definition(name):
            if is_expected is not None and not is_expected(self.board(name).definition):
                raise DefinitionStale(name)
            self.store.capabilities.check(definition)
            is_new = name not in self._stored
            await self.store.define(name, definition)
        return is_new

    async def undefine(self, name: str) -> bool:
        """Let a board have the default definition from now on; return whether it had one of its own."""
        async with self._change_definition(name):
            return await self.store.undefine(name)

    @asynccontextmanager
    async def _change_definition(self, name: str) -> AsyncIterator[None]:
        """Let submits to a board wait until its definition has changed, or has not, so that none is by the old one."""
        checked_board(name)
        await self._submits.wait(name)
        await self.learn(name)
        if name in self._file.boards:
            raise DefinitionConflict(
                name, "it is declared in the boards file; change it there, and reload that (SIGHUP)"
            )
        async with self._submits.close(name):
            try:
                yield
            finally:
                self._redefined.add(name)

    def ready(self) -> Awaitable[None]:
        """Return if submits can be kept now; raise StoreUnavailable if not."""
        return self.store.ready()


def _find_feeds(where: Board, time: float, now: float) -> Iterator[Feed]:
    """Yield the periods of a board at a time, as far as they are kept now."""
    for window in where.definition.windows:
        zone = where.definition.time_zone
        period = _past_calendar(window, zone).span_at(time).period
        oldest = _oldest_kept(_calendar(window, zone), where.definition, now)
        if period >= oldest:
            yield Feed(window, period, oldest)


def _find_window(definition: Definition, text: str) -> str:
    """Return the window of a definition that a line means, however that is written."""
    with suppress(ValueError):
        text = normalize_window(text)
    if text not in definition.windows:
        has = f"it has {', '.join(map(repr, definition.windows))}" if definition.windows else "it has none"
        raise BadParameter("window", f"{truncate(text)!r} is no window of this board: {has}.")
    return text


def _oldest_kept(calendar: Calendar, definition: Definition, now: float) -> str:
    """Return the oldest period that is kept, or an empty name, which sorts before all, if all are."""
    count = definition.keep.get(calendar.window)
    return calendar.past(now, count) if count else ""


def _describe_period(calendar: Calendar, period: Period, current: str) -> ListedPeriod:
    span = calendar.span_of(period.period)
    start, stop = (datetime.fromtimestamp(end, calendar.zone).isoformat() for end in (span.start, span.stop))
    return ListedPeriod(period.window, period.period, start, stop, period.count, period.period == current)


def check_kept(file: BoardsFile, capabilities: Capabilities, called: str) -> None:
    """Raise BadDefinition if a store cannot keep what a file declares; ``called`` is the name of the file in it."""
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


def _slice(found: list[Ranked], limit: int) -> Slice:
    has_more = len(found) > limit
    if isinstance(found, Entries):
        return Slice(Entries(found[:limit], found.places[:limit], found.total), has_more)
    return Slice(Entries(found[:limit]), has_more)
