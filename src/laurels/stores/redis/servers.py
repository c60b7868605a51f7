"""Servers: what a store asks, whichever of them answers it."""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from laurels.errors import ServerUnusable, StoreUnavailable
from laurels.stores.redis.calls import Reply
from laurels.stores.redis.errors import PASSING, code_of, translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laurels.stores.redis.calls import Script, Word
    from laurels.stores.redis.durability import Facts
    from laurels.stores.redis.node import Node
    from laurels.stores.redis.settings import RedisSettings
    from laurels.stores.redis.url import Address

RETRIES = 3
"""How often a call is sent again that was not done."""
RETRY_SECONDS = 0.05
"""Within which a call is sent again the first time; each later time takes up to twice as long."""
READING = {"GET", "HGET", "HGETALL", "HMGET", "MGET", "EXISTS", "PING", "TIME", "TTL", "SCAN", "ZRANGEBYLEX"}
"""Plain commands that change nothing."""


class Servers(ABC):
    """The servers behind one URL."""

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings

    def call(self, script: Script, keys: tuple[str, ...], *arguments: Word) -> Reply:
        """Call a script over keys of one hash tag, with all that is asked in this turn of the loop."""
        words = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        reply = Reply(keys[0], words, script, reads=script.reads)
        self.send(reply)
        return reply

    def ask(self, key: str, *words: Word) -> Reply:
        """Send a plain command to the server that has a key."""
        reply = Reply(key, words, reads=words[0] in READING)
        self.send(reply)
        return reply

    @abstractmethod
    def send(self, reply: Reply) -> None:
        """Send a call where it belongs; fail it if it cannot be sent now."""

    @property
    @abstractmethod
    def nodes(self) -> list[Node]:
        """What there are connections to."""

    @abstractmethod
    async def find(self, node: Node) -> Address: ...

    @abstractmethod
    def lost(self, node: Node) -> None: ...

    @abstractmethod
    async def ready(self) -> None:
        """Return once they answer; raise StoreUnavailable if they do not."""

    def check(self, facts: Facts) -> None:
        """Raise ServerUnusable if a server cannot keep boards as they must be kept."""
        facts.check(allow_eviction=self.settings.allow_eviction)

    def refused(self, node: Node, reply: Reply, text: str) -> None:
        """Do again what was not done for a reason that passes; fail all else."""
        code = code_of(text)
        if code == "NOSCRIPT":
            reply.needs_script = True
            self.undone(reply, "Redis does not keep scripts", at_once=True)
        elif code in PASSING:
            if code in MOVED_ON:
                node.reconnect(PASSING[code])
            self.undone(reply, PASSING[code])
        else:
            reply.fail(translate(text))

    def undone(self, reply: Reply, problem: str, *, at_once: bool = False) -> None:
        """Send a call again, after a moment; fail it if that was done too often."""
        if reply.tries >= RETRIES:
            reply.fail(StoreUnavailable(problem))
            return
        reply.tries += 1
        loop = reply.get_loop()
        if at_once:
            self.send(reply)
        else:
            loop.call_later(random.uniform(0, RETRY_SECONDS) * 2**reply.tries, self.send, reply)  # noqa: S311

    @property
    def is_durable(self) -> bool:
        """Whether what is acknowledged survives."""
        return all(node.facts.is_durable for node in self.nodes)

    def measure(self) -> Mapping[str, float]:
        """Return figures, by their names in the metrics."""
        nodes = self.nodes
        return {
            "redis_connections": sum(node.connection is not None for node in nodes),
            "redis_connections_wanted": len(nodes),
            "redis_waiting": sum(node.unanswered for node in nodes),
            "redis_waiting_limit": self.settings.waiting,
        }

    async def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        for node in self.nodes:
            await node.close()
