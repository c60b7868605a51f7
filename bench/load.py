"""Closed-loop load by wrk: how many requests a server answers if it is never idle."""

from __future__ import annotations

import re
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from bench.errors import Disturbed, LoadFailed
from bench.machine import CLIENT_CORE, cpu_seconds, on_both_cores, pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.servers import Server

SCRIPT = Path(__file__).parent / "prepared.lua"
CONNECTIONS = 64
TRIES = 5
UNDISTURBED = 0.85
"""The share of its core that the server or the generator uses at least if nothing else runs."""


class Burst(Struct, frozen=True):
    """What a server did under one burst of load."""

    rate: float
    """Requests a second."""
    cpu: float
    """CPU microseconds a request, of the server and all it needs."""
    generator: float
    """The share of its core that the generator used."""

    @property
    def busy(self) -> float:
        """The share of its core that the server used."""
        return self.rate * self.cpu / 1e6


def burst(
    servers: Sequence[Server], prepared: Path, seconds: float, keys: str = "", *, from_both: bool = False
) -> Burst:
    """Load the first of ``servers`` for some seconds; it uses the others, so their CPU time counts too.

    With ``keys`` each request has an idempotency key of its own, which begins so. The load comes from the client's
    core, or from whichever of both is free.
    """
    server, pids = servers[0], [server.pid for server in servers]
    before, generator = cpu_seconds(pids), _waited_for()
    requests, taken = _wrk(server, prepared, seconds, keys, on_both_cores if from_both else _on_client_core)
    spent, generated = cpu_seconds(pids) - before, _waited_for() - generator
    return Burst(rate=requests / taken, cpu=spent / requests * 1e6, generator=generated / taken)


def undisturbed(servers: Sequence[Server], prepared: Path, seconds: float) -> Burst:
    """Load servers that wait for nothing but requests, again if something else took their core; raise Disturbed."""
    for _ in range(TRIES):
        done = burst(servers, prepared, seconds)
        if max(done.busy, done.generator) >= UNDISTURBED:
            return done
    raise Disturbed(servers[0].name)


def _waited_for() -> float:
    """Return the CPU seconds of all ended children, among them every generator after its burst."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _on_client_core(command: Sequence[str]) -> list[str]:
    return pinned(CLIENT_CORE, command)


def _wrk(
    server: Server, prepared: Path, seconds: float, keys: str, place: Callable[[Sequence[str]], list[str]]
) -> tuple[int, float]:
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s"]
    command += ["--script", str(SCRIPT), f"{server.scheme}://127.0.0.1:{server.port}", "--", str(prepared)]
    command += [keys] if keys else []
    done = subprocess.run(place(command), capture_output=True, text=True, check=False)
    counted = re.search(r"^counted (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if counted is None or counted[3] != "0" or counted[1] == "0":
        raise LoadFailed(server.name, done.stdout + done.stderr)
    return int(counted[1]), int(counted[2]) / 1e6
