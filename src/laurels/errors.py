"""Every error that the service and its stores raise on purpose, in one tree.

    LaurelsError
    ├── Malformed                 the request cannot be parsed
    │   ├── BadJSON
    │   ├── BadName
    │   └── BadParameter
    ├── Refused                   it was read, and is not accepted
    │   ├── BadBody
    │   ├── BadDefinition         no board can have that definition
    │   ├── KeyReused             an idempotency key was used with another request before
    │   └── ScoreRefused
    │       └── RunRefused        a submit needs a run, or its run is not accepted
    ├── DefinitionConflict        a board's entries, or the boards file, contradict a change of its definition
    ├── DefinitionChanged         another process has defined the board anew; boards.py does the act again
    ├── NotDeclared               the deployment takes scores for declared boards only
    ├── NotDefined                the board has neither a definition nor entries
    ├── NotOnBoard                the question needs a name that is on the board
    ├── NotHeld                   no score of the name is held
    ├── Unauthenticated           the request shows nothing, or what it shows is not accepted
    ├── Forbidden                 who asks is known, and may not
    ├── IssuerUnreachable         a token is signed by a key that is not known, and its issuer cannot be asked
    ├── NoSecret                  the service has nothing to sign tokens with
    ├── TooManyRequests           an address, a key or a player asks too often
    ├── StoreError
    │   ├── StoreUnavailable      try again later; nothing was counted
    │   │   ├── AnswerLost        no answer came back; the operation may have been done
    │   │   │   └── SumUncertain  a score may have been added, and a retry would add it again
    │   │   ├── ServerUnusable    a server of Redis cannot be used before its operator changes something
    │   │   ├── FileLost          a file was deleted or replaced under the running store
    │   │   ├── CacheMissing      Momento has no cache of that name
    │   │   ├── KeyRefused        Momento does not accept the key, or it cannot be parsed
    │   │   ├── ParameterUnreadable  a parameter of a function cannot be read, and there is no older value
    │   │   ├── AuditLogUnwritable nothing is done that the audit log could not tell
    │   │   └── RestartNeeded     an unexpected error stopped it; it must be restarted
    │   ├── LimitReached          the store's account does not allow so much
    │   ├── StoreFull             it holds as much as its operator allows
    │   │   └── ServerFull        a server of Redis has no memory left
    │   ├── StoreRefused          the store refuses, and would refuse a retry too
    │   ├── NotKept               the store does not have that feature
    │   ├── BadServerURL          a URL does not say where a server of Redis is
    │   ├── BadStore              there is no store of that URL
    │   ├── OneProcess            several workers cannot share that store
    │   ├── DirectoryInUse        another process owns the data directory
    │   ├── DirectoryUnusable     it cannot be made, read or written
    │   ├── DataDamaged           a file on disk is not what was written
    │   └── NewerFormat           a file on disk was written by a newer version of Laurels
    ├── NotOpenHere               what was opened is closed, or belongs to another thread or process
    ├── BackupError
    │   ├── BackupDamaged         a part of a backup is not what was written
    │   ├── NothingToRestore      there is no backup, or none of that time
    │   ├── NotArchived           what happened up to that time was not archived
    │   ├── NoArchive             the store has no journal to archive
    │   ├── BackupAbandoned       the journal grew by too much while a backup was read
    │   └── TargetInUse           something is already where a backup is to be restored
    ├── BadPlace                  there is no place for backups of that URL
    ├── NotInPlace                a place for backups has nothing of that name
    ├── PlaceUnusable             a place for backups cannot be read or written now
    ├── BadHost                   a setting is no host
    ├── BadOrigin                 a setting is no origin
    ├── BadProxy                  a setting is no address of a proxy
    ├── ExtraMissing              a feature needs packages that are not installed
    ├── ExporterMissing           what is to export spans is not installed
    ├── NotOnWindows              a part of Laurels needs what Windows does not have
    ├── BoardsFileUnusable        the file that declares boards cannot be read as such
    ├── KeysUnreadable            the keys of an issuer cannot be fetched, or are none
    ├── AccessFileUnusable        the file that says who may do what cannot be used
    ├── AccessFileNotEdited       it cannot be written, or not in that way; nothing was changed
    ├── AccessUndecided           others than this machine could do everything, and nobody said that they may
    ├── OpenWithAccess            a service is to be open to all, and to have an access file
    ├── NoAccessFile              the service has none that it could change
    ├── CertificateUnusable       the service cannot use its certificate or the key to it for TLS
    ├── AuditLogUnusable          the file of the audit log cannot be opened
    ├── NoAuditLog                the service has no file of its audit log that could be read
    └── AddressUnusable           the service cannot listen where it is to

The errors of other programs are in their own files: :mod:`laurels.client.errors` and :mod:`laurels.cli.errors` for
clients, :mod:`laurels.serverless.errors` for the functions on Lambda, :mod:`laurels.momento_local.errors`. They are
LaurelsErrors too.

Each class is named by its condition, builds its own message, and keeps the facts as attributes.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import PurePath
from shlex import quote
from typing import TYPE_CHECKING

from laurels.limits import KEY_HOURS, NAME_BYTES, REPEATED_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def explain_os_error(error: OSError | ValueError) -> str:
    """Return why a file cannot be used, in the system's words; a ValueError is that of a path that no file can have."""
    return os.strerror(getattr(error, "errno", None) or errno.EINVAL).lower()


