"""gRPC-Web: the calls over plain HTTP, as browsers can make them, for pages of any origin.

    POST /SERVICE/CALL      application/grpc-web+proto, or application/grpc-web-text: all of it in base64
    the request             one frame: a byte that is 0, the length in four bytes, the message
    the answer              a frame for each message; then one that begins with 0x80 and has the status as header lines

Each call has the handler that it has over HTTP/2: so it passes the same checks, and counts as one that is open.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import quote

import grpc

from laurels.momento_local.server import LARGEST_MESSAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

    Headers = list[tuple[bytes, bytes]]
    Service = Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None]

KIND = "application/grpc-web"
TEXT = "application/grpc-web-text"
HEAD_BYTES = 5
LENGTH_BYTES = 4
TRAILERS = 0x80
EXPOSED = (b"access-control-expose-headers", b"grpc-status, grpc-message, err")
ANY_ORIGIN = (b"access-control-allow-origin", b"*")


class Details(NamedTuple):
    """What a call asks for, as a server of gRPC's tells it."""

    method: str
    invocation_metadata: tuple[tuple[str, str], ...]


class Aborted(Exception):
    """A handler has ended its call with a status."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: Iterable[tuple[str, str]]) -> None:
        self.trailers = {"grpc-status": str(code.value[0]), "grpc-message": quote(details), **dict(trailers)}
        super().__init__(details)


class WebContext:
    """What a handler asks of a call, and says of its end."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of the request."""
        return self._metadata

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str]] = ()
    ) -> NoReturn:
        """End the call with a status."""
        raise Aborted(code, details, trailing_metadata)


class Web:
    """The calls of a server as an ASGI application, for HTTP alone."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @staticmethod
    def takes(scope: HTTPScope) -> bool:
        """Return whether a request is for a call: the paths of calls are names of two parts, with dots in the first."""
        service, _, call = scope["path"].removeprefix("/").partition("/")
        return "." in service and bool(call) and scope["method"] in {"POST", "OPTIONS"}

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one call, or a browser's question whether it may make it."""
        sent = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] == "OPTIONS":
            await _allow(sent, send)
            return
        kind = sent.get("content-type", "")
        body = await _read(receive)
        if not kind.startswith(KIND) or body is None:
            await _start(413 if body is None else 415, [], send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        is_text = kind.startswith(TEXT)
        await _start(200, [(b"content-type", kind.encode("latin-1")), EXPOSED], send)
        frames = self._answer(scope["path"], tuple(sent.items()), _message_of(body, is_text=is_text))
        sending = asyncio.ensure_future(_send(frames, send, is_text=is_text))
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
        with suppress(asyncio.CancelledError):
            await sending

    async def _answer(
        self, path: str, metadata: tuple[tuple[str, str], ...], message: bytes | None
    ) -> AsyncIterator[bytes]:
        trailers = {"grpc-status": "0"}
        try:
            async for answer in self._messages(path, metadata, message):
                yield _frame(0, answer)
        except Aborted as aborted:
            trailers = aborted.trailers
        yield _frame(TRAILERS, "".join(f"{name}:{value}\r\n" for name, value in trailers.items()).encode())

    async def _messages(
        self, path: str, metadata: tuple[tuple[str, str], ...], message: bytes | None
    ) -> AsyncIterator[bytes]:
        """Have a call answered by its handler; yield the messages of the answer."""
        handler = self._service(Details(path, metadata))
        if handler is None:
            raise Aborted(grpc.StatusCode.UNIMPLEMENTED, f"There is no call {path}.", ())
        context = WebContext(metadata)
        if handler.request_streaming:  # the one that refuses whatever comes
            await handler.stream_unary(None, context)
        request = None if message is None else handler.request_deserializer(message)
        if handler.response_streaming:
            async for answer in handler.unary_stream(request, context):
                yield handler.response_serializer(answer)
        else:
            yield handler.response_serializer(await handler.unary_unary(request, context))


def _message_of(body: bytes, *, is_text: bool) -> bytes | None:
    """Return the message in a request's only frame; None if there is none, which handlers take for no message."""
    try:
        frame = b64decode(body, validate=True) if is_text else body
    except NotBase64:
        return None
    whole = len(frame) >= HEAD_BYTES and frame[0] == 0
    length = int.from_bytes(frame[1:HEAD_BYTES]) if whole else -1
    return frame[HEAD_BYTES:] if length == len(frame) - HEAD_BYTES else None


def _frame(flag: int, message: bytes) -> bytes:
    return bytes([flag]) + len(message).to_bytes(LENGTH_BYTES) + message


async def _send(frames: AsyncIterator[bytes], send: ASGISendCallable, *, is_text: bool) -> None:
    async for frame in frames:
        await send({"type": "http.response.body", "body": b64encode(frame) if is_text else frame, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read(receive: ASGIReceiveCallable) -> bytes | None:
    """Return the body, None if it is too long or its client has left."""
    body = bytearray()
    while True:
        message: Any = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > LARGEST_MESSAGE:
            return None
        if not message["more_body"]:
            return bytes(body)


async def _allow(sent: dict[str, str], send: ASGISendCallable) -> None:
    allowed: Headers = [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", sent.get("access-control-request-headers", "").encode("latin-1")),
        (b"access-control-max-age", b"86400"),
    ]
    await _start(204, allowed, send)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _start(status: int, headers: Headers, send: ASGISendCallable) -> None:
    headers = [*headers, ANY_ORIGIN]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
