"""The routes as a plain ASGI application, for any ASGI server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from laurels.errors import LaurelsError
from laurels.http.messages import Request, add_header
from laurels.http.problems import HTTPError, problem
from laurels.http.routes import body_limit, too_large

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

    from laurels.http.messages import Headers, Response
    from laurels.http.routes import Routes

DRAINED = 1024 * 1024

log = logging.getLogger(__name__)

FAILED = problem(HTTPError(500, "The service failed to answer; its log has the cause. The act may have been counted."))


def failure(error: Exception) -> Response:
    """Give the response to a request whose handling raised; an error that is none of ours goes to the log."""
    if isinstance(error, LaurelsError):
        return problem(error)
    log.error("Failed to answer a request", exc_info=error)
    return FAILED


class Disconnected(Exception):
    """The client left before its request was whole."""


class Application:
    """An ASGI 3 application over routes that are open already."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"There is only HTTP here, no {scope['type']}.")
        try:
            response = await self._answer(scope, receive)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - the outermost skin
            response = failure(error)
        await send_response(response, send)

    async def _answer(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> Response:
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        headers: Headers = {}
        for name, value in scope["headers"]:
            add_header(headers, name, value)
        body = await read_body(body_limit(path), receive)
        return await self.routes.answer(Request(scope["method"], path, scope["query_string"], headers, body))


class OpeningApplication:
    """An ASGI application that opens its routes when the server starts it, and closes them when the server stops."""

    def __init__(self, opening: AbstractAsyncContextManager[Routes]) -> None:
        self._opening = opening
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Follow the server's lifespan, or answer one HTTP request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._application is None:
            raise RuntimeError("The server must run the lifespan protocol: switch it on in its settings.")
        else:
            await self._application(scope, receive, send)

    async def _live(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()
        try:
            self._application = Application(await self._opening.__aenter__())
        except LaurelsError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._opening.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


async def read_body(limit: int, receive: ASGIReceiveCallable) -> bytearray:
    """Read the whole body; raise HTTPError where it is over ``limit`` bytes, Disconnected where its client has left.

    A little of what is too much is read all the same, because many servers close on an answer that comes before.
    """
    body = bytearray()
    more = True
    while more and len(body) <= limit + DRAINED:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > limit:
        raise too_large(limit)
    return body


async def send_response(response: Response, send: ASGISendCallable) -> None:
    """Send a whole response."""
    headers = [*response.headers]
    if response.status != 204:  # noqa: PLR2004
        headers.append((b"content-length", b"%d" % len(response.body)))
    if response.body:
        headers.append((b"content-type", response.content_type))
    if response.status == 413:  # noqa: PLR2004 - the rest of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
