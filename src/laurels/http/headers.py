"""What the headers of a request ask for, and whether it can be had."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec.structs import replace

from laurels.http.messages import JSON, Response
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.http.messages import Headers, Request

REPRESENTATION = b"return=representation"
ACCEPTS_KEPT = 64
"""Of so many media types in an Accept the quality is remembered: browsers send few."""
NOT_JSON = "The body is not declared as JSON: send JSON, with Content-Type: application/json."

_ANYTHING = b"*/*"
_ACCEPT = ((b"accept", JSON),)
_QUALITY = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_JSON_TYPE = re.compile(rb"application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_ACCEPTS_JSON = re.compile(
    rb"(?:^|,)\s*(?:application/json|application/\*|\*/\*)\s*(?:,|$|;(?!\s*q=0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE
)
_REPRESENTATION = re.compile(rb"(?:^|,)\s*return\s*=\s*\"?representation\"?\s*(?:,|;|$)", re.IGNORECASE)


def wants_representation(headers: Headers) -> bool:
    """Return whether the client prefers to be told what its submit changed."""
    return _REPRESENTATION.search(headers.get(b"prefer", b"")) is not None


def preferred_kind(headers: Headers, kinds: Sequence[bytes]) -> bytes:
    """Return which of these media types the client prefers, the first of those that it likes equally."""
    accept = headers.get(b"accept", _ANYTHING)
    return max(kinds, key=lambda kind: quality(accept, kind))


@lru_cache(maxsize=ACCEPTS_KEPT)
def quality(accept: bytes, kind: bytes) -> float:
    """Return from 0 to 1 how much a media type is wanted, by the most specific range of an Accept that includes it."""
    found = {_ANYTHING: 0.0}
    for item in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        weight = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
        found[name] = float(weight) if _QUALITY.fullmatch(weight) else 0
    ranges = (kind, kind.partition(b"/")[0] + b"/*", _ANYTHING)
    return next(found[name] for name in ranges if name in found)


def check_accept(headers: Headers, kinds: Sequence[bytes]) -> None:
    """Raise HTTPError if the client takes none of these media types."""
    accept = headers.get(b"accept")
    if accept is None or not kinds or (kinds == (JSON,) and _ACCEPTS_JSON.search(accept)):
        return
    if kinds == (JSON,) or not any(quality(accept, kind) for kind in kinds):
        raise HTTPError(406, f"There is only {kinds[0].decode()} here: ask for that, or for */*, in Accept.")


def check_content(headers: Headers) -> None:
    """Raise HTTPError if the body is not unencoded JSON."""
    kind = headers.get(b"content-type")
    if kind is not None and kind != JSON and not _JSON_TYPE.match(kind):
        raise HTTPError(415, NOT_JSON, headers=_ACCEPT)
    if b"content-encoding" in headers:
        raise HTTPError(415, "The body is encoded. Send it plain, without Content-Encoding.", headers=_ACCEPT)


def tag_of(body: bytes) -> bytes:
    """Return the entity tag of a representation."""
    return b'"%b"' % sha256(body).hexdigest()[:32].encode()


def read_tags(value: bytes) -> frozenset[bytes]:
    """Return the entity tags that a header lists, without the marks of weak ones."""
    return frozenset(each.strip().removeprefix(b"W/") for each in value.split(b","))


def revalidated(request: Request, response: Response) -> Response:
    """Return the response as one that caches may keep if they ask each time; 304 if the client has this very one."""
    tag = tag_of(response.body)
    headers = (*response.headers, (b"cache-control", b"no-cache"), (b"etag", tag))
    if read_tags(request.headers.get(b"if-none-match", b"")) & {tag, b"*"}:
        return Response(304, headers=headers)
    return replace(response, headers=headers)
