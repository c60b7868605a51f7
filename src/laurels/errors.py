"""Every error Laurels raises on purpose, in one tree.

    LaurelsError
    ├── Malformed                 the request cannot be read as what it should be
    │   ├── BadJSON
    │   ├── BadName
    │   └── BadParameter
    ├── Refused                   it was read, and is not accepted
    │   ├── BadBody
    │   ├── BadDefinition         a board cannot promise that
    │   ├── KeyReused             an idempotency key came with another request before
    │   └── ScoreRefused
    ├── DefinitionConflict        what a board holds, or its file, contradicts a change of its definition
    ├── NotDeclared               the deployment takes scores for declared boards only
    ├── NotDefined                the board has neither a definition nor entries
    ├── NotOnBoard                what was asked about a name takes one that is on the board
    ├── StoreError
    │   ├── StoreUnavailable      try again later; nothing was counted
    │   │   ├── AnswerLost        no answer came back; what was asked may have been done
    │   │   │   └── SumUncertain  a score may have been added, and would be once more
    │   │   ├── CacheMissing      Momento has no cache of that name
    │   │   ├── KeyRefused        Momento does not take the key, or it is none
    │   │   ├── KeyUnreadable     the parameter with the key cannot be read, and there is no older key
    │   │   └── RestartNeeded     it stopped at an error that it does not expect, until it is restarted
    │   ├── LimitReached          more was asked than the store's account may
    │   ├── StoreRefused          the store will not do it, however often it is asked
    │   ├── NotKept               the store has never promised it
    │   ├── BadStore              there is no store of that URL
    │   ├── DirectoryInUse        another process owns the data directory
    │   ├── DirectoryUnusable     it cannot be made, read or written
    │   ├── DataDamaged           a file on disk is not what was written
    │   └── NewerFormat           a file on disk is of a version of Laurels that is newer than this one
    ├── RequestFailed             a service did not do what a client of ours asked
    │   ├── ServerUnreachable     there is no connection to it, or it broke
    │   ├── RequestRefused        it said no, and why
    │   └── ServerFailed          it could not, or is no Laurels
    ├── AccountRefused            Momento's account API did not do what the rotation of keys asked
    ├── ExtraMissing              what was asked for needs packages that are not installed
    ├── NotListening              a server cannot have the port that it is to listen on
    ├── BoardsFileUnusable        the file that declares boards cannot be read as such
    ├── BadSetting                a deployment is told what it cannot be
    └── CallRefused               a local Momento server does not do what a call asks
        ├── NotAuthenticated      there is no key, or it is wrong, has expired or was revoked
        ├── NotPermitted          the key is good, and does not allow it
        ├── BadArgument           what was sent is not what it should be
        ├── NotThere              there is nothing of that name
        ├── AlreadyThere          the name is taken
        └── WrongKind             the item is of another kind than the call is for

Each class is named by its condition, builds its own message, and keeps the facts as attributes.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from laurels.limits import NAME_BYTES

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
        what = "board" if parameter == "board" else "name"
        super().__init__(
            f"The {what} {problem}. A {what} is 1 to {NAME_BYTES} bytes of UTF-8 without control characters."
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


class BadDefinition(Refused):
    """A board's definition says what no board can promise; ``pointer`` (RFC 6901) says where in it.

    ``where`` names the file and the table of a definition that stands in one.
    """

    def __init__(self, pointer: str, problem: str, where: str = "") -> None:
        self.pointer = pointer
        self.problem = problem
        super().__init__(f"{where}: {problem}" if where else problem)


class KeyReused(Refused):
    """An idempotency key came with another request within its lifetime."""

    parameter = "Idempotency-Key"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key came with another body less than 24 hours ago. Send a retry as the first try was, "
            "and anything new under a key of its own."
        )


class ScoreRefused(Refused):
    """A score is a number that a board cannot keep exactly."""

    pointer = "/score"


class DefinitionConflict(LaurelsError):
    """What a board holds, or the file that declares it, contradicts a change of its definition; nothing was changed."""

    def __init__(self, board: str, problem: str) -> None:
        self.board = board
        self.problem = problem
        super().__init__(f"The definition of the board {board!r} cannot change so: {problem}.")


class NotDeclared(LaurelsError):
    """The deployment takes scores for declared boards only, and this one is not."""

    parameter = "board"

    def __init__(self, board: str) -> None:
        self.board = board
        super().__init__(
            f"There is no board {board!r}, and only declared boards take scores here: PUT its definition to "
            "/-/boards/{board} first, or declare it in the boards file."
        )


class NotDefined(LaurelsError):
    """The board has neither a definition of its own nor entries."""

    parameter = "board"

    def __init__(self, board: str) -> None:
        self.board = board
        super().__init__(f"There is no board {board!r}: it is not declared, and has no entries.")


class NotOnBoard(LaurelsError):
    """What was asked about a name takes one that is on the board."""

    def __init__(self, parameter: str, name: str) -> None:
        self.parameter = parameter
        super().__init__(f"{name!r} is not on this board. Ask about a name that is, or submit a score for it first.")


class StoreError(LaurelsError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store cannot answer or cannot write now; the act was not counted.

    ``retry_after`` is in whole seconds.
    """

    outcome = "Nothing was counted"
    remedy = "try again"

    def __init__(self, problem: str, *, retry_after: int = 1) -> None:
        self.problem = problem
        self.retry_after = retry_after
        super().__init__(f"{problem}. {self.outcome}: {self.remedy}.")


