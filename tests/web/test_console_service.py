"""The console in a real browser: definitions, keys, the audit log and figures; who may what; how it looks to whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from laurels.web.console import NAMES
from tests.asking import ask

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.web.consoles import Console, Guarded, Use

AXE = (Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js").read_text()
RUN_AXE = """async () => (await axe.run()).violations.map((each) =>
  [each.id, ...each.nodes.map((node) => node.html)])"""
HOSTILE = (
    "<img src=x onerror=pwned=1>",
    "</script><script>pwned=1</script>",
    "'\"&lt;",
    "a\u202eb\u200bc",
    "javascript:pwned=1",
    "%2F/?#",
    "x" * 256,
)
"""Names that would break a page that made markup, addresses or directions of them."""
OF_BOARD = ("board/{}", "board/{}/held", "board/{}/hidden", "board/{}/definition", "board/{}/drop")
VIEWS = ("boards", *OF_BOARD, "keys", "audit", "figures")


def test_definition(use: Use, guarded: Guarded, board: str) -> None:
    """It is changed by a form that has all its fields; what contradicts or is wrong is said at its field."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"], f"board/{board}/definition")
        await page.get_by_label("Ttl").fill("7d")
        await page.get_by_label("Integer").check()
        await console.click("Add to windows")
        await page.keyboard.type("weekly")
        await console.click("Add to keep")
        await page.keyboard.type("daily")
        await page.keyboard.press("Tab")
        await page.keyboard.type("30")
        await page.get_by_label("With runs").check()
        await page.get_by_label("Min seconds").fill("20")
        await console.click("Save")
        await console.says('ttl: null → "7d"')
        await page.get_by_label("Order").select_option("ascending")
        await console.click("Save")
        wrong = page.get_by_label("Order")
        await expect(wrong).to_be_focused()
        await expect(wrong).to_have_attribute("aria-invalid", "true")
        await expect(page.locator(".message", has_text="it has entries that were kept with order")).to_be_visible()
        await wrong.select_option("descending")
        await page.get_by_label("Time zone").fill("Europe/Atlantis")
        await console.click("Save")
        await expect(page.get_by_label("Time zone")).to_be_focused()
        await expect(page.locator(".message:not(:empty)")).to_have_count(1)
        await page.get_by_label("Time zone").fill("Europe/Paris")
        await page.get_by_label("Windows, 2").fill("daily-ish")
        await console.click("Save")
        await expect(page.get_by_label("Windows, 2")).to_be_focused()
        await console.click("Remove 2 of windows")
        await page.get_by_label("Value").fill("many")
        await console.click("Save")
        await expect(page.get_by_label("Value")).to_be_focused()
        await expect(page.get_by_text("A number is needed")).to_be_visible()

    use(do)
    definition = guarded.ask("GET", f"/-/boards/{board}").json
    assert (definition["ttl"], definition["windows"], definition["keep"]) == ("7d", ["daily", "weekly"], {"daily": 30})
    assert definition["guard"]["runs"] == {"required": False, "min_seconds": 20, "max_seconds": 3600}
    assert definition["guard"]["hold_above"] == 5000
    assert definition["scores"] == {"min": 0, "max": None, "integer": True}


def test_definition_that_somebody_else_has_changed(use: Use, guarded: Guarded, board: str) -> None:
    """It is not overwritten; once it is read again it is changed, and then given up."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"], f"board/{board}/definition")
        await page.get_by_label("Ttl").fill("7d")
        assert guarded.ask("PUT", f"/-/boards/{board}", {"operator": "best", "ranking": "dense"}).status in {200, 409}
        assert guarded.ask("PUT", f"/-/boards/{board}", {"operator": "best", "windows": ["daily"]}).status == 200
        await console.click("Save")
        await expect(console.problem()).to_contain_text("412 Precondition Failed")
        await console.click("Read it again")
        await expect(page.get_by_label("Ttl")).to_have_value("")
        await page.get_by_label("Ttl").fill("8d")
        await console.click("Save")
        await console.says("is saved")
        guarded.ask("DELETE", f"/{board}")
        await console.click("Return to the default definition")
        await console.confirm("Return to the default")
        await console.says("has the default definition")

    use(do)
    assert guarded.ask("GET", f"/-/boards/{board}").status == 404


def test_new_board(use: Use, guarded: Guarded) -> None:
    """A board that is not there is declared by saving; what is left out has its default."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"])
        await page.get_by_label("A board's whole name").fill("mario-new")
        await page.keyboard.press("Enter")
        await console.go("Definition")
        await expect(page.locator("main")).to_contain_text("is not there yet")
        await page.get_by_label("Operator").select_option("increment")
        await console.click("Save")
        await console.says("is saved")

    use(do)
    assert guarded.ask("GET", "/-/boards/mario-new").json["operator"] == "increment"


