"""An audience: many subscribers of one feed, each a socket, all read by one process that keeps nothing but times.

    python -m bench.audience PORT TARGET COUNT FORM [SLOW]

connects COUNT times at once, as FORM says (``events`` or ``websocket``), and reads until its input ends. When all have
a page, and at each line of its input, it prints a :class:`Seen` of what came since it last did. SLOW of them read
nothing after their page. A ``%d`` in TARGET is the number of the subscriber, in 8 digits as in names.

Scores are the microseconds of the machine's monotonic clock at which they were submitted (:mod:`bench.touching`), so an
event says itself since when it was due.
"""

from __future__ import annotations

import gc
import re
import select
import socket
import sys
import time

import msgspec

from bench.machine import raise_descriptors

CLOCK = time.perf_counter
READ_BYTES = 2**16
BATCH = 512
SCORE = re.compile(rb'"score":(\d+)')
PLAIN = "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = (
    "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FORMS = {"events": (PLAIN, b"\nid: "), "websocket": (UPGRADE, b',"id":"')}
"""How each asks, and what stands before an id."""
ID_BYTES = 20
"""How much behind that tells ids apart."""
SMALL_RECEIVE = 4096
"""The receive buffer of who reads nothing, so that it is full soon."""


class Seen(msgspec.Struct):
    """What the audience saw."""

    seconds: float = 0.0
    """How long that took; at first from the first connection to the last page."""
    taken: list[float] = []
    """For events as they came: the seconds since the oldest submit was due that they show."""
    events: int = 0
    bytes: int = 0
    lost: int = 0
    """How many connections ended."""


class Audience:
    """Sockets, and what came."""

    def __init__(self, port: int, target: str, count: int, slow: int, form: str) -> None:
        """Connect all at once."""
        self.seen = Seen()
        self._newest: dict[bytes, float] = {}
        self._before: dict[int, float] = {}
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._requests: dict[int, bytes] = {}
        request, self._mark = FORMS[form]
        self._slow: set[int] = set()
        self._begun = CLOCK()
        for number in range(count):
            made = socket.socket()
            made.setblocking(False)  # noqa: FBT003 - the name of the argument is not of this module
            place = made.fileno()
            if number < slow:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_RECEIVE)
                self._slow.add(place)
            made.connect_ex(("127.0.0.1", port))
            self._sockets[place] = made
            self._requests[place] = request.format(target=target.replace("%d", f"{number:08d}")).encode()
            self._poll.register(place, select.EPOLLOUT)

    def wait_for_pages(self, patience: float) -> None:
        """Read until each has something of the feed."""
        while len(self._before) + self.seen.lost < len(self._sockets) and CLOCK() - self._begun < patience:
            self.read(1.0)

    def tell(self) -> None:
        """Print what was seen, and forget it."""
        now = CLOCK()
        self.seen.seconds = now - self._begun
        sys.stdout.buffer.write(msgspec.json.encode(self.seen) + b"\n")
        sys.stdout.buffer.flush()
        self.seen, self._begun = Seen(), CLOCK()

    def read(self, patience: float) -> None:
        """Read once from all sockets that have something."""
        ready = self._poll.poll(patience, BATCH)
        now = CLOCK()
        for place, what in ready:
            connection = self._sockets[place]
            if what & select.EPOLLOUT:
                self._ask(place, connection)
                continue
            try:
                data = connection.recv(READ_BYTES)
            except ConnectionError:
                data = b""
            if data:
                self._take(place, data, now)
            else:
                self._poll.unregister(place)
                self.seen.lost += 1

    def _ask(self, place: int, connection: socket.socket) -> None:
        try:
            connection.send(self._requests[place])
        except ConnectionError:
            self._poll.unregister(place)
            self.seen.lost += 1
            return
        self._poll.modify(place, select.EPOLLIN)

    def _take(self, place: int, data: bytes, now: float) -> None:
        self.seen.bytes += len(data)
        at = data.rfind(self._mark)
        if at < 0:
            return
        ident = data[at : at + ID_BYTES + len(self._mark)]
        newest = self._newest.get(ident)
        if newest is None:
            scores = [int(score) for score in SCORE.findall(data)]
            newest = self._newest[ident] = max(scores, default=0) / 1e6
        self.seen.events += 1
        before = self._before.get(place)
        self._before[place] = newest
        if before is None:
            if place in self._slow:
                self._poll.unregister(place)
        elif newest > before:
            self.seen.taken.append(now - max(before, self._begun))


def main(arguments: list[str]) -> None:
    """Connect, read until the input ends, tell what was seen when asked."""
    port, target, count, form, *slow = arguments
    raise_descriptors()
    gc.disable()
    audience = Audience(int(port), target, int(count), int(*slow), form)
    audience.wait_for_pages(60.0)
    audience.tell()
    asked = select.poll()
    asked.register(sys.stdin, select.POLLIN)
    while True:
        if asked.poll(0):
            if not sys.stdin.buffer.raw.read(1):  # type: ignore[union-attr]
                return
            audience.tell()
        audience.read(0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
