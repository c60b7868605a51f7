"""The command that shows a board as it changes."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any

import click

from laurels.cli.options import board_argument, call_service, count_option, server_option, window_option
from laurels.cli.printing import Picture, Rows, write, write_json, write_table
from laurels.client.live import Disconnected, LiveStanding, LiveTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from laurels.cli.client import CommandClient
    from laurels.client.live import Event, LiveEntry

TITLES = ("rank", "name", "score")
NUMBERS = {"rank", "score"}


@click.command(
    epilog="""\b
Examples:
  laurels watch mario-kart
  laurels watch mario-kart --window daily --limit 10
  laurels watch mario-kart --player silverhand
  laurels watch mario-kart --json | jq --unbuffered .data.total
"""
)
@board_argument
@click.option("--player", metavar="NAME", help="Show the entries around a player, and who passes it.")
@count_option("--limit")
@window_option
@server_option
@click.option("--json", "as_json", is_flag=True, help="Write each event as a line of JSON on stdout.")
def watch(  # noqa: PLR0913 - the options of the command
    *, board: str, player: str | None, limit: int, window: str | None, server: str, as_json: bool
) -> None:
    """Show BOARD, and what changes on it, until Ctrl-C.

    On a terminal that is one table, with how each row has moved last; elsewhere it is a line for each change. If the
    connection breaks, or the service is started anew, it says so, connects again and goes on.
    """
    views: list[Mapping[str, Any]] = [{"endRank": limit, "window": window}]
    if player is not None:
        views = [{"around": player, "limit": limit, "window": window}, {"name": player, "window": window}]
    picture = Picture()
    table, title = LiveTable(limit), board if window is None else f"{board}, {window}"
    if as_json:
        display: Display = Json()
    elif picture.can_be:
        display = Drawing(picture, table, title, player)
    else:
        display = Lines(table, title, player)
    with picture if isinstance(display, Drawing) else nullcontext():
        call_service(server, lambda client: _follow(client, board, views, display))


async def _follow(client: CommandClient, board: str, views: Sequence[Mapping[str, Any]], display: Display) -> None:
    if isinstance(display, Drawing) and hasattr(signal, "SIGWINCH"):  # on Windows it is drawn anew at the next change
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, display.draw)
    async with aclosing(client.live_events(board, *views)) as events:
        async for event in events:
            if isinstance(event, Disconnected):
                display.say(f"{event.reason} Connecting again in {event.seconds:g} s.")
            else:
                display.show(event)


class Display(ABC):
    """What shows the events of a board."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show an event."""

    def say(self, text: str) -> None:
        """Say what is to be known beside the events."""
        write(text, err=True)


class Json(Display):
    """Events as they came, for programs."""

    def show(self, event: Event) -> None:
        """Write it."""
        write_json(event.message)


class Lines(Display):
    """A line for each change, where nothing can be drawn anew."""

    def __init__(self, table: LiveTable, title: str, player: str | None) -> None:
        self._table, self._title, self._player = table, title, player

    def show(self, event: Event) -> None:
        """Write the whole table if it is the first one, else what has changed."""
        update, table = event.update, self._table
        if isinstance(update, LiveStanding):
            write(*_describe(update, self._player))
        elif table.apply(update):
            write(_make_head(self._title, table))
            write_table(TITLES, [_make_row(entry) for entry in table.entries], numbers=NUMBERS)
        else:
            write(*(f"{name}: gone" for name in table.gone))
            changed = [entry for entry in table.entries if entry.name in table.changed]
            write(*(f"{each.name}: {_format_change(table.changed[each.name], each)}" for each in changed))


class Drawing(Display):
    """A table on a terminal, with how each row has moved last."""

    def __init__(self, picture: Picture, table: LiveTable, title: str, player: str | None) -> None:
        self._picture, self._table, self._title, self._player = picture, table, title, player
        self._moves: dict[str, str] = {}
        self._standing: Sequence[str] = ()
        self._said: Sequence[str] = ()

    def show(self, event: Event) -> None:
        """Draw what there is now."""
        update, table = event.update, self._table
        if isinstance(update, LiveStanding):
            self._standing = _describe(update, self._player)
        else:
            if table.apply(update):
                self._moves.clear()
            moves = {entry.name: _find_move(table.changed.get(entry.name, entry), entry) for entry in table.entries}
            self._moves = {name: move or self._moves.get(name, "") for name, move in moves.items()}
        self._said = ()
        self.draw()

    def say(self, text: str) -> None:
        """Draw it below the table."""
        self._said = (text,)
        self.draw()

    def draw(self) -> None:
        """Draw all, on a terminal that may have another size by now."""
        table = self._table
        rows = [(*_make_row(entry), self._moves[entry.name]) for entry in table.entries]
        styles = {index: "bold" for index, entry in enumerate(table.entries) if entry.name in table.changed}
        ours = [index for index, entry in enumerate(table.entries) if entry.name == self._player]
        styles |= dict.fromkeys(ours, "reverse")
        shown = Rows((*TITLES, "moved"), rows, NUMBERS, styles)
        below = (*self._standing, *self._said)
        self._picture.draw(_make_head(self._title, table), shown, below, ours[0] if ours else 0)


def _make_head(title: str, table: LiveTable) -> str:
    period = f" {table.period}" if table.period else ""
    return f"{title}{period}: {table.total:,} entries"


def _make_row(entry: LiveEntry) -> tuple[str, str, str]:
    return str(entry.rank), entry.name, str(entry.score)


def _find_move(before: LiveEntry | None, entry: LiveEntry) -> str:
    """Return how an entry has moved, or that only its score is another; nothing if that is not so either."""
    if before is None:
        return "new"
    if before.rank != entry.rank:
        return f"up {before.rank - entry.rank}" if before.rank > entry.rank else f"down {entry.rank - before.rank}"
    return "score" if before.score != entry.score else ""


def _format_change(before: LiveEntry | None, entry: LiveEntry) -> str:
    was = "new" if before is None else f"before: score {before.score}, rank {before.rank}"
    return f"score {entry.score}, rank {entry.rank} ({was})"


def _describe(standing: LiveStanding, name: str | None) -> Sequence[str]:
    """Return a standing in lines, the second of which says who has passed the name."""
    if standing.rank is None:
        return [f"{name}: {'hidden' if standing.hidden else 'not on the board'}"]
    before = standing.previous
    was = f" (before: rank {before.rank})" if before and before.rank is not None else ""
    lines = [f"{name}: score {standing.score}, rank {standing.rank}{was}"]
    return [*lines, f"passed by: {', '.join(standing.passed_by)}"] if standing.passed_by else lines
