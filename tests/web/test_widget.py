"""The widget on pages of another origin, in a real browser."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from laurels.web.files import find
from tests.access.ways import KeyRing
from tests.asking import ask
from tests.conftest import running
from tests.web.consoles import Guarded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Browser, Locator, Page, Request

    from tests.conftest import Server
    from tests.web.sites import Site

    Embed = Callable[..., None]

AXE = (Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js").read_text()
RUN_AXE = """async () => (await axe.run()).violations.map((each) =>
  each.id + ": " + each.nodes.map((node) => node.target.join(" ")).join(", "))"""
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</th></tr></table><script>alert(1)</script>",
    "\u202egnp.exe",
    "\u200b\u2060",
    " ",
    "${alert(1)}`",
    "a" * 256,
    "__proto__",
    "constructor",
    "../../-/keys?x#y",
    "שלום 123",
)


class Embedded:
    """A page with widgets."""

    def __init__(self, page: Page, host: Site) -> None:
        self.page = page
        self.host = host
        self.faults: list[str] = []
        self.streams: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if "Policy" in message.text else None)
        page.on("request", lambda request: self.streams.append(request.url) if "/live?" in request.url else None)

    async def show(self, server: Server, body: str, *, policy: str = "") -> None:
        """Show a page with some HTML, whose policy allows no more than that the service is used."""
        allowed = policy or f"default-src 'none'; script-src {server.url}; connect-src {server.url}"
        self.host.policy = f"{allowed}; base-uri 'none'"
        script = f'<script type="module" src="{server.url}/-/widget.js"></script>'
        page = f'<!doctype html><html lang="en"><title>A game</title>{script}<main><h1>A game</h1>{body}</main>'
        await self.page.goto(self.host.put("/game", page))

    def board(self, place: int = 0) -> Locator:
        """Return a widget."""
        return self.page.locator("laurels-board").nth(place)

    async def rows(self, *texts: str, place: int = 0) -> None:
        """Wait until a widget has these rows."""
        await expect(self.board(place).locator("tbody tr")).to_have_text(list(texts))

    async def says(self, words: str, place: int = 0) -> None:
        """Wait until a widget says so."""
        await expect(self.board(place).get_by_role("status")).to_contain_text(words)


@pytest.fixture
def embed(runner: asyncio.Runner, browser: Browser, host: Site) -> Embed:
    """Return what does something with a page of the site, in which nothing may fail."""

    def embed(do: Callable[[Embedded], Awaitable[None]], **context: Any) -> None:
        async def run() -> None:
            own = await browser.new_context(**context)
            own.set_default_timeout(10_000)
            page = await own.new_page()
            await page.add_init_script("heard = []; addEventListener('laurels-change', (it) => heard.push(it.detail))")
            embedded = Embedded(page, host)
            await do(embedded)
            assert not embedded.faults
            await own.close()

        runner.run(run())

    return embed


def submit(server: Server, board: str, scores: dict[str, float]) -> None:
    """Submit scores."""
    for name, score in scores.items():
        assert ask(server, "POST", f"/{board}/{quote(name, safe='')}", {"score": score}).status == 202


def test_widget_is_one_small_file() -> None:
    """It has at most 15 KiB, and imports nothing before it is needed."""
    body = find("widget.js").body
    assert len(body) <= 15 * 1024
    assert b"\nimport " not in body
    assert b"export " not in body


def test_board_on_another_site(embed: Embed, service: Server) -> None:
    """It is there under a strict policy, as its definition has it, with ranks of ties, and follows; the page hears."""
    ask(service, "PUT", "/-/boards/cups", {"title": "The <b>Cup</b>", "ranking": "competition", "ties": "earliest"})
    submit(service, "cups", {"v": 2077, "judy": 1500, "silverhand": 1500, "a": 3})

    async def do(embedded: Embedded) -> None:
        await embedded.show(service, '<laurels-board board="cups" limit="3"></laurels-board>')
        await embedded.rows("1v2,077", "2judy1,500", "2silverhand1,500")
        table = embedded.page.get_by_role("table", name="The <b>Cup</b>")
        await expect(table.get_by_role("columnheader")).to_have_text(["Rank", "Player", "Score"])
        await expect(table.get_by_role("rowheader").first).to_have_text("v")
        link = embedded.page.get_by_role("link", name="4 players")
        await expect(link).to_have_attribute("href", f"{service.url}/cups")
        submit(service, "cups", {"a": 9999})
        await embedded.rows("1a9,999", "2v2,077", "3judy1,500")
        heard = await embedded.page.evaluate("heard.at(-1)")
        assert (heard["total"], heard["entries"][0]) == (4, {"name": "a", "score": 9999, "rank": 0, "place": 0})

    embed(do)


def test_readers_digits(embed: Embed, service: Server) -> None:
    """Numbers and durations are those of the reader's locale, with the unit of the definition."""
    ask(service, "PUT", "/-/boards/laps", {"order": "ascending", "display": {"format": "duration", "unit": "ms"}})
    ask(service, "PUT", "/-/boards/metres", {"display": {"unit": "m", "decimals": 1}})
    submit(service, "laps", {"v": 83456})
    submit(service, "metres", {"v": 12345})

    async def do(embedded: Embedded) -> None:
        boards = "".join(f'<laurels-board board="{name}"></laurels-board>' for name in ("laps", "metres"))
        await embedded.show(service, boards)
        await embedded.rows("1v1:23,456")
        await embedded.rows("1v12.345,0\u00a0m", place=1)
        await expect(embedded.page.get_by_role("columnheader", name="Time")).to_be_visible()

    embed(do, locale="de-DE")


