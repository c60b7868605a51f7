"""Servers with limits small enough to reach, with faults, and with TLS."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Server, running, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento

CERTIFICATE = Path(__file__).parent / "localhost.pem"
GAME, OTHER = "https://game.example", "https://other.example"

STRICT = """
import logging, sys
from pathlib import Path
from laurels import assembly
from laurels.assembly import serve
from laurels.settings import Settings
from laurels.adapters.limits import Limits
from laurels.adapters.protocol import NEXT_STAGES, BoardProtocol

class Checked(BoardProtocol):
    # Holds a connection to the stages that may follow each other.
    def __setattr__(self, name, value):
        if name == "stage" and (before := getattr(self, "stage", value)) != value:
            assert value in NEXT_STAGES[before], (before, value)
        super().__setattr__(name, value)

assembly.BoardProtocol = Checked
logging.basicConfig(level=logging.INFO)
idle, store = float(sys.argv[2]), sys.argv[3]
limits = Limits(
    max_target=600, max_head=1000, max_connections=8,
    idle_timeout=idle, head_timeout=1, body_timeout=1, send_timeout=1, linger_timeout=1,
)
serve(Settings(port=0, store=store, data=Path(sys.argv[1]), limits=limits))
"""

TIGHT = """
import sys
from pathlib import Path
from laurels.adapters.limits import Limits
from laurels.assembly import serve
from laurels.settings import Settings
serve(Settings(port=0, data=Path(sys.argv[1]), limits=Limits(max_client_memory=2**20)))
"""

FAULTY = """
import asyncio, sys
from functools import partial
from pathlib import Path
import uvicorn
from laurels.boards import Boards
from laurels.http import Routes
from laurels.adapters.asgi import Application
from laurels.adapters.limits import Limits
from laurels.adapters.protocol import BoardProtocol
from laurels.adapters.shared import Shared
from laurels.http.operations import OPERATIONS, STANDING
from laurels.stores.embedded.store import EmbeddedStore
from msgspec.structs import replace

class Faulty(Routes):
    def find(self, method, path):
        return super().find(method, path) if path != b"/-/docs" else 1 / 0

async def fail(context, board, name, *window):
    return 1 / 0

async def main(data, certificate=None):
    operations = (*OPERATIONS, replace(STANDING, handler=fail))
    routes = Faulty(Boards(await EmbeddedStore.open(Path(data))), operations)
    application = Application(routes)
    http = partial(BoardProtocol, shared=Shared(Limits(), routes))
    options = {"http": http, "lifespan": "off", "proxy_headers": False, "ssl_certfile": certificate}
    await uvicorn.Server(uvicorn.Config(application, port=0, **options)).serve()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="session", params=["embedded", "momento"])
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, momento: Momento
) -> Iterator[Server]:
    """Give a server that allows 600 bytes of target, 1,000 of head, 8 connections and a second for each stage."""
    store = "embedded" if request.param == "embedded" else f"momento:{momento.new_cache()}"
    command = [sys.executable, "-c", STRICT, str(tmp_path_factory.mktemp("strict")), "1.5", store]
    with started(command, os.environ | {"MOMENTO_ENDPOINT": f"http://{momento.host}:{momento.port}"}) as server:
        yield server


@pytest.fixture(scope="session")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a service that pages of two origins may use, under a name of its own."""
    options = ("--cors-origin", GAME, "--cors-origin", OTHER, "--allowed-host", "boards.example", "--max-head", "1KiB")
    with running(tmp_path_factory.mktemp("crossed"), *options, "--body-timeout", "1s") as server:
        yield server


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Server]:
    """Give a server with a mebibyte of memory for requests and answers in flight."""
    with started([sys.executable, "-c", TIGHT, str(tmp_path)]) as server:
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a service whose standings are answered by a handler that does what the name says."""
    data = tmp_path_factory.mktemp("served")
    with started([sys.executable, "-m", "tests.adapters.served", "open", str(data), "-"]) as server:
        yield server


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Server]:
    """Give a server whose connections may be idle for a millisecond, less than its start takes."""
    with started([sys.executable, "-c", STRICT, str(tmp_path), "0.001", "embedded"]) as server:
        yield server


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Server]:
    """Give a server that fails at every standing, and at the head of a request for what is the application's."""
    with started([sys.executable, "-c", FAULTY, str(tmp_path)]) as server:
        yield server


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Server]:
    """Give a server that speaks TLS."""
    with started([sys.executable, "-c", FAULTY, str(tmp_path), str(CERTIFICATE)]) as server:
        yield server
