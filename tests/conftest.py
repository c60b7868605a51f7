"""What every test may ask for: a real server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server:
    """A running ``laurels serve``."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and give the exit status."""
        self.process.send_signal(how)
        return self.process.wait(30)


def start(data: Path, *options: str) -> Server:
    """Start ``laurels serve`` on a free port and wait until it says that it listens."""
    command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--data", str(data), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"http://[\d.]+:\d+", line):
            return Server(process, found[0])
    raise AssertionError(f"The server ended with {process.wait(30)}: {''.join(said)}")


@contextmanager
def running(data: Path, *options: str) -> Iterator[Server]:
    """Serve for as long as the block lasts."""
    server = start(data, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(30)
        assert server.process.stderr is not None
        server.process.stderr.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give one server for the whole run; a test uses boards of its own names."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in which anything was skipped, where that is asked for."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("LAURELS_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped") and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