def test_theme(embed: Embed, service: Server) -> None:
    """Variables and parts of the page style it; its own style needs no leave."""
    submit(service, "themed", {"v": 1})
    style = "<style>laurels-board { --laurels-color: rgb(1, 2, 3); } ::part(heading) { color: rgb(4, 5, 6); }</style>"

    async def do(embedded: Embedded) -> None:
        policy = f"default-src 'none'; script-src {service.url}; connect-src {service.url}; style-src 'unsafe-inline'"
        board = '<laurels-board board="themed" player="v" heading="Ours"></laurels-board>'
        await embedded.show(service, style + board, policy=policy)
        await expect(embedded.board().locator("tr[aria-current]")).to_have_css("color", "rgb(1, 2, 3)")
        await expect(embedded.board().locator("caption")).to_have_css("color", "rgb(4, 5, 6)")
        await expect(embedded.board().locator("caption")).to_have_text("Ours")

    embed(do)


def test_player(embed: Embed, service: Server) -> None:
    """The row of a player is marked, also further down, and who has passed is said; two widgets share a stream."""
    submit(service, "followed", {"a": 9, "b": 8, "v": 5, "judy": 3})

    async def do(embedded: Embedded) -> None:
        one = '<laurels-board board="followed" limit="2" player="v"></laurels-board>'
        await embedded.show(service, f'{one}<laurels-board board="followed" limit="9"></laurels-board>')
        await embedded.rows("1a9", "2b8", "3v5")
        await expect(embedded.board().locator("tr[aria-current=true]")).to_have_text("3v5")
        await embedded.rows("1a9", "2b8", "3v5", "4judy3", place=1)
        submit(service, "followed", {"judy": 6})
        await embedded.says("v was passed by judy.")
        await embedded.rows("1a9", "2b8", "4v5")
        submit(service, "followed", {"v": 10})
        await embedded.rows("1v10", "2a9")
        assert embedded.streams[-1].count("view=") == 3

    embed(do)


