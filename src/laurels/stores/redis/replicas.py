"""Replicas: the changes of one turn are acknowledged once enough of them have those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laurels.errors import AnswerLost

if TYPE_CHECKING:
    from laurels.stores.redis.calls import Reply, Word

SHARE = 0.5
"""The part of an answer's time that is for the replicas."""


class Changes:
    """The answers to the changes of one turn, held until the server says how many replicas have them.

    Before it asks, a key that is gone at once is set: what a retry finds done already may have been changed over
    another connection, and a server answers only for what came over this one.
    """

    takes_refusals = True
    ahead = 0

    def __init__(self, wanted: int, *, at: float, on_disk: bool) -> None:
        self.at = at
        self.is_done = False
        self._wanted = wanted
        self._on_disk = on_disk
        self._held: list[tuple[Reply, Any]] = []

    def commands(self, key: str, seconds: float) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
        """Return what to send behind the changes; ``key`` is that of any of them."""
        patience = max(1, int(seconds * SHARE * 1000))
        wait: tuple[Word, ...] = ("WAIT", self._wanted, patience)
        if self._on_disk:
            wait = ("WAITAOF", 1, self._wanted, patience)
        return ("SET", f"{key}:wait", "", "PX", 1), wait

    def hold(self, reply: Reply, answer: Any) -> None:
        """Keep an answer until then."""
        self._held.append((reply, answer))

    def take(self, answer: Any) -> None:
        """Give the answers out, or say that too few replicas have them."""
        self.is_done = True
        have = answer[-1] if isinstance(answer, list) else answer
        if not isinstance(have, int):
            self.fail(AnswerLost("Redis did not say how many replicas have it"))
        elif have < self._wanted:
            where = " on disk" if self._on_disk else ""
            self.fail(AnswerLost(f"{have} of {self._wanted} replicas had it{where} in time"))
        else:
            self._give()

    def _give(self) -> None:
        held, self._held = self._held, []
        for reply, answer in held:
            reply.turn = None
            reply.take(answer)

    def fail(self, error: BaseException) -> None:
        """Say that the changes may be lost."""
        self.is_done = True
        held, self._held = self._held, []
        problem = error.problem if isinstance(error, AnswerLost) else "Redis was gone before replicas had it"
        for reply, _ in held:
            reply.turn = None
            reply.fail(AnswerLost(problem))
