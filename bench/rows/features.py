"""A board with every feature a definition can switch on, against a default board: each on its own server, in turns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import requests, servers
from bench.figures import Figure, Measure, Run, Subject, Target, compare, median, single
from bench.load import burst
from bench.members import batches, members
from bench.servers import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.requests import Request
    from bench.servers import Checkout, Server

MEMBERS = 100_000
PREPARED = 10_000
BATCHES = 200
BATCH_ENTRIES = 1_000
WARM_UP = 1.0
WINDOWS = 'windows = ["daily", "weekly", "monthly"]\n'
FEATURES = f"""
operator = "increment"
ties = "earliest"
ranking = "dense"
scores = {{ min = 0, max = 1_000_000_000_000, integer = true }}
{WINDOWS}keep = {{ daily = 30, weekly = 12 }}
time_zone = "Europe/Berlin"
ttl = "365d"
"""


def features(run: Run) -> Iterator[Figure]:
    """Measure submits and standings on a board with all features on, against the same on a default board."""
    kinds = {
        "submit": requests.submits(MEMBERS, PREPARED),
        "standing": requests.standings(MEMBERS, PREPARED),
    }
    with running(run.directory / "default") as default, running(run.directory / "full", FEATURES) as full:
        for kind, sent in kinds.items():
            prepared = requests.save(sent, run.directory / f"features-{kind}.requests")
            pairs = take_turns(run, full, default, prepared)
            what = f"{kind} on a board with all features on, {MEMBERS:,} members"
            yield compare(Subject("features", what, "/s", Target(">=", 0.5)), "default board", pairs)


def metadata(run: Run) -> Iterator[Figure]:
    """Measure pages with metadata, once that has been read from the disk, against plain pages of the same board."""
    kinds = {"plain": requests.pages(MEMBERS, PREPARED), "metadata": requests.pages_with_metadata(MEMBERS, PREPARED)}
    saved = {kind: requests.save(sent, run.directory / f"metadata-{kind}.requests") for kind, sent in kinds.items()}
    with servers.laurels(run.directory, run.directory / "metadata") as server:
        server.await_answer()
        requests.ask(server.port, (requests.batch(some, "x" * 98) for some in batches(members(MEMBERS))))
        requests.ask(server.port, requests.pages_with_metadata(MEMBERS, MEMBERS // 100, BATCH_ENTRIES))
        for prepared in saved.values():
            burst((server,), prepared, WARM_UP)
        pairs = [
            (_burst(server, saved["metadata"], run.seconds), _burst(server, saved["plain"], run.seconds))
            for _ in range(run.repeat)
        ]
    what = f"page of 20 with 100 bytes of metadata each, {MEMBERS:,} members"
    yield compare(Subject("metadata", what, "/s", Target(">=", 1 / 6)), "plain page", pairs)


def batch(run: Run) -> Iterator[Figure]:
    """Measure batches of a thousand entries, each batch on disk before its response."""
    prepared = requests.save(_batches(), run.directory / "batches.requests")
    boards = (("a default board", "", 150_000), ("a board with three windows", WINDOWS, 60_000))
    for what, definition, target in boards:
        with running(run.directory / f"batch-{target}", definition) as server:
            burst((server,), prepared, WARM_UP)
            measures = [_entries(server, prepared, run.seconds) for _ in range(run.repeat)]
        subject = Subject(
            "batch",
            f"batches of {BATCH_ENTRIES:,} on {what}, durable",
            "entries/s",
            Target(">=", target, of="figure"),
        )
        yield single(subject, median(measures))


def keyed(run: Run) -> Iterator[Figure]:
    """Measure submits that each have a new idempotency key, against the same without, on one server."""
    prepared = requests.save(requests.submits(MEMBERS, PREPARED), run.directory / "keyed.requests")
    with running(run.directory / "keyed") as server:
        burst((server,), prepared, WARM_UP, "warm-up-")
        pairs = [
            (_burst(server, prepared, run.seconds, f"round-{number}-"), _burst(server, prepared, run.seconds))
            for number in range(run.repeat)
        ]
    what = f"submit with a new idempotency key, {MEMBERS:,} members"
    yield compare(Subject("keyed", what, "/s", Target(">=", 0.7)), "submit without", pairs)


def _batches() -> list[Request]:
    """Return batches over all members, with new scores in every round."""
    entries = [entry for _ in range(BATCHES * BATCH_ENTRIES // MEMBERS) for entry in members(MEMBERS)]
    return [requests.batch((name, score + turn) for name, score in some) for turn, some in enumerate(batches(entries))]


def _entries(server: Server, prepared: Path, seconds: float) -> Measure:
    done = burst((server,), prepared, seconds)
    return Measure(done.rate * BATCH_ENTRIES, done.cpu / BATCH_ENTRIES)


def take_turns(
    run: Run, ours: Server, theirs: Server, prepared: Path, for_theirs: Path | None = None
) -> list[tuple[Measure, Measure]]:
    """Load two servers in turns, with the same requests unless the others are given."""
    sides = ((ours, prepared), (theirs, for_theirs or prepared))
    for server, sent in sides:
        burst((server,), sent, WARM_UP)
    return [
        (_burst(ours, prepared, run.seconds), _burst(theirs, for_theirs or prepared, run.seconds))
        for _ in range(run.repeat)
    ]


def _burst(server: Server, prepared: Path, seconds: float, keys: str = "") -> Measure:
    done = burst((server,), prepared, seconds, keys)
    return Measure(done.rate, done.cpu)


@contextmanager
def running(directory: Path, definition: str = "", *options: str, checkout: Checkout = HERE) -> Iterator[Server]:
    """Run a server with one board that has this definition (TOML) and all members."""
    directory.mkdir(mode=0o755)
    boards = directory / "boards.toml"
    boards.write_text(f"[boards.{requests.BOARD}]\n{definition}")
    with servers.laurels(directory, directory / "data", "--boards", str(boards), *options, checkout=checkout) as server:
        server.await_answer()
        requests.ask(server.port, (requests.batch(some) for some in batches(members(MEMBERS))))
        yield server
