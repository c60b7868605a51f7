"""The service mounted in applications of Starlette and FastAPI, which hand no lifespan on to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from laurels.asgi import create_app
from laurels.errors import BadHost, BadOrigin
from tests.asking import ask
from tests.conftest import running, started

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.adapters.asgi import OpeningApplication

SERVED = """
import sys
from fastapi import FastAPI
from laurels.asgi import create_app

leaderboards = create_app(data=sys.argv[1])
app = FastAPI(lifespan=leaderboards.lifespan if sys.argv[2] == "helper" else None)
app.mount("/lb", leaderboards)

@app.get("/own")
def own() -> str:
    return "own"

import uvicorn
uvicorn.run(app, port=0)
"""


def asked(
    app: Any, method: str, path: str, body: object = None, root: str = "", headers: dict[str, str] | None = None
) -> httpx.Response:
    """Return the answer to one request, in an event loop of its own, which tells the application of no start."""

    async def ask_once() -> httpx.Response:
        transport = httpx.ASGITransport(app, root_path=root)
        async with httpx.AsyncClient(transport=transport, base_url="http://game.example") as client:
            return await client.request(method, path, json=body, headers=headers)

    return asyncio.run(ask_once())


def in_starlette(mounted: OpeningApplication) -> Starlette:
    """Return an application of Starlette's that serves the boards below a path."""
    return Starlette(routes=[Mount("/lb", mounted)], lifespan=mounted.lifespan)


def in_fastapi(mounted: OpeningApplication) -> FastAPI:
    """Return an application of FastAPI's that serves the boards below a path."""
    app = FastAPI(lifespan=mounted.lifespan)
    app.mount("/lb", mounted)
    return app


def twice(mounted: OpeningApplication) -> Starlette:
    """Return an application that is mounted in another one."""
    return Starlette(routes=[Mount("/games", Starlette(routes=[Mount("/{game}", mounted)]))], lifespan=mounted.lifespan)


def behind_root_path(mounted: OpeningApplication) -> Any:
    """Return an application that was told of a prefix which the paths that it gets do not have."""
    app = in_starlette(mounted)

    async def told(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"root_path": "/outer"}, receive, send)

    return told


@pytest.mark.parametrize(
    ("mount", "at", "prefix"),
    [
        (in_starlette, "/lb", "/lb"),
        (in_fastapi, "/lb", "/lb"),
        (twice, "/games/cr%C3%A9e%20%231", "/games/cr%C3%A9e%20%231"),
        (behind_root_path, "/lb", "/outer/lb"),
    ],
)
def test_mounted(tmp_path: Path, mount: Any, at: str, prefix: str) -> None:
    """Its routes are there below the path, a slash in a name is part of it, and links say where they lead."""
    app = mount(create_app(data=tmp_path))
    assert asked(app, "POST", f"{at}/lb/a%2Fb", {"score": 7}).status_code == 202
    assert asked(app, "GET", f"{at}/lb/a%2Fb").json() == {"score": 7, "rank": 0}
    assert asked(app, "GET", f"{at}/lb").json() == {"leaderboard": [{"name": "a/b", "score": 7}]}
    assert asked(app, "GET", f"{at}/").json()["docs"] == f"{prefix}/-/docs"
    assert asked(app, "GET", f"{at}/-/openapi.json").json()["servers"] == [{"url": f"http://game.example{prefix}"}]
    assert f"http://game.example{prefix}/mario-kart/v" in asked(app, "GET", f"{at}/-/docs").text


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/lb/kart", "/lb", "/kart"),
        ("/lb/kart", "/lb/", "/kart"),
        ("/lb/kart", "", "/lb/kart"),
        ("/kart", "/lb", "/kart"),
        ("/lbx", "/lb", "/lbx"),
        ("/l%62/kart", "/lb", "/kart"),
        ("/l%6/kart", "/lb", "/l%6/kart"),
        ("/l", "/lb", "/l"),
    ],
)
def test_path_below_the_root_path(tmp_path: Path, path: str, root: str, below: str) -> None:
    """The root path is taken off a path that begins with it, in whatever way it is encoded, and off no other."""
    kind = {"/kart": "leaderboard", "/lb/kart": "score", "/lbx": "leaderboard", "/l": "leaderboard"}
    assert kind.get(below, "detail") in asked(create_app(data=tmp_path), "GET", path, root=root).json()


