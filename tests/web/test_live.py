"""The module that reads the feed, in a page of another origin in a real browser."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.access.ways import KeyRing, bearer
from tests.asking import ask
from tests.conftest import running
from tests.web.sites import Site, buffering_proxy, site

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.conftest import Server

WATCHING = """<!doctype html><title>A game</title><script type="module">
import { watch } from "%s/-/live.js";
window.told = [];
window.start = (options) => watch({
  ...options,
  onRows: (rows, total, isWhole, period) =>
    told.push({ rows: rows.map((each) => [each.name, each.score, each.rank, each.place]), total, isWhole, period }),
  onStanding: (standing) => told.push({ standing }),
  onState: (state, error) => told.push({ state, message: error?.message ?? null }),
});
window.ready = true;
</script>"""


class Watching:
    """A page that watches boards; what it is told is in its order."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = f"{url}/"
        self.asked: list[str] = []
        """The streams that it has asked for."""
        page.on("request", lambda request: self.asked.append(request.url) if "/live?" in request.url else None)

    async def watch(self, board: str, query: str = "endRank=3", **options: str) -> None:
        """Watch a view."""
        options = {"server": self.url, "board": board, "query": query, **options}
        await self.page.evaluate("(options) => { window.last = start(options); }", options)

    async def told(self, fact: str) -> Any:
        """Wait until something told fits an expression of ``it``, and return that; forget it and what came before."""
        found = await self.page.wait_for_function(
            f"() => {{ const at = told.findIndex((it) => {fact}); return at >= 0 && told.splice(0, at + 1).at(-1); }}"
        )
        return await found.json_value()

    async def rows(self, *rows: tuple[str, float]) -> dict[str, Any]:
        """Wait until there are these names and scores, in this order."""
        found: dict[str, Any] = await self.told(
            f"JSON.stringify(it.rows?.map(([name, score]) => [name, score])) === {json.dumps(json.dumps(rows, separators=(',', ':')))}"
        )
        return found


@pytest.fixture(scope="module")
def host() -> Iterator[Site]:
    """Run one site of another origin."""
    with site() as running_site:
        yield running_site


@pytest.fixture(scope="module")
def service(host: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one service that the site may read."""
    with running(tmp_path_factory.mktemp("live"), "--cors-origin", host.url) as server:
        yield server


Do = "Callable[[Watching], Awaitable[None]]"


@pytest.fixture
def look(runner: asyncio.Runner, browser: Browser, host: Site, service: Server) -> Callable[..., None]:
    """Return what does something with a page that watches."""

    def look(do: Callable[[Watching], Awaitable[None]], url: str = "", *, clock: bool = False) -> None:
        async def run() -> None:
            own = await browser.new_context()
            own.set_default_timeout(10_000)
            page = await own.new_page()
            if clock:
                await page.clock.install()
            await page.goto(host.put("/watching", WATCHING % (service.url)))
            await page.wait_for_function("window.ready")
            await do(Watching(page, url or service.url))
            await own.close()

        runner.run(run())

    return look


def submit(server: Server, board: str, **scores: float) -> None:
    """Submit scores."""
    for name, score in scores.items():
        assert ask(server, "POST", f"/{board}/{name}", {"score": score}).status == 202


def test_rows_follow_the_board(look: Callable[..., None], service: Server) -> None:
    """They are whole at first, then what changed is set, moved and taken away; ranks and places are the board's."""
    submit(service, "follow", v=5, judy=3)

    async def do(watching: Watching) -> None:
        await watching.watch("follow")
        first = await watching.rows(("v", 5), ("judy", 3))
        assert first == {"rows": [["v", 5, 0, 0], ["judy", 3, 1, 1]], "total": 2, "isWhole": True, "period": None}
        assert await watching.told("it.state") == {"state": "live", "message": None}
        submit(service, "follow", judy=9, a=1)
        change = await watching.rows(("judy", 9), ("v", 5), ("a", 1))
        assert (change["total"], change["isWhole"]) == (3, False)
        assert ask(service, "DELETE", "/follow/judy").status == 204
        await watching.rows(("v", 5), ("a", 1))

    look(do)
