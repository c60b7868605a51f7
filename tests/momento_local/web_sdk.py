"""The official web SDK in a page of a real browser, and what it says of a server of Momento's."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright

from tests.test_browser import CHROMIUM, elsewhere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Page

BUNDLE = Path(__file__).parent / "bundle.mjs"
HELPERS = """
globalThis.credentialsAt = (token, url) => momento.CredentialProvider.fromDisposableToken({
  apiKey: token, endpointOverrides: {cacheEndpoint: url, controlEndpoint: url, tokenEndpoint: url},
});
globalThis.heard = [];
globalThis.hear = async (token, url, cache, topic, options = {}) => {
  globalThis.topics = new momento.TopicClient({
    credentialProvider: credentialsAt(token, url), configuration: momento.TopicConfigurations.Browser.latest(),
  });
  const subscribed = await topics.subscribe(cache, topic, {
    onItem: item => heard.push([item.sequenceNumber(), item.value()]),
    onDiscontinuity: gap => heard.push(['gap', gap.lastSequenceNumber(), gap.newSequenceNumber()]),
    onHeartbeat: () => heard.push('heartbeat'),
    onError: error => heard.push(error.errorCode()),
    ...options,
  });
  globalThis.subscription = subscribed;
  return subscribed.type === 'Error' || subscribed.errorCode ? subscribed.errorCode() : 'subscribed';
};
globalThis.say = async (cache, topic, text) => {
  const said = await topics.publish(cache, topic, text);
  return said.errorCode ? said.errorCode() : 'published';
};
"""


@cache
def bundle() -> str:
    """Return the web SDK as one script, which sets ``momento``."""
    command = ["node", str(BUNDLE), "@gomomento/sdk-web", "momento"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@asynccontextmanager
async def opened() -> AsyncIterator[Page]:
    """Yield a page of another origin, with the SDK in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        page = await browser.new_page()
        with elsewhere() as url:  # the browser lets no page without an address ask this machine
            await page.goto(url)
            await page.add_script_tag(content=bundle() + HELPERS)
            yield page
        await browser.close()


async def wait_until_heard(page: Page, expected: Any) -> None:
    """Wait until a page has heard something."""
    text = json.dumps(expected, separators=(",", ":"), ensure_ascii=False)
    await page.wait_for_function("item => heard.some(one => JSON.stringify(one) === item)", arg=text, timeout=10_000)


def in_browser(do: Callable[[Page], Awaitable[None]]) -> None:
    """Do something with a page that has the SDK."""

    async def run() -> None:
        async with opened() as page:
            await do(page)

    asyncio.run(run())
