"""One server: named by the URL itself, or the primary of a service that Sentinels watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.errors import ServerUnusable, StoreUnavailable
from laurels.stores.redis.connection import Refusal
from laurels.stores.redis.errors import translate
from laurels.stores.redis.node import Node
from laurels.stores.redis.servers import Servers
from laurels.stores.redis.url import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.errors import StoreError
    from laurels.stores.redis.calls import Reply
    from laurels.stores.redis.durability import Facts
    from laurels.stores.redis.handshake import Handshake
    from laurels.stores.redis.settings import RedisSettings


class Single(Servers):
    """One server. If changes wait for its replicas, reads go over a connection of their own, and do not."""

    def __init__(self, address: Address, handshake: Handshake, settings: RedisSettings) -> None:
        super().__init__(settings)
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

    async def find(self, node: Node) -> Address:  # noqa: ARG002
        """Return where the server is."""
        return self._address

    def check(self, facts: Facts) -> None:
        """Raise StoreUnavailable as :meth:`Servers.check` does, and if it is a replica or a node of a cluster."""
        if facts.is_cluster:
            raise ServerUnusable("This is a node of a cluster", "have the operator name it as redis+cluster://")
        if facts.is_replica:
            raise ServerUnusable("This is a replica of Redis, which is read-only", "have the operator name its primary")
        super().check(facts)

    async def ready(self) -> None:
        """Return once it answers; raise StoreUnavailable if it does not."""
        await self._check_nodes(self.nodes, needed=len(self.nodes))


class Watched(Single):
    """The primary of a service that Sentinels watch; whenever it is lost, they are asked who it is now."""

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
        self._sentinels = list(sentinels)
        self._service = service
        self._sentinel_handshake = sentinel_handshake

    async def find(self, node: Node) -> Address:  # noqa: ARG002
        """Return where the primary is, as the first Sentinel says that answers."""
        problem = StoreUnavailable("No Sentinel answers")
        for sentinel in list(self._sentinels):
            try:
                return await self._ask(sentinel)
            except StoreUnavailable as error:
                problem = error
        raise problem

    async def _ask(self, sentinel: Address) -> Address:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        [found] = await self._sentinel_handshake.ask(sentinel, question)
        if isinstance(found, Refusal):
            raise _no_sentinel(str(found))
        if found is None:
            raise ServerUnusable("Sentinel watches no service of that name", "have the operator correct the URL")
        self._sentinels.remove(sentinel)
        self._sentinels.insert(0, sentinel)
        return Address(found[0].decode(), int(found[1]))

    def check(self, facts: Facts) -> None:
        """Raise StoreUnavailable as :meth:`Single.check` does; a replica is about to become the primary."""
        if facts.is_replica:
            raise StoreUnavailable("Redis has no primary at the moment")
        super().check(facts)


def _no_sentinel(text: str) -> StoreError:
    if "unknown command" in text.lower():
        return ServerUnusable("This is no Sentinel", "have the operator name it as redis://")
    return translate(text)
