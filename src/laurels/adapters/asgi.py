"""The routes as an ASGI application, for any ASGI server."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing, asynccontextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from msgspec.structs import replace
from websockets.frames import CloseCode

from laurels.adapters.limits import Limits
from laurels.errors import LaurelsError
from laurels.http.handshake import offer_websocket
from laurels.http.hosts import parse_address
from laurels.http.live import Live
from laurels.http.messages import BODILESS, Request, StreamingResponse, add_header
from laurels.http.problems import HTTPError, problem, too_large
from laurels.http.proxies import read_address
from laurels.limits import KIB

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from typing import Self

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope

    from laurels.http.messages import Chunks, Response
    from laurels.http.routes import Call, Routes

log = logging.getLogger(__name__)

NOT_OPEN = "The service could not open its store; its log has the cause."
UNDECIDED = (
    "This service answers its own machine alone, as nothing says who may do what. Its operator names an access file "
    "(access=, LAURELS_ACCESS), or opens it to everybody (open=True, LAURELS_OPEN=1)."
)
DRAINED = 1024 * 1024
WATCH_SECONDS = 0.02
"""How long a read may take before it is watched whether its client has left: nearly all are answered by then."""


_ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}|[^%]")


PIECE_BYTES = 64 * KIB
"""Of a stream that is sent at a time: a client that takes as much within the time-out has not stopped reading."""


class Disconnected(Exception):
    """The client left before its request was whole."""


class Stalled(Exception):
    """The client takes nothing of its answer any more."""


class Application:
    """An ASGI 3 application over routes that are open already.

    One that ``is_local`` answers what comes from this machine alone, and over its own addresses. A client may let each
    piece of a stream wait for ``send_timeout`` seconds.
    """

    def __init__(self, routes: Routes, *, is_local: bool = False, send_timeout: float = Limits().send_timeout) -> None:
        self.routes = routes
        self.is_local = is_local
        self.send_timeout = send_timeout

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one HTTP request, or one for a WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            raise NotImplementedError(f"There is only HTTP here, no {scope['type']}.")
        begun = monotonic()
        request = _read_head(scope)
        call = self.routes.find(request.method, request.path)
        try:
            if self.is_local:
                _check_local(scope)
            answer = self._answer if scope["type"] == "http" else self._answer_websocket
            response = await answer(call, request, receive)
            if isinstance(response, StreamingResponse):
                response = await _prepare(response, request, scope)
        except Disconnected:
            return
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # by the server, not by the handler
            response = self.routes.fail(call, request, error)
        except Exception as error:  # noqa: BLE001 - an adapter's outermost part
            response = self.routes.fail(call, request, error)
        response = self.routes.gate.release(request, call, response, monotonic() - begun)
        if isinstance(response, StreamingResponse) and scope["type"] == "http":
            await self._stream(response, receive, send, is_head=request.method == "HEAD")
        else:
            await _respond(response, scope, receive, send)

    async def _stream(
        self, response: StreamingResponse, receive: ASGIReceiveCallable, send: ASGISendCallable, *, is_head: bool
    ) -> None:
        """Send a response as it is made, until it ends or the client leaves."""
        async with aclosing(response.chunks()) as chunks:
            headers = response.list_headers()
            await send(
                {"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False}
            )
            try:
                has_ended = is_head or await _send_until_left(self._send_chunks(chunks, send), receive)
            except Stalled:
                log.warning("A client took nothing of its answer for %g seconds: it is cut off.", self.send_timeout)
                return
            if has_ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunks(self, chunks: Chunks, send: ASGISendCallable) -> None:
        async for chunk in chunks:
            for start in range(0, len(chunk), PIECE_BYTES):
                piece = chunk[start : start + PIECE_BYTES]
                try:
                    async with asyncio.timeout(self.send_timeout):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                except TimeoutError as error:
                    raise Stalled from error
                await asyncio.sleep(0)  # for who reads as fast as it is sent leaves no turn to others

    async def _answer(self, call: Call, request: Request, receive: ASGIReceiveCallable) -> Response:
        self.routes.admit(call, request)
        request.body = await read_body(call.body_limit, receive)
        answer = self.routes.answer_call(call, request)
        if call.operation is None or call.operation.is_write:
            return await answer
        async with _cancelled_if_left(receive):
            return await answer

    async def _answer_websocket(self, call: Call, request: Request, receive: ASGIReceiveCallable) -> Response:
        await receive()  # that it connects
        if call.operation is not None and not call.operation.is_live:
            raise HTTPError(404, "There is no WebSocket here.")
        self.routes.admit(call, request)
        return await self.routes.answer_call(call, request)


@asynccontextmanager
async def _cancelled_if_left(receive: ASGIReceiveCallable) -> AsyncIterator[None]:
    """Cancel what takes longer than a moment, and raise Disconnected, if the client leaves."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a server's
    watch: asyncio.Task[None] | None = None
    is_over = False

    def leave(_: asyncio.Task[None]) -> None:
        if not is_over:
            task.cancel()

    def begin() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(_wait_until_left(receive))
        watch.add_done_callback(leave)

    timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, begin)
    try:
        yield
    except asyncio.CancelledError:
        if watch is None or not watch.done():
            raise
        task.uncancel()
        raise Disconnected from None
    finally:
        is_over = True
        timer.cancel()
        if watch is not None:
            watch.cancel()


