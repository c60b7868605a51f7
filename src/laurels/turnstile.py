"""Where submits pass, and wait while a definition that they go by is being changed.

A change of a definition first lets all later submits wait, then waits for those that were let through and may not be
known to the store yet, and only then is made: so every submit is by one definition, the old or the new one. Submits
without a key and without metadata are known to the store as soon as they are made, and need not be counted here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

EVERY_BOARD = ""
"""No board's name: in its place all definitions are being changed."""
T = TypeVar("T")


class Turnstile:
    """One way in for the submits to all boards.

    ``changing`` has the boards whose definitions are being changed: while it is empty nothing needs to wait. ``forget``
    is called with the board when submits begin to wait and when they go on, to forget what follows from definitions.
    """

    def __init__(self, forget: Callable[[str], object]) -> None:
        self.changing: dict[str, asyncio.Event] = {}
        self._forget = forget
        self._passing: dict[str, int] = {}
        self._drained: dict[str, asyncio.Event] = {}

    async def wait(self, board: str) -> None:
        """Wait while the definition of a board is being changed."""
        while changing := self.changing.get(board) or self.changing.get(EVERY_BOARD):
            await changing.wait()

    async def let_pass(self, board: str, submitting: Awaitable[T]) -> T:
        """Submit what the store may not know at once: definitions change after it."""
        self._passing[board] = self._passing.get(board, 0) + 1
        try:
            return await submitting
        finally:
            self._passing[board] -= 1
            if not self._passing[board]:
                del self._passing[board]
                if drained := self._drained.get(board):
                    drained.set()

    @asynccontextmanager
    async def close(self, board: str) -> AsyncIterator[None]:
        """Let the submits to a board wait; :meth:`wait` comes before it, for another change of the same definition."""
        self.changing[board] = asyncio.Event()
        self._forget(board)
        try:
            for name in list(self._passing) if board == EVERY_BOARD else (board,):
                await self._drain(name)
            yield
        finally:
            self.changing.pop(board).set()
            self._forget(board)

    @asynccontextmanager
    async def close_all(self) -> AsyncIterator[None]:
        """Let all submits wait, and the changes of other definitions."""
        while self.changing:
            await next(iter(self.changing.values())).wait()
        async with self.close(EVERY_BOARD):
            yield

    async def _drain(self, board: str) -> None:
        """Wait until no submit to a board is under way any more of which the store may not know yet."""
        if board in self._passing:
            self._drained[board] = asyncio.Event()
            try:
                await self._drained[board].wait()
            finally:
                del self._drained[board]