class AnswerLost(StoreUnavailable):
    """A store beyond this process gave no answer: nobody knows whether the act was counted."""

    outcome = "What was asked may have been done all the same"


class RestartNeeded(StoreUnavailable):
    """The store met an error that it does not expect, and takes no more writes; a restart mends it.

    ``in_doubt`` says of a write that it may be on disk, and then counts after the restart.
    """

    remedy = "restart the service"

    def __init__(self, cause: BaseException, *, in_doubt: bool) -> None:
        if in_doubt:
            self.outcome = AnswerLost.outcome
        super().__init__(f"The store stopped at an error ({type(cause).__name__}, see the log)", retry_after=10)


class SumUncertain(AnswerLost):
    """Nobody knows whether a score was added; where it was, the same submit again adds it once more."""

    remedy = "look at the standing before trying again, because a score that is added twice counts twice"


class CacheMissing(StoreUnavailable):
    """Momento has no cache of the name that boards are to be kept in."""

    def __init__(self, cache: str) -> None:
        self.cache = cache
        super().__init__(
            f"There is no Momento cache {cache!r}: create it with `laurels momento create-cache {quote(cache)}`",
            retry_after=10,
        )


class KeyRefused(StoreUnavailable):
    """Momento does not take the key, or the key cannot even be read. No part of the key is ever told."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The Momento key is refused: {problem}", retry_after=60)


class KeyUnreadable(StoreUnavailable):
    """The parameter with the store's key cannot be read; the message leaves name and reason to the log."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__("The key to the store cannot be read", retry_after=5)


class LimitReached(StoreError):
    """More was asked of the store than its account may have; nothing was counted.

    ``retry_after`` is in whole seconds.
    """

    def __init__(self, problem: str, *, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(f"{problem}. Nothing was counted: try again more slowly, or have the account's limit raised.")


class StoreRefused(StoreError):
    """The store will not do what was asked, however often; nothing was counted."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The store refused: {problem}. Nothing was counted, and trying again will not help.")


class NotKept(StoreError):
    """The store was asked for what its capabilities do not promise."""

    def __init__(self, promise: str) -> None:
        self.promise = promise
        super().__init__(f"This store cannot {promise}: its capabilities say so. Use the embedded store for that.")


class BadStore(StoreError):
    """There is no store of the URL that was given."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"{url!r} is no store: it must be embedded, or momento:CACHE with the name of a cache.")


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


class NewerFormat(StoreError):
    """A file of the data directory was written by a version of Laurels that this one comes before.

    ``found`` is the number of its format, or, if that is one of those ``known``, what in it this version does not know.
    """

    def __init__(self, file: Path, found: int | str, known: int) -> None:
        self.file = file
        self.found = found
        problem = (
            f"has format {found}, and this version of Laurels knows those up to {known}"
            if isinstance(found, int)
            else f"has content that this version of Laurels does not know ({found})"
        )
        super().__init__(f"{file} {problem}. Nothing was changed. Run the version that wrote it, or a later one.")


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


class AccountRefused(LaurelsError):
    """Momento's account API did not do what it was asked; ``status`` is None where it gave no answer."""

    def __init__(self, request: str, status: int | None, problem: str) -> None:
        self.status = status
        said = "" if status is None else f" with {status}"
        super().__init__(f"Momento's account API failed {request}{said}: {problem}. The next run goes on from there.")


class ExtraMissing(LaurelsError):
    """What was asked for needs packages that only an extra of this one brings."""

    def __init__(self, extra: str, package: str) -> None:
        self.extra = extra
        self.package = package
        super().__init__(f"This needs the package {package}, which is not installed: pip install 'laurels[{extra}]'")


class NotListening(LaurelsError):
    """A server cannot have the port that it is to listen on."""

    def __init__(self, address: str, option: str) -> None:
        self.address = address
        super().__init__(
            f"Cannot listen on {address}: it is in use, or not this machine's. Choose another with {option}."
        )


class BoardsFileUnusable(LaurelsError):
    """The file that declares boards cannot be read as such."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(f"The boards file {file} cannot be used: {problem}. Correct it, or name another.")


class BadSetting(LaurelsError):
    """The environment tells a deployment what it cannot be."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} Correct it in the function's environment and deploy again.")


class CallRefused(LaurelsError):
    """A local Momento server does not do what a call asks."""


class NotAuthenticated(CallRefused):
    """The call brings no key, or one that is wrong, has expired or was revoked."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}. `laurels momento-local` prints the keys that it takes.")


class NotPermitted(CallRefused):
    """The key is good, and does not allow what it was brought for."""

    def __init__(self, act: str, cache: str | None) -> None:
        self.act = act
        self.cache = cache
        super().__init__(f"The API key does not allow to {act}{f' in {cache}' if cache else ''}: use one that does.")


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
