"""Servers: what a store asks, whichever of them answers it."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from laurels.errors import ServerUnusable, StoreUnavailable
from laurels.stores.redis.calls import Look, Reply
from laurels.stores.redis.errors import PASSING, code_of, translate
from laurels.stores.redis.troubles import Troubles
from laurels.tracing import begin_call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.figures import Figures
    from laurels.stores.redis.calls import Script, Word
    from laurels.stores.redis.durability import Facts
    from laurels.stores.redis.handshake import Handshake
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

    fails_over = False
    """Whether a replica may take the place of a server."""
    spans_slots = True
    """Whether one call may have keys of several hash tags."""

    def __init__(self, handshake: Handshake, settings: RedisSettings) -> None:
        self.handshake = handshake
        self.settings = settings
        self.troubles = Troubles()
        self.interrupted: Callable[[], object] = lambda: None
        """Called when a connection is lost."""
        self.is_traced = False

    def call(self, script: Script, keys: tuple[str, ...], *arguments: Word) -> Reply:
        """Call a script over keys of one hash tag, with all that is asked in this turn of the loop."""
        words = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        reply = Reply(keys[0], words, script, reads=script.reads)
        if self.is_traced:
            self._trace(reply, "EVALSHA", script.name)
        self.send(reply)
        return reply

    def look(self, key: str, *commands: tuple[Word, ...]) -> Reply:
        """Read a board: return its state, and what these commands answer."""
        reply = Look(key, commands)
        if self.is_traced:
            self._trace(reply, "MULTI")
        self.send(reply)
        return reply

    def ask(self, key: str, *words: Word) -> Reply:
        """Send a plain command to the server that has a key."""
        reply = Reply(key, words, reads=words[0] in READING)
        if self.is_traced:
            self._trace(reply, str(words[0]))
        self.send(reply)
        return reply

    def _trace(self, reply: Reply, operation: str, script: str = "") -> None:
        """Make a span of a call that a request makes, and of all tries of it."""
        host, port = self.where(reply.key)
        attributes: dict[str, str | int] = {
            "db.system.name": "redis",
            "db.operation.name": operation,
            "db.namespace": str(self.handshake.database),
            "server.address": host,
        }
        if port is not None:
            attributes["server.port"] = port
        if script:
            attributes["db.stored_procedure.name"] = script
        ended = begin_call(f"{operation} {script}".rstrip(), attributes, is_remote=True)
        if ended is not None:
            reply.add_done_callback(lambda reply: ended(None if reply.cancelled() else reply.exception(), {}))

    @abstractmethod
    def send(self, reply: Reply) -> None:
        """Send a call where it belongs; fail it if it cannot be sent now."""

    @abstractmethod
    def where(self, key: str) -> Address:
        """Return where the server is that has a key, as far as is known from the last call about it."""

    @property
    @abstractmethod
    def nodes(self) -> list[Node]:
        """What there are connections to."""

    @abstractmethod
    async def find(self, node: Node) -> Address:
        """Return where a node is now; raise StoreUnavailable if that cannot be found out."""

    def lost(self, node: Node) -> None:  # noqa: B027 - most need not
        """Know that a node cannot be reached."""

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
            if reply.refusal:
                reply.fail(translate(reply.refusal))
                return
            if reply.needs_script:
                self.undone(reply, "Redis does not keep scripts", at_once=True)
            else:  # as every server says once, and says first after a failover: it is no trouble yet
                reply.needs_script = True
                self.send(reply)
        elif code in PASSING:
            if code == "READONLY":
                node.reconnect("it is a replica now")
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

    async def _check_nodes(self, nodes: Sequence[Node], *, needed: int) -> None:
        """Raise StoreUnavailable if fewer nodes answer than are needed, or if one cannot be used."""
        pings = [Reply("", ("PING",)) for _ in nodes]
        for node, ping in zip(nodes, pings, strict=True):
            node.send(ping)
        answers = await asyncio.gather(*pings, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        for error in errors:
            if isinstance(error, ServerUnusable) or len(nodes) - len(errors) < needed:
                raise error

    @property
    def is_connected(self) -> bool:
        """Whether no server is known to be out of reach."""
        return all(node.trouble is None for node in self.nodes)

    @property
    def is_durable(self) -> bool:
        """Whether what was acknowledged survives a crash of a server, and of its machine."""
        if self.fails_over and not self.settings.wait:
            return False
        return all(node.facts.is_durable for node in self.nodes)

    def warnings(self) -> list[str]:
        """Return what an operator should know: what may be lost, and what does not answer."""
        nodes = self.nodes
        found = [node.facts.describe() for node in nodes if node.connection is not None]
        if self.fails_over and not self.settings.wait:
            found.append("A failover of Redis may lose acknowledged scores that no replica has yet (--redis-wait 1)")
        found += [node.trouble.problem for node in nodes if node.trouble is not None]
        return [each for each in dict.fromkeys(found) if each]

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        nodes = self.nodes
        return {
            "redis_connections": sum(node.connection is not None for node in nodes),
            "redis_connections_wanted": len(nodes),
            "redis_waiting": sum(node.unanswered for node in nodes),
            "redis_waiting_limit": self.settings.waiting,
            **self.troubles.measure(),
        }

    async def reconnect(self) -> None:
        """Close connections that nothing waits on: they may be dead, or too old. The next call connects anew."""
        for node in self.nodes:
            await node.rest()

    async def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        for node in self.nodes:
            await node.close()
