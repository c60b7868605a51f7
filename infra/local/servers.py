"""The local servers of the stack, each a process of its own."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from infra.errors import NotStarted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path


@asynccontextmanager
async def running(command: Sequence[str], ready: str, log: Path) -> AsyncIterator[re.Match[str]]:
    """Run a program until the end of the block; yield the match of ``ready`` in its output.

    Raises NotStarted.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with log.open("wb", buffering=0) as kept:
        try:
            found = await _read_until(ready, process.stdout, kept.write)
            if found is None:
                await process.wait()
                raise NotStarted(command, log)
            # Its output is read to the end, by a pattern that never matches: a full pipe would stop the server.
            drain = asyncio.create_task(_read_until("$^", process.stdout, kept.write))
            try:
                yield found
            finally:
                _end(process)
                await drain
        finally:
            _end(process)
            await process.wait()


def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()


async def _read_until(pattern: str, stream: asyncio.StreamReader, keep: Callable[[bytes], int]) -> re.Match[str] | None:
    async for line in stream:
        keep(line)
        if found := re.search(pattern, line.decode()):
            return found
    return None
