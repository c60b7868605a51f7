"""Fixtures for every test: a real server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Condition, Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.buckets import COMMAND, Buckets, bucket
from tests.clock import clock
from tests.momento import momento
from tests.processes import FOREIGN, end
from tests.redis_servers import redis_cluster, redis_sentinels, redis_server, redis_servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["bucket", "clock", "momento", "redis_cluster", "redis_sentinels", "redis_server", "redis_servers"]


class Server:
    """A running ``laurels serve``."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.host, _, port = url.partition("://")[2].partition(":")
        self.port = int(port)
        self.log: list[str] = []
        self.reading = Thread(target=self._read)
        self._logged = Condition()

    def _read(self) -> None:
        """Read stderr to the end: a full pipe would block the server."""
        for line in self.process.stderr or ():
            with self._logged:
                self.log.append(line)
                self._logged.notify_all()

    def wait_for_line(self, words: str, since: int = 0) -> list[str]:
        """Wait for a line with these words, from that line of the log on; return all there are."""
        with self._logged:
            found = self._logged.wait_for(lambda: [line for line in self.log[since:] if words in line], 30)
        assert found, self.log[since:]
        return found

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the process to end, and return its exit status."""
        self.process.send_signal(how)
        return self.process.wait(30)


@contextmanager
def started(
    command: list[str], environment: dict[str, str] | None = None, directory: Path | None = None
) -> Iterator[Server]:
    """Run a command that serves; yield when it has logged its URL, and end it after the block."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=directory)
    assert process.stderr is not None
    with process, process.stderr as stderr:
        lines = []
        for line in stderr:
            lines.append(line)
            if found := re.search(r"https?://[\d.]+:\d+", line):
                break
        else:  # pragma: no cover - only in a failing test
            raise AssertionError("".join(lines))
        server = Server(process, found[0])
        server.log += lines
        server.reading.start()
        try:
            yield server
        finally:
            end(process)
            server.reading.join(30)


def running(data: Path, *options: str) -> AbstractContextManager[Server]:
    """Run ``laurels serve`` on a free port."""
    return started([sys.executable, "-m", "laurels", "serve", "--port", "0", "--data", str(data), *options])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one server for the whole run; each test uses boards with names of its own."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def buckets() -> Iterator[Buckets]:
    """Run a server of buckets for the whole run; each test makes buckets of its own."""
    with started(COMMAND, FOREIGN) as server:
        yield Buckets(server)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


settings.register_profile("laurels", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laurels")
"""Slowness on a busy machine is no failure."""


def pytest_configure() -> None:
    """Let SIGINT end the processes that tests start, even if the run itself ignores it, as one in the background does.

    What a process ignores, the processes that it starts ignore too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run with skipped tests if LAURELS_NO_SKIPS is set."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter else None
    if skipped and not exitstatus and os.environ.get("LAURELS_NO_SKIPS"):  # pragma: no cover - only in a failing run
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
