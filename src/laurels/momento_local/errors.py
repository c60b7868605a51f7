"""The errors of a local Momento server, in one tree.

    LaurelsError
    ├── NotListening              it cannot have the port that it is to listen on
    └── CallRefused               it does not do what a call asks
        ├── NotAuthenticated      there is no key, or it is wrong, has expired or was revoked
        ├── NotPermitted          the key is valid, and does not allow it
        ├── BadArgument           what was sent is not what it should be
        ├── NotThere              there is nothing of that name
        ├── AlreadyThere          the name is taken
        ├── WrongKind             the item is of another kind than the call is for
        └── TooMuch               it is over a limit

Which gRPC status a refusal becomes is in ``server.py``, and which HTTP status in ``accounts.py``.
"""

from __future__ import annotations

from laurels.errors import LaurelsError


class NotListening(LaurelsError):
    """A server cannot have the port that it is to listen on."""

    def __init__(self, address: str, option: str) -> None:
        self.address = address
        super().__init__(
            f"Cannot listen on {address}: it is in use, or not this machine's. Choose another with {option}."
        )


class CallRefused(LaurelsError):
    """A local Momento server does not do what a call asks. ``cause`` is the SDKs' word for it, if they have one."""

    cause: str | None = None


class NotAuthenticated(CallRefused):
    """The call brings no key, or one that is wrong, has expired or was revoked."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}. `laurels momento-local` prints the keys that it takes.")


class NotPermitted(CallRefused):
    """The key is valid, and does not allow the call."""

    def __init__(self, action: str, cache: str | None) -> None:
        self.action = action
        self.cache = cache
        super().__init__(f"The API key does not allow to {action}{f' in {cache}' if cache else ''}: use one that does.")


class BadArgument(CallRefused):
    """What was sent is not what it should be; the message says what would be right."""


class NotThere(CallRefused):
    """There is no cache, key or role of that name."""

    def __init__(self, what: str, name: str) -> None:
        self.what = what
        self.name = name
        super().__init__(f"There is no {what} {name!r}: create it first.")


class AlreadyThere(CallRefused):
    """There is already a cache or role of that name."""

    def __init__(self, what: str, name: str) -> None:
        self.what = what
        self.name = name
        super().__init__(f"There is already a {what} {name!r}: use it, or choose another name.")


class WrongKind(CallRefused):
    """An item is of another kind than the call is for."""

    def __init__(self, key: bytes, kind: str, wanted: str) -> None:
        self.key = key
        super().__init__(f"The item {key!r} is a {kind}, not a {wanted}. Delete it first, or use another key.")


class TooMuch(CallRefused):
    """A call is over a limit; ``cause`` says which."""

    def __init__(self, cause: str, problem: str) -> None:
        self.cause = cause
        super().__init__(problem)
