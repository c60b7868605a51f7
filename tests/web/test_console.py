"""The console in a real browser: each task by clicks or keys alone, and what is said if it cannot be done."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.consoles import Console, Guarded, Use


def test_key_stays_in_memory(use: Use, guarded: Guarded) -> None:
    """It is in no storage, address, history, markup or log, and is gone when the page is loaded again."""
    secret = guarded.secrets["console"]

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(secret)
        await console.go("Keys")
        await expect(page.get_by_role("table")).to_be_visible()
        stored = await page.evaluate(
            """async () => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state,
            location.href, await indexedDB.databases(), await caches.keys(), window.name,
            document.getElementById("key").value, performance.getEntries().map((each) => each.name)])"""
        )
        assert secret not in stored + await page.content() + json.dumps(await page.context.storage_state())
        await page.reload()
        await expect(page.get_by_label("Key")).to_be_focused()
        await expect(page.locator("main")).to_be_hidden()
        assert secret not in "".join(guarded.server.log)

    use(do)


def test_signing_in_and_out(use: Use, guarded: Guarded) -> None:
    """A wrong key is a problem that is shown; what is signed out of shows nothing more."""

    async def do(console: Console) -> None:
        page = console.page
        await page.goto(console.url)
        await console.click("Sign in")
        await expect(console.problem()).to_contain_text("Enter a key")
        await page.get_by_label("Key").fill("\N{CYRILLIC CAPITAL LETTER EN}")
        await page.keyboard.press("Enter")
        await expect(console.problem()).to_have_text("This is no key: it has characters that none has.")
        await page.get_by_label("Key").fill("")
        await page.keyboard.type(guarded.secrets["console"][:-1])
        await page.keyboard.press("Enter")
        await expect(console.problem()).to_contain_text("401 Unauthorized")
        await expect(page.get_by_label("Key")).to_be_focused()
        await page.get_by_label("Key").fill(guarded.secrets["console"])
        await console.click("Sign in")
        await expect(page.get_by_role("heading", name="Boards")).to_be_focused()
        await console.click("Sign out")
        await console.says("the key is forgotten")
        await page.goto(f"{console.url}#/keys")
        await expect(page.locator("main")).to_be_hidden()

    use(do)


def test_key_that_is_revoked_meanwhile(use: Use, guarded: Guarded) -> None:
    """The next thing that is asked for signs out, and says why."""

    async def do(console: Console) -> None:
        await console.sign_in(guarded.secrets["leaving"])
        assert guarded.ask("DELETE", "/-/keys/leaving").status == 204
        await console.go("Keys")
        await expect(console.problem()).to_contain_text("it was revoked")
        await expect(console.page.get_by_label("Key")).to_be_focused()

    use(do)


def test_without_an_access_file(use: Use, tmp_path: Path) -> None:
    """Nobody has to sign in, as anybody may do everything; keys and the audit log say why there are none."""
    with running(tmp_path) as server:

        async def do(console: Console) -> None:
            await console.page.goto(console.url)
            await expect(console.page.locator("#who")).to_contain_text("anybody")
            await expect(console.page.get_by_role("button", name="Sign out")).to_be_hidden()
            await console.go("Keys")
            await expect(console.page.locator("main")).to_contain_text("There are no keys")
            await console.go("Audit log")
            await expect(console.problem()).to_contain_text("without --audit-log")

        use(do, server)


def test_boards(use: Use, guarded: Guarded) -> None:
    """They are found by how their names begin, in pages, with counts and rates from one count to the next."""
    for place in range(52):
        guarded.submit(f"list-{place:02}", v=1)

    async def do(console: Console) -> None:
        page = console.page
        await page.clock.install()
        await console.sign_in(guarded.secrets["console"])
        await page.get_by_label("Names that begin with").fill("list-")
        await page.keyboard.press("Enter")
        rows = page.locator("tbody tr")
        await console.says("50 boards")
        await console.click("Next")
        await console.says("2 boards")
        await expect(rows).to_have_text([re.compile("list-50.*1…"), re.compile("list-51.*1…")])
        guarded.submit("list-50", w=1, x=1)
        await page.clock.run_for(5_000)
        await expect(rows.first).to_have_text(re.compile("list-50.*3[1-9][0-9]*the default"))
        await expect(rows.last).to_have_text(re.compile("list-51.*10the default"))
        await console.click("Previous")
        await console.says("50 boards")
        await page.get_by_label("A board's whole name").fill("list-07")
        await console.click("Open")
        await expect(page.get_by_role("heading", name="list-07")).to_be_focused()
        await expect(rows).to_have_count(1)

    use(do)


def test_entry_is_corrected_by_keys_alone(use: Use, guarded: Guarded, board: str) -> None:
    """It is looked up, another score takes its place whatever the operator, and its metadata stay to the digit."""
    metadata = '{"n":12345678901234567890.10,"t":"\\u00e9\\",\\"metadata\\":"}'
    target = f"/{board}/judy?include=metadata"

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["moderator"], f"board/{board}")
        await expect(page.locator("tbody tr")).to_have_count(3)
        await page.get_by_label("Name").focus()
        await page.keyboard.type("judy")
        await page.keyboard.press("Enter")
        await console.says("3 entries")
        await expect(page.locator("tr[aria-current]")).to_contain_text("judy")
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.ariaLabel") == "Correct judy":
                break
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Score")).to_be_focused()
        for wrong, words in (("", "A number is needed"), ("12e", "A number is needed"), ("1e999", "too large")):
            await page.get_by_label("Score").fill(wrong)
            await page.keyboard.press("Enter")
            await expect(page.locator(".message", has_text=words)).to_be_visible()
        await page.get_by_label("Score").fill("9007199254740993")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_contain_text("it would become 9007199254740992")
        await page.get_by_label("Score").fill("-1")
        await page.keyboard.press("Enter")
        await expect(console.problem()).to_contain_text("too low")
        await page.get_by_label("Score").fill("1200")
        await page.keyboard.press("Enter")
        await console.says("The score of judy is 1,200; it was 1,500.")
        assert await page.evaluate("document.activeElement !== document.body")

    body = f'{{"score":1500,"metadata":{metadata}}}'.encode()
    assert guarded.ask("POST", f"/{board}/judy", body).status == 202
    use(do, locale="en-US")
    assert metadata in guarded.ask("GET", f"/{board}?name=judy&include=metadata").body.decode()
    assert guarded.ask("GET", target).status in {200, 400}


def test_entry_that_has_changed_meanwhile(use: Use, guarded: Guarded, board: str) -> None:
    """It is neither corrected nor deleted, and what there is now is shown."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["console"], f"board/{board}")
        await console.click("Correct v")
        guarded.submit(board, v=3000)
        await page.get_by_label("Score").fill("1")
        await page.keyboard.press("Enter")
        await expect(console.problem()).to_contain_text("its score is 3,000 now. Nothing was changed")
        await console.click("Cancel")
        await console.click("Delete silverhand")
        guarded.ask("DELETE", f"/{board}/silverhand")
        await console.confirm("Delete")
        await expect(console.problem()).to_contain_text("not on the board any more")
        await page.keyboard.press("Escape")
        await expect(page.locator("tbody tr")).to_have_count(2)

    use(do, locale="en-US")
    assert guarded.score(board, "v") == 3000


