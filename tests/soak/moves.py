"""A board is moved from one number of partitions to another over and over, and what has a part in that is killed.

Killed without warning are the command that moves, workers of the service, and the server, while clients submit and
read. At the end the board is the one that an embedded store makes of the same submits.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from laurels.boards import Boards
from laurels.definition import Definition
from laurels.stores.contract import Submission
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.redis.store import RedisStore
from tests.conftest import started
from tests.redis_servers import Node, running
from tests.soak.kills import LONGEST_OUTAGE

if TYPE_CHECKING:
    from laurels.stores.contract import Store
    from tests.conftest import Server
    from tests.soak.run import Figures, Run

WRITERS, OWN_NAMES = 6, 8
FILLERS = 1500
PARTITIONS = (1, 4, 16, 3)
SUMS = Definition(operator="increment", windows=("monthly",))
PAGE = 1000
HIDDEN = ("f7", "0-1")


class Client(Thread):
    """A client; there is a fault if what it asks is not answered in time, or wrongly."""

    def __init__(self, server: Server, ended: Event) -> None:
        super().__init__()
        self.server = server
        self.ended = ended
        self.refused = 0
        self.fault = ""

    def ask(self, method: str, path: str, body: bytes | None = None, key: str = "") -> bytes:
        """Ask until there is an answer that is not 503."""
        deadline = time.monotonic() + LONGEST_OUTAGE
        status, answer = 0, b""
        while time.monotonic() < deadline and not self.fault:  # pragma: no branch - a fault
            head = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
            with closing(HTTPConnection(self.server.host, self.server.port, timeout=LONGEST_OUTAGE)) as connection:
                try:
                    connection.request(method, path, body, head)
                    response = connection.getresponse()
                    status, answer = response.status, response.read()
                except (OSError, HTTPException):  # pragma: no cover - its worker was killed
                    status = 0
            if status in {200, 202}:
                return answer
            if status not in {0, 503}:  # pragma: no cover - a fault
                break
            self.refused += 1
            time.sleep(0.01)
        self.fault = f"{method} {path} was answered with {status}: {answer!r}"  # pragma: no cover - a fault
        return b""  # pragma: no cover - a fault


class Writer(Client):
    """A client that adds 1 to names of its own, alone or to all of them at once, each with a key until it counts."""

    def __init__(self, server: Server, place: int, ended: Event) -> None:
        super().__init__(server, ended)
        self.names = [f"{place}-{number}" for number in range(OWN_NAMES)]
        self.added = dict.fromkeys(self.names, 0)
        self.last: dict[str, str] = {}

    def run(self) -> None:
        """Add to one name after another, and to all of them now and then."""
        number = 0
        while not (self.ended.is_set() or self.fault):
            number += 1
            key = f"{self.names[0]}-{number}"
            name = self.names[number % OWN_NAMES]
            some, path = (self.names, "/sums") if number % 5 == 0 else ([name], f"/sums/{name}")
            entries = [{"name": each, "score": 1, "metadata": {"of": key}} for each in some]
            body: Any = {"entries": entries} if len(some) > 1 else {"score": 1, "metadata": {"of": key}}
            self.ask("POST", path, json.dumps(body).encode(), key)
            for each in some:
                self.added[each] += 1
                self.last[each] = key


class Reader(Client):
    """A client that reads: each name is there once, and no sum gets less."""

    reads = 0

    def run(self) -> None:
        """Read the beginning of the board, and one standing, over and over."""
        sums: dict[str, int] = {}
        while not (self.ended.is_set() or self.fault):
            entries = json.loads(self.ask("GET", f"/sums?endRank={WRITERS * OWN_NAMES - 1}") or b"{}").get(
                "entries", []
            )
            names = [entry["name"] for entry in entries]
            found = {entry["name"]: entry["score"] for entry in entries}
            if len(set(names)) < len(names):  # pragma: no cover - a fault
                self.fault = f"a name is twice on a page: {sorted(names)}"
            less = {name: (sums[name], score) for name, score in found.items() if sums.get(name, 0) > score}
            if less:  # pragma: no cover - a fault
                self.fault = f"sums got less: {less}"
            sums |= found
            self.ask("GET", "/sums/1-1")
            self.reads += 1


class Killer:
    """What moves the board, and kills what has a part in it."""

    def __init__(self, run: Run, node: Node, server: Server) -> None:
        self._run = run
        self._node = node
        self._server = server
        self.moves = 0
        self.kills = {"command": 0, "worker": 0, "server": 0}

    def move(self) -> None:
        """Move the board to another number of partitions: begin that some times, and then to the end."""
        count = PARTITIONS[(self.moves + 1) % len(PARTITIONS)]
        for _ in range(self._run.random.randrange(1, 4)):
            commands = [self._command(count) for _ in range(self._run.random.choice((1, 1, 2)))]
            time.sleep(self._run.random.uniform(0.6, 1.5))
            self._kill(self._run.random.choice(tuple(self.kills)))
            for each in commands:
                each.kill()
                each.communicate()
        ended = self._command(count)
        _, said = ended.communicate(timeout=60)
        assert ended.returncode == 0, said
        self.moves += 1

    def _command(self, count: int) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "laurels", "boards", "repartition", "sums", str(count)]
        words += ["--store", self._node.url, "--json"]
        return subprocess.Popen(words, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def _kill(self, what: str) -> None:
        """Kill a worker or the server; the command is killed in any case."""
        self.kills[what] += 1
        if what == "worker":  # pragma: no cover - by chance
            process = self._server.process.pid
            workers = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            if workers:
                os.kill(int(self._run.random.choice(workers)), signal.SIGKILL)
        elif what == "server":  # pragma: no cover - by chance
            self._node.kill()
            self._node.start()


async def _read(store: Store) -> dict[str, Any]:
    """Return all that can be read of the board, and close the store."""
    try:
        boards = Boards(store)
        await boards.declare()
        board, found = boards.board("sums"), dict[str, Any]()
        for where, name in ((board, "all"), (boards.period_of("sums", "monthly", None), "month")):
            count = await store.count(where)
            pages = [await store.page(where, at, at + PAGE, with_metadata=True) for at in range(0, count, PAGE)]
            found[name] = [(each.name, each.score, each.rank, each.metadata) for page in pages for each in page]
            found[f"summary of {name}"] = await store.summary(where)
        found["hidden"] = [each.name for each in await store.hidden(board)]
        found["hidden scores"] = [await store.standing(board, name) for name in HIDDEN]
        return found
    finally:
        await store.close()


async def _fill(store: Store, writers: list[Writer]) -> None:
    """Submit what the writers have, and what is there from the beginning."""
    await store.define("sums", SUMS)
    boards = Boards(store)
    await boards.declare()
    for name in HIDDEN:
        await boards.hide("sums", name)
    for start in range(0, FILLERS, 500):
        await boards.submit_many("sums", [Submission(f"f{at}", -at) for at in range(start, start + 500)])
    for writer in writers:
        for name, added in writer.added.items():
            for number in range(added):
                metadata = json.dumps({"of": writer.last[name]}, separators=(",", ":")).encode()
                await boards.submit("sums", Submission(name, 1, metadata if number == added - 1 else None))


async def _embedded(path: Path, writers: list[Writer]) -> dict[str, Any]:
    store = await EmbeddedStore.open(path)
    await _fill(store, writers)
    return await _read(store)


async def _prepare(url: str) -> None:
    store = RedisStore(url)
    await _fill(store, [])
    await store.close()


def move_under_kills(run: Run) -> Figures:
    """Move a board under load while all is killed that has a part in it: it is as if it had never been moved."""
    ended = Event()
    with ExitStack() as stack:
        node = stack.enter_context(running(run.directory / "node", appendonly="yes", appendfsync="always"))
        asyncio.run(_prepare(node.url))
        command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--store", node.url, "--workers", "2"]
        server = stack.enter_context(started(command, directory=run.directory))
        writers = [Writer(server, place, ended) for place in range(WRITERS)]
        readers = [Reader(server, ended) for _ in range(2)]
        clients: list[Client] = [*writers, *readers]
        killer = Killer(run, node, server)
        stack.callback(ended.set)
        for client in clients:
            client.start()
        while killer.moves == 0 or run.goes_on(moves=killer.moves, **killer.kills):
            killer.move()
        ended.set()
        for client in clients:
            client.join()
        faults = [client.fault for client in clients if client.fault]
        assert not faults, faults
        found = asyncio.run(_read(RedisStore(node.url)))
    expected = asyncio.run(_embedded(run.directory / "embedded", writers))
    for what, is_so in found.items():
        assert is_so == expected[what], (what, _difference(is_so, expected[what]))
    return {
        "moves": killer.moves,
        **{f"{what} killed": kills for what, kills in killer.kills.items()},
        "added": sum(sum(writer.added.values()) for writer in writers),
        "refused and sent again": sum(client.refused for client in clients),
        "reads": sum(reader.reads for reader in readers),
        "lost": 0,
        "counted twice": 0,
    }


def _difference(found: Any, expected: Any) -> Any:  # pragma: no cover - a fault
    if not isinstance(found, list):
        return found, expected
    return [pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]][:5]
