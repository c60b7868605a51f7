"""A client that follows a board."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from laurels.client import AsyncClient, Client, Disconnected, Event, LiveEntry, NotFound, RequestFailed
from tests.cli.conftest import board
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

__all__ = ["board"]


def test_live(server: Server, board: str) -> None:
    """A page is shown whole, and again after each change, with what has changed."""
    with Client(server.url) as client:
        client.submit_many(board, {"v": 2, "w": 1})
        with client.live(board, stop=2, include=["metadata"]) as shown:
            first = next(shown)
            assert [(each.name, each.score, each.rank, each.place) for each in first.entries] == [
                ("v", 2, 0, 0),
                ("w", 1, 1, 1),
            ]
            assert (first.total, first.period, first.changed, first.gone) == (2, None, {}, ())
            client.submit(board, "x", 3, metadata={"a": 1})
            second = next(shown)
            assert [(each.name, each.metadata) for each in second.entries] == [("x", {"a": 1}), ("v", None)]
            assert (second.total, second.gone) == (3, ("w",))
            before = second.changed["v"]
            assert isinstance(before, LiveEntry)
            assert (before.rank, second.changed["x"]) == (0, None)


@pytest.mark.parametrize(("span", "limit", "names"), [(None, None, "vwx"), (1, None, "vwx"), (None, 2, "vw")])
def test_live_around(server: Server, board: str, span: int | None, limit: int | None, names: str) -> None:
    """The entries around a name are followed, too."""
    with Client(server.url) as client:
        client.submit_many(board, {"v": 3, "w": 2, "x": 1})
        with client.live(board, around="w", span=span, limit=limit) as shown:
            assert [each.name for each in next(shown).entries] == [*names]


def test_live_standing(server: Server, board: str) -> None:
    """One standing is followed, with who has passed it."""
    with Client(server.url) as client:
        client.submit(board, "v", 2)
        with client.live_standing(board, "v") as standings:
            assert next(standings).rank == 0
            client.submit(board, "w", 3)
            found = next(standings)
            assert (found.rank, found.passed_by) == (1, ["w"])


def test_views(server: Server, board: str) -> None:
    """Several views come over one connection, each event with the number of its view."""
    with Client(server.url) as client:
        client.submit(board, "v", 2)
        with client.live_events(board, {"endRank": 1, "window": None}, {"name": "v"}) as events:
            updates = [event.update for event in (next(events), next(events)) if isinstance(event, Event)]
    assert sorted(each.view for each in updates) == [0, 1]


def test_live_that_is_refused(server: Server, board: str) -> None:
    """A board that cannot be followed so is an error at once."""
    with Client(server.url) as client, pytest.raises(RequestFailed):
        next(client.live(board, window="never"))
    with Client(f"{server.url}/a/b/c") as client, pytest.raises(NotFound):
        next(client.live(board))


def test_restart(tmp_path: Path) -> None:
    """Through a restart of the service a board is followed as if nothing had been, and that it was away is told."""

    async def follow() -> None:
        with running(tmp_path / "data") as server:
            client = AsyncClient(server.url)
            await client.submit("b", "v", 1)
            shown, events = client.live("b"), client.live_events("b", {})
            assert [each.name for each in (await anext(shown)).entries] == ["v"]
            assert isinstance(await anext(events), Event)
        assert isinstance(await anext(events), Disconnected)
        with running(tmp_path / "data", "--port", str(server.port)):
            await client.submit("b", "w", 2)
            async with asyncio.timeout(30):
                async for page in shown:
                    if len(page.entries) == 2:
                        break
                async for event in events:
                    if isinstance(event, Event):
                        break
            assert [each.name for each in page.entries] == ["w", "v"]
            async with aclosing(shown), aclosing(events), client:
                pass

    asyncio.run(follow())
