"""Boards that a program opens in its own process: reads, and submits that are on disk, by tasks and by threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench import in_process as program
from bench import servers
from bench.figures import SHOWN, Figure, Measure, Run, Subject, single
from bench.machine import on_both_cores

if TYPE_CHECKING:
    from collections.abc import Iterator


def in_process(run: Run) -> Iterator[Figure]:
    """Run ``bench/in_process.py`` on both cores: a program has its own threads and those of the store."""
    command = on_both_cores([sys.executable, str(Path(program.__file__)), str(run.seconds)])
    done = subprocess.run(command, env=servers.ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    for what, rate in msgspec.json.decode(done.stdout, type=dict[str, float]).items():
        yield single(Subject("in-process", what, "/s", SHOWN), Measure(rate))