@pytest.mark.parametrize("kind", ["helper", "nothing"])
def test_served(tmp_path: Path, kind: str) -> None:
    """It is opened by the lifespan helper, or without one by the first request, and closed at the end of the server."""
    with started([sys.executable, "-c", SERVED, str(tmp_path / "data"), kind]) as server:
        assert (tmp_path / "data").exists() == (kind == "helper")
        assert ask(server, "POST", "/lb/kart/v", {"score": 7}).status == 202
        assert ask(server, "GET", "/own").json == "own"
    with running(tmp_path / "data") as server:
        assert ask(server, "GET", "/kart/v").json == {"score": 7, "rank": 0}


def test_closed_with_the_loop(tmp_path: Path) -> None:
    """Without a lifespan the boards are open until the event loop ends, and open again in the next one."""
    app = create_app(data=tmp_path)
    assert asked(app, "POST", "/kart/v", {"score": 7}).status_code == 202
    with running(tmp_path):
        refused = asked(app, "GET", "/kart/v")
    assert (refused.status_code, "log" in refused.json()["detail"]) == (503, True)
    assert asked(app, "GET", "/kart/v").json() == {"score": 7, "rank": 0}


def test_lifespan_twice(tmp_path: Path) -> None:
    """Whoever ends it first closes the store, and a second end is none."""

    async def live_twice() -> None:
        app = create_app(data=tmp_path)
        async with app.lifespan(), app.lifespan():
            pass

    asyncio.run(live_twice())
    with running(tmp_path):
        pass


def test_opened_once(tmp_path: Path) -> None:
    """Requests that come together at first are all answered, also if one of their clients leaves."""

    async def ask_together() -> list[int]:
        transport = httpx.ASGITransport(create_app(data=tmp_path))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first, *others = (asyncio.ensure_future(client.get(f"/kart/{n}")) for n in range(9))
            await asyncio.sleep(0)
            first.cancel()
            return [reply.status_code for reply in await asyncio.gather(*others)]

    assert asyncio.run(ask_together()) == [200] * 8


def test_refusal_to_open_in_a_lifespan(tmp_path: Path) -> None:
    """An application whose data directory is taken does not start, and says who has it."""
    with running(tmp_path) as server:
        command = [sys.executable, "-c", SERVED, str(tmp_path), "helper"]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert f"in use by process {server.process.pid}" in second.stderr


def test_bad_setting(tmp_path: Path) -> None:
    """A setting of the wrong form is refused where it is given."""
    with pytest.raises(ValueError, match="order"):
        create_app(data=tmp_path, order="upward")  # type: ignore[arg-type]
    with pytest.raises(BadOrigin):
        create_app(data=tmp_path, cors_origins=["game.example"])
    with pytest.raises(BadHost):
        create_app(data=tmp_path, allowed_hosts=["http://game.example"])


def test_hosts_and_origins(tmp_path: Path) -> None:
    """It answers to the hosts that it is given, and pages of the origins that it is given may use it."""
    page = {"origin": "https://page.example"}
    app = in_fastapi(create_app(data=tmp_path, allowed_hosts=["game.example"], cors_origins=[page["origin"]]))
    answer = asked(app, "POST", "/lb/kart/v", {"score": 7}, headers=page)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, page["origin"])
    assert asked(app, "POST", "/lb/kart/v", {"score": 7}, headers={"origin": "null"}).status_code == 403
    assert asked(app, "GET", "/lb/kart", headers={"host": "localhost"}).status_code == 421
