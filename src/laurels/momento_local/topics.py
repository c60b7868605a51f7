"""Topics: each published item goes to all subscribers, in order, with its number.

A topic's numbers begin at 1 on each page; a new server, or a new cache of the same name, has another page. The newest
items are kept for subscribers who come back. It is *assumed* how many, and that a subscriber who asks for a number that
is not kept gets a discontinuity, and then the oldest item that is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from momento_wire_types import cachepubsub_pb2 as pubsub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLS = ("Publish", "Subscribe")
KEPT = 256
HEARTBEAT = pubsub._SubscriptionItem(heartbeat=pubsub._Heartbeat())


class Topic:
    """The newest items of one topic, and the subscribers that wait for the next."""

    def __init__(self, page: int) -> None:
        self.page = page
        self.last = 0
        self._kept: deque[pubsub._SubscriptionItem] = deque(maxlen=KEPT)
        self._waiting: set[asyncio.Future[None]] = set()
        self.ended = False

    def publish(self, value: pubsub._TopicValue, publisher: str = "") -> None:
        """Give an item the next number, keep it, and wake the subscribers."""
        self.last += 1
        item = pubsub._TopicItem(
            topic_sequence_number=self.last, sequence_page=self.page, value=value, publisher_id=publisher
        )
        self._kept.append(pubsub._SubscriptionItem(item=item))
        self._wake()

    def end(self) -> None:
        """End all subscriptions."""
        self.ended = True
        self._wake()

    async def follow(self, number: int, page: int, beat: float) -> AsyncIterator[pubsub._SubscriptionItem]:
        """Yield the items from that number of that page on, 0 for the newest.

        A heartbeat comes first, and after each ``beat`` seconds without an item. A subscriber who is too slow gets a
        discontinuity in place of the items that are not kept any more.
        """
        yield HEARTBEAT
        if not number:
            number = max(1, self.last)
        elif number > self.last + 1 or page not in {0, self.page}:
            yield self._break(number - 1)
            number = self._oldest()
        while not self.ended:
            if number < self._oldest():
                yield self._break(number - 1)
                number = self._oldest()
            if number <= self.last:
                yield self._kept[number - self._oldest()]
                number += 1
            elif not await self._wait(beat):
                yield HEARTBEAT

    def _oldest(self) -> int:
        return self.last - len(self._kept) + 1

    def _break(self, last: int) -> pubsub._SubscriptionItem:
        gap = pubsub._Discontinuity(
            last_topic_sequence=last, new_topic_sequence=self._oldest(), new_sequence_page=self.page
        )
        return pubsub._SubscriptionItem(discontinuity=gap)

    async def _wait(self, seconds: float) -> bool:
        """Wait for the next item or the end; return whether it came in time."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
        finally:
            self._waiting.discard(waiting)
        return bool(done)

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
