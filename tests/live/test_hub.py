"""The hub over a store in this process: what subscribers are told, and when."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest
import redis

from laurels.boards import Boards
from laurels.definition import BoardsFile, Bounds, Definition
from laurels.errors import NotOnBoard, StoreUnavailable
from laurels.live import feed as feeds
from laurels.live import hub as hubs
from laurels.live.events import frame
from laurels.live.hub import MANY, Hub
from laurels.live.subscribers import Subscriber
from laurels.live.views import AroundView, PageView, StandingView, View
from laurels.stores.contract import Submission
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.redis.store import RedisStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from laurels.live.events import Frames
    from laurels.stores.contract import Board
    from tests.redis_servers import Node

TOP = PageView("kart", start=0, stop=3)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own."""

    @wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        asyncio.run(test(*arguments, **options))

    return run


class Listener(Subscriber):
    """A subscriber that keeps what it is sent, or as much as it takes."""

    def __init__(self) -> None:
        self.frames: list[Frames] = []
        self.size = 0
        self.comments = 0
        self.is_over = False
        self.came = asyncio.Event()

    @property
    def unsent(self) -> int:
        """As the test says."""
        return self.size

    def put(self, frames: Frames) -> None:
        """Keep frames."""
        self.frames.append(frames)
        self.came.set()

    def comment(self) -> None:
        """Count comments."""
        self.comments += 1
        self.came.set()

    def end(self) -> None:
        """Be over."""
        self.is_over = True
        self.came.set()

    async def wait(self, count: int) -> list[dict[str, Any]]:
        """Wait until there are so many frames; return all messages."""
        async with asyncio.timeout(20):
            while len(self.frames) < count:
                self.came.clear()
                await self.came.wait()
        return [json.loads(message) for frames in self.frames for message in frames.messages]

    async def ended(self) -> None:
        """Wait until it is over."""
        async with asyncio.timeout(20):
            while not self.is_over:
                self.came.clear()
                await self.came.wait()


class Clock:
    """A clock that a test turns."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@asynccontextmanager
async def opened(
    directory: Path, definition: Definition | None = None, clock: Clock | None = None, most: int = 100
) -> AsyncIterator[tuple[Boards, Hub]]:
    """Open boards, and a hub over them."""
    store = await EmbeddedStore.open(directory)
    try:
        file = BoardsFile(default=definition or Definition())
        boards = Boards(store, file, clock=clock) if clock else Boards(store, file)
        await boards.declare()
        hub = Hub(boards, most)
        yield boards, hub
        hub.close()
    finally:
        await store.close()


async def listen(hub: Hub, *views: View, ident: str = "") -> Listener:
    """Have somebody listen to views."""
    listener = Listener()
    hub.join(await hub.open(views), listener, ident)
    return listener


def apply(state: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return what a client has after an event, by place."""
    data = event["data"]
    if event["event"] == "page":
        entries = {entry["name"]: entry for entry in data["leaderboard"]}
    else:
        entries = {entry["name"]: entry for entry in state["leaderboard"]}
        for name in data["gone"]:
            del entries[name]
        entries |= {entry["name"]: entry for entry in data["set"]}
    ordered = sorted(entries.values(), key=lambda entry: entry["place"])
    return {"leaderboard": ordered, "total": data["total"]}


