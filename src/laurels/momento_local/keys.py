"""The keys of a local Momento server: it makes them, and checks the key of each call.

A key is a JWT that the server has signed. There are three forms:

- a *v1 key* is base64 of ``{"endpoint", "api_key"}``, of which the SDK sends the ``api_key``; so is a disposable token;
- a *legacy key* has its endpoints in the claims ``cp`` and ``c``, and is sent as it is;
- a *v2 key* has the claim ``t`` = ``g``, no endpoint in it, and the rights of its role.

The first two hold their rights and are valid until they expire. A v2 key is valid while the server knows it: not after
it was revoked, and not for a server that was started later. Only the owner's key is the same for every server with the
same secret, as are the v1 and the legacy key that are printed with it.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import msgspec
from momento_wire_types import permissionmessages_pb2 as messages

from laurels.momento_local.errors import NotAuthenticated, NotPermitted, NotThere
from laurels.momento_local.rights import SUPER_USER, from_message
from laurels.momento_local.roles import Roles

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt.types import Options

    from laurels.momento_local.rights import Action, Rights

ALGORITHM = "HS256"
SECRET_BYTES = 32
REMEMBERED = 4096
OWNER_KEY = "owner"
EVERYTHING = messages.Permissions(super_user=messages.SuperUser)
UNTIMED: Options = {"verify_exp": False}


class KeyInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Momento's account API says of a v2 key, in its words."""

    key_id: str
    account_id: str
    description: str
    role_id: str
    issued_at_epoch_seconds: int
    expires_at_epoch_seconds: int | None = None


class Grant(NamedTuple):
    """The rights of a valid key, when it expires, and the publisher id of what is published with it.

    A key of a role, and a call without a key, may make keys that may do everything; one that holds its rights may not.
    """

    rights: Rights
    expires: float | None = None
    token_id: str = ""
    makes_super_users: bool = True


class Token(NamedTuple):
    """A new key, and when it expires, in seconds since the epoch."""

    api_key: str
    expires: int | None


OPEN = Grant(SUPER_USER)


