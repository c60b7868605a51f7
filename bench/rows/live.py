"""The feed: one board of a million that many look at, while each submit changes the page that they see."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import msgspec

from bench import requests, servers
from bench.audience import Seen
from bench.figures import Figure, Measure, Run, Subject, Target, compare, single
from bench.load import burst
from bench.machine import CLIENT_CORE, pinned, resident_bytes
from bench.members import batches, members, name_of
from bench.requests import BOARD, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.servers import Server

MEMBERS = 1_000_000
SUBSCRIBERS = 10_000
RATE, NAMES = 1_000, 1_000
OPTIONS = ("--max-connections", "10500", "--max-subscribers", "10000")
FIRST_PAGE = f"/-/boards/{BOARD}/live?startRank=0&endRank=20"
FORMS = ("events", "websocket")
SETTLING = 2.0
"""Seconds after which what connecting took has been done."""

OUT = Target("<=", 500, of="figure")
SHARE = Target("<=", 0.34, of="figure")
MEMORY = Target("<=", 20, of="figure")


class Audience:
    """A process of subscribers."""

    def __init__(self, server: Server, form: str, *, target: str = FIRST_PAGE, slow: int = 0) -> None:
        command = [sys.executable, "-m", "bench.audience", str(server.port), target, str(SUBSCRIBERS), form, str(slow)]
        self._process = subprocess.Popen(
            pinned(CLIENT_CORE, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=servers.ENVIRONMENT
        )
        self.joined = self._read()

    def ask(self) -> Seen:
        """Return what it saw since it was last asked."""
        assert self._process.stdin  # noqa: S101 - it is piped
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._read()

    def leave(self) -> None:
        """End it: all leave at once."""
        self._process.communicate()

    def _read(self) -> Seen:
        assert self._process.stdout  # noqa: S101 - it is piped
        return msgspec.json.decode(self._process.stdout.readline(), type=Seen)


@contextmanager
def _board(directory: Path) -> Iterator[Server]:
    directory.mkdir()
    with servers.laurels(directory, directory / "data", *OPTIONS) as server:
        server.await_answer()
        requests.ask(server.port, (requests.batch(batch) for batch in batches(members(MEMBERS))))
        yield server


def live(run: Run) -> Iterator[Figure]:
    """Touch a board with and without subscribers, of either form."""
    directory = run.directory / "live"
    directory.mkdir()
    with ExitStack() as stack:
        one, other = (stack.enter_context(_board(directory / name)) for name in FORMS)
        yield from _watch(run, one, other, "events", "Server-Sent Events")
        yield from _watch(run, other, one, "websocket", "WebSocket")


def _watch(run: Run, watched: Server, alone: Server, form: str, name: str) -> Iterator[Figure]:
    without = _touch(watched, run.seconds)
    before = resident_bytes(watched.pid)
    audience = Audience(watched, form)
    time.sleep(SETTLING)
    audience.ask()
    touched = _touch(watched, run.seconds)
    seen = audience.ask()
    grown = (resident_bytes(watched.pid) - before) / SUBSCRIBERS
    pairs = _take_turns(run, watched, alone)
    audience.leave()
    taken = sorted(seen.taken)
    yield single(
        Subject("live", f"{name}: an event out, {RATE:,} submits/s, {SUBSCRIBERS:,} subscribers: p99", "ms", OUT),
        Measure(_at(taken, 0.99) * 1e3),
        f"p50 {_at(taken, 0.5) * 1e3:.0f} ms; {seen.events / SUBSCRIBERS / seen.seconds:.1f} events/s",
    )
    subject = Subject("live", f"{name}: share of a core for the feed", "", SHARE)
    yield single(subject, Measure(touched - without), f"{without:.2f} without")
    note = f"{audience.joined.seconds:.1f} s until all had a page; {audience.joined.lost + seen.lost} lost"
    yield single(Subject("live", f"{name}: memory of a subscriber", "KiB", MEMORY), Measure(grown / 1024), note)
    subject = Subject("live", f"{name}: the most submits of the page that is seen", "/s", Target(">=", 0.6))
    yield compare(subject, "without subscribers", pairs)


def _take_turns(run: Run, watched: Server, alone: Server) -> list[tuple[Measure, Measure]]:
    sent = [Request("POST", f"/{BOARD}/{name_of(place)}", f'{{"score":{score}}}') for place, score in _climbing()]
    prepared = requests.save(sent, run.directory / "climbing")
    pairs = []
    for _ in range(run.repeat):
        ours, theirs = (burst((server,), prepared, run.seconds) for server in (watched, alone))
        pairs.append((Measure(ours.rate, ours.cpu), Measure(theirs.rate, theirs.cpu)))
    return pairs


def _climbing() -> Iterator[tuple[int, int]]:
    """Return places and scores that fill the first page, and are below those of :mod:`bench.touching` from now on."""
    chance, now = random.Random(requests.SEED), int(time.perf_counter() * 1e6)
    return ((number % 20, now - chance.randrange(1_000_000)) for number in range(10_000))


def _touch(server: Server, seconds: float) -> float:
    """Submit steadily; return how many seconds of CPU a second the server used."""
    command = [sys.executable, "-m", "bench.touching", str(server.port), str(seconds), str(RATE), str(NAMES)]
    begun, before = time.perf_counter(), server.cpu()
    subprocess.run(pinned(CLIENT_CORE, command), env=servers.ENVIRONMENT, check=True)
    return (server.cpu() - before) / (time.perf_counter() - begun)


def _at(times: list[float], quantile: float) -> float:
    return times[min(len(times) - 1, int(len(times) * quantile))]
