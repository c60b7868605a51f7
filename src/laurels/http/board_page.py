"""A board as a page for people: what is read for it, and its errors.

``GET /{board}`` is answered so if ``Accept`` ranks HTML above JSON. It takes the queries of reads, and ``view`` and
``player`` besides. How it is written as HTML is in :mod:`laurels.http.board_html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from laurels.http.board_html import View, error_html, view_html
from laurels.http.cursor import read_cursor, write_cursor
from laurels.http.headers import quality
from laurels.http.messages import HTML, JSON, PROBLEM, Response
from laurels.http.parameters import LOOK, PLAYER_SHOWN
from laurels.http.problems import Problem
from laurels.http.query import Query
from laurels.http.reads import Read, find_board, parse_read
from laurels.limits import DEFAULT_PAGE_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.boards import Boards
    from laurels.http.gate import Context
    from laurels.http.messages import Header, Headers, Request
    from laurels.stores.contract import Board, Ranked

HTML_PAGE = b"text/html; charset=utf-8"
VARY: Header = (b"vary", b"accept")
SPAN_SHOWN = 9
"""How many neighbours of a player are shown on either side."""
PERIODS_SHOWN = 5
_OF_VIEW = (LOOK.name, PLAYER_SHOWN.name)
_decode_problem = msgspec.json.Decoder(Problem).decode


class Asked(Struct, frozen=True):
    """What a browser asks for: the parameters of a read, of which those that tell the read are ``given``."""

    values: dict[str, Any]
    view: str | None
    player: str | None
    is_first: bool
    """Whether it asks for no entries in particular."""


def wants_page(headers: Headers) -> bool:
    """Return whether a client prefers HTML to JSON."""
    accept = headers.get(b"accept", b"")
    return b"html" in accept and quality(accept, HTML) > quality(accept, JSON)


def parse_view(query: Query, headers: Headers) -> Sequence[Any]:
    """Return how to read a board for what a query asks for, and the values of its parameters; raise BadParameter."""
    if not wants_page(headers):
        return parse_read(query, headers)
    view, player = LOOK.read(query, headers), PLAYER_SHOWN.read(query, headers)
    rest = Query(b"")
    rest.update({key: value for key, value in query.items() if key not in _OF_VIEW})
    read, *values = parse_read(rest, headers)
    named = dict(zip((each.name for each in read.inputs.parameters), values, strict=True))
    is_first = not rest.keys() - {"window", "period", "include"}
    return (Read(read.inputs, show_board), Asked(named, view, player or None, is_first))


def present(request: Request, response: Response) -> Response:
    """Return an answer of the route as it is to leave: an error as a page, if the client wants that."""
    if response.content_type == PROBLEM and wants_page(request.headers):
        page = error_html(_decode_problem(response.body))
        response = Response(response.status, page, HTML_PAGE, (*response.headers, *_policy()))
    return replace(response, headers=(*response.headers, VARY))


async def show_board(context: Context, board: str, asked: Asked) -> Response:
    """Answer with the page."""
    boards, values = context.boards, asked.values
    await boards.learn(board)
    cursor = read_cursor(board, values["cursor"]) if "cursor" in values else None
    window, period = values["window"], values["period"]
    if cursor is not None:
        window, period = window or cursor.window or None, period or cursor.period or None
    where = await find_board(boards, board, window, period)
    view = View(where, asked.view or "", asked.player)
    view.is_exact = boards.store.capabilities.one_state
    view.total = await boards.count(where)
    if asked.player:
        view.standing = await boards.standing(where, asked.player)
    with_metadata = _needs_metadata(boards, where)
    await _read_entries(boards, view, asked, with_metadata=with_metadata)
    if where.window:
        view.current, view.past = boards.periods_near(where, PERIODS_SHOWN)
    if view.total and view.is_exact and view.view != "stage":
        view.summary = await boards.summary(where)
    display = where.definition.display
    hosts = display.avatar_hosts if display else ()
    ancestors = context.ancestors if view.view == "embed" else b"'none'"
    return Response(200, view_html(view), HTML_PAGE, _policy(hosts, ancestors))


def _needs_metadata(boards: Boards, where: Board) -> bool:
    display = where.definition.display
    wanted = display is not None and (display.country or display.avatar or display.fields)
    return bool(wanted) and boards.store.capabilities.submission_details


async def _read_entries(boards: Boards, view: View, asked: Asked, *, with_metadata: bool) -> None:
    """Find the entries that are asked for, and where those before and after them are."""
    where, values = view.board, asked.values
    if asked.player and view.standing and view.standing.rank is not None and asked.is_first:
        await _read_near(boards, view, asked.player, view.standing.rank, with_metadata=with_metadata)
    elif "around" in values:
        view.entries = await boards.around(where, values["around"], values["span"], with_metadata=with_metadata)
    elif "name" in values:
        view.entries = (await boards.entries_named(where, values["name"], with_metadata=with_metadata)).entries
    elif "minScore" in values:
        ends = values["minScore"], values["maxScore"]
        view.entries = await boards.entries_between_scores(where, *ends, values["limit"], with_metadata=with_metadata)
    elif "cursor" in values:
        cursor = read_cursor(where.name, values["cursor"])
        found = await boards.entries_after(where, cursor.entry, cursor.size, with_metadata=with_metadata)
        view.entries, view.size = found.entries, cursor.size
        view.start = found.entries[0].rank if found.entries else None
        view.after = _cursor_after(view, found.entries) if found.has_more else None
    else:
        view.start, stop = values["startRank"], values["endRank"]
        stop = view.start + DEFAULT_PAGE_ENTRIES if stop is None else stop
        found = await boards.page(where, view.start, stop, with_metadata=with_metadata)
        view.entries, view.size = found.entries, stop - view.start
        view.after = _cursor_after(view, found.entries) if found.has_more else None


async def _read_near(boards: Boards, view: View, name: str, rank: int, *, with_metadata: bool) -> None:
    """Find a player with those next to it."""
    if view.is_exact:
        view.entries = await boards.around(view.board, name, SPAN_SHOWN, with_metadata=with_metadata)
    else:
        first = max(0, rank - SPAN_SHOWN)
        view.entries = (await boards.page(view.board, first, rank + SPAN_SHOWN + 1)).entries


def _cursor_after(view: View, entries: Sequence[Ranked]) -> tuple[str, str]:
    """Return the parameter that asks for the entries after these."""
    if view.is_exact:
        return "cursor", write_cursor(view.board, view.size, entries[-1])
    return "startRank", str((view.start or 0) + len(entries))


def _policy(hosts: Sequence[str] = (), ancestors: bytes = b"'none'") -> tuple[Header, ...]:
    """Return what keeps a page from loading or running anything that is not the service's own."""
    images = "".join(f" https://{host}" for host in hosts)
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' data:{images}; form-action 'self'; base-uri 'none'; frame-ancestors "
    )
    return ((b"content-security-policy", policy.encode() + ancestors), (b"referrer-policy", b"no-referrer"))
