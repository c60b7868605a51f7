"""``laurels import`` of a file with ties as real boards have them, each batch on disk before its answer."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from typing import TYPE_CHECKING

from bench import servers
from bench.errors import Incomplete
from bench.figures import Figure, Measure, Run, Subject, Target, alone, median
from bench.machine import CLIENT_CORE, pinned
from bench.members import write_packages
from bench.requests import Request, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.servers import Server


def bulk(run: Run) -> Iterator[Figure]:
    """Import the file onto a new board each time; the client's start and end count."""
    file = run.file or run.directory / "packages.tsv.gz"
    if run.file is None:
        write_packages(file)
    rows = _rows(file)
    with servers.laurels(run.directory, run.directory / "imported") as server:
        server.await_answer()
        measures = [_measure(server, file, f"packages-{turn}", rows) for turn in range(run.repeat)]
    what = f"laurels import of {len(rows):,} rows, durable"
    yield alone(Subject("import", what, "entries/s", Target(">=", 100_000, of="figure")), median(measures))


def _measure(server: Server, file: Path, board: str, rows: list[tuple[str, int]]) -> Measure:
    before, begun = server.cpu(), time.perf_counter()
    command = [*servers.LAURELS, "import", str(file), "--board", board, "--server", f"http://127.0.0.1:{server.port}"]
    subprocess.run(
        pinned(CLIENT_CORE, command), env=servers.ENVIRONMENT, stdout=subprocess.DEVNULL, check=True, timeout=600
    )
    taken = time.perf_counter() - begun
    spent = server.cpu() - before
    _verify(server, board, rows)
    return Measure(len(rows) / taken, spent / len(rows) * 1e6)


def _verify(server: Server, board: str, rows: list[tuple[str, int]]) -> None:
    """Read the last place, where one entry too few would show, and raise Incomplete where it is not as in the file."""
    last = min(rows, key=lambda row: (row[1], row[0].encode()))
    page = Request("GET", f"/{board}?startRank={len(rows) - 1}&endRank={len(rows)}")
    found = json.loads(ask(server.port, [page])[0].body)["leaderboard"]
    if found != [{"name": last[0], "score": last[1]}]:
        raise Incomplete(board, last)


def _rows(file: Path) -> list[tuple[str, int]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        next(lines)
        return [(name, int(score)) for name, score in (line.rstrip("\n").split("\t") for line in lines)]
