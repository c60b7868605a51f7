"""How the page of a board is written: a table that is read aloud well, prints, and needs no script.

Links are relative, so that they hold behind a prefix or a stage that nobody told of. What somebody else has written is
escaped, and apart (``bdi``); a picture is shown only if it is from a host that the definition allows.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from laurels.definition import NO_DISPLAY
from laurels.http.histogram import draw_histogram
from laurels.http.shown import format_number, show_country, show_name, show_period, show_score, show_time
from laurels.web.files import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from laurels.definition import Display
    from laurels.http.problems import Problem
    from laurels.stores.contract import Board, Ranked, Standing, Summary

WINDOW_WORDS = {"daily": "Today", "weekly": "This week", "monthly": "This month"}
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode
VIEWS = ("stage", "embed")


class View(Struct):
    """What a page shows."""

    board: Board
    view: str
    player: str | None
    is_exact: bool = True
    total: int = 0
    entries: Sequence[Ranked] = ()
    start: int | None = None
    """The place of the first entry, if the page is one of consecutive entries."""
    size: int = 0
    after: tuple[str, str] | None = None
    """The parameter that asks for the entries after these."""
    standing: Standing | None = None
    summary: Summary | None = None
    current: str = ""
    past: Sequence[str] = ()

    @property
    def title(self) -> str:
        """What it is headed."""
        return self.board.definition.title or self.board.name

    @property
    def display(self) -> Display:
        """How entries are shown."""
        return self.board.definition.display or NO_DISPLAY

    @property
    def own(self) -> dict[str, str | None]:
        """The parameters that all links of the page keep."""
        where = self.board
        period = where.period if where.period != self.current else None
        return {"window": where.window or None, "period": period, "view": self.view or None}

    def link(self, **parameters: str | None) -> str:
        """Return a link to this board with these parameters and its own."""
        given = {key: value for key, value in (self.own | parameters).items() if value is not None}
        return escape(f"?{urlencode(given, quote_via=quote, safe='')}")


def view_html(view: View) -> bytes:
    """Return the page."""
    parts = [*_head(view), *_table(view), *_paging(view)]
    if view.summary is not None:
        parts += draw_histogram(view.summary, view.display, view.standing if view.player else None, view.player)
    stage = f'<a href="{view.link(view="stage")}">For a large screen</a> · ' if not view.view else ""
    parts.append(f'</main><footer>{stage}<a href="-/docs">Laurels</a></footer>')
    return _document(f"{view.title} · Laurels", "".join(parts), view.view or "page")


def error_html(problem: Problem) -> bytes:
    """Return the page of an error."""
    body = (
        f'<main class="error"><p class="status">{problem.status}</p><h1>{escape(problem.title)}</h1>'
        f"<p><bdi>{escape(problem.detail)}</bdi></p></main>"
    )
    return _document(f"{problem.title} · Laurels", body, "page")


def _document(title: str, body: str, kind: str) -> bytes:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        'content="light dark"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{find("board.css").address}">'
        f'<script type="module" src="{find("board.js").address}"></script>'
        f'</head><body class="{kind}">{body}</body></html>\n'
    ).encode()


def _head(view: View) -> Iterator[str]:
    if not view.view:
        yield '<a class="skip" href="#board">To the table</a>'
    players = "player" if view.total == 1 else "players"
    yield f'<header><div class="heading"><h1><bdi>{escape(view.title)}</bdi></h1><p class="lede">'
    yield f'<span id="total"><data value="{view.total}">{view.total:,}</data> {players}</span>'
    yield '<span id="live" class="state" hidden></span></p></div>'
    if view.view != "stage":
        yield from _search(view)
        yield from _windows(view)
    yield "</header>"
    yield f'<main id="board" {_attributes(_data(view))}>'
    if view.player:
        yield from _player(view)


def _data(view: View) -> Mapping[str, str]:
    """Return what the script needs to know."""
    where, display = view.board, view.display
    live = {"window": where.window} if where.window else {}
    if view.start is not None:
        live |= {"startRank": str(view.start), "endRank": str(view.start + view.size)}
    elif view.player and view.standing:
        live |= {"around": view.player, "limit": str(max(len(view.entries), 1))}
    is_live = where.period == view.current and ("startRank" in live or "around" in live)
    return {
        "board": where.name,
        "live": urlencode(live, quote_via=quote) if is_live else "",
        "player": view.player or "",
        "format": display.format,
        "unit": display.unit or "",
        "decimals": "" if display.decimals is None else str(display.decimals),
        "details": "yes" if display.country or display.avatar or display.fields else "",
        "order": where.definition.order,
    }


def _attributes(values: Mapping[str, str]) -> str:
    return " ".join(f'data-{name}="{escape(value)}"' for name, value in values.items() if value)


def _search(view: View) -> Iterator[str]:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in view.own.items() if value
    )
    yield (
        f'<form role="search" method="get">{hidden}<label for="player">Find a player</label><div class="field">'
        f'<input id="player" name="player" type="search" maxlength="256" required autocomplete="off" '
        f'autocapitalize="off" spellcheck="false" value="{escape(view.player or "")}"><button>Find</button></div>'
        "</form>"
    )


def _windows(view: View) -> Iterator[str]:
    windows = view.board.definition.windows
    if not windows:
        return
    yield '<nav class="tabs" aria-label="Windows"><ul>'
    for window in ("", *windows):
        words = WINDOW_WORDS.get(window, window) if window else "All time"
        here = ' aria-current="page"' if window == view.board.window and view.board.period == view.current else ""
        link = view.link(window=window or None, period=None, player=view.player)
        yield f'<li><a href="{link}"{here}>{escape(words)}</a></li>'
    yield "</ul></nav>"
    if view.board.window and (view.past or view.board.period != view.current):
        yield '<nav class="tabs past" aria-label="Past periods"><ul>'
        for period in view.past:
            here = ' aria-current="page"' if period == view.board.period else ""
            link = view.link(period=period, player=view.player)
            yield f'<li><a href="{link}"{here}>{show_period(view.board.window, period)}</a></li>'
        yield "</ul></nav>"


def _player(view: View) -> Iterator[str]:
    assert view.player is not None  # noqa: S101 - asked before
    standing, name = view.standing, show_name(view.player)
    if standing is None or standing.rank is None:
        yield f'<p class="card" role="status">{name} is not on this board.</p>'
        return
    yield (
        f'<section class="card" id="card" aria-label="The player"><p class="who">{name}</p><dl><div><dt>Rank</dt>'
        f'<dd><data class="rank" value="{standing.rank + 1}">{standing.rank + 1:,}</data></dd></div><div><dt>Score</dt>'
        f"<dd>{show_score(standing.score, view.display)}</dd></div></dl></section>"
    )


def _table(view: View) -> Iterator[str]:
    if not view.entries:
        words = "There is nothing further down." if view.total else "Nobody is on this board yet."
        yield f'<p class="empty">{words}</p>'
    columns = [f'<th scope="col">{escape(field)}</th>' for field in view.display.fields]
    has_times = any(entry.submitted_at is not None for entry in view.entries)
    yield '<div class="wide"><table id="entries"'
    yield f"{'' if view.entries else ' hidden'}><caption>{_caption(view)}</caption>"
    yield '<thead><tr><th scope="col" class="rank">Rank</th><th scope="col">Player</th>'
    yield "".join(columns)
    yield '<th scope="col" class="number">Score</th>'
    yield '<th scope="col" class="time">Submitted</th>' if has_times else ""
    yield "</tr></thead><tbody>"
    for entry in view.entries:
        yield _row(view, entry, has_times=has_times)
    yield "</tbody></table></div>"


def _caption(view: View) -> str:
    if not view.entries:
        return "Entries"
    first, last = (entry.rank + 1 for entry in (view.entries[0], view.entries[-1]))
    return f"Rank {first:,}" if first == last else f"Ranks {first:,} to {last:,}"


def _row(view: View, entry: Ranked, *, has_times: bool) -> str:
    display, name = view.display, show_name(entry.name)
    found = _read_metadata(entry.metadata)
    fields = "".join(f"<td>{_field(found.get(field))}</td>" for field in display.fields)
    time = show_time(entry.submitted_at) if entry.submitted_at is not None else ""
    when = f'<td class="time">{time}</td>' if has_times else ""
    mine = ' class="mine"' if entry.name == view.player else ""
    medal = f' data-medal="{entry.rank + 1}"' if entry.rank < 3 else ""  # noqa: PLR2004 - as everywhere
    return (
        f'<tr data-name="{escape(entry.name)}"{mine}><td class="rank"{medal}><span>{entry.rank + 1:,}</span></td>'
        f'<th scope="row">{_avatar(found, display)}<a href="{view.link(player=entry.name)}">{name}</a>'
        f"{_flag(found, display)}</th>{fields}"
        f'<td class="number">{show_score(entry.score, display)}</td>'
        f"{when}</tr>"
    )


def _read_metadata(metadata: bytes | None) -> dict[str, Any]:
    """Return the fields of metadata; none if it is no object."""
    try:
        return _decode_metadata(metadata) if metadata else {}
    except msgspec.DecodeError:
        return {}


def _field(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f'<data value="{value}">{format_number(value)}</data>'
        if isinstance(value, int | float)
        else show_name(str(value))
    )


def _flag(found: Mapping[str, Any], display: Display) -> str:
    code = found.get(display.country) if display.country else None
    return show_country(code.upper()) if isinstance(code, str) and _COUNTRY.fullmatch(code) else ""


def _avatar(found: Mapping[str, Any], display: Display) -> str:
    if not display.avatar:
        return ""
    address = found.get(display.avatar)
    if not isinstance(address, str) or not _is_allowed(address, display.avatar_hosts):
        return '<span class="avatar"></span>'
    return f'<img class="avatar" src="{escape(address)}" alt="" width="32" height="32" loading="lazy">'


def _is_allowed(address: str, hosts: Sequence[str]) -> bool:
    try:
        parts = urlsplit(address)
        is_plain = parts.scheme == "https" and parts.port in {None, 443} and parts.username is None
    except ValueError:
        return False
    host = parts.hostname or ""
    return is_plain and any(
        host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:])) for allowed in hosts
    )


def _paging(view: View) -> Iterator[str]:
    links = []
    if view.start:
        first = max(0, view.start - view.size)
        links.append(f'<a rel="prev" href="{view.link(startRank=str(first), endRank=str(view.start))}">Previous</a>')
    if view.start is None or view.start > view.size:
        links.append(f'<a href="{view.link()}">From the top</a>')
    if view.after is not None:
        name, value = view.after
        more = {"endRank": str(int(value) + view.size)} if name == "startRank" else {}
        links.append(f'<a rel="next" href="{view.link(**{name: value}, **more)}">Next</a>')
    if links and view.view != "stage":
        yield f'<nav class="pages" aria-label="Pages">{"".join(links)}</nav>'
