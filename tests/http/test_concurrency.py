"""Many concurrent clients: nothing is lost or counted twice, and no response contradicts itself. Over both adapters."""

from __future__ import annotations

import random
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import pairwise
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.asking import ask
from tests.length import times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import Server

WRITERS, EACH, NAMES = 32, times(15), 7
JSON = {"content-type": "application/json"}


class Client:
    """A client that keeps its connection."""

    def __init__(self, service: Server) -> None:
        self._connection = HTTPConnection(service.host, service.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Send a request and return the JSON of its response."""
        content = None if body is None else msgspec.json.encode(body)
        self._connection.request(method, path, content, JSON | (headers or {}))
        with self._connection.getresponse() as response:
            assert response.status < 300, response.status
            content = response.read()
        return msgspec.json.decode(content) if content else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


LEAVING, ROUNDS = 250, 8


def submissions(writer: int) -> Iterable[tuple[str, int]]:
    """Return what a writer submits, the same at every call."""
    rng = random.Random(writer)
    return [(f"p{rng.randrange(NAMES)}", rng.randrange(1, 1000)) for _ in range(EACH)]


def write(service: Server, board: str, writer: int, how: str) -> None:
    """Send all submissions of a writer, one by one or as batches; those with keys are sent twice."""
    client = Client(service)
    for number, (name, score) in enumerate(submissions(writer)):
        if how == "batch":
            client.ask("POST", f"/{board}", {"entries": [{"name": name, "score": score}, {"name": "all", "score": 1}]})
        elif how == "key":
            for _ in range(2):
                client.ask("POST", f"/{board}/{name}", {"score": score}, {"idempotency-key": f"{writer}-{number}"})
        else:
            client.ask("POST", f"/{board}/{name}", {"score": score})
    client.close()


def read(service: Server, board: str, done: Event, seed: int) -> int:
    """Read until everything is written and check each response for contradictions; return how many reads there were."""
    client, rng, count = Client(service), random.Random(seed), 0
    reads = ["include=rank", "name=p1&name=p5&name=p3", "minScore=1&limit=100", "startRank=2&endRank=5&include=rank"]
    while not done.is_set() or not count:
        found = client.ask("GET", f"/{board}?{rng.choice(reads)}{rng.choice(['', '&window=daily'])}")["leaderboard"]
        check(found)
        summary = client.ask("GET", f"/-/boards/{board}/summary")
        assert sum(bucket["count"] for bucket in summary["histogram"]) == summary["count"]
        count += 1
    client.close()
    return count


def check(entries: list[dict[str, Any]]) -> None:
    """Check that scores fall, that competition ranks fit them, and that no name comes twice."""
    for first, second in pairwise(entries):
        assert first["score"] >= second["score"]
        assert (first["rank"] == second["rank"]) == (first["score"] == second["score"])
        assert first["rank"] <= second["rank"]
    assert len({entry["name"] for entry in entries}) == len(entries)


def expected(operator: str) -> dict[str, int]:
    """Return the score of each name after every submission has been counted once."""
    scores: dict[str, list[int]] = {}
    for writer in range(WRITERS):
        for name, score in submissions(writer):
            scores.setdefault(name, []).append(score)
    return {name: sum(all_) if operator == "increment" else max(all_) for name, all_ in scores.items()}


@pytest.mark.parametrize("how", ["submit", pytest.param("key", marks=pytest.mark.slow), "batch"])
@pytest.mark.parametrize("operator", ["increment", "best"])
def test_nothing_is_lost(service: Server, board: str, operator: str, how: str) -> None:
    """All that 32 clients submit concurrently is counted once in every window, and reads meanwhile are consistent."""
    definition = {"operator": operator, "ranking": "competition", "ties": "earliest", "windows": ["daily", "0 0 1 1 *"]}
    assert ask(service, "PUT", f"/-/boards/{board}", definition).status == 201
    done = Event()
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        readers = [pool.submit(read, service, board, done, seed) for seed in range(2)]
        for writing in [pool.submit(write, service, board, writer, how) for writer in range(WRITERS)]:
            writing.result()
        done.set()
        assert all(reader.result() for reader in readers)
    totals = expected(operator) | ({"all": WRITERS * EACH if operator == "increment" else 1} if how == "batch" else {})
    for window in ("", "&window=0+0+1+1+*"):
        found = ask(service, "GET", f"/{board}?endRank=100{window}").json["leaderboard"]
        assert {entry["name"]: entry["score"] for entry in found} == totals


def test_concurrent_submits_with_one_key(service: Server, board: str) -> None:
    """Of 32 concurrent submits with the same key one counts, and all get the same response."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "increment"})
    headers = {"idempotency-key": "k", "prefer": "return=representation"}
    with ThreadPoolExecutor(WRITERS) as pool:
        replies = [pool.submit(ask, service, "POST", f"/{board}/v", {"score": 5}, headers) for _ in range(WRITERS)]
        assert {(future.result().status, future.result().body) for future in replies} == {
            (200, b'{"score":5,"rank":0,"previous":null,"changed":true}')
        }
    assert ask(service, "GET", f"/{board}/v").json == {"score": 5, "rank": 0}


def test_around_is_consistent(service: Server, board: str) -> None:
    """The ranks of a name and its neighbours are consecutive while others submit."""
    ask(service, "POST", f"/{board}", {"entries": [{"name": f"p{number}", "score": number} for number in range(50)]})
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, service, board, writer, "submit") for writer in range(3)]
        client = Client(service)
        while not all(future.done() for future in writing):
            found = client.ask("GET", f"/{board}?around=p25&span=4")["leaderboard"]
            ranks = [entry["rank"] for entry in found]
            assert ranks == list(range(ranks[0], ranks[0] + len(ranks)))
        client.close()
        for future in writing:
            future.result()


def test_reads_whose_clients_have_left(service: Server, board: str) -> None:
    """A keyed submit does not wait behind 2,000 reads of metadata whose clients have left.

    The bound is two thirds of the time that the reads would take on an idle machine, and far more than a submit takes.
    """
    entries = [{"name": f"{number}", "score": number, "metadata": "x" * 98} for number in range(10_000)]
    for start in range(0, len(entries), 1000):
        assert ask(service, "POST", f"/{board}", {"entries": entries[start : start + 1000]}).status == 200
    submitter = Client(service)
    submitter.ask("GET", "/-/health")
    for turn in range(ROUNDS):
        clients = [socket.create_connection((service.host, service.port)) for _ in range(LEAVING)]
        for number, client in enumerate(clients):
            start = 37 * (turn * LEAVING + number) % 9_000
            target = f"/{board}?startRank={start}&endRank={start + 1000}&include=metadata"
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for client in clients:
            client.close()
    began = monotonic()
    submitter.ask("POST", f"/{board}/v", {"score": 1}, {"idempotency-key": "k"})
    took = monotonic() - began
    submitter.close()
    assert took < 6
