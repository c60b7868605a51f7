"""What browsers and caches may make of an answer: every answer has the headers that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.adapters.gateway import format_response
from laurels.http.handlers import ACCEPTED
from tests.asking import ask, send_bytes

if TYPE_CHECKING:
    from tests.conftest import Server

READ = b"GET /kart/v HTTP/1.1\r\nHost: localhost\r\n\r\n"
SUBMIT = b'POST /cached/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{"score":1}'
ANSWERS = {
    "standing": (READ, 200),
    "full parser": (READ.replace(b"\r\n", b"\r\nX-Odd: 1\r\n", 1), 200),
    "page": (READ.replace(b"/v ", b" "), 200),
    "submit": (SUBMIT, 202),
    "receipt": (SUBMIT.replace(b"\r\n", b"\r\nPrefer: return=representation\r\n", 1), 200),
    "options": (READ.replace(b"GET", b"OPTIONS"), 204),
    "bad parameter": (READ.replace(b"/v ", b"/v?x=1 "), 400),
    "bad body": (SUBMIT.replace(b"{", b"["), 400),
    "no route": (READ.replace(b"/v ", b"/v/w "), 404),
    "no method": (READ.replace(b"GET", b"PUT"), 405),
    "no board": (READ.replace(b"/kart/v ", b"/-/boards/nobody "), 404),
    "other type": (SUBMIT.replace(b"\r\n", b"\r\nContent-Type: text/plain\r\n", 1), 415),
    "ready": (READ.replace(b"/kart/v ", b"/-/ready "), 200),
    "metrics": (READ.replace(b"/kart/v ", b"/-/metrics "), 200),
}


@pytest.mark.parametrize(("request_", "status"), ANSWERS.values(), ids=ANSWERS)
def test_no_cache_keeps_what_changes(service: Server, request_: bytes, status: int) -> None:
    """No cache may keep an answer, an error's neither, and no browser may take it for another type."""
    (reply,) = send_bytes(service, request_)
    assert reply.status == status
    assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(
    "bad",
    [
        READ.replace(b"/v", b"/" + b"v" * 9000),
        READ.replace(b"Host", b"Hose"),
        SUBMIT.replace(b" 11", b" 99999"),
        b"?\r\n\r\n",
    ],
    ids=["target", "host", "body", "line"],
)
def test_no_cache_keeps_a_refusal_of_the_protocol(server: Server, bad: bytes) -> None:
    """What is refused before it is a request has the headers, too."""
    (reply,) = send_bytes(server, bad)
    assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_answer_by_way_of_api_gateway() -> None:
    """A function's answer has them, also one without a body."""
    assert format_response(ACCEPTED)["headers"] == {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@pytest.mark.parametrize("path", ["/", "/-/docs", "/-/openapi.json"])
@pytest.mark.parametrize("known", ["{0}", "W/{0}", '"other", W/{0}', "*"])
def test_documents_are_asked_for_again(service: Server, path: str, known: str) -> None:
    """A cache may keep a document, asks each time if it is still the same, and gets it once."""
    browser = {"accept": "text/html, application/json;q=0.9"}
    first = ask(service, "GET", path, headers=browser)
    assert (first.status, first.headers["cache-control"]) == (200, "no-cache")
    again = ask(service, "GET", path, headers=browser | {"if-none-match": known.format(first.headers["etag"])})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["x-content-type-options"] == "nosniff"
    assert "content-length" not in again.headers
    changed = ask(service, "GET", path, headers=browser | {"if-none-match": '"other"'})
    assert changed.body == first.body
