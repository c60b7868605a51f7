"""Errors as RFC 9457 problem documents: one table from error to status."""

from __future__ import annotations

import logging

import msgspec
from msgspec import UNSET, Struct, UnsetType

from laurels import errors
from laurels.http.messages import PHRASES, PROBLEM, ErrorResponse, Response
from laurels.limits import BATCH_ENTRIES, format_size

log = logging.getLogger(__name__)


class HTTPError(errors.LaurelsError):
    """A request that HTTP itself answers, before any board is asked."""

    def __init__(
        self, status: int, detail: str, *, headers: tuple[tuple[bytes, bytes], ...] = (), setting: str = ""
    ) -> None:
        """Make it; ``setting`` is the option of the server whose limit was met, if it is one."""
        self.status = status
        self.headers = headers
        self.setting = setting
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


FAULT_REASON = "fault"
REASONS: dict[type[errors.LaurelsError], str] = {
    errors.Malformed: "malformed",
    errors.Refused: "refused",
    errors.BadDefinition: "bad_definition",
    errors.KeyReused: "key_reused",
    errors.ScoreRefused: "score_refused",
    errors.RunRefused: "run_refused",
    errors.NotKept: "not_kept",
    errors.DefinitionConflict: "definition_conflict",
    errors.DefinitionStale: "definition_stale",
    errors.DefinitionChanged: "definition_changed",
    errors.NotDeclared: "not_declared",
    errors.NotDefined: "not_defined",
    errors.NotOnBoard: "not_on_board",
    errors.NotHeld: "not_held",
    errors.Unauthenticated: "unauthenticated",
    errors.BadCredential: "bad_credential",
    errors.Forbidden: "forbidden",
    errors.IssuerUnreachable: "issuer_unreachable",
    errors.NoSecret: "no_secret",
    errors.TooManyRequests: "rate_limit",
    errors.LimitReached: "account_limit",
    errors.AccessFileNotEdited: "access_file",
    errors.AccessFileUnusable: "access_file",
    errors.NoAccessFile: "access_file",
    errors.NoAuditLog: "audit_log",
    errors.AuditLogUnusable: "audit_log",
    errors.AuditLogUnwritable: "audit_log",
    errors.StoreUnavailable: "store_unavailable",
    errors.AnswerLost: "answer_lost",
    errors.ServerUnusable: "server_unusable",
    errors.FileLost: "file_lost",
    errors.CacheMissing: "cache_missing",
    errors.KeyRefused: "store_key_refused",
    errors.ParameterUnreadable: "parameter_unreadable",
    errors.RestartNeeded: "restart_needed",
    errors.StoreFull: "store_full",
    errors.StoreRefused: "store_refused",
}
"""What the metrics call the reason of a refusal, unless that is a setting's limit."""
HTTP_REASONS = {
    400: "malformed",
    403: "foreign_origin",
    404: "no_route",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "too_slow",
    413: "body_too_large",
    414: "target_too_long",
    415: "not_json",
    421: "foreign_host",
    426: "websocket_wanted",
    431: "head_too_large",
    500: FAULT_REASON,
    501: "transfer_coding",
    503: "not_open",
    505: "http_version",
}
"""The same for what HTTP itself refuses, by status."""
LIMIT_REASONS = (
    "max_connections",
    "max_client_memory",
    "max_subscribers",
    "max_backups",
    "max_audit",
    "max_boards",
    "max_periods",
    "max_entries",
    "max_hidden",
    "max_runs",
    "max_keys",
    "max_waiting_changes",
    "max_waiting_reads",
    "redis_waiting",
)
"""The settings whose limits are refused for."""
ALL_REASONS = tuple(sorted({*REASONS.values(), *HTTP_REASONS.values(), *LIMIT_REASONS}))


def status_of(error: errors.LaurelsError) -> int:
    """Return the status of an error, or of the nearest class above it in the table; 500 if there is none."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def reason_of(error: errors.LaurelsError) -> str:
    """Return why a request was refused, in one word: the setting whose limit it met, or what kind of error it is."""
    if setting := getattr(error, "setting", ""):
        return str(setting).removeprefix("--").replace("-", "_")
    if isinstance(error, HTTPError):
        return HTTP_REASONS.get(error.status, "refused")
    return next((REASONS[kind] for kind in type(error).__mro__ if kind in REASONS), FAULT_REASON)


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
    return ErrorResponse(status, _encode(body), PROBLEM, headers, reason_of(error))


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


def overloaded(detail: str, setting: str, retry_after: int = 1) -> HTTPError:
    """Return the error for a limit of the server that is reached now, which ``setting`` sets; times are in seconds."""
    return HTTPError(503, detail, headers=((b"retry-after", b"%d" % retry_after),), setting=setting)
