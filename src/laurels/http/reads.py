"""The reads of a board, as a query asks for them: which parameters go together, and what each read answers.

Each by its parameters; all take ``include``, and ``window`` and ``period``:

    startRank endRank            a page
    cursor                       the page behind one
    around span                  a name and its neighbours
    name name ...                the entries of these names
    minScore maxScore limit      the entries between two scores
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET, Raw

from laurels.errors import BadParameter, NotKept
from laurels.http.cursor import read_cursor, write_cursor
from laurels.http.wire import ReadEntry, Reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from laurels.boards import Boards, Slice
    from laurels.http.query import Query
    from laurels.stores.contract import Board, Ranked, Score

DEFAULT_PAGE = 20
DEFAULT_SPAN = 5
BOARDS_LISTED, MOST_BOARDS_LISTED = 100, 1000
EVERYWHERE = ("include", "window", "period")
WINDOW = ("window", "period")
FIELDS = ("rank", "metadata", "submittedAt")
"""What ``include`` may name; of a page also ``cursor``."""
PAGE_FIELDS = (*FIELDS, "cursor")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Read(NamedTuple):
    """One way to read a board; ``what`` is its name in an error."""

    what: str
    takes: tuple[str, ...]
    answer: Callable[[Boards, str, Query], Awaitable[Reading]]


def wanted_read(query: Query) -> Read:
    """Tell which read a query asks for; raise BadParameter where it has parameters that do not go with that."""
    read = next((BY_PARAMETER[key] for key in BY_PARAMETER if key in query), PAGE)
    _check_takes(query, read.what, read.takes)
    return read


def page_ranks(query: Query) -> tuple[int, int]:
    """Give the first rank of a page and that after its last."""
    start = query.number("startRank", 0)
    return start, query.number("endRank", start + DEFAULT_PAGE)


def placed_score(query: Query) -> Score:
    """Give the score whose rank is asked for."""
    _check_takes(query, "the rank of a score", ("score", *WINDOW))
    score = query.score("score")
    if score is None:
        raise BadParameter("score", "There is no score to tell the rank of: ask with ?score=1234.")
    return score


def board_asked(boards: Boards, board: str, query: Query) -> Board:
    """Give the board that a query is about: a period of a window where it names one, else the board of all time."""
    period = query.text("period") if "period" in query else None
    if "window" in query:
        return boards.period_of(board, query.text("window"), period)
    if period is not None:
        raise BadParameter("period", "period goes with window: name the window that it is a period of.")
    return boards.board(board)


def listed_boards(query: Query) -> tuple[str, int]:
    """Give the name that boards are listed after, and how many."""
    _check_takes(query, "the list of boards", ("after", "limit"))
    limit = query.number("limit", BOARDS_LISTED)
    if not 0 < limit <= MOST_BOARDS_LISTED:
        raise BadParameter("limit", f"limit is {limit}: it must be from 1 to {MOST_BOARDS_LISTED:,}.")
    return query.text("after") if "after" in query else "", limit


def check_window_only(query: Query, what: str) -> None:
    """Raise BadParameter for parameters other than those which name a period."""
    _check_takes(query, what, WINDOW)


def _check_takes(query: Query, what: str, takes: tuple[str, ...]) -> None:
    for key in query:
        if key not in takes:
            home = next((read.what for read in READS if key in read.takes and key not in EVERYWHERE), None)
            problem = f"{key} goes with {home}, not here" if home else f"There is no parameter {key}"
            raise BadParameter(key, f"{problem}: {what} takes {_listed(takes)}.")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _fields(boards: Boards, query: Query, known: tuple[str, ...] = FIELDS) -> frozenset[str]:
    """Give what is to be included; raise NotKept where the store has no times."""
    fields = query.text("include").split(",") if "include" in query else []
    for field in fields:
        if field not in known:
            problem = (
                "cursor goes with a page, not here" if field == "cursor" else f"There is no field {field!r} to include"
            )
            raise BadParameter("include", f"{problem}. There are {_listed(known)}.")
    if "submittedAt" in fields and not boards.store.capabilities.submission_details:
        raise NotKept("tell when a score was submitted")
    return frozenset(fields)


def _time(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_NULL = Raw(b"null")


def _entries(found: Sequence[Ranked], fields: frozenset[str]) -> list[ReadEntry]:
    rank, noted, timed = "rank" in fields, "metadata" in fields, "submittedAt" in fields
    return [
        ReadEntry(
            entry.name,
            entry.score,
            entry.rank if rank else UNSET,
            (_NULL if entry.metadata is None else Raw(entry.metadata)) if noted else UNSET,
            (None if entry.submitted_at is None else _time(entry.submitted_at)) if timed else UNSET,
        )
        for entry in found
    ]


def _reading(board: Board, found: Slice, size: int, fields: frozenset[str]) -> Reading:
    entries = _entries(found.entries, fields)
    if "cursor" not in fields:
        return Reading(entries)
    return Reading(entries, write_cursor(board, size, found.entries[-1]) if found.has_more else None)


async def _page(boards: Boards, board: str, query: Query) -> Reading:
    start, stop = page_ranks(query)
    fields = _fields(boards, query, PAGE_FIELDS)
    where = board_asked(boards, board, query)
    found = await boards.page(where, start, stop, with_metadata="metadata" in fields, want_cursor="cursor" in fields)
    return _reading(where, found, stop - start, fields)


async def _next(boards: Boards, board: str, query: Query) -> Reading:
    fields = _fields(boards, query, PAGE_FIELDS)
    cursor = read_cursor(board, query.text("cursor"))
    window = boards.period_of(board, query.text("window"), None).window if "window" in query else cursor.window
    period = query.text("period") if "period" in query else cursor.period
    for key, is_other in (("window", window != cursor.window), ("period", period != cursor.period)):
        if is_other:
            raise BadParameter(key, f"The cursor is of {_told(cursor.window, cursor.period)}: it goes on there only.")
    where = boards.period_of(board, cursor.window, cursor.period) if cursor.window else boards.board(board)
    found = await boards.entries_after(where, cursor.entry, cursor.size, with_metadata="metadata" in fields)
    return _reading(where, found, cursor.size, fields)


def _told(window: str, period: str) -> str:
    return f"window {window}, period {period}" if window else "the board of all time"


async def _around(boards: Boards, board: str, query: Query) -> Reading:
    fields = _fields(boards, query) | {"rank"}
    span = query.number("span", DEFAULT_SPAN)
    where = board_asked(boards, board, query)
    found = await boards.around(where, query.text("around"), span, with_metadata="metadata" in fields)
    return Reading(_entries(found, fields))


async def _names(boards: Boards, board: str, query: Query) -> Reading:
    fields = _fields(boards, query) | {"rank"}
    where = board_asked(boards, board, query)
    found = await boards.entries_named(where, query.texts("name"), with_metadata="metadata" in fields)
    return Reading(_entries(found.entries, fields), missing=found.missing)


async def _scores(boards: Boards, board: str, query: Query) -> Reading:
    fields = _fields(boards, query) | {"rank"}
    low, high, limit = query.score("minScore"), query.score("maxScore"), query.number("limit", DEFAULT_PAGE)
    where = board_asked(boards, board, query)
    return Reading(
        _entries(
            await boards.entries_between_scores(where, low, high, limit, with_metadata="metadata" in fields), fields
        )
    )


PAGE = Read("a page", ("startRank", "endRank", *EVERYWHERE), _page)
NEXT = Read("the page behind a cursor", ("cursor", *EVERYWHERE), _next)
AROUND = Read("a read around a name", ("around", "span", *EVERYWHERE), _around)
NAMES = Read("a read of names", ("name", *EVERYWHERE), _names)
SCORES = Read("a read between scores", ("minScore", "maxScore", "limit", *EVERYWHERE), _scores)

READS = (PAGE, NEXT, AROUND, NAMES, SCORES)
BY_PARAMETER = {"around": AROUND, "name": NAMES, "minScore": SCORES, "maxScore": SCORES, "cursor": NEXT}
"""The parameters that tell which read is asked for; without any of them it is a page."""
