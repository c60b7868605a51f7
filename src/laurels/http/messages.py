"""A request and its response, as every adapter hands them over: no sockets, no framework."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from laurels.tracing import Trace

JSON = b"application/json"
HTML = b"text/html"
PROBLEM = b"application/problem+json"
EVENTS = b"text/event-stream"
TAR = b"application/x-tar"

PHRASES = {int(status): status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    422: "Unprocessable Content",
}
"""The reason phrase of each status, as in RFC 9110, which older Pythons do not know yet."""

DEFAULT_ORIGIN = "http://127.0.0.1:8000"
"""Where a service with default settings is asked."""
# Stricter than what Host may be: a base stands in HTML and JSON as it is.
_HOST = re.compile(rb"(?:[\w.~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

Headers = dict[bytes, bytes]
"""Names in lower case; the values of a repeated header joined by ``", "``."""
Header = tuple[bytes, bytes]

ON_EVERY_ANSWER: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""No browser takes an answer for another type, and no cache keeps one that does not say so itself."""
BODILESS = {204, 304}
"""The statuses of answers that have no body, nor a length."""


def add_header(headers: Headers, name: bytes, value: bytes) -> None:
    """Add one header line; ``name`` is in lower case. Not every parser takes off the spaces behind a value."""
    value = value.rstrip(b" \t")
    known = headers.get(name)
    headers[name] = value if known is None else known + b", " + value


class Request(Struct, gc=False):
    """A request; ``path``, ``query`` and ``prefix`` are percent-encoded. The body may come later than the head.

    What is known of the client's side of a proxy, the gate writes over what the adapter saw.
    """

    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: bytes | bytearray = b""
    client: str = ""
    """The address it came from, empty if the adapter does not know it."""
    scheme: str = "http"
    prefix: str = ""
    """What comes before ``path`` where the client asked: the path that the service is mounted at, or behind."""
    forwarded_host: bytes | None = None
    """The host and port that the client asked for, if that is not what its ``Host`` says here."""
    trace: Trace | None = None
    """The trace that it is part of, known when its head is complete."""

    def __repr__(self) -> str:
        """Return nothing of what it shows."""
        return f"<{type(self).__name__} {self.method}>"

    @property
    def host(self) -> bytes:
        """The host and port that the client asked for, not yet checked; empty if it named none."""
        return self.headers.get(b"host", b"") if self.forwarded_host is None else self.forwarded_host

    @property
    def base(self) -> str:
        """The URL that the service was asked at, without a slash at its end."""
        host = self.host
        origin = f"{self.scheme}://{host.decode()}" if _HOST.fullmatch(host) else DEFAULT_ORIGIN
        return origin + self.prefix


class Response(Struct, frozen=True, gc=False):
    """One whole response. ``Content-Type`` and ``Content-Length`` follow from its fields."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()

    def list_headers(self) -> list[Header]:
        """Return all its headers but the length."""
        own = {name for name, _ in self.headers}
        has_kind = self.content_type and (self.body or isinstance(self, StreamingResponse))
        kind = ((b"content-type", self.content_type),) if has_kind else ()
        return [*self.headers, *kind, *(header for header in ON_EVERY_ANSWER if header[0] not in own)]


NO_CONTENT = Response(204)


class ErrorResponse(Response, frozen=True, gc=False):
    """The response to a request that was refused, or that failed."""

    reason: str = ""
    """Why, in one word, as the metrics count it."""


class Chunks(Protocol):
    """The parts of a body as they are made, such as an asynchronous generator."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def __anext__(self) -> Awaitable[bytes]: ...

    def aclose(self) -> Awaitable[None]:
        """Make no more of them, and release what that took."""


class StreamingResponse(Response, frozen=True, kw_only=True):
    """A response whose body is sent as it is made.

    ``chunks`` is called once for the generator, which is closed when the client leaves. What it raises breaks the
    answer off, so that nobody takes it for a whole one. HEAD gets the head alone. An operation that answers so is not
    inline, unless adapters can send the answer without a task.
    """

    is_inline: ClassVar[bool] = False
    chunks: Callable[[], Chunks]
    starts_with_first: bool = False
    """Whether the head waits for the first chunk, so that an error before that is answered as any other is."""
