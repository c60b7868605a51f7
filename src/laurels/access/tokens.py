"""Tokens of players: JSON Web Tokens, signed by the service itself or by a foreign issuer.

    of the service    HS256, by the secret of the access file; "iss" and "aud" are "laurels", "sub" is the player's
                      name, "boards" are patterns of boards (all without it), "exp" is needed
    of an issuer      RS256, ES256 or EdDSA, by one of its keys (:mod:`laurels.access.issuers`); "iss", "aud" and "exp"
                      are needed, and the claim that is the name

"iss" alone chooses by whom a token must be signed, and the key alone chooses the algorithm: what the head of a token
says is compared with that, and only "kid" chooses, among the keys that are known. A head that brings a key or asks for
anything further is refused.

A token is taken apart once, and strictly: base64url without anything that is not needed, JSON without a key twice.
pyjwt reads keys, signs, and verifies signatures; its ``decode`` would take a token apart by looser rules, a second
time, and take 80 µs more.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import jwt
import msgspec
from msgspec import UNSET, Struct, UnsetType

from laurels.access.issuers import ALGORITHMS, IssuerKeys
from laurels.access.principal import EVERY_BOARD, Principal
from laurels.entries import checked_name
from laurels.errors import BadBody, BadCredential, BadName, NoSecret
from laurels.limits import CREDENTIAL_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from laurels.access.file import Issuer, Players
    from laurels.access.issuers import Fetch

OWN = "laurels"
"""The issuer and the audience of the service's own tokens."""
HMAC = "HS256"
LEEWAY = 10
"""Seconds by which the clocks of an issuer and of this machine may differ."""
SECRET_BYTES = 32
ALL = (EVERY_BOARD,)
LATEST = 253_402_300_800
"""The end of the year 9999: later than that no time of a token may be."""
KEY_ID_CHARACTERS = 256
_PARTS = 3
_REFUSED = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc"})
"""What no head may have: each asks to follow something, or to read the token in another way."""
_hmac = jwt.get_algorithm_by_name(HMAC)


