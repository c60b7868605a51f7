"""A board as a page for people: what is read for it, and its errors.

``GET /{board}`` is answered so if ``Accept`` ranks HTML above JSON. It takes the queries of reads, and ``view`` and
``player`` besides. How it is written as HTML is in :mod:`laurels.http.board_html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from laurels.errors import NotOnBoard
from laurels.http.board_html import KEYED, WINDOW_WORDS, View, error_html, view_html
from laurels.http.cursor import read_cursor, write_cursor
from laurels.http.headers import quality
from laurels.http.messages import HTML, JSON, PROBLEM, Response
from laurels.http.operation import Inputs
from laurels.http.parameters import LOOK, PLAYER_SHOWN
from laurels.http.problems import Problem
from laurels.http.reads import READS, Read, check_fields, find_board, find_board_of, find_read, parse_read, span_of
from laurels.limits import DEFAULT_PAGE_ENTRIES
from laurels.stores.contract import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.boards import Boards, Slice
    from laurels.http.gate import Context
    from laurels.http.messages import Header, Headers, Request
    from laurels.http.query import Query

HTML_PAGE = b"text/html; charset=utf-8"
VARY: Header = (b"vary", b"accept")
SPAN_SHOWN = 9
"""How many neighbours of a player are shown on either side."""
PERIODS_SHOWN = 5
STAGE_ENTRIES = 50
"""How many entries a large screen goes through, unless it is asked for others."""
INPUTS = {
    read.inputs.subject: Inputs(read.inputs.subject, (*read.inputs.parameters, LOOK, PLAYER_SHOWN)) for read in READS
}
"""What each read takes if its answer is a page for people."""
_OF_ALL = {LOOK.name, PLAYER_SHOWN.name, "window", "period", "include"}
"""The parameters that do not say which entries."""
_decode_problem = msgspec.json.Decoder(Problem).decode


class Asked(Struct, frozen=True):
    """What a browser asks for: the values of the parameters, by their names."""

    values: dict[str, Any]
    is_first: bool
    """Whether it asks for no entries in particular."""


def wants_page(headers: Headers) -> bool:
    """Return whether a client prefers HTML to JSON."""
    accept = headers.get(b"accept", b"").lower()
    return HTML in accept and quality(accept, HTML) > quality(accept, JSON)


def parse_view(query: Query, headers: Headers) -> Sequence[Any]:
    """Return how to read a board for what a query asks for, and the values of its parameters; raise BadParameter."""
    if not wants_page(headers):
        return parse_read(query, headers)
    inputs = INPUTS[find_read(query).inputs.subject]
    values = inputs.read(query, headers)
    asked = Asked(dict(zip(inputs.known, values, strict=True)), is_first=not query.keys() - _OF_ALL)
    return (Read(inputs, show_board), asked)


def present(request: Request, response: Response) -> Response:
    """Return an answer of the route as it is to leave: an error as a page, if the client wants that."""
    if response.content_type == PROBLEM and wants_page(request.headers):
        page = error_html(_decode_problem(response.body))
        hosts = ("*",) if response.status in KEYED else ()  # the page that a key then shows may have some
        response = replace(response, body=page, content_type=HTML_PAGE, headers=(*response.headers, *_policy(hosts)))
    return replace(response, headers=(*response.headers, VARY))


async def show_board(context: Context, board: str, asked: Asked) -> Response:
    """Answer with the page."""
    boards, values = context.boards, asked.values
    await boards.learn(board)
    check_fields(boards, values["include"])
    window, period = values["window"], values["period"]
    if "cursor" in values:
        where = await find_board_of(boards, read_cursor(board, values["cursor"]), board, window, period)
    else:
        where = await find_board(boards, board, window, period)
    view = View(
        where, values[LOOK.name] or "", values[PLAYER_SHOWN.name] or "", is_exact=boards.store.capabilities.one_state
    )
    await _read_entries(boards, view, asked)
    _find_periods(boards, view)
    if view.total and view.is_exact and view.view != "stage":
        view.summary = await boards.summary(where)
    display = view.display
    ancestors = context.ancestors if view.view == "embed" else b"'none'"
    return Response(200, view_html(view), HTML_PAGE, _policy(display.avatar_hosts, ancestors))


async def _read_entries(boards: Boards, view: View, asked: Asked) -> None:
    """Find the entries that are asked for, where those after them are, and how the player stands."""
    display, player = view.display, view.player
    wants_metadata = bool(display.country or display.avatar or display.fields)
    view.with_metadata = wants_metadata and boards.store.capabilities.submission_details
    if not (player and asked.is_first and await _read_near(boards, view)):
        await _read(boards, view, asked.values)
    view.total = view.entries.total
    if player and view.standing is None:
        mine = (Standing(each.score, each.rank) for each in view.entries if each.name == player)
        view.standing = next(mine, None) or await boards.standing(view.board, player)


async def _read_near(boards: Boards, view: View) -> bool:
    """Find the player with those next to it; return whether it is on the board."""
    where, name = view.board, view.player
    if view.is_exact:
        try:
            await _read_around(boards, view, name, SPAN_SHOWN, None)
        except NotOnBoard:
            return False
        return True
    standing = view.standing = await boards.standing(where, name)
    if standing is None or standing.rank is None:
        return False
    await _read_page(boards, view, max(0, standing.rank - SPAN_SHOWN), standing.rank + SPAN_SHOWN + 1)
    return True


async def _read(boards: Boards, view: View, values: dict[str, Any]) -> None:
    """Read as a query asks."""
    where, wanted = view.board, {"with_metadata": view.with_metadata, "with_places": True}
    if "around" in values:
        await _read_around(boards, view, values["around"], values["span"], values["limit"])
    elif "name" in values:
        found = await boards.entries_named(where, values["name"], **wanted)
        view.entries, view.missing = found.entries, found.missing
    elif "minScore" in values:
        ends = values["minScore"], values["maxScore"]
        view.entries = await boards.entries_between_scores(where, *ends, values["limit"], **wanted)
    elif "cursor" in values:
        cursor = read_cursor(where.name, values["cursor"])
        page = await boards.entries_after(where, cursor.entry, cursor.size, **wanted)
        places = page.entries.places
        _show_page(view, page, places[0] if places else page.entries.total, cursor.size)
    else:
        start, stop = values["startRank"], values["endRank"]
        size = STAGE_ENTRIES if view.view == "stage" else DEFAULT_PAGE_ENTRIES
        await _read_page(boards, view, start, start + size if stop is None else stop)


async def _read_around(boards: Boards, view: View, name: str, span: int | None, limit: int | None) -> None:
    span = span_of(span, limit)
    view.entries = await boards.around(
        view.board, name, span, limit, with_metadata=view.with_metadata, with_places=True
    )
    width = {"span": str(span)} if limit is None else {"limit": str(limit)}
    view.live = {"around": name, **width}


async def _read_page(boards: Boards, view: View, start: int, stop: int) -> None:
    page = await boards.page(view.board, start, stop, with_metadata=view.with_metadata, with_places=True)
    _show_page(view, page, start, stop - start)


def _show_page(view: View, page: Slice, start: int, size: int) -> None:
    """Show consecutive entries, and how to ask for those after them."""
    entries = page.entries
    view.entries, view.start, view.size = entries, start, size
    view.live = _of_page(start, size)
    if page.has_more:
        following = _of_page(start + size, size)
        view.after = {"cursor": write_cursor(view.board, size, entries[-1])} if view.is_exact else following


def _of_page(start: int, size: int) -> dict[str, str]:
    return {"startRank": str(start), "endRank": str(start + size)}


def _find_periods(boards: Boards, view: View) -> None:
    """Find what the windows are called, and the periods near the one that is shown."""
    where = view.board
    for window in where.definition.windows:
        if window not in WINDOW_WORDS:
            view.begun[window] = boards.period_of(where.name, window, None).period
    if where.window:
        view.current, view.past = boards.periods_near(where, PERIODS_SHOWN)


def _policy(hosts: Sequence[str] = (), ancestors: bytes = b"'none'") -> tuple[Header, ...]:
    """Return what keeps a page from loading or running anything that is not the service's own."""
    images = "".join(f" https://{host}" for host in hosts)
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' data:{images}; form-action 'self'; base-uri 'none'; frame-ancestors "
    )
    return ((b"content-security-policy", policy.encode() + ancestors), (b"referrer-policy", b"no-referrer"))
