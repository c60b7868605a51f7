"""How the page of a board is written: a table that is read aloud well, prints, and needs no script.

Links are relative, so that they hold behind a prefix or a stage that nobody told of. What somebody else has written is
escaped, and apart (``bdi``); a picture is shown only if it is from a host that the definition allows.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from laurels.definition import NO_DISPLAY
from laurels.http.histogram import draw_histogram
from laurels.http.shown import LONGEST, format_number, show_country, show_name, show_period, show_score, show_time
from laurels.stores.contract import Entries
from laurels.web.files import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from laurels.definition import Display, Order
    from laurels.http.problems import Problem
    from laurels.stores.contract import Board, Standing, Summary

WINDOW_WORDS = {"": "All time", "daily": "Today", "weekly": "This week", "monthly": "This month"}
MEDALS = 3
BOARDS_KEPT = 100
"""Of so many definitions it is remembered what they are on each page."""
DETAILS_KEPT = 500
"""Of so many entries it is remembered how their metadata is shown: most pages that are made were made before."""
KEYED = (401, 403)
"""The errors that a key may mend."""
_KEY = (
    '<form id="key" hidden><label for="secret">Your key or token</label><div class="field"><input id="secret" '
    'type="password" required autocomplete="off" spellcheck="false"><button>Show the board</button></div>'
    "<p>It stays in this tab, and is forgotten when the page is left.</p></form><noscript><p>To see this board, "
    "scripts must be allowed, so that a key can be sent; or ask its operator to let anyone read it.</p></noscript>"
)
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
"""A name that is written the same everywhere."""
_PICTURE = re.compile(r"(?i:https)://([A-Za-z0-9.-]+)(?::443)?(?:[/?#][!#-;=?-\[\]-~]*)?")
_decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode


class View(Struct):
    """What a page shows."""

    board: Board
    view: str = ""
    player: str = ""
    is_exact: bool = True
    entries: Entries = msgspec.field(default_factory=Entries)
    missing: Sequence[str] = ()
    """Names that were asked for, and are not on the board."""
    start: int | None = None
    """The place of the first entry, if the page is one of consecutive entries."""
    size: int = 0
    after: Mapping[str, str] | None = None
    """The parameters that ask for the entries after these."""
    live: Mapping[str, str] = {}
    """The parameters that the feed knows this read by, if it does."""
    with_metadata: bool = False
    total: int = 0
    standing: Standing | None = None
    summary: Summary | None = None
    current: str = ""
    past: Sequence[str] = ()
    begun: dict[str, str] = {}
    """When the current periods of windows that are cron lines have begun."""

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
        return f"?{_write_query(self.own | parameters, '&amp;')}"


def view_html(view: View) -> bytes:
    """Return the page."""
    parts = [*_head(view), *_table(view), *_paging(view)]
    if view.summary is not None:
        parts += draw_histogram(view.summary, view.display, view.standing, view.player)
    stage = f'<a href="{view.link(view="stage")}">For a large screen</a> · ' if not view.view else ""
    parts.append(f'</main><footer>{stage}<a href="-/docs">Laurels</a></footer>')
    return _document(f"{view.title} · Laurels", "".join(parts), view.view or "page")


def error_html(problem: Problem) -> bytes:
    """Return the page of an error; of one that a key may mend, with a form for that, which a script shows."""
    form = _KEY if problem.status in KEYED else ""
    body = (
        f'<main class="error"><p class="status">{problem.status}</p><h1>{escape(problem.title)}</h1>'
        f"<p><bdi>{escape(problem.detail)}</bdi></p>{form}</main>"
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
    where, title = view.board, view.board.definition.title
    if not view.view:
        yield '<a class="skip" href="#board">To the table</a>'
    players = "player" if view.total == 1 else "players"
    yield f'<header><div class="heading"><h1>{f"<bdi>{escape(title)}</bdi>" if title else show_name(where.name)}</h1>'
    yield f'<p class="lede"><span id="total"><data value="{view.total}">{view.total:,}</data> {players}</span>'
    if where.window:
        is_past = where.period != view.current
        here = show_period(where.window, where.period) if is_past else _name_window(view, where.window)
        yield f' · <span id="period">{here}</span>'
    yield '<span id="live" class="state" role="status"></span></p></div>'
    if view.view != "stage":
        yield from _search(view)
        yield from _windows(view)
    yield "</header>"
    yield f'<main id="board" {_data(view)}>'
    if view.player:
        yield from _player(view)


def _data(view: View) -> str:
    """Return what the script needs to know, as attributes."""
    where = view.board
    values = {"board": where.name, "live": _live_query(view), "player": view.player}
    return f"{_attributes(values)} {_data_of_board(view.display, where.definition.order)}"


@lru_cache(BOARDS_KEPT)
def _data_of_board(display: Display, order: Order) -> str:
    values = {
        "format": display.format,
        "unit": display.unit or "",
        "decimals": "" if display.decimals is None else str(display.decimals),
        "country": display.country or "",
        "avatar": display.avatar or "",
        "hosts": " ".join(display.avatar_hosts),
        "fields": json.dumps(display.fields) if display.fields else "",
        "order": order,
    }
    return _attributes(values)


def _live_query(view: View) -> str:
    """Return what the feed is asked for, to show what the page shows; nothing if that does not change or has none."""
    where = view.board
    if not view.live or where.period != view.current:
        return ""
    window = {"window": where.window} if where.window else {}
    details = {"include": "metadata"} if view.with_metadata else {}
    return _write_query({**view.live, **window, **details})


def _write_query(parameters: Mapping[str, str | None], separator: str = "&") -> str:
    """Return the parameters that have values; their names are ours."""
    return separator.join([f"{name}={_quote(value)}" for name, value in parameters.items() if value])


def _quote(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


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
    where = view.board
    windows = where.definition.windows
    if not windows:
        return
    yield '<nav class="tabs" aria-label="Windows"><ul>'
    for window in ("", *windows):
        here = ' aria-current="page"' if window == where.window and where.period == view.current else ""
        link = view.link(window=window, period=None, player=view.player)
        yield f'<li><a href="{link}"{here}>{_name_window(view, window)}</a></li>'
    yield "</ul></nav>"
    if view.past:
        yield '<nav class="tabs past" aria-label="Past periods"><ul>'
        for period in view.past:
            here = ' aria-current="page"' if period == where.period else ""
            link = view.link(period=period, player=view.player)
            yield f'<li><a href="{link}"{here}>{show_period(where.window, period)}</a></li>'
        yield "</ul></nav>"


def _name_window(view: View, window: str) -> str:
    """Return what a window is called while its current period lasts."""
    if window in view.begun:
        return f"Since {show_period(window, view.begun[window])}"
    return WINDOW_WORDS[window]


def _player(view: View) -> Iterator[str]:
    standing, name = view.standing, show_name(view.player)
    if standing is None or standing.rank is None:
        yield f'<p class="card" role="status">{name} is not on this board.</p>'
        return
    yield (
        f'<section class="card" id="card" aria-label="The player"><p class="who">{name}</p><dl><div><dt>Rank</dt>'
        f'<dd><data class="rank" value="{standing.rank + 1}">{standing.rank + 1:,}</data></dd></div><div><dt>Score</dt>'
        f'<dd>{show_score(standing.score, view.display)}</dd></div></dl><a href="{view.link()}">Stop following</a>'
        '<p id="news" class="news" role="status"></p></section>'
    )


def _table(view: View) -> Iterator[str]:
    entries = view.entries
    if view.missing:
        yield f'<p class="missing">Not on this board: {", ".join(map(show_name, view.missing))}.</p>'
    words = "There is nobody here." if view.total else "Nobody is on this board yet."
    yield f'<p class="empty" id="empty"{" hidden" if entries else ""}>{words}</p>'
    columns = [f'<th scope="col">{escape(field)}</th>' for field in view.display.fields]
    has_times = any(entry.submitted_at is not None for entry in entries)
    yield '<div class="wide"><table id="entries"'
    yield f"{'' if entries else ' hidden'}><caption>{_caption(entries)}</caption>"
    yield '<thead><tr><th scope="col" class="rank">Rank</th><th scope="col">Player</th>'
    yield "".join(columns)
    yield '<th scope="col" class="number">Score</th>'
    yield '<th scope="col" class="time">Submitted</th>' if has_times else ""
    yield "</tr></thead><tbody>"
    yield from _rows(view, has_times=has_times)
    yield "</tbody></table></div>"


def _caption(entries: Entries) -> str:
    if not entries:
        return "Entries"
    first, last = (entry.rank + 1 for entry in (entries[0], entries[-1]))
    return f"Rank {first:,}" if first == last else f"Ranks {first:,} to {last:,}"


def _rows(view: View, *, has_times: bool) -> Iterator[str]:
    display, player = view.display, view.player
    link = view.link(player="-")[:-1]  # which its name is behind
    has_metadata = bool(display.country or display.avatar or display.fields)
    avatar = flag = fields = time = ""
    for entry, place in zip(view.entries, view.entries.places, strict=True):
        name = address = written = entry.name
        if _PLAIN.fullmatch(name):
            shown = f"<bdi>{name}</bdi>"
        else:
            address, written, shown = quote(name, safe=""), escape(name), show_name(name)
        if has_metadata:
            avatar, flag, fields = _details(entry.metadata, display)
        if has_times:
            time = f'<td class="time">{"" if entry.submitted_at is None else show_time(entry.submitted_at)}</td>'
        medal = f' data-medal="{entry.rank + 1}"' if entry.rank < MEDALS else ""
        mine = ' class="mine"' if name == player else ""
        yield (
            f'<tr data-name="{written}" data-place="{place}"{mine}><td class="rank"{medal}>'
            f'<span>{entry.rank + 1:,}</span></td><th scope="row">{avatar}'
            f'<a href="{link}{address}">{shown}</a>{flag}</th>{fields}'
            f'<td class="number">{show_score(entry.score, display)}</td>{time}</tr>'
        )


@lru_cache(DETAILS_KEPT)
def _details(metadata: bytes | None, display: Display) -> tuple[str, str, str]:
    """Return the picture, the flag and the columns of an entry."""
    found = _read_metadata(metadata)
    fields = "".join([f"<td>{_field(found.get(field))}</td>" for field in display.fields])
    return _avatar(found, display), _flag(found, display), fields


def _read_metadata(metadata: bytes | None) -> dict[str, Any]:
    """Return the fields of metadata; none if it is no object."""
    try:
        return _decode_metadata(metadata) if metadata else {}
    except msgspec.DecodeError:
        return {}


def _field(value: object) -> str:
    if isinstance(value, str):
        return show_name(value)
    if value is None or isinstance(value, (dict, list)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and abs(value) < LONGEST:
        return f'<data value="{value}">{format_number(value)}</data>'
    return show_name(str(value))


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
    """Return whether a picture is from one of the hosts, as browsers read its address."""
    found = _PICTURE.fullmatch(address)
    host = found[1].lower() if found else ""
    return host in hosts or host.endswith(_suffixes(tuple(hosts)))


@lru_cache(BOARDS_KEPT)
def _suffixes(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return what hosts end in that are allowed by an asterisk."""
    return tuple(host[1:] for host in hosts if host.startswith("*."))


def _paging(view: View) -> Iterator[str]:
    links = []
    if view.start:
        stop = min(view.start, view.total) or view.size
        first = max(0, stop - view.size)
        link = view.link(startRank=str(first), endRank=str(stop), player=view.player)
        links.append(f'<a rel="prev" href="{link}">Previous</a>')
    if view.start is None or view.start > view.size:
        links.append(f'<a href="{view.link()}">From the top</a>')
    if view.after is not None:
        links.append(f'<a rel="next" href="{view.link(**view.after, player=view.player)}">Next</a>')
    if links and view.view != "stage":
        yield f'<nav class="pages" aria-label="Pages">{"".join(links)}</nav>'
