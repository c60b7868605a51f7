"""Errors as RFC 9457 problem documents: one table from error to status."""

from __future__ import annotations

import logging

import msgspec
from msgspec import UNSET, Struct, UnsetType

from laurels import errors
from laurels.http.messages import PHRASES, PROBLEM, Response
from laurels.limits import BATCH_ENTRIES, format_size

log = logging.getLogger(__name__)


class HTTPError(errors.LaurelsError):
    """A request that HTTP itself answers, before any board is asked."""

    def __init__(self, status: int, detail: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.status = status
        self.headers = headers
        super().__init__(detail)


class Problem(Struct, frozen=True):
    """The body of every error, in the words of RFC 9457."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    parameter: str | UnsetType = UNSET
    pointer: str | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
CHALLENGE = b'Bearer realm="laurels"'

STATUS: dict[type[errors.LaurelsError], int] = {
    errors.Malformed: 400,
    errors.Refused: 422,
    errors.NotKept: 422,
    errors.DefinitionConflict: 409,
    errors.DefinitionStale: 412,
    errors.DefinitionChanged: 503,
    errors.NotDeclared: 404,
    errors.NotDefined: 404,
    errors.NotOnBoard: 404,
    errors.NotHeld: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.IssuerUnreachable: 503,
    errors.NoSecret: 409,
    errors.TooManyRequests: 429,
    errors.LimitReached: 429,
    errors.AccessFileNotEdited: 409,
    errors.AccessFileUnusable: 409,
    errors.NoAccessFile: 409,
    errors.NoAuditLog: 409,
    errors.AuditLogUnusable: 409,
    errors.StoreUnavailable: 503,
    errors.StoreFull: 507,
}


def status_of(error: errors.LaurelsError) -> int:
    """Return the status of an error, or of the nearest class above it in the table; 500 if there is none."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def problem(error: errors.LaurelsError) -> Response:
    """Return the response to a request that met this error."""
    status = error.status if isinstance(error, HTTPError) else status_of(error)
    headers = error.headers if isinstance(error, HTTPError) else ()
    if isinstance(error, errors.StoreUnavailable | errors.LimitReached | errors.IssuerUnreachable):
        headers = ((b"retry-after", b"%d" % error.retry_after),)
    elif isinstance(error, errors.Unauthenticated):
        wrong = b', error="invalid_token"' if isinstance(error, errors.BadCredential) else b""
        headers = ((b"www-authenticate", CHALLENGE + wrong),)
    elif isinstance(error, errors.TooManyRequests):
        headers = (
            (b"retry-after", b"%d" % error.retry_after),
            (b"ratelimit-policy", error.policy.encode()),
            (b"ratelimit", error.state.encode()),
        )
    body = Problem(
        title=PHRASES[status],
        status=status,
        detail=str(error),
        parameter=getattr(error, "parameter", UNSET),
        pointer=getattr(error, "pointer", UNSET),
    )
    return Response(status, _encode(body), PROBLEM, headers)


FAULT = "The service failed to answer; its log has the cause. The act may have been counted."
FAILED = problem(HTTPError(500, FAULT))


def failure(error: BaseException) -> Response:
    """Return the response to a request whose handling raised. An error that is not ours goes to the log."""
    if isinstance(error, errors.LaurelsError):
        return problem(error)
    log.error("Failed to answer a request", exc_info=error)
    return FAILED


def too_large(limit: int) -> HTTPError:
    """Return the error for a body of more than ``limit`` bytes."""
    return HTTPError(
        413,
        f"The body is larger than {format_size(limit)}. Send a batch in parts of {BATCH_ENTRIES:,} entries or fewer.",
    )


def overloaded(detail: str, retry_after: int = 1) -> HTTPError:
    """Return the error for a limit of the server that is reached for the moment; ``retry_after`` is in seconds."""
    return HTTPError(503, detail, headers=((b"retry-after", b"%d" % retry_after),))
