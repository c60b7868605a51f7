"""The routes as an ASGI application, under servers that do no more than the protocol asks of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from laurels.adapters.asgi import Application
from laurels.assembly import open_routes
from laurels.http import Response, Routes
from laurels.http.operations import STANDING
from laurels.settings import Settings
from tests.asking import ask
from tests.conftest import running, started
from tests.http.conftest import ASGI

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.access.principal import Scope


async def called(data: Path, scope: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Call the application as a server would, and give what it sends."""
    incoming, sent = iter(messages), []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    async with open_routes(Settings(data=data)) as routes:
        await Application(routes)(scope, receive, send)  # type: ignore[arg-type]
    return sent


def http(method: str, path: str) -> dict[str, Any]:
    """Give a scope with nothing in it that a server may leave out."""
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}


def test_what_a_server_may_leave_out(tmp_path: Path) -> None:
    """A message without a body ends the body, and a path that was decoded already is not decoded again."""
    posted = {"type": "http.request", "body": b'{"score":7}'}
    asyncio.run(called(tmp_path, http("POST", "/b/100%41"), posted))
    page = asyncio.run(called(tmp_path, http("GET", "/b"), {"type": "http.request"}))
    assert page[1]["body"] == b'{"leaderboard":[{"name":"100%41","score":7}]}'


def test_client_that_leaves_amid_its_body(tmp_path: Path) -> None:
    """A submit that never came whole is not answered."""
    part = {"type": "http.request", "body": b'{"score"', "more_body": True}
    assert asyncio.run(called(tmp_path, http("POST", "/b/v"), part, {"type": "http.disconnect"})) == []


def test_there_is_only_http(tmp_path: Path) -> None:
    """A WebSocket where there is none is refused before it is accepted, and what no server sends raises."""
    (sent,) = asyncio.run(called(tmp_path, {"type": "websocket", "path": "/", "query_string": b"", "headers": []}))
    assert sent["type"] == "websocket.close"
    with pytest.raises(NotImplementedError, match="no webtransport"):
        asyncio.run(called(tmp_path, {"type": "webtransport"}))


def test_directory_in_use(tmp_path: Path) -> None:
    """A server whose data directory is taken does not start, and says who has it."""
    with running(tmp_path) as server:
        environment = os.environ | {"LAURELS_DATA": str(tmp_path)}
        second = subprocess.run(ASGI, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode != 0
    assert f"in use by process {server.process.pid}" in second.stderr


def test_server_without_a_lifespan(tmp_path: Path) -> None:
    """Under a server that does not run the lifespan the first request opens the store."""
    with started([*ASGI, "--lifespan", "off"], os.environ | {"LAURELS_DATA": str(tmp_path)}) as server:
        assert ask(server, "GET", "/b").status == 200


async def show_after_leaving(served: list[str], event: asyncio.Event) -> None:
    """Wait, and note how that ends."""
    try:
        await event.wait()
    except asyncio.CancelledError:
        served.append("cancelled")
        raise
    served.append("answered")


@pytest.mark.parametrize(("scope", "end"), [("read", "cancelled"), ("submit", "answered")])
def test_client_that_leaves_before_its_answer(tmp_path: Path, scope: Scope, end: str) -> None:
    """A read is cancelled if its client leaves, and a write never."""
    served: list[str] = []
    sent: list[Any] = []

    async def serve() -> None:
        event = asyncio.Event()

        async def handler(*_: object) -> Response:
            if scope == "submit":
                event.set()
            await show_after_leaving(served, event)
            return Response(204)

        async def receive() -> Any:
            await asyncio.sleep(0)
            return incoming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        incoming = [{"type": "http.request"}, {"type": "http.disconnect"}]
        async with open_routes(Settings(data=tmp_path)) as opened:
            routes = Routes(opened._context.boards, [replace(STANDING, handler=handler, scope=scope)])  # noqa: SLF001
            await Application(routes)(http("GET", "/b/v"), receive, send)  # type: ignore[arg-type]

    asyncio.run(serve())
    assert (served, bool(sent)) == ([end], scope == "submit")
