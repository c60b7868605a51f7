"""The reads of a board: which parameters go together, and what each read answers.

A request asks for one of them by its parameters; all take ``include``, ``window`` and ``period``, too.

    startRank endRank            a page
    cursor                       the page after one
    around span | limit          a name and its neighbours
    name name ...                the entries of these names
    minScore maxScore limit      the entries between two scores
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Raw, Struct, UnsetType

from laurels.errors import BadParameter, NotDefined, NotKept
from laurels.http.bodies import format_time
from laurels.http.cursor import read_cursor, write_cursor
from laurels.http.messages import Response
from laurels.http.operation import Handler, Inputs
from laurels.http.parameters import (
    A_PAGE,
    AROUND,
    AROUND_NAME,
    BETWEEN_SCORES,
    CURSOR,
    END_RANK,
    INCLUDE,
    INCLUDE_IN_PAGE,
    LIMIT,
    LIMIT_AROUND,
    MAX_SCORE,
    MIN_SCORE,
    NAMES,
    NEXT_PAGE,
    OF_NAMES,
    OF_PERIOD,
    SPAN,
    START_RANK,
)
from laurels.http.wire import ReadEntry, Reading, encode
from laurels.limits import DEFAULT_PAGE_ENTRIES, DEFAULT_SPAN_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from laurels.boards import Boards, Slice
    from laurels.http.cursor import Cursor
    from laurels.http.gate import Context
    from laurels.http.messages import Headers
    from laurels.http.query import Query
    from laurels.stores.contract import Board, Entries, Score

GUESSED = {
    "healthz": "/-/health",
    "metrics": "/-/metrics",
    "docs": "/-/docs",
    "favicon.ico": "/",
    "robots.txt": "/",
}
"""Paths that probes, people and browsers try, and those that they mean. A board of such a name is not read as an empty
one, as any other is, but only if there is one: a probe of the wrong path would find a healthy service for ever."""
_NULL = Raw(b"null")
_METADATA = frozenset({"metadata"})
_OF_PLACES = frozenset({"place", "total"})


class Read(Struct, frozen=True):
    """One way to read a board. Its handler gets the values of the parameters."""

    inputs: Inputs
    handler: Handler


def parse_read(query: Query, headers: Headers) -> Sequence[Any]:
    """Return the read that a query asks for, and the values of its parameters; raise BadParameter for any other."""
    read = find_read(query)
    return (read, *read.inputs.read(query, headers))


def find_read(query: Query) -> Read:
    """Return the read that a query asks for."""
    return next((BY_PARAMETER[key] for key in BY_PARAMETER if key in query), PAGE_READ)


def read_board(context: Context, board: str, read: Read, *values: Any) -> Awaitable[Response]:
    """Answer whichever read was asked for. The fast path calls the handler of a page itself, unless it is GUESSED."""
    if board in GUESSED:
        return _read_guessed(context, board, read, values)
    return read.handler(context, board, *values)


async def _read_guessed(context: Context, board: str, read: Read, values: Sequence[Any]) -> Response:
    """Answer as for any board, if there is such a one."""
    try:
        await context.boards.definition(board)
    except NotDefined:
        path = GUESSED[board]
        is_served = any(operation.path == path for operation in context.operations)
        advice = f" Perhaps you mean {path}." if is_served else f" Nor does this deployment have {path}."
        raise NotDefined(board, advice) from None
    return await read.handler(context, board, *values)


async def _read_page(
    context: Context,
    board: str,
    start: int,
    stop: int | None,
    fields: frozenset[str],
    window: str | None,
    period: str | None,
) -> Response:
    boards = context.boards
    stop = start + DEFAULT_PAGE_ENTRIES if stop is None else stop
    if not fields or fields == _METADATA:  # the store writes the JSON itself, at a tenth of the cost
        where = boards.board(board) if window is None is period else await find_board(boards, board, window, period)
        page = (
            boards.page_json(where, start, stop, with_metadata=True) if fields else boards.page_json(where, start, stop)
        )
        return Response(200, b'{"leaderboard":%b}' % await page)
    where = await _find_board(boards, board, fields, window, period)
    found = await boards.page(where, start, stop, **_wanted(fields), want_cursor="cursor" in fields)
    return _answer_slice(where, found, stop - start, fields)


async def _read_next_page(
    context: Context, board: str, text: str, fields: frozenset[str], window: str | None, period: str | None
) -> Response:
    boards = context.boards
    check_fields(boards, fields)
    cursor = read_cursor(board, text)
    where = await find_board_of(boards, cursor, board, window, period)
    found = await boards.entries_after(where, cursor.entry, cursor.size, **_wanted(fields))
    return _answer_slice(where, found, cursor.size, fields)


def span_of(span: int | None, limit: int | None) -> int:
    """Return how many neighbours on either side are asked for; raise BadParameter if so many in all are, too."""
    if span is not None and limit is not None:
        raise BadParameter("limit", "limit says how many entries in all, span how many on either side: send one.")
    return DEFAULT_SPAN_ENTRIES if span is None else span


async def _read_around(
    context: Context,
    board: str,
    name: str,
    span: int | None,
    limit: int | None,
    fields: frozenset[str],
    window: str | None,
    period: str | None,
) -> Response:
    boards = context.boards
    span = span_of(span, limit)
    where = await _find_board(boards, board, fields, window, period)
    found = await boards.around(where, name, span, limit, **_wanted(fields))
    return _answer(found, fields)


async def _read_names(
    context: Context,
    board: str,
    names: Sequence[str],
    fields: frozenset[str],
    window: str | None,
    period: str | None,
) -> Response:
    boards = context.boards
    where = await _find_board(boards, board, fields, window, period)
    found = await boards.entries_named(where, names, **_wanted(fields))
    return _answer(found.entries, fields, missing=found.missing)


async def _read_scores(
    context: Context,
    board: str,
    low: Score | None,
    high: Score | None,
    limit: int,
    fields: frozenset[str],
    window: str | None,
    period: str | None,
) -> Response:
    boards = context.boards
    where = await _find_board(boards, board, fields, window, period)
    found = await boards.entries_between_scores(where, low, high, limit, **_wanted(fields))
    return _answer(found, fields)


async def find_board(boards: Boards, board: str, window: str | None, period: str | None) -> Board:
    """Return a board, or the period of a window of it."""
    if window is not None:
        return await boards.find_period(board, window, period)
    if period is not None:
        raise BadParameter("period", "period goes with window: name the window that it is a period of.")
    return boards.board(board)


async def find_board_of(boards: Boards, cursor: Cursor, board: str, window: str | None, period: str | None) -> Board:
    """Return the board, or the period of a window of it, that a cursor goes on in; raise BadParameter for another."""
    if window is not None:
        window = (await boards.find_period(board, window, None)).window  # as the definition writes it
    for key, given, own in (("window", window, cursor.window), ("period", period, cursor.period)):
        if given is not None and given != own:
            of = f"window {cursor.window}, period {cursor.period}" if cursor.window else "the board of all time"
            raise BadParameter(key, f"The cursor is of {of}: it goes on there only.")
    return await find_board(boards, board, cursor.window or None, cursor.period or None)


async def _find_board(
    boards: Boards, board: str, fields: frozenset[str], window: str | None, period: str | None
) -> Board:
    check_fields(boards, fields)
    return await find_board(boards, board, window, period)


def check_fields(boards: Boards, fields: frozenset[str]) -> None:
    """Raise NotKept if the store does not keep what a field has."""
    if "submittedAt" in fields and not boards.store.capabilities.submission_details:
        raise NotKept("tell when a score was submitted")


def _wanted(fields: frozenset[str]) -> dict[str, bool]:
    """Return what the store is asked for beside entries and ranks."""
    return {"with_metadata": "metadata" in fields, "with_places": not fields.isdisjoint(_OF_PLACES)}


def _answer(found: Entries, fields: frozenset[str], **more: Any) -> Response:
    """Return entries with their ranks and the fields asked for."""
    total = found.total if "total" in fields else UNSET
    return Response(200, encode(Reading(_list_entries(found, fields | {"rank"}), **more, total=total)))


def _answer_slice(board: Board, found: Slice, size: int, fields: frozenset[str]) -> Response:
    """Return entries of a page with the fields asked for, and with the cursor of the next page if that is one."""
    entries = _list_entries(found.entries, fields)
    total = found.entries.total if "total" in fields else UNSET
    if "cursor" not in fields:
        return Response(200, encode(Reading(entries, total=total)))
    cursor = write_cursor(board, size, found.entries[-1]) if found.has_more else None
    return Response(200, encode(Reading(entries, cursor, total=total)))


def _list_entries(found: Entries, fields: frozenset[str]) -> list[ReadEntry]:
    rank, metadata, time = "rank" in fields, "metadata" in fields, "submittedAt" in fields
    places: Sequence[int | UnsetType] = found.places if "place" in fields else [UNSET] * len(found)
    return [
        ReadEntry(
            entry.name,
            entry.score,
            entry.rank if rank else UNSET,
            place,
            format_metadata(entry.metadata) if metadata else UNSET,
            (None if entry.submitted_at is None else format_time(entry.submitted_at)) if time else UNSET,
            entry.is_metadata_damaged or UNSET,
        )
        for entry, place in zip(found, places, strict=True)
    ]


def format_metadata(metadata: bytes | None) -> Raw:
    """Return metadata as JSON."""
    return _NULL if metadata is None else Raw(metadata)


_COMMON = (INCLUDE, *OF_PERIOD)

PAGE_READ = Read(Inputs(A_PAGE, (START_RANK, END_RANK, INCLUDE_IN_PAGE, *OF_PERIOD)), _read_page)
NEXT_READ = Read(Inputs(NEXT_PAGE, (CURSOR, INCLUDE_IN_PAGE, *OF_PERIOD)), _read_next_page)
AROUND_READ = Read(Inputs(AROUND_NAME, (AROUND, SPAN, LIMIT_AROUND, *_COMMON)), _read_around)
NAMES_READ = Read(Inputs(OF_NAMES, (NAMES, *_COMMON)), _read_names)
SCORES_READ = Read(Inputs(BETWEEN_SCORES, (MIN_SCORE, MAX_SCORE, LIMIT, *_COMMON)), _read_scores)

READS = (PAGE_READ, NEXT_READ, AROUND_READ, NAMES_READ, SCORES_READ)
BY_PARAMETER = {
    AROUND.name: AROUND_READ,
    NAMES.name: NAMES_READ,
    MIN_SCORE.name: SCORES_READ,
    MAX_SCORE.name: SCORES_READ,
    CURSOR.name: NEXT_READ,
}
"""The parameters that tell which read is asked for; without any of them it is a page."""
