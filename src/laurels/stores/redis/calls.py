"""Calls: what is asked of a server, and the future that is its answer."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from hiredis import pack_command

from laurels.stores.redis.errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

Word: TypeAlias = bytes | str | int
pack: Callable[[tuple[Word, ...]], bytes] = pack_command  # type: ignore[assignment]
_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


class Script:
    """A script, behind others whose functions it uses. Making those takes time in each call.

    One that ``reads`` changes nothing: if its answer is lost, it is asked for again. One that is ``closed`` touches no
    other keys than it is given; others touch all that have their tag.
    """

    def __init__(self, *names: str, reads: bool = False, closed: bool = False) -> None:
        here = files("laurels.stores.redis")
        self.body = b"".join(here.joinpath(f"{name}.lua").read_bytes() for name in names)
        self.digest = sha1(self.body, usedforsecurity=False).hexdigest()
        self.name = names[-1]
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
    """Why the server did not take its script, or a command of its transaction."""
    ahead = 0
    """How many answers come before its own."""
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

    def pack(self) -> bytes:
        """Return it as it is sent."""
        return pack(self.words)

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


class Look(Reply):
    """Plain commands that read, of one state: the answer is the list of theirs.

    They are a transaction, which costs the server a microsecond; a script costs five, and reads each answer twice.
    """

    def __init__(self, key: str, commands: tuple[tuple[Word, ...], ...]) -> None:
        super().__init__(key, ())
        self._packed = b"".join([_begin(key), *map(pack, commands), _EXEC])
        self._count = 2 + len(commands)

    def pack(self) -> bytes:
        """Return it as it is sent, and expect an answer to each command."""
        self.ahead, self.refusal = self._count, ""
        return self._packed

    def take(self, answer: list[Any]) -> None:
        """Be done, or fail with what one of them met."""
        for each in answer:
            if isinstance(each, Exception):
                self.fail(translate(str(each)))
                return
        super().take(answer)


@lru_cache(10_000)
def _begin(key: str) -> bytes:
    return _MULTI + pack(("GET", f"{key}:state"))


class Aside:
    """What is sent beside calls, and answered to nobody; ``replies`` are told if their script was refused."""

    takes_refusals = True
    ahead = 0

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
