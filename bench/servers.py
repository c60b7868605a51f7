"""The servers of a run: started on the server's core, polled until they answer, stopped by their own ids."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from bench.errors import NotAnswering
from bench.machine import SERVER_CORE, cpu_seconds, on_both_cores, pinned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
HTTP_HELLO = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HTTP_WELCOME = b"HTTP/1.1 "
HTTP_2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
HTTP_2_WELCOME = b"\0\0"
REDIS_HELLO = b"PING\r\n"
REDIS_WELCOME = b"+PONG"
TRUSTING = ssl._create_unverified_context()  # noqa: S323, SLF001 - the benchmark's own certificates
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
"""For programs of ``bench`` and its peers."""


class Checkout(Struct, frozen=True):
    """A checkout of any version with its own ``.venv``: its commands are used, its modules never imported."""

    root: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.root / ".venv" / "bin" / "python")

    @property
    def laurels(self) -> str:
        """Its ``laurels`` command."""
        return str(self.root / ".venv" / "bin" / "laurels")

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment without PYTHONPATH, which would put another checkout's modules before its own."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def serves_with(self, option: str) -> bool:
        """Return whether ``laurels serve`` of this version has an option."""
        command = [self.laurels, "serve", "--help"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return option in done.stdout


HERE = Checkout(ROOT)


class Server:
    """A running server: process group, port and log. As a context it is stopped at the end."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a process has
        self,
        name: str,
        command: Sequence[str],
        port: int,
        directory: Path,
        environment: Mapping[str, str],
        scheme: str = "http",
    ) -> None:
        self.name = name
        self.port = port
        self.scheme = scheme
        self.log = directory / f"{name}.log"
        self.begun = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=directory,
                env=environment,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self._process.pid

    def cpu(self) -> float:
        """Sum the CPU seconds of the server and its children."""
        return cpu_seconds([self.pid])

    def await_answer(self, hello: bytes = HTTP_HELLO, welcome: bytes = HTTP_WELCOME, patience: float = 120) -> float:
        """Wait until the reply to ``hello`` begins with ``welcome``; return the seconds since the start."""
        while not answers(self.port, hello, welcome, self.scheme):
            if self._process.poll() is not None or time.perf_counter() - self.begun > patience:
                raise NotAnswering(self.name, self.log)
            time.sleep(0.001)
        return time.perf_counter() - self.begun

    def stop(self, patience: float = 60) -> None:
        """Terminate the process, and kill its group if it does not end or leaves children behind."""
        self._process.terminate()
        try:
            self._process.wait(patience)
        finally:
            end_group(self.pid)
            self._process.wait()


def end_group(group: int) -> None:
    """Kill what is left of a process group that this run started."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def answers(port: int, hello: bytes, welcome: bytes, scheme: str = "http") -> bool:
    """Return whether the reply to ``hello`` on a new connection begins with ``welcome``."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            connection = TRUSTING.wrap_socket(plain) if scheme == "https" else plain
            connection.sendall(hello)
            return connection.recv(4096).startswith(welcome)
    except (ConnectionError, TimeoutError):
        return False


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def laurels(directory: Path, data: Path, *options: str, checkout: Checkout = HERE, scheme: str = "http") -> Server:
    """Start Laurels on a data directory."""
    port = free_port()
    place = ["--host", "127.0.0.1", "--port", str(port), "--data", str(data)]
    command = pinned(SERVER_CORE, [checkout.laurels, "serve", *place, *options])
    return Server("laurels", command, port, directory, checkout.environment, scheme)


def laurels_on_redis(directory: Path, redis_port: int, *options: str, both_cores: bool = False) -> Server:
    """Start Laurels on a Redis, on the server's core or on any."""
    port = free_port()
    place = ["--host", "127.0.0.1", "--port", str(port), "--store", f"redis://127.0.0.1:{redis_port}/0"]
    serve = [HERE.laurels, "serve", *place, *options]
    command = on_both_cores(serve) if both_cores else pinned(SERVER_CORE, serve)
    return Server(f"laurels-{port}", command, port, directory, HERE.environment)


def momento(directory: Path, *options: str) -> Server:
    """Start the local Momento server."""
    port = free_port()
    ports = ["--port", str(port), "--account-port", "0"]
    command = pinned(SERVER_CORE, [HERE.laurels, "momento-local", *ports, *options])
    return Server("momento-local", command, port, directory, HERE.environment)


def ssm(directory: Path) -> Server:
    """Start moto's server, which has a Parameter Store like AWS's."""
    port = free_port()
    return _pinned("ssm", [sys.executable, "-m", "moto.server", "-p", str(port)], port, directory)


def nginx(directory: Path) -> Server:
    """Start nginx with one worker and a fixed response."""
    port = free_port()
    template = (Path(__file__).parent / "peers" / "nginx.conf").read_text()
    configuration = directory / "nginx.conf"
    configuration.write_text(template.format(port=port, directory=directory))
    return _pinned("nginx", ["nginx", "-e", "stderr", "-c", str(configuration)], port, directory)


def redis(directory: Path, core: int = SERVER_CORE, *, both_cores: bool = False) -> Server:
    """Start Redis, which saves nothing by itself; it loads, and on command saves, ``dump.rdb`` in ``directory``."""
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(directory)]
    serve = ["redis-server", *options]
    command = on_both_cores(serve) if both_cores else pinned(core, serve)
    return Server("redis", command, port, directory, ENVIRONMENT)


def fastapi(directory: Path, redis_port: int) -> Server:
    """Start the FastAPI application in one uvicorn worker."""
    port = free_port()
    options = ["--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    command = [sys.executable, "-m", "uvicorn", "bench.peers.fastapi_redis:app", "--log-level", "warning", *options]
    return _pinned("fastapi", command, port, directory, REDIS_PORT=str(redis_port))


def _pinned(name: str, command: Sequence[str], port: int, directory: Path, **environment: str) -> Server:
    return Server(name, pinned(SERVER_CORE, command), port, directory, {**ENVIRONMENT, **environment})
