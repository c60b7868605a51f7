"""The errors of the command line, in one tree: a file cannot be read, or a request to a service failed.

LaurelsError
├── BadFile                   a file of scores that cannot be read, or in more than one way
├── EnvironmentWrong          a variable of the environment names a proxy, or certificates, that are none
├── SourceFailed              a server of Redis to import from cannot be reached or read, or has nothing to import
├── BoardTaken                where a board is moved to there is another one of its name
├── KeyUnusable               what is to be shown to a service is no key, or cannot be read
└── RequestFailed
    ├── ServerUnreachable     there is no connection to it, or it broke
    ├── RequestRefused        it answered 4xx: the request is refused, and the answer says why
    └── ServerFailed          it answered 5xx, or not as Laurels does
"""

from __future__ import annotations

from laurels.errors import LaurelsError, truncate


class EnvironmentWrong(LaurelsError):
    """A variable of the environment has a value that nothing can be done with."""

    def __init__(self, variable: str, value: str, problem: str) -> None:
        self.variable = variable
        super().__init__(f"{variable} is {truncate(value)!r}: {problem}. Correct it, or unset it.")


class KeyUnusable(LaurelsError):
    """What is to be shown to a service is no key, or cannot be read; the message has no part of it."""


class SourceFailed(LaurelsError):
    """A server of Redis to import from cannot be reached or read; ``source`` is its URL without a password."""

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        super().__init__(f"Cannot read {source}: {problem.rstrip('.')}.")


class BoardTaken(LaurelsError):
    """Where a board is to be moved there is one of its name that would lose something."""

    def __init__(self, board: str, problem: str) -> None:
        self.board = board
        super().__init__(
            f"The board {truncate(board)!r} is there already, and is another one: {problem}. Nothing of it was "
            "changed. --replace makes it what it is where it comes from."
        )


class BadFile(LaurelsError):
    """A file of scores cannot be read, or in more than one way; the message says what would be right."""


class RequestFailed(LaurelsError):
    """A request to a service failed.

    ``status`` is that of the answer, if there was one. ``retry_after`` is in whole seconds, and None unless the service
    says when to send the request again.
    """

    def __init__(self, problem: str, *, status: int | None = None, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(problem)


class ServerUnreachable(RequestFailed):
    """There is no connection to the service, or it broke; the request may have been carried out."""

    def __init__(self, server: str, reason: str, hint: str = "Is `laurels serve` running?") -> None:
        self.server = server
        super().__init__(f"Cannot reach {server}: {reason}. {hint}")


class RequestRefused(RequestFailed):
    """The service refused the request (4xx), and the message says why."""


class ServerFailed(RequestFailed):
    """The service failed (5xx), or does not answer as Laurels does."""
