"""The two cores of a run: the server under test on one, its clients on the other."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SERVER_CORE = 0
CLIENT_CORE = 1
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Return the command that runs ``command`` on one core; the process keeps its id."""
    return ["taskset", "--cpu-list", str(core), *command]


def on_both_cores(command: Sequence[str]) -> list[str]:
    """Return the command that runs ``command`` on any of the two cores."""
    return ["taskset", "--cpu-list", f"{SERVER_CORE},{CLIENT_CORE}", *command]


def family(pid: int) -> Iterator[int]:
    """Iterate over a process and its living descendants; those that end meanwhile are left out."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield from family(child)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of the processes, their living descendants and their dead children."""
    return sum(_ticks(member) for pid in pids for member in family(pid)) / TICKS_A_SECOND


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def raise_descriptors() -> None:
    """Let this process open as many files as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def describe(directory: Path) -> str:
    """Return the processor, its load before the run, and the median time of an fdatasync of 4 KiB in ``directory``."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, "unknown processor")
    sync = f"fdatasync of 4 KiB {_sync_seconds(directory) * 1e6:,.0f} µs"
    return f"{model}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; {sync}"


def _sync_seconds(directory: Path, rounds: int = 100) -> float:
    taken = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        for _ in range(rounds):
            os.write(file.fileno(), bytes(4096))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken)
