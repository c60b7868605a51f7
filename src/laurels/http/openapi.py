"""The OpenAPI 3.1 document, written from the operations and from the structs that the code reads and writes.

The structs here are the parts of such a document, as far as they are used. A schema is plain JSON.
"""

from __future__ import annotations

from functools import cache
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from laurels.definition import Bounds, Definition
from laurels.http.examples import WALKTHROUGH
from laurels.http.fields import FIELDS
from laurels.http.messages import DEFAULT_ORIGIN, JSON, PHRASES, PROBLEM
from laurels.http.operations import ABOUT, ANY_REQUEST, STATUSES, TAGS
from laurels.http.problems import Problem
from laurels.http.wire import Batch, StrictEntry, Submit
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from laurels.http.examples import Example as Sent
    from laurels.http.operation import Answer, Body, Operation
    from laurels.http.parameters import Parameter, Schema

AS_SENT = {kind.__name__ for kind in (Batch, Bounds, Definition, StrictEntry, Submit)}
"""The bodies of requests: what has a default there may be left out. In an answer it is always written."""
_REF = "#/components/schemas/{name}"


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
    """One method of one path."""

    operation_id: str
    summary: str
    description: str
    tags: list[str]
    responses: dict[str, ResponseObject]
    parameters: list[ParameterObject] = []
    request_body: RequestBody | None = None


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


class Components(Struct, frozen=True):
    """What several operations share, and the answers that any request may get."""

    schemas: dict[str, Schema]
    responses: dict[str, ResponseObject]


class Document(Struct, frozen=True):
    """The whole."""

    openapi: str
    info: Info
    servers: list[dict[str, str]]
    tags: list[Named]
    paths: dict[str, dict[str, OperationObject]]
    components: Components


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
        Components(_schemas(operations), {str(status): _error(status, ()) for status in ANY_REQUEST}),
    )


def _operation(operation: Operation) -> OperationObject:
    examples = [example for example in WALKTHROUGH if example.operation == operation.name]
    responses = {str(answer.status): _answer(answer, examples) for answer in operation.answers}
    responses |= {str(status): _error(status, examples) for status in operation.errors}
    return OperationObject(
        operation.name,
        operation.title,
        operation.about,
        [operation.tag],
        dict(sorted(responses.items())),
        [_parameter(parameter) for parameter in (*operation.path_names, *operation.parameters)],
        _body(operation.body, examples) if operation.body else None,
    )


def _parameter(parameter: Parameter) -> ParameterObject:
    is_list = parameter.schema["type"] == "array"
    return ParameterObject(
        parameter.name,
        parameter.where,
        parameter.about,
        parameter.schema,
        required=parameter.is_required,
        style="form" if is_list else None,
        explode=parameter.is_repeated if is_list else None,
        example=parameter.example,
    )


def _body(body: Body, examples: Iterable[Sent]) -> RequestBody:
    sent = {example.about: example.body for example in examples if example.body is not None}
    return RequestBody({JSON.decode(): MediaType(_schema_of((body.kind,)), _examples(sent))})


def _answer(answer: Answer, examples: Iterable[Sent]) -> ResponseObject:
    headers = {name: HeaderObject("What was done of `Prefer`.", {"type": "string"}) for name in answer.headers}
    if not answer.bodies:
        documents = {
            kind.decode(): MediaType({"type": "object" if kind == JSON else "string"}) for kind in answer.kinds
        }
        return ResponseObject(answer.about, headers, documents)
    given = _answers(answer.status, examples)
    return ResponseObject(answer.about, headers, {JSON.decode(): MediaType(_schema_of(answer.bodies), given)})


def _error(status: int, examples: Iterable[Sent]) -> ResponseObject:
    content = {PROBLEM.decode(): MediaType(_schema_of((Problem,)), _answers(status, examples))}
    return ResponseObject(f"{PHRASES[status]}. {STATUSES[status]}", _error_headers(status), content)


def _error_headers(status: int) -> dict[str, HeaderObject]:
    if status == 405:  # noqa: PLR2004
        return {"Allow": HeaderObject("The methods that the route has.", {"type": "string"}, required=True)}
    if status in {429, 503}:
        seconds = {"type": "integer", "minimum": 0}
        return {"Retry-After": HeaderObject("When to come again, in seconds.", seconds, required=True)}
    return {}


def _answers(status: int, examples: Iterable[Sent]) -> dict[str, Example]:
    return _examples({one.about: one.answer for one in examples if one.status == status and one.answer})


def _examples(bodies: dict[str, bytes]) -> dict[str, Example]:
    return {
        "".join(word.capitalize() for word in about.split()): Example(about, msgspec.json.decode(body))
        for about, body in bodies.items()
    }


def _schema_of(kinds: Iterable[type]) -> Schema:
    refs = [{"$ref": _REF.format(name=kind.__name__)} for kind in kinds]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _schemas(operations: Sequence[Operation]) -> dict[str, Schema]:
    kinds = [operation.body.kind for operation in operations if operation.body]
    kinds += [kind for operation in operations for answer in operation.answers for kind in answer.bodies]
    _, found = msgspec.json.schema_components([*dict.fromkeys(kinds), Problem], ref_template=_REF)
    return {name: add_descriptions(name, schema) for name, schema in sorted(found.items())}


def add_descriptions(name: str, schema: Schema) -> Schema:
    """Return a struct's schema with the descriptions of its fields; one of answers alone always has all its fields."""
    fields = {field: _simple(of) | FIELDS.get(name, {}).get(field, {}) for field, of in schema["properties"].items()}
    if name not in AS_SENT:
        written = [field for field, of in fields.items() if of.pop("default", ...) is not ...]
        schema = schema | {"required": [field for field in fields if field in {*schema["required"], *written}]}
    return schema | {"description": _prose(schema.get("description", "")), "properties": fields}


def _prose(docstring: str) -> str:
    return " ".join(cleandoc(docstring).replace("``", "`").split())


def _simple(schema: Schema) -> Schema:
    """Return a schema in which a number is one type: msgspec writes that of a score as an integer or a number."""
    kinds = schema.get("anyOf", [])
    if {"type": "integer"} in kinds and {"type": "number"} in kinds:
        types = [kind["type"] for kind in kinds if kind != {"type": "integer"}]
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {"type": types[0] if len(types) == 1 else types, **rest}
    return schema
