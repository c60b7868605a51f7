"""A service and who watches it: whatever happens, who applies the events has what a fresh read gives.

Clients take the events as ``laurels watch`` does. They go and come again with an id that they have or had, or that
nobody gave them, read slowly, and look at several views at once; boards are changed in every way, and defined anew; the
service is killed, and days end.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from laurels.boards import Boards
from laurels.client.live import UPDATES, LiveStanding, LiveTable, Messages
from laurels.definition import Bounds, Definition
from laurels.errors import BadParameter, LaurelsError
from laurels.live.hub import Hub
from laurels.live.subscribers import Subscriber
from laurels.live.views import AroundView, PageView, StandingView, View
from laurels.stores.contract import Submission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from msgspec import Raw

    from laurels.live.events import Frames
    from laurels.stores.contract import Board, Store

Seen: TypeAlias = "tuple[object, ...] | None"
"""What one view shows: period, total and entries, or score, rank and whether hidden."""

T = TypeVar("T")
DAY = 86_400
SECONDS = 20
"""How long it may take until a client that reads shows what there is."""
BOARDS = ["kart", "laps"]
PLAYERS = [f"p{number}" for number in range(8)]
MOST = 100
DEFINITIONS = st.builds(
    Definition,
    order=st.sampled_from(["descending", "ascending"]),
    operator=st.sampled_from(["latest", "best", "increment"]),
    ties=st.sampled_from(["name", "earliest", "latest"]),
    ranking=st.sampled_from(["ordinal", "competition", "dense"]),
    scores=st.sampled_from([Bounds(), Bounds(max=5)]),
    windows=st.sampled_from([(), ("daily",), ("daily",), ("weekly", "daily")]),
)
NAME_OF_BOARD, PLAYER = st.sampled_from(["kart", *BOARDS]), st.sampled_from(PLAYERS)
WINDOW = st.sampled_from([None, None, "daily"])
VIEWS = st.one_of(
    st.builds(PageView, NAME_OF_BOARD, WINDOW, st.sampled_from([0, 0, 2]), st.sampled_from([3, 10]), st.booleans()),
    st.builds(AroundView, NAME_OF_BOARD, WINDOW, PLAYER, st.sampled_from([0, 1, 2])),
    st.builds(AroundView, NAME_OF_BOARD, WINDOW, PLAYER, st.just(0), st.sampled_from([1, 4])),
    st.builds(StandingView, NAME_OF_BOARD, WINDOW, PLAYER),
)
SCORE = st.integers(0, 6)
INDEX = st.integers(0, 100)


def _submit_many(boards: Boards, board: str, player: str, score: int) -> Awaitable[object]:
    return boards.submit_many(board, [Submission(player, score), Submission("p7", score + 1), Submission("p0", 3)])


CHANGES: dict[str, Callable[[Boards, str, str, int], Awaitable[object]]] = {
    "submit": lambda boards, board, player, score: boards.submit(board, Submission(player, score)),
    "submit another": lambda boards, board, player, score: boards.submit(board, Submission(player, score + 1)),
    "submit with metadata": lambda boards, board, player, score: boards.submit(
        board, Submission(player, score, b"[%d]" % score)
    ),
    "submit many": _submit_many,
    "set metadata": lambda boards, board, player, _: boards.set_metadata(board, player, b'"x"'),
    "remove": lambda boards, board, player, _: boards.remove(boards.board(board), player),
    "drop": lambda boards, board, *_: boards.drop(boards.board(board)),
    "hide": lambda boards, board, player, _: boards.hide(board, player),
    "show": lambda boards, board, player, _: boards.show(board, player),
}


class Client(Subscriber):
    """A client: what it shows of each view, and which ids it has had, with what it showed then."""

    def __init__(self, machine: FeedMachine, views: tuple[View, ...]) -> None:
        self.machine = machine
        self.views = views
        self.takes_nothing = False
        self.is_there = False
        self.is_catching_up = False
        self.messages = Messages()
        self.tables: list[LiveTable] = [LiveTable(MOST) for _ in views]
        self.standings: list[LiveStanding | None] = [None for _ in views]
        self.had: list[tuple[str, tuple[list[LiveTable], list[LiveStanding | None]]]] = []

    @property
    def unsent(self) -> int:
        """More than may be, if it is slow."""
        return 10**6 * self.takes_nothing

    def put(self, frames: Frames) -> None:
        """Apply events: what comes at a tick, and a page, is what a fresh read gives."""
        for message in self.messages.take(frames.plain):
            told = msgspec.json.decode(message.data, type=UPDATES[message.event])
            if isinstance(told, LiveStanding):
                self.standings[told.view] = told
            else:
                self.tables[told.view].apply(told)
        self.had.append((self.messages.last_id, deepcopy((self.tables, self.standings))))
        if not self.is_catching_up:
            self.machine.check_at_once(self)

    def comment(self) -> None:
        """Take no notice."""

    def end(self) -> None:
        """Be gone."""
        self.is_there = False

    @property
    def shown(self) -> list[Seen]:
        """What it shows of each view."""
        return [
            _show_standing(standing) if isinstance(view, StandingView) else _show_table(table)
            for view, table, standing in zip(self.views, self.tables, self.standings, strict=True)
        ]


def _show_table(table: LiveTable) -> Seen:
    entries = [(each.name, each.score, each.rank, each.place, _text(each.metadata_json)) for each in table.entries]
    return table.period or None, table.total, entries


def _show_standing(standing: LiveStanding | None) -> Seen:
    return None if standing is None else (standing.score, standing.rank, standing.hidden)


def _text(metadata: Raw | bytes) -> str | None:
    return None if bytes(metadata) == b"null" else bytes(metadata).decode()


class FeedMachine(RuleBasedStateMachine):
    """Boards, a hub over them, and clients. A subclass opens the store."""

    runner: asyncio.Runner
    reads_at_once = False
    """Whether a read of the store waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.clients: list[Client] = []
        self.faults: list[object] = []
        self.runner = asyncio.Runner()
        self.begin()

    async def open(self) -> Store:
        """Open the store."""
        raise NotImplementedError

    @property
    def writing(self) -> Boards:
        """The boards that changes are made by."""
        return self.boards

    def begin(self) -> None:
        """Start the service."""
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.store = await self.open()
        self.boards = Boards(self.store, clock=lambda: self.now)
        await self.boards.declare()
        self.hub = Hub(self.boards)

    def end(self) -> None:
        """End the service; its clients are told so, or are not."""
        self.runner.run(self._end())

    async def _end(self) -> None:
        self.hub.close()
        await self.store.close()

    def teardown(self) -> None:
        """Let all come to rest, and leave nothing."""
        self.rest()
        self.end()
        self.runner.close()

    # Changes

    def try_to(self, act: Callable[[], Awaitable[object]]) -> None:
        """Change something, unless it is refused."""

        async def run() -> None:
            with suppress(LaurelsError):
                await act()

        self.runner.run(run())

    @initialize(definition=DEFINITIONS, views=st.lists(VIEWS, min_size=1, max_size=3, unique=True))
    def declare(self, definition: Definition, views: list[View]) -> None:
        """Begin with some entries, and somebody who looks on."""
        self.try_to(lambda: self.writing.define("kart", definition))
        for score, player in enumerate(PLAYERS[:5]):
            self.try_to(lambda: self.writing.submit("kart", Submission(player, score)))  # noqa: B023 - it is called at once
        self.come(views)

    @rule(kind=st.sampled_from(sorted(CHANGES)), board=NAME_OF_BOARD, player=PLAYER, score=SCORE)
    def change(self, kind: str, board: str, player: str, score: int) -> None:
        """Change something about one name, or a few."""
        self.try_to(lambda: CHANGES[kind](self.writing, board, player, score))

    @rule(kind=st.sampled_from(sorted(CHANGES)), board=NAME_OF_BOARD, player=PLAYER, score=SCORE)
    def change_and_join(self, kind: str, board: str, player: str, score: int) -> None:
        """Change something, and have somebody look at it at once who looks at what others do."""
        self.try_to(lambda: CHANGES[kind](self.writing, board, player, score))
        self.come_too(score)

    @rule(board=NAME_OF_BOARD, definition=st.none() | DEFINITIONS, what=st.sampled_from(["define", "day", "kill"]))
    def turn(self, board: str, definition: Definition | None, what: str) -> None:
        """Define a board anew, or as any other is; let a day end; or have the service end, and start it anew."""
        if what == "define":
            self.try_to(lambda: self.writing.define(board, definition) if definition else self.writing.undefine(board))
        elif what == "day":
            self.now += DAY
        else:
            self.end()
            for client in self.clients:
                client.is_there = False
            self.begin()

    # Clients

    @rule(views=st.lists(VIEWS, min_size=1, max_size=3, unique=True))
    def come(self, views: list[View]) -> None:
        """Look at some views."""
        client = Client(self, tuple(views))
        if self.join(client, ""):
            self.clients.append(client)

    def come_too(self, index: int) -> None:
        """Look at what another one looks at."""
        if self.clients:
            self.come(list(self.clients[index % len(self.clients)].views))

    def join(self, client: Client, ident: str) -> bool:
        """Have a client join; return whether it could."""
        return self.runner.run(self._join(client, ident))

    async def _join(self, client: Client, ident: str) -> bool:
        try:
            feed = await self.hub.open(client.views)
        except LaurelsError:
            return False
        client.is_there, client.is_behind, client.takes_nothing = True, False, False
        client.is_catching_up = bool(feed.events_since(ident))
        self.hub.join(feed, client, ident)
        client.is_catching_up = False
        return True

    @rule(index=INDEX, back=st.integers(0, 6), ident=st.sampled_from(["", "x", "f-0", "{}9", "{}-1", "-{}"]))
    def come_again(self, index: int, back: int, ident: str) -> None:
        """Leave, and come again: with the last id, an earlier one, with what was shown then, or one that is none."""
        if not self.clients:
            return
        client = self.clients[index % len(self.clients)]
        self.hub.leave(client)
        if back and client.had:
            ident, had = client.had[-min(back, len(client.had))]
            client.tables, client.standings = deepcopy(had)
        if not self.join(client, ident.format(client.messages.last_id)):
            self.clients.remove(client)

    @rule(index=INDEX)
    def read_slowly(self, index: int) -> None:
        """Take nothing for a while."""
        if self.clients:
            self.clients[index % len(self.clients)].takes_nothing = True

    @rule()
    def read_all(self) -> None:
        """Have taken all there was."""
        for client in self.clients:
            client.takes_nothing = False
            self.hub.rejoin(client)

    @rule()
    def rest(self) -> None:
        """Wait until all who have taken what there was show what there is; who was cut off comes again."""
        self.read_all()
        for client in [each for each in self.clients if not each.is_there]:
            if not self.join(client, client.messages.last_id):
                self.clients.remove(client)
        self.runner.run(self._rest())

    async def _rest(self) -> None:
        async with asyncio.timeout(SECONDS):
            for client in self.clients:
                while client.is_there and client.shown != await self._read_if_any(client):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.001)

    async def _read_if_any(self, client: Client) -> list[Seen] | None:
        """Return what a client should show, None if it is to be ended: by a definition without its window."""
        try:
            return await self.read(client)
        except BadParameter:
            return None

    @invariant()
    def nothing_was_wrong(self) -> None:
        """Find no client that was told of anything else than a fresh read gave."""
        assert not self.faults, self.faults

    def check_at_once(self, client: Client) -> None:
        """Compare what a client shows with a fresh read, if that waits for nothing."""
        if self.reads_at_once:
            reading = self.read(client)
            try:
                reading.send(None)
            except StopIteration as end:
                if end.value != client.shown:
                    self.faults.append((client.views, client.shown, end.value))

    # Fresh reads, by another road: of all entries, from which each view is taken

    async def read(self, client: Client) -> list[Seen]:
        """Return what a client should show."""
        return [await self._read(view) for view in client.views]

    async def _read(self, view: View) -> Seen:
        where = view.find(self.boards)
        found = await self.boards.page(where, 0, MOST, with_metadata=True, with_places=True)
        entries = [
            (each.name, each.score, each.rank, place, _text(each.metadata or b"null"))
            for place, each in enumerate(found.entries)
        ]
        place = next((place for place, each in enumerate(entries) if each[0] == getattr(view, "name", None)), None)
        if isinstance(view, StandingView):
            return await self._read_standing(where, view.name) if place is None else (*entries[place][1:3], False)
        shown = [each if view.with_metadata else (*each[:4], None) for each in entries]  # type: ignore[attr-defined]
        return where.period or None, len(entries), _cut(view, shown, place)

    async def _read_standing(self, where: Board, name: str) -> Seen:
        hidden = await self.boards.standing(where, name)
        return (hidden.score, None, True) if hidden else (0, None, False)


def _cut(view: View, entries: list[T], place: int | None) -> list[T]:
    """Return the part of all entries that a view shows."""
    if isinstance(view, PageView):
        return entries[view.start : view.stop]
    assert isinstance(view, AroundView)
    if place is None:
        return []
    if view.limit is None:
        return entries[max(0, place - view.span) : place + view.span + 1]
    first = max(0, min(place - view.limit // 2, len(entries) - view.limit))
    return entries[first : first + view.limit]
