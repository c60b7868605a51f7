"""The page of a board in a real browser: live, and without a script; for whoever looks on, by whatever means."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from signal import SIGKILL
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import convert
from playwright.async_api import expect

from laurels.definition import Display
from laurels.http.shown import format_score
from tests.asking import ask
from tests.conftest import running
from tests.web.board_pages import BoardPage, Shown
from tests.web.test_console_service import AXE, HOSTILE, RUN_AXE

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from playwright.async_api import Browser, Route

    from tests.conftest import Server
    from tests.web.board_pages import Do, Look
    from tests.web.consoles import Guarded

RULES = {"operator": "latest", "ranking": "competition"}
COUNT_MOVES = """() => {
  window.moves = 0;
  const { animate } = Element.prototype;
  Element.prototype.animate = function (...how) { window.moves += 1; return animate.apply(this, how); };
}"""

RECORD_SCROLLS = """() => {
  window.tops = [];
  const { scrollTo } = window;
  window.scrollTo = (how) => { window.tops.push(how.top); scrollTo.call(window, how); };
}"""


@pytest.fixture
def shown(server: Server, request: pytest.FixtureRequest) -> Shown:
    """Return a board of the test's own, with three entries."""
    board = Shown(server, f"page-{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())[:50]}")
    board.define(**RULES)
    board.submit(v=2077, judy=1500, silverhand=34)
    return board


@pytest.fixture
def look(runner: asyncio.Runner, browser: Browser, shown: Shown) -> Look:
    """Return what does something with the page of a board, in which nothing may fail."""

    def look(do: Do, board: Shown = shown, **context: Any) -> None:
        async def run() -> None:
            own = await browser.new_context(**{"locale": "en-US", **context})
            own.set_default_timeout(10_000)
            page = BoardPage(await own.new_page(), board)
            await do(page)
            assert not page.faults
            await own.close()

        runner.run(run())

    return look


def test_rows_follow(look: Look, shown: Shown) -> None:
    """What is submitted elsewhere moves rows, of equal scores with equal ranks, and is marked; the total follows."""

    async def do(board: BoardPage) -> None:
        await board.open()
        await board.shows("1 v 2,077", "2 judy 1,500", "3 silverhand 34")
        await board.page.evaluate(COUNT_MOVES)
        shown.submit(silverhand=2077, panam=9)
        await board.shows("1 v 2,077", "1 silverhand 2,077", "3 judy 1,500", "4 panam 9")
        await expect(board.page.locator("#total")).to_have_text("4 players")
        await expect(board.page.locator("caption")).to_have_text("Ranks 1 to 4")
        assert await board.page.locator(".news-row").all_inner_texts()
        assert await board.page.evaluate("moves") >= 2
        shown.submit(v=1)
        await board.shows("1 silverhand 2,077", "2 judy 1,500", "3 panam 9", "4 v 1")
        await expect(board.page.locator("[data-medal='3']")).to_have_text("3")

    look(do)


def test_nothing_moves_for_who_wants_that(look: Look, shown: Shown) -> None:
    """Rows are in their new places at once, if less motion is preferred."""

    async def do(board: BoardPage) -> None:
        await board.open()
        await board.page.evaluate(COUNT_MOVES)
        shown.submit(silverhand=9000)
        await board.shows("1 silverhand 9,000", "2 v 2,077", "3 judy 1,500")
        assert await board.page.evaluate("moves") == 0

    look(do, reduced_motion="reduce")


def test_service_that_is_killed(look: Look, tmp_path: Path) -> None:
    """Losing it is said, as is being live again, with what has changed meanwhile."""
    with running(tmp_path / "data") as first:
        board = Shown(first, "kart")
        board.submit(v=1)

        async def do(page: BoardPage) -> None:
            await page.open()
            first.process.send_signal(SIGKILL)
            first.process.wait()
            await expect(page.page.get_by_role("status").filter(has_text="Connection lost")).to_be_visible()
            with running(tmp_path / "data", "--port", str(first.port)) as again:
                Shown(again, "kart").submit(judy=7)
                await page.is_live()
                await page.shows("1 judy 7", "2 v 1")
                assert not page.faults

        look(do, board)


