"""Who may do what on Lambda: the access file in a parameter, read as the store's key is.

Until it could be read nobody may do anything: every request that is for a route is answered with 503. The secret of
players' tokens is in a parameter of its own, which is read together with the file, so that a new secret is taken up in
the same time.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from laurels.access.file import AccessFile
from laurels.access.lazy_tokens import make_tokens
from laurels.access.ssm_parameter import check_isolated, parse_parameter, secret_parameter
from laurels.errors import AccessFileUnusable, ParameterUnreadable
from laurels.http.access import Access
from laurels.optional import load
from laurels.serverless import parameters
from laurels.serverless.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from laurels.access.principal import Principal
    from laurels.access.tokens import Tokens
    from laurels.http import Request
    from laurels.http.operation import Operation


@dataclass(frozen=True)
class Loaded:
    """An access file, the secret that it refers to, and what verifies tokens by both."""

    file: AccessFile = field(repr=False)
    secret: bytes | None = field(repr=False)
    tokens: Tokens | None = field(repr=False, compare=False)


class ParameterAccess(Access):
    """The gate's part that asks who it is, by the access file in a parameter."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Any],
        clock: Callable[[], float] = time.time,
        *,
        is_isolated: bool = False,
    ) -> None:
        super().__init__(AccessFile())  # by which nobody may do anything
        self._is_isolated = is_isolated
        self._name = name
        self._connect = connect
        self._clock = clock
        self._loaded: Loaded | None = None
        self._parameter = Parameter(name, "access file", self._load, clock)

    async def start(self) -> None:
        """Read the file, and fetch the keys of issuers, before the first request; what fails is tried again then."""
        await self.refresh()
        if self.tokens is not None:
            await self.tokens.fetch_keys()

    async def refresh(self) -> None:
        """Go by the file that is in the parameter now, if it is time to look; what cannot be read is in the log."""
        with suppress(ParameterUnreadable):
            loaded = await self._parameter.current()
            if loaded != self._loaded:
                self._loaded = loaded
                self.replace(loaded.file, loaded.tokens)
                self.begin_fetching()

    def authenticate(self, request: Request, operation: Operation) -> Principal | Awaitable[Principal]:
        """Return who asks, as every gate does; raise ParameterUnreadable if no file could be read yet."""
        if self._loaded is None:
            raise ParameterUnreadable(self._name, "no access file could be read yet")
        return super().authenticate(request, operation)

    def _load(self) -> Loaded:
        """Read the parameter, and what it refers to; raise ParameterUnreadable, also for a file that cannot be used."""
        text = parameters.parameter(self._name, self._connect)
        try:
            file = parse_parameter(text, self._name)
            secret = self._read_secret(file)
            return Loaded(file, secret, self._open_tokens(file, secret))
        except AccessFileUnusable as error:
            raise ParameterUnreadable(self._name, str(error)) from None

    def _read_secret(self, file: AccessFile) -> bytes | None:
        name = secret_parameter(file)
        return None if name is None else parameters.parameter(name, self._connect).removesuffix("\n").encode()

    def _open_tokens(self, file: AccessFile, secret: bytes | None) -> Tokens | None:
        """Return what verifies tokens. Loading it takes time, and is done only for a file that has players."""
        players = file.players
        if players is None:
            return None
        if self._is_isolated:
            check_isolated(players, self._name)
        if players.issuers and find_spec("cryptography") is None:
            raise AccessFileUnusable(
                self._name,
                "[players] has issuers, and these functions were deployed for a file without any: deploy again, with "
                "this file as accessFile, or without accessFile",
            )
        fetch = load("laurels.serverless.fetching:fetch") if players.issuers else None
        # By the wall clock, as all that is kept here: the monotonic one may not move while Lambda freezes it.
        return make_tokens(players, secret, self._name, self.tokens, fetch=fetch, clock=self._clock)
