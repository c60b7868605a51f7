"""The gate: everything that concerns every request, in one place and one order.

    on the way out   observers, on every answer, refusals of the protocol included · CORS
    on the way in    host -> trusted proxies -> origin -> limit of the address -> authentication
                     -> limit of the principal -> authorisation

No handler is called without a :class:`Context`, and only :class:`~laurels.http.routes.Routes` makes one, after the gate
has let the request in: at once when its head is complete, before its body is read. Each part is None until a deployment
configures it; on the fast path an open gate costs one test.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from msgspec import Struct, field

from laurels.access.principal import ANYBODY, Principal
from laurels.errors import Forbidden, Unauthenticated
from laurels.http.access import Later
from laurels.http.backups import Backups
from laurels.http.messages import ErrorResponse, Request, Response
from laurels.http.operation import Operation
from laurels.http.turns import Turns

if TYPE_CHECKING:
    from laurels.boards import Boards
    from laurels.http.access import Access
    from laurels.http.auditing import Auditor, Watch
    from laurels.http.rate_limits import Limit
    from laurels.live.hub import Hub
    from laurels.tracing import Trace


log = logging.getLogger(__name__)


class Context(Struct, frozen=True, gc=False):
    """What a handler may use: the boards, the operations there are, who asks, who may do what, turns for long work."""

    boards: Boards
    operations: Sequence[Operation] = ()
    principal: Principal = ANYBODY
    access: Access | None = None
    auditor: Auditor | None = None
    watch: Watch | None = None
    """What records the request in the audit log, if the handler finds that it must be."""
    hub: Hub | None = None
    """Who looks on."""
    turns: Turns = field(default_factory=Turns)
    backups: Backups = field(default_factory=Backups)
    """Those that are being sent."""
    ancestors: bytes = b"'self'"
    """The pages that may have one of ours in a frame, as a policy says so."""


class Answered(NamedTuple):
    """An answer, as observers see it; ``route`` is the path's template, empty if the request came to no route."""

    method: str
    route: str
    status: int
    size: int
    """Of the body, in bytes; 0 if it is streamed, and for HEAD that of the GET."""
    seconds: float
    """From the head of the request, or from the connection's refusal, to the answer."""
    client: str = ""
    """The address that asked, as far as it is known; behind a trusted proxy the one that it was asked from."""
    board: str = ""
    """The board that it concerns, if there is one in its path."""
    who: str = ""
    """The principal, as logs name it; empty if it is not known, or if it does not matter who asks."""
    trace: Trace | None = None
    """The trace that it is part of."""
    reason: str = ""
    """Why it was refused, in one word, if it was."""


class Asked(Protocol):
    """What a request came to."""

    route: str
    names: Sequence[str]
    operation: Operation | None
    context: Context | None
    refused: str
    """Who was refused."""


class RequestSpans(Protocol):
    """What makes the spans of requests (:mod:`laurels.http.spans`)."""

    def begin(self, request: Request, asked: Asked) -> Trace:
        """Begin the span of a request whose head is complete."""

    def end(self, request: Request, asked: Asked, answered: Answered) -> None:
        """End it as the answer leaves."""

    def close(self) -> None:
        """Send what is left."""


Observer: TypeAlias = Callable[[Answered], None]
Check: TypeAlias = Callable[[Request, Operation | None], None]
"""Raises to refuse; there is no operation if the request asks for no route or for another method."""


