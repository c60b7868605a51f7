"""How long a new connection waits for its first answer while a thousand others are busy."""

from __future__ import annotations

import selectors
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from bench import requests, servers
from bench.figures import Figure, Measure, Run, Subject, Target, single
from bench.machine import CLIENT_CORE, pinned
from bench.members import batches, members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.servers import Server

MEMBERS = 10_000
BUSY, NEW, ROUNDS = 1_000, 50, 5
LOOK = b"GET /-/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PATIENCE = 30.0
SLOWEST = Target("<=", 250, of="figure")


def arrivals(run: Run) -> Iterator[Figure]:
    """Keep connections busy, and open new ones at once, several times."""
    directory = run.directory / "arrivals"
    directory.mkdir()
    with servers.laurels(directory, directory / "data") as server:
        server.await_answer()
        requests.ask(server.port, (requests.batch(batch) for batch in batches(members(MEMBERS))))
        times = sorted(_arrive(server))
    note = f"p50 {times[len(times) // 2] * 1e3:.1f} ms of {len(times)}; {len(times)} of {ROUNDS * NEW} were answered"
    what = f"{NEW} new connections beside {BUSY:,} busy ones, to the first answer: slowest"
    yield single(Subject("arrivals", what, "ms", SLOWEST), Measure(times[-1] * 1e3), note)


def _arrive(server: Server) -> Iterator[float]:
    board = f"http://127.0.0.1:{server.port}/{requests.BOARD}"
    load = ["wrk", "--threads", "1", "--connections", str(BUSY), "--duration", f"{ROUNDS + 3}s", board]
    with subprocess.Popen(pinned(CLIENT_CORE, load), stdout=subprocess.DEVNULL):
        for _ in range(ROUNDS):
            time.sleep(1)
            yield from _first_answers(server.port)


def _first_answers(port: int) -> Iterator[float]:
    """Open connections at once, and yield for each how long it took to its first answer."""
    begin = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for _ in range(NEW):
            connection = socket.socket()
            connection.setblocking(False)  # noqa: FBT003 - the name of the argument is not of this module
            connection.connect_ex(("127.0.0.1", port))
            selector.register(connection, selectors.EVENT_WRITE, connection)
        while selector.get_map() and time.perf_counter() - begin < PATIENCE:
            for key, ready in selector.select(1):
                connection = key.data
                if ready & selectors.EVENT_WRITE:
                    connection.sendall(LOOK)
                    selector.modify(connection, selectors.EVENT_READ, connection)
                    continue
                if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                    yield time.perf_counter() - begin
                selector.unregister(connection)
                connection.close()
