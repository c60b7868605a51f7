"""The processes that tests start."""

from __future__ import annotations

import subprocess
from typing import Any


def end(process: subprocess.Popen[Any]) -> None:
    """End a server; one that does not end within a minute is killed, and fails its test."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # pragma: no cover - what a failing test shows
            process.kill()
            raise
