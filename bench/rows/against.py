"""This checkout compared with another one, the same rows on both in turns: what a change costs.

Each is used only through its own ``.venv/bin``, so the other may be any commit. Both run without request metrics if
they have that option; one row measures this checkout with them against the other without. The row ``cors`` compares
requests from a page of another origin with those of a program.
"""

from __future__ import annotations

import statistics
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from bench import requests
from bench.figures import Figure, Measure, Subject, Target, compare
from bench.rows.bulk import file_of, import_file, rows_of
from bench.rows.features import FEATURES, MEMBERS, PREPARED, running, take_turns
from bench.rows.function import call_function, services
from bench.servers import HERE, Checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.figures import Run
    from bench.requests import Request

OTHER = "the other"
METRICS, NO_METRICS = "--metrics", "--no-metrics"
ALONE = ("cors",)
"""The rows that are comparisons with another checkout alone."""
CORS, PAGE = "--cors-origin", "https://game.example"
STARTS = 5
"""Cold starts of each side in one repeat."""


class Load(Struct, frozen=True):
    """One kind of request on one kind of board, the same for both servers."""

    row: str
    what: str
    target: float
    sent: list[Request]
    definition: str = ""
    metrics: bool = False
    is_crossed: bool = False
    """Whether the requests to this checkout come from a page of another origin, which it allows."""


def rows(directory: Path) -> dict[str, Callable[[Run], Iterator[Figure]]]:
    """Return the rows of a comparison with the checkout in ``directory``."""
    other = Checkout(directory.absolute())
    return {
        "standing": partial(standing, other=other),
        "page": partial(page, other=other),
        "submit": partial(submit, other=other),
        "cors": partial(cors, other=other),
        "features": partial(features, other=other),
        "import": partial(bulk, other=other),
        "function": partial(function, other=other),
    }


def is_built(directory: Path) -> bool:
    """Return whether a directory is a checkout whose commands can be run."""
    return Path(Checkout(directory.absolute()).laurels).exists()


def standing(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure ``GET /{board}/{name}``, and once more with request metrics."""
    sent = requests.standings(MEMBERS, PREPARED)
    yield _compare(run, other, Load("standing", "standing", 0.97, sent))
    if HERE.serves_with(METRICS):
        yield _compare(run, other, Load("standing", "standing with request metrics on", 0.93, sent, metrics=True))


def page(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure pages of 20 at random places."""
    yield _compare(run, other, Load("page", "page of 20", 0.97, requests.pages(MEMBERS, PREPARED)))


def submit(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure submits, each on disk before its response."""
    yield _compare(run, other, Load("submit", "submit", 0.97, requests.submits(MEMBERS, PREPARED)))


def cors(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure the core routes for a page of another origin, with the other checkout asked by a program."""
    asked = {"standing": requests.standings, "page": requests.pages, "submit": requests.submits}
    for what, make in asked.items():
        load = Load("cors", f"{what} from an allowed page", 0.95, make(MEMBERS, PREPARED), is_crossed=True)
        yield _compare(run, other, load)


def features(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure submits on a board with every feature of a definition."""
    sent = requests.submits(MEMBERS, PREPARED)
    yield _compare(run, other, Load("features", "submit on a board with every feature on", 0.97, sent, FEATURES))


def bulk(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure the ``laurels import`` of each to its own server, on a new board each time."""
    file = file_of(run)
    entries = rows_of(file)
    with (
        running(run.directory / "import-here", "", *_options(HERE)) as ours,
        running(run.directory / "import-other", "", *_options(other), checkout=other) as theirs,
    ):
        pairs = [
            (
                import_file(ours, file, f"packages-{turn}", entries),
                import_file(theirs, file, f"packages-{turn}", entries, other),
            )
            for turn in range(run.repeat)
        ]
    what = f"laurels import of {len(entries):,} rows, durable"
    yield compare(Subject("import", what, "entries/s", Target(">=", 0.95)), OTHER, pairs, _spread(pairs))


def function(run: Run, other: Checkout) -> Iterator[Figure]:
    """Measure cold starts of ``get_standing`` from the asset that each builds."""
    directory = run.directory / "function"
    directory.mkdir()
    assets = [_build_asset(checkout, directory / name) for name, checkout in (("here", HERE), ("other", other))]
    with services(directory) as environment:
        for asset in assets:  # submits the score that is read, and brings the asset's files into the page cache
            call_function("warm", asset, environment, directory)
        totals = [
            [Measure(call_function("start", asset, environment, directory)["total"] * 1e3) for asset in assets]
            for _ in range(STARTS * run.repeat)
        ]
    pairs = [(ours, theirs) for ours, theirs in totals]
    what = "cold start of get_standing, to the first response"
    yield compare(Subject("function", what, "ms", Target("<=", 1.03)), OTHER, pairs, _spread(pairs))


def _compare(run: Run, other: Checkout, load: Load) -> Figure:
    directory = run.directory / load.what.replace(" ", "-")
    directory.mkdir(mode=0o755)
    prepared = requests.save(load.sent, directory / "requests")
    crossed = requests.save(load.sent, directory / "crossed", PAGE) if load.is_crossed else prepared
    options = [METRICS] if load.metrics else _options(HERE)
    options += [CORS, PAGE, CORS, "https://other.example"] if load.is_crossed else []
    with (
        running(directory / "here", load.definition, *options) as ours,
        running(directory / "other", load.definition, *_options(other), checkout=other) as theirs,
    ):
        pairs = take_turns(run, ours, theirs, crossed, prepared)
    subject = Subject(load.row, f"{load.what}, {MEMBERS:,} members, 64 connections", "/s", Target(">=", load.target))
    return compare(subject, OTHER, pairs, _spread(pairs))


def _options(checkout: Checkout) -> list[str]:
    return [NO_METRICS] if checkout.serves_with(NO_METRICS) else []


def _spread(pairs: list[tuple[Measure, Measure]]) -> str:
    """Format the least and the greatest ratio, and that of the CPU times, which other load disturbs less."""
    ratios = [ours.value / theirs.value for ours, theirs in pairs]
    cpu = [ours.cpu / theirs.cpu for ours, theirs in pairs if ours.cpu and theirs.cpu]
    spread = f"{min(ratios):.3f}x to {max(ratios):.3f}x in {len(ratios)} pairs"
    return f"{spread}; CPU {statistics.median(cpu):.3f}x" if cpu else spread


def _build_asset(checkout: Checkout, directory: Path) -> Path:
    command = [checkout.python, "-m", "infra.assets", "--architecture", "here", "--to", str(directory)]
    done = subprocess.run(
        command, cwd=checkout.root, env=checkout.environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(done.stdout.strip())