def test_board_is_dropped(use: Use, guarded: Guarded, board: str) -> None:
    """Only once its name is typed, and then it is gone with its definition."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"], f"board/{board}/drop")
        await console.click("Drop the board")
        await page.keyboard.type(board[:-1])
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing was dropped.")).to_be_visible()
        assert guarded.score(board, "v") == 2077
        await page.keyboard.type(board[-1])
        await page.keyboard.press("Enter")
        await console.says("is dropped")
        await expect(page.get_by_role("link", name="All boards", exact=True)).to_be_focused()

    use(do)
    assert guarded.ask("GET", f"/-/boards/{board}").status == 404


def test_keys(use: Use, guarded: Guarded) -> None:
    """They are listed without secrets; one is revoked, and the last that may do that is not."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"], "keys")
        await expect(page.locator("tr", has_text="moderator")).to_contain_text("read, moderatemario-*never")
        await console.click("Revoke gone")
        await console.confirm("Revoke")
        await console.says("The key gone is revoked.")
        await expect(page.locator("tr", has_text="gone")).to_have_count(0)
        await console.click("Revoke console")
        await expect(page.get_by_role("dialog")).to_contain_text("You are signed in with this key")
        await console.confirm("Revoke")
        await expect(console.problem()).to_contain_text("console is the last key")

    guarded.ask("DELETE", "/-/keys/leaving")
    use(do)
    assert guarded.ask("GET", "/-/whoami").json["who"] == "key:console"


def test_audit_log(use: Use, guarded: Guarded, board: str) -> None:
    """It is filtered by board, name, who and since, and goes on to older records."""
    for place in range(120):
        assert guarded.ask("PUT", f"/-/boards/{board}/hidden/w{place % 2}").status == 204

    async def do(console: Console) -> None:
        page = console.page
        rows = page.locator("tbody tr")
        await console.sign_in(guarded.secrets["console"], "audit")
        await page.get_by_label("Board").fill(board)
        await page.keyboard.press("Enter")
        await console.says("100 records")
        await console.click("Older")
        await console.says("121 records")
        await expect(rows.last).to_contain_text("key:console127.0.0.1define")
        await page.get_by_label("Name").fill("w1")
        await console.click("Show")
        await console.says("60 records")
        await page.get_by_label("Who").fill("key:nobody")
        await console.click("Show")
        await expect(page.locator("main")).to_contain_text("There are no records.")
        await page.get_by_label("Who").fill("key:console")
        await page.get_by_label("Since").fill("2099-01-01T00:00")
        await console.click("Show")
        await expect(page.locator("main")).to_contain_text("There are no records.")

    use(do)


def test_figures(use: Use, guarded: Guarded, board: str) -> None:
    """They are drawn as lines and told in words, and read again every two seconds."""

    async def do(console: Console) -> None:
        page = console.page
        await page.clock.install()
        await console.sign_in(guarded.secrets["console"], "figures")
        await expect(page.locator("tr", has_text="Boards")).to_be_visible()
        for _ in range(3):
            guarded.submit(board, v=2078)
            guarded.ask("GET", f"/{board}/v?window=hourly")
            async with page.expect_response("**/-/metrics"):
                await page.clock.run_for(2_000)
        chart = page.get_by_role("img", name=re.compile("^Submits .*: taken [0-9.]+$"))
        await expect(chart.locator("path")).to_have_attribute("d", re.compile("^M.+L"))
        await expect(page.locator("figure", has_text="Errors")).to_contain_text(re.compile("4xx 0[.][0-9]+.*5xx 0"))
        await expect(page.locator("figure", has_text="Time to answer")).to_contain_text(re.compile("mean [0-9.]+"))
        await page.context.set_offline(True)
        await page.clock.run_for(2_000)
        await expect(console.problem()).to_contain_text("cannot be reached")

    use(do)


def test_rights(use: Use, guarded: Guarded, board: str) -> None:
    """What a key may not do is said with the scope that it takes, and there is nothing to do it by."""

    async def do(console: Console) -> None:
        main = console.page.locator("main")
        await console.sign_in(guarded.secrets["reader"], f"board/{board}")
        await expect(main).to_contain_text("correct, hide or delete entries takes the scope moderate")
        await expect(main.locator("tbody tr")).to_have_count(3)
        await expect(main.locator("tbody button")).to_have_count(0)
        for title, scope in (("Held scores", "moderate"), ("Hidden names", "moderate"), ("Drop", "define")):
            await console.go(title)
            await expect(main).to_contain_text(f"takes the scope {scope}.")
            await expect(main.locator("button, input")).to_have_count(0)
        await console.go("Definition")
        await expect(main).to_contain_text("to change it takes the scope define")
        await expect(main.get_by_label("Order")).to_be_disabled()
        for title, scope in (("Keys", "admin"), ("Audit log", "admin"), ("Figures", "metrics")):
            await console.go(title)
            await expect(main).to_contain_text(f"takes the scope {scope}.")

    use(do)


