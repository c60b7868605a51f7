"""What the gateway answers by itself, as problem documents like those of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.http.headers import NOT_JSON
from laurels.http.operations import READ, STANDING, SUBMIT
from laurels.http.problems import FAULT, HTTPError, problem
from laurels.http.routes import NO_ROUTE
from laurels.limits import BODY_BYTES, KIB

if TYPE_CHECKING:
    from laurels.http.messages import Response
    from laurels.http.operation import Operation


class Remainder(Struct, frozen=True):
    """A problem document that does not repeat the status."""

    title: str
    detail: str
    type: str = "about:blank"


FUNCTIONS: dict[str, Operation] = {"get_leaderboard": READ, "get_standing": STANDING, "submit_score": SUBMIT}
"""The function that answers each operation of the gateway's."""


def list_methods(path: str) -> list[str]:
    """Return the methods that a resource of the gateway has."""
    methods = {operation.method for operation in FUNCTIONS.values() if operation.path == path}
    return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


OTHER_METHOD = "This method is not allowed here: use {}."

ANSWERS: dict[str, tuple[int, str]] = {
    "BAD_REQUEST_BODY": (400, "The body is not valid JSON."),
    "BAD_REQUEST_PARAMETERS": (400, "The path has no board or no name."),
    "MISSING_AUTHENTICATION_TOKEN": (404, NO_ROUTE),
    "RESOURCE_NOT_FOUND": (404, NO_ROUTE),
    "REQUEST_TOO_LARGE": (413, f"The body is larger than {BODY_BYTES // KIB} KiB."),
    "UNSUPPORTED_MEDIA_TYPE": (415, NOT_JSON),
    "THROTTLED": (429, "There are more requests than this deployment allows. Nothing was counted: try again."),
    "QUOTA_EXCEEDED": (429, "There are more requests than this deployment allows. Nothing was counted: try again."),
    "ACCESS_DENIED": (403, "The request is not allowed."),
    "WAF_FILTERED": (403, "The request is not allowed."),
    "INTEGRATION_TIMEOUT": (503, "The service did not answer in time. The act may have been counted."),
    "INTEGRATION_FAILURE": (503, "The service could not be reached. The act may have been counted."),
}
"""What the gateway answers by itself: its name for it, the status, and the detail."""

DEFAULTS = {
    "DEFAULT_4XX": Remainder("Request refused", "The gateway cannot take this request."),
    "DEFAULT_5XX": Remainder("Service failed", FAULT),
}
"""What it answers if the table above has no row. The status is its own: to set it here would set every other."""


def refusal(status: int, detail: str) -> Response:
    """Return an answer of the gateway's own."""
    return problem(HTTPError(status, detail))
