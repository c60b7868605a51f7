"""What goes wrong with servers of Redis, counted by server and kind, and how long they take to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from laurels.distribution import Distribution
from laurels.figures import SECONDS

if TYPE_CHECKING:
    from laurels.figures import Figures

Kind: TypeAlias = Literal["unreachable", "lost", "timeout", "refused"]
"""No connection could be made; one was lost; an answer was not there in time; the server answered with an error."""
MOST_SERVERS = 1000
"""Further ones are counted as one: in some networks each restart gives a server another address."""


class Troubles:
    """What is counted of the servers behind one URL."""

    def __init__(self) -> None:
        self.answer_seconds = Distribution(SECONDS)
        self._counts: dict[str, dict[str, int]] = {}

    def know(self, server: str) -> None:
        """Count nothing yet of a server, so that its figures are there before anything goes wrong."""
        self._of(server)

    def add(self, server: str, kind: Kind) -> None:
        """Count what went wrong with a server."""
        self._of(server)[kind] += 1

    def _of(self, server: str) -> dict[str, int]:
        if server not in self._counts and len(self._counts) >= MOST_SERVERS:
            server = "others"
        return self._counts.setdefault(server, {"unreachable": 0, "lost": 0, "timeout": 0, "refused": 0})

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {"redis_answer_seconds": self.answer_seconds.read(), "redis_errors": self._counts}
