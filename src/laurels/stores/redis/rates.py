"""Meters in Redis, which all processes share that keep their boards there, on whichever machine they are.

One call a request, in the pipeline of its turn: of all that is let in, each is counted before it is, so that the limit
holds exactly, over however many processes. Their clock is the server's. A meter is dropped once it says no more than a
new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laurels.stores.contract import SharedMeters, Taken
from laurels.stores.redis.turns import Script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PREFIX = "laurels:rate:"
SECOND = 1_000_000
_RATES = Script("rates")


class RedisMeters(SharedMeters):
    """The meters in one database of Redis."""

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        """``call`` calls a script, given its keys and its arguments."""
        self._call = call

    async def take(self, subject: str, requests: tuple[float, float], submits: tuple[float, float]) -> Taken:
        """Count a request, or not; see the contract."""
        words = [f"{seconds * SECOND:.17g}" for seconds in (*requests, *submits)]
        is_counted, *due = await self._call(_RATES, (PREFIX + subject,), *words)
        return Taken(bool(is_counted), due[0] / SECOND, due[1] / SECOND)
