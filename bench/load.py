"""Closed-loop load by wrk: how many requests a server answers when it is never left idle."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from bench.errors import LoadFailed
from bench.machine import CLIENT_CORE, cpu_seconds, pinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.servers import Server

SCRIPT = Path(__file__).parent / "prepared.lua"
CONNECTIONS = 64


class Burst(Struct, frozen=True):
    """What a server did under one burst of load."""

    rate: float
    """Requests a second."""
    cpu: float
    """CPU microseconds a request, of the server and all it needs."""


def burst(servers: Sequence[Server], prepared: Path, seconds: float) -> Burst:
    """Load the first of ``servers`` for some seconds; the others work for it, and their CPU time counts too."""
    server, pids = servers[0], [server.pid for server in servers]
    before = cpu_seconds(pids)
    requests, taken = _wrk(server, prepared, seconds)
    return Burst(rate=requests / taken, cpu=(cpu_seconds(pids) - before) / requests * 1e6)


def _wrk(server: Server, prepared: Path, seconds: float) -> tuple[int, float]:
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s"]
    command += ["--script", str(SCRIPT), f"http://127.0.0.1:{server.port}", "--", str(prepared)]
    done = subprocess.run(pinned(CLIENT_CORE, command), capture_output=True, text=True, check=False)
    counted = re.search(r"^counted (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if counted is None or counted[3] != "0" or counted[1] == "0":
        raise LoadFailed(server.name, done.stdout + done.stderr)
    return int(counted[1]), int(counted[2]) / 1e6
