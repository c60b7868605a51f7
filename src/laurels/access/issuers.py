"""The public keys of foreign issuers of tokens, as JSON Web Keys.

    RSA, of 2,048 to 8,192 bits    RS256
    EC, P-256                      ES256
    OKP, Ed25519                   EdDSA, which is called Ed25519 as well

The algorithm is that of the key, whatever a token says; keys of any other kind are passed over, secrets (``oct``) too.

Keys are inline in the access file, or at a URL. From there they are fetched when the service starts, when a token names
a key that is not known, and again once they are REFRESH_SECONDS old; by whatever reason, at most once in
RETRY_SECONDS. They are kept until others are fetched, so that known keys are good while the issuer is down.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import jwt
import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from laurels.errors import IssuerUnreachable, KeysUnreadable
from laurels.limits import KIB
from laurels.optional import load

if TYPE_CHECKING:
    from laurels.access.file import Issuer

log = logging.getLogger(__name__)

RETRY_SECONDS = 60
"""How long no second attempt to fetch the keys of an issuer is made."""
REFRESH_SECONDS = 3600
"""How old keys become before they are fetched again, so that one that the issuer has withdrawn is not good for ever."""
MOST_KEYS = 100
"""Of one issuer."""
RSA_BITS = range(2048, 8192 + 1)
NAMES = {"RS256": ("RS256",), "ES256": ("ES256",), "EdDSA": ("EdDSA", "Ed25519")}
"""What tokens and keys call each algorithm."""
ALGORITHMS = {name: algorithm for algorithm, names in NAMES.items() for name in names}
FETCHED_BYTES = 256 * KIB
"""How long a set of keys may be."""
FETCH_HEADERS = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
"""What a set of keys is asked for with."""
_OF_KEYS = {("RSA", UNSET): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Returns what is at a URL; raises KeysUnreadable."""


class _JWK(Struct, frozen=True, omit_defaults=True):
    """The public members of a key, as far as they matter."""

    kty: str
    kid: str | UnsetType = UNSET
    use: str | UnsetType = UNSET
    key_ops: list[str] | UnsetType = UNSET
    alg: str | UnsetType = UNSET
    crv: str | UnsetType = UNSET
    n: str | UnsetType = UNSET
    e: str | UnsetType = UNSET
    x: str | UnsetType = UNSET
    y: str | UnsetType = UNSET


class _JWKSet(Struct, frozen=True):
    keys: list[Raw]


_read_set = msgspec.json.Decoder(_JWKSet).decode
_read_key = msgspec.json.Decoder(_JWK).decode


