"""``make run`` in a fresh clone: the seconds from the command to the first response."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from bench.figures import Figure, Measure, Run, Subject, Target, single
from bench.machine import on_both_cores
from bench.servers import ROOT, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SET_BY_THIS_RUN = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Variables that a newcomer's shell would not have."""
PATIENCE = 600.0


def clone(run: Run) -> Iterator[Figure]:
    """Clone what is committed, run it, and wait for a response; once, as a newcomer would."""
    directory = run.directory / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(directory)], check=True)
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_THIS_RUN}
    environment["LAURELS_PORT"] = str(port)
    with Server("make", on_both_cores(["make", "run"]), port, directory, environment) as server:
        taken = server.await_answer(patience=PATIENCE)
    target = Target("<=", 60, of="figure")
    yield single(Subject("clone", "make run in a fresh clone, to the first response", "s", target), Measure(taken))
