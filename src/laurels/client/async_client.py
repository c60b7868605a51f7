"""The client of a service, for programs that use asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from laurels.client.boards import BoardCalls
from laurels.client.connection import Connection
from laurels.client.moderation import ModerationCalls
from laurels.client.players import PlayerCalls
from laurels.client.reads import ReadCalls
from laurels.client.retries import Retries
from laurels.client.scores import ScoreCalls
from laurels.client.service import ServiceCalls
from laurels.client.watching import LiveCalls
from laurels.http.messages import DEFAULT_ORIGIN

if TYPE_CHECKING:
    import httpx

    from laurels.client.keys import Key

TIMEOUT = 30.0
"""Seconds to wait for an answer, from the connection to its last byte."""


class AsyncClient(ScoreCalls, ReadCalls, LiveCalls, BoardCalls, ModerationCalls, PlayerCalls, ServiceCalls):
    """A client of one service, over HTTP; several tasks of one event loop may use it at a time.

    ``url`` is the service's address. ``key`` is the key or the token that is shown there, or a function that returns
    one: it is called at the first request, and again when the service refuses what it gave, so that a token may expire.
    It may be a coroutine function; any other runs in a thread. ``timeout`` is in seconds, for each attempt, from the
    connection to the last byte. ``retries`` says how often a request is sent again; with ``Retries(attempts=1)`` never.
    ``transport`` is what carries requests instead of sockets of httpx's own, such as ``httpx.ASGITransport``.

    Its calls raise :class:`~laurels.errors.BadName` for a name that no board or player can have, before anything is
    sent, and :class:`RequestFailed` if the request fails. Proxies and certificates are those of the environment, as
    curl takes them; redirects are not followed.

    Raises ValueError for a URL that is none, KeyUnusable for a key that is none, and EnvironmentWrong.
    """

    def __init__(
        self,
        url: str = DEFAULT_ORIGIN,
        *,
        key: Key | None = None,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            url, key, timeout=timeout, retries=retries or Retries(), transport=transport, advise=self._advise
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the service; no call is right after it."""
        await self._connection.close()

    def _advise(self, status: int) -> str:  # noqa: ARG002 - a client of a program of its own may know more
        """Return what to do about a refusal with this status, to go on after the reason."""
        return ""
