"""The feed over HTTP and WebSocket: against a real server, and under ASGI."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import closing, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from laurels.access.keys import digest_key, make_key
from laurels.assembly import make_application
from laurels.settings import Settings
from tests.conftest import running, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

V1 = Subprotocol("laurels.v1")


class Stream:
    """A stream of events that is read event by event."""

    def __init__(
        self, server: Server, target: str, version: str = "1.1", *headers: str, received: int | None = None
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(20)
        if received:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        self.socket.connect((server.host, server.port))
        lines = [f"GET {target} HTTP/{version}", f"Host: {server.host}:{server.port}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.head = self._head()

    def _head(self) -> str:
        lines = []
        while (line := self.file.readline()) not in {b"\r\n", b""}:
            lines.append(line.decode())
        return "".join(lines)

    def event(self) -> dict[str, Any]:
        """Return the next event with its fields; an empty one at the end."""
        fields: dict[str, Any] = {}
        while line := self.file.readline():
            text = line.decode().rstrip("\r\n")
            key, _, value = text.partition(": ")
            if key in {"event", "data", "id", "retry"}:
                fields[key] = json.loads(value) if key == "data" else value
            elif not text and fields:
                return fields
        return fields

    def close(self) -> None:
        """Leave."""
        self.file.close()
        self.socket.close()


def submit(server: Server, board: str, name: str, score: int) -> None:
    """Submit a score."""
    assert httpx.post(f"{server.url}/{board}/{name}", json={"score": score}).status_code == 202


@pytest.fixture
def board(request: pytest.FixtureRequest) -> str:
    """Return a board of the test's own."""
    return f"live-{request.node.name}".replace("[", "-").replace("]", "")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_stream(server: Server, board: str, version: str) -> None:
    """A page comes first, then what changes; with the last id it goes on; what the client sends means nothing."""
    submit(server, board, "v", 5)
    with closing(Stream(server, f"/-/boards/{board}/live?endRank=10", version)) as stream:
        assert " 200 " in stream.head
        assert "text/event-stream" in stream.head.lower()
        page = stream.event()
        shown = {"name": "v", "score": 5, "rank": 0, "place": 0}
        assert (page["event"], page["data"]) == ("page", {"leaderboard": [shown], "total": 1})
        stream.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        submit(server, board, "judy", 9)
        change = stream.event()
        assert change["event"] == "change"
        assert change["data"]["total"] == 2
    submit(server, board, "panam", 11)
    with closing(
        Stream(server, f"/-/boards/{board}/live?endRank=10", version, f"Last-Event-ID: {change['id']}")
    ) as again:
        assert "panam" in [entry["name"] for entry in again.event()["data"]["set"]]


def test_several_views(server: Server, board: str) -> None:
    """Several views come over one connection, each with its index; one around a name, one of a standing."""
    for score in range(5):
        submit(server, board, f"p{score}", score)
    target = f"/-/boards/{board}/live?view=around%3Dp2%26limit%3D3&view=name%3Dp2&view=endRank%3D1%26include%3Dmetadata"
    with closing(Stream(server, target)) as stream:
        events = {event["data"]["view"]: event for event in (stream.event(), stream.event(), stream.event())}
        assert [entry["name"] for entry in events[0]["data"]["leaderboard"]] == ["p3", "p2", "p1"]
        assert events[1]["data"]["rank"] == 2
        assert events[2]["data"]["leaderboard"][0]["metadata"] is None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("window=daily", 400),
        ("startRank=5&endRank=2", 400),
        ("around=v&span=1&limit=2", 400),
        ("around=nobody", 404),
        ("name=v&startRank=1", 400),
        ("view=%3D", 400),
        ("&".join(["view=name%3Dv"] * 17), 400),
        ("view=name%3Dv&name=v", 400),
    ],
)
def test_bad_views(server: Server, query: str, status: int) -> None:
    """A view that cannot be is refused before anything is sent."""
    submit(server, "live-bad", "v", 1)
    assert httpx.get(f"{server.url}/-/boards/live-bad/live?{query}").status_code == status


def test_head(server: Server, board: str) -> None:
    """HEAD has the head alone."""
    answer = httpx.head(f"{server.url}/-/boards/{board}/live")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


