"""A loop in a thread of its own: what threads get from it, and when they get nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from laurels.errors import NotOpenHere
from laurels.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """Run a loop for one test."""
    loop = LoopThread()
    yield loop
    loop.close()


async def number() -> int:
    """Return what is known."""
    return 7


async def fail() -> None:
    """Raise."""
    raise ValueError("no")


def test_results(loop: LoopThread) -> None:
    """What a coroutine returns or raises, the caller gets."""
    assert loop.call(number()) == 7
    with pytest.raises(ValueError, match="no"):
        loop.call(fail())


def test_interrupted(loop: LoopThread) -> None:
    """A wait that is interrupted cancels what is waited for."""
    cancelled = threading.Event()

    async def wait() -> None:
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)  # once the caller waits
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(KeyboardInterrupt):
        loop.call(wait())
    assert cancelled.wait(10)


def test_own_thread(loop: LoopThread) -> None:
    """In the loop's own thread it would wait for itself."""

    async def call() -> int:
        return loop.call(number())

    with pytest.raises(NotOpenHere, match="asynchronous"):
        loop.call(call())


def test_closed(loop: LoopThread) -> None:
    """Once it is closed it says so, and closing it again is nothing."""
    loop.close()
    loop.close()
    with pytest.raises(NotOpenHere, match="It is closed"):
        loop.call(number())


def test_forked(loop: LoopThread) -> None:
    """A child has no such thread: it is told, and its end leaves the parent's alone."""
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            loop.call(number())
        except NotOpenHere:
            loop.close()
            os._exit(3)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert loop.call(number()) == 7