@in_loop
async def test_page_and_changes(tmp_path: Path) -> None:
    """First there is the page, then what changes on it: of several changes at a time only what comes of them."""
    async with opened(tmp_path) as (boards, hub):
        await boards.submit("kart", Submission("v", 10))
        listener = await listen(hub, TOP)
        (page,) = await listener.wait(1)
        shown = {"name": "v", "score": 10, "rank": 0, "place": 0}
        assert page["event"] == "page"
        assert page["data"] == {"leaderboard": [shown], "total": 1}
        for score in range(20, 30):
            await boards.submit("kart", Submission("judy", score))
        *_, change = await listener.wait(2)
        assert change["event"] == "change"
        state = apply(page["data"], change)
        while state["leaderboard"][0]["score"] != 29:  # the disk was slow, and a tick came between
            *_, change = await listener.wait(len(listener.frames) + 1)
            state = apply(state, change)
        assert [entry["name"] for entry in state["leaderboard"]] == ["judy", "v"]
        assert state["total"] == 2
        await boards.remove(boards.board("kart"), "v")
        *_, gone = await listener.wait(len(listener.frames) + 1)
        assert gone["data"] == {"total": 1, "set": [], "gone": ["v"]}
        assert hub.measure()["live_subscribers"] == 1
        assert hub.measure()["live_events"] >= 2


@in_loop
async def test_who_comes_again(tmp_path: Path) -> None:
    """With the id of the last event there is what followed; with one that is unknown, or too old, a page."""
    async with opened(tmp_path) as (boards, hub):
        first = await listen(hub, TOP)
        (page,) = await first.wait(1)
        hub.leave(first)
        hub.leave(first)
        stayed = await listen(hub, TOP)
        await stayed.wait(1)
        await boards.submit("kart", Submission("v", 1))
        await stayed.wait(2)
        await boards.submit("kart", Submission("v", 2))
        messages = await stayed.wait(3)
        again = await listen(hub, TOP, ident=page["id"])
        assert (await again.wait(2))[:2] == messages[1:3]
        for ident in ("x", f"{page['id'].rpartition('-')[0]}-99", "other-0", f"{page['id']}x"):
            other = await listen(hub, TOP, ident=ident)
            assert [each["event"] for each in await other.wait(1)] == ["page"]
        nothing = await listen(hub, TOP, ident=messages[-1]["id"])
        await boards.submit("kart", Submission("v", 3))
        assert [each["event"] for each in await nothing.wait(1)] == ["change"]


@in_loop
async def test_what_changed_while_nobody_looked_on(tmp_path: Path) -> None:
    """Who comes back with an id is told what changed although ticks have passed over it."""
    async with opened(tmp_path) as (boards, hub):
        listener, other = await listen(hub, TOP), await listen(hub, PageView("kart", start=0, stop=5))
        (page,) = await listener.wait(1)
        await other.wait(1)
        hub.leave(listener)
        await boards.submit("kart", Submission("v", 10))
        await other.wait(2)
        again = await listen(hub, TOP, ident=page["id"])
        (change,) = await again.wait(1)
        assert (change["event"], change["data"]["set"][0]["name"]) == ("change", "v")


@in_loop
async def test_views_of_few_go_on_at_the_next_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that many look at is served in each tick; of the others as many as there is time for, each in its turn."""
    monkeypatch.setattr(hubs, "FEW_SECONDS", 0.0)
    monkeypatch.setattr(hubs, "MANY", 2)
    async with opened(tmp_path) as (boards, hub):
        few = [await listen(hub, PageView("kart", start=0, stop=stop)) for stop in range(10, 16)]
        many = [await listen(hub, TOP) for _ in range(2)]
        for listener in few + many:
            await listener.wait(1)
        await boards.submit("kart", Submission("v", 1))
        for listener in many:
            await listener.wait(2)
        assert sum(len(listener.frames) > 1 for listener in few) <= 1
        for listener in few:
            await listener.wait(2)


@in_loop
async def test_ring_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was away for more events than are kept gets a page."""
    monkeypatch.setattr(feeds, "RING", 2)
    async with opened(tmp_path) as (boards, hub):
        listener = await listen(hub, TOP)
        (page,) = await listener.wait(1)
        for score in range(1, 5):
            await boards.submit("kart", Submission("v", score))
            await listener.wait(score + 1)
        again = await listen(hub, TOP, ident=page["id"])
        assert [each["event"] for each in await again.wait(1)] == ["page"]