def truncate(sent: object) -> str:
    """Return what a client sent as a message repeats it: cut short if it is long."""
    text = str(sent)
    return text if len(text) <= REPEATED_CHARACTERS else f"{text[:REPEATED_CHARACTERS]}..."


class LaurelsError(Exception):
    """Anything this package raises on purpose."""


class Malformed(LaurelsError):
    """The request cannot be parsed."""


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
        self.parameter = truncate(parameter)
        super().__init__(problem)


class Refused(LaurelsError):
    """The request was read, and is not accepted; nothing was stored."""


class BadBody(Refused):
    """The body is JSON of the wrong shape; ``pointer`` (RFC 6901) says where."""

    def __init__(self, pointer: str, problem: str) -> None:
        self.pointer = truncate(pointer)
        super().__init__(problem)


class BadDefinition(Refused):
    """No board can have the definition; ``pointer`` (RFC 6901) says what in it is wrong.

    ``where`` names the file and the table, if the definition is from a file.
    """

    def __init__(self, pointer: str, problem: str, where: str = "") -> None:
        self.pointer = truncate(pointer)
        self.problem = problem
        super().__init__(f"{where}: {problem}" if where else problem)


class KeyReused(Refused):
    """An idempotency key was used with another request within its lifetime."""

    parameter = "Idempotency-Key"

    def __init__(self) -> None:
        super().__init__(
            f"This Idempotency-Key came with another body less than {KEY_HOURS} hours ago. Send a retry as the first "
            "try was, and anything new under a key of its own."
        )


class ScoreRefused(Refused):
    """A board cannot keep the score: it would lose digits, or is outside of the bounds of the board's definition."""

    pointer = "/score"


class RunRefused(ScoreRefused):
    """A submit needs a run and has none, or the run is not accepted: used, late, early, foreign, forged."""

    pointer = "/run"


class DefinitionConflict(LaurelsError):
    """A board's entries, or the file that declares it, contradict a change of its definition; nothing was changed.

    ``pointer`` (RFC 6901) is there if one field of the definition is the cause.
    """

    def __init__(self, board: str, problem: str, pointer: str = "") -> None:
        self.board = board
        self.problem = problem
        if pointer:
            self.pointer = pointer
        super().__init__(f"The definition of the board {truncate(board)!r} cannot change so: {problem}.")


class DefinitionStale(LaurelsError):
    """A definition is not the one any more that a change of it was made from; nothing was changed."""

    def __init__(self, board: str) -> None:
        self.board = board
        super().__init__(
            f"The definition of the board {truncate(board)!r} is not what If-Match says: somebody has changed it since "
            "it was read. Read it again, and change that."
        )


class DefinitionChanged(LaurelsError):
    """Another process has defined a board anew since this one looked; what was asked is to be done again."""

    def __init__(self, board: str) -> None:
        self.board = board
        super().__init__(f"The definition of the board {truncate(board)!r} has changed meanwhile.")


