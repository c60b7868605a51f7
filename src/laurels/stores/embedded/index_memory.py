"""How much memory the indexes take: a sum over all of them, made some at a time, because there may be a million.

The sum is begun when it is asked for and the last one is old; what is returned is the last one that is complete. So it
is as old as the time between two questions, and is right at once where there are few boards.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.stores.embedded.state import State

AT_ONCE = 1000
"""How many are asked before the loop may do something else: half a millisecond."""
PAUSE_SECONDS = 0.005
FRESH_SECONDS = 5.0


class IndexMemory:
    """The memory of the indexes of one store."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sum = self._part = 0
        self._asked_at = float("-inf")
        self._left: Iterator[str] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def read(self) -> int:
        """Return how many bytes the indexes took when they were last asked."""
        if self._left is None and monotonic() - self._asked_at > FRESH_SECONDS:
            self._part, self._left = self._state.names.nbytes, iter(list(self._state))
            self._ask_some()
        return self._sum

    def _ask_some(self) -> None:
        assert self._left is not None  # noqa: S101 - until all have been asked
        some = list(islice(self._left, AT_ONCE))
        self._part += sum(index.nbytes for index in map(self._state.get, some) if index is not None)  # None: it is gone
        if len(some) == AT_ONCE:
            self._timer = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._ask_some)
        else:
            self._sum, self._left, self._asked_at = self._part, None, monotonic()

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
