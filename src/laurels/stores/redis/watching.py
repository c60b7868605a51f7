"""Watching: how this process hears of changes to boards, whoever makes them.

A mark at the end of the board's state (``common.lua``), which each script reads anyway, says that somebody watches. The
script of a change takes it away, and publishes on the channel ``B:changes``: so a board that nobody watches costs
nothing, one that changes fast a few messages a second, and a watcher that is gone one message at most. Each watcher who
is told sets the mark again, at most every PAUSE_SECONDS, and only then says that the board has changed: what came
before is read, what comes after is told.

In a cluster, sharded channels concern the node of the board alone; 6.2 does not have them. One connection to each
server listens.

**What may be missed** is read again. A connection that is lost, a slot that is moved, a server that is the primary no
more: who subscribes anew says that the board has changed. So does who finds every CHECK_SECONDS that the mark is gone
though nothing was told: a failover may lose it. Where channels are not permitted, that is how a change is found.

**Partitions** have tags of their own, and so has the board, where its definition is: all are watched.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from laurels.errors import StoreError
from laurels.stores.redis.calls import Script
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.listening import Listener
from laurels.stores.redis.node import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from laurels.stores.redis.servers import Servers
    from laurels.stores.redis.url import Address

PAUSE_SECONDS = 0.05
"""How often the mark of a board is set at most."""
CHECK_SECONDS = 5.0
"""How often it is looked whether the mark is still there."""
GRACE_SECONDS = 1.0
"""How long a message may take."""
EXPIRY_SECONDS = 3600
"""How long the mark of a board is there that does not exist, if nobody watches it any more."""
RETRY_SECONDS = 0.2
"""Between two attempts to subscribe."""

_WATCH = Script("watch")
_log = logging.getLogger("laurels.stores")


class Watching:
    """The boards that are watched. ``names_of`` returns under which names a board and its partitions are kept."""

    def __init__(
        self,
        servers: Servers,
        names_of: Callable[[str], Iterable[str]],
        learn: Callable[[str], Awaitable[object]],
    ) -> None:
        self._servers = servers
        self._names_of = names_of
        self._learn = learn
        self._boards: dict[str, Callable[[], object]] = {}
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._listeners: dict[Address, Listener] = {}
        self._opening = asyncio.Lock()
        self._is_refused = False

    def watch(self, board: str, changed: Callable[[], object] | None) -> None:
        """Call ``changed`` when a board may have changed, or with None no longer."""
        if changed is None:
            self._boards.pop(board, None)
            for task in self._tasks.pop(board, {}).values():
                task.cancel()
        else:
            self._boards[board] = changed
            self.refresh(board)

    def refresh(self, board: str) -> None:
        """Watch a board under all its names, which may be others now."""
        if board in self._boards:
            tasks, names = self._tasks.setdefault(board, {}), set(self._names_of(board))
            for name in tasks.keys() - names:
                tasks.pop(name).cancel()
            for name in names - tasks.keys():
                tasks[name] = asyncio.get_running_loop().create_task(self._keep(board, name), name="laurels-watching")

    def warnings(self) -> list[str]:
        """Return what an operator should know."""
        if not self._is_refused:
            return []
        when = f"every {CHECK_SECONDS:g} seconds"
        return [
            f"The user of Redis may listen to no channels (&laurels:*): watched boards are looked at {when} instead"
        ]

    async def _keep(self, board: str, name: str) -> None:
        while True:
            with suppress(StoreError, ConnectionError):
                await self._follow(board, name, key_of(name))
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, board: str, name: str, key: str) -> None:
        """Say what is told of a tag, until its server is another one, or gone."""
        await self._servers.ask(key, "EXISTS", key)  # who has the key answers, and is known from then on
        address, told, channel = self._servers.where(key), asyncio.Event(), f"{key}:changes".encode()
        listener, refusal = await self._listen(address), ""
        try:
            refusal = await listener.subscribe(channel, told)
            self._note(refusal)
            told.set()  # what came before is not known
            while (
                not listener.is_lost and (refusal or channel in listener.told) and self._servers.where(key) == address
            ):
                was_told = told.is_set()
                told.clear()
                had = await self._servers.call(_WATCH, (key,), listener.how, EXPIRY_SECONDS)
                until = monotonic() + PAUSE_SECONDS
                if was_told or not had:
                    self._boards[board]()
                elif name == board:  # nothing has happened for a while
                    await self._learn(board)
                if not (was_told or had or refusal or await _is_set(told, GRACE_SECONDS)):
                    listener.abort("it does not tell of changes")
                await _is_set(told, CHECK_SECONDS)
                await asyncio.sleep(max(0.0, until - monotonic()))
        finally:
            if not refusal:
                listener.unsubscribe(channel)

    def _note(self, refusal: str) -> None:
        is_refused = refusal.startswith("NOPERM")
        if is_refused and not self._is_refused:
            _log.warning("Redis does not tell of changes: %s", refusal)
        self._is_refused = is_refused

    async def _listen(self, address: Address) -> Listener:
        """Return the connection that listens to a server."""
        async with self._opening:
            listener = self._listeners.get(address)
            if listener is None or listener.is_lost:
                listener = Listener()
                await self._servers.handshake.open(listener, address)
                self._listeners[address] = listener
        return listener

    async def close(self) -> None:
        """Watch nothing any more."""
        tasks = [task for board in self._tasks.values() for task in board.values()]
        self._tasks.clear()
        self._boards.clear()
        for task in tasks:
            await end(task)
        for listener in self._listeners.values():
            await listener.end("it is closed")


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event is set, or is within so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
