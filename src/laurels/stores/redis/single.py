"""One server: named by the URL itself, or the primary of a service that Sentinels watch."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from laurels.errors import ServerUnusable, StoreUnavailable
from laurels.stores.redis.connection import Refusal
from laurels.stores.redis.errors import in_cluster, translate
from laurels.stores.redis.node import Node, end
from laurels.stores.redis.servers import Servers
from laurels.stores.redis.url import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.errors import StoreError
    from laurels.stores.redis.calls import Reply
    from laurels.stores.redis.durability import Facts
    from laurels.stores.redis.handshake import Handshake
    from laurels.stores.redis.settings import RedisSettings

WATCH_SECONDS = 1.0
"""How often Sentinels are asked who the primary is."""


class Single(Servers):
    """One server. If changes wait for its replicas, reads go over a connection of their own, and do not."""

    def __init__(self, address: Address, handshake: Handshake, settings: RedisSettings) -> None:
        super().__init__(handshake, settings)
        self._address = address
        self._writes = self._reads = Node(self, handshake, settings)
        if settings.wait:
            self._reads = Node(self, handshake, settings)

    @property
    def nodes(self) -> list[Node]:
        """What there are connections to."""
        return list(dict.fromkeys([self._writes, self._reads]))

    def send(self, reply: Reply) -> None:
        """Send a call; fail it if it cannot be sent now."""
        (self._reads if reply.reads else self._writes).send(reply)

    def where(self, key: str) -> Address:  # noqa: ARG002
        """Return where the server is."""
        return self._address

    async def find(self, node: Node) -> Address:  # noqa: ARG002
        """Return where the server is."""
        return self._address

    def check(self, facts: Facts) -> None:
        """Raise StoreUnavailable as :meth:`Servers.check` does, and if it is a replica or a node of a cluster."""
        if facts.is_cluster:
            raise in_cluster()
        if facts.is_replica:
            raise ServerUnusable("This is a replica of Redis, which is read-only", "have the operator name its primary")
        super().check(facts)

    async def ready(self) -> None:
        """Return once it answers; raise StoreUnavailable if it does not."""
        await self._check_nodes(self.nodes, needed=len(self.nodes))


class Watched(Single):
    """The primary of a service that Sentinels watch: the server that most of them name.

    They are asked for each connection, and every second while there is one: a server that was replaced may not know
    that for a while, and go on taking changes that it is to forget.
    """

    fails_over = True

    def __init__(
        self,
        sentinels: Sequence[Address],
        service: str,
        sentinel_handshake: Handshake,
        handshake: Handshake,
        settings: RedisSettings,
    ) -> None:
        super().__init__(sentinels[0], handshake, settings)
        self._sentinels = sentinels
        self._service = service
        self._sentinel_handshake = sentinel_handshake
        self._watch: asyncio.Task[None] | None = None

    async def find(self, node: Node) -> Address:  # noqa: ARG002
        """Return where the primary is."""
        self._address = await self._named()
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._keep_watch())
        return self._address

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(StoreUnavailable):
                if await self._named() != self._address:
                    for node in self.nodes:
                        node.reconnect("another server is the primary now")

    async def _named(self) -> Address:
        """Return the server that most Sentinels name; of those that answer, if many do not."""
        named: Counter[Address] = Counter()
        problem = StoreUnavailable("The Sentinels do not agree on a primary")
        asked = {asyncio.ensure_future(self._ask(sentinel)) for sentinel in self._sentinels}
        while asked and 2 * max(named.values(), default=0) <= len(self._sentinels):
            answered, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for each in answered:
                try:
                    named[each.result()] += 1
                except StoreUnavailable as error:
                    problem = error
        for each in asked:
            each.cancel()
        found = named.most_common(1)
        if not found or 2 * found[0][1] <= named.total():
            raise problem
        return found[0][0]

    async def _ask(self, sentinel: Address) -> Address:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        [found] = await self._sentinel_handshake.ask(sentinel, question)
        if isinstance(found, Refusal):
            raise _no_sentinel(str(found))
        if found is None:
            raise ServerUnusable("Sentinel watches no service of that name", "have the operator correct the URL")
        return Address(found[0].decode(), int(found[1]))

    async def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        if self._watch is not None:
            await end(self._watch)
        await super().close()

    def check(self, facts: Facts) -> None:
        """Raise StoreUnavailable as :meth:`Single.check` does; a replica is about to become the primary."""
        if facts.is_replica:
            raise StoreUnavailable("Redis has no primary at the moment")
        super().check(facts)


def _no_sentinel(text: str) -> StoreError:
    if "unknown command" in text.lower():
        return ServerUnusable("This is no Sentinel", "have the operator name it as redis://")
    return translate(text)
