"""uvicorn's server, with several accepts in each turn of the loop, and no more connections than descriptors.

libuv accepts one connection for each listening handle that is ready in a turn. If a turn is long, because a thousand
connections are busy, new ones wait a turn each. So the loop is given each listening socket several times over.

Workers each have a socket of their own at the same address (SO_REUSEPORT): so the kernel spreads connections evenly,
where one socket for all would leave nearly all of a burst to the worker that wakes up first. What waits for a worker
that dies is lost, and the others get what comes from then on.

Descriptors are kept back for files: a service that has none left can take a request, but neither commit nor compact.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.server import ServerState

from laurels.errors import AddressUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

log = logging.getLogger(__name__)

ACCEPTS = 16
"""Connections accepted in one turn of the loop, and descriptors of each socket that is listened on."""
NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""The errors for one address of a host that does not matter if the host has another, such as ::1 without IPv6."""
END_SECONDS, END_LOOKS_SECONDS = 1.0, 0.001
"""How long requests have to end when a server in a running loop ends, and how often it is looked whether they have."""
EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - what may be meant
"""The hosts that stand for all addresses of the machine, and are none to ask for."""
SPARE_DESCRIPTORS = 128
"""Kept back: for those of listening sockets, for as many connections that are being refused or closed, for files."""


class Server(uvicorn.Server):
    """uvicorn's server, which accepts several connections in one turn of the loop."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], object]) -> None:
        """Make a server, which calls ``announce`` when it listens. TLS is a matter of its protocol."""
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen to copies of the sockets, which are bound already, and announce it."""
        bound = sockets or []
        for each in bound:
            try:
                each.listen(self.config.backlog)  # of an error here uvloop says nothing
            except OSError as error:  # another has begun to listen there since
                host, port, *_ = each.getsockname()
                raise AddressUnusable(host, port, os.strerror(error.errno or 0)) from error
        await super().startup([each.dup() for each in bound for _ in range(ACCEPTS)])
        self._announce()


@asynccontextmanager
async def accepting(config: uvicorn.Config, bound: socket.socket) -> AsyncIterator[None]:
    """Accept connections at a bound socket for as long as the block lasts; then end them, at once if they are idle."""
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    make = partial(config.http_protocol_class, config=config, server_state=state, app_state={})  # type: ignore[call-arg]
    server = await loop.create_server(make, sock=bound, backlog=config.backlog)
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn tells of no end
                    await asyncio.sleep(END_LOOKS_SECONDS)
        for connection in list(state.connections):
            connection.transport.abort()
        await server.wait_closed()


def find_urls(sockets: Sequence[socket.socket], host: str, *, is_secure: bool) -> tuple[str, str]:
    """Return the URL of a service that listens for a host, and one to put into a browser."""
    scheme, port = "https" if is_secure else "http", sockets[0].getsockname()[1]
    shown = "localhost" if host in EVERY_ADDRESS else host
    url, pages = (f"{scheme}://{f'[{each}]' if ':' in each else each}:{port}" for each in (host, shown))
    return url, pages


def list_addresses(sockets: Sequence[socket.socket]) -> list[str]:
    """Return where sockets are bound, each with its port."""
    bound = [each.getsockname()[:2] for each in sockets]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in bound]


def bind(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address of a host, all with one port; raise AddressUnusable."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "no host has such a name"
        raise AddressUnusable(host, port, f"the host is not found ({problem})") from error
    bound: list[socket.socket] = []
    missing = ""
    for family, address in dict.fromkeys((family, address) for family, *_, address in found):
        try:
            bound.append(_bind(family, (address[0], bound[0].getsockname()[1] if bound else port, *address[2:])))
        except OSError as error:
            missing = os.strerror(error.errno or 0)
            if error.errno not in NO_SUCH_ADDRESS:
                for each in bound:
                    each.close()
                raise AddressUnusable(host, port, missing) from error
    if not bound:
        raise AddressUnusable(host, port, missing)
    return bound


def _bind(family: int, address: tuple[Any, ...], option: int = socket.SO_REUSEADDR) -> socket.socket:
    made = socket.socket(family)
    try:
        for each in {socket.SO_REUSEADDR, option}:
            made.setsockopt(socket.SOL_SOCKET, each, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def reserve(sockets: Sequence[socket.socket]) -> None:
    """Let others of this process's user listen where these are bound; no service could that begins without asking."""
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def bind_beside(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """Return further sockets that are bound where these are; raise AddressUnusable."""
    try:
        return [_bind(each.family, each.getsockname(), option=socket.SO_REUSEPORT) for each in sockets]
    except OSError as error:
        host, port, *_ = sockets[0].getsockname()
        raise AddressUnusable(host, port, os.strerror(error.errno or 0)) from error


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
