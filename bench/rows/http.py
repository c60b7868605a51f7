"""Requests a second of the three core routes: Laurels, nginx with a fixed response, FastAPI over Redis, in turns."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from bench import requests, servers
from bench.errors import Disagreement
from bench.figures import Figure, Measure, Run, Subject, Target, compare, median
from bench.load import burst, undisturbed
from bench.members import batches, members
from bench.peers import redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.requests import Request
    from bench.servers import Server

MEMBERS = 100_000
PREPARED = 10_000
SAMPLE = 100
WARM_UP = 1.0


class Field(Struct, frozen=True):
    """The contenders, each as the servers it consists of; the first gets the requests."""

    laurels: tuple[Server, ...]
    nginx: tuple[Server, ...]
    fastapi: tuple[Server, ...]


def standing(run: Run) -> Iterator[Figure]:
    """Measure ``GET /{board}/{name}``."""
    sent = requests.standings(MEMBERS, PREPARED)
    yield from _compare(run, "standing", sent, nginx=0.8, fastapi=25)


def page(run: Run) -> Iterator[Figure]:
    """Measure pages of 20 at random places."""
    sent = requests.pages(MEMBERS, PREPARED)
    yield from _compare(run, "page", sent, nginx=0.6, fastapi=20)


def submit(run: Run) -> Iterator[Figure]:
    """Measure submits: ours each on disk before its response, those of Redis in memory."""
    sent = requests.submits(MEMBERS, PREPARED)
    yield from _compare(run, "submit", sent, nginx=0.5, fastapi=25)


def _compare(run: Run, row: str, sent: list[Request], *, nginx: float, fastapi: float) -> Iterator[Figure]:
    prepared = requests.save(sent, run.directory / f"{row}.requests")
    with _running(run.directory / row) as field:
        agree(field.laurels[0], field.fastapi[0], sent[:SAMPLE])
        every = (field.laurels, field.nginx, field.fastapi)
        for side in every:
            burst(side, prepared, WARM_UP)
        rounds = [_round(field, prepared, run.seconds) for _ in range(run.repeat)]
    what = f"{row}, {MEMBERS:,} members, 64 connections"
    against_nginx = [(ours, theirs) for ours, theirs, _ in rounds]
    yield compare(Subject(row, what, "/s", Target(">=", nginx)), "nginx", against_nginx, busy(against_nginx))
    against_fastapi = [(ours, theirs) for ours, _, theirs in rounds]
    subject = Subject(row, what, "/s", Target(">=", fastapi))
    yield compare(subject, "FastAPI + Redis", against_fastapi, busy(against_fastapi))


def _round(field: Field, prepared: Path, seconds: float) -> tuple[Measure, Measure, Measure]:
    ours = burst(field.laurels, prepared, seconds)
    nginx, fastapi = (undisturbed(peer, prepared, seconds) for peer in (field.nginx, field.fastapi))
    return Measure(ours.rate, ours.cpu), Measure(nginx.rate, nginx.cpu), Measure(fastapi.rate, fastapi.cpu)


def busy(pairs: Sequence[tuple[Measure, Measure]]) -> str:
    """Format the share of its core that each side used; for the rest it waited, for a disk or for the generator."""
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    return f"busy {_share(ours):.0%} / {_share(theirs):.0%}"


def _share(measure: Measure) -> float:
    return measure.value * (measure.cpu or 0) / 1e6


@contextmanager
def _running(directory: Path) -> Iterator[Field]:
    directory.mkdir(mode=0o755)
    with ExitStack() as stack:
        nginx = stack.enter_context(servers.nginx(directory))
        store = stack.enter_context(servers.redis(directory))
        store.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME)
        fastapi = stack.enter_context(servers.fastapi(directory, store.port))
        laurels = stack.enter_context(servers.laurels(directory, directory / "data"))
        for server in (nginx, fastapi, laurels):
            server.await_answer()
        redis.fill(store.port, requests.BOARD, members(MEMBERS))
        requests.ask(laurels.port, (requests.batch(batch) for batch in batches(members(MEMBERS))))
        yield Field(laurels=(laurels,), nginx=(nginx,), fastapi=(fastapi, store))


def agree(laurels: Server, fastapi: Server, sample: list[Request]) -> None:
    """Send a sample and then reads of the same names to both; raise Disagreement if responses differ in meaning."""
    reads = [requests.Request("GET", request.path) for request in sample]
    ours = requests.ask(laurels.port, sample + reads)
    theirs = requests.ask(fastapi.port, sample + reads)
    for request, our, their in zip(sample + reads, ours, theirs, strict=True):
        if our.status != their.status or _meaning(our.body) != _meaning(their.body):
            raise Disagreement(f"{request.method} {request.path}", our.body, their.body)


def _meaning(body: bytes) -> object:
    return json.loads(body) if body else None
