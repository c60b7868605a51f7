"""An event loop in a thread of its own, by which threads call coroutines and wait for what they return."""

from __future__ import annotations

import asyncio
import os
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from laurels.errors import NotOpenHere

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

T = TypeVar("T")


class LoopThread:
    """A thread that runs an event loop from its making until it is closed.

    It is a daemon: a program that ends does not wait for it.
    """

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self._loop = make_loop()
        self._process = os.getpid()
        self._thread = Thread(target=self._run, name="laurels-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns in the loop, or raise what it raises; what interrupts the wait cancels it.

        Raises NotOpenHere if it could never end: in the thread of the loop itself, in a process that was forked since,
        and after :meth:`close`.
        """
        if problem := self._find_problem():
            coroutine.close()
            raise NotOpenHere(problem)
        result: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return result.result()
        except BaseException:
            result.cancel()
            raise

    def _find_problem(self) -> str:
        if self._process != os.getpid():
            return "It was opened before this process was forked: open it in each process"
        if get_ident() == self._thread.ident:
            return "It is called in the thread of its own event loop: use the asynchronous one there"
        return "It is closed" if self._loop.is_closed() else ""

    def close(self) -> None:
        """End the loop and its thread; once more is nothing."""
        if self._process == os.getpid() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