@in_loop
async def test_slow_reader(tmp_path: Path) -> None:
    """Who does not read gets nothing until it has, and then a fresh page; no queue grows."""
    async with opened(tmp_path) as (boards, hub):
        slow, quick = await listen(hub, TOP), await listen(hub, TOP)
        await slow.wait(1)
        slow.size = 10**6
        for score in range(1, 4):
            await boards.submit("kart", Submission("v", score))
            await quick.wait(score + 1)
        assert len(slow.frames) == 1
        assert hub.measure()["live_drops"] >= 1
        slow.size = 0
        hub.rejoin(slow)
        *_, page = await slow.wait(2)
        assert (page["event"], page["data"]["leaderboard"][0]["score"]) == ("page", 3)
        hub.rejoin(slow)
        await boards.submit("kart", Submission("v", 9))
        assert [each["event"] for each in await slow.wait(3)][-1] == "change"


@in_loop
async def test_around_and_standing(tmp_path: Path) -> None:
    """A view around a name follows it; a standing says what it was, and who has passed it."""
    async with opened(tmp_path) as (boards, hub):
        for score in range(10):
            await boards.submit("kart", Submission(f"p{score}", score * 10))
        views = AroundView("kart", name="p5", span=1), StandingView("kart", name="p5")
        listener = await listen(hub, *views)
        around, standing = await listener.wait(1)
        assert [entry["name"] for entry in around["data"]["leaderboard"]] == ["p6", "p5", "p4"]
        assert around["data"]["view"] == 0
        assert standing["data"] == {"view": 1, "score": 50, "rank": 4, "previous": None, "passedBy": []}
        await boards.submit("kart", Submission("p1", 55))
        *_, standing = await listener.wait(2)
        told = standing["data"]
        assert (told["rank"], told["previous"], told["passedBy"]) == (5, {"score": 50, "rank": 4}, ["p1"])
        await boards.submit("kart", Submission("p5", 1000))
        *_, standing = await listener.wait(3)
        assert (standing["data"]["rank"], standing["data"]["passedBy"]) == (0, [])
        await boards.hide("kart", "p5")
        await listener.ended()  # the view around a name that is not there any more


@in_loop
async def test_nobody_of_that_name(tmp_path: Path) -> None:
    """A view around a name that is not there is an error; a standing is told as soon as there is one."""
    async with opened(tmp_path) as (boards, hub):
        await boards.submit("kart", Submission("v", 1))
        with pytest.raises(NotOnBoard):
            await hub.open((AroundView("kart", name="judy", span=1),))
        assert hub.measure()["live_views"] == 0
        listener = await listen(hub, StandingView("kart", name="judy"))
        (absent,) = await listener.wait(1)
        assert absent["data"]["rank"] is None
        await boards.submit("kart", Submission("judy", 2))
        *_, there = await listener.wait(2)
        assert (there["data"]["score"], there["data"]["rank"]) == (2, 0)
        await boards.hide("kart", "judy")
        *_, hidden = await listener.wait(3)
        assert hidden["data"]["hidden"] is True


@in_loop
async def test_window_turns_over(tmp_path: Path) -> None:
    """When a day is over there is a page of the new one, though nobody has submitted anything."""
    clock = Clock()
    async with opened(tmp_path, Definition(windows=("daily",)), clock) as (boards, hub):
        await boards.submit("kart", Submission("v", 5))
        listener = await listen(hub, PageView("kart", "daily", 0, 10))
        (page,) = await listener.wait(1)
        assert [entry["name"] for entry in page["data"]["leaderboard"]] == ["v"]
        clock.now += 24 * 60 * 60
        *_, page = await listener.wait(2)
        assert (page["event"], page["data"]["leaderboard"]) == ("page", [])