def test_service_is_killed(embed: Embed, host: Site, tmp_path: Path) -> None:
    """The rows stay, it is said that they are no longer live, and they go on when it is there again."""
    with running(tmp_path, "--cors-origin", host.url) as first:
        submit(first, "kart", {"v": 1})

        async def do(embedded: Embedded) -> None:
            await embedded.show(first, '<laurels-board board="kart"></laurels-board>')
            await embedded.rows("1v1")
            first.stop(SIGKILL)
            await embedded.says("Not connected.")
            await embedded.rows("1v1")
            with running(tmp_path, "--cors-origin", host.url, "--port", str(first.port)) as second:
                submit(second, "kart", {"v": 2})
                await embedded.page.evaluate("dispatchEvent(new Event('online'))")
                await embedded.rows("1v2")
                await expect(embedded.board().get_by_role("status")).to_be_empty()

        embed(do)


def test_hostile_names(embed: Embed, service: Server) -> None:
    """A name is text, whatever it is: it is shown, apart from what is around it, and does nothing."""
    submit(service, "hostile", {name: place for place, name in enumerate(HOSTILE)})
    board = quote("<script>alert(1)</script>\"'&", safe="")
    submit(service, board, {"v": 1})

    async def do(embedded: Embedded) -> None:
        hostile = '<laurels-board board="hostile" player="{}" limit="20"></laurels-board>'
        quoted = '<laurels-board board="<script>alert(1)</script>&quot;\'&amp;"></laurels-board>'
        await embedded.show(service, hostile.format("</b>") + hostile.format("__proto__") + quoted)
        names = embedded.board().locator("tbody bdi")
        shown = [each.replace("\u200b\u2060", "\\u200b\\u2060") for each in reversed(HOSTILE)]
        await expect(names).to_have_count(len(HOSTILE))
        assert [each if each != "\u2423" else " " for each in await names.all_text_contents()] == shown
        await embedded.rows("1v1", place=2)
        assert await embedded.page.locator("laurels-board :is(img, script, b)").count() == 0

    embed(do)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(embed: Embed, service: Server, scheme: str) -> None:
    """An audit by axe-core has no violation, in light and dark, empty, refused, and with a player."""
    submit(service, "audited", {"v": 5, "judy": 3, "a": 1})
    kinds = ('board="audited" limit="2" player="a"', 'board="nobody"', 'board="audited" window="daily"')

    async def do(embedded: Embedded) -> None:
        style = "<style>:root { color-scheme: light dark; }</style>"
        policy = f"default-src 'none'; script-src {service.url}; connect-src {service.url}; style-src 'unsafe-inline'"
        body = "".join(f"<laurels-board {kind}></laurels-board>" for kind in kinds)
        await embedded.show(service, style + body, policy=policy)
        await embedded.rows("1v5", "2judy3", "3a1")
        await embedded.rows("Nobody is on this board yet.", place=1)
        await embedded.says("window", place=2)
        await embedded.page.evaluate(AXE)
        assert await embedded.page.evaluate(RUN_AXE) == []

    embed(do, color_scheme=scheme)


def test_site_that_is_not_allowed(embed: Embed, server: Server) -> None:
    """The widget is there, and says with which option the service allows the site."""

    async def do(embedded: Embedded) -> None:
        await embedded.show(server, '<laurels-board board="kart"></laurels-board>')
        await embedded.says(f"laurels serve --cors-origin {embedded.host.url}")
        embedded.faults.clear()  # the browser's own words

    embed(do)


