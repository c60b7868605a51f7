"""What SIGHUP does: it reloads the files that a running service was started with, and never ends the service.

Whoever opens a part that can be reloaded adds it. Each part is reloaded on its own: one that cannot be stays as it was,
and one line of the log says why. Signals that come while parts are reloaded, or before the service runs, are one more
reload after that.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from laurels.errors import LaurelsError
from laurels.logs import alike

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from laurels.figures import Figures

log = logging.getLogger(__name__)


class _Part(Struct):
    reload: Callable[[], Awaitable[object]]
    kind: str
    loaded_at: float
    failures: int = 0
    is_failing: bool = False


class Reloading:
    """The parts of a service that can be reloaded, by what the log calls them."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}
        self._is_asked = False
        self._ask: Callable[[], object] = lambda: None

    def add(self, name: str, reload: Callable[[], Awaitable[object]], kind: str) -> None:
        """Reload this part, too, which was loaded just now; ``kind`` is what the metrics call it.

        ``reload`` raises if it cannot be, and has then changed nothing.
        """
        self._parts[name] = _Part(reload, kind, time.time())

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        parts = self._parts.values()
        return {
            "file_loaded_timestamp_seconds": {part.kind: part.loaded_at for part in parts},
            "file_reload_failures": {part.kind: part.failures for part in parts},
            "file_reload_failing": {part.kind: part.is_failing for part in parts},
        }

    def install(self) -> None:
        """Handle SIGHUP from now on; it is answered as soon as there is a loop that does."""
        signal.signal(signal.SIGHUP, lambda *_: self._note())

    def _note(self) -> None:
        self._is_asked = True
        self._ask()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Reload whenever SIGHUP asks for it; a reload that is under way at the end is finished."""
        loop, asked, stop = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._ask = lambda: loop.call_soon_threadsafe(asked.set)
        if self._is_asked:
            asked.set()

        async def answer() -> None:
            alike.set(True)  # in this task, and in threads that it asks
            while True:
                await asked.wait()
                asked.clear()
                if stop.is_set():
                    return
                await self.reload()

        task = asyncio.create_task(answer())
        try:
            yield
        finally:
            self._ask = lambda: None
            stop.set()
            asked.set()
            await task

    async def reload(self) -> None:
        """Reload every part, and say in the log what became of it."""
        if not self._parts:
            log.warning("SIGHUP: there is nothing to reload. The service was started without files to read again.")
        for name, part in self._parts.items():
            part.is_failing = True
            try:
                await part.reload()
            except LaurelsError as error:
                log.error("SIGHUP: %s is not reloaded, and stays as it was: %s", name, error)  # noqa: TRY400 - one line
            except Exception:
                log.exception("SIGHUP: %s is not reloaded", name)
            else:
                part.loaded_at, part.is_failing = time.time(), False
                log.info("SIGHUP: reloaded %s.", name)
            part.failures += part.is_failing


def ignore_hangups() -> None:
    """Let SIGHUP do nothing for the rest of the process; a handler would be taken away while the interpreter ends."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
