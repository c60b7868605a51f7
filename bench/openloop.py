"""Open-loop load: requests are due at times drawn beforehand, and a slow response delays none of those after it.

A closed loop waits for a response before it sends the next request, so a server that stalls gets fewer requests just
then, and those that would have suffered are never counted (coordinated omission). Here arrivals are a Poisson process
drawn beforehand, and a latency runs from the time a request was due, not from when a connection was free to carry it.
The loop spins instead of sleeping, because libuv's timers tick in whole milliseconds: give it a core of its own.

    python -m bench.openloop PORT SECONDS OUTPUT NAME=RATE=FILE...

sends the prepared requests of each FILE in turn at RATE a second over connections of their own, and writes a Trace for
each NAME to OUTPUT as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httptools
import msgspec
import uvloop

from bench.errors import LoadFailed
from bench.requests import SEED, saved

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 64
PATIENCE = 30.0
"""Seconds to wait for responses after the last request was due."""
CLOCK = time.perf_counter


class Trace(msgspec.Struct):
    """When each request was due (on the machine's monotonic clock), and how long its response took from then."""

    due: list[float] = []
    taken: list[float] = []
    lag: list[float] = []
    """How late the generator itself was, for requests that found a free connection when they were due."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    transport: asyncio.Transport

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.due = 0.0
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the stream, if it has not ended."""
        self.stream.finish(LoadFailed("the server", f"it closed a connection: {exc}"))

    def send(self, due: float, request: bytes) -> None:
        """Send a request that was due at that time."""
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Parse; the parser calls :meth:`on_message_complete`."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Hand the connection back, or fail the stream if the response is no success."""
        status = self.parser.get_status_code()
        if 200 <= status < 300:  # noqa: PLR2004
            self.stream.take_back(self)
        else:
            self.stream.finish(LoadFailed("the server", f"it answered {status}"))


class Stream:
    """Requests of one kind, the times at which they are due, and the connections that carry them."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self.trace = Trace()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = itertools.cycle(requests)
        self._rate = rate
        self._due: deque[float] = deque()
        self._idle: deque[Connection] = deque()
        self._asked = 0
        self._starved = False

    async def connect(self, port: int) -> None:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._idle.append(connection)

    def schedule(self, begin: float, seconds: float) -> None:
        """Draw the times at which requests are due."""
        self._due.extend(_arrivals(begin, begin + seconds, self._rate))
        self._asked = len(self._due)

    def advance(self, now: float) -> None:
        """Send the requests that are due, as long as connections are free."""
        while self._due and self._due[0] <= now and self._idle:
            due = self._due.popleft()
            if not self._starved:
                self.trace.lag.append(now - due)
            self._idle.popleft().send(due, next(self._requests))
        self._starved = not self._idle

    def take_back(self, connection: Connection) -> None:
        """Record a response; its connection is free again."""
        self.trace.due.append(connection.due)
        self.trace.taken.append(CLOCK() - connection.due)
        self._idle.append(connection)
        if len(self.trace.due) == self._asked:
            self.finish(None)

    def finish(self, problem: LoadFailed | None) -> None:
        """End the stream, if it has not ended."""
        if self.finished.done():
            return
        if problem is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(problem)


def _arrivals(begin: float, end: float, rate: float) -> Iterator[float]:
    chance = random.Random(SEED)
    due = begin + chance.expovariate(rate)
    while due < end:
        yield due
        due += chance.expovariate(rate)


async def offer(port: int, seconds: float, streams: dict[str, tuple[float, list[bytes]]]) -> dict[str, Trace]:
    """Offer each stream, a rate and its requests, for some seconds; return the trace of each."""
    loop = asyncio.get_running_loop()
    running = {name: Stream(requests, rate) for name, (rate, requests) in streams.items()}
    for stream in running.values():
        await stream.connect(port)
    begin = CLOCK() + 0.1
    for stream in running.values():
        stream.schedule(begin, seconds)
    every = list(running.values())

    def turn() -> None:
        now = CLOCK()
        for stream in every:
            stream.advance(now)
        if not all(stream.finished.done() for stream in every):
            loop.call_soon(turn)

    gc.freeze()
    gc.disable()
    turn()
    await asyncio.wait_for(asyncio.gather(*(stream.finished for stream in every)), seconds + PATIENCE)
    return {name: stream.trace for name, stream in running.items()}


def main(arguments: list[str]) -> None:
    """Read the command line, run, and write the traces."""
    port, seconds, output, *streams = arguments
    split = [stream.split("=", 2) for stream in streams]
    offered = {name: (float(rate), [request.wire for request in saved(Path(file))]) for name, rate, file in split}
    traces = uvloop.run(offer(int(port), float(seconds), offered))
    Path(output).write_bytes(msgspec.json.encode(traces))


if __name__ == "__main__":
    main(sys.argv[1:])
