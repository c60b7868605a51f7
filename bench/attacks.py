"""Attacks of one client on a running service, each for some seconds; the row ``attacks`` looks on.

    python -m bench.attacks PORT SECONDS NAME

To add one: a coroutine function of a port and some seconds in :data:`ATTACKS`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from bench import crowds
from laurels.limits import BATCH_BYTES, BATCH_ENTRIES, BODY_BYTES

Attack: TypeAlias = Callable[[int, float], Awaitable[None]]

CONNECTIONS = 4
READ_BYTES = 2**16
GONE = (ConnectionError, asyncio.IncompleteReadError)


def post(target: str, body: bytes, method: str = "POST") -> bytes:
    """Return a request with a body of JSON."""
    head = f"{method} {target} HTTP/1.1\r\nHost: attacked\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(target: str, *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: attacked", *lines, "", ""]).encode()


async def repeat(request: bytes, port: int, seconds: float) -> None:
    """Send a request over a few connections, again and again, each time when it has been answered."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_repeat(request, port) for _ in range(CONNECTIONS)))
    except TimeoutError:
        return


async def _repeat(request: bytes, port: int) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
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

CROWDS: dict[str, Attack] = {
    "200 connections with 3,000 pipelined pages": crowds.pipelined_pages,
    "2,000 readers that read nothing": crowds.slow_readers,
    "2,000 unfinished bodies": crowds.unfinished_bodies,
}

ATTACKS: dict[str, Attack] = {name: partial(repeat, request) for name, request in BODIES.items()} | CROWDS


def main(arguments: list[str]) -> None:
    """Run the attack that the command line names."""
    port, seconds, name = arguments
    asyncio.run(ATTACKS[name](int(port), float(seconds)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
