"""The handshake: how a connection to a server begins."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, Protocol

from laurels.errors import ServerUnusable, StoreUnavailable
from laurels.stores.redis.connection import Connection, Refusal
from laurels.stores.redis.errors import PASSING, code_of, refuse_connection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from laurels.stores.redis.calls import Word
    from laurels.stores.redis.url import Address

CONNECT_SECONDS = 2
"""How long a connection and its handshake may take together."""


class Credentials(Protocol):
    """Who connects: asked at each connection, so that what is short-lived is that of the moment."""

    async def get_credentials_async(self) -> tuple[str | None, str | None]:
        """Return the user and the password; raise StoreError if there is none."""


class Handshake:
    """How connections to the servers of one URL begin."""

    def __init__(self, credentials: Credentials, *, is_tls: bool, ca_file: Path | None, database: int) -> None:
        self._credentials = credentials
        self._context = make_context(ca_file) if is_tls else None
        self.database = database

    async def open(
        self, connection: Connection, address: Address, *commands: tuple[Word, ...], is_known: bool = True
    ) -> list[Any]:
        """Connect, and return the answers to commands; refusals are answers. If ``is_known``, say who asks.

        Raises StoreUnavailable, and has closed the connection then.
        """
        try:
            return await self._begin(connection, address, commands, is_known=is_known)
        except BaseException:
            await connection.end("it is not used")
            raise

    async def _begin(
        self, connection: Connection, address: Address, commands: Sequence[tuple[Word, ...]], *, is_known: bool
    ) -> list[Any]:
        first: list[tuple[Word, ...]] = await self._introduction() if is_known else []
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._reach(connection, address)
                answers = await connection.ask(*first, *commands)
            _check(answers, len(first), is_known=is_known)
        except Refusal as said:  # and the server closed the connection: it has too many, or protects itself
            raise refuse_connection(str(said)) from said
        except ssl.SSLCertVerificationError as error:
            raise ServerUnusable(f"The certificate of Redis is not trusted: {error.verify_message}", CA) from error
        except ssl.SSLError as error:
            raise ServerUnusable("Redis does not speak TLS there", "have the operator name it without it") from error
        except TimeoutError as error:
            also = ", perhaps because it speaks no TLS" if self._context is not None else ""
            raise StoreUnavailable(f"Redis cannot be reached: it does not answer{also}") from error
        except OSError as error:
            raise StoreUnavailable(f"Redis cannot be reached: {_reason(error)}") from error
        return answers[len(first) :]

    async def ask(self, address: Address, *commands: tuple[Word, ...]) -> list[Any]:
        """Return what a server answers over a connection of its own: to nobody, if it answers to nobody."""
        answers: list[Any] = []
        for is_known in (False, True):
            connection = Connection()
            answers = await self.open(connection, address, *commands, is_known=is_known)
            await connection.end("it has answered")
            if not any(isinstance(answer, Refusal) and str(answer).startswith("NOAUTH") for answer in answers):
                break
        return answers

    async def _introduction(self) -> list[tuple[Word, ...]]:
        user, password = await self._credentials.get_credentials_async()
        words: list[tuple[Word, ...]] = []
        if password is not None:
            words.append(("AUTH", password) if user is None else ("AUTH", user, password))
        if self.database:
            words.append(("SELECT", self.database))
        return words

    async def _reach(self, connection: Connection, address: Address) -> None:
        loop = asyncio.get_running_loop()
        if address.port is None:
            await loop.create_unix_connection(lambda: connection, address.host)
        else:
            await loop.create_connection(lambda: connection, address.host, address.port, ssl=self._context)


def _reason(error: OSError) -> str:
    """Return what the system says of an error, without the address."""
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _check(answers: list[Any], introductions: int, *, is_known: bool) -> None:
    """Raise StoreUnavailable if a server refuses who asks, or answers nobody at the moment."""
    ends = {*PASSING, "NOAUTH"} if is_known else PASSING.keys()
    for place, answer in enumerate(answers):
        if isinstance(answer, Refusal) and (place < introductions or code_of(str(answer)) in ends):
            raise refuse_connection(str(answer))


CA = "have the operator name the file of its authority (--redis-ca-file)"


def make_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return how TLS is spoken; raise ServerUnusable if the file has no certificates."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ServerUnusable(f"{ca_file} has no certificates of authorities: {error.strerror or error}", CA) from error
