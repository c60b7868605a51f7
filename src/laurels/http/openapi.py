"""The OpenAPI 3.1 document, written from the operations and from the structs that the code reads and writes.

The structs here are the parts of such a document, as far as they are used. A schema is plain JSON.
"""

from __future__ import annotations

from functools import cache
from inspect import cleandoc
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from laurels.http.examples import WALKTHROUGH
from laurels.http.fields import FIELDS
from laurels.http.messages import DEFAULT_ORIGIN, JSON, PHRASES, PROBLEM, TAR
from laurels.http.operations import ABOUT, ANY_REQUEST, OF_CREDENTIALS, STATUSES, TAGS
from laurels.http.problems import Problem
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from laurels.http.examples import Example as Sent
    from laurels.http.operation import Answer, Body, Operation
    from laurels.http.parameters import Parameter, Schema

SENT = {
    "Definition": "NewDefinition",
    "Bounds": "NewBounds",
    "Guard": "NewGuard",
    "Runs": "NewRuns",
    "Display": "NewDisplay",
}
"""What is sent and answered has two schemas: what has a default may be left out, but is always in an answer.

No schema says a default by JSON Schema's own word, because generators of clients make of it what must be sent.
"""
_REF = "#/components/schemas/{name}"
_DOCUMENTS: dict[bytes, Schema] = {JSON: {"type": "object"}, TAR: {"type": "string", "format": "binary"}}
"""The schemas of documents that are no text."""


class Example(Struct, frozen=True):
    """A body that is really sent or answered."""

    summary: str
    value: Any


class MediaType(Struct, frozen=True, omit_defaults=True):
    """A body of one content type."""

    schema: Schema
    examples: dict[str, Example] = {}


class HeaderObject(Struct, frozen=True, omit_defaults=True):
    """A header of an answer."""

    description: str
    schema: Schema
    required: bool = False


class ParameterObject(Struct, frozen=True, omit_defaults=True, rename={"where": "in"}):
    """A part of the path, the query or the head of a request."""

    name: str
    where: str
    description: str
    schema: Schema
    required: bool = False
    style: str | None = None
    explode: bool | None = None
    example: Any = None


class RequestBody(Struct, frozen=True):
    """The body of a request."""

    content: dict[str, MediaType]
    required: bool = True


class ResponseObject(Struct, frozen=True, omit_defaults=True):
    """An answer of one status."""

    description: str
    headers: dict[str, HeaderObject] = {}
    content: dict[str, MediaType] = {}


