"""The module that reads the feed, in a page of another origin in a real browser."""

from __future__ import annotations

import json
from signal import SIGKILL
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from momento import AuthClient
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.config.auth_configurations import AuthConfigurations
from momento.responses import GenerateDisposableToken
from momento.utilities import ExpiresIn
from momento_wire_types import cachepubsub_pb2
from playwright.async_api import TimeoutError as Timeout

from tests.access.ways import KeyRing
from tests.asking import ask
from tests.conftest import running
from tests.momento import momento_running
from tests.web.consoles import Guarded
from tests.web.sites import buffering_proxy

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.conftest import Server
    from tests.web.sites import Site

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

TOLD = """() => {
  const at = told.findIndex((it) => %s);
  if (at < 0) return false;
  const kind = Object.keys(told[at])[0];
  const found = told[at];
  told = told.filter((it, place) => place > at || !(kind in it));
  return found;
}"""


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

    async def close(self) -> None:
        """Stop watching what is watched last."""
        await self.page.evaluate("last.close()")

    async def told(self, fact: str) -> Any:
        """Wait until something told fits an expression of ``it``; return it, and forget those of its kind before."""
        try:
            return await (await self.page.wait_for_function(TOLD % fact)).json_value()
        except Timeout:
            told = await self.page.evaluate("JSON.stringify(told)")
            pytest.fail(f"not told: {fact}, but {told}, of {self.asked}")

    async def rows(self, *rows: tuple[str, float]) -> dict[str, Any]:
        """Wait until there are these names and scores, in this order."""
        wanted = json.dumps(json.dumps(rows, separators=(",", ":")))
        found: dict[str, Any] = await self.told(f"JSON.stringify(it.rows?.map((row) => row.slice(0, 2))) === {wanted}")
        return found

    async def state(self, state: str, words: str = "") -> None:
        """Wait until it is in this state, with these words."""
        await self.told(f"it.state === {json.dumps(state)} && (it.message ?? '').includes({json.dumps(words)})")


