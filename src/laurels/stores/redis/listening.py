"""A connection that listens: channels of one server, and what is told on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hiredis import ProtocolError

from laurels.stores.redis.connection import Connection, Refusal

if TYPE_CHECKING:
    import asyncio

_MESSAGES = {b"message", b"smessage"}
_ENDS = {b"unsubscribe", b"sunsubscribe"}


class Listener(Connection):
    """One connection that listens. ``told`` has for each channel what is set when something is told, or it has ended.

    Channels are sharded if the server knows that (7.0 and later, and Valkey); then ``how`` is "s", else "p".
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[bytes, asyncio.Event] = {}
        self.how = "s"
        self.is_lost = False

    def data_received(self, data: bytes) -> None:
        """Hand answers to those that wait for them, and set what is told."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                self._take(answer)
        except ProtocolError:
            self.abort("it does not speak the protocol of Redis")

    def _take(self, answer: Any) -> None:
        kind = answer[0] if isinstance(answer, list) else None
        if kind in _MESSAGES | _ENDS:
            if told := self.told.get(answer[1]):
                told.set()
            if kind in _ENDS:  # perhaps because the slot is another node's now
                self.told.pop(answer[1], None)
        elif self.unanswered:
            self.unanswered.popleft().take(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake all."""
        self.is_lost = True
        super().connection_lost(exc)
        for told in self.told.values():
            told.set()
        self.told.clear()

    async def subscribe(self, channel: bytes, told: asyncio.Event) -> str:
        """Listen to a channel; return why not, if that is refused. Raises ConnectionError if the connection is lost."""
        refusal = await self._try("SSUBSCRIBE", channel) if self.how == "s" else "unknown command"
        if "unknown command" in refusal.lower():
            self.how = "p"
            refusal = await self._try("SUBSCRIBE", channel)
        if not refusal:
            self.told[channel] = told
        return refusal

    def unsubscribe(self, channel: bytes) -> None:
        """Listen to a channel no more."""
        self.told.pop(channel, None)
        if not self.is_lost:
            self.post("SUNSUBSCRIBE" if self.how == "s" else "UNSUBSCRIBE", channel)

    async def _try(self, command: str, channel: bytes) -> str:
        if self.is_lost:
            raise ConnectionError
        [answer] = await self.ask((command, channel))
        return str(answer) if isinstance(answer, Refusal) else ""
