"""A request and its response, as every skin hands them over: no sockets, no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from msgspec import Struct

JSON = b"application/json"
PROBLEM = b"application/problem+json"

PHRASES = {int(status): status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    422: "Unprocessable Content",
}
"""What a status is called: as in RFC 9110, which older Pythons do not know yet."""

Headers = dict[bytes, bytes]
"""Names in lower case; the values of a repeated header joined by ``", "``."""


def add_header(headers: Headers, name: bytes, value: bytes) -> None:
    """Add one header line; ``name`` is in lower case."""
    known = headers.get(name)
    headers[name] = value if known is None else known + b", " + value


class Request(Struct, gc=False):
    """One whole request; ``path`` and ``query`` are as they came, still percent-encoded."""

    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: bytes | bytearray


class Response(Struct, frozen=True, gc=False):
    """One whole response. ``Content-Type`` and ``Content-Length`` follow from its fields."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


Documents = Mapping[bytes, Callable[[], Response]]
"""Responses that stand, by the paths of their requests."""
