"""The one way in: every adapter finds an operation here, has the gate admit it, and has it answered.

    adapter, when the head is complete     call = find(method, path)      404 and 405 are kept in it
                                           admit(call, request)           the gate; raises
    the fast path, which found it itself   gate.check_site(...), remembered; then gate.admit(...) or open_context
    adapter, when the body is there        answer_call(call, request)     arguments -> handler -> response
    adapter, before it writes              gate.release(...)              CORS, observers

:meth:`Routes.answer` does all of it for a request that is whole.

HEAD is answered as GET (the adapter leaves the body out), OPTIONS with the methods that are allowed.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from laurels.access.principal import ANYBODY, Principal
from laurels.entries import RESERVED
from laurels.errors import BadName, Forbidden, TooManyRequests, Unauthenticated, truncate
from laurels.http.auditing import Auditor, Watch
from laurels.http.backups import Backups
from laurels.http.gate import OPEN_GATE, Context, Gate
from laurels.http.live import show_credential
from laurels.http.messages import Request, Response, StreamingResponse
from laurels.http.operation import Operation, no_parameters
from laurels.http.operations import OPERATIONS
from laurels.http.problems import HTTPError, failure, too_large
from laurels.http.query import decode_text
from laurels.limits import BODY_BYTES
from laurels.live.hub import Hub
from laurels.tracing import being_in, read_traceparent
from laurels.wording import quote, suggest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from laurels.boards import Boards
    from laurels.http.parameters import PathName
    from laurels.tracing import Trace

NO_ROUTE = "There is no such route. Routes are /{board} and /{board}/{name}; a slash in a name is %2F."
EMPTY_SEGMENT = "is empty: a path has no slash at its end, and no two in a row"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""The methods that an operation may have, in the order of ``Allow``."""


class Call(Struct, gc=False):
    """What a request asks for: the template of its path, the names in it, and the operation or what is wrong."""

    route: str = ""
    names: Sequence[str] = ()
    operation: Operation | None = None
    problem: Exception | None = None
    context: Context | None = None
    """Made by the gate; without it there is no way to a handler."""
    asking: Awaitable[Principal] | None = None
    """Who asks, if the gate must ask somebody else who that is: before the answer, it is awaited."""
    refused: str = ""
    """Who was refused by the gate, as logs name it."""

    @property
    def is_inline(self) -> bool:
        """Whether it may be answered inside the parser's callback; an error always may."""
        return self.operation is None or self.operation.is_inline

    @property
    def body_limit(self) -> int:
        """How many bytes the body may have."""
        return self.operation.body_limit if self.operation else BODY_BYTES


class _Node:
    """A place in the tree of paths: what literal segments lead to, what any other leads to, and what ends here."""

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = {}
        self.parameter: _Node | None = None
        self.route = ""
        self.parts: Sequence[PathName] = ()
        self.operations: dict[str, Operation] = {}

    def add(self, segment: str) -> _Node:
        """Return the node that a segment of a template leads to, made if it is new."""
        if segment.startswith("{"):
            self.parameter = self.parameter or _Node()
            return self.parameter
        return self.literals.setdefault(segment.encode(), _Node())

    def call(self, method: str, segments: Sequence[bytes]) -> Call:
        """Return what a request with this method and these segments for names asks for."""
        operation = self.operations.get(method)
        if operation is None:
            methods = [*self.operations]  # the last is OPTIONS
            allow = ((b"allow", ", ".join(methods).encode()),)
            detail = f"{truncate(method)} is not allowed here: use {', '.join(methods[:-1])}."
            return Call(self.route, problem=HTTPError(405, detail, headers=allow))
        names: list[str] = []
        for segment in segments:
            try:
                if not segment:
                    raise ValueError(EMPTY_SEGMENT)  # noqa: TRY301 - as one that cannot be decoded
                names.append(decode_text(segment))
            except ValueError as error:
                as_sent = [segment.decode(errors="replace") for segment in segments]
                return Call(self.route, as_sent, operation, BadName(self.parts[len(names)].name, str(error)))
        return Call(self.route, names, operation)


