"""Every error Laurels raises on purpose, in one tree.

    LaurelsError
    ├── Malformed                 the request cannot be read as what it should be
    │   ├── BadJSON
    │   ├── BadName
    │   └── BadParameter
    ├── Refused                   it was read, and is not accepted
    │   ├── BadBody
    │   └── ScoreRefused
    ├── StoreError
    │   ├── StoreUnavailable      try again later; nothing was counted
    │   ├── DirectoryInUse        another process owns the data directory
    │   ├── DirectoryUnusable     it cannot be made, read or written
    │   └── DataDamaged           a file on disk is not what was written
    └── RequestFailed             a service did not do what a client of ours asked
        ├── ServerUnreachable     there is no connection to it, or it broke
        ├── RequestRefused        it said no, and why
        └── ServerFailed          it could not, or is no Laurels

Each class is named by its condition, builds its own message, and keeps the facts as attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class LaurelsError(Exception):
    """Anything this package raises on purpose."""


class Malformed(LaurelsError):
    """The request cannot be read as what it should be."""


class BadJSON(Malformed):
    """The body is not JSON."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The body is not valid JSON: {problem}.")


class BadName(Malformed):
    """The name of a board or of a player breaks the rules for names."""

    def __init__(self, parameter: str, problem: str) -> None:
        self.parameter = parameter
        super().__init__(
            f"The {parameter} {problem}. A {parameter} is 1 to 256 bytes of UTF-8 without control characters."
        )


class BadParameter(Malformed):
    """A query parameter is of the wrong form."""

    def __init__(self, parameter: str, problem: str) -> None:
        self.parameter = parameter
        super().__init__(problem)


class Refused(LaurelsError):
    """The request was read, and is not accepted; nothing was stored."""


class BadBody(Refused):
    """The body is JSON of the wrong shape; ``pointer`` (RFC 6901) says where."""

    def __init__(self, pointer: str, problem: str) -> None:
        self.pointer = pointer
        super().__init__(problem)


class ScoreRefused(Refused):
    """A score is a number that a board cannot keep exactly."""

    pointer = "/score"


class StoreError(LaurelsError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store cannot answer or cannot write now; the act was not counted.

    ``retry_after`` is in whole seconds.
    """

    def __init__(self, problem: str, *, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(f"{problem}. Nothing was counted: try again.")


class DirectoryInUse(StoreError):
    """Another process owns the data directory."""

    def __init__(self, directory: Path, owner: int | None) -> None:
        self.directory = directory
        self.owner = owner
        by = f"process {owner}" if owner else "another process"
        super().__init__(
            f"The data directory {directory} is in use by {by}. Stop it, or give this one a directory of "
            "its own with --data."
        )


class DirectoryUnusable(StoreError):
    """The data directory cannot be made, read or written."""

    def __init__(self, directory: Path, problem: str) -> None:
        self.directory = directory
        super().__init__(
            f"The data directory {directory} cannot be used: {problem}. Make it writable for this user, or "
            "name another with --data."
        )


class DataDamaged(StoreError):
    """A file of the data directory is not what was written there."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(
            f"{file} is damaged: {problem}. Nothing was changed. Put back a copy of the whole directory from "
            "before the damage, or move it away to begin anew."
        )


class RequestFailed(LaurelsError):
    """A service did not do what a client of ours asked.

    ``retry_after`` is in whole seconds, where the service asked for the request to be sent again.
    """

    def __init__(self, problem: str, *, retry_after: int | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(problem)


class ServerUnreachable(RequestFailed):
    """There is no connection to the service, or it broke; what was asked may have been done."""

    def __init__(self, server: str, reason: str) -> None:
        self.server = server
        super().__init__(f"Cannot reach {server}: {reason}. Is `laurels serve` running?")


class RequestRefused(RequestFailed):
    """The service said no (4xx), and why."""


class ServerFailed(RequestFailed):
    """The service could not do what was asked (5xx), or is no Laurels."""