def test_player_is_found_and_followed_by_keys_alone(look: Look, shown: Shown) -> None:
    """A name is entered; then who passes the player is told, and how far it comes."""

    async def do(board: BoardPage) -> None:
        page = board.page
        await board.open()
        for _ in range(9):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == "player":
                break
        await page.keyboard.type("judy")
        await page.keyboard.press("Enter")
        await expect(page.locator("#card .who")).to_have_text("judy")
        await board.is_live()
        shown.submit(panam=1600)
        await expect(page.locator("#news")).to_have_text("Passed by panam. Now at rank 3, from 2.")
        await expect(page.locator("#card dd").first).to_have_text("3")
        await expect(page.locator("tr.mine")).to_have_text(re.compile("3judy1,500"))
        shown.submit(judy=9000)
        await expect(page.locator("#news")).to_have_text("Up to rank 1, from 3.")
        await expect(page.locator("#card dd").last).to_have_text("9,000")
        await page.get_by_role("link", name="Stop following").click()
        await expect(page.locator("#card")).to_have_count(0)

    look(do)


def test_player_who_is_not_there_yet(look: Look, shown: Shown) -> None:
    """That is said, until it has a score, and again when it has none any more."""

    async def do(board: BoardPage) -> None:
        page = board.page
        await board.open(player="panam")
        await expect(page.get_by_text("panam is not on this board.")).to_be_visible()
        await page.get_by_label("Find a player").fill("typed meanwhile")
        shown.submit(panam=1)
        await expect(page.locator("#card dd").first).to_have_text("4")
        await expect(page.get_by_label("Find a player")).to_have_value("typed meanwhile")
        await expect(page.get_by_label("Find a player")).to_be_focused()
        await expect(page.locator("tr.mine")).to_have_count(1)

    look(do)


def test_first_entry_of_a_board(look: Look, server: Server) -> None:
    """The page of an empty board becomes one with entries, without being loaded."""
    board = Shown(server, "page-nobody")

    async def do(page: BoardPage) -> None:
        await page.open()
        await expect(page.page.get_by_text("Nobody is on this board yet.")).to_be_visible()
        board.submit(v=1)
        await page.shows("1 v 1")
        await expect(page.page.get_by_text("Nobody is on this board yet.")).to_be_hidden()
        await expect(page.page.locator("#chart")).to_be_visible()

    look(do, board)


def test_focus_stays_with_its_row(look: Look, shown: Shown) -> None:
    """Who is at a link in a row that moves, still is; if the row is gone, at the one in its place."""

    async def do(board: BoardPage) -> None:
        await board.open(endRank=3)
        await board.page.get_by_role("link", name="silverhand").focus()
        shown.submit(silverhand=9000)
        await board.shows("1 silverhand 9,000", "2 v 2,077", "3 judy 1,500")
        await expect(board.page.get_by_role("link", name="silverhand")).to_be_focused()
        await board.page.get_by_role("link", name="judy").focus()
        shown.submit(panam=5000)
        await board.shows("1 silverhand 9,000", "2 panam 5,000", "3 v 2,077")
        await expect(board.page.get_by_role("link", name="v", exact=True)).to_be_focused()

    look(do)


def test_links_and_chart_follow(look: Look, shown: Shown) -> None:
    """A further page is linked to as soon as there is one, and the chart that is seen is drawn anew."""

    async def do(board: BoardPage) -> None:
        page = board.page
        await page.clock.install()
        await board.open(endRank=3)
        await expect(page.get_by_role("link", name="Next")).to_have_count(0)
        await expect(page.locator("[data-end]").last).to_have_text("2,077")
        shown.submit(v=50_000, panam=1)
        await expect(page.locator("#total")).to_have_text("4 players")
        await page.clock.run_for(3_000)
        await page.get_by_role("link", name="Next").wait_for()
        await page.locator("#chart").scroll_into_view_if_needed()
        await page.clock.run_for(21_000)
        await expect(page.locator("[data-end]").last).to_have_text("50,000")

    look(do)


