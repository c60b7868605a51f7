"""Who may do what on Lambda: the access file in a parameter, read as the store's key is.

Until it could be read nobody may do anything: every request that is for a route is answered with 503. The secret of
players' tokens is in a parameter of its own, which is read together with the file, so that a new secret is taken up in
the same time.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from laurels.access.file import AccessFile
from laurels.access.parameter import parse_parameter, secret_parameter
from laurels.access.players import make_tokens
from laurels.errors import AccessFileUnusable, ParameterUnreadable
from laurels.http.access import Access
from laurels.serverless import parameters
from laurels.serverless.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from laurels.access.principal import Principal
    from laurels.http import Request
    from laurels.http.operation import Operation


class Loaded(Struct, frozen=True):
    """An access file, and the secret that it refers to."""

    file: AccessFile
    secret: bytes | None

    def __repr__(self) -> str:
        """Return nothing of what they say."""
        return "<Loaded>"


class ParameterAccess(Access):
    """The gate's part that asks who it is, by the access file in a parameter."""

    def __init__(self, name: str, connect: Callable[[], Any]) -> None:
        super().__init__(AccessFile())  # by which nobody may do anything
        self._name = name
        self._connect = connect
        self._loaded: Loaded | None = None
        self._parameter = Parameter(name, "access file", self._load)

    async def refresh(self) -> None:
        """Go by the file that is in the parameter now, if it is time to look; what cannot be read is in the log."""
        with suppress(ParameterUnreadable):
            loaded = await self._parameter.current()
            if loaded != self._loaded:
                self.replace(loaded.file, make_tokens(loaded.file.players, loaded.secret, self._name, self.tokens))
                self._loaded = loaded
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
            _check_issuers(file, self._name)
            place = secret_parameter(file)
            secret = self._read_secret(place) if place else None
            make_tokens(file.players, secret, self._name)  # which raises for what cannot be used
        except AccessFileUnusable as error:
            raise ParameterUnreadable(self._name, str(error)) from None
        return Loaded(file, secret)

    def _read_secret(self, name: str) -> bytes:
        return parameters.parameter(name, self._connect).removesuffix("\n").encode()


def _check_issuers(file: AccessFile, name: str) -> None:
    """Raise AccessFileUnusable if these functions cannot verify the signatures of issuers that the file has."""
    if file.players and file.players.issuers and find_spec("cryptography") is None:
        raise AccessFileUnusable(
            name,
            "[players] has issuers, and these functions were deployed for a file without any: deploy again, with this "
            "file as accessFile, or without accessFile",
        )