def test_token(embed: Embed, host: Site, tmp_path: Path) -> None:
    """Without a token it says what is missing; as a property it is in no markup, also if it was set too early."""
    ring = KeyRing()
    ring.add("console", ["admin"])
    access = ring.write(tmp_path / "access.toml")
    with running(tmp_path / "data", "--access", str(access), "--cors-origin", host.url) as server:
        guarded = Guarded(server, ring.secrets)
        guarded.submit("keys", v=5)

        async def do(embedded: Embedded) -> None:
            await embedded.show(server, '<laurels-board board="keys" token="\N{WORD JOINER}"></laurels-board>')
            await embedded.says("This is no token")
            await embedded.show(server, '<laurels-board board="keys"></laurels-board>')
            await embedded.says("Without a key or a token")
            await embedded.page.evaluate(
                """(token) => {
                  const early = document.createElement("laurels-board");
                  document.querySelector("laurels-board").token = async () => token;
                }""",
                ring.secrets["console"],
            )
            await embedded.rows("1v5")
            assert ring.secrets["console"] not in await embedded.page.content()

        embed(do)


def test_attributes_that_change(embed: Embed, service: Server) -> None:
    """The widget shows what it is told to at any time, and leaves the service in peace once it is removed."""
    submit(service, "one", {"v": 1})
    submit(service, "other", {"judy": 2})

    async def do(embedded: Embedded) -> None:
        page = embedded.page
        left: asyncio.Queue[Request] = asyncio.Queue()
        page.on("requestfailed", left.put_nowait)
        await embedded.show(service, "<laurels-board></laurels-board>")
        await embedded.says("No board is named.")
        await page.evaluate("board = document.querySelector('laurels-board'); board.setAttribute('board', 'one')")
        await embedded.rows("1v1")
        await page.evaluate("board.setAttribute('board', 'other')")
        await embedded.rows("1judy2")
        assert (await asyncio.wait_for(left.get(), 10)).url.endswith("/one/live?endRank=10")
        await page.evaluate("board.remove()")
        assert (await asyncio.wait_for(left.get(), 10)).url.endswith("/other/live?endRank=10")
        await page.evaluate("board.setAttribute('live', 'off'); document.querySelector('main').append(board)")
        await embedded.rows("1judy2")
        assert (await asyncio.wait_for(left.get(), 10)).url.endswith("/other/live?endRank=10")
        assert len(embedded.streams) == 3

    embed(do)


def test_frame(embed: Embed, host: Site, service: Server, server: Server) -> None:
    """A page that the service allows may have the board in a frame; no other may, nor the page of a board as it is."""
    for each in (service, server):
        submit(each, "framed", {"v": 1})

    async def do(embedded: Embedded) -> None:
        page = embedded.page
        policy = f"default-src 'none'; frame-src {service.url} {server.url}"
        frames = [f"{service.url}/framed?view=embed", f"{server.url}/framed?view=embed", f"{service.url}/framed"]
        body = "".join(f'<iframe src="{url}" title="A board"></iframe>' for url in frames)
        host.policy = policy
        await page.goto(host.put("/frames", f"<!doctype html>{body}"))
        shown = page.frame_locator("iframe")
        await expect(shown.nth(0).get_by_role("row", name="v")).to_be_visible()
        for place in (1, 2):
            await expect(shown.nth(place).get_by_role("row", name="v")).to_have_count(0)
        assert sum("frame-ancestors" in fault for fault in embedded.faults) == 2
        embedded.faults.clear()

    embed(do)


@pytest.mark.parametrize("place", range(5), ids=["first", "colours", "events", "frame", "reader"])
def test_snippets(embed: Embed, host: Site, service: Server, place: int) -> None:
    """Each piece of HTML in the documentation works on another site as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text()
    snippets = re.findall(r"^```html\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 5
    submit(service, "mario-kart", {"v": 2077})

    async def do(embedded: Embedded) -> None:
        page = embedded.page
        host.policy = ""
        snippet = snippets[place].replace("https://boards.example", service.url)
        await page.goto(host.put("/snippet", f"<!doctype html>{snippet}"))
        shown = page.frame_locator("iframe") if "<iframe" in snippet else page
        await expect(shown.get_by_text(re.compile(r"^v( is number 1)?$")).first).to_be_visible()
        if "#first" in snippet:
            await expect(page.locator("#first")).to_have_text("v")

    embed(do)
