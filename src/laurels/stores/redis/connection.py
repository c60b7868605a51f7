"""Connections to Redis, and what its errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import RedisError

from laurels.errors import AnswerLost, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_SECONDS = 5
"""How long an answer may take."""
CONNECT_SECONDS = 2
CONNECTIONS = 16


Credentials: TypeAlias = "Callable[[], tuple[str, str]]"
"""Returns the user and the password, for each connection anew: so what is short-lived is that of the moment."""


class _Provider:
    """Credentials as the client asks for them."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return them."""
        return self._credentials()


def connect(url: str, answer_seconds: float = ANSWER_SECONDS, credentials: Credentials | None = None) -> Redis:
    """Return a client, which connects when it is first used; it never sends anything again by itself.

    ``credentials`` is asked for a user and a password at each connection, in place of those in the URL.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=answer_seconds,
        socket_timeout=answer_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        **({} if credentials is None else {"credential_provider": _Provider(credentials)}),
    )
    return Redis.from_pool(pool)


def translate(error: BaseException) -> StoreUnavailable:
    """Return our error for one of the client's."""
    if isinstance(error, StoreUnavailable):
        return error
    if isinstance(error, Unreachable | ConnectionRefusedError) and "onnecting" in str(error):
        return StoreUnavailable(f"Redis cannot be reached: {error}")
    return AnswerLost(f"Redis did not answer: {error}")


__all__ = ["RedisError", "connect", "translate"]
