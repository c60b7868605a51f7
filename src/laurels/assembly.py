"""Puts the parts together: the one module that knows them all."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvicorn
import uvloop
from msgspec import Struct

from laurels.boards import Boards
from laurels.http import Routes
from laurels.skins.asgi import Application, OpeningApplication
from laurels.skins.protocol import BoardProtocol, Clock, Limits
from laurels.stores.contract import Board, Order
from laurels.stores.embedded import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SWITCH_SECONDS = 0.0005
"""How long the journal's thread may wait for the interpreter. Python's own 0.005 shows in the slowest submits."""
SHUTDOWN_SECONDS = 35
"""How long clients have to take their answers at the end: longer than a body may take."""


class Settings(Struct, frozen=True):
    """What a deployment is told."""

    host: str = "127.0.0.1"
    port: int = 8000
    data: Path = Path("laurels-data")
    order: Order = "descending"
    limits: Limits = Limits()


@asynccontextmanager
async def open_routes(settings: Settings) -> AsyncIterator[Routes]:
    """Open the store and give the routes over it; close it at the end. Raises StoreError."""
    store = await EmbeddedStore.open(settings.data, partial(Board, order=settings.order))
    try:
        yield Routes(Boards(store, settings.order))
    finally:
        await store.close()


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is under way. Raises StoreError where the store cannot open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.setswitchinterval(SWITCH_SECONDS)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    async with open_routes(settings) as routes:
        server = uvicorn.Server(
            uvicorn.Config(
                Application(routes),
                host=settings.host,
                port=settings.port,
                http=partial(BoardProtocol, clock=Clock(settings.limits)),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, lambda *_: None)  # uvicorn raises them again at its end: that end is a good one
        await server.serve()


def application() -> OpeningApplication:
    """Make the application for any ASGI server; ``LAURELS_DATA`` and ``LAURELS_ORDER`` are its settings."""
    settings = {name: value for name in ("data", "order") if (value := os.environ.get(f"LAURELS_{name.upper()}"))}
    return OpeningApplication(open_routes(msgspec.convert(settings, Settings, dec_hook=lambda kind, text: kind(text))))
