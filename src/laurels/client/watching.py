"""The calls that follow a board as it changes, for as long as one listens."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from laurels.client.calls import Calls, list_fields, own_path
from laurels.client.connection import drop_none
from laurels.client.errors import RequestFailed, ServerUnreachable
from laurels.client.live import (
    LONGEST_RETRY_SECONDS,
    UPDATES,
    Disconnected,
    Event,
    LiveBoard,
    LiveStanding,
    LiveTable,
    Message,
    Messages,
)
from laurels.errors import truncate
from laurels.http.messages import EVENTS
from laurels.limits import DEFAULT_PAGE_ENTRIES, DEFAULT_SPAN_ENTRIES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
    from typing import Literal

SILENCE = 45.0
"""Seconds to wait for the next byte of a stream of events; a service says every 15 seconds that it is there."""
_BUSY = 429
_FAILING = 500

_read_update = {kind: msgspec.json.Decoder(update) for kind, update in UPDATES.items()}


class LiveCalls(Calls):
    """The calls that follow a board.

    They go on until the caller ends them. If the connection breaks, or the service is started anew, they connect again
    after one second, later after up to a minute, and go on with what is there then. They raise RequestFailed if the
    first connection fails, or a later one is refused.
    """

    async def live(
        self,
        board: str,
        *,
        start: int = 0,
        stop: int | None = None,
        around: str | None = None,
        span: int | None = None,
        limit: int | None = None,
        include: Iterable[Literal["metadata"]] = (),
        window: str | None = None,
    ) -> AsyncGenerator[LiveBoard, None]:
        """Yield what a page of a board shows, and again after each change, ten times a second at most.

        The page is that from ``start`` to ``stop``, by default the first 20 places; or that ``around`` a name, as
        :meth:`around` reads it. With ``window`` it is that of the current period, also after the next one has begun.
        """
        query: dict[str, Any] = {"include": list_fields(include), "window": window}
        if around is None:
            end = start + DEFAULT_PAGE_ENTRIES if stop is None else stop
            query |= {"startRank": start, "endRank": end}
            most = end - start
        else:
            query |= {"around": around, "span": span, "limit": limit}
            most = limit or 2 * (DEFAULT_SPAN_ENTRIES if span is None else span) + 1
        table = LiveTable(most)
        async with aclosing(self.live_events(board, query)) as events:
            async for event in events:
                if isinstance(event, Event) and not isinstance(event.update, LiveStanding):
                    table.apply(event.update)
                    yield table.show()

    async def live_standing(
        self, board: str, name: str, *, window: str | None = None
    ) -> AsyncGenerator[LiveStanding, None]:
        """Yield the standing of a name, and again after each change of its score or rank, with who has passed it."""
        async with aclosing(self.live_events(board, {"name": name, "window": window})) as events:
            async for event in events:
                if isinstance(event, Event) and isinstance(event.update, LiveStanding):
                    yield event.update

    async def live_events(self, board: str, *views: Mapping[str, Any]) -> AsyncGenerator[Event | Disconnected, None]:
        """Yield the events of several views over one connection, as they come; each view is the query of a read.

        That the connection broke is an event, too: :class:`Disconnected`.
        """
        query = views[0] if len(views) == 1 else {"view": [urlencode(drop_none(view)) for view in views]}
        path, messages, failures = own_path(board, "live"), Messages(), 0
        while True:
            reason = "The service has ended the connection."
            try:
                async with aclosing(self._events(path, query, messages, len(views))) as events:
                    async for event in events:
                        failures = 0
                        yield event
            except RequestFailed as error:
                if not messages.last_id or not _may_pass(error):
                    raise
                reason = str(error)
            seconds = min(messages.retry * 2**failures, LONGEST_RETRY_SECONDS)
            yield Disconnected(reason, seconds)
            await asyncio.sleep(seconds)
            failures += 1

    async def _events(
        self, path: str, query: Mapping[str, Any], messages: Messages, views: int
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of one connection, until the service ends it."""
        headers = {"accept": EVENTS.decode(), "cache-control": "no-store"}
        headers |= {"last-event-id": messages.last_id} if messages.last_id else {}
        async with self._connection.stream(path, query, headers, silence=SILENCE) as response:
            kind = response.headers.get("content-type", "nothing").partition(";")[0]
            if kind != EVENTS.decode():
                self._connection.refuse(f"it sent {truncate(kind)} for a stream of events")
            messages.begin()
            with self._connection.reaching(SILENCE):
                async for piece in response.aiter_raw():
                    for message in self._take(messages, piece):
                        update = self._connection.decode(_read_update[message.event], bytes(message.data))
                        if update.view >= views:
                            self._connection.refuse("it tells of a view that was not asked for")
                        yield Event(message, update)

    def _take(self, messages: Messages, piece: bytes) -> Sequence[Message]:
        try:
            return [message for message in messages.take(piece) if message.event in _read_update]
        except ValueError as error:
            self._connection.refuse(str(error))


def _may_pass(error: RequestFailed) -> bool:
    """Return whether a failure may be over after a while."""
    status = error.status or 0
    return status >= _FAILING or status == _BUSY or isinstance(error, ServerUnreachable)
