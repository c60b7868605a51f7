"""Long work of requests, cut into portions: the event loop serves others between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")


class Turns:
    """One portion in each turn of the event loop, however many requests have some: they go one after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def collect(self, portions: Iterator[Sequence[T]]) -> list[T]:
        """Return what all the portions hold; a portion may raise."""
        found: list[T] = []
        async with self._lock:
            for portion in portions:
                found += portion
                await asyncio.sleep(0)
        return found
