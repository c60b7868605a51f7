"""The page of a board over stores that can do less, or do it in several places, and with keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.boards import Boards
from laurels.definition import BoardsFile, Definition, Display
from laurels.http import Routes
from laurels.http.messages import Request
from laurels.stores.contract import Submission
from laurels.stores.momento.connection import FixedKey
from laurels.stores.momento.store import MomentoStore
from laurels.stores.redis.store import RedisStore
from tests.access.ways import KeyRing, bearer, serving
from tests.asking import Reply, ask
from tests.http.pages import BROWSER, Page, browse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.momento import Momento
    from tests.redis_servers import Node

SHOWN = Display(format="duration", unit="s", country="land", fields=("team",))


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio."""
    return "asyncio"


async def look(boards: Boards, query: str = "") -> Page:
    """Return the page of the board kart."""
    headers = {key.encode(): value.encode() for key, value in BROWSER.items()}
    answer = await Routes(boards).answer(Request("GET", b"/kart", query.encode(), headers))
    return Page(
        Reply(answer.status, {key.decode(): value.decode() for key, value in answer.list_headers()}, answer.body)
    )


@pytest.mark.anyio
async def test_page_over_momento(momento: Momento) -> None:
    """What the store cannot do is not shown: links go on by places, a player stands among its neighbours."""
    store = MomentoStore(momento.new_cache(), FixedKey(""), f"http://{momento.host}:{momento.port}")
    boards = Boards(store, BoardsFile(boards={"kart": Definition(title="Kart", display=SHOWN)}))
    await boards.submit_many("kart", [Submission(f"p{place:02}", -place) for place in range(50)])
    page = await look(boards)
    assert (page.text("h1"), page.text("span[@id='total']"), len(page.rows)) == ("Kart", "50 players", 20)
    assert page.links("nav")["Next"] == "?startRank=20&endRank=40"
    assert (page.all("svg"), page.all("time"), page.rows[1][2]) == ([], [], "-0:01")
    assert (await look(boards, "player=p30")).names == [f"p{place}" for place in range(21, 40)]
    assert (await look(boards, "player=x")).text("p[@role='status']") == "x is not on this board."
    assert (await look(boards, "player=p30&startRank=49")).links("nav")[
        "Previous"
    ] == "?startRank=29&endRank=49&player=p30"
    refused = await look(boards, "around=p30")
    assert (refused.reply.status, "neighbours" in refused.text("main//bdi")) == (422, True)
    await store.close()


@pytest.mark.anyio
@pytest.mark.parametrize("partitions", [1, 4])
async def test_page_over_redis(redis_server: Node, partitions: int) -> None:
    """A board in Redis keeps its title and display, and has its page over partitions, too."""
    store = RedisStore(redis_server.url)
    boards = Boards(store)
    await boards.declare()
    await boards.define("kart", Definition(title="Kart", display=SHOWN, partitions=partitions))
    told = b'{"land":"nz","team":"Red"}'
    await boards.submit_many("kart", [Submission(f"p{place:02}", place, told) for place in range(50)])
    other_store = RedisStore(redis_server.url)
    other = Boards(other_store)
    await other.declare()
    page = await look(other, "player=p30")
    assert page.names == [f"p{place}" for place in range(39, 20, -1)]
    assert page.text("h1") == "Kart"
    page = await look(boards)
    assert page.rows[0] == ("1", "p49", "0:49")
    following = await look(boards, page.links("nav")["Next"][1:])
    assert following.names == [f"p{place}" for place in range(29, 9, -1)]
    await other_store.close()
    await store.close()


def test_board_that_needs_a_key(tmp_path: Path) -> None:
    """Without a right a browser gets a page with a form for a key; with one, the board."""
    ring = KeyRing()
    ring.add("reader", ["read"])
    ring.add("other", ["read"], boards=["other"])
    with serving(tmp_path / "data", ring.write(tmp_path / "access.toml")) as server:
        page = browse(server, "/kart?player=v")
        assert (page.reply.status, page.reply.headers["vary"]) == (401, "accept")
        assert page.reply.headers["www-authenticate"] == 'Bearer realm="laurels"'
        assert page.one("form[@id='key']").get("hidden") == ""
        assert (page.one("input[@id='secret']").get("type"), len(page.all("noscript"))) == ("password", 1)
        forbidden = browse(server, "/kart", bearer(ring.secrets["other"]))
        assert (forbidden.reply.status, len(forbidden.all("form[@id='key']"))) == (403, 1)
        assert browse(server, "/kart", bearer(ring.secrets["reader"])).reply.status == 200
        assert ask(server, "GET", "/kart").headers["content-type"] == "application/problem+json"
        assert ask(server, "GET", "/-/board.js").status == 200
