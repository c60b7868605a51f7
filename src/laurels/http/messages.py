"""A request and its response, as every adapter hands them over: no sockets, no framework."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

JSON = b"application/json"
HTML = b"text/html"
PROBLEM = b"application/problem+json"

PHRASES = {int(status): status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    422: "Unprocessable Content",
}
"""The reason phrase of each status, as in RFC 9110, which older Pythons do not know yet."""

Headers = dict[bytes, bytes]
"""Names in lower case; the values of a repeated header joined by ``", "``."""
Header = tuple[bytes, bytes]


def add_header(headers: Headers, name: bytes, value: bytes) -> None:
    """Add one header line; ``name`` is in lower case. Not every parser takes off the spaces behind a value."""
    value = value.rstrip(b" \t")
    known = headers.get(name)
    headers[name] = value if known is None else known + b", " + value


class Request(Struct, gc=False):
    """A request; ``path`` and ``query`` are still percent-encoded. The body may come later than the head."""

    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: bytes | bytearray = b""
    client: str = ""
    """The address it came from, empty if the adapter does not know it."""

    @property
    def host(self) -> bytes:
        """The host and port that the client asked for, not yet checked; empty if it named none."""
        return self.headers.get(b"host", b"")


class Response(Struct, frozen=True, gc=False):
    """One whole response. ``Content-Type`` and ``Content-Length`` follow from its fields."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


class StreamingResponse(Response, frozen=True, kw_only=True):
    """A response whose body is sent as it is made.

    ``chunks`` is called once for the generator, which is closed when the client leaves. HEAD gets the head alone. An
    operation that answers so is not inline.
    """

    chunks: Callable[[], AsyncGenerator[bytes, None]]
