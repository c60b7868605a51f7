"""Attacks by many connections: what they hold of the server's memory and time, besides the row ``attacks``.

Each is a coroutine function of a port and some seconds, as those of :mod:`bench.attacks`.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from laurels.limits import BATCH_BYTES, BATCH_ENTRIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

READ_BYTES = 2**18
PIPELINED = 3000
PAGE = b"GET /crowded?startRank=0&endRank=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % BATCH_ENTRIES
SUBMIT = b"POST /crowded/%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


@asynccontextmanager
async def _connected(port: int, count: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Open connections to a server that has a board of a full page."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            made.append(await asyncio.open_connection("127.0.0.1", port, limit=READ_BYTES))
            stack.callback(made[-1][1].close)
        yield made


async def _fill(port: int) -> None:
    entries = [{"name": f"player{place}", "score": place} for place in range(BATCH_ENTRIES)]
    body = json.dumps({"entries": entries}).encode()
    async with _connected(port, 1) as [(reader, writer)]:
        writer.write(SUBMIT.replace(b"/%b", b"") % len(body) + body)
        await reader.readline()


async def pipelined_pages(port: int, seconds: float) -> None:
    """Have 200 connections send 3,000 requests for a full page each, in one piece, and read all answers."""
    await _fill(port)

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PAGE * PIPELINED)
        while await reader.read(READ_BYTES):
            pass

    async with _connected(port, 200) as made:
        await _until_over(seconds, *(ask(*each) for each in made))


async def slow_readers(port: int, seconds: float, count: int = 2000) -> None:
    """Have connections ask for 50 full pages each, and read nothing."""
    await _fill(port)
    async with _connected(port, count) as made:
        for reader, writer in made:
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing else stops it
            writer.write(PAGE * 50)
        await asyncio.sleep(seconds)


async def unfinished_bodies(port: int, seconds: float, count: int = 2000) -> None:
    """Have connections send all of a batch but its last byte."""
    request = SUBMIT.replace(b"/%b", b"") % BATCH_BYTES + b" " * (BATCH_BYTES - 1)

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request)
        await writer.drain()

    async with _connected(port, count) as made:
        await _until_over(seconds, *(send(*each) for each in made))


async def _until_over(seconds: float, *sending: Coroutine[None, None, None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*sending, return_exceptions=True)
            await asyncio.sleep(seconds)
    except TimeoutError:
        return
