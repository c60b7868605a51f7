"""The client that blocks: threads, loops, forks, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from laurels.asgi import create_app
from laurels.blocking import LoopThread
from laurels.client import AsyncClient, Client, NameMissing
from tests.cli.conftest import board

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

__all__ = ["board"]


def loops() -> list[threading.Thread]:
    """Return the threads of clients that there are."""
    return [thread for thread in threading.enumerate() if thread.name == "laurels"]


def test_threads(server: Server, board: str) -> None:
    """Several threads use one client at a time, over one thread of its own."""
    before = len(loops())
    with Client(server.url) as client, ThreadPoolExecutor(8) as pool:
        assert len(loops()) == before  # the thread begins with the first call
        list(pool.map(lambda index: client.submit(board, f"v{index}", index), range(64)))
        assert (len(loops()), len([*client.entries(board)])) == (before + 1, 64)
    assert len(loops()) == before


def test_in_a_running_loop(server: Server, board: str) -> None:
    """A program whose own loop runs may block that with it."""

    async def submit() -> None:
        with Client(server.url) as client:
            client.submit(board, "v", 1)
            assert client.standing(board, "v")

    asyncio.run(submit())


def test_ends(server: Server, board: str) -> None:
    """What is closed takes no calls, and may be closed again; one that is forgotten ends by itself."""
    client = Client(server.url)
    client.close()
    client = Client(server.url)
    client.submit(board, "v", 1)
    before = len(loops())
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.standing(board, "v")
    forgotten = Client(server.url)
    forgotten.health()
    assert len(loops()) == before
    del forgotten
    gc.collect()
    assert len(loops()) == before - 1


def test_closed_while_waiting() -> None:
    """A call that waits when the client is closed ends with an error."""
    thread = LoopThread()
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.sleep(60)

    async def close() -> None:
        pass

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: thread.run(wait()))
        assert begun.wait(10)
        thread.end(close)
        with pytest.raises(RuntimeError, match="closed before it had an answer"):
            waiting.result(10)
    thread.end(close)  # a second time is no harm


def test_own_thread() -> None:
    """In the thread of the loop itself a call would wait for itself, and is refused."""
    thread = LoopThread()

    async def call() -> None:
        with pytest.raises(RuntimeError, match="use the asynchronous client"):
            thread.run(asyncio.sleep(0))
        thread.end(close)  # as a collection of garbage may

    async def close() -> None:
        pass

    thread.run(call())


def test_iterators(server: Server, board: str) -> None:
    """Items before an error come first; an iterator that is closed has no more."""
    with Client(server.url) as client:
        client.submit_many(board, {f"v{index}": index for index in range(5)})
        with client.pages(board, size=2) as pages:
            assert len(next(pages)) == 2
        assert list(pages) == []
        with pytest.raises(NameMissing):
            next(client.live(board, around="nobody"))


PROGRAM = """
import os, signal, sys, threading
from laurels.client import Client
client = Client(sys.argv[1])
client.submit(sys.argv[2], "v", 1)
"""
ENDINGS = {
    "end": "",
    "in the midst": "iterator = client.live(sys.argv[2]); next(iterator)",
    "exception": "raise SystemExit",
    "fork": (
        "pid = os.fork()\nclient.submit(sys.argv[2], f'{pid == 0}', 1)\n"
        "if pid: assert os.waitpid(pid, 0)[1] == 0\nelse: client.submit(sys.argv[2], 'child', 1)"
    ),
    "fork without a call": "pid = os.fork()\nif pid: assert os.waitpid(pid, 0)[1] == 0",
    "interrupt": (
        "threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()\n"
        "try:\n    for event in client.live(sys.argv[2]): pass\n"
        "except KeyboardInterrupt: assert client.standing(sys.argv[2], 'v').score == 1\nelse: raise SystemExit(1)"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_programs_end(server: Server, board: str, ending: str) -> None:
    """A program ends when it is through, however it does: quietly, and without waiting for the client."""
    code = PROGRAM + ENDINGS[ending]
    warned = ["-W", "error"] * ("fork" not in ending)  # a child has sockets that it must not close as its own
    command = [sys.executable, *warned, "-c", code, server.url, board]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (found.returncode, found.stderr, found.stdout) == (0, "", "")
    with Client(server.url) as client:
        there = {each.name for each in client.entries(board)}
    assert there == {"v"} | ({"True", "False", "child"} if ending == "fork" else set())


def test_transport(tmp_path: Path) -> None:
    """A client may go over another transport than sockets: here to an application of the same process."""

    async def submit() -> None:
        app = create_app(data=tmp_path)
        async with app.lifespan():
            transport = httpx.ASGITransport(app)
            async with AsyncClient("http://localhost", transport=transport) as client:
                await client.submit("b", "v", 1)
                assert [each.name async for each in client.entries("b")] == ["v"]

    asyncio.run(submit())