class Routes:
    """Every operation over one set of boards, behind one gate. A later operation takes the place of one before."""

    def __init__(  # noqa: PLR0913 - the parts that it is made of
        self,
        boards: Boards,
        operations: Sequence[Operation] = OPERATIONS,
        gate: Gate = OPEN_GATE,
        auditor: Auditor | None = None,
        hub: Hub | None = None,
        *,
        backups: Backups | None = None,
    ) -> None:
        """Serve operations; without an auditor the audit log is in the log of the process."""
        self.hub = hub or Hub(boards)
        self.operations = tuple({(each.method, each.path): each for each in operations}.values())
        self.boards = boards
        self.gate = gate
        self._auditor = auditor or Auditor()
        self._context = Context(
            boards,
            self.operations,
            access=gate.access,
            auditor=self._auditor,
            hub=self.hub,
            backups=backups or Backups(),
            ancestors=gate.ancestors,
        )
        self.open_context = self._context if gate.is_open else None
        """The context of every request that passes the checks of its site, if the gate is open."""
        self._root = _tree(self.operations)

    @property
    def waits_inline(self) -> bool:
        """Whether the store is one that adapters may wait for without a task."""
        return self._context.boards.store.waits_inline

    def find(self, method: str, path: bytes) -> Call:
        """Return what a request asks for, or the 404, 405 or 400 that it is to get."""
        first, *segments = path.split(b"/")
        node: _Node | None = None if first else self._root
        names = []
        for segment in segments:
            if node is None:
                break
            literal = node.literals.get(segment)
            if literal is None:
                names.append(segment)
            node = literal or node.parameter
        if node is None or not node.operations:
            return Call(problem=HTTPError(404, f"{NO_ROUTE.removesuffix('.')}{self._suggest(path)}."))
        return node.call(method, names)

    def _suggest(self, path: bytes) -> str:
        """Return which path was perhaps meant instead of one that is no route."""
        text = truncate(path.decode(errors="replace"))
        first, *others = [segment for segment in text.split("/") if segment] or [""]
        if first == RESERVED:
            return suggest(text, (operation.path for operation in self.operations))
        return f"; perhaps you mean {quote('/'.join(filter(None, (f'/{first}', '%2F'.join(others)))))}"

    def admit(self, call: Call, request: Request) -> None:
        """Let a request in, or raise, also what a 404 or 405 says: to be called once, when its head is complete."""
        if self.gate.spans is not None:
            request.trace = self.gate.spans.begin(request, call)
        elif b"traceparent" in request.headers:
            request.trace = read_traceparent(request.headers[b"traceparent"])
        if request.trace is None:
            self._admit(call, request)
            return
        with being_in(request.trace):
            self._admit(call, request)

    def _admit(self, call: Call, request: Request) -> None:
        try:
            if call.operation is not None and call.operation.is_live:
                show_credential(request)
            principal = self.gate.admit(request, call.operation, call.names)
        except (Unauthenticated, Forbidden, TooManyRequests) as error:
            self._record_refusal(call, request, error)
            raise
        if call.operation is None and call.problem is not None:
            raise call.problem
        if isinstance(principal, Principal):
            call.context = self.context_of(principal)
        else:
            call.asking = principal

    def context_of(self, principal: Principal) -> Context:
        """Return the context of requests of a principal that the gate has let in."""
        return self._context if principal is ANYBODY else replace(self._context, principal=principal)

    def answer_call(self, call: Call, request: Request) -> Awaitable[Response]:
        """Return the answer to a whole request that was admitted; raises before it is awaited, or then."""
        if request.trace is not None:
            return self._answer_in(request.trace, call, request)
        if call.operation is not None and call.operation.present is not None:
            return self._answer_as_wanted(call, request)
        return self._answer_call(call, request)

    async def _answer_in(self, trace: Trace, call: Call, request: Request) -> Response:
        """Return the answer to a request of a trace. Its errors become answers here, where the log knows the trace."""
        with being_in(trace):
            try:
                response = await self._answer_call(call, request)
            except Exception as error:  # noqa: BLE001 - as every adapter does
                response = failure(error)
            trace.is_over = True
            return self._present(call, request, response)

    async def _answer_as_wanted(self, call: Call, request: Request) -> Response:
        try:
            response = await self._answer_call(call, request)
        except Exception as error:  # noqa: BLE001 - which the operation presents
            response = failure(error)
        return self._present(call, request, response)

    def fail(self, call: Call, request: Request, error: BaseException) -> Response:
        """Return the response to a request that was refused, or whose handling raised."""
        return self._present(call, request, failure(error))

    def _present(self, call: Call, request: Request, response: Response) -> Response:
        if call.operation is None or call.operation.present is None:
            return response
        return call.operation.present(request, response)

    def _answer_call(self, call: Call, request: Request) -> Awaitable[Response]:
        if call.asking is not None:
            return self._answer_when_known(call, request, call.asking)
        if call.problem is not None:
            raise call.problem
        assert call.operation is not None  # noqa: S101 - or there is a problem
        assert call.context is not None, "not admitted"  # noqa: S101
        if len(request.body) > call.operation.body_limit:
            raise too_large(call.operation.body_limit)
        operation, context = call.operation, call.context
        arguments = operation.arguments(call.names, request)
        if operation.is_audited:
            watch = self._watch(call, request, str(context.principal))
            shown, done = (partial(each, context, *arguments) for each in (operation.shows, operation.handler))
            return watch.follow(shown, done)
        if operation.admits_moderators:  # the handler knows from the body whether that is needed
            context = replace(context, watch=self._watch(call, request, str(context.principal)))
        return operation.handler(context, *arguments)

    def _watch(self, call: Call, request: Request, who: str) -> Watch:
        assert call.operation is not None  # noqa: S101 - it is to be answered, or was refused
        return Watch(self._auditor, call.operation, call.names, request, who)

    def _record_refusal(
        self, call: Call, request: Request, error: Unauthenticated | Forbidden | TooManyRequests
    ) -> None:
        call.refused = error.who
        if isinstance(error, TooManyRequests):
            return
        if call.operation is not None and call.operation.is_audited:
            self._watch(call, request, error.who).refuse(error)

    async def _answer_when_known(self, call: Call, request: Request, asking: Awaitable[Principal]) -> Response:
        assert call.operation is not None  # noqa: S101 - or nobody is asked who it is
        call.asking = None
        try:
            call.context = self.context_of(await asking)
        except (Unauthenticated, Forbidden, TooManyRequests) as error:
            self._record_refusal(call, request, error)
            raise
        return await self._answer_call(call, request)

    async def answer(self, request: Request) -> Response:
        """Return what a whole request is answered with, errors too, and show it to the gate's observers."""
        begun = monotonic()
        call = self.find(request.method, request.path)
        try:
            self.admit(call, request)
            response = await self.answer_call(call, request)
            if isinstance(response, StreamingResponse):
                raise TypeError("A streamed answer is no whole one")  # noqa: TRY301 - a fault like any other
        except Exception as error:  # noqa: BLE001 - an adapter's outermost part
            response = self.fail(call, request, error)
        return self.gate.release(request, call, response, monotonic() - begun)


