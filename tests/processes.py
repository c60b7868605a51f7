"""The processes and the services that tests start."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socketserver import BaseServer

FOREIGN = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
"""The environment of a program that runs none of our code: to measure its coverage would take as long as itself."""

S = TypeVar("S", bound="BaseServer")


def end(process: subprocess.Popen[Any]) -> None:
    """End a server; one that does not end within a minute is killed, and fails its test."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # pragma: no cover - what a failing test shows
            process.kill()
            raise


@contextmanager
def serving(service: S) -> Iterator[S]:
    """Run a service of the standard library in a thread until the end of the block."""
    with service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