@in_loop
async def test_definition_changes(tmp_path: Path) -> None:
    """Views that a new definition does not have any more end; others go on by it."""
    async with opened(tmp_path, Definition(windows=("daily",))) as (boards, hub):
        of_day = await listen(hub, PageView("kart", "daily", 0, 10))
        of_all = await listen(hub, TOP)
        await of_day.wait(1)
        await of_all.wait(1)
        await boards.define("kart", Definition(scores=Bounds(max=100), ranking="dense"))
        await of_day.ended()
        await boards.submit("kart", Submission("v", 7))
        assert [each["event"] for each in await of_all.wait(2)] == ["page", "change"]
        feed = await hub.open((TOP,))
        hub.dismiss(of_all)
        assert of_all.is_over
        assert feed.subscribers == set()


@in_loop
async def test_definition_of_one_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a board is defined anew only what is seen of it is read again; a file of boards may be about all."""
    async with opened(tmp_path) as (boards, hub):
        listener = await listen(hub, TOP, PageView("laps", start=0, stop=3))
        await listener.wait(1)
        page, read = boards.page, list[str]()

        async def note(where: Any, *arguments: Any, **options: Any) -> Any:
            read.append(where.name)
            return await page(where, *arguments, **options)

        monkeypatch.setattr(boards, "page", note)
        await boards.define("kart", Definition(order="ascending"))
        await boards.submit("kart", Submission("v", 1))
        await listener.wait(2)
        assert {*read} == {"kart"}
        await boards.declare(BoardsFile())
        await boards.submit("kart", Submission("v", 2))
        await listener.wait(3)
        assert {*read} == {"kart", "laps"}


@in_loop
async def test_credentials(tmp_path: Path) -> None:
    """Who may not read any more, or whose credential is over, is told nothing more."""
    clock = Clock()
    async with opened(tmp_path, clock=clock) as (boards, hub):
        brief, revoked, good = Listener(), Listener(), Listener()
        brief.expires = clock.now + 10
        revoked.still_may, good.still_may = (lambda: False), (lambda: True)
        for listener in (brief, revoked, good):
            hub.join(await hub.open((TOP,)), listener)
        await good.wait(1)
        hub.recheck()
        await revoked.ended()
        clock.now += 11
        await brief.ended()
        await boards.submit("kart", Submission("v", 1))
        await good.wait(2)
        assert not good.is_over


@in_loop
async def test_limit_comments_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is full at its limit, says now and then that it is there, and ends all when it is closed."""
    monkeypatch.setattr(hubs, "COMMENT_SECONDS", 0.01)
    async with opened(tmp_path, most=1) as (_, hub):
        listener = await listen(hub, TOP)
        assert hub.is_full
        async with asyncio.timeout(20):
            while not listener.comments:
                listener.came.clear()
                await listener.came.wait()
        hub.leave(listener)
        assert hub.measure()["live_subscribers"] == 0
        async with asyncio.timeout(20):  # a feed that nobody has come back to is forgotten
            while hub.measure()["live_views"]:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        last = await listen(hub, TOP)
        await last.wait(1)
    assert last.is_over


@in_loop
async def test_store_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away for a moment is asked again; what cannot be read for another reason ends."""
    async with opened(tmp_path) as (boards, hub):
        await boards.submit("kart", Submission("v", 1))
        listener = await listen(hub, TOP)
        await listener.wait(1)
        page, faults = boards.page, [StoreUnavailable("gone"), StoreUnavailable("gone")]

        async def fail(*arguments: Any, **options: Any) -> Any:
            if faults:
                raise faults.pop()
            return await page(*arguments, **options)

        monkeypatch.setattr(boards, "page", fail)
        await boards.submit("kart", Submission("v", 2))
        assert (await listener.wait(2))[-1]["data"]["set"][0]["score"] == 2
        assert not faults
        faults.append(RuntimeError("a fault"))  # type: ignore[arg-type]
        await boards.submit("kart", Submission("v", 3))
        await listener.ended()


@in_loop
async def test_two_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If two come at once, and the board changes between their reads, the first one is told of it."""
    async with opened(tmp_path) as (boards, hub):
        page, both_came, first = boards.page, asyncio.Event(), Listener()
        before_reading: list[Callable[[], Awaitable[object]]] = [
            both_came.wait,
            lambda: boards.submit("kart", Submission("v", 1)),
        ]

        async def read(*arguments: Any, **options: Any) -> Any:
            if before_reading:
                await before_reading.pop(0)()
            return await page(*arguments, **options)

        async def come() -> None:
            hub.join(await hub.open((TOP,)), first)
            boards.redefined("kart")

        monkeypatch.setattr(boards, "page", read)
        coming = [asyncio.create_task(come()), asyncio.create_task(hub.open((TOP,)))]
        await asyncio.sleep(0)
        both_came.set()
        await asyncio.gather(*coming)
        assert [each["data"]["total"] for each in await first.wait(2)] == [0, 1]


