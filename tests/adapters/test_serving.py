"""A service in a loop that runs already: it answers while its block lasts, and ends with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from laurels.assembly import serving
from laurels.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_ends_with_its_block(tmp_path: Path) -> None:
    """Who is in the middle of a request then does not keep it, and the directory is free for the next."""

    async def leave_in_the_middle() -> bytes:
        async with serving(Settings(data=tmp_path)) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /-/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await reader.readuntil(b"}")
            writer.write(b"POST /kart/v HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            answer += await reader.readuntil(b"100 Continue\r\n\r\n")
        with suppress(ConnectionResetError):
            answer += await reader.read()
        writer.close()
        async with serving(Settings(data=tmp_path)):
            return answer

    answer = asyncio.run(leave_in_the_middle())
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b" 202 " not in answer