class Gate(Struct, frozen=True, kw_only=True):
    """The parts of the gate, in their order. Each refuses by raising an error that :mod:`problems` has a status for."""

    observers: tuple[Observer, ...] = ()
    """Called with each answer as it leaves. What one raises is logged, and keeps no answer back."""
    spans: RequestSpans | None = None
    """What makes a span for each request, if spans are made."""
    cors: Callable[[Request | None, Response], Response] | None = None
    """Returns the response with the headers that let a page of another origin read it; looks at ``Origin`` alone."""
    host: Check | None = None
    """Looks at ``Host`` alone, so that what it said is remembered."""
    proxies: Callable[[Request], None] | None = None
    """Writes over what is known of the client what a trusted proxy says. ``host`` sees the request as it came."""
    origin: Check | None = None
    """Looks at ``Origin`` and ``Host`` alone, and at what the operation is; it is remembered as well."""
    access: Access | None = None
    """Who may do what; without it anybody may do everything."""

    ancestors: bytes = b"'self'"
    """The pages that may have one of ours in a frame, as a policy says so."""

    @property
    def is_open(self) -> bool:
        """Whether it does not matter who asks."""
        return self.access is None

    def admit(
        self, request: Request, operation: Operation | None, names: Sequence[str]
    ) -> Principal | Awaitable[Principal]:
        """Return who asks; raise if the request is refused. Without an operation it will be a 404 or 405 anyway.

        If somebody else must be asked who it is, or how often they came, what is returned comes to who asks, or raises.
        It is awaited once, or never if the client leaves.
        """
        self.check_site(request, operation)
        if operation is None or self.access is None:
            return ANYBODY
        limit = self.access.address_limit(request, operation)
        if limit is not None:
            return Later(partial(_authorise_after, self.access, limit, self.access.public, operation, names))
        return _admit_shown(self.access, request, operation, names)

    def check_site(self, request: Request, operation: Operation | None) -> None:
        """Raise if the request names another service, or comes from a page that may not send it."""
        if self.host is not None:
            self.host(request, operation)
        if self.proxies is not None:
            self.proxies(request)
        if self.origin is not None:
            self.origin(request, operation)

    def release(self, request: Request | None, asked: Asked | None, response: Response, seconds: float) -> Response:
        """Return a response as it is to leave, and show it to the observers; without a request it is the protocol's."""
        if self.cors is not None:
            response = self.cors(request, response)
        if self.observers or self.spans is not None:
            answered = _describe(request, asked, response, seconds)
            if self.spans is not None and request is not None and asked is not None:
                self.spans.end(request, asked, answered)
                answered = answered._replace(trace=request.trace)
            for observe in self.observers:
                try:
                    observe(answered)
                except Exception:
                    log.exception("Failed to observe an answer")
        return response


def _describe(request: Request | None, asked: Asked | None, response: Response, seconds: float) -> Answered:
    method, client, trace = ("", "", None) if request is None else (request.method, request.client, request.trace)
    route, size = "" if asked is None else asked.route, len(response.body)
    reason = response.reason if isinstance(response, ErrorResponse) else ""
    if asked is None or asked.operation is None:
        return Answered(method, route, response.status, size, seconds, client, trace=trace, reason=reason)
    board, who = "", asked.refused
    if asked.names and asked.operation.path_parameters[:1] == ("board",):
        board = asked.names[0]
    if asked.context is not None and asked.context.access is not None:
        who = str(asked.context.principal)
    return Answered(method, route, response.status, size, seconds, client, board, who, trace, reason)


def _admit_shown(
    access: Access, request: Request, operation: Operation, names: Sequence[str]
) -> Principal | Awaitable[Principal]:
    principal = access.authenticate(request, operation)
    if not isinstance(principal, Principal):
        return Later(partial(_admit_proved, access, principal, operation, names))
    limit = access.principal_limit(principal, operation)
    if limit is not None:
        return Later(partial(_authorise_after, access, limit, principal, operation, names))
    return _authorise(access, principal, operation, names)


async def _admit_proved(
    access: Access, proving: Awaitable[Principal], operation: Operation, names: Sequence[str]
) -> Principal:
    principal = await proving
    return await _authorise_after(access, access.principal_limit(principal, operation), principal, operation, names)


async def _authorise_after(
    access: Access, limit: Limit | None, principal: Principal, operation: Operation, names: Sequence[str]
) -> Principal:
    if limit is not None:
        await limit()
    return _authorise(access, principal, operation, names)


def _authorise(access: Access, principal: Principal, operation: Operation, names: Sequence[str]) -> Principal:
    try:
        access.authorise(principal, operation, names)
    except (Unauthenticated, Forbidden) as error:
        error.who = str(principal)
        raise
    return principal


OPEN_GATE = Gate()