class SignedToken(Struct, frozen=True):
    """A token that the service has signed."""

    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Return nothing of the token."""
        return f"<SignedToken until {self.expires_at}>"


class _Head(Struct, frozen=True):
    alg: str
    kid: str | UnsetType = UNSET


class _Claims(Struct, frozen=True):
    """What is checked of every token; the times are in seconds since the epoch."""

    iss: str
    exp: float
    aud: str | list[str] = ""
    nbf: float = 0
    iat: float = 0


class _OwnClaims(Struct, frozen=True):
    boards: list[str] | UnsetType = UNSET


class _Trusted:
    """A foreign issuer: its keys, whom its tokens are for, and which claim of them is the name."""

    def __init__(self, issuer: Issuer, keys: IssuerKeys) -> None:
        self.keys = keys
        self.audience = frozenset([issuer.audience] if isinstance(issuer.audience, str) else issuer.audience)
        self.name = issuer.name


class _Parsed:
    """A token that was taken apart, and that nothing is known of yet."""

    def __init__(self, credential: str) -> None:
        token = credential.encode(errors="replace")
        parts = token.split(b".")
        if len(token) > CREDENTIAL_CHARACTERS or len(parts) != _PARTS:
            _refuse(f"it is no JSON Web Token of at most {CREDENTIAL_CHARACTERS:,} characters")
        try:
            head, self.table = (_decode_json(_decode_part(part)) for part in parts[:2])
            self.signature = _decode_part(parts[2])
            self.message = token[: -len(parts[2]) - 1]
            if not _REFUSED.isdisjoint(head):
                _refuse("its head asks for what is not done here: crit, jku, jwk and the like")
            self.head = msgspec.convert(head, _Head)
            self.claims = msgspec.convert(self.table, _Claims)
        except (ValueError, RecursionError, OverflowError):  # msgspec's errors are ValueErrors
            _refuse("its head or its claims are malformed, or iss or exp is missing")
        self.key_id = None if self.head.kid is UNSET else self.head.kid
        if self.key_id is not None and len(self.key_id) > KEY_ID_CHARACTERS:
            _refuse("its kid is too long")


class Tokens:
    """Signs tokens of players, and tells whose a token is."""

    def __init__(
        self,
        players: Players,
        secret: bytes | None = None,
        before: Tokens | None = None,
        *,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the keys of issuers over from what was there ``before``.

        Raises ValueError, with the reason and what would be right, for a secret or an issuer that cannot be used.
        """
        self._players = players
        self._scopes = frozenset(players.scopes)
        self._secret = None if secret is None else _check_secret(secret)
        self._trusted: dict[str, _Trusted] = {}
        self._at_urls: dict[tuple[str, str], IssuerKeys] = {}
        known = before._at_urls if before else {}  # noqa: SLF001 - of this class
        for issuer in players.issuers:
            self._check(issuer)
            try:
                keys = known.get((issuer.issuer, issuer.jwks or "")) or IssuerKeys(issuer, fetch, clock)
            except ValueError as error:
                raise ValueError(f"the issuer {issuer.issuer!r} cannot be used: {error}") from None
            self._trusted[issuer.issuer] = _Trusted(issuer, keys)
            if keys.url is not None:
                self._at_urls[issuer.issuer, keys.url] = keys

    def _check(self, issuer: Issuer) -> None:
        if issuer.issuer in {OWN, ""} or issuer.issuer in self._trusted:
            raise ValueError(f"the issuer {issuer.issuer!r} is empty, stands there twice, or is the service itself")
        if not issuer.audience or not all(issuer.audience) or not issuer.name:
            raise ValueError(f"the issuer {issuer.issuer!r} needs an audience, and a claim that is the name")

    def begin_fetching(self) -> None:
        """Have the keys of all issuers fetched that have them at a URL, and do not wait for that."""
        for each in self._trusted.values():
            each.keys.begin()

    async def fetch_keys(self) -> None:
        """Fetch them; the log tells of those that cannot be."""
        self.begin_fetching()
        for each in self._trusted.values():
            await each.keys.refresh()

    def warnings(self) -> list[str]:
        """Return what an operator should know: which issuers' keys could not be fetched the last time."""
        problems = {name: each.keys.problem for name, each in self._trusted.items()}
        return [f"The keys of the issuer {name} cannot be fetched: {each}." for name, each in problems.items() if each]

    def verify(self, token: str, now: float) -> Principal | Awaitable[Principal]:
        """Return the player whose token this is; raise BadCredential if it is nobody's.

        An awaitable of that is returned, or raises, if the issuer is to be asked for the token's key first. It raises
        IssuerUnreachable if the issuer cannot be.
        """
        parsed = _Parsed(token)
        if parsed.claims.iss == OWN and self._secret is not None:
            return self._verify_own(parsed, self._secret, now)
        trusted, algorithm = self._trusted.get(parsed.claims.iss), ALGORITHMS.get(parsed.head.alg)
        if trusted is None or algorithm is None:
            _refuse("its issuer or its algorithm is none that is accepted here")
        if trusted.keys.find(parsed.key_id, algorithm) or trusted.keys.url is None:
            return self._verify_foreign(parsed, trusted, algorithm, now)
        return self._verify_anew(parsed, trusted, algorithm, now)

    async def _verify_anew(self, parsed: _Parsed, trusted: _Trusted, algorithm: str, now: float) -> Principal:
        await trusted.keys.find_anew(parsed.key_id, algorithm)
        return self._verify_foreign(parsed, trusted, algorithm, now)

    def _verify_own(self, parsed: _Parsed, secret: bytes, now: float) -> Principal:
        if parsed.head.alg != HMAC or not _hmac.verify(parsed.message, secret, parsed.signature):
            _refuse("its signature is wrong")
        _check_claims(parsed.claims, {OWN}, now)
        try:
            boards = msgspec.convert(parsed.table, _OwnClaims).boards
            "".join(boards or ()).encode()  # JSON can write half of a surrogate pair, which is in no board's name
        except ValueError:
            _refuse("its boards are no list of patterns")
        return self._make_player(parsed, "sub", ALL if boards is UNSET or EVERY_BOARD in boards else tuple(boards))

    def _verify_foreign(self, parsed: _Parsed, trusted: _Trusted, algorithm: str, now: float) -> Principal:
        keys = trusted.keys.find(parsed.key_id, algorithm)
        if len(keys) != 1:
            _refuse("it does not name one of its issuer's keys in kid, for its algorithm")
        if not keys[0].verify(parsed.message, parsed.signature):
            _refuse("its signature is wrong")
        _check_claims(parsed.claims, trusted.audience, now)
        return self._make_player(parsed, trusted.name, ALL)

    def _make_player(self, parsed: _Parsed, claim: str, boards: tuple[str, ...]) -> Principal:
        players = self._players
        try:
            name = checked_name(_find_claim(parsed.table, claim))
        except BadName:
            _refuse(f"its claim {claim} is no good name of a player")
        return Principal(
            kind="player",
            name=name,
            scopes=self._scopes,
            boards=boards,
            within=players.boards,
            expires=parsed.claims.exp + LEEWAY,
        )

    def sign(self, name: str, boards: Iterable[str], seconds: int, now: float) -> SignedToken:
        """Return a token for a player, which is good for some seconds; raise NoSecret, BadName or BadBody."""
        if self._secret is None:
            raise NoSecret
        begun = int(now)
        claims = {"iss": OWN, "aud": OWN, "sub": checked_name(name), "boards": [*boards], "iat": begun}
        token = jwt.encode(claims | {"exp": begun + seconds}, self._secret, HMAC)
        if len(token) > CREDENTIAL_CHARACTERS:
            raise BadBody(
                "/boards", f"The token would be longer than {CREDENTIAL_CHARACTERS:,} characters: give it fewer boards."
            )
        return SignedToken(token, datetime.fromtimestamp(begun + seconds, UTC))