class NotDeclared(LaurelsError):
    """The deployment takes scores for declared boards only, and this board is not declared."""

    parameter = "board"

    def __init__(self, board: str) -> None:
        self.board = board
        super().__init__(
            f"There is no board {truncate(board)!r}, and only declared boards take scores here: PUT its definition to "
            "/-/boards/{board} first, or declare it in the boards file."
        )


class NotDefined(LaurelsError):
    """The board has neither a definition of its own nor entries; ``advice`` is what to ask for instead."""

    parameter = "board"

    def __init__(self, board: str, advice: str = "") -> None:
        self.board = board
        super().__init__(f"There is no board {truncate(board)!r}: it is not declared, and has no entries.{advice}")


class NotOnBoard(LaurelsError):
    """The question needs a name that is on the board, and this one is not."""

    def __init__(self, parameter: str, name: str) -> None:
        self.parameter = parameter
        super().__init__(
            f"{truncate(name)!r} is not on this board. Ask about a name that is, or submit a score for it first."
        )


class NotHeld(LaurelsError):
    """No score of the name is held on the board."""

    parameter = "name"

    def __init__(self, name: str) -> None:
        super().__init__(f"No score of {truncate(name)!r} is held on this board.")


class Unauthenticated(LaurelsError):
    """The request shows no credential and needs one, or shows one that is not accepted."""

    who = "public"
    """The principal, as the audit log names it."""


class BadCredential(Unauthenticated):
    """The request shows a credential that is not accepted. The message never has any part of it."""


class Forbidden(LaurelsError):
    """Who asks is known, and has no right to what was asked for."""

    who = ""
    """The principal, as the audit log names it."""


class IssuerUnreachable(LaurelsError):
    """A token is signed by a key that is not known, and its issuer, who may have it, cannot be asked.

    ``retry_after`` is in whole seconds: before that it is not asked again.
    """

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__("The keys of the token's issuer cannot be fetched now, and this one is not known: try again.")


class NoSecret(LaurelsError):
    """The service has nothing to sign tokens with."""

    def __init__(self) -> None:
        super().__init__(
            "This service signs no tokens: its access file has no secret in [players]. Have the operator add one, as "
            'in secret = "env:LAURELS_TOKEN_SECRET", and reload it.'
        )


class TooManyRequests(LaurelsError):
    """An address, a key or a player has asked more often than it may.

    ``retry_after`` is in whole seconds, ``limit`` the one that is reached, and ``policies`` has for each limit its
    name, how many at once, and in how many seconds as many come again. ``policy`` and ``state`` are the values of the
    fields RateLimit-Policy and RateLimit.
    """

    who = ""
    """The principal, as the request log names it; empty if it is an address."""

    def __init__(self, detail: str, retry_after: int, limit: str, policies: Iterable[tuple[str, int, int]]) -> None:
        self.retry_after = retry_after
        self.policy = ", ".join(f'"{name}";q={burst};w={window}' for name, burst, window in policies)
        self.state = f'"{limit}";r=0;t={retry_after}'
        super().__init__(detail)


class StoreError(LaurelsError):
    """The store could not do an operation."""


class StoreUnavailable(StoreError):
    """The store cannot answer or cannot write now; nothing was counted.

    ``retry_after`` is in whole seconds, and ``setting`` the option of the server whose limit is met, if it is one. A
    subclass changes ``outcome`` and ``remedy``, the end of the message.
    """

    outcome = "Nothing was counted"
    remedy = "try again"

    def __init__(self, problem: str, *, retry_after: int = 1, setting: str = "") -> None:
        self.problem = problem
        self.retry_after = retry_after
        self.setting = setting
        super().__init__(f"{problem}. {self.outcome}: {self.remedy}.")


class AnswerLost(StoreUnavailable):
    """A store outside of this process gave no answer: the operation may have been done or not."""

    outcome = "What was asked may have been done all the same"