def test_websocket(server: Server, board: str) -> None:
    """The same events come as messages, with or without the subprotocol; who closes, or sends too much, is let go."""
    where = f"{server.url.replace('http', 'ws')}/-/boards/{board}/live?endRank=3"
    submit(server, board, "v", 5)
    with connect(where, subprotocols=[V1]) as ours, connect(where) as plain:
        assert (ours.subprotocol, plain.subprotocol) == (V1, None)
        for socket_ in (ours, plain):
            assert json.loads(socket_.recv(20))["event"] == "page"
        assert ours.ping().wait(20)
        submit(server, board, "judy", 7)
        for socket_ in (ours, plain):
            message = json.loads(socket_.recv(20))
            assert (message["event"], message["data"]["total"]) == ("change", 2)
        with pytest.raises(ConnectionClosed):  # noqa: PT012 - sending may fail as well
            for _ in range(100):
                plain.send("x" * 1000)
            plain.recv(20)
    with connect(where) as large:
        large.recv(20)
        with pytest.raises(ConnectionClosed):  # noqa: PT012 - as above
            large.send("x" * 5000)
            large.recv(20)


def upgrade(server: Server, target: str, *headers: str) -> str:
    """Ask for a WebSocket by hand; return the head of the answer."""
    lines = ["Connection: Upgrade", "Upgrade: websocket", *headers]
    with closing(Stream(server, target, "1.1", *lines)) as stream:
        return stream.head


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.mark.parametrize("headers", [(), UPGRADE])
def test_slow_reader(server: Server, board: str, headers: tuple[str, ...]) -> None:
    """Who does not read is noticed by what its socket does not take: the kernel holds little; then it gets a page."""
    names = [f"{number}-" + "n" * 200 for number in range(100)]
    target = f"/-/boards/{board}/live?endRank=100"
    submit(server, board, "v", 1)
    with (
        closing(Stream(server, target, "1.1", *headers, received=4096)) as slow,
        closing(Stream(server, target)) as quick,
    ):
        sent, score, before = 0, 1, drops(server)
        while drops(server) == before:
            score += 1
            entries = [{"name": name, "score": score} for name in names]
            httpx.post(f"{server.url}/{board}", json={"entries": entries}).raise_for_status()
            shown = ""
            while f'"score": {score},' not in shown:
                shown = json.dumps(quick.event())
                sent += len(shown)
        assert sent < 1_000_000
        newest, seen = b'"score":%d,' % score, b""
        while not (b"page" in seen and newest in seen.rpartition(b"page")[2]):
            seen += slow.file.read1()


def drops(server: Server) -> int:
    """Return how often anybody was too slow."""
    metrics = httpx.get(f"{server.url}/-/metrics").text
    return next(int(float(line.split()[1])) for line in metrics.splitlines() if line.startswith("laurels_live_drops"))


def test_handshakes(server: Server, board: str) -> None:
    """A handshake that is wrong is refused with what would be right; elsewhere the offer is passed over."""
    where, key = f"/-/boards/{board}/live", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    good = upgrade(server, where, "Sec-WebSocket-Version: 13", key)
    assert "101" in good
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in good
    assert " 426 " in upgrade(server, where, "Sec-WebSocket-Version: 8", key)
    assert " 400 " in upgrade(server, where, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x")
    other = "Sec-WebSocket-Protocol: chat"
    assert " 400 " in upgrade(server, where, "Sec-WebSocket-Version: 13", key, other)
    assert " 200 " in upgrade(server, "/-/health", "Sec-WebSocket-Version: 13", key)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, Path, str]]:
    """Run a server with two keys, and room for one subscriber."""
    directory = tmp_path_factory.mktemp("live")
    key, other = make_key(), make_key()
    file = directory / "access.toml"
    tables = [
        f'[keys.{name}]\nsha256 = "{digest_key(each)}"\nscopes = ["admin"]\n'
        for name, each in (("a", key), ("b", other))
    ]
    file.write_text("".join(tables))
    with running(directory / "data", "--access", str(file), "--max-subscribers", "1") as server:
        yield server, key, file, other


