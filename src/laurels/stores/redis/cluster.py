"""A cluster: many nodes, each with the keys of some slots; a call goes to that which has the slot of its keys.

The map of slots is read from any node that takes the cluster for whole: before the first call, and again whenever a
node says that it is wrong, takes itself for cut off, or cannot be reached. A node that was taken out of the cluster, or
is on the smaller side of a split, goes on to answer, and knows nothing of its successor. A call that came to the wrong
node was not done, and goes on to the right one.
"""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from laurels.errors import ServerUnusable, StoreUnavailable
from laurels.stores.redis.connection import Refusal
from laurels.stores.redis.errors import code_of, translate
from laurels.stores.redis.node import Node, end, too_many_waiting
from laurels.stores.redis.servers import Servers
from laurels.stores.redis.url import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.errors import StoreError
    from laurels.stores.redis.calls import Reply, Script, Word
    from laurels.stores.redis.handshake import Handshake
    from laurels.stores.redis.settings import RedisSettings

SLOTS = 16384
HOPS = 8
"""How often a call may be sent on to another node."""
Range: TypeAlias = "tuple[int, int, Address]"
"""The first slot, the last, and who has them."""
MAP_SECONDS, DOWN_SECONDS = 0.1, 0.5
"""The least time between two readings of the map, and if no node takes the cluster for whole."""


@lru_cache(10_000)
def slot_of(key: str) -> int:
    """Return the slot of a key: that of its hash tag, if it has one."""
    _, opened, rest = key.partition("{")
    tag, closed, _ = rest.partition("}")
    return crc_hqx((tag if opened and closed and tag else key).encode(), 0) % SLOTS


