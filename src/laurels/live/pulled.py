"""A subscriber that is sent what a generator yields: by a task, as servers of ASGI do it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from laurels.live.subscribers import Subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from laurels.live.events import Frames
    from laurels.live.hub import Hub


class Pulled(Subscriber):
    """Somebody who is sent what :meth:`pull` yields, by a task: that of an ASGI server."""

    def __init__(self, hub: Hub, form: Callable[[Frames], list[bytes]], comment: bytes = b"", end: bytes = b"") -> None:
        self._hub = hub
        self._form, self._comment, self._last = form, comment, end
        self._pending: deque[bytes] = deque()
        self._size = 0
        self._is_over = False
        self._news = asyncio.Event()

    @property
    def unsent(self) -> int:
        """How many bytes wait to be pulled."""
        return self._size

    def put(self, frames: Frames) -> None:
        """Keep frames until they are pulled."""
        for each in self._form(frames):
            self._add(each)

    def comment(self) -> None:
        """Keep a comment, if nothing else waits."""
        if not self._pending and self._comment:
            self._add(self._comment)

    def end(self) -> None:
        """Let :meth:`pull` end."""
        self._is_over = True
        self._news.set()

    def _add(self, data: bytes) -> None:
        self._pending.append(data)
        self._size += len(data)
        self._news.set()

    async def pull(self, join: Callable[[Subscriber], None]) -> AsyncGenerator[bytes, None]:
        """Join a feed, and yield what is to be sent until that ends; leave it when the generator is closed."""
        join(self)
        try:
            while not self._is_over:
                await self._news.wait()
                self._news.clear()
                while self._pending and not self._is_over:
                    data = self._pending.popleft()
                    yield data
                    self._size -= len(data)
                self._hub.rejoin(self)
            if self._last:
                yield self._last
        finally:
            self._hub.leave(self)
