"""Live boards of the whole stack: the official web SDK in a real browser listens to what the stack's route is sent."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from tests.asking import ask
from tests.local.conftest import stack_running
from tests.momento_local.web_sdk import in_browser, wait_until_heard
from tests.test_browser import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page

    from tests.local.conftest import Stack

pytestmark = pytest.mark.slow

BOARD = "mario kärt/50%"
DOCS = Path(__file__).parents[2] / "docs"
CODE = re.search(r"```js\n(const \{topics.*?)```", (DOCS / "live.md").read_text(), re.DOTALL)
OPTIONS = re.search(
    r'^To try it locally: `make run-serverless ARGS="(--live .*)"`', (DOCS / "deploying.md").read_text(), re.MULTILINE
)
LISTEN = """async url => {
  const {CredentialProvider, TopicClient, TopicConfigurations} = momento;
  const readAgain = hint => heard.push([hint.sequenceNumber(), hint.value()]);
  const beginAnew = error => heard.push(error.errorCode());
  %s
}"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield a stack with live boards, which pages of any origin may use."""
    assert OPTIONS is not None
    with stack_running(tmp_path_factory.mktemp("live"), *shlex.split(OPTIONS[1])) as stack:
        yield stack


def route_of(board: str) -> str:
    """Return the path of a board's feed."""
    return f"/-/boards/{quote(board, safe='')}/live"


@pytest.mark.skipif(CHROMIUM is None, reason="without a browser")
def test_a_browser_listens_to_the_stack(live: Stack) -> None:
    """As the docs show it, a page subscribes, and hears of submits over the stack: of its board alone."""

    async def listen(page: Page) -> None:
        assert CODE is not None
        await page.evaluate(LISTEN % CODE[1].replace("/-/boards/kart/live", route_of(BOARD)), live.url)
        assert ask(live, "POST", "/other/judy", {"score": 1}).status == 202
        assert ask(live, "POST", f"/{quote(BOARD, safe='')}/v", {"score": 2077}).status == 202
        await wait_until_heard(page, [1, '{"name":"v","score":2077}'])
        assert not [heard for heard in await page.evaluate("heard") if "judy" in json.dumps(heard)]

    in_browser(listen)


@pytest.mark.skipif(CHROMIUM is None, reason="without a browser")
def test_the_page_of_a_board_is_live(live: Stack) -> None:
    """The stack's own page listens, within its policy, and shows what is submitted without being loaded anew."""
    ask(live, "POST", "/page/v", {"score": 1})

    async def look(page: Page) -> None:
        async with page.expect_response("**/cache_client.pubsub.Pubsub/Subscribe") as subscribed:
            await page.goto(f"{live.url}/page")
        assert (await subscribed.value).ok
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("#live")).to_have_text("Live")
        ask(live, "POST", "/page/judy", {"score": 2})
        await expect(page.locator("tbody tr")).to_have_count(2)
        await expect(page.locator("tbody th a").first).to_have_text("judy")

    in_browser(look)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", route_of("kart"), 200),
        ("PUT", route_of("kart"), 405),
        ("GET", f"{route_of('kart')}/more", 404),
        ("GET", "/-/boards/kart", 404),
        ("GET", "/-", 404),
        ("GET", "/-/health", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/-/board.css", 200),
        ("GET", "/-/other", 404),
        ("GET", "/kart/live", 200),
        ("GET", "/kart/-", 200),
    ],
)
def test_routes_beside(live: Stack, method: str, path: str, status: int) -> None:
    """The feed has a route of its own: a player may be called live, and the service's own routes stay."""
    assert ask(live, method, path).status == status