def test_board_that_is_dropped(look: Look, shown: Shown) -> None:
    """Its page becomes that of an empty board, and one with entries and a chart again by the next score."""

    async def do(board: BoardPage) -> None:
        page = board.page
        await page.clock.install()
        await board.open()
        assert ask(shown.server, "DELETE", f"/{shown.name}").status == 204
        await expect(board.rows).to_have_count(0)
        await page.clock.run_for(3_000)
        await expect(page.get_by_text("Nobody is on this board yet.")).to_be_visible()
        await expect(page.locator("#chart")).to_have_count(0)
        await page.clock.run_for(1_000)
        await board.is_live()
        shown.submit(panam=1)
        await expect(board.rows).to_have_count(1)
        await page.clock.run_for(3_000)
        await expect(page.locator("#chart")).to_be_visible()

    look(do)


def test_board_that_is_defined_otherwise(look: Look, shown: Shown) -> None:
    """The page takes the new title, and shows scores as they are to be shown by now."""

    async def do(board: BoardPage) -> None:
        page = board.page
        await page.clock.install()
        await board.open()
        shown.define(**RULES, title="Laps", display={"format": "duration", "unit": "s"}, windows=["daily"])
        await page.locator("#chart").scroll_into_view_if_needed()
        await page.clock.run_for(21_000)
        await expect(page.get_by_role("heading", name="Laps")).to_be_visible()
        await board.shows("1 v 34:37", "2 judy 25:00", "3 silverhand 0:34")
        await expect(page.get_by_role("link", name="Today")).to_be_visible()

    look(do)


def test_trouble_takes_the_place_of_nothing(look: Look, server: Server) -> None:
    """A page that is to be loaded again while the service has trouble stays, and is loaded later."""
    board = Shown(server, "page-trouble")

    async def do(board: BoardPage) -> None:
        page = board.page
        await page.clock.install()
        await board.open()
        tries: list[str] = []

        async def fail(route: Route) -> None:  # the first time
            tries.append(route.request.url)
            if len(tries) > 1:
                await route.continue_()
                return
            await route.fulfill(status=503, content_type="text/html", body='<main class="error"></main>')

        await page.route(re.compile(rf"/{board.board.name}\?$"), fail)
        board.board.submit(v=1)
        await board.shows("1 v 1")
        await page.clock.run_for(3_000)
        await expect(page.locator("#chart")).to_have_count(0)
        await board.shows("1 v 1")
        await page.clock.run_for(21_000)
        await expect(page.locator("#chart")).to_be_visible()
        assert len(tries) == 2

    look(do, board)


def test_without_script(look: Look, shown: Shown) -> None:
    """All of it can be read and found by links and forms: pages, windows, their periods, a player."""
    shown.define(**RULES, windows=["daily"])
    shown.submit(v=5, **{f"p{place:02}": place for place in range(30)})

    async def do(board: BoardPage) -> None:
        page = board.page
        await board.visit()
        await expect(board.rows).to_have_count(20)
        await page.get_by_role("link", name="Next").click()
        await expect(board.rows).to_have_count(13)
        await expect(page.get_by_role("link", name="Next")).to_have_count(0)
        await page.get_by_role("link", name="Previous").click()
        await expect(page.locator("caption")).to_have_text("Ranks 1 to 20")
        await page.get_by_role("link", name="Today").click()
        await expect(page.locator("#total")).to_have_text("31 players")
        await page.get_by_label("Find a player").fill("p07")
        await page.get_by_role("button", name="Find").click()
        await expect(page.locator("tr.mine")).to_have_text(re.compile("p07"))
        await expect(page.locator(".tabs [aria-current]")).to_have_text("Today")
        await expect(page.locator("#live")).to_be_hidden()

    look(do, java_script_enabled=False)


