"""Attacks of one client on a running service, each for some seconds; the row ``attacks`` looks on.

    python -m bench.attacks PORT SECONDS NAME

To add one: a coroutine function of a port and some seconds in :data:`ATTACKS`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib.resources import files
from itertools import count, cycle
from typing import TypeAlias

from bench import crowds
from laurels.limits import BATCH_BYTES, BATCH_ENTRIES, BODY_BYTES

Attack: TypeAlias = Callable[[int, float], Awaitable[None]]

CONNECTIONS = 4
READ_BYTES = 2**16
GONE = (ConnectionError, asyncio.IncompleteReadError)


def post(target: str, body: bytes, method: str = "POST") -> bytes:
    """Return a request with a body of JSON."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(target: str, *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


async def repeat(requests: Callable[[], Iterator[bytes]], port: int, seconds: float) -> None:
    """Send requests over a few connections, each when the one before has been answered."""
    try:
        async with asyncio.timeout(seconds):
            sent = requests()
            await asyncio.gather(*(_send(sent, port) for _ in range(CONNECTIONS)))
    except TimeoutError:
        return


async def _send(requests: Iterator[bytes], port: int) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for request in requests:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
                await reader.readexactly(length)
        except GONE:
            writer.close()


def fill(begin: bytes, item: bytes, end: bytes, size: int) -> bytes:
    """Return as many items, separated by commas, as a body of ``size`` bytes holds."""
    count = (size - len(begin) - len(end) + 1) // (len(item) + 1)
    return begin + b",".join([item] * count) + end


def _batch(**fields: object) -> bytes:
    entries = [{"name": f"n{i}", "score": i, **fields} for i in range(BATCH_ENTRIES)]
    return json.dumps({"entries": entries}, separators=(",", ":")).encode()


_ENTRIES = b'{"entries":['
_NESTED = {"a": [[{"b": [{"c": [1, 2, {"d": [[]] * 3}]}] * 4}] * 4] * 2}

BODIES = {
    "a batch of zeros": post("/attacked", fill(_ENTRIES, b"0", b"]}", BATCH_BYTES)),
    "a batch of empty objects": post("/attacked", fill(_ENTRIES, b"{}", b"]}", BATCH_BYTES)),
    "a batch of which all is wrong": post("/attacked", _batch(score="9" * 900)),
    "a batch with nested metadata": post("/attacked", _batch(metadata=_NESTED)),
    "a batch of long numbers": post(
        "/attacked", fill(_ENTRIES, b'{"name":"n","score":%b}' % (b"9" * 99_000), b"]}", BATCH_BYTES)
    ),
    "an endless list": post("/attacked", b"[" * BATCH_BYTES),
    "a list of tiny objects": post(
        "/attacked", fill(b'{"entries":[{"name":"n","score":1,"metadata":[', b'{"a":1}', b"]}]}", BATCH_BYTES)
    ),
    "a score of 60,000 digits": post("/attacked/n", b'{"score":%b}' % (b"9" * 60_000)),
    "a submit of tiny objects": post("/attacked/n", fill(b'{"score":1,"metadata":[', b'{"":1}', b"]}", BODY_BYTES)),
    "a definition of tiny objects": post("/-/boards/attacked", fill(b'{"keep":[', b'{"":1}', b"]}", BODY_BYTES), "PUT"),
    "2,000 parameters": get("/attacked?" + "&".join(["name=a"] * 1_150)),
    "parameters that nobody knows": get("/attacked?" + "&".join(f"p{i}" for i in range(1_300))),
    "a list of fields": get("/attacked?include=" + ",".join(["rank"] * 1_600)),
    "a head of 16 KiB": get("/attacked", *(f"X-{i}: a" for i in range(1_400))),
}
"""Requests by what they are; each is sent by :func:`repeat`."""

LINES = (
    "* * * * *",
    "*/1 * * * *",
    "0-59 * * * *",
    "* 0-23 * * *",
    "0 0 L * *",
    "0 0 * * MON#1",
    "0 0 29 2 *",
    "weekly",
)
LARGE_BOARD = 200_000
"""How many entries a board has that is dropped."""


def boards_with_windows() -> Iterator[bytes]:
    """Define boards with eight windows, each board in a zone of its own, and submit to them."""
    zones = files("tzdata").joinpath("zones").read_text().split()
    for number in count():
        definition = {"windows": LINES, "keep": dict.fromkeys(LINES, 1000), "time_zone": zones[number % len(zones)]}
        yield post(f"/-/boards/w{number}", json.dumps(definition).encode(), "PUT")
        yield post(f"/w{number}/n", b'{"score":1}')


def new_boards() -> Iterator[bytes]:
    """Submit to one new board after another, and list them."""
    for number in count():
        yield post(f"/b{number}/n", b'{"score":1}')
        if not number % 100:
            yield get("/-/boards?limit=1000")


def large_boards() -> Iterator[bytes]:
    """Fill a board, and drop it, again and again."""
    while True:
        for first in range(0, LARGE_BOARD, BATCH_ENTRIES):
            entries = [{"name": f"n{first + place}", "score": place} for place in range(BATCH_ENTRIES)]
            yield post("/large", json.dumps({"entries": entries}).encode())
        yield get("/large").replace(b"GET", b"DELETE", 1)


SEQUENCES = {
    "boards with eight windows each": boards_with_windows,
    "one new board after another": new_boards,
    "large boards that are dropped": large_boards,
}
CROWDS: dict[str, Attack] = {
    "200 connections with 3,000 pipelined pages": crowds.pipelined_pages,
    "2,000 readers that read nothing": crowds.slow_readers,
    "2,000 unfinished bodies": crowds.unfinished_bodies,
}

ATTACKS: dict[str, Attack] = CROWDS | {
    name: partial(repeat, requests)
    for name, requests in ({name: partial(cycle, [request]) for name, request in BODIES.items()} | SEQUENCES).items()
}


def main(arguments: list[str]) -> None:
    """Run the attack that the command line names."""
    port, seconds, name = arguments
    asyncio.run(ATTACKS[name](int(port), float(seconds)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
