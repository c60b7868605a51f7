"""One node of Redis that syncs each act is killed over and over, while a service counts on it."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.conftest import started
from tests.redis_servers import running, until

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.soak.run import Figures, Run

WRITERS = 8
LONGEST_OUTAGE = 30.0
BOARDS = '[boards.sums]\noperator = "increment"\n'


class Writer(Thread):
    """A client that adds numbers to its own sum, each under a key of its own, until each is acknowledged."""

    def __init__(self, server: Server, place: int, ended: Event) -> None:
        super().__init__()
        self.server = server
        self.name = f"writer-{place}"
        self.ended = ended
        self.acknowledged = 0
        self.refused = 0
        self.fault = ""

    def run(self) -> None:
        """Add one number after another."""
        number = 0
        while not (self.ended.is_set() or self.fault):
            number += 1
            self._add(number)

    def _add(self, number: int) -> None:
        """Send a number until it is acknowledged; there is a fault if that takes too long, or is another refusal."""
        deadline = time.monotonic() + LONGEST_OUTAGE
        while (status := self._send(number)) == 503 and time.monotonic() < deadline:
            self.refused += 1
            time.sleep(0.01)  # Retry-After says a second, which would leave the server without load after each kill
        if status == 202:
            self.acknowledged += number
        else:  # pragma: no cover - a fault
            self.fault = f"{self.name}: number {number} was answered with {status}"

    def _send(self, number: int) -> int:
        """Send a number once; return the status of the answer."""
        with closing(HTTPConnection(self.server.host, self.server.port, timeout=LONGEST_OUTAGE)) as connection:
            head = {"Content-Type": "application/json", "Idempotency-Key": f"{self.name}-{number}"}
            connection.request("POST", f"/sums/{self.name}", b'{"score":%d}' % number, head)
            try:
                return connection.getresponse().status
            except (OSError, HTTPException):  # pragma: no cover - a fault: the service itself is not killed
                return 0


def kill_one_node(run: Run) -> Figures:
    """Kill it at random moments under load: each sum is exactly what was acknowledged."""
    boards = run.directory / "boards.toml"
    boards.write_text(BOARDS)
    kills, ended = 0, Event()
    with ExitStack() as stack:
        node = stack.enter_context(running(run.directory / "node", appendonly="yes", appendfsync="always"))
        command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--store", node.url]
        server = stack.enter_context(started([*command, "--boards", str(boards)], directory=run.directory))
        writers = [Writer(server, place, ended) for place in range(WRITERS)]
        stack.callback(ended.set)
        for writer in writers:
            writer.start()
        while run.goes_on(kills=kills, added=sum(writer.acknowledged for writer in writers)) or kills == 0:
            before = sum(writer.acknowledged for writer in writers)
            until(lambda: sum(writer.acknowledged for writer in writers) > before or any(w.fault for w in writers))  # noqa: B023 - it is called at once
            time.sleep(run.random.uniform(0, 0.2))
            node.kill()
            time.sleep(run.random.choice((0, 0, 0.5)))  # writers meet a server that is away, too
            node.start()
            kills += 1
        ended.set()
        for writer in writers:
            writer.join()
        assert not [writer.fault for writer in writers if writer.fault], [writer.fault for writer in writers]
        with closing(node.client()) as client:
            sums = {name.decode(): score for name, score in client.zrange("laurels:{sums}", 0, -1, withscores=True)}
    wrong = {w.name: (w.acknowledged, sums.get(w.name)) for w in writers if sums.get(w.name) != w.acknowledged}
    assert not wrong, wrong
    return {
        "kills": kills,
        "refused and sent again": sum(writer.refused for writer in writers),
        "added": sum(writer.acknowledged for writer in writers),
        "lost": 0,
        "counted twice": 0,
    }