class VerifyingKey:
    """A public key, and the one algorithm that it verifies signatures by."""

    def __init__(self, jwk: _JWK) -> None:
        """Raise ValueError, with the reason, for a key that verifies no tokens."""
        algorithm = _OF_KEYS.get((jwk.kty, jwk.crv))
        if algorithm is None:
            raise ValueError("it is neither RSA, nor EC on P-256, nor Ed25519")
        if jwk.use not in {UNSET, "sig"} or (jwk.key_ops is not UNSET and "verify" not in jwk.key_ops):
            raise ValueError("it is not for signatures")
        if jwk.alg is not UNSET and ALGORITHMS.get(jwk.alg) != algorithm:
            raise ValueError(f"its alg is not {algorithm}")
        self.id = None if jwk.kid is UNSET else jwk.kid
        self.algorithm = algorithm
        try:
            key = jwt.PyJWK(msgspec.to_builtins(jwk), algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise ValueError("it is malformed") from None
        if algorithm == "RS256" and key.key.key_size not in RSA_BITS:
            raise ValueError(f"it has {key.key.key_size} bits, not {RSA_BITS.start:,} to {RSA_BITS.stop - 1:,}")
        self._key, self._verify = key.key, key.Algorithm.verify

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key's owner signed a message."""
        return self._verify(message, self._key, signature)


class KeySet:
    """The keys of one issuer at one time."""

    def __init__(self, keys: Iterable[VerifyingKey] = ()) -> None:
        self._keys = tuple(keys)

    def find(self, key_id: str | None, algorithm: str) -> list[VerifyingKey]:
        """Return the keys that a token can be meant for: those of that name, or else those without one."""
        able = [key for key in self._keys if key.algorithm == algorithm]
        if key_id is None:
            return able
        return [key for key in able if key.id == key_id] or [key for key in able if key.id is None]


class IssuerKeys:
    """The keys of an issuer from its URL on, or those that stand in the access file."""

    def __init__(self, issuer: Issuer, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Raise ValueError, with the reason, for keys or a URL that cannot be used."""
        if (issuer.jwks is None) == (not issuer.keys):
            raise ValueError("it needs either jwks, the URL of its keys, or keys, and not both")
        self.url = issuer.jwks
        self.problem = ""
        """Why its keys could not be fetched the last time."""
        self._issuer = issuer.issuer
        self._clock = clock
        self._asked = self._fetched = -math.inf
        self._task: asyncio.Task[None] | None = None
        if self.url is None:
            self._keys = KeySet(_read_inline(issuer.keys))
        else:
            _check_url(self.url)
            self._keys = KeySet()
            self._fetch: Fetch = fetch or load("laurels.access.fetching:fetch")

    def find(self, key_id: str | None, algorithm: str) -> list[VerifyingKey]:
        """Return the keys that are known, and that a token can be meant for."""
        if self.url is not None and self._clock() - self._fetched >= REFRESH_SECONDS:
            self.begin()
        return self._keys.find(key_id, algorithm)

    async def find_anew(self, key_id: str | None, algorithm: str) -> list[VerifyingKey]:
        """Return the same after the keys have been fetched, if it is not too early for that.

        Raises IssuerUnreachable if there are none of them, and the issuer could not be asked.
        """
        await self.refresh()
        keys = self._keys.find(key_id, algorithm)
        if not keys and self.problem:
            raise IssuerUnreachable(max(1, math.ceil(self._asked + RETRY_SECONDS - self._clock())))
        return keys

    async def refresh(self) -> None:
        """Fetch the keys, unless it is too early; if they cannot be, ``problem`` and the log tell why."""
        self.begin()
        if self._task is not None:
            await asyncio.shield(self._task)

    def begin(self) -> None:
        """Have the keys fetched in a task, unless it is too early: what waits for it may end, and does not end it."""
        if self.url is not None and self._task is None and self._clock() - self._asked >= RETRY_SECONDS:
            self._asked = self._clock()
            self._task = asyncio.get_running_loop().create_task(self._fetch_keys(self.url))

    async def _fetch_keys(self, url: str) -> None:
        try:
            self._keys = _read_fetched(await self._fetch(url))
        except KeysUnreadable as error:
            self.problem = str(error)
            log.warning(
                "The keys of the issuer %s cannot be fetched from %s: %s.", self._issuer, url.partition("?")[0], error
            )
        else:
            self.problem = ""
            self._fetched = self._clock()
            log.debug("The keys of the issuer %s are fetched", self._issuer)
        finally:
            self._task = None


def _read_inline(keys: Iterable[dict[str, Any]]) -> list[VerifyingKey]:
    found = []
    for index, key in enumerate(keys):
        try:
            found.append(_read_public(key))
        except ValueError as error:
            raise ValueError(f"its key {index} cannot be used: {error}") from None
    return found


def _read_public(key: dict[str, Any]) -> VerifyingKey:
    if "d" in key:
        raise ValueError("it is a private key: give its public part alone")
    return VerifyingKey(msgspec.convert(key, _JWK))


def _read_fetched(document: bytes) -> KeySet:
    """Return the keys in a set that can be used; raise KeysUnreadable if there are none."""
    try:
        keys = _read_set(document).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeysUnreadable("what is there is no JSON Web Key Set") from None
    if len(keys) > MOST_KEYS:
        raise KeysUnreadable(f"there are more than {MOST_KEYS} keys")
    found = []
    for key in keys:
        try:
            found.append(VerifyingKey(_read_key(key)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            continue  # RFC 7517, 5: what is not understood is passed over
    if not found:
        raise KeysUnreadable("none of the keys there is RSA of 2,048 bits or more, EC on P-256, or Ed25519")
    return KeySet(found)


def _check_url(url: str) -> None:
    """Raise ValueError for a URL that keys could be forged on the way from."""
    parts = urlsplit(url)
    if parts.username is not None or parts.fragment or not parts.hostname or parts.port == 0:  # or it raises ValueError
        raise ValueError("jwks must be a URL with a host, and without user, password and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("jwks must begin with https://, unless it is on a loopback address")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
