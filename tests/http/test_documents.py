"""The documents of the service, as a browser and a program see them, over both adapters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from laurels.http.headers import quality
from tests.asking import ask

if TYPE_CHECKING:
    from tests.conftest import Server

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, "text/html; charset=utf-8"),
        ("text/html, application/json;q=0.5", "text/html; charset=utf-8"),
        ("application/json;q=0, text/*", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("text/html, application/json", "application/json"),
        ("text/html;q=x, */*", "application/json"),
    ],
)
def test_landing_page_is_for_browsers(service: Server, accept: str, kind: str) -> None:
    """A browser gets a page if others get JSON, and caches can know."""
    reply = ask(service, "GET", "/", headers={"accept": accept})
    assert (reply.status, reply.headers["content-type"], reply.headers["vary"]) == (200, kind, "accept")


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/", "image/png", 406),
        ("/-/docs", BROWSER, 200),
        ("/-/docs", "*/*", 200),
        ("/-/docs", "application/json", 406),
        ("/-/docs", "text/html;q=0, */*", 406),
        ("/-/openapi.json", "application/json", 200),
        ("/-/openapi.json", "text/html", 406),
    ],
)
def test_documents_negotiate(service: Server, path: str, accept: str, status: int) -> None:
    """A document is there for those who take its type."""
    assert ask(service, "GET", path, headers={"accept": accept}).status == status


@pytest.mark.parametrize("path", ["/", "/-/docs", "/-/openapi.json"])
@pytest.mark.parametrize("accept", [BROWSER, "application/json"])
def test_documents_take_no_query(service: Server, path: str, accept: str) -> None:
    """A parameter that would be ignored is refused."""
    reply = ask(service, "GET", path + "?theme=dark", headers={"accept": accept})
    assert (reply.status, reply.json["parameter"]) == (400, "theme")


def test_openapi_is_json(service: Server) -> None:
    """The document is OpenAPI 3.1, and HEAD tells its length."""
    get, head = (ask(service, method, "/-/openapi.json") for method in ("GET", "HEAD"))
    assert json.loads(get.body)["openapi"].startswith("3.1")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(get.body)))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"*/*", 1),
        (b"text/html", 0),
        (b"text/*;q=0.5, */*;q=0.1", 0.1),
        (b"application/*;q=0.5, */*", 0.5),
        (b"Application/JSON ; q=0.25, */*", 0.25),
        (b"application/json;q=7", 0),
        (b"application/json;q=1.5", 0),
        (b"application/json;charset=utf-8;q=0.5", 0.5),
        (b"", 0),
        (b",;", 0),
    ],
)
def test_quality(accept: bytes, expected: float) -> None:
    """The closest name of a type tells how welcome it is."""
    assert quality(accept, b"application/json") == expected
