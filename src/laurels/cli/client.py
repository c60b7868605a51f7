"""The client of the commands: that of programs, with a key that a command line names, and bodies that are encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import httpx
from msgspec import Struct

from laurels.cli.credentials import HOW
from laurels.client.async_client import TIMEOUT, AsyncClient
from laurels.client.calls import path_of
from laurels.client.connection import JSON
from laurels.client.retries import NO_RETRIES, Retries

if TYPE_CHECKING:
    from datetime import datetime

    from laurels.answers import BatchReceipt
    from laurels.cli.credentials import Credential
    from laurels.client.retries import Repeat

ATTEMPTS = 8
PATIENT = Retries(attempts=ATTEMPTS, seconds=600, only_if_told=True)
"""How the transfer of a whole board goes on: while the service says when to come again."""


class Where(TypedDict):
    """The arguments of calls that say which period they are about."""

    window: str | None
    period: str | None


class Period(Struct, frozen=True):
    """A period of a window: the current one if ``period`` is None, and all time if ``window`` is None too."""

    window: str | None = None
    period: str | None = None

    @property
    def where(self) -> Where:
        """Its arguments in calls."""
        return {"window": self.window, "period": self.period}


ALL_TIME = Period()


class CommandClient(AsyncClient):
    """A client of the service that a command is about; commands but transfers send nothing again."""

    def __init__(
        self,
        server: str,
        credential: Credential | None = None,
        *,
        retries: Retries = NO_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._credential = credential
        key = credential.text if credential else None
        super().__init__(server, key=key, timeout=TIMEOUT, retries=retries, transport=transport)

    def _advise(self, status: int) -> str:
        """Return where the key is from that was refused, or how to show one."""
        if status not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            return ""
        if self._credential is None:
            return f" {HOW}" if status == httpx.codes.UNAUTHORIZED else ""
        return f" What was shown is from {self._credential.source}."

    async def submit_body(self, board: str, name: str, body: bytes, key: str | None) -> None:
        """Submit the body of a score; without an idempotency key it is sent again only if it did not count."""
        headers = JSON if key is None else JSON | {"idempotency-key": key}
        await self._connection.ask(
            "POST", path_of(board, name), body=body, headers=headers, repeat="unsent" if key is None else "safe"
        )

    async def submit_batch(self, board: str, body: bytes, sent: int, key: str | None) -> BatchReceipt:
        """Submit an encoded batch of ``sent`` entries; without a key it is sent again only if it has none."""
        headers = JSON if key is None else JSON | {"idempotency-key": key}
        repeat: Repeat = "unsent" if key is None and sent else "safe"
        answer = await self._connection.ask("POST", path_of(board), body=body, headers=headers, repeat=repeat)
        return self._read_batch_receipt(answer.content, sent)

    async def restore_batch(self, board: str, body: bytes, sent: int, when: Period) -> BatchReceipt:
        """Restore an encoded batch of ``sent`` entries, on a board alone or in one period."""
        return await self._restore_batch(board, body, sent, when.window, when.period)


def format_instant(time: datetime) -> str:
    """Return a time as the service writes it: RFC 3339, in UTC, to the microsecond."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
