"""uvicorn's server, with several accepts in each turn of the loop, and no more connections than descriptors.

libuv accepts one connection for each listening handle that is ready in a turn. If a turn is long, because a thousand
connections are busy, new ones wait a turn each. So the loop is given each listening socket several times over.

Descriptors are kept back for files: a service that has none left can take a request, but neither commit nor compact.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)

ACCEPTS = 16
"""Connections accepted in one turn of the loop, and descriptors of each socket that is listened on."""
SPARE_DESCRIPTORS = 128
"""Kept back: for those of listening sockets, for as many connections that are being refused or closed, for files."""


class Server(uvicorn.Server):
    """uvicorn's server, which accepts several connections in one turn of the loop."""

    servers: list[asyncio.base_events.Server]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind as uvicorn does, which says where or why it cannot; then listen to copies of the sockets."""
        await super().startup(sockets)
        bound = self.servers
        listening = [each for server in bound for each in server.sockets]
        copies = [socket.socket(fileno=os.dup(each.fileno())) for each in listening for _ in range(ACCEPTS - 1)]
        await super().startup(copies)
        self.servers += bound


def connections_within_descriptors(wanted: int) -> int:
    """Raise the limit of descriptors as far as it goes; return how many of these connections it leaves room for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    room = wanted if most == resource.RLIM_INFINITY else most - min(SPARE_DESCRIPTORS, most // 2)
    if room < wanted:
        log.warning(
            "Admitting %d connections, not the %d of --max-connections: the process may open %d files (ulimit -n).",
            room,
            wanted,
            most,
        )
    return min(room, wanted)