class Cluster(Servers):
    """The nodes of a cluster."""

    fails_over = True
    spans_slots = False

    def __init__(self, seeds: Sequence[Address], handshake: Handshake, settings: RedisSettings) -> None:
        super().__init__(handshake, settings)
        self._seeds = seeds
        self._slots: list[Address | None] = [None] * SLOTS
        self._nodes: dict[tuple[Address, bool], Node] = {}
        self._addresses: dict[Node, Address] = {}
        self._unmapped: deque[Reply] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def nodes(self) -> list[Node]:
        """What there are connections to."""
        return list(self._nodes.values())

    def call(self, script: Script, keys: tuple[str, ...], *arguments: Word) -> Reply:
        """Call a script, so that it is refused (TRYAGAIN) while its slot moves and a part of its keys has gone.

        A node knows of the keys alone that it is told. With one that is never there it takes a part for missing.
        """
        return super().call(script, keys if script.closed else (*keys, f"{keys[0]}:never"), *arguments)

    def send(self, reply: Reply) -> None:
        """Send a call to the node that has its slot, once that is known."""
        address = self._slots[slot_of(reply.key)]
        if address is not None:
            self._node(address, reads=reply.reads).send(reply)
        elif len(self._unmapped) >= self.settings.waiting:
            reply.fail(too_many_waiting(self.settings.waiting))
        else:
            self._unmapped.append(reply)
            self._read_map()

    def _node(self, address: Address, *, reads: bool) -> Node:
        key = address, reads and self.settings.wait > 0
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(self, self.handshake, self.settings)
            self._addresses[node] = address
        return node

    def where(self, key: str) -> Address:
        """Return where the node is that has a key."""
        return self._slots[slot_of(key)] or self._seeds[0]

    async def find(self, node: Node) -> Address:
        """Return where a node is: where it was."""
        return self._addresses[node]

    def lost(self, node: Node) -> None:  # noqa: ARG002
        """Ask the others who has its slots now."""
        self._read_map()

    def refused(self, node: Node, reply: Reply, text: str) -> None:
        """Send a call on to the node that has its slot now."""
        code = code_of(text)
        if code == "CLUSTERDOWN":
            self._read_map()
        if code not in {"MOVED", "ASK"} or reply.tries >= HOPS:
            super().refused(node, reply, text)
            return
        reply.tries += 1
        _, slot, place = text.split()[:3]
        host, _, port = place.rpartition(":")
        address = Address(host.strip("[]") or self._addresses[node].host, int(port))
        if code == "MOVED":
            self._slots[int(slot)] = address
            self._read_map()
        reply.is_asking = code == "ASK"
        self._node(address, reads=reply.reads).send(reply)

    # The map

    def _read_map(self) -> None:
        if self._reading is None and not self._is_closed:
            self._reading = asyncio.ensure_future(self._follow())
            self._reading.add_done_callback(self._has_read)

    def _has_read(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.result()
            if self._unmapped:  # since it was read
                self._read_map()

    async def _follow(self) -> None:
        is_whole = False
        try:
            ranges, is_whole = await self._ask_for_map()
        except StoreUnavailable as error:
            for reply in self._take_unmapped():
                reply.fail(error.with_traceback(None))
        else:
            self._take_over(ranges)
        await asyncio.sleep(MAP_SECONDS if is_whole else DOWN_SECONDS)

    def _take_unmapped(self) -> list[Reply]:
        waiting, self._unmapped = list(self._unmapped), deque()
        return waiting

    async def _ask_for_map(self) -> tuple[list[Range], bool]:
        """Return who has which slots, and whether who says so takes the cluster for whole, which is asked for first."""
        problem = StoreUnavailable("No node of the cluster answers that has slots")
        partial: list[Range] = []
        nodes = sorted(self._addresses, key=lambda node: node.trouble is not None)
        for address in dict.fromkeys([*map(self._addresses.__getitem__, nodes), *self._seeds]):
            try:
                found, state = await self.handshake.ask(address, ("CLUSTER", "SLOTS"), ("CLUSTER", "INFO"))
                if isinstance(found, Refusal):
                    raise _no_map(str(found))
                ranges = [_range(each, address.host) for each in found]
                if ranges and (isinstance(state, Refusal) or b"cluster_state:fail" not in state):
                    return ranges, True
                partial = partial or ranges
            except StoreUnavailable as error:
                problem = error
        if not partial:
            raise problem
        return partial, False

    def _take_over(self, ranges: Sequence[Range]) -> None:
        slots: list[Address | None] = [None] * SLOTS
        for first, last, address in ranges:
            slots[first : last + 1] = [address] * (last + 1 - first)
        self._slots = slots
        known = {address for _, _, address in ranges}
        for key, node in list(self._nodes.items()):
            if key[0] not in known:
                del self._nodes[key]
                task = asyncio.ensure_future(self._retire(node))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
        for reply in self._take_unmapped():
            if slots[slot_of(reply.key)] is None:
                self.undone(reply, "No node of the cluster has these keys")
            else:
                self.send(reply)

    async def _retire(self, node: Node) -> None:
        await node.close()
        del self._addresses[node]

    # The store itself

    async def ready(self) -> None:
        """Return once a node answers; raise StoreUnavailable if none does, or if one cannot be used."""
        await self.ask("", "PING")
        known = {address for address in self._slots if address is not None}
        lanes = {False, self.settings.wait > 0}
        await self._check_nodes([self._node(address, reads=lane) for address in known for lane in lanes], needed=1)

    async def close(self) -> None:
        """Wait for what is under way, and close the connections."""
        self._is_closed = True
        await super().close()
        for task in [*self._retiring, *filter(None, [self._reading])]:
            await end(task)
        for reply in self._take_unmapped():
            reply.fail(StoreUnavailable("The store is closed"))


def _range(found: Any, host: str) -> Range:
    first, last, primary = found[:3]
    name = primary[0].decode() if primary[0] else ""
    return first, last, Address(name if name not in {"", "?"} else host, primary[1])


def _no_map(text: str) -> StoreError:
    if "cluster support disabled" in text:
        return ServerUnusable("This is no node of a cluster", "have the operator name it as redis://")
    return translate(text)
