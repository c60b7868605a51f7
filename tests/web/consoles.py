"""A service with keys of several rights, and the console in a page of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from playwright.async_api import expect

from tests.access.ways import bearer
from tests.asking import ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Locator, Page

    from tests.asking import Reply
    from tests.conftest import Server

    Use = Callable[..., None]
    """Does something with a console of its own, on a service, in a context of the browser."""
    Do = Callable[["Console"], Awaitable[None]]


class Guarded(NamedTuple):
    """A service, and the secrets of its keys."""

    server: Server
    secrets: dict[str, str]

    def ask(self, method: str, target: str, body: object = None) -> Reply:
        """Ask as who may do everything."""
        return ask(self.server, method, target, body, bearer(self.secrets["console"]))

    def submit(self, board: str, **scores: float) -> None:
        """Submit scores."""
        for name, score in scores.items():
            assert self.ask("POST", f"/{quote(board, safe='')}/{quote(name, safe='')}", {"score": score}).status == 202

    def score(self, board: str, name: str) -> float | None:
        """Return the score of a name that has a rank."""
        found = self.ask("GET", f"/{board}/{name}").json
        return None if found["rank"] is None else found["score"]


class Console:
    """The console in a page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = f"{url}/-/console"
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if "Policy" in message.text else None)

    async def sign_in(self, secret: str, view: str = "") -> None:
        """Enter a key, by keys alone, and wait until it is accepted; then go to a view."""
        await self.page.goto(f"{self.url}#/{view}")
        await expect(self.page.get_by_label("Key")).to_be_focused()
        await self.page.keyboard.type(secret)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator("#who")).to_contain_text("key:")

    async def open(self, view: str) -> None:
        """Open a view by its address, and wait until it is there."""
        await self.page.evaluate("(view) => { location.hash = view; }", f"#/{view}")
        await expect(self.page.locator("main h1")).to_be_focused()
        await expect(self.page.locator("[aria-busy]")).to_have_count(0)
        await expect(self.page.locator("main :is(table, form, .destroys, p)").first).to_be_visible()

    async def click(self, name: str) -> None:
        """Click the button of this name."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def go(self, title: str) -> None:
        """Follow the link to a view."""
        await self.page.get_by_role("link", name=title, exact=True).click()

    async def says(self, words: str) -> None:
        """Wait until it says what was done."""
        await expect(self.page.locator("#said")).to_contain_text(words)

    async def confirm(self, name: str) -> None:
        """Confirm in the dialog."""
        await self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()

    def problem(self) -> Locator:
        """Return the place of the problem that is shown."""
        return self.page.locator(".problem")
