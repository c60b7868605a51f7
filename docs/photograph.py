"""Takes the pictures of a board's page, with the players of ``laurels demo``, in Chromium: ``make pictures``.

The README's is docs/board.png. The others are for who changes the page: look at each of them.
"""

# ruff: noqa: INP001 - a script, in the directory of the picture that it takes

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from msgspec import Struct
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Browser

FOLDER = Path(__file__).resolve().parent
BOOK = {"width": 1000, "height": 840}
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}
NEWS = "body:has(.news:not(:empty)) .news-row"
WALL = {"width": 1920, "height": 1080}


class Picture(Struct):
    """A view of the page, and how it is looked at."""

    path: str
    context: dict[str, Any]
    is_whole: bool = True
    media: str | None = None
    seconds: float = 2
    awaits: str = "body"
    """What is to be seen before that."""


PICTURES = {
    "board": Picture("/star-runner?player={}", {"viewport": BOOK}, is_whole=False, seconds=0.8, awaits=NEWS),
    "light": Picture("/star-runner", {"viewport": DESK}),
    "dark": Picture("/star-runner", {"viewport": DESK, "color_scheme": "dark"}),
    "player": Picture("/star-runner?player={}", {"viewport": DESK}, seconds=6),
    "player-dark": Picture("/star-runner?player={}", {"viewport": DESK, "color_scheme": "dark", "locale": "de-DE"}),
    "windows": Picture("/star-runner?window=daily", {"viewport": DESK}),
    "phone": Picture("/star-runner?window=weekly&player={}", {"viewport": PHONE, "device_scale_factor": 2}),
    "phone-laps": Picture("/ring-road?startRank=100", {"viewport": PHONE, "color_scheme": "dark"}),
    "zoom": Picture("/star-runner?player={}", {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2}),
    "print": Picture("/star-runner?player={}", {"viewport": DESK}, media="print"),
    "stage": Picture("/star-runner?view=stage", {"viewport": WALL}, is_whole=False),
    "stage-dark": Picture(
        "/crews?view=stage", {"viewport": {"width": 1280, "height": 720}, "color_scheme": "dark"}, is_whole=False
    ),
    "embed": Picture("/ring-road?view=embed", {"viewport": {"width": 400, "height": 600}}),
    "empty": Picture("/nobody", {"viewport": DESK}),
    "error": Picture("/star-runner?startRank=x", {"viewport": DESK}),
    "no-script": Picture("/star-runner?player={}", {"viewport": DESK, "java_script_enabled": False}),
}
"""The first is the README's."""


@contextmanager
def crowd() -> Iterator[str]:
    """Run a service with players on it; yield its address."""
    command = [sys.executable, "-m", "laurels", "demo", "--port", "0", "--games", "8"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stderr is not None  # noqa: S101 - a pipe
        lines = iter(process.stderr.readline, "")
        yield next(found[0] for line in lines if (found := re.search(r"http://[\d.]+:\d+", line)))
        process.terminate()


async def take(browser: Browser, url: str, picture: Picture, player: str, path: Path) -> None:
    """Take one picture."""
    context = await browser.new_context(**picture.context)
    page = await context.new_page()
    if picture.media == "print":
        await page.emulate_media(media="print")
    await page.goto(url + picture.path.format(player))
    await page.locator(picture.awaits).first.wait_for(timeout=120_000)
    await page.wait_for_timeout(picture.seconds * 1000)
    await page.screenshot(path=path, full_page=picture.is_whole)
    await context.close()


async def take_all(url: str, player: str, folder: Path, names: list[str]) -> None:
    """Take those pictures, or all."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for name in names or PICTURES:
            place = FOLDER if name == "board" else folder
            await take(browser, url, PICTURES[name], player, place / f"{name}.png")
        await browser.close()


def main() -> None:
    """Take the pictures that are named, or all."""
    folder = FOLDER.parent / "build" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with crowd() as url:
        with urlopen(f"{url}/star-runner?startRank=4&endRank=5") as answer:  # noqa: S310 - the service above
            player = json.load(answer)["leaderboard"][0]["name"]
        asyncio.run(take_all(url, player, folder, sys.argv[1:]))


if __name__ == "__main__":
    main()
