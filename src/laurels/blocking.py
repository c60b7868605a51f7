"""Asynchronous objects for programs that block: their coroutines run in an event loop in a thread of its own.

A class that blocks names the methods of the other one again, each by :func:`blocking` or :func:`blocking_iterator`,
which keep their types, parameters and docstrings.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import wraps
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar
from weakref import WeakSet, finalize

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

T = TypeVar("T")
A = TypeVar("A")
P = ParamSpec("P")

END_SECONDS = 5.0
"""How long the end of what is under way is waited for, so that no program hangs at its end."""


class LoopThread:
    """An event loop in a daemon thread, for which the end of the interpreter does not wait."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._pid = os.getpid()
        self._close: Callable[[], Awaitable[object]] | None = None
        self._ended = asyncio.Event()
        self._iterated = WeakSet[Any]()
        self._thread = Thread(target=self._run, name="laurels", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._ended.wait()
        await self._end_iterations()
        if self._close is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._close(), END_SECONDS)

    async def _end_iterations(self) -> None:
        """Close the generators that were begun, each with those inside of it, once nobody waits for them any more."""
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for found in [*self._iterated]:
            await found.aclose()

    def iterate(self, found: AsyncIterator[T]) -> AsyncIterator[T]:
        """Return a generator that is closed at the end, if it has not come to its own."""
        self._iterated.add(found)
        return found

    @property
    def is_here(self) -> bool:
        """Whether the thread is one of this process: a fork does not have it."""
        return self._pid == os.getpid()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine; if the waiting is interrupted, cancel it and wait until it has ended."""
        if current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("This waits for the thread that it runs in: use the asynchronous client there.")
        finished = Event()

        async def finish() -> T:
            try:
                return await coroutine
            finally:
                finished.set()

        future = asyncio.run_coroutine_threadsafe(finish(), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("It was closed before it had an answer.") from None
        except BaseException:
            if future.cancel():
                finished.wait(END_SECONDS)
            raise

    def end(self, close: Callable[[], Awaitable[object]]) -> None:
        """Await ``close`` in the loop, cancel what else is there, and end the thread."""
        if not self.is_here:
            return
        self._close = close
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._ended.set)
        if current_thread() is not self._thread:  # as it is if a collection of garbage ends it
            self._thread.join(END_SECONDS)


class Blocking(Generic[A]):
    """What drives an asynchronous object from threads that block; several of them may use it at a time.

    The object is made by ``make``, now and, because a fork has no threads, again in each process that is forked. Its
    ``close`` is called at the end, at the latest with the interpreter's.
    """

    def __init__(self, make: Callable[[], A], close: Callable[[A], Awaitable[object]]) -> None:
        self._make, self._close = make, close
        self._driven = make()
        self._left_behind: list[A] = []  # of the process that forked: not to be closed by this one
        self._opening = Lock()
        self._thread: LoopThread | None = None
        self._is_closed = False
        self._finalize: finalize[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; a second time is no harm, and no call is right after it."""
        self._is_closed = True
        if self._finalize is not None:
            self._finalize()

    def _open(self) -> tuple[LoopThread, A]:
        """Return the thread and what is driven there, in this process."""
        if self._is_closed:
            raise RuntimeError("It is closed.")
        thread = self._thread
        if thread is None or not thread.is_here:
            with self._opening:
                thread = self._thread
                if thread is None or not thread.is_here:
                    thread = self._thread = self._start(is_forked=thread is not None)
        return thread, self._driven

    def _start(self, *, is_forked: bool) -> LoopThread:
        if is_forked:
            self._left_behind.append(self._driven)
            self._driven = self._make()
            if self._finalize is not None:
                self._finalize.detach()
        thread, driven, close = LoopThread(), self._driven, self._close
        self._finalize = finalize(self, lambda: thread.end(lambda: close(driven)))
        return thread

    def _run(self, call: Callable[[A], Coroutine[Any, Any, T]]) -> T:
        thread, driven = self._open()
        return thread.run(call(driven))


class BlockingIterator(Generic[T]):
    """An asynchronous iterator for a program that blocks. It may be closed before its end, also by ``with``."""

    def __init__(self, thread: LoopThread, found: AsyncIterator[T], at_once: int) -> None:
        self._thread, self._found, self._at_once = thread, thread.iterate(found), at_once
        self._items: Iterator[T] = iter(())
        self._error: BaseException | None = None
        self._is_done = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for item in self._items:
            return item
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._is_done:
            raise StopIteration
        self._items = iter(self._thread.run(self._take()))
        return next(self)

    async def _take(self) -> list[T]:
        """Return the next few items; keep what ends the iteration until they are through."""
        items: list[T] = []
        try:
            while len(items) < self._at_once:
                items.append(await anext(self._found))
        except StopAsyncIteration:
            self._is_done = True
        except Exception as error:  # noqa: BLE001 - not caught: raised once the items before it are through
            self._is_done, self._error = True, error
        return items

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and what it does at the service."""
        self._is_done, self._error, self._items = True, None, iter(())
        self._thread.run(self._end())

    async def _end(self) -> None:
        await self._found.aclose()  # type: ignore[attr-defined]  # all of ours are generators


def blocking(method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """Return the method of a :class:`Blocking` that waits for a coroutine method of what is driven."""

    @wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(lambda driven: method(driven, *args, **kwargs))

    return call


def blocking_iterator(
    method: Callable[Concatenate[A, P], AsyncIterator[T]], at_once: int = 1
) -> Callable[Concatenate[Any, P], BlockingIterator[T]]:
    """Return the method of a :class:`Blocking` for one that is an asynchronous iterator, taken ``at_once``."""

    @wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> BlockingIterator[T]:
        thread, driven = self._open()
        return BlockingIterator(thread, method(driven, *args, **kwargs), at_once)

    return call