class OperationObject(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One method of one path; ``scope`` is an extension, the right that it needs, which ``security`` has as well.

    ``security`` never has an empty alternative, though the public of an access file may do many of them without a key:
    which these are is said by a deployment's file, and the document is the same for all. So clients are generated that
    can show a key, and Schemathesis asks for whatever needs a scope without one, too, and expects a refusal.
    """

    operation_id: str
    summary: str
    description: str
    tags: list[str]
    responses: dict[str, ResponseObject]
    parameters: list[ParameterObject] = []
    request_body: RequestBody | None = None
    security: list[dict[str, list[str]]] = []
    scope: str = field(name="x-scope", default="")


class Named(Struct, frozen=True):
    """A title and its description."""

    name: str
    description: str


class Info(Struct, frozen=True):
    """What the document is about."""

    title: str
    version: str
    description: str
    license: dict[str, str]


class SecurityScheme(Struct, frozen=True, rename="camel"):
    """How a request shows who asks."""

    type: str
    scheme: str
    bearer_format: str
    description: str


class Components(Struct, frozen=True, rename="camel"):
    """What several operations share, and the answers that any request may get."""

    schemas: dict[str, Schema]
    responses: dict[str, ResponseObject]
    security_schemes: dict[str, SecurityScheme]


class Document(Struct, frozen=True):
    """The whole."""

    openapi: str
    info: Info
    servers: list[dict[str, str]]
    tags: list[Named]
    paths: dict[str, dict[str, OperationObject]]
    components: Components


BEARER = "bearer"
SECURITY = SecurityScheme("http", "bearer", "a key, or a JSON Web Token", OF_CREDENTIALS)
OF_RIGHTS = (401, 403, 429)
"""The errors of operations that need a right."""
CONCERNS = {"all boards": ", on all boards", "permitted boards": ", and shows the boards that one has it on"}


HEADERS = {
    "Preference-Applied": "What was done of `Prefer`.",
    "Content-Disposition": "The name of the file that it is to be kept in, with the time.",
    "ETag": "The tag of the definition, for `If-Match`.",
}
"""What the headers of answers say."""


@cache
def document(operations: Sequence[Operation]) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(describe(operations))


@cache
def describe(operations: Sequence[Operation]) -> Document:
    """Return the document of these operations."""
    paths: dict[str, dict[str, OperationObject]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return Document(
        "3.1.1",
        Info("Laurels", __version__, ABOUT, {"name": "MIT", "identifier": "MIT"}),
        [{"url": DEFAULT_ORIGIN}],
        [Named(name, about) for name, about in TAGS.items()],
        paths,
        Components(
            _schemas(operations), {str(status): _error(status, ()) for status in ANY_REQUEST}, {BEARER: SECURITY}
        ),
    )


def _operation(operation: Operation) -> OperationObject:
    examples = [example for example in WALKTHROUGH if example.operation == operation.name]
    responses = {str(answer.status): _answer(answer, examples) for answer in operation.answers}
    errors = {*operation.errors, *(OF_RIGHTS if operation.scope else ())}
    responses |= {str(status): _error(status, examples) for status in errors}
    return OperationObject(
        operation.name,
        operation.title,
        f"{operation.about} {_describe_right(operation)}".rstrip(),
        [operation.tag],
        dict(sorted(responses.items())),
        [_parameter(parameter) for parameter in (*operation.path_names, *operation.parameters)],
        _body(operation.body, examples) if operation.body else None,
        [{BEARER: [operation.scope]}] if operation.scope else [],
        operation.scope or "",
    )


def _describe_right(operation: Operation) -> str:
    """Return the sentence on the right that an operation needs, empty if it is open to anyone."""
    if operation.scope is None:
        return ""
    needs = "`submit`, or `submit:self` for the name of one's own token"
    needs = needs if operation.scope == "submit:self" else f"`{operation.scope}`"
    return f"Needs the scope {needs}{CONCERNS.get(operation.concerns or '', '')}."


def _parameter(parameter: Parameter) -> ParameterObject:
    is_list = parameter.schema["type"] == "array"
    schema, about = parameter.schema, parameter.about
    if parameter.home:  # a client that sent the defaults of all reads together would ask for none of them
        schema = _say_default(schema | {"description": about})
        about = schema.pop("description")
    return ParameterObject(
        parameter.name,
        parameter.where,
        about,
        schema,
        required=parameter.is_required,
        style="form" if is_list else None,
        explode=parameter.is_repeated if is_list else None,
        example=parameter.example,
    )


def _body(body: Body, examples: Iterable[Sent]) -> RequestBody:
    sent = {example.about: example.body for example in examples if example.body is not None}
    return RequestBody({JSON.decode(): MediaType(_schema_of((body.kind,), SENT), _examples(sent))})


def _answer(answer: Answer, examples: Iterable[Sent]) -> ResponseObject:
    headers = {name: HeaderObject(HEADERS[name], {"type": "string"}) for name in answer.headers}
    if not answer.bodies:
        documents = {kind.decode(): MediaType(_DOCUMENTS.get(kind, {"type": "string"})) for kind in answer.kinds}
        return ResponseObject(answer.about, headers, documents)
    given = _answers(answer.status, examples)
    return ResponseObject(answer.about, headers, {JSON.decode(): MediaType(_schema_of(answer.bodies), given)})


def _error(status: int, examples: Iterable[Sent]) -> ResponseObject:
    content = {PROBLEM.decode(): MediaType(_schema_of((Problem,)), _answers(status, examples))}
    return ResponseObject(f"{PHRASES[status]}. {STATUSES[status]}", _error_headers(status), content)


def _error_headers(status: int) -> dict[str, HeaderObject]:
    if status == 405:  # noqa: PLR2004
        return {"Allow": HeaderObject("The methods that the route has.", {"type": "string"}, required=True)}
    if status == 401:  # noqa: PLR2004
        return {"WWW-Authenticate": HeaderObject("How to show who asks.", {"type": "string"}, required=True)}
    if status not in {429, 503}:
        return {}
    seconds = {"type": "integer", "minimum": 0}
    headers = {"Retry-After": HeaderObject("When to come again, in seconds.", seconds, required=True)}
    if status == 429:  # noqa: PLR2004
        headers["RateLimit-Policy"] = HeaderObject("The limit, if it is one of the access file.", {"type": "string"})
        headers["RateLimit"] = HeaderObject("What is left of it.", {"type": "string"})
    return headers


def _answers(status: int, examples: Iterable[Sent]) -> dict[str, Example]:
    return _examples({one.about: one.answer for one in examples if one.status == status and one.answer})


def _examples(bodies: dict[str, bytes]) -> dict[str, Example]:
    return {
        "".join(word.capitalize() for word in about.split()): Example(about, msgspec.json.decode(body))
        for about, body in bodies.items()
    }


def _schema_of(kinds: Iterable[type], renamed: Mapping[str, str] = MappingProxyType({})) -> Schema:
    names = [kind.__name__ for kind in kinds]
    refs = [{"$ref": _REF.format(name=renamed.get(name, name))} for name in names]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _schemas(operations: Sequence[Operation]) -> dict[str, Schema]:
    sent = [operation.body.kind for operation in operations if operation.body]
    answered = [kind for operation in operations for answer in operation.answers for kind in answer.bodies]
    found = {
        (shown := SENT.get(name, name)): add_descriptions(name, of, is_sent=True) | {"title": shown}
        for name, of in _components(sent, SENT)
    }
    found |= {name: add_descriptions(name, of) for name, of in _components([*answered, Problem], {})}
    return dict(sorted(found.items()))


def _components(kinds: Iterable[type], renamed: dict[str, str]) -> Iterable[tuple[str, Schema]]:
    _, found = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=_REF)
    text = msgspec.json.encode(found)
    for name, other in renamed.items():
        text = text.replace(msgspec.json.encode(_REF.format(name=name)), msgspec.json.encode(_REF.format(name=other)))
    components: dict[str, Schema] = msgspec.json.decode(text)
    return components.items()


def add_descriptions(name: str, schema: Schema, *, is_sent: bool = False) -> Schema:
    """Return a struct's schema with the descriptions of its fields; an answer always has those that have a default."""
    fields = {field: _simple(of) | FIELDS.get(name, {}).get(field, {}) for field, of in schema["properties"].items()}
    required = [
        field for field in fields if field in schema["required"] or not (is_sent or "default" not in fields[field])
    ]
    told = {field: _say_default(of, is_told=is_sent) for field, of in fields.items()}
    description = _prose(schema.get("description", ""))
    return schema | {"description": description, "properties": told, "required": required}


def _say_default(schema: Schema, *, is_told: bool = True) -> Schema:
    """Return a schema whose default, if it is one value, is told in its description."""
    default = schema.get("default")
    rest = {key: value for key, value in schema.items() if key != "default"}
    if not is_told or default is None or isinstance(default, dict | list):
        return rest
    return rest | {"description": f"{rest.get('description', '')} Default: `{msgspec.json.encode(default).decode()}`."}


def _prose(docstring: str) -> str:
    return " ".join(cleandoc(docstring).replace("``", "`").split())


def _simple(schema: Schema) -> Schema:
    """Return a schema in which a value is of one type, as generators of clients take it.

    msgspec writes that of a score as an integer or a number; the forms of a window are told in prose.
    """
    if "items" in schema:
        return schema | {"items": {key: value for key, value in schema["items"].items() if key != "anyOf"}}
    kinds = schema.get("anyOf", [])
    if {"type": "integer"} in kinds and {"type": "number"} in kinds:
        types = [kind["type"] for kind in kinds if kind != {"type": "integer"}]
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {"type": types[0] if len(types) == 1 else types, **rest}
    return schema