class Keys:
    """All keys of one server.

    ``secret`` signs them: with the same secret, the printed keys are the same again. ``clock`` is in seconds since the
    epoch. A call without any key, as the SDKs' ``forMomentoLocal`` makes, may do everything if the server ``is_open``.
    """

    account = "local"

    def __init__(self, secret: bytes, clock: Callable[[], float], *, is_open: bool = True) -> None:
        self._secret = secret
        self._is_open = is_open
        self.clock = clock
        self.roles = Roles()
        self._grants: dict[str, Grant] = {}
        self._issued = {OWNER_KEY: self._info(OWNER_KEY, "Printed at the start", "owner", None)}

    def check(
        self, authorization: str | None, action: Action, cache: str | None = None, item: bytes | None = None
    ) -> None:
        """Raise NotAuthenticated if the key is not valid, and NotPermitted if it does not allow the action.

        ``item`` is the key of the item or the name of the topic, for the actions on one.
        """
        if not self.grant(authorization).rights.allow(action, cache, item):
            raise NotPermitted(action.name.lower().replace("_", " "), cache)

    def grant(self, authorization: str | None) -> Grant:
        """Return what a key grants; raise NotAuthenticated if it is not of this server, has expired or was revoked."""
        if not authorization:
            if self._is_open:
                return OPEN
            raise NotAuthenticated("The call brings no API key")
        grant = self._grants.get(authorization) or self._verify(authorization)
        if grant.expires is not None and grant.expires <= self.clock():
            raise NotAuthenticated("The API key has expired")
        return grant

    def owner(self) -> str:
        """Return the v2 key that may do everything: the same for every server with the same secret."""
        return self._sign({"t": "g", "jti": OWNER_KEY})

    def legacy(self, endpoint: str) -> str:
        """Return the legacy key that may do everything at an endpoint. The JavaScript SDK can use it for localhost."""
        return self._sign({"jti": "legacy", "cp": endpoint, "c": endpoint, "p": _encode(EVERYTHING)})

    def v1(self, endpoint: str) -> str:
        """Return the v1 key that may do everything, at the hosts ``cache.`` and so on of an endpoint."""
        api_key = self._sign({"jti": "v1", "p": _encode(EVERYTHING)})
        return base64.b64encode(msgspec.json.encode({"endpoint": endpoint, "api_key": api_key})).decode()

    def token(self, permissions: messages.Permissions, lifetime: int | None, token_id: str = "") -> Token:
        """Return a new key that holds its rights, as the SDK sends it; ``lifetime`` is in seconds, None for ever.

        ``token_id`` is the publisher id of what is published with it.
        """
        return self._make({"p": _encode(permissions), "id": token_id}, lifetime)

    def refresh_token(self, api_key: str) -> str:
        """Return the refresh token of a key."""
        return self._sign({"jti": secrets.token_hex(8), "of": self._read_claims(api_key)["jti"]})

    def renew(self, api_key: str, refresh_token: str) -> Token:
        """Make a key with the same rights and lifetime as a valid one, which stays valid (*assumed*)."""
        self.grant(api_key)
        claims = self._read_claims(api_key)
        if self._read_claims(refresh_token).get("of") != claims["jti"]:
            raise NotAuthenticated("The refresh token is none of this key's")
        return self._make({"p": claims["p"], "id": claims["id"]}, claims.get("life"))

    def _make(self, claims: dict[str, Any], lifetime: int | None) -> Token:
        expires = None if lifetime is None else int(self.clock()) + lifetime
        life = {} if lifetime is None else {"exp": expires, "life": lifetime}
        return Token(self._sign({"jti": secrets.token_hex(8)} | claims | life), expires)

    def issue(self, role_id: str, description: str, expires: int | None) -> tuple[str, KeyInfo]:
        """Make a v2 key; return its text and its information. Raises NotThere if there is no such role."""
        info = self._info(secrets.token_hex(8), description, self.roles[role_id].role_id, expires)
        self._issued[info.key_id] = info
        return self._sign({"t": "g", "jti": info.key_id}), info

    def issued(self) -> list[KeyInfo]:
        """Return the information about every v2 key, oldest first."""
        return list(self._issued.values())

    def revoke(self, key_id: str) -> None:
        """Revoke a v2 key; raise NotThere if there is none of that id."""
        if self._issued.pop(key_id, None) is None:
            raise NotThere("API key", key_id)
        # The grants are by the keys' texts, which are not kept: all are verified again.
        self._grants.clear()

    def _info(self, key_id: str, description: str, role_id: str, expires: int | None) -> KeyInfo:
        return KeyInfo(key_id, self.account, description, role_id, int(self.clock()), expires)

    def _verify(self, authorization: str) -> Grant:
        """Verify a key that is not among those last verified, and keep the result."""
        grant = self._read_grant(self._read_claims(authorization))
        if len(self._grants) >= REMEMBERED:
            self._grants.clear()
        self._grants[authorization] = grant
        return grant

    def _read_grant(self, claims: dict[str, Any]) -> Grant:
        if claims.get("t") == "g":
            return self._grant_of_role(claims["jti"])
        if "p" not in claims:
            raise NotAuthenticated("This is a refresh token and no API key")
        permissions = messages.Permissions.FromString(base64.b64decode(claims["p"]))
        return Grant(from_message(permissions), claims.get("exp"), claims.get("id", ""), makes_super_users=False)

    def _grant_of_role(self, key_id: str) -> Grant:
        info = self._issued.get(key_id)
        if info is None:
            raise NotAuthenticated("The API key was revoked, or made by a server that has ended")
        return Grant(self.roles[info.role_id].rights(), info.expires_at_epoch_seconds)

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._secret, ALGORITHM)

    def _read_claims(self, token: str) -> dict[str, Any]:
        """Return the claims of what this server has signed. Its expiry is not checked here: jwt has another clock."""
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret, [ALGORITHM], options=UNTIMED)
        except jwt.InvalidTokenError as exc:
            raise NotAuthenticated("The API key is none of this server's") from exc
        return claims


def _encode(permissions: messages.Permissions) -> str:
    return base64.b64encode(permissions.SerializeToString()).decode()