def test_entry_is_hidden_and_shown(use: Use, guarded: Guarded, board: str) -> None:
    """A hidden name is found among the hidden ones, and is shown again; others are hidden by their names."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["moderator"], f"board/{board}")
        await console.click("Hide v")
        await console.confirm("Hide")
        await console.says("v is hidden")
        assert guarded.score(board, "v") is None
        await page.get_by_label("Name").fill("v")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("v is hidden, with the score 2,077")
        await page.get_by_label("Name").fill("nobody")
        await page.keyboard.press("Enter")
        await expect(console.problem()).to_contain_text("404 Not Found")
        await console.go("Hidden names")
        await console.click("Show v")
        await console.says("v is shown again")
        assert guarded.score(board, "v") == 2077
        await console.click("Hide")
        await expect(page.get_by_text("A name is needed.")).to_be_visible()
        await page.get_by_label("Name").fill("smasher")
        await page.keyboard.press("Enter")
        await console.says("smasher is hidden")
        await expect(page.locator("tbody tr")).to_have_text(["smashernoneShow"])

    use(do, locale="en-US")


def test_entry_is_deleted(use: Use, guarded: Guarded, board: str) -> None:
    """From one period alone, or from the board, and only once that is confirmed."""

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["moderator"], f"board/{board}")
        await page.get_by_label("Period").select_option(index=1)
        await console.says("3 entries")
        await console.click("Delete judy")
        await expect(page.get_by_role("dialog")).to_contain_text("alone")
        await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Delete judy")).to_be_focused()
        await console.click("Delete judy")
        await console.confirm("Delete")
        await console.says("judy is deleted")
        assert guarded.score(board, "judy") == 1500
        assert guarded.score(board, "judy?window=daily") is None
        await console.click("From the top")
        await page.get_by_label("Period").select_option(index=0)
        await console.click("Delete judy")
        await console.confirm("Delete")
        await expect(page.locator("tbody tr")).to_have_count(2)

    use(do)
    assert guarded.score(board, "judy") is None


def test_entries_are_paged(use: Use, guarded: Guarded) -> None:
    """To the last one and back."""
    entries = [{"name": f"player-{place}", "score": place} for place in range(120)]
    assert guarded.ask("POST", "/paged", {"entries": entries}).status == 200

    async def do(console: Console) -> None:
        rows = console.page.locator("tbody tr")
        await console.sign_in(guarded.secrets["reader"], "board/paged")
        await expect(rows.first).to_contain_text("player-119")
        await console.click("Next")
        await expect(rows.first).to_contain_text("player-69")
        await console.click("Next")
        await expect(rows).to_have_count(20)
        await expect(console.page.get_by_role("button", name="Next")).to_have_count(0)
        await console.click("Previous")
        await expect(rows.first).to_contain_text("player-69")

    use(do)


def test_held_scores(use: Use, guarded: Guarded, board: str) -> None:
    """One is released and one rejected; one that is not as it was shown is neither."""
    guarded.submit(board, v=9000, judy=8000)

    async def do(console: Console) -> None:
        page = console.page
        await console.sign_in(guarded.secrets["moderator"], f"board/{board}/held")
        await console.click("Release v")
        await console.confirm("Release")
        await console.says("The held score 9,000 of v is released.")
        assert guarded.score(board, "v") == 9000
        await console.click("Reject judy")
        guarded.submit(board, judy=8500)
        await console.confirm("Reject")
        await expect(console.problem()).to_contain_text("8,500 is held now. Nothing was done.")
        await console.click("Cancel")
        await console.click("Reject judy")
        await console.confirm("Reject")
        await console.says("The held score 8,500 of judy is rejected.")
        await expect(page.locator("main")).to_contain_text("No score is held.")

    use(do, locale="en-US")
    assert guarded.score(board, "judy") == 1500
