"""``laurels import`` of a file with as many ties as real boards have, each batch on disk before its response."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from typing import TYPE_CHECKING

from bench import servers
from bench.errors import Incomplete
from bench.figures import Figure, Measure, Run, Subject, Target, median, single
from bench.machine import CLIENT_CORE, pinned
from bench.members import write_packages
from bench.requests import Request, ask
from bench.servers import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.servers import Checkout, Server


def bulk(run: Run) -> Iterator[Figure]:
    """Import the file onto a new board each time; the start and the end of the client are part of the time."""
    file = file_of(run)
    rows = rows_of(file)
    with servers.laurels(run.directory, run.directory / "imported") as server:
        server.await_answer()
        measures = [import_file(server, file, f"packages-{turn}", rows) for turn in range(run.repeat)]
    what = f"laurels import of {len(rows):,} rows, durable"
    yield single(Subject("import", what, "entries/s", Target(">=", 100_000, of="figure")), median(measures))


def file_of(run: Run) -> Path:
    """Return the file that the user named, or write a synthetic one."""
    if run.file is not None:
        return run.file
    file = run.directory / "packages.tsv.gz"
    write_packages(file)
    return file


def rows_of(file: Path) -> list[tuple[str, int]]:
    """Read the rows of a gzipped TSV below its heading."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        next(lines)
        return [(name, int(score)) for name, score in (line.rstrip("\n").split("\t") for line in lines)]


def import_file(
    server: Server, file: Path, board: str, rows: list[tuple[str, int]], checkout: Checkout = HERE
) -> Measure:
    """Run a checkout's ``laurels import`` of ``file``, which holds ``rows``; return entries a second."""
    before, begun = server.cpu(), time.perf_counter()
    command = [checkout.laurels, "import", str(file), "--board", board, "--server", f"http://127.0.0.1:{server.port}"]
    subprocess.run(
        pinned(CLIENT_CORE, command), env=checkout.environment, stdout=subprocess.DEVNULL, check=True, timeout=600
    )
    taken = time.perf_counter() - begun
    spent = server.cpu() - before
    _verify(server, board, rows)
    return Measure(len(rows) / taken, spent / len(rows) * 1e6)


def _verify(server: Server, board: str, rows: list[tuple[str, int]]) -> None:
    """Raise Incomplete unless the last place is the file's: one missing entry would move it."""
    last = min(rows, key=lambda row: (row[1], row[0].encode()))
    page = Request("GET", f"/{board}?startRank={len(rows) - 1}&endRank={len(rows)}")
    found = json.loads(ask(server.port, [page])[0].body)["leaderboard"]
    if found != [{"name": last[0], "score": last[1]}]:
        raise Incomplete(board, last)
