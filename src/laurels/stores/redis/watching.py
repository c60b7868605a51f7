"""Watching: how this process hears of changes to boards, whoever makes them.

The script of a change looks for the key ``B:watched`` (``common.lua``). If that is there it takes it away, and
publishes on the channel ``B:changes``: so a board that nobody watches costs nothing, one that changes fast a few
messages a second, and a watcher that is gone one message at most. Each watcher who is told sets the key again, at most
every PAUSE_SECONDS, and only then says that the board has changed: what came before is read, what comes after is told.

In a cluster, sharded channels concern the node of the board alone; 6.2 does not have them. One connection to each
server listens.

**What may be missed** is read again. A connection that is lost, a slot that is moved, a server that is the primary no
more: who subscribes anew says that the board has changed. So does who finds every CHECK_SECONDS that the key is gone
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
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.listening import Listener
from laurels.stores.redis.node import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from laurels.stores.redis.servers import Servers
    from laurels.stores.redis.url import Address

PAUSE_SECONDS = 0.05
"""How often the key of a board is set at most."""
CHECK_SECONDS = 5.0
"""How often it is looked whether the key is still there."""
GRACE_SECONDS = 1.0
"""How long a message may take."""
EXPIRY_SECONDS = 3600
"""How long the key is there if nobody changes the board or watches it any more."""
RETRY_SECONDS = 0.2
"""Between two attempts to subscribe."""

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
        address = self._servers.where(key)
        if address is None:
            return
        listener, told, channel = await self._listen(address), asyncio.Event(), f"{key}:changes".encode()
        refusal = await listener.subscribe(channel, told)
        if refusal.startswith("MOVED"):
            return
        self._note(refusal)
        told.set()  # what came before is not known
        while not listener.is_lost and (refusal or channel in listener.told) and self._servers.where(key) == address:
            was_told = told.is_set()
            told.clear()
            watched = f"{key}:watched"
            had = await self._servers.ask(key, "SET", watched, listener.how, "EX", EXPIRY_SECONDS, "GET")
            asked = monotonic()
            if was_told or had is None:
                self._boards[board]()
            elif name == board:  # nothing has happened for a while
                await self._learn(board)
            if not (was_told or had or refusal or await _is_set(told, GRACE_SECONDS)):
                listener.abort("it does not tell of changes")
            await _is_set(told, CHECK_SECONDS)
            await asyncio.sleep(max(0.0, asked + PAUSE_SECONDS - monotonic()))

    def _note(self, refusal: str) -> None:
        if refusal and not self._is_refused:
            _log.warning("Redis does not tell of changes: %s", refusal)
        self._is_refused = bool(refusal)

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
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
