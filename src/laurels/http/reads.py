"""The reads of a board, as a query asks for them: which parameters go together, and what each read answers.

Each by its parameters:

    startRank endRank include    a page
    cursor include               the page behind one
    around span                  a name and its neighbours
    name name ...                the entries of these names
    minScore maxScore limit      the entries between two scores
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from laurels.errors import BadParameter
from laurels.http.cursor import read_cursor, write_cursor
from laurels.http.wire import Reading
from laurels.stores.contract import Entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from laurels.boards import Boards, Stretch
    from laurels.http.query import Query
    from laurels.stores.contract import Score

DEFAULT_PAGE = 20
DEFAULT_SPAN = 5
FIELDS = ("rank", "cursor")
"""What ``include`` may name."""


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
    _check_takes(query, "the rank of a score", ("score",))
    score = query.score("score")
    if score is None:
        raise BadParameter("score", "There is no score to tell the rank of: ask with ?score=1234.")
    return score


def _check_takes(query: Query, what: str, takes: tuple[str, ...]) -> None:
    for key in query:
        if key not in takes:
            home = next((read.what for read in READS if key in read.takes), None)
            problem = f"{key} goes with {home}, not here" if home else f"There is no parameter {key}"
            raise BadParameter(key, f"{problem}: {what} takes {_listed(takes)}.")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _fields(query: Query) -> frozenset[str]:
    """Give what is to be included."""
    fields = query.text("include").split(",") if "include" in query else []
    for field in fields:
        if field not in FIELDS:
            raise BadParameter("include", f"There is no field {field!r} to include. There are {_listed(FIELDS)}.")
    return frozenset(fields)


def _reading(board: str, found: Stretch, size: int, fields: frozenset[str]) -> Reading:
    entries = found.entries if "rank" in fields else [Entry(entry.name, entry.score) for entry in found.entries]
    if "cursor" not in fields:
        return Reading(entries)
    last = found.entries[-1] if found.is_followed else None
    return Reading(entries, write_cursor(board, size, Entry(last.name, last.score)) if last else None)


async def _page(boards: Boards, board: str, query: Query) -> Reading:
    start, stop = page_ranks(query)
    fields = _fields(query)
    found = await boards.page(board, start, stop, going_on="cursor" in fields)
    return _reading(board, found, stop - start, fields)


async def _next(boards: Boards, board: str, query: Query) -> Reading:
    fields = _fields(query)
    cursor = read_cursor(board, query.text("cursor"))
    return _reading(board, await boards.after(board, cursor.entry, cursor.size), cursor.size, fields)


async def _around(boards: Boards, board: str, query: Query) -> Reading:
    span = query.number("span", DEFAULT_SPAN)
    return Reading(await boards.around(board, query.text("around"), span))


async def _names(boards: Boards, board: str, query: Query) -> Reading:
    found = await boards.of_names(board, query.texts("name"))
    return Reading(found.entries, missing=found.missing)


async def _scores(boards: Boards, board: str, query: Query) -> Reading:
    low, high = query.score("minScore"), query.score("maxScore")
    return Reading(await boards.within(board, low, high, query.number("limit", DEFAULT_PAGE)))


PAGE = Read("a page", ("startRank", "endRank", "include"), _page)
NEXT = Read("the page behind a cursor", ("cursor", "include"), _next)
AROUND = Read("a read around a name", ("around", "span"), _around)
NAMES = Read("a read of names", ("name",), _names)
SCORES = Read("a read between scores", ("minScore", "maxScore", "limit"), _scores)

READS = (PAGE, NEXT, AROUND, NAMES, SCORES)
BY_PARAMETER = {"around": AROUND, "name": NAMES, "minScore": SCORES, "maxScore": SCORES, "cursor": NEXT}
"""The parameters that tell which read is asked for; without any of them it is a page."""
