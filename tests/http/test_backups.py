"""The backup of a running service, as its operator downloads it."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from base64 import b64encode
from contextlib import closing, suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from laurels.adapters.asgi import PIECE_BYTES, Application
from laurels.assembly import open_routes
from laurels.backup.reading import check_passing
from laurels.settings import Settings
from laurels.stores.contract import Submission
from tests.adapters.test_asgi import http as http_scope
from tests.asking import ask
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from laurels.http import Routes
    from tests.conftest import Server

FEW_BYTES = 4096
ASKED = b"GET /-/backup HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service with more than the buffers of the kernel hold, where a client must read within a second."""
    with running(tmp_path_factory.mktemp("large"), "--send-timeout", "1") as server:
        fill(server)
        yield server


def fill(server: Server) -> None:
    """Submit 9 MB of metadata that cannot be made smaller, in 14 batches."""
    chance = Random(0)
    for board in range(14):
        texts = (b64encode(chance.randbytes(730)).decode() for _ in range(900))
        entries = [{"name": f"n{number}", "score": number, "metadata": text} for number, text in enumerate(texts)]
        assert ask(server, "POST", f"/b{board}", {"entries": entries}).status == 200


def begin(server: Server) -> socket.socket:
    """Ask for a backup, once no other is being sent, and read nothing of it but its status."""
    deadline = time.monotonic() + 20
    while True:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
        connection.settimeout(30)
        connection.connect((server.host, server.port))
        connection.sendall(ASKED)
        if connection.recv(12) == b"HTTP/1.1 200":
            return connection
        connection.close()
        assert time.monotonic() < deadline


def read_until_reset(connection: socket.socket) -> bytes:
    """Read all that a server has sent before it cut a connection off."""
    read = bytearray()
    with suppress(ConnectionResetError):
        while part := connection.recv(2**20):
            read += part
    return bytes(read)


def test_download(large: Server) -> None:
    """It comes in chunks, with the name of a file that has the time, is kept by no cache, and is whole."""
    reply = ask(large, "GET", "/-/backup")
    assert len(b"".join(check_passing([reply.body]))) > 9_000_000
    assert reply.headers["content-type"] == "application/x-tar"
    assert re.fullmatch(r'attachment; filename="laurels-\d{8}T\d{6}Z\.tar"', reply.headers["content-disposition"])
    assert (reply.headers["transfer-encoding"], reply.headers["cache-control"]) == ("chunked", "no-store")


def test_head(large: Server) -> None:
    """HEAD begins none, and says what there would be."""
    with begin(large):
        reply = ask(large, "HEAD", "/-/backup")
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "application/x-tar", b"")


def test_one_at_a_time(large: Server) -> None:
    """While one is sent another is refused, with the setting that allows more; if its client leaves, it is over."""
    with begin(large):
        refused = ask(large, "GET", "/-/backup")
        assert (refused.status, refused.headers["retry-after"]) == (503, "30")
        assert refused.json["detail"] == "As many backups are being taken as --max-backups allows: 1."
        assert ask(large, "POST", "/other/v", {"score": 1}).status == 202
    begin(large).close()


def test_client_that_stops_reading(large: Server) -> None:
    """A client that reads nothing for as long as --send-timeout is cut off: what it has is no whole backup."""
    with begin(large) as connection, begin(large):
        read = read_until_reset(connection)
    assert len(read) < 9_000_000
    assert not read.endswith(b"0\r\n\r\n")


def test_end_of_the_service(tmp_path: Path) -> None:
    """A service that is to end does so at once, whether or not the client of a backup reads."""
    with running(tmp_path) as server:
        fill(server)
        with closing(begin(server)):
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 10


async def call(routes: Routes, seconds: float = 0, send_timeout: float = 1) -> bytes:
    """Ask for a backup as an ASGI server does whose client takes so many seconds for each piece; return it if whole."""
    sent: list[Any] = []

    async def receive() -> Any:
        if not sent:
            return {"type": "http.request"}
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        assert len(message.get("body", b"")) <= PIECE_BYTES
        await asyncio.sleep(seconds if message.get("body") else 0)

    scope = http_scope("GET", "/-/backup")
    await Application(routes, send_timeout=send_timeout)(scope, receive, send)  # type: ignore[arg-type]
    whole = sent[-1]["type"] == "http.response.body" and not sent[-1]["more_body"]
    return b"".join(message.get("body", b"") for message in sent) if whole else b""


def test_any_asgi_server(tmp_path: Path) -> None:
    """Under any server a client may take as long as it comes on, and is cut off if it does not; both end it."""

    async def run() -> None:
        async with open_routes(Settings(data=tmp_path)) as routes:
            store = routes.boards.store
            await store.submit(routes.boards.board("kart"), [Submission(f"n{n}", n, b"%d" % n) for n in range(900)])
            assert len([*check_passing([await call(routes, 0.02, 0.3)])]) > 0
            assert await call(routes, 10, 0.05) == b""
            assert len([*check_passing([await call(routes, 0, 0.3)])]) > 0

    asyncio.run(run())
