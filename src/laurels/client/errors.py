"""The errors of the client, in one tree. Each knows the answer that it is of.

LaurelsError
├── EnvironmentWrong              a variable of the environment names a proxy, or certificates, that are none
├── KeyUnusable                   what is to be shown to a service is no key and no token
└── RequestFailed
    ├── ServerUnreachable         there is no connection to it, or it broke, or no answer came in time
    ├── RequestRefused            4xx: the request is refused, and the answer says why
    │   ├── BadRequest            400 (laurels.errors.Malformed)
    │   ├── NotAuthenticated      401 (laurels.errors.Unauthenticated)
    │   ├── NotAllowed            403 (laurels.errors.Forbidden)
    │   ├── NotFound              404
    │   │   ├── BoardMissing      (laurels.errors.NotDefined, NotDeclared)
    │   │   └── NameMissing       (laurels.errors.NotOnBoard, NotHeld)
    │   ├── Conflict              409
    │   ├── DefinitionStale       412 (laurels.errors.DefinitionStale)
    │   ├── NotAccepted           422 (laurels.errors.Refused)
    │   │   ├── ScoreRefused      (laurels.errors.ScoreRefused)
    │   │   │   └── RunRefused    (laurels.errors.RunRefused)
    │   │   └── KeyReused         (laurels.errors.KeyReused)
    │   ├── NotKept               422: the service's store does not have that feature (laurels.errors.NotKept)
    │   └── TooManyRequests       429 (laurels.errors.TooManyRequests)
    └── ServerFailed              5xx
        ├── ServerUnavailable     503 (laurels.errors.StoreUnavailable)
        ├── StoreFull             507 (laurels.errors.StoreFull)
        └── AnswerUnreadable      it did not answer as Laurels does

A class that names one of :mod:`laurels.errors` inherits it, so that ``except laurels.errors.ScoreRefused`` is right of
a service as well as of a store that is opened in this process.
"""

from __future__ import annotations

from laurels import errors
from laurels.errors import LaurelsError, truncate


class EnvironmentWrong(LaurelsError):
    """A variable of the environment has a value that nothing can be done with."""

    def __init__(self, variable: str, value: str, problem: str) -> None:
        self.variable = variable
        super().__init__(f"{variable} is {truncate(value)!r}: {problem}. Correct it, or unset it.")


class KeyUnusable(LaurelsError):
    """What is to be shown to a service is no key, or cannot be read; the message has no part of it."""


class RequestFailed(LaurelsError):
    """A request to a service failed.

    ``status``, ``title``, ``detail``, ``parameter`` and ``pointer`` (RFC 6901) are those of the answer's problem
    document, None if there was no answer, or none with that in it. ``retry_after`` is in whole seconds, and None unless
    the service says when to send the request again.
    """

    def __init__(
        self,
        problem: str,
        *,
        status: int | None = None,
        title: str | None = None,
        detail: str | None = None,
        parameter: str | None = None,
        pointer: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.parameter = parameter
        self.pointer = pointer
        self.retry_after = retry_after
        Exception.__init__(self, problem)  # past the errors of a service, which build messages of their own


class ServerUnreachable(RequestFailed):
    """There is no connection to the service, or it broke; ``sent`` is whether the request may have been carried out."""

    def __init__(
        self, server: str, reason: str, hint: str = "Is `laurels serve` running?", *, sent: bool = True
    ) -> None:
        self.server = server
        self.sent = sent
        super().__init__(f"Cannot reach {server}: {reason}. {hint}")


class RequestRefused(RequestFailed):
    """The service refused the request (4xx), and the message says why."""


class BadRequest(RequestRefused, errors.Malformed):
    """The request cannot be read (400): ``parameter`` or ``pointer`` says what of it."""


class NotAuthenticated(RequestRefused, errors.Unauthenticated):
    """The request shows no key or token and needs one, or shows one that is not accepted (401)."""


class NotAllowed(RequestRefused, errors.Forbidden):
    """The key or the token has no right to this (403)."""


class NotFound(RequestRefused):
    """What was asked for is not there (404)."""


class BoardMissing(NotFound, errors.NotDefined, errors.NotDeclared):  # type: ignore[misc]  # what the answer has, or None
    """There is no such board, or it is not declared and only declared ones take scores (404)."""


class NameMissing(NotFound, errors.NotOnBoard, errors.NotHeld):  # type: ignore[misc]  # what the answer has, or None
    """The question needs a name that is on the board, or of which a score is held, and this one is not (404)."""


class Conflict(RequestRefused):
    """What is stored, or the service's own files, contradict the change (409)."""


class DefinitionStale(RequestRefused, errors.DefinitionStale):
    """The definition is not the one any more that the change was made from (412)."""


class NotAccepted(RequestRefused, errors.Refused):
    """The request was read, and is refused; nothing was stored (422)."""


class ScoreRefused(NotAccepted, errors.ScoreRefused):  # type: ignore[misc]  # what the answer has, or None
    """The board cannot keep the score: it would lose digits, or is outside of the board's bounds (422)."""


class RunRefused(ScoreRefused, errors.RunRefused):  # type: ignore[misc]  # what the answer has, or None
    """The submit needs a run, or its run is used, late, early or foreign (422)."""


class KeyReused(NotAccepted, errors.KeyReused):  # type: ignore[misc]  # what the answer has, or None
    """The idempotency key came with another request within its lifetime (422)."""


class NotKept(RequestRefused, errors.NotKept):
    """The service's store does not have that feature (422)."""


class TooManyRequests(RequestRefused, errors.TooManyRequests):  # type: ignore[misc]  # what the answer has, or None
    """The address, the key or the player asks too often (429); nothing was counted."""


class ServerFailed(RequestFailed):
    """The service failed (5xx), or does not answer as Laurels does."""


class ServerUnavailable(ServerFailed, errors.StoreUnavailable):  # type: ignore[misc]  # what the answer has, or None
    """The service cannot answer now (503); nothing was counted, unless the detail says that it may be."""


class StoreFull(ServerFailed, errors.StoreFull):
    """The store holds as much as its operator allows (507); nothing was counted."""


class AnswerUnreadable(ServerFailed):
    """The service did not answer as Laurels does: the address is that of something else, or something lies between."""


_BY_STATUS: dict[int, type[RequestFailed]] = {
    400: BadRequest,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: DefinitionStale,
    422: NotAccepted,
    429: TooManyRequests,
    503: ServerUnavailable,
    507: StoreFull,
}
_BY_PART: dict[tuple[int, str | None], type[RequestFailed]] = {
    (404, "board"): BoardMissing,
    (404, "name"): NameMissing,
    (404, "around"): NameMissing,
    (422, "/score"): ScoreRefused,
    (422, "/run"): RunRefused,
    (422, "Idempotency-Key"): KeyReused,
    (422, None): NotKept,
}


def kind_of(status: int, part: str | None) -> type[RequestFailed]:
    """Return the class for a problem document with this status, about this parameter or pointer."""
    is_refusal = 400 <= status < 500  # noqa: PLR2004 - the class of statuses
    return _BY_PART.get((status, part)) or _BY_STATUS.get(status) or (RequestRefused if is_refusal else ServerFailed)
