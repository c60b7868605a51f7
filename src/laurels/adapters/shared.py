"""What the connections of one server share: the time, their limits, the fast path, turns and memory.

**Turns.** A client may pipeline thousands of requests in one piece. A connection answers for a moment
(``SLICE_SECONDS``), and holds the rest back until its turn comes again. Others are read in between.

**Memory.** Counted is what the service has to keep for clients: requests that are not whole or wait for their answer,
what is held back behind them, and what a client has not taken of its answers. A write goes on if its client leaves, and
is counted until it ends. Whatever came and went at once, or is
small, is not counted and never refused, so the hot path pays nothing, and small requests are still answered when the
memory is used up.
"""

from __future__ import annotations

import time
from collections import deque
from email.utils import formatdate
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from laurels.adapters.fast_path import FastPath
from laurels.http.messages import PHRASES
from laurels.http.problems import overloaded, problem
from laurels.limits import format_size

if TYPE_CHECKING:
    import asyncio

    from laurels.adapters.limits import Limits
    from laurels.figures import Figures
    from laurels.http.messages import Response
    from laurels.http.routes import Routes

STATUS_LINE = {status: b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode()) for status, phrase in PHRASES.items()}


class Connection(Protocol):
    """What is asked of a connection here."""

    loop: asyncio.AbstractEventLoop

    def check_time(self) -> None:
        """End, or refuse, what has taken too long."""

    def read_on(self) -> None:
        """Go on with what was held back."""


class Shared:
    """What the connections of one server share."""

    def __init__(self, limits: Limits, routes: Routes) -> None:
        self.limits = limits
        self.seconds = (limits.idle_timeout, limits.head_timeout, limits.body_timeout, inf, limits.linger_timeout)
        """How long a connection may be in each of its stages."""
        self.routes = routes
        memory = format_size(limits.max_client_memory)
        self.full = overloaded(
            f"Requests and answers in flight take all of --max-client-memory: {memory}.", "--max-client-memory"
        )
        """Why a client is refused once the memory is used up."""
        self.fast = FastPath(routes, limits, problem(self.full))
        self.outbox = self.fast.outbox
        self.now = time.monotonic()
        self.date = b""
        self._runs = False
        self._takes_turns = False
        self._waiting: deque[Connection] = deque()
        self.connections: set[Any] = set()
        """The connections that are open, those that are being refused included."""
        self.accepted = self.refused = 0

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {
            "connections": len(self.connections),
            "connections_limit": self.limits.max_connections,
            "connections_accepted": self.accepted,
            "connections_refused": self.refused,
            "client_memory_bytes": self.fast.held,
            "client_memory_limit_bytes": self.limits.max_client_memory,
        }

    def run(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """Tick for as long as there are connections, if it does not tick already."""
        self.fast.run_in(loop)
        self.connections = connections
        self.accepted += 1
        if not self._runs:
            self._runs = True
            self._read()
            loop.call_later(1, self._tick, loop, connections)

    def _tick(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        self._read()
        for connection in list(connections):
            connection.check_time()
        self._runs = bool(connections)
        if self._runs:
            loop.call_later(1, self._tick, loop, connections)

    def _read(self) -> None:
        self.now = time.monotonic()
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        self.fast.renew(self.head)

    def head(self, response: Response) -> bytes:
        """Return the head of a response up to its length, which is the last line."""
        line = STATUS_LINE.get(response.status, b"HTTP/1.1 %d \r\n" % response.status)
        return b"".join((line, self.date, *[b"%b: %b\r\n" % header for header in response.list_headers()]))

    def wait_for_turn(self, connection: Connection) -> None:
        """Let a connection read on soon, after those that wait already."""
        self._waiting.append(connection)
        if not self._takes_turns:
            self._takes_turns = True
            connection.loop.call_soon(self._take_turns, connection.loop)

    def _take_turns(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for _ in range(len(self._waiting)):
                self.outbox.begin_turn(loop)
                self._waiting.popleft().read_on()
                if self.outbox.is_over:
                    break
        finally:
            self._takes_turns = bool(self._waiting)
            if self._takes_turns:
                loop.call_soon(self._take_turns, loop)
