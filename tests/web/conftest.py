"""One browser for all tests, one service for those of the console, and a site that embeds boards of another."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright

from tests.access.ways import KeyRing, serving
from tests.conftest import running
from tests.web.consoles import Console, Guarded
from tests.web.sites import site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Browser

    from tests.conftest import Server
    from tests.web.consoles import Do, Use
    from tests.web.sites import Site

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
RULES = {"operator": "best", "windows": ["daily"], "guard": {"hold_above": 5000}, "scores": {"min": 0}}


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """Yield what runs a loop for all tests."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def browser(runner: asyncio.Runner) -> Iterator[Browser]:
    """Start one browser, if there is one."""
    if CHROMIUM is None:
        pytest.skip("without a browser")
    opening = async_playwright()
    playwright = runner.run(opening.__aenter__())
    browser = runner.run(playwright.chromium.launch(executable_path=CHROMIUM))
    yield browser
    runner.run(browser.close())
    runner.run(opening.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def host() -> Iterator[Site]:
    """Run one site of another origin, which allows scripts and reads of the service, and no style of anybody's."""
    with site() as running_site:
        yield running_site


@pytest.fixture(scope="module")
def service(host: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one service that the site may read."""
    with running(tmp_path_factory.mktemp("embedded"), "--cors-origin", host.url) as server:
        yield server


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Start one service with keys of several rights and an audit log."""
    directory = tmp_path_factory.mktemp("console")
    ring = KeyRing()
    ring.add("console", ["admin"])
    ring.add("reader", ["read"])
    ring.add("moderator", ["read", "moderate"], boards=["mario-*"])
    for name in ("gone", "leaving", "nobody"):
        ring.add(name, ["admin"] if name == "leaving" else [], expires="2099-11-01")
    access = ring.write(directory / "access.toml")
    with serving(directory / "data", access, {"LAURELS_AUDIT_LOG": str(directory / "audit.log")}) as server:
        yield Guarded(server, ring.secrets)


@pytest.fixture
def use(runner: asyncio.Runner, browser: Browser, guarded: Guarded) -> Use:
    """Return what does something with a console of its own, in which nothing may fail."""

    def use(do: Do, server: Server | None = None, **context: Any) -> None:
        async def run() -> None:
            own = await browser.new_context(**context)
            own.set_default_timeout(10_000)
            console = Console(await own.new_page(), (server or guarded.server).url)
            await do(console)
            assert not console.faults
            await own.close()

        runner.run(run())

    return use


@pytest.fixture
def board(guarded: Guarded, request: pytest.FixtureRequest) -> str:
    """Return a board of the test's own, with rules and three entries."""
    name = f"mario-{re.sub(r'[^a-z]', '-', request.node.name.lower())[:40]}"
    guarded.ask("PUT", f"/-/boards/{name}", RULES)
    guarded.submit(name, v=2077, judy=1500, silverhand=34)
    return name
