"""What an operation is: everything that the service knows of one method of one path, declared once.

Dispatch, the gate, the OpenAPI document, the docs page, the gateway on AWS, the fast path and the metrics follow from
the operations that the routes are given (:mod:`laurels.http.operations`); nothing mirrors them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from laurels.errors import BadParameter, truncate
from laurels.http.headers import check_accept, check_content, preferred_kind
from laurels.http.messages import JSON, Headers, Request, Response
from laurels.http.parameters import A_PAGE_FOR_PEOPLE, HOMES, IN_PATH, list_words
from laurels.http.problems import HTTPError
from laurels.http.query import EMPTY_QUERY, Query
from laurels.limits import BODY_BYTES
from laurels.wording import suggest

if TYPE_CHECKING:
    from laurels.access.principal import Scope
    from laurels.http.parameters import Input, PathName

Concern = Literal["one board", "all boards", "permitted boards", "no board"]

Handler = Callable[..., Awaitable[Response]]
"""A coroutine function. It gets a context, the names in the path, the body if there is one, and the parameters."""

AUDITED: frozenset[Scope] = frozenset({"moderate", "define", "admin"})
"""What is written with these rights is in the audit log."""
BODY_OF_DELETE = (
    "A DELETE has no body, so nothing was removed. Its path says what is: DELETE /{board}/{name} removes one name, "
    "DELETE /{board} all entries."
)
SIMPLE_ERRORS = (400, 406)
READ_ERRORS = (400, 404, 406, 414, 422, 429, 503)
WRITE_ERRORS = (400, 404, 406, 413, 415, 422, 429, 503, 507)

_IN_BRACES = re.compile(r"\{(\w+)\}")


class Answer(Struct, frozen=True):
    """A successful answer: the structs that its JSON may be, or, of a document, its content types."""

    status: int
    about: str
    bodies: tuple[type, ...] = ()
    headers: tuple[str, ...] = ()
    kinds: tuple[bytes, ...] = ()


class Body(Struct, frozen=True):
    """The body that a request must have: its struct, how it is read (raises Malformed or Refused), its size."""

    kind: type
    read: Callable[[bytes | bytearray], Any]
    limit: int = BODY_BYTES


class Inputs(Struct, eq=False):
    """The parameters that ``subject`` takes, an operation or a read; the error for any other names it."""

    subject: str
    parameters: tuple[Input, ...]
    known: tuple[str, ...] = ()
    """The names of those in the query."""

    def __post_init__(self) -> None:
        """Derive ``known``, once."""
        self.known = tuple(parameter.name for parameter in self.parameters if parameter.where == "query")

    def read(self, query: Query, headers: Headers) -> Sequence[Any]:
        """Return their values in their order; raise BadParameter for one of the wrong form, and for one too many."""
        for key in query:
            if key not in self.known:
                raise BadParameter(key, self._problem(key))
        return [parameter.read(query, headers) for parameter in self.parameters]

    def _problem(self, key: str) -> str:
        if not self.known:
            return "This route takes no query parameters."
        if key in HOMES:
            problem = f"{key} goes with {HOMES[key]}, not here"
        else:
            is_read = self.subject in HOMES.values()  # what is misspelled may be what would have made it another read
            others = [name for name, home in HOMES.items() if is_read and home != A_PAGE_FOR_PEOPLE]
            hint = suggest(key, (*self.known, *others))
            problem = f"There is no parameter {truncate(key)}{hint}"
        return f"{problem}: {self.subject} takes {list_words(self.known)}."


def no_parameters(_: Query, __: Headers) -> Sequence[Any]:
    """Return nothing: the parameters of what looks at nothing but its path."""
    return ()


async def show_nothing(*_: object) -> None:
    """Return nothing: what the audit log shows of what is not in it."""


class Operation(Struct, kw_only=True, eq=False):
    """One method of one path, which is never changed. ``subject`` names it in the error for a wrong parameter."""

    name: str
    method: str
    path: str
    """As in OpenAPI, with the names of its parts in braces."""
    tag: str
    title: str
    about: str
    answers: tuple[Answer, ...]
    handler: Handler
    parameters: tuple[Input, ...] = ()
    """Those of the query and the headers; the parts of the path are named in ``path``."""
    errors: tuple[int, ...] = SIMPLE_ERRORS
    body: Body | None = None
    scope: Scope | None
    """The right that it needs; None if it is open to anyone. ``submit:self`` only for the name in the path."""
    concerns: Concern | None = None
    """Which boards: that in the path, all, those that the principal has rights on (the handler leaves out others), or
    none. It must be said of all that need a right and have no board in their path."""
    admits_moderators: bool = False
    """Whether who may only moderate is let in, too; the handler refuses what is not for moderators."""
    shows: Callable[..., Awaitable[Any]] = show_nothing
    """Returns what the audit log is to show before and after it; it gets what the handler gets."""
    is_submit: bool = False
    """Whether limits of submits count it."""
    subject: str = ""
    parse: Callable[[Query, Headers], Sequence[Any]] | None = None
    """Returns what the handler gets after names and body, if that is not just the values of the parameters."""
    produces: tuple[bytes, ...] = (JSON,)
    """The media types that its answers have; a client that accepts none of them gets a 406. Of several, the handler
    gets the one that the client prefers, before the parameters, unless ``parse`` sees to that."""
    present: Callable[[Request, Response], Response] | None = None
    """Returns an answer, an error too, as the request wants it."""
    takes_request: bool = False
    """Whether the handler gets the request after the context: for what tells where it was asked for."""
    is_inline: bool = True
    """Whether it may be answered inside the callback of the parser, where nothing can be streamed."""

    is_live: bool = False
    """Whether its answer goes on, as events or over a WebSocket, and a credential may be shown elsewhere."""

    path_parameters: tuple[str, ...] = ()
    """The names in the braces of ``path``, such as ``board``."""
    path_names: tuple[PathName, ...] = ()
    """How what stands there is read, one for each."""
    body_limit: int = BODY_BYTES
    """How many bytes a body may have, also one that is not wanted and ignored."""
    is_write: bool = False
    """Whether it may change something."""
    is_audited: bool = False
    """Whether the audit log has a record of each request."""
    read_parameters: Callable[[Query, Headers], Sequence[Any]] = no_parameters
    """Returns what the handler gets after names and body."""

    def __post_init__(self) -> None:
        """Derive the last fields from the others, once, because every request needs them."""
        self.path_parameters = tuple(_IN_BRACES.findall(self.path))
        self.path_names = tuple(IN_PATH[name] for name in self.path_parameters)
        if "board" in self.path_parameters:
            self.concerns = "one board"
        if self.scope is not None and self.concerns is None:
            raise TypeError(f"{self.name}: which boards does it concern?")
        self.body_limit = self.body.limit if self.body else BODY_BYTES
        self.is_write = self.scope not in {None, "read"}
        self.is_audited = self.scope in AUDITED and self.method != "GET"
        self.read_parameters = self.parse or Inputs(self.subject, self.parameters).read

    def arguments(self, names: Sequence[Any], request: Request) -> Sequence[Any]:
        """Return what the handler gets after the context; raise Malformed, Refused or HTTPError for a bad request."""
        headers = request.headers
        names = (request, *names) if self.takes_request else names
        parameters = self.read_parameters(Query(request.query) if request.query else EMPTY_QUERY, headers)
        check_accept(headers, self.produces)
        if len(self.produces) > 1 and self.parse is None:
            return (*names, preferred_kind(headers, self.produces), *parameters)
        if self.body is None:
            if self.method == "DELETE" and request.body:
                raise HTTPError(400, BODY_OF_DELETE)
            return (*names, *parameters)
        check_content(headers)
        return (*names, self.body.read(request.body), *parameters)