class ServerUnusable(StoreUnavailable):
    """A server of Redis cannot be used as it is; ``remedy`` is what its operator can do about that."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(problem, retry_after=10)


class FileLost(StoreUnavailable):
    """A file of the data directory was deleted, moved or replaced while the store had it open; reads go on."""

    remedy = "reads go on. Put it back, or export the boards from this service (`laurels export`) before it is stopped"

    def __init__(self, file: Path | str, problem: str) -> None:
        self.file = file
        self.reason = problem
        super().__init__(f"{PurePath(file).name} {problem}, so nothing can be kept any more", retry_after=10)


class RestartNeeded(StoreUnavailable):
    """The store met an error that it does not expect, and takes no more writes; a restart mends it.

    ``in_doubt`` says of a write that it may be on disk, and then counts after the restart.
    """

    remedy = "restart the service"

    def __init__(self, cause: BaseException, *, in_doubt: bool) -> None:
        if in_doubt:
            self.outcome = AnswerLost.outcome
        super().__init__(f"The store stopped at an error ({type(cause).__name__}, see the log)", retry_after=10)


class AuditLogUnwritable(StoreUnavailable):
    """Nothing is done that takes more than to submit, because the audit log could not tell it."""

    remedy = "have the operator make room for the audit log"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The audit log cannot be written: {reason.lower()}", retry_after=10)


class SumUncertain(AnswerLost):
    """A score may have been added or not; if it was, a retry of the submit adds it again."""

    remedy = "look at the standing before trying again, because a score that is added twice counts twice"


class CacheMissing(StoreUnavailable):
    """Momento has no cache of the name that is to hold the boards."""

    def __init__(self, cache: str) -> None:
        self.cache = cache
        super().__init__(
            f"There is no Momento cache {cache!r}: create it with `laurels momento create-cache {quote(cache)}`",
            retry_after=10,
        )


class KeyRefused(StoreUnavailable):
    """Momento does not accept the key, or it cannot be parsed. The message never has any part of the key."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The Momento key is refused: {problem}", retry_after=60)


class ParameterUnreadable(StoreUnavailable):
    """A parameter with the store's key, or with the access file, cannot be read, or does not say what it should.

    Name and reason are left out of the message, because it is sent to the service's clients; they are for the log.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__("A parameter that the service needs cannot be read", retry_after=5)


class LimitReached(StoreError):
    """The operation is over a limit of the store's account; nothing was counted.

    ``retry_after`` is in whole seconds.
    """

    def __init__(self, problem: str, *, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(f"{problem}. Nothing was counted: try again more slowly, or have the account's limit raised.")


class StoreFull(StoreError):
    """The store holds as much as its operator allows, and the operation would add to that; nothing was counted.

    ``setting`` is the option of the server that sets the limit, and ``remedy`` what can be done instead.
    """

    def __init__(self, what: str, limit: int, setting: str, remedy: str) -> None:
        self.limit = limit
        self.setting = setting
        super().__init__(
            f"There are as many {what} as this service may hold: {limit:,}. Nothing was counted: have the operator "
            f"raise {setting}, or {remedy}."
        )


class ServerFull(StoreFull):
    """A server of Redis has no memory left; nothing was counted."""

    problem = "Redis has no memory left"

    def __init__(self) -> None:
        remedy = "have the operator raise maxmemory, or remove boards"
        StoreError.__init__(self, f"{self.problem}. Nothing was counted: {remedy}.")


class StoreRefused(StoreError):
    """The store refuses the operation, and would refuse a retry too; nothing was counted."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The store refused: {problem}. Nothing was counted, and trying again will not help.")


class NotKept(StoreError):
    """The operation needs a feature that is not among the store's capabilities."""

    def __init__(self, feature: str, which_does: str = "the embedded store", advice: str = "") -> None:
        self.feature = feature
        super().__init__(f"This service cannot {feature}: the store behind it does not, and {which_does} does.{advice}")


def _without_credentials(url: str) -> str:
    return re.sub(r"^([a-z+]+:(//)?)?.*@", r"\1", url, flags=re.IGNORECASE | re.DOTALL)


class BadStore(StoreError):
    """There is no store of the URL that was given."""

    def __init__(self, url: str) -> None:
        self.url = _without_credentials(url)
        super().__init__(
            f"{self.url!r} is no store: it must be embedded, or momento:CACHE with the name of a cache, or a URL "
            "such as redis://HOST/0."
        )


