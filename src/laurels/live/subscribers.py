"""Who listens to a feed: a transport, not a task. Adapters make of it what their connections are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING

from laurels.limits import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.live.events import Frames

UNSENT_BYTES = 64 * KIB
"""Who has not taken more than that gets nothing until it has; then it gets a fresh page."""
RETRY = b"retry: 1000\n\n"
"""The end of a stream of events: come again in a second."""
COMMENT = b": still here\n\n"


class Subscriber(ABC):
    """Somebody who listens to a feed."""

    is_behind = False
    """Whether it has missed something, and gets nothing but a page."""
    expires = inf
    """When what it has shown is good no longer, in seconds since the epoch."""
    still_may: Callable[[], bool] | None = None
    """Returns whether it may still read, by the rules that hold then; None if anybody may."""

    @property
    @abstractmethod
    def unsent(self) -> int:
        """How many bytes it has not taken yet."""

    @property
    def is_slow(self) -> bool:
        """Whether it is sent nothing until it has taken what it was sent."""
        return self.unsent > UNSENT_BYTES

    @abstractmethod
    def put(self, frames: Frames) -> None:
        """Send frames, without waiting."""

    @abstractmethod
    def comment(self) -> None:
        """Send what means nothing, so that both sides, and whoever is between, know that the other is there."""

    @abstractmethod
    def end(self) -> None:
        """End the stream at once; it has left."""
