"""API Gateway's events, read and answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.adapters import gateway
from laurels.http import Response, Routes
from laurels.http.cors import ALLOWED_HEADERS, EXPOSED_HEADERS, Cors
from laurels.http.documents import DOCUMENTS
from laurels.http.operations import OPERATIONS
from tests.serverless.recorded import RECORDED

if TYPE_CHECKING:
    from tests.serverless.recorded import Recorded

BODY_BYTES = 64 * 1024

ALWAYS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)
def test_event_says_what_was_sent(recorded: Recorded) -> None:
    """Method, names, query, headers and body come to the routes as the client meant them."""
    read, sent = gateway.read_event(recorded.event), recorded.sent.request
    assert [unquote_to_bytes(name) for name in read.path.split(b"/")] == [
        unquote_to_bytes(name) for name in sent.path.split(b"/")
    ]
    assert sorted(parse_qsl(read.query)) == sorted(parse_qsl(sent.query))
    assert (read.method, read.body) == (sent.method, sent.body)
    assert {name: read.headers.get(name, b"").replace(b", ", b",") for name in sent.headers} == {
        name: value.replace(b", ", b",") for name, value in sent.headers.items()
    }


@pytest.mark.slow
@given(board=st.text(min_size=1), name=st.text(min_size=1), safe=st.sampled_from(["", "@+:!'()*,;=&$"]))
def test_names_arrive_to_the_letter(board: str, name: str, safe: str) -> None:
    """Any name, however far its client encoded it, is the same through both kinds of API."""
    as_sent = {"board": quote(board, safe=safe), "name": quote(name, safe=safe)}
    through_rest = gateway.read_event(RECORDED["rest-standing"].event | {"pathParameters": as_sent})
    decoded = {"board": board, "name": name}
    through_http = gateway.read_event(RECORDED["http-standing"].event | {"pathParameters": decoded})
    for read in (through_rest, through_http):
        assert [unquote_to_bytes(segment).decode() for segment in read.path.split(b"/")] == ["", board, name]


def test_path_without_parameters() -> None:
    """A route that catches all has no names apart: then the path is read, which an HTTP API has decoded."""
    event = RECORDED["http-payload-1"].event | {"path": "/mario kart/é", "pathParameters": None}
    assert gateway.read_event(event).path == b"/mario%20kart/%C3%A9"


@pytest.mark.parametrize("name", ["rest-submit", "http-submit"])
@pytest.mark.parametrize("size", [BODY_BYTES, BODY_BYTES + 1], ids=["largest", "too large"])
def test_body_limit(name: str, size: int) -> None:
    """A body of 64 KiB is read, and then found to be no JSON; one byte more is a 413."""
    request = gateway.read_event(RECORDED[name].event | {"body": "x" * size})
    response = asyncio.run(Routes(None).answer(request))  # type: ignore[arg-type]  # no board is asked
    assert response.status == (400 if size == BODY_BYTES else 413)


@pytest.mark.parametrize("name", ["rest-submit", "http-payload-1"])
def test_body_of_a_delete(name: str) -> None:
    """A DELETE with a body is refused before any board is asked."""
    request = gateway.read_event(RECORDED[name].event | {"httpMethod": "DELETE", "body": "{}"})
    response = asyncio.run(Routes(None).answer(request))  # type: ignore[arg-type]  # no board is asked
    assert response.status == 400
    assert b"DELETE has no body" in response.body


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("rest-page", "/dev"),
        ("rest-standing-odd-name", "/dev"),
        ("rest-no-path-parameters", "/dev"),
        ("rest-custom-domain", "/games"),
        ("http-payload-1", "/dev"),
        ("http-named-stage", "/dev"),
        ("http-default-route", "/dev"),
        ("http-standing-odd-name", ""),
    ],
)
def test_stage_is_a_prefix(name: str, prefix: str) -> None:
    """A stage, or the base path of a custom domain, is what comes before the path of the service."""
    request = gateway.read_event(RECORDED[name].event)
    assert (request.prefix, request.scheme) == (prefix, "https")
    assert request.base == f"https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com{prefix}"


def test_event_that_has_no_whole_path() -> None:
    """Without it there is no prefix."""
    event = RECORDED["rest-page"].event | {"requestContext": {}}
    assert gateway.read_event(event).prefix == ""


@pytest.mark.parametrize(("path", "link"), [("/", b'"docs":"/dev/-/docs"'), ("/-/openapi.json", b'.com/dev"}]')])
def test_links_below_a_stage(path: str, link: bytes) -> None:
    """Links have the stage that the service was asked at."""
    event = RECORDED["rest-page-no-query"].event
    whole = event["requestContext"] | {"path": f"/dev{path}"}
    request = gateway.read_event(event | {"path": path, "pathParameters": None, "requestContext": whole})
    response = asyncio.run(Routes(None, (*OPERATIONS, *DOCUMENTS)).answer(request))  # type: ignore[arg-type]
    assert link in response.body


def test_what_api_gateway_never_sent() -> None:
    """An event of another kind is not taken for a request."""
    with pytest.raises(msgspec.ValidationError, match="httpMethod"):
        gateway.read_event({"Records": []})


def test_answer() -> None:
    """An answer is text with its type; headers of one name are joined."""
    response = Response(200, b'{"a":"\xc3\xa9"}', headers=((b"vary", b"accept"), (b"vary", b"prefer")))
    assert gateway.format_response(response) == {
        "statusCode": 200,
        "headers": {"vary": "accept, prefer", "content-type": "application/json"} | ALWAYS,
        "body": '{"a":"é"}',
        "isBase64Encoded": False,
    }


def test_answer_without_a_body() -> None:
    """An empty answer has no type."""
    assert gateway.format_response(Response(202)) == {
        "statusCode": 202,
        "headers": ALWAYS,
        "body": "",
        "isBase64Encoded": False,
    }


def test_answer_that_is_no_text() -> None:
    """Bytes that are no UTF-8 go as base64."""
    formatted = gateway.format_response(Response(200, b"\xff\xfe", b"image/png"))
    assert formatted["body"] == "//4="
    assert formatted["isBase64Encoded"]


def test_answer_to_head() -> None:
    """HEAD is given the headers and no body."""
    formatted = gateway.format_response(Response(200, b"{}"), "HEAD")
    assert formatted["body"] == ""
    assert formatted["headers"] == {"content-type": "application/json"} | ALWAYS


@pytest.mark.parametrize(
    ("origin", "vary"), [("*", None), ("https://game.example", "origin")], ids=["any origin", "one origin"]
)
def test_answer_to_a_browser(origin: str, vary: str | None) -> None:
    """Pages of the configured origin may read the answer; caches keep the answers for one origin apart."""
    headers = gateway.format_response(Cors([origin])(None, Response(200, b"{}")))["headers"]
    assert headers["access-control-allow-origin"] == origin
    assert headers.get("vary") == vary
    assert headers["access-control-expose-headers"] == EXPOSED_HEADERS.decode()


def test_answer_to_a_preflight() -> None:
    """The answer to OPTIONS is a preflight's as well."""
    response = Cors(["*"])(None, Response(204, headers=((b"allow", b"GET, OPTIONS"),)))
    headers = gateway.format_response(response, "OPTIONS")["headers"]
    assert headers["access-control-allow-methods"] == "GET, OPTIONS"
    assert headers["access-control-allow-headers"] == ALLOWED_HEADERS.decode()
