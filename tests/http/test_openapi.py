"""The OpenAPI document against the service that it describes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis

from laurels import __version__
from laurels.http.examples import WALKTHROUGH
from laurels.http.fields import FIELDS
from laurels.http.openapi import document
from laurels.http.operations import ANY_REQUEST, STATUSES
from laurels.http.problems import STATUS
from laurels.http.reads import READS
from laurels.http.web_files import WEB_FILES
from tests.asking import Reply, ask
from tests.conftest import started
from tests.http.conftest import ASGI, SERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.http.operation import Operation
    from tests.conftest import Server

DOCUMENT = msgspec.json.decode(document(SERVED))
SCHEMAS = DOCUMENT["components"]["schemas"]
BY_NAME = {operation.name: operation for operation in SERVED}
PATHS = sorted({operation.path for operation in SERVED})
EXAMPLES = [
    pytest.param(media["schema"], example["value"], id=f"{path} {method} {key}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    for body in [operation.get("requestBody", {}), *operation["responses"].values()]
    for media in body.get("content", {}).values()
    for key, example in media.get("examples", {}).items()
]
ACCESS = """
[public]
scopes = ["admin"]
[keys.game-server]
sha256 = "93a1b5b4ea4e6d1b8a1ddb1a3ac7bf2ed34a2f6b1f6f4e0c8a5cbb5c0e9df001"
scopes = ["read", "submit", "tokens"]
boards = ["mario-*"]
expires = 2027-11-01
[players]
secret = "env:TOKEN_SECRET"
anonymous = true
"""


def check(schema: dict[str, Any], value: object) -> None:
    """Raise where a value does not fit a schema of the document."""
    whole = schema | {"components": DOCUMENT["components"]}
    jsonschema_rs.validate(whole, value, validate_formats=True)


def content(operation: Operation, status: int) -> dict[str, Any]:
    """Give what an answer may hold, by its content type."""
    answer = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"][str(status)]
    found: dict[str, Any] = answer.get("content", {})
    return found


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Reply]]:
    """Send the walkthrough to a service of its own, which has players; return the answers."""
    directory = tmp_path_factory.mktemp("walkthrough")
    (directory / "access.toml").write_text(ACCESS)
    variables = {"LAURELS_DATA": str(directory / "data"), "LAURELS_ACCESS": str(directory / "access.toml")}
    with started(ASGI, os.environ | variables | {"TOKEN_SECRET": "s" * 32}) as server:
        yield [
            ask(server, BY_NAME[one.operation].method, one.target, one.body, dict([one.header] if one.header else []))
            for one in WALKTHROUGH
        ]


def test_document_is_valid() -> None:
    """It is OpenAPI 3.1 by the rules of that, and tells the package's version."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert (DOCUMENT["openapi"], DOCUMENT["info"]["version"]) == ("3.1.1", __version__)