def test_windows(look: Look, shown: Shown) -> None:
    """A window is live, too, and the links of its rows stay in it."""
    shown.define(**RULES, windows=["daily", "0 17 * * FRI"])
    shown.submit(v=5)

    async def do(board: BoardPage) -> None:
        await board.open()
        await board.page.get_by_role("link", name="Today").click()
        await board.is_live()
        await board.shows("1 v 5")
        shown.submit(panam=6)
        await board.shows("1 panam 6", "2 v 5")
        await board.page.get_by_role("link", name="panam").click()
        await expect(board.page.locator(".tabs [aria-current]")).to_have_text("Today")
        await expect(board.page.locator("#card dd").first).to_have_text("1")

    look(do)


def test_key(look: Look, guarded: Guarded) -> None:
    """A board that not everybody may read is shown to who enters a key, which is kept nowhere, and forgotten."""
    guarded.submit("mario-page", v=2077, judy=1500)
    secret = guarded.secrets["reader"]

    async def do(board: BoardPage) -> None:
        page = board.page
        await board.visit(endRank=1)
        await expect(page.get_by_label("Your key")).to_be_focused()
        for unfit, words in (("\N{CYRILLIC CAPITAL LETTER EN}", "This key"), ("x" * 70_000, "The service answers 4")):
            await page.get_by_label("Your key").fill(unfit)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert")).to_have_text(re.compile(words))
        await page.get_by_label("Your key").fill("")
        await page.keyboard.type(secret[:-1])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("This key does not do.")
        await expect(page.get_by_label("Your key")).to_be_focused()
        await page.keyboard.type(secret)
        await page.keyboard.press("Enter")
        await board.is_live()
        await board.shows("1 v 2,077")
        await page.get_by_role("link", name="Next").click()
        await board.shows("2 judy 1,500")
        await page.get_by_label("Find a player").fill("judy")
        await page.get_by_role("button", name="Find").click()
        await expect(page.locator("#card dd").first).to_have_text("2")
        guarded.submit("mario-page", judy=9000)
        await expect(page.locator("#card dd").first).to_have_text("1")
        await page.evaluate("document.querySelector('th a').href = '?around=nobody'")
        await page.locator("th a").first.click()
        await expect(page.locator(".status")).to_have_text("404")
        await page.go_back()
        await board.shows("1 judy 9,000", "2 v 2,077")
        await page.go_back()
        await expect(page.locator("#card")).to_have_count(0)
        kept = "[{...localStorage}, {...sessionStorage}, document.cookie, history.state, location.href, window.name]"
        assert secret not in await page.evaluate(f"JSON.stringify({kept})") + await page.content()
        assert secret not in json.dumps(await page.context.storage_state()) + "".join(guarded.server.log)
        await page.reload()
        await expect(page.get_by_label("Your key")).to_be_visible()

    look(do, Shown(guarded.server, "mario-page"))


def test_metadata(look: Look, shown: Shown) -> None:
    """The fields that the definition names are shown and follow; pictures come from its hosts alone."""
    shown.define(**RULES, display={"country": "at", "avatar": "face", "avatar_hosts": ["a.example"], "fields": ["car"]})
    shown.submit({"at": "no", "car": "Quadra", "face": "https://a.example/1.png"}, v=2077)
    shown.submit({"at": "<b>", "car": ["x"], "face": "https://a.example.evil.example/1.png"}, judy=1500)

    async def do(board: BoardPage) -> None:
        page = board.page
        await page.route("https://**", lambda route: route.fulfill(status=204))
        await board.open()
        await expect(page.get_by_role("img", name="NO")).to_have_count(1)
        await expect(page.locator("img")).to_have_attribute("src", "https://a.example/1.png")
        first = page.locator("tbody tr").first.locator("td:not([class])")
        await expect(first).to_have_text("Quadra")
        shown.submit({"at": "de", "car": 12345, "face": "https://a.example/2.png"}, v=3000)
        await expect(first).to_have_text("12,345")
        await expect(page.get_by_role("img", name="DE")).to_have_count(1)
        await expect(page.locator("img")).to_have_attribute("src", "https://a.example/2.png")
        shown.submit({"at": "fr", "car": True}, panam=2500)
        await expect(page.locator("tbody tr").nth(1)).to_have_text(re.compile("panam.*yes2,500"))
        await expect(page.locator("img")).to_have_count(1)

    look(do)


