"""Submits at a steady rate that each come first on their board: each score is the time at which it was due.

    python -m bench.touching PORT SECONDS RATE NAMES

of so many names in turn, over a few connections; a submit that is late is sent at once, and its score says when it was
due. All are answered, or it fails.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

from bench.errors import LoadFailed
from bench.members import name_of
from bench.requests import BOARD, Request

CLOCK = time.perf_counter
CONNECTIONS = 8
ACCEPTED = b"HTTP/1.1 202 "


def touch(port: int, seconds: float, rate: float, names: int) -> None:
    """Send submits, and wait for all answers; raise LoadFailed."""
    sent = answered = 0
    with selectors.DefaultSelector() as ready:
        made = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(CONNECTIONS)]
        for each in made:
            ready.register(each, selectors.EVENT_READ)
        begun = CLOCK()
        asked = int(seconds * rate)
        while answered < asked:
            if CLOCK() - begun > seconds + 30:
                raise LoadFailed("the server", f"it answered {answered} of {asked} submits")
            while sent < asked and begun + sent / rate <= CLOCK():
                made[sent % CONNECTIONS].sendall(_submit(sent % names, begun + sent / rate))
                sent += 1
            for key, _ in ready.select(max(0.001, begun + sent / rate - CLOCK()) if sent < asked else 1):
                answered += key.fileobj.recv(2**16).count(ACCEPTED)  # type: ignore[union-attr]
        for each in made:
            each.close()


def _submit(place: int, due: float) -> bytes:
    return Request("POST", f"/{BOARD}/{name_of(place)}", f'{{"score":{int(due * 1e6)}}}').wire


def main(arguments: list[str]) -> None:
    """Send what the command line says."""
    port, seconds, rate, names = arguments
    touch(int(port), float(seconds), float(rate), int(names))


if __name__ == "__main__":
    main(sys.argv[1:])