def test_document_is_served(service: Server) -> None:
    """The service hands it out as it is, with the address that it was asked at."""
    reply = ask(service, "GET", "/-/openapi.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json == DOCUMENT | {"servers": [{"url": service.url}]}


@pytest.mark.parametrize("path", PATHS)
def test_methods_are_those_of_the_routes(service: Server, path: str) -> None:
    """Each path has just the methods that the service allows there."""
    allowed = (
        ask(service, "OPTIONS", path.format(board="kart", name="v", key="game", file="console.css"))
        .headers["allow"]
        .split(", ")
    )
    assert {operation.method for operation in SERVED if operation.path == path} == set(allowed) - {
        "HEAD",
        "OPTIONS",
    }


@pytest.mark.parametrize("place", range(len(WALKTHROUGH)), ids=[f"{one.operation} {one.about}" for one in WALKTHROUGH])
def test_example_is_real(replies: list[Reply], place: int) -> None:
    """An example that is sent gets the answer that is shown with it, or one as like as the time allows."""
    one, reply = WALKTHROUGH[place], replies[place]
    assert (reply.status, b"" if one.varies else reply.body) == (one.status, b"" if one.varies else one.answer)
    for kind, media in content(BY_NAME[one.operation], one.status).items():
        assert reply.headers["content-type"] == kind
        check(media["schema"], reply.json)


@pytest.mark.parametrize(("schema", "value"), EXAMPLES)
def test_example_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    """A body that is shown is one that the document describes."""
    check(schema, value)


def test_every_operation_has_an_example() -> None:
    """The walkthrough leaves out nothing but the documents, what pages load, the console and the metrics."""
    documents = {"document", "docs", "console", "console_file", "metrics"} | {each.name for each in WEB_FILES}
    assert {one.operation for one in WALKTHROUGH} == set(BY_NAME) - documents


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_field_is_explained(name: str) -> None:
    """Each field of a body has its words, and there are no words for fields that are not."""
    fields = SCHEMAS[name]["properties"]
    assert all(field["description"] for field in fields.values())
    assert set(FIELDS.get(name, fields)) == set(fields)


def test_no_words_are_left_over() -> None:
    """There are no words for structs that no body has."""
    assert set(FIELDS) <= set(SCHEMAS)


def test_reads_have_their_parameters() -> None:
    """What a read of a board takes, or a page, is what the document says."""
    taken = {parameter.name for read in READS for parameter in read.inputs.parameters} | {"view", "player"}
    described = DOCUMENT["paths"]["/{board}"]["get"]["parameters"]
    assert {parameter["name"] for parameter in described} == taken | {"board"}


def test_every_status_is_described() -> None:
    """Each status that an error has stands at an operation, or with those that any request may get."""
    described = {*ANY_REQUEST, *(status for operation in SERVED for status in operation.errors)}
    assert described == set(STATUSES)
    assert described >= set(STATUS.values())


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("StandingOfName", {"score", "rank"}),
        ("Bounds", {"min", "max", "integer"}),
        ("NewBounds", set()),
        ("NewDefinition", set()),
        ("ReadEntry", {"name", "score"}),
        ("StrictEntry", {"name", "score"}),
        ("Problem", {"type", "title", "status", "detail"}),
        ("Reading", {"leaderboard"}),
        ("Submit", {"score"}),
    ],
)
def test_fields_that_are_always_there(name: str, required: set[str]) -> None:
    """An answer has what has a default too; a request may leave that out."""
    assert set(SCHEMAS[name]["required"]) == required


def test_definition_has_all_its_fields() -> None:
    """A definition that is answered has every field of one that may be sent."""
    sent, answered = SCHEMAS["NewDefinition"], SCHEMAS["Definition"]
    assert [*sent["properties"]] == [*answered["properties"]] == answered["required"]


def test_defaults_of_reads_are_told_in_prose() -> None:
    """No field has a default, and no parameter that goes with one read alone: clients send those that they find."""
    read = {one["name"]: one for one in DOCUMENT["paths"]["/{board}"]["get"]["parameters"]}
    assert [name for name, one in read.items() if "default" in one["schema"]] == []
    assert read["span"]["description"].endswith(" Default: `5`.")
    assert [field for of in SCHEMAS.values() for field in of["properties"].values() if "default" in field] == []
    assert SCHEMAS["NewDefinition"]["properties"]["ties"]["description"].endswith(' Default: `"name"`.')


def test_lists_in_a_query() -> None:
    """Fields to include are one parameter with commas, and each name is one of its own."""
    lists = {
        one["name"]: one["explode"] for one in DOCUMENT["paths"]["/{board}"]["get"]["parameters"] if "style" in one
    }
    assert lists == {"include": False, "name": True}


def test_headers_of_errors() -> None:
    """An error that says when to come again, or which methods there are, says so in the document."""
    answers = DOCUMENT["components"]["responses"] | DOCUMENT["paths"]["/{board}"]["post"]["responses"]
    headers = {status: [*answer["headers"]] for status, answer in answers.items() if "headers" in answer}
    assert headers == {
        "401": ["WWW-Authenticate"],
        "405": ["Allow"],
        "429": ["Retry-After", "RateLimit-Policy", "RateLimit"],
        "503": ["Retry-After"],
    }


@pytest.mark.parametrize("name", BY_NAME)
def test_rights_are_described(name: str) -> None:
    """What needs a right says which, to programs and to people, and that it may be refused; what is open does not."""
    operation = BY_NAME[name]
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    if operation.scope is None:
        assert not {"security", "x-scope"} & described.keys()
        assert "Needs the scope" not in described["description"]
    else:
        assert described["security"] == [{"bearer": [operation.scope]}]
        assert described["x-scope"] == operation.scope
        assert f"`{operation.scope}`" in described["description"].rpartition("Needs the scope")[2]
        assert {"401", "403", "429"} <= described["responses"].keys()
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