DISPLAYS: tuple[dict[str, Any], ...] = (
    {},
    {"unit": "m", "decimals": 2},
    {"decimals": 0},
    {"format": "duration", "unit": "ms"},
    {"format": "duration"},
    {"format": "duration", "unit": "us", "decimals": 1},
)
SCORES = (0, 0.5, 1.5, 2.5, -7, 59999, 83456, 3_600_000, 1234567.891, 0.1, 1e-7, 1e15, 1e300, -1.5e18, 12345678901234)
FORMAT = """async ([url, displays, scores]) => {
  const { formatScore } = await import(url);
  const read = (display) => Object.fromEntries(Object.entries(display).map(([name, value]) => [name, `${value}`]));
  return displays.map((display) => scores.map((score) => formatScore(score, read(display))));
}"""


def test_numbers_are_those_of_the_reader(look: Look, shown: Shown) -> None:
    """In English they are what the service writes; elsewhere they have the digits and marks of there."""
    ours = [[format_score(score, convert(each, Display)) for score in SCORES] for each in DISPLAYS]
    found: list[list[list[str]]] = []

    async def do(board: BoardPage) -> None:
        await board.open()
        found.append(await board.page.evaluate(FORMAT, [f"{shown.server.url}/-/shown.js", DISPLAYS, SCORES]))

    look(do)
    look(do, locale="de-DE")
    assert found[0] == ours
    points = str.maketrans(",.", ".,")
    assert found[1] == [[text.translate(points) for text in texts] for texts in ours]


