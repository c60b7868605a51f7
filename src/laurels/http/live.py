"""The feed over HTTP: which views a request asks for, and the answer that goes on for as long as somebody listens.

A browser sends no header ``Authorization`` with an EventSource or a WebSocket. So here, and nowhere else, a player's
token may also be in the query, and a key or a token among the subprotocols of a WebSocket.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from laurels.access.keys import PREFIX
from laurels.errors import BadCredential
from laurels.http.handshake import asks_for_websocket, list_protocols, shake_hands
from laurels.http.messages import EVENTS, Request, StreamingResponse
from laurels.http.operation import Inputs
from laurels.http.parameters import (
    A_PAGE,
    ACCESS_TOKEN,
    AROUND,
    END_RANK,
    INCLUDE_IN_VIEW,
    LIMIT_AROUND,
    ONE_NAME,
    SPAN,
    START_RANK,
    VIEW,
    WINDOW,
)
from laurels.http.problems import HTTPError, overloaded
from laurels.http.query import Query
from laurels.http.reads import span_of
from laurels.limits import DEFAULT_PAGE_ENTRIES
from laurels.live.pulled import Pulled
from laurels.live.subscribers import COMMENT, RETRY, Subscriber
from laurels.live.views import AroundView, PageView, StandingView

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from laurels.boards import Boards
    from laurels.http.gate import Context
    from laurels.http.messages import Headers
    from laurels.live.feed import Feed
    from laurels.live.hub import Hub
    from laurels.live.views import View

BEARER = "laurels.bearer."
"""What a credential among the subprotocols begins with."""


class Listening(Struct, frozen=True):
    """What a subscriber is to join, and for how long it may."""

    hub: Hub
    feed: Feed
    ident: str
    """The id of the last event that the client has, if it comes again."""
    expires: float
    still_may: Callable[[], bool] | None

    def join(self, subscriber: Subscriber) -> None:
        """Have a subscriber join."""
        subscriber.expires, subscriber.still_may = self.expires, self.still_may
        self.hub.join(self.feed, subscriber, self.ident)

    def events(self) -> AsyncGenerator[bytes, None]:
        """Return the bytes of a stream of events, for who pulls them."""
        return Pulled(self.hub, lambda frames: [frames.plain], COMMENT, RETRY).pull(self.join)

    def messages(self) -> AsyncGenerator[bytes, None]:
        """Return the messages of a WebSocket, for who pulls them."""
        return Pulled(self.hub, lambda frames: frames.messages).pull(self.join)


class Live(StreamingResponse, frozen=True, kw_only=True):
    """An answer that goes on. Adapters have a subscriber join, whatever their connections make of it."""

    is_inline = True

    listening: Listening
    is_websocket: bool


async def watch(context: Context, request: Request, board: str, views: Sequence[View]) -> Live:
    """Answer with the events of some views of a board."""
    hub = context.hub
    assert hub is not None  # noqa: S101 - the routes have one
    headers = shake_hands(request.headers)
    if hub.is_full:
        full = f"There are as many subscribers as --max-subscribers allows: {hub.most:,}."
        raise overloaded(full, "--max-subscribers")
    feed = await hub.open(tuple(place_view(context.boards, board, view) for view in views))
    access, shown = context.access, request.headers.get(b"authorization")
    still_may = None if access is None else partial(access.may_read, shown, board)
    ident = request.headers.get(b"last-event-id", b"").decode("latin-1")
    listening = Listening(hub, feed, ident, context.principal.expires, still_may)
    return Live(
        101 if headers else 200,
        content_type=b"" if headers else EVENTS,
        headers=headers,
        listening=listening,
        is_websocket=bool(headers),
        chunks=listening.events,
    )


def place_view(boards: Boards, board: str, view: View) -> View:
    """Return a view of a board, with its window as the definition writes it."""
    window = view.window and boards.period_of(board, view.window, None).window
    return replace(view, board=board, window=window)


def show_credential(request: Request) -> None:
    """Let a credential that is shown elsewhere count as one in ``Authorization``; raise HTTPError or BadCredential."""
    headers = request.headers
    offered = list_protocols(headers) if asks_for_websocket(headers) else []
    shown = [each.removeprefix(BEARER) for each in offered if each.startswith(BEARER)]
    if b"access_token" in request.query and ACCESS_TOKEN.name in (query := Query(request.query)):
        tokens = query.texts(ACCESS_TOKEN.name)
        if any(each.startswith(PREFIX) for each in tokens):
            raise BadCredential("A key is never in a query, which logs may show: send it in Authorization.")
        shown += tokens
    if len(shown) + (b"authorization" in headers) > 1:
        raise HTTPError(400, "Several credentials are shown: show one, in one place.")
    if shown:
        headers[b"authorization"] = b"Bearer " + shown[0].encode()


# Which views


def parse_views(query: Query, headers: Headers) -> Sequence[Any]:
    """Return the views that a query asks for; raise BadParameter."""
    if VIEW.name not in query:
        return ([_parse_view(query, headers)],)
    texts = SEVERAL.read(query, headers)[0]
    return ([_parse_view(Query(text.encode()), headers) for text in texts],)


def _parse_view(query: Query, headers: Headers) -> View:
    if AROUND.name in query:
        name, span, limit, fields, window, _ = OF_NEIGHBOURS.read(query, headers)
        return AroundView("", window, name, span_of(span, limit), limit, "metadata" in fields)
    if ONE_NAME.name in query:
        name, window, _ = OF_STANDING.read(query, headers)
        return StandingView("", window, name)
    start, stop, fields, window, _ = OF_PAGE.read(query, headers)
    stop = start + DEFAULT_PAGE_ENTRIES if stop is None else stop
    return PageView("", window, start, stop, "metadata" in fields)


OF_NEIGHBOURS = Inputs("a view around a name", (AROUND, SPAN, LIMIT_AROUND, INCLUDE_IN_VIEW, WINDOW, ACCESS_TOKEN))
OF_STANDING = Inputs("a view of one standing", (ONE_NAME, WINDOW, ACCESS_TOKEN))
OF_PAGE = Inputs(f"a view of {A_PAGE}", (START_RANK, END_RANK, INCLUDE_IN_VIEW, WINDOW, ACCESS_TOKEN))
SEVERAL = Inputs("a feed of several views", (VIEW, ACCESS_TOKEN))