def _tree(operations: Sequence[Operation]) -> _Node:
    root = _Node()
    root.add(RESERVED)  # the service's own paths begin so: even without any, it is no board
    for operation in sorted(operations, key=lambda operation: METHODS.index(operation.method)):
        node = root
        for segment in operation.path.split("/")[1:]:
            node = node.add(segment)
        node.route, node.parts = operation.path, operation.path_names
        node.operations[operation.method] = operation
        if operation.method == "GET":
            node.operations["HEAD"] = operation
    _add_options(root)
    return root


def _add_options(node: _Node) -> None:
    if node.operations:
        node.operations["OPTIONS"] = _options(node.route, [*node.operations, "OPTIONS"])
    for below in (*node.literals.values(), *filter(None, [node.parameter])):
        _add_options(below)


def _options(path: str, methods: Sequence[str]) -> Operation:
    """Return the operation that answers OPTIONS, which no document speaks of; it looks at nothing but the path."""
    allowed = Response(204, headers=((b"allow", ", ".join(methods).encode()),))

    async def list_methods(_: Context, *__: str) -> Response:
        return allowed

    return Operation(
        name="options",
        method="OPTIONS",
        path=path,
        tag="",
        title="",
        about="",
        answers=(),
        handler=list_methods,
        scope=None,
        parse=no_parameters,
        produces=(),
    )
