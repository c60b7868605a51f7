"""What boards on Redis cost beyond a plain one: features, partitions and memory; several workers; an import."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import requests, servers
from bench.errors import NotOffered
from bench.figures import SHOWN, Figure, Measure, Run, Subject, Target, compare, median, single
from bench.load import burst
from bench.members import batches, members
from bench.peers import redis
from bench.requests import BOARD, Request
from bench.rows.bulk import file_of, import_file, rows_of
from bench.servers import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.servers import Server

    Sides = tuple[Server, Server]

MEMBERS = 100_000
PREPARED = 10_000
WARM_UP = 1.0
METADATA = "x" * 98
"""100 bytes of JSON."""
EARLIEST, DENSE = 'ties = "earliest"', 'ranking = "dense"'
WINDOWS = 'windows = ["daily", "weekly", "monthly"]'
GUARD = 'guard = { max_step = 1_000_000, per_player = "10000/s" }'
ALL = f'{EARLIEST}\n{DENSE}\n{WINDOWS}\n{GUARD}\nttl = "365d"'
PLAIN = "plain"
KEYED, DESCRIBED, EVERY = "idempotency-key", "metadata", "every-feature"
FEATURES = {
    PLAIN: "",
    "windows": WINDOWS,
    "ties-by-time": EARLIEST,
    "dense-ranks": DENSE,
    "guard": GUARD,
    KEYED: "",
    DESCRIBED: "",
    EVERY: ALL,
}
"""Definitions by the names of their boards; some features are of the request, not of the board."""
PARTITIONS = (1, 4, 16, 64)
KINDS = {PLAIN: "", "ties by time": EARLIEST, "dense ranks": DENSE, "100 bytes of metadata": ""}
WORKERS = 2


def features(run: Run) -> Iterator[Figure]:
    """Measure submits and standings with one feature each, and with all, against a plain board of the same service."""
    with _running(run.directory / "redis-features", FEATURES) as sides:
        for kind in ("submit", "standing"):
            sent = _sent(kind)
            kept = [name for name, each in FEATURES.items() if kind == "submit" or each or name == PLAIN]
            loads = {name: _save(run, f"{kind}-{name}", _for(name, sent)) for name in kept}
            rounds = _rounds(run, sides, loads, (KEYED, EVERY) if kind == "submit" else ())
            for name in kept[1:]:
                pairs = [(each[name], each[PLAIN]) for each in rounds]
                what = f"{kind} on Redis, {name.replace('-', ' ')}, {MEMBERS:,} members"
                yield compare(Subject("redis-features", what, "/s", Target(">=", 0.4)), "plain board", pairs)


def partitions(run: Run) -> Iterator[Figure]:
    """Measure standings and pages of boards over several partitions, against one over one, all on one Redis."""
    boards = {f"over-{count}": f"partitions = {count}" for count in PARTITIONS}
    with _running(run.directory / "redis-partitions", boards) as sides:
        for kind in ("standing", "page"):
            loads = {name: _save(run, f"{kind}-{name}", _for(name, _sent(kind))) for name in boards}
            rounds = _rounds(run, sides, loads)
            for count in PARTITIONS[1:]:
                pairs = [(each[f"over-{count}"], each["over-1"]) for each in rounds]
                target = Target(">=", 0.25) if (kind, count) == ("standing", 16) else SHOWN
                what = f"{kind} on Redis, {count} partitions, {MEMBERS:,} members"
                yield compare(Subject("redis-partitions", what, "/s", target), "one", pairs)


def workers(run: Run) -> Iterator[Figure]:
    """Measure the core routes with two workers against one; they, Redis and the load share both cores."""
    if not HERE.serves_with("--workers"):
        raise NotOffered("--workers")
    boards = {BOARD: ""}
    with (
        _running(run.directory / "redis-workers", boards, "--workers", str(WORKERS), both_cores=True) as several,
        _running(run.directory / "redis-worker", boards, both_cores=True) as one,
    ):
        for kind in ("standing", "page", "submit"):
            prepared = _save(run, f"{kind}-workers", _sent(kind))
            for sides in (several, one):
                _measure(sides, prepared, WARM_UP, from_both=True)
            rounds = [
                [_measure(sides, prepared, run.seconds, from_both=True) for sides in (several, one)]
                for _ in range(run.repeat)
            ]
            what = f"{kind} on Redis, {WORKERS} workers, all on two cores"
            yield compare(
                Subject("redis-workers", what, "/s", SHOWN), "one worker", [(ours, theirs) for ours, theirs in rounds]
            )


def memory(run: Run) -> Iterator[Figure]:
    """Measure what an entry takes in Redis, against a bare sorted set of the same names."""
    directory = run.directory / "redis-memory"
    with _running(directory, {name.replace(" ", "-"): each for name, each in KINDS.items()}, fill=False) as sides:
        service, store = sides
        before = redis.used_memory(store.port)
        redis.fill(store.port, "bare", members(MEMBERS))
        peer = Measure((redis.used_memory(store.port) - before) / MEMBERS)
        for name in KINDS:
            metadata = METADATA if "metadata" in name else ""
            board = name.replace(" ", "-")
            requests.ask(service.port, [Request("POST", f"/{board}/first", '{"score": 1}')])  # loads the scripts
            before = redis.used_memory(store.port)
            _fill(service, board, metadata)
            taken = Measure((redis.used_memory(store.port) - before) / MEMBERS)
            what = f"bytes an entry on Redis, {name}, 15-byte names"
            yield compare(Subject("redis-memory", what, "B", SHOWN), "bare sorted set", [(taken, peer)])


def bulk(run: Run) -> Iterator[Figure]:
    """Import the file onto a new board each time; service and Redis share a core, the client has the other."""
    file = file_of(run)
    rows = rows_of(file)
    with _running(run.directory / "redis-import", {}, fill=False) as (service, _):
        measures = [import_file(service, file, f"packages-{turn}", rows) for turn in range(run.repeat)]
    what = f"laurels import of {len(rows):,} rows to Redis"
    yield single(Subject("redis-import", what, "entries/s", Target(">=", 60_000, of="figure")), median(measures))


@contextmanager
def _running(
    directory: Path, boards: Mapping[str, str], *options: str, both_cores: bool = False, fill: bool = True
) -> Iterator[Sides]:
    """Run a service with boards of these definitions (TOML), each with all members, and its Redis."""
    directory.mkdir(mode=0o755)
    file = directory / "boards.toml"
    file.write_text("\n".join(f"[boards.{name}]\n{definition}" for name, definition in boards.items()))
    options = ("--boards", str(file), *options)
    with servers.redis(directory, both_cores=both_cores) as store:
        store.await_answer(servers.REDIS_HELLO, servers.REDIS_WELCOME)
        with servers.laurels_on_redis(directory, store.port, *options, both_cores=both_cores) as service:
            service.await_answer()
            for name in boards if fill else ():
                _fill(service, name, METADATA if name in {DESCRIBED, EVERY} else "")
            yield service, store


def _fill(service: Server, board: str, metadata: str) -> None:
    filled = (requests.batch(some, metadata) for some in batches(members(MEMBERS)))
    requests.ask(service.port, (Request(each.method, f"/{board}", each.body) for each in filled))


def _sent(kind: str) -> list[Request]:
    kinds = {"standing": requests.standings, "page": requests.pages, "submit": requests.submits}
    return kinds[kind](MEMBERS, PREPARED)


def _for(board: str, sent: Sequence[Request]) -> list[Request]:
    """Return requests as they are sent to another board, with metadata if it is about that."""
    more = f', "metadata": "{METADATA}"}}' if board in {DESCRIBED, EVERY} else "}"
    return [
        Request(each.method, each.path.replace(BOARD, board, 1), each.body and each.body.removesuffix("}") + more)
        for each in sent
    ]


def _save(run: Run, name: str, sent: Sequence[Request]) -> Path:
    return requests.save(sent, run.directory / f"redis-{name}.requests")


def _rounds(run: Run, sides: Sides, loads: Mapping[str, Path], keyed: Sequence[str] = ()) -> list[dict[str, Measure]]:
    """Load each board in turn, as often as the run says; those of ``keyed`` with a key of each request's own."""
    for name, prepared in loads.items():
        _measure(sides, prepared, WARM_UP, f"{name}-warm-" if name in keyed else "")
    return [
        {
            name: _measure(sides, prepared, run.seconds, f"{name}-{turn}-" if name in keyed else "")
            for name, prepared in loads.items()
        }
        for turn in range(run.repeat)
    ]


def _measure(sides: Sides, prepared: Path, seconds: float, keys: str = "", *, from_both: bool = False) -> Measure:
    done = burst(sides, prepared, seconds, keys, from_both=from_both)
    return Measure(done.rate, done.cpu)