def _check_secret(secret: bytes) -> bytes:
    if len(secret) < SECRET_BYTES:
        raise ValueError(
            f"the secret of [players] has {len(secret)} bytes, and needs {SECRET_BYTES}: make one with "
            "`openssl rand -base64 32`"
        )
    try:
        return bytes(_hmac.prepare_key(secret))
    except jwt.InvalidKeyError:
        raise ValueError(
            "the secret of [players] is a key of another kind, which others may know: make one with "
            "`openssl rand -base64 32`"
        ) from None


def _check_claims(claims: _Claims, audience: Iterable[str], now: float) -> None:
    meant_for = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if not any(each in audience for each in meant_for):
        _refuse("it is meant for another audience")
    if not now - LEEWAY < claims.exp <= LATEST:
        _refuse("it has expired")
    if claims.nbf > now + LEEWAY or claims.iat > now + LEEWAY:
        _refuse("it is not valid yet")


def _find_claim(table: dict[str, Any], path: str) -> str:
    """Return the claim of a name, or else at a path; what is no string is returned as an empty one."""
    found: object = table
    for part in [path] if path in table else path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _decode_part(part: bytes) -> bytes:
    """Return what is encoded in base64url without padding; raise ValueError for what is not, to the bit."""
    content = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if urlsafe_b64encode(content).rstrip(b"=") != part:
        raise ValueError
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError


_json = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)


def _decode_json(text: bytes) -> dict[str, Any]:
    found = _json.decode(text.decode())
    if not isinstance(found, dict):
        raise ValueError  # noqa: TRY004 - as all that is malformed
    return found


def _refuse(problem: str) -> NoReturn:
    raise BadCredential(f"The token is not accepted: {problem}.")
