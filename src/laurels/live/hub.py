"""The hub of a process: who looks at which boards, and when they are told what changed.

    board ─── view ─── feed ─── subscriber
      who changes it only counts that · read once a tick · numbers its events · a transport

**Ticks.** A tick reads the views of the boards that have changed, makes events of what each feed showed before and
shows now, and writes them. So however fast a board changes there are at most ten events a second, the newest state
wins, and a submit costs the same whoever looks on. A tick that kept the loop busy is followed by a pause of twice as
long: so the feed takes a third of the loop at most. What many look at does not wait for what few look at, be it ten
thousand views: for these a tick has a moment, and the next ones go on with them. Over a network several are read at
once, as many as go well in one piece.

**Joining.** A page is sent when it is what a fresh read gives: at once if nothing has changed since the last tick, else
at the next. So is that of who has read too slowly to be sent everything.

**Going on.** A feed keeps its last events, also for a moment after its last subscriber has left; nothing is read for it
then. Who comes back with the id of one of them gets what followed, and at the next tick what makes up for the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from laurels.errors import LaurelsError, StoreUnavailable
from laurels.live.feed import Feed
from laurels.live.watched import WatchedBoard, WatchedView
from laurels.turnstile import EVERY_BOARD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from laurels.boards import Boards
    from laurels.live.events import Frames
    from laurels.live.subscribers import Subscriber
    from laurels.live.views import View

log = logging.getLogger(__name__)
T = TypeVar("T")

TICK_SECONDS = 0.1
PAUSE = 2
"""How many times as long as the loop was busy the pause after a tick is, at least."""
TURN_SECONDS = 0.004
"""How long the feed keeps a turn of the loop: that is some 500 writes."""
MANY = 16
"""From how many subscribers on a feed is served in each tick."""
FEW_SECONDS = 0.05
"""How long a tick keeps the loop busy with the others: with some thousand views."""
WRITES = 32
"""How many are written before the time is asked."""
COMMENT_SECONDS = 15.0
"""How often all subscribers get a comment, and how long a feed without any is kept."""
LINGERING = 1000
"""How many feeds without subscribers are kept at most."""


class News(NamedTuple):
    """What is new on a feed, who gets that, and who gets a page."""

    frames: Frames | None
    current: Sequence[Subscriber]
    joining: Sequence[Subscriber]


class Hub:
    """All feeds of a process over its boards."""

    def __init__(self, boards: Boards, most: int = 5000) -> None:
        """Have at most so many subscribers."""
        self.most = most
        self._boards = boards
        self._feeds: dict[tuple[View, ...], Feed] = {}
        self._views: dict[View, WatchedView] = {}
        self._watched: dict[str, WatchedBoard] = {}
        self._joined_to: dict[Subscriber, Feed] = {}
        self._lingering: dict[Feed, None] = {}
        self._due: dict[Feed, None] = {}
        self._running: asyncio.Task[None] | None = None
        self._commented = 0.0
        self._next_expiry = inf
        self._is_recheck_due = False
        self._busy = self._turn = 0.0
        self._events = self._drops = 0

    def measure(self) -> Mapping[str, float]:
        """Return figures for the operator, by their names."""
        return {
            "live_subscribers": len(self._joined_to),
            "live_subscribers_limit": self.most,
            "live_views": len(self._views),
            "live_events": self._events,
            "live_drops": self._drops,
        }

    @property
    def is_full(self) -> bool:
        """Whether there are as many subscribers as there may be."""
        return len(self._joined_to) >= self.most

    async def open(self, views: tuple[View, ...]) -> Feed:
        """Return the feed of these views, which has been read; raise what a read of one of them raises."""
        self._boards.redefined = self.look_again
        feed = self._feeds.get(views)
        if feed is None:
            feed = self._feeds[views] = Feed([self._watch(view) for view in views])
            for watched in feed.watched:
                watched.feeds += 1
                watched.board.feeds.add(views)
            self._linger(feed)
        try:
            await feed.begin()
        except BaseException:
            if not feed.subscribers:
                self._forget(feed)
            raise
        return feed

    def join(self, feed: Feed, subscriber: Subscriber, ident: str = "") -> None:
        """Send a subscriber what it has missed since the event with an id, or a page, and tell it what changes."""
        if self._feeds.get(feed.views) is not feed:  # it has ended since it was opened
            subscriber.end()
            return
        self._joined_to[subscriber] = feed
        feed.subscribers.add(subscriber)
        self._lingering.pop(feed, None)
        self._next_expiry = min(self._next_expiry, subscriber.expires)
        missed = feed.events_since(ident)
        if missed is not None:
            for frames in missed:
                subscriber.put(frames)
            self._due[feed] = None  # what changed while nobody looked on was not read
        elif feed.may_differ:
            subscriber.is_behind = True
            self.rejoin(subscriber)
        else:
            subscriber.put(feed.page())
        if self._running is None or self._running.done():
            self._commented = monotonic()
            self._running = asyncio.get_running_loop().create_task(self._run(), name="laurels-live")

    def rejoin(self, subscriber: Subscriber) -> None:
        """Send a subscriber a page at the next tick, if it missed something: it has taken all that it was sent."""
        feed = self._joined_to.get(subscriber)
        if subscriber.is_behind and feed is not None:
            feed.joining.append(subscriber)
            self._due[feed] = None

    def leave(self, subscriber: Subscriber) -> None:
        """Tell a subscriber nothing more; it may have left already."""
        feed = self._joined_to.pop(subscriber, None)
        if feed is not None:
            feed.subscribers.discard(subscriber)
            if not feed.subscribers:
                self._linger(feed)

    def dismiss(self, subscriber: Subscriber) -> None:
        """End the stream of a subscriber."""
        self.leave(subscriber)
        subscriber.end()

    def look_again(self, board: str) -> None:
        """Read a board anew at the next tick, or every one: it may be defined otherwise."""
        for name in list(self._watched) if board == EVERY_BOARD else [board]:
            if watched := self._watched.get(name):
                watched.mark()

    def recheck(self) -> None:
        """Ask of each subscriber at the next tick whether it may still read: other rules hold."""
        self._is_recheck_due = True

    def close(self) -> None:
        """End all streams."""
        if self._running is not None:
            self._running.cancel()
        for feed in list(self._feeds.values()):
            self._end(feed)

    # What is looked at

    def _watch(self, view: View) -> WatchedView:
        watched = self._views.get(view)
        if watched is None:
            board = self._watched.get(view.board)
            if board is None:
                board = self._watched[view.board] = WatchedBoard(view.board)
                board.is_polled = not self._boards.store.watch(view.board, board.mark)
            watched = self._views[view] = WatchedView(view, board, self._boards)
            board.views.add(watched)
        return watched

    def _linger(self, feed: Feed) -> None:
        feed.left = monotonic()
        self._lingering[feed] = None
        if len(self._lingering) > LINGERING:
            self._forget(next(iter(self._lingering)))

    def _forget(self, feed: Feed) -> None:
        """Forget a feed, and what nobody looks at any more."""
        self._lingering.pop(feed, None)
        self._due.pop(feed, None)
        if self._feeds.get(feed.views) is feed:
            del self._feeds[feed.views]
            for watched in feed.watched:
                watched.feeds -= 1
                watched.board.feeds.discard(feed.views)
                if not watched.feeds:
                    self._unwatch(watched)

    def _unwatch(self, watched: WatchedView) -> None:
        board = watched.board
        self._views.pop(watched.view, None)
        board.views.discard(watched)
        if not board.views and board.name in self._watched:
            del self._watched[board.name]
            self._boards.store.watch(board.name, None)

    def _end(self, feed: Feed) -> None:
        for subscriber in list(feed.subscribers):
            self.dismiss(subscriber)
        self._forget(feed)

    # Ticks

    async def _run(self) -> None:
        while self._feeds:
            begun = self._turn = monotonic()
            self._busy = 0.0
            await self._tick(begun)
            await asyncio.sleep(max(begun + TICK_SECONDS - monotonic(), PAUSE * self._busy_until_now()))

    async def _tick(self, begun: float) -> None:
        await self._dismiss_unfit()
        if begun - self._commented >= COMMENT_SECONDS:
            self._commented = begun
            for feed in [each for each in self._lingering if begun - each.left >= COMMENT_SECONDS]:
                self._forget(feed)
            await self._write(list(self._joined_to), self._comment, None)
        many, few = self._take_due()
        size = self._boards.store.reads_at_once
        for first in range(0, len(many), size):
            await self._serve(many[first : first + size])
        most = self._busy_until_now() + FEW_SECONDS
        while few:
            await self._serve([few.popleft() for _ in range(min(size, len(few)))])
            if self._busy_until_now() > most:
                break
        self._due = dict.fromkeys([*few, *self._due])

    def _take_due(self) -> tuple[list[Feed], deque[Feed]]:
        """Return the feeds that may show something else by now, or that somebody has joined: of many, and of few."""
        due, self._due, now = self._due, {}, self._boards.now()
        for board in self._watched.values():
            if board.is_polled:
                board.mark()
            if board.changes != board.served or now >= board.due:
                board.served, board.due = board.changes, inf
                due.update((self._feeds[views], None) for views in board.feeds)
        many = [feed for feed in due if len(feed.subscribers) >= MANY]
        return many, deque(feed for feed in due if 0 < len(feed.subscribers) < MANY)

    async def _serve(self, feeds: Sequence[Feed]) -> None:
        """Tell of some feeds what is new on them; several are read together."""
        news: list[Awaitable[News]] = [self._read(feed) for feed in feeds]
        if len(news) > 1:
            news = [asyncio.ensure_future(each) for each in news]
            await asyncio.gather(*news, return_exceptions=True)
        for feed, each in zip(feeds, news, strict=True):
            await self._try(feed, each)

    async def _try(self, feed: Feed, news: Awaitable[News]) -> None:
        try:
            await self._tell(feed, await news)
        except StoreUnavailable:
            self._due[feed] = None  # the next tick tries again
        except LaurelsError:
            self._end(feed)  # who comes again is told why
        except Exception:
            log.exception("Failed to read a view")
            self._end(feed)
        await self._rest()

    async def _read(self, feed: Feed) -> News:
        """Read a feed; whoever joins it from then on is sent what was read by that."""
        frames = await feed.advance()
        current = [each for each in feed.subscribers if not each.is_behind]
        joining, feed.joining = feed.joining, []
        return News(frames, current, joining)

    async def _tell(self, feed: Feed, news: News) -> None:
        if news.joining:
            await self._write(news.joining, self._put_page, feed.page())
        if news.frames is not None:
            self._events += 1
            await self._write(news.current, self._put, news.frames)

    def _comment(self, subscriber: Subscriber, _: None) -> None:
        if subscriber in self._joined_to and not subscriber.unsent:
            subscriber.comment()

    def _put_page(self, subscriber: Subscriber, page: Frames) -> None:
        if subscriber in self._joined_to:
            subscriber.is_behind = False
            subscriber.put(page)

    def _put(self, subscriber: Subscriber, frames: Frames) -> None:
        if subscriber.is_slow:
            subscriber.is_behind = True
            self._drops += 1
        elif subscriber in self._joined_to:
            subscriber.put(frames)

    async def _dismiss_unfit(self) -> None:
        """End the streams of those whose credential is good no longer."""
        now = self._boards.now()
        if not self._is_recheck_due and now < self._next_expiry:
            return
        is_recheck, self._is_recheck_due, self._next_expiry = self._is_recheck_due, False, inf
        for subscriber in list(self._joined_to):
            if subscriber.expires <= now or (is_recheck and subscriber.still_may and not subscriber.still_may()):
                self.dismiss(subscriber)
            else:
                self._next_expiry = min(self._next_expiry, subscriber.expires)
            await self._rest()

    async def _write(self, to: Sequence[Subscriber], write: Callable[[Subscriber, T], None], what: T) -> None:
        for first in range(0, len(to), WRITES):
            for subscriber in to[first : first + WRITES]:
                write(subscriber, what)
            await self._rest()

    def _busy_until_now(self) -> float:
        return self._busy + monotonic() - self._turn

    async def _rest(self) -> None:
        """Let the loop do something else, if its turn has been long."""
        now = monotonic()
        if now - self._turn > TURN_SECONDS:
            self._busy += now - self._turn
            await asyncio.sleep(0)
            self._turn = monotonic()