def _check_local(scope: HTTPScope | WebSocketScope) -> None:
    """Raise HTTPError if an end of the connection is an address beyond this machine; a Unix socket's is none."""
    for end in (scope.get("client"), scope.get("server")):
        address = parse_address(read_address(end[0])) if end else None
        if address is not None and not address.is_loopback:
            raise HTTPError(403, UNDECIDED)


def _read_head(scope: HTTPScope | WebSocketScope) -> Request:
    client, root = scope.get("client"), scope.get("root_path", "").rstrip("/")
    request = Request(
        scope.get("method", "GET"),  # type: ignore[arg-type]  # a WebSocket has none
        _path_below(scope, root),
        scope["query_string"],
        {},
        client=client[0] if client else "",
        scheme=scope.get("scheme", "http").replace("ws", "http"),
        prefix=quote(root),
    )
    for name, value in scope["headers"]:
        add_header(request.headers, name, value)
    if scope["type"] == "websocket":
        request.headers.update(offer_websocket(scope.get("subprotocols", ())))
    return request


def _path_below(scope: HTTPScope | WebSocketScope, root: str) -> bytes:
    """Return the path below the root path, percent-encoded.

    A server may have left the root path out of the path, and what was told of it need not be in the path although that
    of a mount is: Starlette says which part is not its own.
    """
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    outer: str = scope.get("app_root_path", "")  # type: ignore[assignment]  # Starlette's own key
    for prefix in (root, root.removeprefix(outer)):
        below = _take_off(path, prefix.encode())
        if below is not None:
            return below or b"/"
    return path


def _take_off(path: bytes, prefix: bytes) -> bytes | None:
    """Return what follows a decoded prefix in a percent-encoded path; None if it does not begin with these segments."""
    end = 0
    for byte in prefix:
        found = _ENCODED.match(path, end)
        if found is None or unquote_to_bytes(found[0])[0] != byte:
            return None
        end = found.end()
    return path[end:] if path[end : end + 1] in {b"/", b""} else None


