"""A real browser: what a page of another origin may do, and may not."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Response, async_playwright

from tests.asking import ask
from tests.conftest import running
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from playwright.async_api import Page

    from tests.conftest import Server

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
REBOUND = "rebound.example"
"""A name that leads to this machine, as anybody may have one do."""

ASK = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.status, await answer.text(), Object.fromEntries(answer.headers)];
  } catch (error) { return [0, error.message, {}]; }
}"""
SEND_BLIND = """(url) => {
  const text = '{"score": 666}';
  fetch(url + "/blob", {method: "POST", mode: "no-cors", body: new Blob([text])});
  fetch(url + "/text", {method: "POST", mode: "no-cors", body: text});
  navigator.sendBeacon(url + "/beacon", text);
  navigator.sendBeacon(url + "/typeless", new Blob([text]));
}"""
SENT_BLIND = {"blob", "text", "beacon", "typeless"}
SEND_FORM = """(url) => {
  const form = document.createElement("form");
  form.method = "POST"; form.enctype = "text/plain"; form.action = url + "/form";
  form.innerHTML = `<input name='{"score": 666, "metadata": "' value='"}'>`;
  document.body.append(form);
  form.submit();
}"""


class Blank(BaseHTTPRequestHandler):
    """A blank page of another origin."""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A game</title>")

    def log_message(self, *_: object) -> None:
        """Keep still."""


@contextmanager
def elsewhere() -> Iterator[str]:
    """Serve blank pages; yield their origin."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Blank)) as server:
        yield f"http://localhost:{server.server_port}"


async def browsing() -> AsyncIterator[Page]:
    """Yield a page of a browser."""
    async with async_playwright() as playwright:
        rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[rules])
        yield await browser.new_page()
        await browser.close()


async def fetched(page: Page, url: str, method: str = "GET", body: object = None, **headers: str) -> list[Any]:
    """Return status, text and visible headers of what a page is answered with; status 0 if it may not read."""
    options = {"method": method, "headers": headers}
    if body is not None:
        options |= {"body": json.dumps(body), "headers": headers | {"Content-Type": "application/json"}}
    found: list[Any] = await page.evaluate(ASK, [url, options])
    return found


def preflights(server: Server) -> float:
    """Return how often a browser has asked whether it may."""
    lines = ask(server, "GET", "/-/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if "requests_total{" in line and "OPTIONS" in line)


async def use_what_is_allowed(page: Page, service: Server) -> None:
    """Write twice after one question, read answers and refusals, and what their headers say."""
    url = f"http://localhost:{service.port}"
    for score in (1, 2):
        status, *_ = await fetched(page, f"{url}/-/boards/kart", "PUT", {"operator": "best"}, Prefer=f"wait={score}")
        assert status in {200, 201}
    assert preflights(service) == 1
    for score, key in ((7, "a"), (9, "b")):
        assert (await fetched(page, f"{url}/kart/v", "POST", {"score": score}, **{"Idempotency-Key": key}))[0] == 202
    assert preflights(service) == 2
    assert (await fetched(page, f"{url}/kart/v"))[:2] == [200, '{"score":9,"rank":0}']
    status, text, headers = await fetched(page, f"{url}/kart/v", "POST", {"score": 9}, Prefer="return=representation")
    assert (status, json.loads(text)["changed"], headers["preference-applied"]) == (200, False, "return=representation")
    status, text, _ = await fetched(page, f"{url}/kart/v", "POST", {"points": 9})
    assert (status, "score" in json.loads(text)["detail"]) == (422, True)
    assert (await fetched(page, f"{url}/a/b/c"))[0] == 404


async def try_what_is_not(page: Page, service: Server) -> None:
    """Read nothing, and write nothing, by whatever means a page has."""
    url = f"http://localhost:{service.port}"
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, error, _ = await fetched(page, f"{url}/kart/v", method, {"score": 666} if method == "POST" else None)
        assert (status, error) == (0, "Failed to fetch")
    answers = asyncio.Queue[Response]()
    page.on("response", answers.put_nowait)
    await page.evaluate(SEND_BLIND, f"{url}/kart")
    found = [await asyncio.wait_for(answers.get(), 30) for _ in SENT_BLIND]
    assert {each.url.rpartition("/")[2]: each.status for each in found} == dict.fromkeys(SENT_BLIND, 403)
    async with page.expect_navigation(url=f"{url}/kart/form"):
        await page.evaluate(SEND_FORM, f"{url}/kart")
    assert "may not write here" in await page.inner_text("body")
    assert ask(service, "GET", "/kart").json == {"leaderboard": []}


async def try_another_name(page: Page, service: Server) -> None:
    """Be refused all, as a page whose name leads here, although it is of one origin with the service."""
    url = f"http://{REBOUND}:{service.port}"
    answer = await page.goto(f"{url}/-/health")
    assert answer is not None
    assert answer.status == 421
    assert (await fetched(page, f"{url}/kart/v"))[0] == 421
    assert (await fetched(page, f"{url}/kart/v", "POST", {"score": 666}))[0] == 421


async def use_own_page(page: Page, service: Server) -> None:
    """Write from a page of the service's own."""
    url = f"http://localhost:{service.port}"
    await page.goto(f"{url}/-/health")
    assert (await fetched(page, f"{url}/own/v", "POST", {"score": 1}))[0] == 202


@pytest.mark.skipif(CHROMIUM is None, reason="without a browser")
def test_pages_in_a_browser(tmp_path: Path) -> None:
    """A page that is allowed uses the service; one that is not does nothing, nor one whose name leads here."""

    async def browse(origin: str, allowing: Server, closed: Server) -> None:
        async for page in browsing():
            await page.goto(origin)
            await use_what_is_allowed(page, allowing)
            await try_what_is_not(page, closed)
            await try_another_name(page, closed)
            await use_own_page(page, closed)

    with (
        elsewhere() as origin,
        running(tmp_path / "allowing", "--cors-origin", origin, "--cors-origin", "https://game.example") as allowing,
        running(tmp_path / "closed") as closed,
    ):
        asyncio.run(browse(origin, allowing, closed))
