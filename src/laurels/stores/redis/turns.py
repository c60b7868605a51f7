"""Turns: all that one turn of the event loop asks of a node goes to it in one pipeline; callers wait on futures.

One call for each would cost three times as much, most of it in awaiting. A future is done inside the turn in which its
pipeline was read, so that whoever is driven by its callback goes on at once.
"""

from __future__ import annotations

import asyncio
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from redis.exceptions import NoScriptError, RedisError

from laurels.errors import StoreUnavailable
from laurels.stores.redis.connection import translate

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST_WAITING = 10_000
"""Calls; more are refused at once."""
MOST_AT_ONCE = 256
"""Calls in one pipeline."""
PIPELINES = 4
"""At once; what is asked meanwhile goes in the next."""


class Script:
    """A script, behind others whose functions it uses. Making those takes time in each call."""

    def __init__(self, *names: str) -> None:
        here = files("laurels.stores.redis")
        self.body = b"".join(here.joinpath(f"{name}.lua").read_bytes() for name in names)
        self.digest = sha1(self.body, usedforsecurity=False).hexdigest()


class Reply(asyncio.Future[Any]):
    """What a script returns."""

    drives_inline: ClassVar[bool] = True
    """An adapter may run a coroutine on from this future's callback, without a task around it."""


class _Call(NamedTuple):
    script: Script
    words: tuple[bytes | str | int, ...]
    reply: Reply


class Turns:
    """The calls of one process to one node."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waiting: list[_Call] = []
        self._running: set[asyncio.Task[None]] = set()
        self._is_due = False

    def call(self, script: Script, keys: tuple[str, ...], *arguments: bytes | str | int) -> Reply:
        """Call a script in this turn's pipeline; raise StoreUnavailable if too much is waiting."""
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable(f"{MOST_WAITING:,} calls wait for Redis already")
        loop = asyncio.get_running_loop()
        reply = Reply(loop=loop)
        self._waiting.append(_Call(script, (len(keys), *keys, *arguments), reply))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._begin)
        return reply

    def _begin(self) -> None:
        self._is_due = False
        while self._waiting and len(self._running) < PIPELINES:
            calls, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            task = asyncio.ensure_future(self._run(calls))
            self._running.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    async def _run(self, calls: list[_Call]) -> None:
        try:
            results = await self._execute(calls)
            missing = [at for at, result in enumerate(results) if isinstance(result, NoScriptError)]
            if missing:
                again = [calls[at] for at in missing]
                for script in {call.script for call in again}:
                    await self._client.script_load(script.body)
                for at, result in zip(missing, await self._execute(again), strict=True):
                    results[at] = result
        except (RedisError, OSError, asyncio.CancelledError) as error:
            results = [error] * len(calls)
        for call, result in zip(calls, results, strict=True):
            if call.reply.done():
                continue
            if isinstance(result, BaseException):
                call.reply.set_exception(translate(result))
            else:
                call.reply.set_result(result)

    async def _execute(self, calls: list[_Call]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command("EVALSHA", call.script.digest, *call.words)
            results: list[Any] = await pipeline.execute(raise_on_error=False)
            return results

    async def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        while self._running or self._waiting:
            await asyncio.wait(self._running) if self._running else await asyncio.sleep(0)
        await self._client.aclose()
