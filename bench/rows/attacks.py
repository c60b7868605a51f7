"""How long ``/-/health`` takes while one client attacks: no request may stop the service for the others."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench import servers
from bench.attacks import ATTACKS
from bench.figures import Figure, Measure, Run, Subject, Target, single
from bench.machine import CLIENT_CORE, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.servers import Server

LOOK = b"GET /-/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
EVERY = 0.05
"""Seconds from one look to the next: as many as one may take, so that a service within the limit is never behind."""
P99 = Target("<=", 50, of="figure")


def attacks(run: Run) -> Iterator[Figure]:
    """Make each attack on a server of its own, once."""
    for number, name in enumerate(ATTACKS):
        directory = run.directory / f"attack-{number}"
        directory.mkdir()
        with servers.laurels(directory, directory / "data") as server:
            server.await_answer()
            times = sorted(_look_beside(name, server, run.seconds))
        p99 = Measure(times[int(len(times) * 0.99)] * 1e3)
        note = f"p50 {times[len(times) // 2] * 1e3:.2f} ms, slowest {times[-1] * 1e3:.1f} ms of {len(times):,}"
        yield single(Subject("attacks", f"/-/health beside {name}: p99", "ms", P99), p99, note)


def _look_beside(name: str, server: Server, seconds: float) -> Iterator[float]:
    """Yield for each look how long after it was due it was answered: a service that stands still delays all looks.

    The attack gives way on the core that it shares with the looks, so that only the server makes them wait.
    """
    command = ["nice", "-n", "19", sys.executable, "-m", "bench.attacks", str(server.port), str(seconds), name]
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
        subprocess.Popen(pinned(CLIENT_CORE, command), env=servers.ENVIRONMENT) as attack,
    ):
        due = time.perf_counter()
        while attack.poll() is None or due + EVERY < time.perf_counter():
            connection.sendall(LOOK)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise ConnectionError("/-/health is not answered")
            yield time.perf_counter() - due
            due += EVERY
            time.sleep(max(0, due - time.perf_counter()))
    if attack.returncode:
        raise subprocess.CalledProcessError(attack.returncode, command)