@pytest.fixture(scope="module")
def guarded(host: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Run one service that the site may read with a key."""
    directory = tmp_path_factory.mktemp("guarded")
    ring = KeyRing()
    ring.add("console", ["admin"])
    for name in ("reader", "leaving"):
        ring.add(name, ["read"], expires="2099-11-01")
    access = ring.write(directory / "access.toml")
    with running(directory / "data", "--access", str(access), "--cors-origin", host.url) as server:
        yield Guarded(server, ring.secrets)


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


def test_views_of_a_board_share_a_stream(look: Callable[..., None], service: Server) -> None:
    """Rows and a standing come over one, also as views are added and closed; who has passed a name is said."""
    submit(service, "shared", v=5, judy=3)

    async def do(watching: Watching) -> None:
        await watching.watch("shared", "name=judy")
        standing = (await watching.told("it.standing"))["standing"]
        assert standing == {"score": 3, "rank": 1, "previous": None, "passedBy": []}
        await watching.watch("shared", "around=v&limit=1")
        await watching.rows(("v", 5))
        stream = f"{watching.url}-/boards/shared/live"
        assert watching.asked[1:] == [f"{stream}?view=name%3Djudy&view=around%3Dv%26limit%3D1"]
        submit(service, "shared", silverhand=4)
        assert (await watching.told("it.standing?.rank === 2"))["standing"]["passedBy"] == ["silverhand"]
        await watching.close()
        await watching.told("it.standing?.rank === 2")
        submit(service, "shared", judy=8)
        assert (await watching.told("it.standing?.rank === 0"))["standing"]["previous"] == {"score": 3, "rank": 2}
        assert watching.asked[2:] == [f"{stream}?name=judy"]

    look(do)


def test_service_is_killed_and_comes_again(look: Callable[..., None], host: Site, tmp_path: Path) -> None:
    """It is said that it is gone; when it is there again, rows go on by themselves, from the last event on."""
    with running(tmp_path, "--cors-origin", host.url) as first:
        submit(first, "killed", v=5)

        async def do(watching: Watching) -> None:
            await watching.watch("killed")
            await watching.rows(("v", 5))
            first.stop(SIGKILL)
            await watching.state("lost", "cannot be reached")
            async with watching.page.expect_request("**/live?*") as asking:
                with running(tmp_path, "--cors-origin", host.url, "--port", str(first.port)) as second:
                    submit(second, "killed", judy=9)
                    await watching.page.evaluate("dispatchEvent(new Event('online'))")
                    await watching.rows(("judy", 9), ("v", 5))
                    await watching.state("live")
            assert (await (await asking.value).header_value("last-event-id") or "").endswith("-0")

        look(do, first.url)


def test_credentials(look: Callable[..., None], guarded: Guarded) -> None:
    """Without a key it is refused; one that a function returns is shown; when it ends, it is refused."""
    guarded.submit("keys", v=5)

    async def do(watching: Watching) -> None:
        await watching.watch("keys")
        await watching.state("refused", "Without a key or a token")
        await watching.watch("keys", token=guarded.secrets["reader"])
        await watching.rows(("v", 5))
        await watching.page.evaluate(
            """([server, token]) => start({server, board: "keys", query: "endRank=1", token: async () => token})""",
            [watching.url, guarded.secrets["leaving"]],
        )
        await watching.rows(("v", 5))
        assert guarded.ask("DELETE", "/-/keys/leaving").status == 204
        await watching.state("refused", "it was revoked")
        guarded.submit("keys", v=6)
        await watching.rows(("v", 6))

    look(do, guarded.server.url)


def test_pages_that_may_not_read_are_told_the_option(look: Callable[..., None], server: Server) -> None:
    """The browser does not say why it keeps an answer back: that is found out, and said."""

    async def do(watching: Watching) -> None:
        await watching.watch("closed")
        option = "laurels serve --cors-origin http://localhost:"
        await watching.state("lost", option)
        async with watching.page.expect_event("requestfailed"):
            await watching.page.evaluate("dispatchEvent(new Event('online'))")
        await watching.watch("closed", "endRank=1")
        await watching.state("lost", option)

    look(do, server.url)


def test_proxy_that_keeps_the_stream_back(look: Callable[..., None], service: Server) -> None:
    """After some streams without an event the board is read again and again; so are standings."""
    submit(service, "kept", v=5, judy=3)

    async def do(watching: Watching) -> None:
        await watching.watch("kept", "endRank=1")
        await watching.watch("kept", "name=judy")
        await watching.rows(("v", 5))
        await watching.told("it.standing?.rank === 1")
        submit(service, "kept", judy=9)
        await watching.rows(("judy", 9))
        standing = (await watching.told("it.standing?.rank === 0"))["standing"]
        assert (standing["previous"]["rank"], standing["passedBy"]) == (1, [])

    with buffering_proxy(service) as url:
        look(do, url.rstrip("/"))


def test_name_that_is_not_there_yet(look: Callable[..., None], service: Server) -> None:
    """Its neighbours are refused, until it is there."""

    async def do(watching: Watching) -> None:
        await watching.watch("absent", "around=v&limit=3")
        await watching.state("refused", "v")
        submit(service, "absent", v=1)
        await watching.rows(("v", 1))
        await watching.state("live")

    look(do)


def test_hidden_tab(look: Callable[..., None], service: Server) -> None:
    """It leaves after a while, and goes on without a gap as soon as somebody looks."""
    submit(service, "hidden", v=5)
    hide = """(state) => {
      const hidden = state === "hidden";
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }"""

    async def do(watching: Watching) -> None:
        page = watching.page
        await watching.watch("hidden")
        await page.clock.run_for(10)
        await watching.rows(("v", 5))
        async with page.expect_event("requestfailed"):
            await page.evaluate(hide, "hidden")
            await page.clock.run_for(21_000)
        submit(service, "hidden", judy=9)
        await page.clock.run_for(60_000)
        assert len(watching.asked) == 1
        async with page.expect_request("**/live?*") as asking:
            await page.evaluate(hide, "visible")
        assert await (await asking.value).header_value("last-event-id")
        await watching.rows(("judy", 9), ("v", 5))

    look(do, clock=True)


def test_fifth_board_is_read_again_and_again(look: Callable[..., None], service: Server) -> None:
    """It has no stream, which would keep the page from reading anything else; but its rows follow."""
    submit(service, "many-4", v=1)

    async def do(watching: Watching) -> None:
        for number in range(5):
            await watching.watch(f"many-{number}")
        await watching.rows(("v", 1))
        submit(service, "many-4", v=2)
        await watching.rows(("v", 2))
        assert len(watching.asked) == 4

    look(do)


def test_too_many_requests(look: Callable[..., None], host: Site, tmp_path: Path) -> None:
    """It is said, and waited for as long as the service says."""
    access = KeyRing().write(
        tmp_path / "a.toml", '[public]\nscopes = ["read"]\nlimits = { requests = "1/s", burst = 1 }'
    )
    with running(tmp_path / "data", "--access", str(access), "--cors-origin", host.url) as limited:

        async def do(watching: Watching) -> None:
            assert ask(limited, "GET", "/kart").status == 200
            await watching.watch("kart")
            await watching.state("lost", "too many requests")
            await watching.rows()

        look(do, limited.url)


def test_view_that_is_no_good(look: Callable[..., None], service: Server) -> None:
    """It is refused, and the others on its connection have their stream."""
    submit(service, "mixed", v=1)

    async def do(watching: Watching) -> None:
        await watching.watch("mixed", "endRank=3&window=yearly")
        await watching.watch("mixed")
        await watching.state("refused", "window")
        await watching.rows(("v", 1))
        submit(service, "mixed", v=2)
        await watching.rows(("v", 2))
        assert watching.asked[-1].endswith("/live?endRank=3")

    look(do)


def test_topics(look: Callable[..., None], service: Server) -> None:
    """If the answer is a topic of Momento's, the board is read again when the topic tells of something."""
    submit(service, "told", v=1)
    with momento_running() as momento:
        cache = momento.new_cache()
        scope = DisposableTokenScopes.topic_subscribe_only(cache, "board")
        with AuthClient(AuthConfigurations.Laptop.latest(), momento.credentials) as client:
            made = client.generate_disposable_token(scope, ExpiresIn.minutes(1))
        assert isinstance(made, GenerateDisposableToken.Success)
        given = {"endpoint": momento.connections.account_url, "cache": cache, "topic": "board"}
        given |= {"token": made.auth_token, "expiresAt": "2099-11-01T00:00:00Z"}

        async def do(watching: Watching) -> None:
            page = watching.page
            answer = {"json": {"topics": given}, "headers": {"Access-Control-Allow-Origin": "*"}}
            await page.route("**/live?*", lambda route: route.fulfill(**answer))
            async with page.expect_event("response", lambda answer: "Subscribe" in answer.url):
                await watching.watch("told")
                await watching.rows(("v", 1))
            await watching.state("live")
            submit(service, "told", v=2)
            said = {"cache_name": cache, "topic": "board", "value": {"text": '{"name":"v","score":2}'}}
            momento.topics.Publish(ParseDict(said, cachepubsub_pb2._PublishRequest()))  # noqa: SLF001 - named so
            await watching.rows(("v", 2))

        look(do)