def test_rights_on_other_boards(use: Use, guarded: Guarded) -> None:
    """They hold by the patterns of the key; a key without any may open a board by its name, and sees no list."""
    guarded.submit("zelda", v=1)

    async def moderate(console: Console) -> None:
        await console.sign_in(guarded.secrets["moderator"], "board/zelda")
        await expect(console.page.locator("main")).to_contain_text("takes the scope read")
        await console.go("Held scores")
        await expect(console.page.locator("main")).to_contain_text("takes the scope moderate")

    async def look(console: Console) -> None:
        await console.sign_in(guarded.secrets["nobody"])
        await expect(console.page.locator("main")).to_contain_text("the list of boards takes the scope read")

    use(moderate)
    use(look)


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], ids=["light", "dark"])
def test_nobody_is_shut_out(use: Use, guarded: Guarded, board: str, context: dict[str, str]) -> None:
    """An audit by axe-core has no violation in any view, dialog and problem."""
    guarded.submit(board, judy=9000)
    guarded.ask("PUT", f"/-/boards/{board}/hidden/v")

    async def do(console: Console) -> None:
        page = console.page
        await page.goto(console.url)
        await console.click("Sign in")
        await expect(console.problem()).to_be_visible()
        await page.evaluate(AXE)
        assert await page.evaluate(RUN_AXE) == []
        await page.get_by_label("Key").fill(guarded.secrets["console"])
        await page.keyboard.press("Enter")
        for view in VIEWS:
            await console.open(view.format(board))
            assert await page.evaluate(RUN_AXE) == [], view
        await page.goto(f"{console.url}#/board/{board}")
        await console.click("Correct silverhand")
        await page.get_by_label("Score").fill("x")
        await page.keyboard.press("Enter")
        await expect(page.locator(".message:not(:empty)")).to_be_visible()
        assert await page.evaluate(RUN_AXE) == []

    use(do, **context)


def test_hostile_names(use: Use, guarded: Guarded) -> None:
    """Names of boards and players are text, whatever they say, and lead where they should."""
    for name in HOSTILE:
        guarded.submit(name, **dict.fromkeys(HOSTILE, 1.0))

    async def do(console: Console) -> None:
        page = console.page
        page.on("dialog", lambda dialog: console.faults.append(dialog.message))
        await console.sign_in(guarded.secrets["console"])
        for name in HOSTILE:
            shown = name.replace("\u202e", "\\u{202e}").replace("\u200b", "\\u{200b}")
            await page.goto(f"{console.url}#/boards")
            await page.get_by_label("Names that begin with").fill(name)
            await page.keyboard.press("Enter")
            await page.get_by_role("link", name=shown, exact=True).click()
            await expect(page.get_by_role("heading", name=shown, exact=True)).to_be_focused()
            await expect(page.locator("tbody tr")).to_have_count(len(HOSTILE))
            await console.click(f"Delete {shown}")
            await console.confirm("Delete")
            await console.says("is deleted")
            await page.reload()
            await page.get_by_label("Key").fill(guarded.secrets["console"])
            await page.keyboard.press("Enter")
            await expect(page.locator("tbody tr")).to_have_count(len(HOSTILE) - 1)
        assert await page.evaluate("typeof pwned") == "undefined"
        assert await page.locator("main :is(script, img)").count() == 0

    use(do)
    for name in HOSTILE:
        assert guarded.ask("GET", f"/{quote(name, safe='')}/{quote(name, safe='')}").json["rank"] is None


def test_phone_and_paper(use: Use, guarded: Guarded, board: str) -> None:
    """Nothing is wider than a phone, and what is printed has no controls."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"])
        for view in VIEWS:
            await console.open(view.format(board))
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, view
        await page.emulate_media(media="print")
        await expect(page.get_by_role("button")).to_have_count(0)

    use(do, viewport={"width": 360, "height": 700})


def test_skip_link(use: Use, guarded: Guarded) -> None:
    """The first stop of the Tab key leads to the content, and not to another view."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"], "keys")
        await expect(page.locator("tbody tr").first).to_be_visible()
        await page.locator("#skip").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Keys")).to_be_focused()

    use(do)


def test_files_are_open_and_strict(server: Server) -> None:
    """The page and what it loads are served to anyone, with a policy that lets nothing else in, and revalidated."""
    page = ask(server, "GET", "/-/console")
    loaded = re.findall(r'(?:href|src)="(console/[^"]+)"', page.body.decode())
    assert loaded == ["console/console.css", "console/main.js"]
    assert not re.search(r'(?:href|src)="/|https?:|style="|\son\w+=', page.body.decode())
    for path in ("/-/console", *(f"/-/console/{name}" for name in NAMES)):
        reply = ask(server, "GET", path)
        assert (reply.status, reply.headers["x-content-type-options"]) == (200, "nosniff")
        assert "default-src 'none'; script-src 'self'" in reply.headers["content-security-policy"]
        assert ask(server, "GET", path, headers={"if-none-match": reply.headers["etag"]}).status == 304
    for path in ("/-/console/console.html", "/-/console/__init__.py", "/-/console/..%2Fconsole.css"):
        assert ask(server, "GET", path).status == 404


def test_modules_take_markup_from_nobody() -> None:
    """No module makes markup or code of a text, or keeps anything; the browser would refuse the first as well."""
    folder = Path(__file__).parents[2] / "src" / "laurels" / "web" / "console"
    text = "".join((folder / name).read_text() for name in NAMES)
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|Storage|cookie|indexedDB|https?://(?!www.w3.org)"
    assert re.findall(forbidden, text) == []