def test_who_may_listen(guarded: tuple[Server, str, Path, str]) -> None:
    """It takes the right to read, may be shown among the subprotocols, and a key that is revoked ends the stream."""
    server, key, _, other = guarded
    where = "/-/boards/kart/live"
    assert httpx.get(f"{server.url}{where}").status_code == 401
    assert httpx.get(f"{server.url}{where}?access_token={key}").status_code == 401
    assert (
        httpx.get(f"{server.url}{where}?access_token=x", headers={"Authorization": f"Bearer {key}"}).status_code == 400
    )
    with connect(
        f"{server.url.replace('http', 'ws')}{where}", subprotocols=[V1, Subprotocol(f"laurels.bearer.{key}")]
    ) as ours:
        assert json.loads(ours.recv(20))["event"] == "page"
        full = httpx.get(f"{server.url}{where}", headers={"Authorization": f"Bearer {other}"})
        assert (full.status_code, "retry-after" in full.headers) == (503, True)
        revoked = httpx.delete(f"{server.url}/-/keys/a", headers={"Authorization": f"Bearer {other}"})
        assert revoked.status_code == 204
        with pytest.raises(ConnectionClosed):
            ours.recv(20)


def test_end_of_the_service(tmp_path: Path) -> None:
    """At its end a service ends all streams at once, and says when to come again."""
    with running(tmp_path / "data") as server:
        submit(server, "kart", "v", 1)
        where = f"{server.url.replace('http', 'ws')}/-/boards/kart/live"
        with (
            closing(Stream(server, "/-/boards/kart/live")) as stream,
            closing(Stream(server, "/-/boards/kart/live", "1.0")) as old,
            connect(where) as websocket,
        ):
            for each in (stream, old):
                assert each.event()["event"] == "page"
            websocket.recv(20)
            assert server.stop() in {0, -15}
            for each in (stream, old):
                assert each.event()["retry"] == "1000"
            with pytest.raises(ConnectionClosed):
                websocket.recv(20)


@contextmanager
def mounted(data: Path) -> Iterator[str]:
    """Serve the application by another ASGI server: uvicorn as it is."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(make_application(Settings(data=data)), log_level="critical", lifespan="on")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)


def test_under_asgi(tmp_path: Path) -> None:
    """Under any ASGI server there are the same events, as a stream and over WebSocket."""
    with mounted(tmp_path / "data") as url:
        for _ in range(100):
            try:
                httpx.post(f"{url}/kart/v", json={"score": 1})
                break
            except httpx.TransportError:  # it does not listen yet
                os.sched_yield()
        where = f"{url.replace('http', 'ws')}/-/boards/kart/live"
        with connect(where, subprotocols=[V1]) as websocket, httpx.stream("GET", f"{url}/-/boards/kart/live") as stream:
            assert json.loads(websocket.recv(20))["event"] == "page"
            lines = stream.iter_lines()
            assert "event: page" in lines
            httpx.post(f"{url}/kart/judy", json={"score": 2})
            assert json.loads(websocket.recv(20))["event"] == "change"
            assert "event: change" in lines
        for path in ("kart", "-/boards/kart/live?window=daily"):
            with pytest.raises(InvalidStatus), connect(f"{url.replace('http', 'ws')}/{path}"):
                pass


def test_end_under_uvicorn(tmp_path: Path) -> None:
    """Uvicorn waits for streams as long as it is told to and no longer; then the store is closed, and can be opened."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "laurels.assembly:application", "--port", "0"]
    environment = os.environ | {"LAURELS_DATA": str(tmp_path / "data")}
    for score in (1, 2):
        with started([*command, "--timeout-graceful-shutdown", "1"], environment) as server:
            submit(server, "kart", "v", score)
            where = f"{server.url.replace('http', 'ws')}/-/boards/kart/live"
            with closing(Stream(server, "/-/boards/kart/live")) as stream, connect(where) as websocket:
                assert stream.event()["data"]["leaderboard"][0]["score"] == score
                assert json.loads(websocket.recv(20))["event"] == "page"
                assert server.stop() in {0, -15}
                assert "event" not in stream.event()
                with pytest.raises(ConnectionClosed):
                    websocket.recv(20)
        assert "Application shutdown complete" in "".join(server.log)


async def _talk(application: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Have an ASGI application answer a WebSocket's request; return what it sends."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent


def test_refused_websocket_without_the_extension(tmp_path: Path) -> None:
    """A server that cannot send a whole answer closes what is refused."""

    async def ask() -> list[dict[str, Any]]:
        application = make_application(Settings(data=tmp_path / "data"))
        async with application.lifespan():
            scope: dict[str, Any] = {
                "type": "websocket",
                "path": "/kart",
                "query_string": b"",
                "headers": [],
                "client": None,
            }
            return await _talk(application, scope)

    assert asyncio.run(ask()) == [{"type": "websocket.close", "code": 1008, "reason": None}]
