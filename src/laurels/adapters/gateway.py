"""API Gateway's events as requests, and responses as it expects them of a function. No I/O.

What the two kinds of API do to a request before a function sees it, from events recorded on them:

| | REST API | HTTP API, payload 1.0 | HTTP API, payload 2.0 |
|---|---|---|---|
| ``version`` of the event | absent | ``"1.0"`` | ``"2.0"`` |
| path and path parameters | percent-encoded | decoded | decoded |
| query | decoded, ``+`` too; keys in any order | decoded | as it came |
| headers | in the client's case; several values apart | lower case; several apart | lower case; joined by commas |
| what is not there | null | null or absent | absent |

The path of an event may begin with a stage or a custom domain's base path. Its path parameters do not, so a request's
path is put together from those. An HTTP API decodes before it looks for the route: there a name with a slash needs the
greedy route ``/{board}/{name+}``.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

import msgspec
from msgspec import Struct

from laurels.entries import RESERVED
from laurels.http.messages import Request, add_header
from laurels.http.parameters import IN_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.http.messages import Headers, Response

DEFAULT_STAGE = "$default"
OWN = f"/{RESERVED}/"
"""How the paths begin that are no board's."""
_IN_BRACES = re.compile(r"\{(\w+)\}")
SCHEME = "https"
"""The gateway speaks no other."""


class Identity(Struct, frozen=True, rename="camel"):
    """Who sent a request."""

    source_ip: str = ""


class ProxyContext(Struct, frozen=True):
    """Where a :class:`ProxyEvent` came from, and the path that was asked for, with stage or base path."""

    identity: Identity = Identity()
    path: str = ""


class Event(Struct, frozen=True, rename="camel"):
    """What API Gateway sends."""

    def __repr__(self) -> str:
        """Return nothing of what its headers show."""
        return f"<{type(self).__name__}>"


class ProxyEvent(Event, frozen=True, rename="camel"):
    """What a REST API sends, and an HTTP API in payload format 1.0."""

    http_method: str
    path: str
    resource: str = ""
    version: str | None = None
    path_parameters: dict[str, str] | None = None
    query_string_parameters: dict[str, str] | None = None
    multi_value_query_string_parameters: dict[str, list[str]] | None = None
    headers: dict[str, str] | None = None
    multi_value_headers: dict[str, list[str]] | None = None
    body: str | None = None
    is_base64_encoded: bool = False
    request_context: ProxyContext = ProxyContext()


class RequestLine(Struct, frozen=True, rename="camel"):
    """The request line of an :class:`HTTPEvent`, and the client's address."""

    method: str
    source_ip: str = ""


class EventContext(Struct, frozen=True):
    """Where an :class:`HTTPEvent` came from."""

    http: RequestLine
    stage: str = DEFAULT_STAGE


class HTTPEvent(Event, frozen=True, rename="camel"):
    """What an HTTP API sends in payload format 2.0."""

    raw_path: str
    request_context: EventContext
    raw_query_string: str = ""
    path_parameters: dict[str, str] | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    is_base64_encoded: bool = False


def read_event(event: dict[str, Any]) -> Request:
    """Return the request of an event; raise ValidationError for what API Gateway never sent."""
    if event.get("version") == "2.0":
        return _of_http_api(msgspec.convert(event, HTTPEvent))
    return _of_proxy(msgspec.convert(event, ProxyEvent))


def format_response(response: Response, method: str = "GET") -> dict[str, Any]:
    """Return a response as API Gateway takes it in either format."""
    headers: Headers = {}
    for name, value in response.list_headers():
        add_header(headers, name, value)
    body, encoded = _text(b"" if method == "HEAD" else response.body)
    return {
        "statusCode": response.status,
        "headers": {name.decode(): value.decode() for name, value in headers.items()},
        "body": body,
        "isBase64Encoded": encoded,
    }


def _of_proxy(event: ProxyEvent) -> Request:
    encoded = event.version is None
    path = _path(event.path_parameters, encoded=encoded, resource=event.resource) or (
        event.path if encoded else quote(event.path)
    )
    query = event.multi_value_query_string_parameters or event.query_string_parameters or {}
    headers = event.multi_value_headers or {name: [value] for name, value in (event.headers or {}).items()}
    lines = ((name, value) for name, values in headers.items() for value in values)
    context = event.request_context
    return Request(
        event.http_method,
        path.encode(),
        urlencode(query, doseq=True).encode(),
        _headers(lines),
        _body(event),
        context.identity.source_ip,
        SCHEME,
        _prefix(unquote(context.path) if encoded else context.path, path),
    )


def _of_http_api(event: HTTPEvent) -> Request:
    context = event.request_context
    stage = "" if context.stage == DEFAULT_STAGE else f"/{context.stage}"
    path = _path(event.path_parameters, encoded=False) or quote(event.raw_path.removeprefix(stage))
    headers, query = _headers(event.headers.items()), event.raw_query_string.encode()
    prefix = _prefix(event.raw_path, path)
    return Request(
        context.http.method, path.encode(), query, headers, _body(event), context.http.source_ip, SCHEME, prefix
    )


def _headers(lines: Iterable[tuple[str, str]]) -> Headers:
    headers: Headers = {}
    for name, value in lines:
        add_header(headers, name.lower().encode(), value.encode())
    return headers


def _path(parameters: dict[str, str] | None, *, encoded: bool, resource: str = "") -> str:
    """Return the path, put together from the names in it; nothing if the route has none.

    Those of the service's own resources have fixed parts, of which only the resource knows. All others are names alone.
    """
    given = parameters or {}
    names = {name: given[name] if encoded else quote(given[name], safe="") for name in IN_PATH if name in given}
    if resource.startswith(OWN):
        return _IN_BRACES.sub(lambda found: names[found[1]], resource)
    return "".join(f"/{name}" for name in names.values())


def _prefix(whole: str, path: str) -> str:
    """Return what comes before the path in the whole path, which is decoded: a stage, or a base path."""
    below = unquote(path)
    return quote(whole.removesuffix(below)) if whole.endswith(below) else ""


def _body(event: ProxyEvent | HTTPEvent) -> bytes:
    text = event.body or ""
    return b64decode(text) if event.is_base64_encoded else text.encode()


def _text(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return b64encode(body).decode(), True
