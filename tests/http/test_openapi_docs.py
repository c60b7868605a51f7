"""The page of docs, as a browser takes it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from laurels.http.docs import STYLE, docs_page, landing_page
from laurels.http.messages import DEFAULT_ORIGIN
from tests.asking import ask
from tests.http.conftest import SERVED

if TYPE_CHECKING:
    from tests.conftest import Server


VOID = {"meta", "link"}


class Page(HTMLParser):
    """A page, read: its ids, where its links lead, and what is not closed as it was opened."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(html.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.links += [value for key in ("href", "src") if (value := found.get(key))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, which must be the one that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


PAGES = {"/-/docs": docs_page(SERVED), "/": landing_page()}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_page_is_well_formed(page: bytes) -> None:
    """What is opened is closed, and no two things have one id."""
    read = Page(page)
    assert not read.open
    assert len(read.ids) == len(set(read.ids))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_page_needs_nothing_from_elsewhere(page: bytes) -> None:
    """There is no script, and no link leads off this service or to a place that is not there."""
    read = Page(page)
    assert not read.tags & {"script", "img", "iframe", "object", "form"}
    inside = {"-/docs", "-/openapi.json", "-/boards", "openapi.json", "data:,", *(f"#{name}" for name in read.ids)}
    assert set(read.links) <= inside


def test_docs_have_every_operation() -> None:
    """Each operation has its place, its route and its words."""
    read = Page(docs_page(SERVED))
    assert {operation.name for operation in SERVED} <= set(read.ids)
    assert all(f"{operation.method}{operation.path}" in read.text for operation in SERVED)


def test_docs_are_escaped() -> None:
    """Braces, quotes and signs of the examples come out as they are typed."""
    text = Page(docs_page(SERVED)).text
    assert """curl --json '{"score": 2077}' http://127.0.0.1:8000/mario-kart/v""" in text
    assert "http://127.0.0.1:8000/mario-kart?startRank=0&endRank=20" in text
    assert b"startRank=0&amp;endRank=20" in docs_page(SERVED)


def test_docs_tell_limits() -> None:
    """Beside a parameter or a field stands what it may be, and a field says whether it may be left out."""
    text = Page(docs_page(SERVED)).text
    assert (
        "startRankThe first place, inclusive. Default: 0. (in the query; at least 0; at most 999,999,999,999," in text
    )
    assert "kept with the score it came with. (any JSON; may be left out)" in text
    assert "scoreA finite number that a double holds exactly. (number)" in text


@pytest.mark.parametrize("path", PAGES)
def test_page_is_served_to_browsers(service: Server, path: str) -> None:
    """A browser gets the page, with a policy that lets it load and run nothing but the page's own style."""
    reply = ask(service, "GET", path, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    page = PAGES[path].replace(DEFAULT_ORIGIN.encode(), service.url.encode())
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "text/html; charset=utf-8", page)
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()
    assert reply.headers["content-security-policy"].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert re.findall(r"<style>(.*?)</style>", reply.body.decode(), re.DOTALL) == [STYLE]


def test_programs_get_json_at_the_root(service: Server) -> None:
    """A client that does not ask for HTML gets JSON at the root."""
    assert ask(service, "GET", "/", headers={"accept": "*/*"}).json["docs"] == "/-/docs"
