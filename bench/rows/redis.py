"""The core routes of a worker on Redis: beside FastAPI over Redis on one core, beside bare commands on a core each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import requests, servers
from bench.figures import Figure, Measure, Run, Subject, Target, compare
from bench.load import CONNECTIONS, burst
from bench.machine import CLIENT_CORE, SERVER_CORE
from bench.members import batches, members
from bench.peers import redis
from bench.rows.http import agree, busy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.servers import Server

MEMBERS = redis.NAMES
PREPARED = 10_000
SAMPLE = 100
WARM_UP = 1.0
BARE = "bare"
COMMANDS_A_SECOND = 50_000
"""About as many as redis-benchmark sends: it takes a number of commands, not a time."""
SENT = {"standing": requests.standings, "page": requests.pages, "submit": requests.submits}
COMMANDS = {
    "standing": ("ZREVRANK", BARE, "__rand_int__"),
    "page": ("ZREVRANGE", BARE, str(MEMBERS // 2), str(MEMBERS // 2 + 19), "WITHSCORES"),
    "submit": ("ZADD", BARE, "__rand_int__", "__rand_int__"),
}


def routes(run: Run) -> Iterator[Figure]:
    """Measure the core routes, all servers on one core, against FastAPI that sends the same commands."""
    directory = run.directory / "redis"
    with running(directory) as (ours, store), _fastapi(directory / "peer") as (theirs, other):
        for what, target in (("standing", 7.0), ("page", 5.5), ("submit", 6.5)):
            sent = SENT[what](MEMBERS, PREPARED)
            agree(ours, theirs, sent[:SAMPLE])
            prepared = requests.save(sent, directory / f"{what}.requests")
            sides = ((ours, store), (theirs, other))
            for side in sides:
                burst(side, prepared, WARM_UP)
            rounds = [[burst(side, prepared, run.seconds) for side in sides] for _ in range(run.repeat)]
            pairs = [(Measure(our.rate, our.cpu), Measure(their.rate, their.cpu)) for our, their in rounds]
            subject = Subject("redis", f"{what} on Redis, one core, {MEMBERS:,} members", "/s", Target(">=", target))
            yield compare(subject, "FastAPI + Redis", pairs, busy(pairs))


def bare(run: Run) -> Iterator[Figure]:
    """Measure the core routes, worker and Redis on a core each, against ``redis-benchmark`` on that Redis."""
    directory = run.directory / "redis-bare"
    with running(directory, core=CLIENT_CORE) as (worker, store):
        names = ((f"{place:012d}", place) for place in range(MEMBERS))
        redis.fill(store.port, BARE, names)
        for what, command in COMMANDS.items():
            prepared = requests.save(SENT[what](MEMBERS, PREPARED), directory / f"{what}.requests")
            burst((worker, store), prepared, WARM_UP, from_both=True)
            pairs = []
            for _ in range(run.repeat):
                ours = burst((worker, store), prepared, run.seconds, from_both=True)
                count = round(COMMANDS_A_SECOND * run.seconds)
                pairs.append(
                    (Measure(ours.rate, ours.cpu), Measure(redis.benchmark(store.port, CONNECTIONS, count, *command)))
                )
            subject = Subject("redis-bare", f"{what} on Redis, a core each", "/s", Target(">=", 0.3))
            yield compare(subject, command[0], pairs)


@contextmanager
def running(
    directory: Path, definition: str = "", *options: str, core: int = SERVER_CORE, both_cores: bool = False
) -> Iterator[tuple[Server, Server]]:
    """Run a service with one board that has this definition (TOML) and all members, and its Redis."""
    directory.mkdir(mode=0o755)
    boards = directory / "boards.toml"
    boards.write_text(f"[boards.{requests.BOARD}]\n{definition}")
    options = ("--boards", str(boards), *options)
    with servers.redis(directory, core) as store:
        store.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME)
        with servers.laurels_on_redis(directory, store.port, *options, both_cores=both_cores) as server:
            server.await_answer()
            requests.ask(server.port, (requests.batch(some) for some in batches(members(MEMBERS))))
            yield server, store


@contextmanager
def _fastapi(directory: Path) -> Iterator[tuple[Server, Server]]:
    directory.mkdir(mode=0o755)
    with servers.redis(directory) as store:
        store.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME)
        redis.fill(store.port, requests.BOARD, members(MEMBERS))
        with servers.fastapi(directory, store.port) as server:
            server.await_answer()
            yield server, store
