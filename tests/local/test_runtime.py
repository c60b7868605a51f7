"""One function and its execution environment, also when it does not answer."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from infra.errors import NotStarted
from infra.local.runtime import FunctionFailed, Setup
from infra.local.servers import running
from infra.local.stack import LAMBDA_RUNTIME, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from infra.local.runtime import Function

HANDLERS = """
import os, time
calls = 0
def count(event, context):
    global calls
    calls += 1
    return {"calls": calls, "event": event}
def fail(event, context):
    raise ValueError(event["why"])
def hang(event, context):
    time.sleep(event["seconds"])
    return "awake"
def end(event, context):
    os._exit(event["status"])
"""


@asynccontextmanager
async def function(directory: Path, handler: str, seconds: float = 20) -> AsyncIterator[Function]:
    """Run one function of the handlers above."""
    (directory / "handlers.py").write_text(HANDLERS)
    with ExitStack() as sockets:
        server = Server(sockets)
        setup = Setup(
            name=handler,
            handler=f"handlers.{handler}",
            path=(directory, LAMBDA_RUNTIME),
            environment={},
            log=directory / "log",
            seconds=seconds,
        )
        added = server.add(setup)
        serving = asyncio.create_task(server.run_until_stopped())
        try:
            yield added
        finally:
            added.kill()
            server.should_exit = True
            await serving


@pytest.mark.anyio
async def test_environment_is_kept(tmp_path: Path) -> None:
    """One process runs one invocation after another, each with its own event."""
    async with function(tmp_path, "count") as counting:
        answers = [await counting.invoke(b'{"n":%d}' % number) for number in range(3)]
    assert [b'"calls": %d, "event": {"n": %d}' % (n + 1, n) in answer for n, answer in enumerate(answers)] == [True] * 3


@pytest.mark.anyio
async def test_invocations_wait_for_each_other(tmp_path: Path) -> None:
    """Concurrent invocations are run in their order, each once."""
    async with function(tmp_path, "count") as counting:
        answers = await asyncio.gather(*(counting.invoke(b"%d" % number) for number in range(20)))
    assert [b'"calls": %d, "event": %d' % (n + 1, n) in answer for n, answer in enumerate(answers)] == [True] * 20


@pytest.mark.anyio
async def test_handler_that_raises(tmp_path: Path) -> None:
    """An exception of the handler fails the invocation, and the process goes on."""
    async with function(tmp_path, "fail") as failing:
        with pytest.raises(FunctionFailed, match="first"):
            await failing.invoke(b'{"why":"first"}')
        process = failing.process
        with pytest.raises(FunctionFailed, match="second"):
            await failing.invoke(b'{"why":"second"}')
        assert failing.process is process


@pytest.mark.anyio
async def test_process_that_ends(tmp_path: Path) -> None:
    """If the process ends, its invocation fails at once, and the next one gets a new process."""
    async with function(tmp_path, "end") as ending:
        for status in (3, 4):
            with pytest.raises(FunctionFailed, match=f"status {status}"):
                await ending.invoke(b'{"status":%d}' % status)


@pytest.mark.slow
@pytest.mark.anyio
async def test_time_out(tmp_path: Path) -> None:
    """A function that takes too long is killed, and the next invocation gets a new process."""
    async with function(tmp_path, "hang", seconds=5) as hanging:
        with pytest.raises(FunctionFailed, match="longer than 5 seconds"):
            await hanging.invoke(b'{"seconds":60}')
        assert await hanging.invoke(b'{"seconds":0}') == b'"awake"'


@pytest.mark.anyio
async def test_killed_between_invocations(tmp_path: Path) -> None:
    """An environment that died between two invocations is replaced."""
    async with function(tmp_path, "count") as counting:
        await counting.invoke(b"1")
        assert counting.process is not None
        os.kill(counting.process.pid, signal.SIGKILL)
        await counting.process.wait()
        assert b'"calls": 1' in await counting.invoke(b"2")


@pytest.mark.anyio
async def test_handler_that_cannot_be_imported(tmp_path: Path) -> None:
    """A missing handler fails the invocation, with the reason."""
    async with function(tmp_path, "missing") as missing:
        with pytest.raises(FunctionFailed, match="missing"):
            await missing.invoke(b"{}")


@pytest.mark.anyio
async def test_answer_to_another_invocation(tmp_path: Path) -> None:
    """An answer to an unknown invocation is refused."""
    async with function(tmp_path, "count") as counting:
        await counting.invoke(b"1")
        host, _, port = counting.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        path = "/2018-06-01/runtime/invocation/unknown/response"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n42".encode())
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.anyio
async def test_server_that_does_not_start(tmp_path: Path) -> None:
    """If a local server ends at once, the error has its output."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(NotStarted, match="in use"):
            async with running((sys.executable, "-m", "moto.server", "-p", port), "Running on", tmp_path / "log"):
                pass