class OpeningApplication:
    """An ASGI application that opens its routes when it is started, and closes them when it is stopped.

    Starlette and FastAPI do not tell an application that is mounted in theirs of either. So it opens at the first
    request, too, and closes at the latest when its event loop shuts down the asynchronous generators that are open, as
    ``asyncio.run`` does at its end. In another loop it opens anew.
    """

    def __init__(
        self,
        open_routes: Callable[[], AbstractAsyncContextManager[Routes]],
        *,
        is_local: bool = False,
        send_timeout: float = Limits().send_timeout,
    ) -> None:
        self._open_routes = open_routes
        self._make_application = partial(Application, is_local=is_local, send_timeout=send_timeout)
        self._routes: AbstractAsyncContextManager[Routes] | None = None
        self._opening: asyncio.Task[Application] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # frameworks each have types of their own
        """Follow the server's lifespan, or answer one HTTP request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            application = await self._opened()
        except LaurelsError as error:
            log.error("Cannot open: %s", error)  # noqa: TRY400 - the error says all
            await _respond(problem(HTTPError(503, NOT_OPEN)), scope, receive, send)
        else:
            await application(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Be open inside: for the lifespan of an application that this one is mounted in, which may be its argument."""
        await self._opened()
        try:
            yield
        finally:
            await self._close()

    async def _opened(self) -> Application:
        """Return the application over the open routes; whoever comes first opens them."""
        task = self._opening
        if task is None or task.get_loop() is not asyncio.get_running_loop() or (task.done() and self._routes is None):
            task = self._opening = asyncio.ensure_future(self._open())
        return await asyncio.shield(task)  # which whoever gives up waiting leaves to the others

    async def _open(self) -> Application:
        self._routes = None
        opening = self._open_routes()
        routes = await opening.__aenter__()
        self._routes = opening
        return self._make_application(routes)

    async def _close(self) -> None:
        routes, self._routes, self._opening = self._routes, None, None
        if routes is not None:
            await routes.__aexit__(None, None, None)

    async def _live(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()
        try:
            await self._opened()
        except LaurelsError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})


async def read_body(limit: int, receive: ASGIReceiveCallable) -> bytearray:
    """Read the whole body; raise HTTPError if it is over ``limit`` bytes, Disconnected if its client has left.

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
    headers = response.list_headers()
    if response.status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(response.body)))
    if response.status == 413:  # noqa: PLR2004 - the rest of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


async def _respond(
    response: Response, scope: HTTPScope | WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
) -> None:
    if scope["type"] == "websocket":
        await _serve_websocket(response, scope, receive, send)
    else:
        await send_response(response, send)


class Started:
    """A stream whose first chunk is made already."""

    def __init__(self, first: bytes, others: Chunks) -> None:
        self._first: bytes | None = first
        self._others = others

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        return await anext(self._others) if first is None else first

    async def aclose(self) -> None:
        """Close what makes the others."""
        await self._others.aclose()


async def _prepare(
    response: StreamingResponse, request: Request, scope: HTTPScope | WebSocketScope
) -> StreamingResponse:
    """Return a response that can be sent, its first chunk made if it starts with that; raise what that raises."""
    if scope.get("http_version") == "1.0":
        raise HTTPError(505, "This answer is streamed, which takes HTTP/1.1.")
    if not response.starts_with_first or request.method == "HEAD":
        return response
    others = response.chunks()
    started = Started(await anext(others, b""), others)
    return replace(response, chunks=lambda: started)


async def _send_until_left(sending: Coroutine[Any, Any, None], receive: ASGIReceiveCallable) -> bool:
    """Run what sends until it ends or the client leaves; return whether it has ended."""
    task = asyncio.ensure_future(sending)
    leaving = asyncio.ensure_future(_wait_until_left(receive))
    try:
        await asyncio.wait([task, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return False
    await task  # raises what broke the stream off, so that it does not look like a whole one
    return True


async def _wait_until_left(receive: ASGIReceiveCallable) -> None:
    while not (await receive())["type"].endswith(".disconnect"):
        pass


async def _serve_websocket(
    response: Response, scope: WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
) -> None:
    """Accept a WebSocket and send its messages; or refuse it, with the whole answer if the server can send that."""
    if isinstance(response, Live):
        chosen = dict(response.headers).get(b"sec-websocket-protocol")
        await send({"type": "websocket.accept", "subprotocol": chosen.decode() if chosen else None, "headers": []})
        if await _send_until_left(_send_messages(response, send), receive):
            await send({"type": "websocket.close", "code": CloseCode.SERVICE_RESTART, "reason": None})
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        headers = [*response.list_headers(), (b"content-length", b"%d" % len(response.body))]
        await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": response.body, "more_body": False})
    else:
        await send({"type": "websocket.close", "code": CloseCode.POLICY_VIOLATION, "reason": None})


async def _send_messages(response: Live, send: ASGISendCallable) -> None:
    async with aclosing(response.listening.messages()) as messages:
        async for message in messages:
            await send({"type": "websocket.send", "bytes": None, "text": message.decode()})
