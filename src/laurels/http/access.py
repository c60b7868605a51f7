"""Access: who asks, and whether they may. The parts of the gate that look at credentials and rights.

    address_limit      of requests that show nothing
    authenticate       nothing shown: the public · what is in the cache · a key, by its SHA-256 · a token, whose
                       signature takes long to verify, unless its address is over the limit · anything else: 401, and
                       a request of its address
    principal_limit    of the key, or of the player
    authorise          by the operation's scope, and by the names in its path: 403, or 401 if nothing was shown

**Timing.** A key is looked up by its SHA-256. How long the look-up takes depends on that digest alone, and nobody can
choose one that begins like another: a guess that begins like a key has a digest that is nothing like the key's. What is
found is compared in constant time all the same. In the cache a credential is looked up by a hash that is keyed anew in
each process (:mod:`laurels.access.marks`), or, on Lambda, Python compares the bytes of two only if all 64 bits of such
hashes are equal.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Coroutine
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from msgspec import structs

from laurels.access.advice import read_with_advice
from laurels.access.credential_cache import CredentialCache
from laurels.access.editing import remove_key
from laurels.access.keys import PREFIX, digest_key, is_key
from laurels.access.lazy_tokens import open_tokens
from laurels.access.principal import Principal
from laurels.errors import (
    BadCredential,
    Forbidden,
    IssuerUnreachable,
    NoAccessFile,
    NoSecret,
    Unauthenticated,
    truncate,
)
from laurels.limits import CREDENTIAL_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from laurels.access.file import AccessFile, Key
    from laurels.access.tokens import SignedToken, Tokens
    from laurels.http.messages import Request
    from laurels.http.operation import Operation
    from laurels.http.rate_limits import Limit, RateLimiter
    from laurels.stores.contract import SharedMeters

log = logging.getLogger(__name__)

HOW_TO_SHOW = "Send it as `Authorization: Bearer KEY-OR-TOKEN`"

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


class PendingPrincipal:
    """Who asks, once the keys of an issuer are fetched. It is awaited once, or never: then nothing was begun."""

    def __init__(
        self, proving: Awaitable[Principal], finish: Callable[[Awaitable[Principal]], Awaitable[Principal]]
    ) -> None:
        self._proving: Awaitable[Principal] | None = proving
        self._finish = finish

    def __await__(self) -> Generator[Any, Any, Principal]:
        """Ask."""
        proving, self._proving = self._proving, None
        assert proving is not None, "awaited twice"  # noqa: S101
        return self._finish(proving).__await__()

    def __del__(self) -> None:
        """Close a coroutine that was never begun, because the client has left; Python would warn of it."""
        if isinstance(self._proving, Coroutine):
            self._proving.close()


class Later:
    """What is begun when it is awaited, which it is once, or never."""

    def __init__(self, begin: Callable[[], Awaitable[Principal]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, Principal]:
        """Begin."""
        return self._begin().__await__()


class Access:
    """Who may do what, as an access file says it; another file takes its place at once."""

    def __init__(  # noqa: PLR0913 - each is a part that a deployment may have or not
        self,
        file: AccessFile,
        path: Path | None = None,
        tokens: Tokens | None = None,
        *,
        limits: RateLimiter | None = None,
        mark: Callable[[bytes], bytes] = bytes,
        now: Callable[[], float] = time.time,
        tell: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        """Go by what was read from ``path``, if it was a file; ``tokens`` are those of its players.

        ``mark`` returns by what a credential is remembered: itself, if nothing else is said. ``tell`` has the other
        workers of the service :meth:`forget` a key.
        """
        self.path = path
        self.limits = limits
        self.mark = mark
        self._now = now
        self.changed: Callable[[], object] = lambda: None
        """Called when another file holds."""
        self._tell = tell
        self._changing = asyncio.Lock()
        self.replace(file, tokens)

    def replace(self, file: AccessFile, tokens: Tokens | None) -> None:
        """Go by another file from now on; what was found by the old one is forgotten."""
        self.file = file
        self.tokens = tokens
        self.public = Principal(kind="public", scopes=frozenset(file.public.scopes), boards=file.public.boards)
        self._keys = {key.sha256: _principal(name, key) for name, key in file.keys.items()}
        self.credential_cache = CredentialCache()
        self.changed()
        if self.limits is not None:
            self.limits.replace(file)
        players = "tokens of players" if tokens is not None else "no tokens"
        log.debug("The access file in use has %d keys, and %s are taken", len(file.keys), players)

    async def reload(self) -> None:
        """Read the file again, and go by it; raise AccessFileUnusable, and nothing has changed."""
        async with self._changing:
            if self.path is not None:
                self.replace(*await asyncio.to_thread(open_access, self.path, self.tokens))
                self.begin_fetching()

    def begin_fetching(self) -> None:
        """Have the keys of the issuers of tokens fetched, and do not wait for that."""
        if self.tokens is not None:
            self.tokens.begin_fetching()

    def share_limits(self, meters: SharedMeters | None) -> None:
        """Limit by meters that other processes go by as well, if there are any."""
        if self.limits is not None:
            self.limits.shared = meters

    async def revoke(self, name: str) -> None:
        """Take a key out of the file, and accept it no more, if it is there; but not the last that may do so.

        Raises NoAccessFile, AccessFileNotEdited or AccessFileUnusable; then nothing has changed.
        """
        async with self._changing:  # or a reload that has read the file before might bring the key back
            if self.path is None:
                raise NoAccessFile
            await asyncio.to_thread(remove_key, self.path, name, self._now())
            self._leave_out(name)
        if self._tell is not None:
            await self._tell(name)

    async def forget(self, name: str) -> None:
        """Accept a key no more that was taken out of the file."""
        async with self._changing:
            self._leave_out(name)

    def _leave_out(self, name: str) -> None:
        keys = {other: key for other, key in self.file.keys.items() if other != name}
        self.replace(structs.replace(self.file, keys=keys), self.tokens)

    def __repr__(self) -> str:
        """Return nothing of what a file says."""
        return f"<{type(self).__name__}>"

    def address_limit(self, request: Request, operation: Operation) -> Limit | None:
        """Raise TooManyRequests if an address asks too often that shows nothing; what is returned may, when awaited.

        What is shown is counted only once it is found to be bad: what is good has limits of its own.
        """
        if self.limits is None or b"authorization" in request.headers:
            return None
        return self.limits.limit_address(request.client, operation)

    def authenticate(self, request: Request, operation: Operation) -> Principal | Awaitable[Principal]:
        """Return who asks, the public if nothing is shown; raise BadCredential for what is not accepted.

        TooManyRequests is raised instead if that comes too often from an address; of a token before it is verified.

        If somebody else must be asked, what is returned instead comes to the principal, or raises. It is awaited once,
        or never if the client leaves.
        """
        header = request.headers.get(b"authorization")
        if header is None:
            return self.public
        now = self._now()
        try:
            credential = read_credential(header)
            mark = self.mark(credential.encode())
            known = self.credential_cache.find(mark, now)
            if known is not None:
                return known.principal
            if self.limits is not None and self.tokens is not None and not credential.startswith(PREFIX):
                self.limits.check_address(request.client, operation)
            proved = self._prove(credential, now)
        except BadCredential as error:
            limit = self._count_bad(request, operation)
            if limit is None:
                raise
            return Later(partial(_refuse_after, limit, error))
        if not isinstance(proved, Principal):
            return PendingPrincipal(proved, partial(self._remember, self.credential_cache, mark, request, operation))
        self.credential_cache.add(mark, proved)
        return proved

    async def _remember(
        self,
        cache: CredentialCache,  # of the file that it is proved by
        mark: bytes,
        request: Request,
        operation: Operation,
        proving: Awaitable[Principal],
    ) -> Principal:
        try:
            found = await proving
        except (BadCredential, IssuerUnreachable):
            limit = self._count_bad(request, operation)
            if limit is not None:
                await limit()
            raise
        cache.add(mark, found)
        return found

    def _count_bad(self, request: Request, operation: Operation) -> Limit | None:
        """Count a credential that is not accepted as a request of its address."""
        return None if self.limits is None else self.limits.limit_address(request.client, operation)

    def principal_limit(self, principal: Principal, operation: Operation) -> Limit | None:
        """Raise TooManyRequests if a key or a player asks too often; what is returned may, when it is awaited."""
        if self.limits is None or principal is self.public:
            return None
        return self.limits.limit_principal(principal, operation)

    def authorise(self, principal: Principal, operation: Operation, names: Sequence[str]) -> None:
        """Raise Forbidden if a principal may not do an operation with the names in its path."""
        problem = find_problem(principal, operation, names)
        if problem is not None:
            raise refusal(principal, problem)

    @property
    def is_anonymous(self) -> bool:
        """Whether anyone may have a token for a new random name."""
        return self.file.players is not None and self.file.players.anonymous

    def limit_anonymous_tokens(self, request: Request) -> Limit | None:
        """Raise TooManyRequests if an address has had as many tokens for new names as it may in an hour.

        What is returned may, when it is awaited.
        """
        return None if self.limits is None else self.limits.limit_anonymous_tokens(request.client)

    def sign(self, name: str, boards: Iterable[str], seconds: int) -> SignedToken:
        """Return a token for a player; raise NoSecret, BadName or BadBody."""
        if self.tokens is None:
            raise NoSecret
        return self.tokens.sign(name, boards, seconds, self._now())

    def may_read(self, header: bytes | None, board: str) -> bool:
        """Return whether who shows this header ``Authorization`` may read a board by the present file.

        False, too, if somebody else must be asked who that is.
        """
        found: Principal | Awaitable[Principal] = self.public
        if header is not None:
            try:
                found = self._prove(read_credential(header), self._now())
            except BadCredential:
                return False
        if isinstance(found, Coroutine):
            found.close()
        return isinstance(found, Principal) and found.may("read") and found.may_on(board)

    def _prove(self, credential: str, now: float) -> Principal | Awaitable[Principal]:
        if not credential.startswith(PREFIX):
            if self.tokens is None:
                raise BadCredential("What Authorization shows is no key of this service, and it takes no tokens.")
            return self.tokens.verify(credential, now)
        if not is_key(credential):
            raise BadCredential("The key is mistyped, or not whole: its checksum is wrong.")
        digest = digest_key(credential)
        found = self._keys.get(digest)
        if found is None or not compare_digest(found[0], digest):
            raise BadCredential("The key is not known here: it was revoked, or is of another service.")
        if found[1].expires <= now:
            raise BadCredential("The key has expired.")
        return found[1]


async def _refuse_after(limit: Limit, error: BadCredential) -> Principal:
    await limit()
    raise error


def open_access(path: Path, before: Tokens | None = None) -> tuple[AccessFile, Tokens | None]:
    """Return what an access file says, and the tokens of its players, which come after those ``before``.

    Raises AccessFileUnusable.
    """
    file = read_with_advice(path)
    return file, open_tokens(file.players, path, before)


def read_credential(header: bytes) -> str:
    """Return what a header ``Authorization`` shows; raise BadCredential if that is no key or token, or several."""
    found = _BEARER.fullmatch(header)
    if found is None:
        raise BadCredential(f"Authorization cannot be read: one header, with one key or token. {HOW_TO_SHOW}.")
    if len(found[1]) > CREDENTIAL_CHARACTERS:
        raise BadCredential(f"Authorization is too long: a token has at most {CREDENTIAL_CHARACTERS:,} characters.")
    return found[1].decode()


def refusal(principal: Principal, problem: str) -> Unauthenticated | Forbidden:
    """Return the error for what a principal may not do; ``problem`` goes on from "With this key"."""
    if principal.kind == "public":
        return Unauthenticated(f"Without a key or a token {problem}. {HOW_TO_SHOW}.")
    return Forbidden(f"With this {'token' if principal.kind == 'player' else 'key'} {problem}.")


def find_problem(principal: Principal, operation: Operation, names: Sequence[str]) -> str | None:
    """Return why a principal may not do an operation with the names in its path; None if it may."""
    scope = operation.scope
    if scope is None:
        return None
    of = dict(zip(operation.path_parameters, names, strict=True))
    may = principal.may_submit_for(of.get("name", principal.name)) if scope == "submit:self" else principal.may(scope)
    if not may and not (operation.admits_moderators and principal.may("moderate")):
        if scope == "submit:self" and principal.may(scope):
            return f"scores can be submitted for {truncate(principal.name)!r} alone, whose token it is"
        return f"this cannot be done: it takes the scope {scope}"
    if operation.concerns == "one board" and not principal.may_on(of["board"]):
        return f"nothing can be done on the board {truncate(of['board'])!r}"
    if operation.concerns == "all boards" and not principal.has_every_board:
        return 'this cannot be done: it concerns all boards, and takes the pattern "*"'
    return None


def _principal(name: str, key: Key) -> tuple[str, Principal]:
    principal = Principal(
        kind="key", name=name, scopes=frozenset(key.scopes), boards=key.boards, expires=key.expires_at
    )
    return key.sha256, principal
