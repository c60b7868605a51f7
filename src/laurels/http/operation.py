"""What an operation is: everything that the service knows of one method of one path, declared once.

Dispatch, the gate, the OpenAPI document, the docs page, the gateway on AWS, the fast path and the metrics follow from
the operations that the routes are given (:mod:`laurels.http.operations`); nothing mirrors them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from laurels.errors import BadParameter
from laurels.http.headers import check_accept, check_content
from laurels.http.messages import JSON, Request, Response
from laurels.http.parameters import HOMES, IN_PATH, list_words
from laurels.http.query import EMPTY_QUERY, Query
from laurels.limits import BODY_BYTES

if TYPE_CHECKING:
    from laurels.http.parameters import Input, PathName

Scope = Literal["read", "submit", "moderate", "define", "tokens", "metrics", "admin"]
"""The right that an operation needs; one without a scope is open to anyone."""
Handler = Callable[..., Awaitable[Response]]
"""A coroutine function. It gets a context, the names in the path, the body if there is one, and the parameters."""

SIMPLE_ERRORS = (400, 406)
READ_ERRORS = (400, 404, 406, 414, 422, 429, 503)
WRITE_ERRORS = (400, 404, 406, 413, 415, 422, 429, 503)

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


def parse_parameters(operation: Operation, query: Query, request: Request) -> Sequence[Any]:
    """Return the values of an operation's parameters, in their order."""
    return read_parameters(operation.subject, operation.parameters, query, request)


def read_parameters(subject: str, parameters: Sequence[Input], query: Query, request: Request) -> Sequence[Any]:
    """Return the values of the parameters that ``subject`` takes; raise BadParameter if the query has any other."""
    known = [parameter.name for parameter in parameters if parameter.where == "query"]
    for key in query:
        if not known:
            raise BadParameter(key, "This route takes no query parameters.")
        if key not in known:
            problem = f"{key} goes with {HOMES[key]}, not here" if key in HOMES else f"There is no parameter {key}"
            raise BadParameter(key, f"{problem}: {subject} takes {list_words(known)}.")
    return [parameter.read(query, request.headers) for parameter in parameters]


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one path. ``subject`` names it in the error for a parameter that it does not take."""

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
    scope: Scope | None = None
    subject: str = ""
    parse: Callable[[Operation, Query, Request], Sequence[Any]] = parse_parameters
    """Returns what the handler gets after names and body, if that is more than the values of the parameters."""
    produces: tuple[bytes, ...] = (JSON,)
    """The media types that its answers have; a client that accepts none of them gets a 406."""
    is_inline: bool = True
    """Whether it may be answered inside the callback of the parser, where nothing can be streamed."""

    @property
    def path_names(self) -> list[PathName]:
        """The parts of the path."""
        return [IN_PATH[name] for name in _IN_BRACES.findall(self.path)]

    @property
    def body_limit(self) -> int:
        """How many bytes a body may have, also one that is not wanted and ignored."""
        return self.body.limit if self.body else BODY_BYTES

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.scope not in {None, "read"}

    def arguments(self, names: Sequence[str], request: Request) -> Sequence[Any]:
        """Return what the handler gets after the context; raise Malformed, Refused or HTTPError for a bad request."""
        query = Query(request.query) if request.query else EMPTY_QUERY
        parameters = self.parse(self, query, request)
        check_accept(request.headers, self.produces)
        if self.body is None:
            return (*names, *parameters)
        check_content(request.headers)
        return (*names, self.body.read(request.body), *parameters)
