"""Live boards of functions: hints of submits over Momento's Topics, and what a browser needs to listen to them.

A function has no stream of events. So a submit that has counted is told to the board's topic, and a request for the
board's events is answered with a subscription to that topic. Momento keeps no guards and no hidden names: what counts
is public to whoever may read the board.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from laurels.errors import StoreError
from laurels.http.live import place_view
from laurels.http.messages import Response
from laurels.http.operations import LIVE, READ, SUBMIT
from laurels.http.wire import encode
from laurels.serverless.segments import subsegment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.http.gate import Context
    from laurels.http.operation import Operation
    from laurels.live.views import View
    from laurels.serverless.opened import Opened
    from laurels.stores.contract import Score

log = logging.getLogger(__name__)

OWN = b"connect-src 'self'"
"""What the policy of a page says of where it connects to."""


class Topic(Struct, frozen=True, rename="camel"):
    """What a browser needs to listen to a board."""

    endpoint: str
    cache: str
    topic: str
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Return nothing of the token."""
        return f"<{type(self).__name__} {self.topic} until {self.expires_at}>"


class Topics(Struct, frozen=True):
    """The answer instead of events."""

    topics: Topic


class Live:
    """The operations of a function that tells of submits, or of one that lets listen.

    ``count_untold`` counts a submit that nobody was told of.
    """

    def __init__(self, opened: Opened, count_untold: Callable[[], object]) -> None:
        self._publisher = opened.publisher
        self._subscriptions = opened.subscriptions
        self._count_untold = count_untold

    @property
    def operations(self) -> Sequence[Operation]:
        """Those that take the place of others."""
        submit = [replace(SUBMIT, handler=self.submit)] if self._publisher is not None else []
        if self._subscriptions is None:
            return submit
        # Whatever a client accepts: it asks for events.
        live = replace(LIVE, handler=self.watch, produces=(), takes_request=False)
        return [*submit, live, replace(READ, handler=self.read)]

    async def submit(
        self, context: Context, board: str, name: str, sent: tuple[Score, Any, Any], *rest: Any
    ) -> Response:
        """Answer a submit once it is kept, and told if that can be done soon."""
        response = await SUBMIT.handler(context, board, name, sent, *rest)
        assert self._publisher is not None  # noqa: S101 - or this is not the handler
        try:
            with subsegment("Momento", namespace="remote", call="publish"):
                await self._publisher.publish(board, name, sent[0])
        except StoreError as error:
            log.warning("A submit was not told: %s", error)
            self._count_untold()
        return response

    async def read(self, *arguments: Any) -> Response:
        """Answer a read; if that is a page, let it listen where its subscription will be."""
        response = await READ.handler(*arguments)
        assert self._subscriptions is not None  # noqa: S101 - or this is not the handler
        listened_at = OWN + b" " + self._subscriptions.place.encode()
        headers = tuple((name, value.replace(OWN, listened_at)) for name, value in response.headers)
        return replace(response, headers=headers)

    async def watch(self, context: Context, board: str, views: Sequence[View]) -> Response:
        """Answer with a subscription to the hints of a board, whatever is shown of it."""
        for view in views:
            place_view(context.boards, board, view)
        assert self._subscriptions is not None  # noqa: S101 - or this is not the handler
        with subsegment("Momento", namespace="remote", call="subscribe"):
            given = await self._subscriptions.subscribe(board)
        expires = datetime.fromtimestamp(given.expires, UTC)
        return Response(200, encode(Topics(Topic(given.endpoint, given.cache, given.topic, given.token, expires))))