class BadServerURL(StoreError):
    """A URL does not say where a server of Redis is."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = _without_credentials(url)
        super().__init__(f"{self.url!r} is no URL of Redis: {problem}.")


class OneProcess(StoreError):
    """Several workers are asked for, and the store is that of one process."""

    def __init__(self, store: str, reason: str) -> None:
        self.store = store
        super().__init__(
            f"--workers takes a store that processes can share, and {store} is none: {reason}. Leave --workers out, or "
            "keep the boards in Redis, as in --store redis://localhost/0 --workers 4."
        )


class DirectoryInUse(StoreError):
    """Another process owns the data directory."""

    def __init__(self, directory: Path, owner: int | None) -> None:
        self.directory = directory
        self.owner = owner
        if owner == os.getpid():
            problem = "is open in this process already. Share that one, or close it before"
        else:
            by = f"process {owner}" if owner else "another process"
            problem = (
                f"is in use by {by}. Stop it, or ask it over HTTP if it is a service (laurels.Client), or give this "
                "one a directory of its own (--data)"
            )
        super().__init__(f"The data directory {directory} {problem}.")


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
    """A file of the data directory was written by a newer version of Laurels.

    ``found`` is the number of its format, or, if that is a known one, what in the file this version does not know.
    ``writer`` is the version that made the directory of its format, if the directory says so: those since 0.9 do.
    """

    def __init__(self, file: Path, found: int | str, known: int, writer: str | None = None) -> None:
        self.file = file
        self.found = found
        self.writer = writer
        problem = (
            f"has format {found}, and this version of Laurels knows those up to {known}"
            if isinstance(found, int)
            else f"has content that this version of Laurels does not know ({found})"
        )
        which = f"version {writer}, which wrote it," if writer else "the version that wrote it,"
        super().__init__(
            f"{file} {problem}. Nothing was changed. Run {which} or a later one, or restore a backup from before that "
            "version was started here."
        )


class NotOpenHere(LaurelsError):
    """What was opened is closed, or cannot be called from this thread or this process."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}.")


class BackupError(LaurelsError):
    """A backup cannot be taken, or cannot be restored."""


class BackupDamaged(BackupError):
    """A part of a backup is not what was written. ``part`` names it."""

    def __init__(self, part: str, problem: str) -> None:
        self.part = part
        self.problem = problem
        super().__init__(f"The backup is damaged: {part}: {problem}.")


class NothingToRestore(BackupError):
    """There is no backup at a place, or none of that time."""


class NotArchived(BackupError):
    """What happened up to a time was not archived: there is a gap."""


class BackupAbandoned(BackupError):
    """The journal grew by more than it may while a copy was read from it."""

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"While the backup was read the journal grew by more than --archive-backlog allows ({limit}): read it "
            "faster, or allow more."
        )


class NoArchive(BackupError):
    """The store has no journal that could be archived."""

    def __init__(self, store: str) -> None:
        super().__init__(
            f"--archive is for the embedded store, whose journal it ships; what {store.partition(':')[0]} keeps is "
            "backed up by its own means."
        )


class TargetInUse(BackupError):
    """A backup is to be restored where something is already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} is there already, and is not empty: name a directory that is not, or move this one away first."
        )


class BadPlace(LaurelsError):
    """There is no place for backups of the URL that was given."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = _without_credentials(url)
        super().__init__(
            f"{self.url!r} is no place for backups: {problem}. Name a directory, or s3://BUCKET/PREFIX for a bucket."
        )


class NotInPlace(LaurelsError):
    """A place for backups has nothing under a name."""

    def __init__(self, place: str, name: str) -> None:
        self.place = place
        self.name = name
        super().__init__(f"There is no {name} in {place}.")


class PlaceUnusable(LaurelsError):
    """A place for backups cannot be read or written; it may be over when it is tried again.

    ``problem`` says what failed, and ``remedy`` what can be done about it.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        self.place = place
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"The backups in {place} cannot be used: {problem}. {remedy}.")


class BadHost(LaurelsError):
    """A setting is no host that a request could name."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(
            f"{text!r} is no host: it must be a name or an address, without a scheme, a port or a path, as in "
            "boards.example, or * for any."
        )


