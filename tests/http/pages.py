"""Pages as a browser takes them apart: elements, and what they show."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, TreeBuilder

from tests.asking import Reply, ask

if TYPE_CHECKING:
    from tests.conftest import Server

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
VOID = {"meta", "link", "input", "img", "br", "hr"}


class _Parser(HTMLParser):
    """Builds a tree; an end tag without its start, or a start without its end, is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.builder = TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), attrs
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        self.open.append(tag)
        if tag in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.builder.data(data)


class Page:
    """An answer as a page."""

    def __init__(self, reply: Reply) -> None:
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        parser = _Parser()
        parser.feed(reply.body.decode())
        parser.close()
        assert not parser.open
        self.reply = reply
        self.root = parser.builder.close()

    def all(self, path: str) -> list[Element]:
        """Return the elements at a path."""
        return self.root.findall(f".//{path}")

    def one(self, path: str) -> Element:
        """Return the only element at a path."""
        (found,) = self.all(path)
        return found

    def text(self, path: str) -> str:
        """Return what the only element at a path shows."""
        return show(self.one(path))

    def links(self, path: str) -> dict[str, str]:
        """Return the links below a path, by what they show."""
        return {show(link): link.get("href", "") for link in self.all(f"{path}//a")}

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """The rank, the name and the score of each entry, as they are shown."""
        rows = (row for body in self.all("tbody") for row in body.findall("tr"))
        return [(show(row[0]), show(row.find("th/a")), show(row.find("td[@class='number']"))) for row in rows]

    @property
    def names(self) -> list[str]:
        """The names of the entries."""
        return [row.get("data-name", "") for row in self.all("tbody/tr")]


def show(element: Element | None) -> str:
    """Return the text of an element."""
    return "" if element is None else "".join(element.itertext())


def browse(server: Server, target: str, headers: dict[str, str] | None = None) -> Page:
    """Ask for a page as a browser does."""
    return Page(ask(server, "GET", target, headers=BROWSER | (headers or {})))