def test_page_says_the_same_by_a_script(look: Look, shown: Shown) -> None:
    """In English the script changes no number of what the service wrote; times are those of where the reader is."""
    shown.define(**RULES, windows=["daily", "weekly", "monthly"], display={"format": "duration", "unit": "ms"})
    shown.submit(v=83456)
    found: list[list[str]] = []

    async def do(board: BoardPage) -> None:
        await board.visit(player="v", window="monthly")
        await expect(board.page.locator("#card dd").first).to_have_text("1")
        found.append(await board.page.locator("td.number, td.rank, dd, caption, .axis, #total").all_inner_texts())

    look(do, java_script_enabled=False)
    look(do)
    assert found[0] == found[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(look: Look, shown: Shown, guarded: Guarded, scheme: str) -> None:
    """An audit by axe-core has no violation: of a player, a window, an event, a frame, an empty board, an error."""
    display = {"country": "at", "avatar": "face", "avatar_hosts": ["a.example"], "fields": ["car"]}
    shown.define(**RULES, windows=["daily"], display=display)
    shown.submit({"at": "no", "car": "Quadra"}, v=2078)

    async def audit(board: BoardPage, **query: Any) -> None:
        await board.visit(**query)
        await board.page.evaluate(AXE)
        assert await board.page.evaluate(RUN_AXE) == [], query

    async def do(board: BoardPage) -> None:
        await audit(board, player="v", window="daily")
        await audit(board, view="stage")
        if scheme == "light":
            await audit(board, player="nobody", startRank=1)
            await audit(board, view="embed")
            await audit(board, startRank="x")
            board.board = Shown(shown.server, "page-empty")
            await audit(board)
        board.board = Shown(guarded.server, "mario-page")
        await audit(board)

    look(do, color_scheme=scheme, reduced_motion="reduce")


def test_hostile_names(look: Look, shown: Shown) -> None:
    """Whatever a name, a title, a field or a board says is text, if it was there at first or came by the feed."""
    fields = {"fields": ["<i>", "car"], "country": "car", "avatar": "car", "avatar_hosts": ["a.example"]}
    board = Shown(shown.server, HOSTILE[0])
    board.define(title="<script>pwned=1</script>", display={**fields, "unit": "<b>x</b>"})
    metadata = {"<i>": HOSTILE[0], "car": HOSTILE[1]}
    board.submit(metadata, **dict.fromkeys(HOSTILE[:4], 1))

    async def do(page: BoardPage) -> None:
        await page.open()
        await expect(page.rows).to_have_count(4)
        board.submit(metadata, **dict.fromkeys(HOSTILE, 2))
        await expect(page.rows).to_have_count(len(HOSTILE))
        assert await page.width() <= 320
        for name in HOSTILE:
            await page.page.locator(f"tr[data-name={json.dumps(name, ensure_ascii=False)}] a").click()
            await expect(page.page.locator("#card .who")).to_have_text(name.strip())
            await page.is_live()
            await expect(page.page.locator("tr.mine a")).to_have_text(name)
        assert await page.page.evaluate("typeof pwned") == "undefined"
        assert await page.page.locator("body :is(script, img, b, i)").count() == 0

    look(do, board, viewport={"width": 320, "height": 700})


@pytest.mark.parametrize(("width", "scale"), [(320, 1), (640, 1), (640, 2), (1920, 1)])
def test_nothing_is_wider_than_the_screen(look: Look, shown: Shown, width: int, scale: int) -> None:
    """On a phone, in a window of half the width, and with text of twice the size."""
    shown.define(**RULES, windows=["daily", "weekly", "monthly"], display={"fields": ["car", "team", "a", "b"]})
    metadata = {"car": "x" * 60, "team": "Night City Aldecaldos", "a": 1234567890123, "b": True}
    shown.submit(metadata, v=-123456789.123456, **{"w" * 100: 1e14})

    async def do(board: BoardPage) -> None:
        for query in ({}, {"player": "v", "window": "daily"}, {"view": "embed"}, {"view": "stage"}):
            await board.open(**query)
            await board.page.evaluate(
                "(scale) => { document.documentElement.style.fontSize = `${scale * 100}%`; }", scale
            )
            assert await board.width() <= width, query
        await board.visit(startRank="x" * 100)
        assert await board.width() <= width

    look(do, viewport={"width": width, "height": 800})


def test_paper(look: Look) -> None:
    """What is printed has all that is to be read, and no controls."""

    async def do(board: BoardPage) -> None:
        await board.open(player="v")
        await board.page.emulate_media(media="print")
        for role in ("button", "search", "navigation"):
            await expect(board.page.get_by_role(role)).to_have_count(0)
        await expect(board.rows.first).to_be_visible()
        await expect(board.page.locator("#chart")).to_be_visible()

    look(do)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_stage(look: Look, shown: Shown, motion: str) -> None:
    """It scrolls to the end and begins again, by screens if less motion is preferred; it can be paused by keys."""
    shown.submit(**{f"p{place:02}": place for place in range(40)})

    async def do(board: BoardPage) -> None:
        page = board.page
        await page.clock.install()
        await board.open(view="stage")
        await expect(board.rows).to_have_count(43)
        await page.clock.run_for(6_500)
        await page.clock.run_for(3_000)
        assert await page.evaluate("scrollY") > 0
        await page.get_by_role("button", name="Pause").focus()
        await page.keyboard.press("Enter")
        first = await page.evaluate("scrollY")
        await page.clock.run_for(60_000)
        assert await page.evaluate("scrollY") == first
        await page.keyboard.press("Enter")
        await page.evaluate(RECORD_SCROLLS)
        await page.clock.run_for(100_000)
        tops = await page.evaluate("tops")
        end = tops.index(0)
        assert max(tops[:end]) >= await page.evaluate("document.documentElement.scrollHeight - innerHeight") - 5
        assert max(later - top for top, later in pairwise(tops[:end])) < (80 if motion == "no-preference" else 720)
        shown.submit(p39=9000)
        await expect(board.rows.first).to_have_text(re.compile("p39"))

    look(do, viewport={"width": 1280, "height": 720}, reduced_motion=motion)