@in_loop
async def test_read_while_another_view_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has two views is told of one what it has shown of it, whatever others have read meanwhile."""
    other = PageView("other", start=0, stop=3)
    async with opened(tmp_path) as (boards, hub):
        await boards.submit("kart", Submission("v", 1))
        listener = await listen(hub, TOP, other)
        await listener.wait(1)
        page, is_reading, may_go_on = boards.page, asyncio.Event(), asyncio.Event()

        async def read(where: Board, *arguments: Any, **options: Any) -> Any:
            if where.name == "other":
                is_reading.set()
                await may_go_on.wait()
            return await page(where, *arguments, **options)

        monkeypatch.setattr(boards, "page", read)
        await boards.submit("other", Submission("w", 1))
        await is_reading.wait()
        await boards.submit("kart", Submission("v", 2))
        await hub.open((TOP,))
        await boards.submit("kart", Submission("v", 1))
        may_go_on.set()
        await listener.wait(2)
        await boards.submit("kart", Submission("last", 0))
        state: dict[str, Any] = {}
        while "last" not in str(state):
            for event in await listener.wait(len(listener.frames) + 1):
                if event["data"]["view"] == 0:
                    state = apply(state, event)
        assert [(entry["name"], entry["score"]) for entry in state["leaderboard"]] == [("v", 1), ("last", 0)]


def network_reads(node: Node) -> int:
    """Return how often the server has found something to read, of whoever it came."""
    with redis.Redis.from_url(node.url) as client:
        found: int = client.info("stats")["total_reads_processed"]
    return found


def test_views_are_read_together(redis_server: Node) -> None:
    """Views that are read over a network are asked for in few pieces, those of few subscribers and those of many."""

    async def run() -> int:
        boards = Boards(RedisStore(redis_server.url))
        await boards.declare()
        hub = Hub(boards)
        try:
            await boards.submit("kart", Submission("v", 1))
            views = [PageView("kart", start=0, stop=stop) for stop in range(1, 49)]
            listeners = [await listen(hub, view) for view in views for _ in range(MANY if view.stop % 2 else 1)]
            for listener in listeners:
                await listener.wait(1)
            for score in (2, 3):  # the first one finds all that is to be loaded
                before = network_reads(redis_server)
                await boards.submit("kart", Submission("v", score))
                for listener in listeners:
                    while f'"score":{score},' not in listener.frames[-1].messages[0].decode():
                        await listener.wait(len(listener.frames) + 1)
            return network_reads(redis_server) - before
        finally:
            hub.close()
            await boards.store.close()

    assert asyncio.run(run()) < 24


def test_frames_of_all_sizes() -> None:
    """A message is one frame, whose length takes as many bytes as it must."""
    for size, head in (
        (5, b"\x81\x05"),
        (126, b"\x81\x7e\x00\x7e"),
        (70_000, b"\x81\x7f" + (70_000).to_bytes(8, "big")),
    ):
        assert frame(b"x" * size) == head + b"x" * size
