"""What the gateway answers by itself, as problem documents like those of the service."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from laurels.entries import RESERVED
from laurels.http.headers import NOT_JSON
from laurels.http.operations import LIVE, READ, STANDING, SUBMIT
from laurels.http.problems import CHALLENGE, FAULT, HTTPError, problem
from laurels.http.routes import NO_ROUTE
from laurels.limits import BODY_BYTES, KIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.http.messages import Header, Response
    from laurels.http.operation import Operation


class Remainder(Struct, frozen=True):
    """A problem document that does not repeat the status."""

    title: str
    detail: str
    type: str = "about:blank"


FUNCTIONS: dict[str, Operation] = {"get_leaderboard": READ, "get_standing": STANDING, "submit_score": SUBMIT}
"""The function that answers each operation of the gateway's."""
ROUTES: tuple[tuple[str, Operation], ...] = tuple(FUNCTIONS.items())
OWN = replace(STANDING, path=f"/{RESERVED}/{{name}}")
LIVE_ROUTES = (*ROUTES, ("get_leaderboard", LIVE), ("get_standing", OWN))
"""The functions and what each answers. With live boards there is a resource ``/-``, which takes in what is below it: so
the service's own routes, that else go to the functions as if ``-`` were a board, have a resource there.
"""


def list_methods(path: str) -> list[str]:
    """Return the methods that a resource of the gateway has."""
    methods = {operation.method for _, operation in LIVE_ROUTES if operation.path == path}
    return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


OTHER_METHOD = "This method is not allowed here: use {}."

UNACCEPTED = "Authorization shows no token, or none that is accepted. Send one as `Authorization: Bearer TOKEN`."
ANSWERS: dict[str, tuple[int, str]] = {
    "BAD_REQUEST_BODY": (400, "The body is not valid JSON."),
    "BAD_REQUEST_PARAMETERS": (400, "The path has no board or no name."),
    "UNAUTHORIZED": (401, UNACCEPTED),
    "EXPIRED_TOKEN": (401, UNACCEPTED),
    "INVALID_API_KEY": (401, "X-Api-Key shows no key, or none of this stage's. Send one as `X-Api-Key: KEY`."),
    "MISSING_AUTHENTICATION_TOKEN": (404, NO_ROUTE),
    "INVALID_SIGNATURE": (404, NO_ROUTE),
    "RESOURCE_NOT_FOUND": (404, NO_ROUTE),
    "REQUEST_TOO_LARGE": (413, f"The body is larger than {BODY_BYTES // KIB} KiB."),
    "UNSUPPORTED_MEDIA_TYPE": (415, NOT_JSON),
    "THROTTLED": (429, "There are more requests than this deployment allows. Nothing was counted: try again."),
    "QUOTA_EXCEEDED": (429, "The quota of this key is used up. Nothing was counted: try again in its next period."),
    "ACCESS_DENIED": (403, "What Authorization shows has no right to this."),
    "WAF_FILTERED": (403, "The request is not allowed."),
    "AUTHORIZER_FAILURE": (503, "Who asks could not be found out. Nothing was counted: try again."),
    "INTEGRATION_TIMEOUT": (503, "The service did not answer in time. The act may have been counted."),
    "INTEGRATION_FAILURE": (503, "The service could not be reached. The act may have been counted."),
}
"""What the gateway answers by itself: its name for it, the status, and the detail.

``MISSING_AUTHENTICATION_TOKEN``, and with a header Authorization ``INVALID_SIGNATURE``, is what it says of a path that
is no route; no route of ours takes a signature of AWS's.
"""
API_KEY_CHALLENGE = b'ApiKey realm="laurels"'
QUOTA_SECONDS = 3600
"""``Retry-After`` of a quota that is used up: the gateway does not tell when its next period begins."""

DEFAULTS = {
    "DEFAULT_4XX": Remainder("Request refused", "The gateway cannot take this request."),
    "DEFAULT_5XX": Remainder("Service failed", FAULT),
}
"""What it answers if the table above has no row. The status is its own: to set it here would set every other."""


def refusal(status: int, detail: str, headers: Sequence[Header] = ()) -> Response:
    """Return an answer of the gateway's own."""
    return problem(HTTPError(status, detail, headers=tuple(headers)))


def gateway_answer(kind: str) -> Response:
    """Return what the gateway answers by itself, by its name for that."""
    status, detail = ANSWERS[kind]
    return refusal(status, detail, _headers(kind, status))


def _headers(kind: str, status: int) -> Sequence[Header]:
    if status == HTTPStatus.UNAUTHORIZED:
        return ((b"www-authenticate", API_KEY_CHALLENGE if kind == "INVALID_API_KEY" else CHALLENGE),)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        seconds = QUOTA_SECONDS if kind == "QUOTA_EXCEEDED" else 1
        return ((b"retry-after", b"%d" % seconds),)
    return ()
