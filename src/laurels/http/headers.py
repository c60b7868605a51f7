"""What the headers of a request ask for, and whether it can be had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from laurels.http.messages import JSON
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from laurels.http.messages import Request

HTML = b"text/html"
REPRESENTATION = b"return=representation"

_ANYTHING = b"*/*"
_ACCEPT = ((b"accept", JSON),)
_QUALITY = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_JSON_TYPE = re.compile(rb"application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_ACCEPTS_JSON = re.compile(
    rb"(?:^|,)\s*(?:application/json|application/\*|\*/\*)\s*(?:,|$|;(?!\s*q=0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE
)
_REPRESENTATION = re.compile(rb"(?:^|,)\s*return\s*=\s*\"?representation\"?\s*(?:,|;|$)", re.IGNORECASE)


def key(request: Request) -> str | None:
    """Give the idempotency key, if there is one."""
    told = request.headers.get(b"idempotency-key")
    return None if told is None else told.decode("latin-1")


def wants_representation(request: Request) -> bool:
    """Tell whether the client prefers to be told what its submit changed."""
    return _REPRESENTATION.search(request.headers.get(b"prefer", b"")) is not None


def wants_html(request: Request) -> bool:
    """Tell whether HTML is more welcome than JSON."""
    accept = request.headers.get(b"accept", _ANYTHING)
    return quality(accept, HTML) > quality(accept, JSON)


def quality(accept: bytes, kind: bytes) -> float:
    """Tell from 0 to 1 how welcome a media type is; what an Accept names most closely counts."""
    found = {_ANYTHING: 0.0}
    for item in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        told = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
        found[name] = float(told) if _QUALITY.fullmatch(told) else 0
    ranges = (kind, kind.partition(b"/")[0] + b"/*", _ANYTHING)
    return next(found[name] for name in ranges if name in found)


def check_kind(request: Request, content_type: bytes) -> None:
    """Raise HTTPError for a client that does not take this content type."""
    kind = content_type.partition(b";")[0]
    if not quality(request.headers.get(b"accept", _ANYTHING), kind):
        raise _not_acceptable(kind)


def check_accept(request: Request) -> None:
    """Raise HTTPError for a client that takes no JSON."""
    accept = request.headers.get(b"accept")
    if accept is not None and not _ACCEPTS_JSON.search(accept):
        raise _not_acceptable(JSON)


def _not_acceptable(kind: bytes) -> HTTPError:
    return HTTPError(406, f"There is only {kind.decode()} here: ask for that, or for */*, in Accept.")


def check_content(request: Request) -> None:
    """Raise HTTPError for a body that is not plain JSON."""
    kind = request.headers.get(b"content-type")
    if kind is not None and kind != JSON and not _JSON_TYPE.match(kind):
        raise HTTPError(415, "The body is not JSON. Send Content-Type: application/json.", headers=_ACCEPT)
    if b"content-encoding" in request.headers:
        raise HTTPError(415, "The body is encoded. Send it plain, without Content-Encoding.", headers=_ACCEPT)