class BadOrigin(LaurelsError):
    """A setting is no origin that a page could have."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(
            f"{text!r} is no origin: it must be a scheme and a host, and a port if it has one, without a path, as in "
            "https://game.example, or * for any."
        )


class BadProxy(LaurelsError):
    """A setting is no address or network that proxies could have."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(
            f"{text!r} is no proxy: it must be an IP address or a network, as in 127.0.0.1 or 10.0.0.0/8, or * for "
            "whatever connects."
        )


class ExtraMissing(LaurelsError):
    """A feature needs a package that only an extra of ours installs."""

    def __init__(self, package: str, install_command: str) -> None:
        self.package = package
        self.install_command = install_command
        super().__init__(f"This needs the package {package}, which is not installed: {install_command}")


class ExporterMissing(LaurelsError):
    """What is to export spans is not installed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"OTEL_TRACES_EXPORTER is {name!r}, and no package that is installed has such an exporter. Install "
            "one that has, or name another one, such as otlp or console, or none."
        )


class NotOnWindows(LaurelsError):
    """A part of Laurels needs what Windows does not have."""

    def __init__(self, part: str) -> None:
        self.part = part
        super().__init__(
            f"{part} does not run on Windows, which has neither its event loop (uvloop) nor its locks on files "
            "(fcntl): run it in WSL, in a container, or on Linux or macOS. The index, the client and the commands that "
            "ask a service run here."
        )


class BoardsFileUnusable(LaurelsError):
    """The file that declares boards cannot be read as such."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(f"The boards file {file} cannot be used: {problem}. Correct it, or name another.")


class KeysUnreadable(LaurelsError):
    """The keys of an issuer cannot be fetched, or are none; the message is the reason alone."""


class AccessFileUnusable(LaurelsError):
    """The file that says who may do what cannot be used; on Lambda it is the name of a parameter."""

    def __init__(self, file: Path | str, problem: str) -> None:
        self.file = file
        self.problem = problem
        super().__init__(f"The access file {file} cannot be used: {problem}. Correct it, or name another.")


class AccessFileNotEdited(LaurelsError):
    """The file that says who may do what cannot be written, or not in that way; nothing was changed."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(f"The access file {file} was not changed: {problem.removesuffix('.')}.")


class AccessUndecided(LaurelsError):
    """Others than this machine could do everything, and nobody said that they may; ``host`` is where they would ask."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"Not started: whoever reaches {host} could read, submit and delete everything. Say who may do what, in an "
            "access file that `laurels access init access.toml` writes (--access access.toml); or open it to everybody "
            "(--open); or listen on this machine alone (--host 127.0.0.1)."
        )


class OpenWithAccess(LaurelsError):
    """A service is to be open to all, and to have a file that says who may do what."""

    def __init__(self) -> None:
        super().__init__(
            "--open (LAURELS_OPEN) lets everybody do everything, and --access (LAURELS_ACCESS) names a file that says "
            "who may: leave one out."
        )


class NoAccessFile(LaurelsError):
    """The service has no access file that it could change."""

    def __init__(self) -> None:
        super().__init__("The keys cannot be changed here: this service was started without an access file of its own.")


class CertificateUnusable(LaurelsError):
    """The service cannot use its certificate, or the key to it, for TLS."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(f"The file {file} cannot be used for TLS: {problem}. Correct --tls-cert or --tls-key.")


class AuditLogUnusable(LaurelsError):
    """The file of the audit log cannot be opened."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file = file
        super().__init__(f"The audit log {file} cannot be opened: {problem}. Name another file with --audit-log.")


class NoAuditLog(LaurelsError):
    """The audit log is in no file that the service could read."""

    def __init__(self) -> None:
        super().__init__(
            "The audit log is in no file that could be read here: this service was started without --audit-log."
        )


class AddressUnusable(LaurelsError):
    """The service cannot listen at the host and the port where it is to."""

    def __init__(self, host: str, port: int, problem: str) -> None:
        self.host = host
        self.port = port
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(f"Cannot listen on {truncate(where)}: {problem}. Choose another --host or --port.")
