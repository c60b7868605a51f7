"""One connection to a server: what is written goes out at once, and answers come in the order of what was asked.

It is an asyncio protocol around hiredis, and no stream: a stream costs a coroutine and a time-out for each answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from hiredis import ProtocolError, Reader

from laurels.stores.redis.calls import Reply, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.stores.redis.calls import Word


class Refusal(Exception):
    """An error that a server answers with."""


class Sent(Protocol):
    """What waits for an answer of its own."""

    at: float
    ahead: int
    """How many answers come before its own."""
    takes_refusals: bool
    """Whether an error that the server answers with is an answer like any other."""

    def take(self, answer: Any) -> None:
        """Take the answer."""

    def fail(self, error: BaseException) -> None:
        """Know that there is none."""


class Owner(Protocol):
    """Whose calls go over a connection."""

    def answered(self, seconds: float) -> None:
        """Know that an answer came, and how long after its call was sent."""

    def refused(self, reply: Reply, text: str) -> None:
        """Know that the server refuses a call, and what it says."""

    def progress(self) -> None:
        """Know that there may be room for more."""

    def lost(self, connection: Connection, reason: str, calls: Sequence[Reply]) -> None:
        """Know that a connection is gone, why, and which calls were not answered."""


class Connection(asyncio.Protocol):
    """What is asked of one server over one connection."""

    def __init__(self, owner: Owner | None = None) -> None:
        self.unanswered: deque[Any] = deque()
        self.is_congested = False
        self._owner = owner
        self._reader = Reader(replyError=Refusal)
        self._is_made = False
        self._write: Callable[[bytes], object] = bytes
        self._abort: Callable[[], object] = bytes
        self._gone = asyncio.Event()
        self._reason = "it closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know where to write to."""
        self._is_made = True
        self._abort = transport.abort  # type: ignore[attr-defined]
        self._write = transport.write  # type: ignore[attr-defined]

    def write(self, calls: Sequence[tuple[Sent, bytes]]) -> None:
        """Send packed commands, all at once, each with what takes its answer."""
        self.unanswered.extend(call for call, _ in calls)
        self._write(b"".join([packed for _, packed in calls]))

    def send(self, replies: Sequence[Reply]) -> None:
        """Send calls as they are, all at once."""
        self.unanswered.extend(replies)
        self._write(b"".join([reply.pack() for reply in replies]))

    def post(self, *words: Word) -> None:
        """Send a command that has no answer of its own."""
        self._write(pack(words))

    async def ask(self, *commands: tuple[Word, ...]) -> list[Any]:
        """Return the answers to commands; a :exc:`Refusal` is an answer, too.

        Raises the first Refusal if the connection is lost after it, else ConnectionError.
        """
        replies = [_Answer("", words) for words in commands]
        self.send(replies)
        answers: list[Any] = []
        try:
            for reply in replies:
                answers.append(await reply)  # noqa: PERF401 - those before a lost one are needed
        except ConnectionError as lost:
            raise next((each for each in answers if isinstance(each, Refusal)), lost) from None
        return answers

    def data_received(self, data: bytes) -> None:
        """Hand answers to those that wait for them."""
        feed, gets, unanswered, owner = self._reader.feed, self._reader.gets, self.unanswered, self._owner
        if owner is not None and unanswered and unanswered[0].at:  # those of the handshake are not timed
            owner.answered(monotonic() - unanswered[0].at)
        feed(data)
        try:
            while unanswered:
                answer = gets()
                if answer is False:
                    break
                call = unanswered[0]
                if call.ahead:
                    call.ahead -= 1
                    if type(answer) is Refusal:
                        call.refusal = call.refusal or str(answer)
                    continue
                unanswered.popleft()
                if type(answer) is Refusal and not call.takes_refusals and owner is not None:
                    owner.refused(call, str(answer))
                else:
                    call.take(answer)
        except ProtocolError:
            self.abort("it does not speak the protocol of Redis")
            return
        self._go_on()

    def abort(self, reason: str) -> None:
        """Break off, for a reason."""
        self._reason = reason
        self._abort()

    async def end(self, reason: str) -> None:
        """Break off, and wait until that is done, if anything was begun."""
        if self._is_made:
            self.abort(reason)
            await self._gone.wait()

    def pause_writing(self) -> None:
        """Write no more: the server does not read fast enough."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """Go on."""
        self.is_congested = False
        self._go_on()

    def _go_on(self) -> None:
        if self._owner is not None:
            self._owner.progress()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand back what was not answered."""
        self._gone.set()
        if exc is not None:
            self._reason = str(exc)
        lost: list[Sent] = list(self.unanswered)
        self.unanswered.clear()
        for call in lost:
            if call.takes_refusals:
                call.fail(ConnectionError(self._reason))
        if self._owner is not None:
            calls = [call for call in lost if isinstance(call, Reply) and not call.takes_refusals]
            self._owner.lost(self, self._reason, calls)


class _Answer(Reply):
    takes_refusals = True

    def fail(self, error: BaseException) -> None:
        """Be done with an error, which need not be looked at: that of the first of several is."""
        if not self.done():
            super().fail(error)
            self.exception()
