"""The page of a board in a browser, and a service whose boards it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from playwright.async_api import expect

from tests.asking import ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Locator, Page

    from tests.conftest import Server

    Look = Callable[..., None]
    """Does something with the page of a board of its own, in a context of the browser."""
    Do = Callable[["BoardPage"], Awaitable[None]]


class Shown:
    """A board of a service."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    def define(self, **rules: object) -> None:
        """Give it rules."""
        assert ask(self.server, "PUT", f"/-/boards/{quote(self.name, safe='')}", rules).status in {200, 201}

    def submit(self, metadata: object = None, **scores: float) -> None:
        """Submit scores."""
        for name, score in scores.items():
            entry = {"name": name, "score": score} | ({"metadata": metadata} if metadata else {})
            reply = ask(self.server, "POST", f"/{quote(self.name, safe='')}", {"entries": [entry]})
            assert reply.status == 200, reply.body


class BoardPage:
    """The page of a board."""

    def __init__(self, page: Page, board: Shown) -> None:
        self.page = page
        self.board = board
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(dialog.message))
        page.on("console", lambda message: self.faults.append(message.text) if "Policy" in message.text else None)

    async def open(self, **query: Any) -> None:
        """Open it, and wait until it is live."""
        await self.visit(**query)
        await self.is_live()

    async def visit(self, **query: Any) -> None:
        """Open it."""
        await self.page.goto(f"{self.board.server.url}/{quote(self.board.name, safe='')}?{urlencode(query)}")

    async def is_live(self) -> None:
        """Wait until it is live."""
        await expect(self.page.locator("#live")).to_have_text("Live", timeout=20_000)  # it waits longer each time

    @property
    def rows(self) -> Locator:
        """Its rows."""
        return self.page.locator("tbody tr")

    async def shows(self, *rows: str) -> None:
        """Wait until it shows these rows: rank, name and score, apart by a space."""
        await expect(self.rows).to_have_count(len(rows))
        for place, row in enumerate(rows):
            rank, name, score = row.split(" ")
            await expect(self.rows.nth(place).locator(".rank")).to_have_text(rank)
            await expect(self.rows.nth(place).locator("th a")).to_have_text(name)
            await expect(self.rows.nth(place).locator("td.number")).to_have_text(score)

    async def width(self) -> int:
        """Return how wide all of it is."""
        found: int = await self.page.evaluate("document.documentElement.scrollWidth")
        return found
