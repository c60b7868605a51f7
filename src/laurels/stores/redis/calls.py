"""Calls: what is asked of a server, and the future that is its answer."""

from __future__ import annotations

import asyncio
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

Word: TypeAlias = bytes | str | int


class Script:
    """A script, behind others whose functions it uses. Making those takes time in each call.

    One that ``reads`` changes nothing: if its answer is lost, it is asked for again. One that is ``closed`` touches no
    other keys than it is given; others touch all that have their tag.
    """

    def __init__(self, *names: str, reads: bool = False, closed: bool = False) -> None:
        here = files("laurels.stores.redis")
        self.body = b"".join(here.joinpath(f"{name}.lua").read_bytes() for name in names)
        self.digest = sha1(self.body, usedforsecurity=False).hexdigest()
        self.reads = reads
        self.closed = closed


class Turn(Protocol):
    """What holds answers back."""

    def hold(self, reply: Reply, answer: Any) -> None:
        """Keep an answer."""


class Reply(asyncio.Future[Any]):
    """One call, done when it is answered.

    ``at`` is when it began to wait, and from when it was sent on, that; ``tries`` counts how often it had to be sent
    again. Whoever waits is called as soon as it is done, inside the turn of the loop in which the answer was read.
    """

    drives_inline: ClassVar[bool] = True
    """An adapter may run a coroutine on from this future's callback, without a task around it."""
    at = 0.0
    tries = 0
    needs_script = False
    """Whether the server does not have its script."""
    refusal = ""
    """Why the server did not take its script."""
    takes_refusals: ClassVar[bool] = False
    turn: Turn | None = None
    """What holds the answer back until replicas have the change."""
    is_asking = False
    """Whether it goes to a node of a cluster that does not have its slot yet, and must be told so (ASK)."""

    def __init__(self, key: str, words: tuple[Word, ...], script: Script | None = None, *, reads: bool = True) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.key = key
        self.words = words
        self.script = script
        self.reads = reads
        self._waiters: list[tuple[Callable[[Reply], object], Context | None]] = []

    def add_done_callback(self, fn: Callable[[Reply], object], *, context: Context | None = None) -> None:
        """Call ``fn`` when there is an answer."""
        if self.done():
            self.get_loop().call_soon(fn, self, context=context)
            return
        self._waiters.append((fn, context))

    def remove_done_callback(self, fn: Callable[[Reply], object], /) -> int:
        """Call ``fn`` no more; return how often it would have been."""
        before = self._waiters
        self._waiters = [waiter for waiter in before if waiter[0] != fn]
        return len(before) - len(self._waiters)

    def take(self, answer: Any) -> None:
        """Be done, or leave it to the turn; a waiter that raises does not keep others waiting."""
        if self.turn is not None:
            self.turn.hold(self, answer)
        elif not self.done():
            self.set_result(answer)
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Be done with an error. The waiters are called in the loop's next turn: this may be inside a task."""
        if not self.done():
            self.set_exception(error)
            self.get_loop().call_soon(self._wake)

    def cancel(self, msg: object = None) -> bool:
        """Wait no longer. What was sent is done all the same."""
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            self.get_loop().call_soon(self._wake)
        return is_cancelled

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter, context in waiters:
            try:
                if context is None:
                    waiter(self)
                else:
                    context.run(waiter, self)
            except Exception as error:  # noqa: BLE001 - as the loop does with the callbacks of any future
                self.get_loop().call_exception_handler({"message": "A waiter for Redis raised", "exception": error})


class Aside:
    """What is sent beside calls, and answered to nobody; ``replies`` are told if their script was refused."""

    takes_refusals = True

    def __init__(self, at: float, replies: Sequence[Reply] = ()) -> None:
        self.at = at
        self._replies = replies

    def take(self, answer: Any) -> None:
        """Note a refusal."""
        if isinstance(answer, Exception):
            for reply in self._replies:
                reply.refusal = str(answer)

    def fail(self, error: BaseException) -> None:
        """Leave it: the calls fail by themselves."""
