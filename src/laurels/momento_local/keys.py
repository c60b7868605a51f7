"""The keys of a local Momento server: it makes them, and checks each that a call brings.

A key is a JWT that the server has signed. What is around it differs:

- a *v1 key* is base64 of ``{"endpoint", "api_key"}``, where the SDK sends the ``api_key``; so is a disposable token;
- a *legacy key* carries its endpoints in the claims ``cp`` and ``c``, and is sent as it is;
- a *v2 key* has the claim ``t`` = ``g``, goes with an endpoint that is told apart, and has the rights of its role.

The first two carry their rights and are good until they expire. A v2 key is good while the server knows it: not after
it was revoked, and not for a server that was started later. Only the owner's key is the same for every server of one
secret, as the v1 and legacy keys printed beside it.
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

    from laurels.momento_local.rights import Act, Rights

ALGORITHM = "HS256"
SECRET_BYTES = 32
REMEMBERED = 4096
OWNER_KEY = "owner"
EVERYTHING = messages.Permissions(super_user=messages.SuperUser)
UNTIMED: Options = {"verify_exp": False}


class KeyInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Momento's account API tells of a v2 key, in its words."""

    key_id: str
    account_id: str
    description: str
    role_id: str
    issued_at_epoch_seconds: int
    expires_at_epoch_seconds: int | None = None


class Grant(NamedTuple):
    """What a good key gives, until when, and what topics tell of whoever publishes with it."""

    rights: Rights
    expires: float | None = None
    token_id: str = ""


class Token(NamedTuple):
    """A new key, and when it expires in seconds since the epoch."""

    api_key: str
    expires: int | None


OPEN = Grant(SUPER_USER)


class Keys:
    """All keys of one server.

    ``secret`` signs them, and the same makes the same keys again; ``clock`` tells the seconds since the epoch. A call
    without any key, as ``forMomentoLocal`` of the SDKs makes it, may do everything where the server ``is_open``.
    """

    account = "local"

    def __init__(self, secret: bytes, clock: Callable[[], float], *, is_open: bool = True) -> None:
        self._secret = secret
        self._is_open = is_open
        self.clock = clock
        self.roles = Roles()
        self._grants: dict[str, Grant] = {}
        self._issued = {OWNER_KEY: self._info(OWNER_KEY, "Printed at the start", "owner", None)}

    def check(self, authorization: str | None, act: Act, cache: str | None = None, item: bytes | None = None) -> None:
        """Raise NotAuthenticated where the key is not good, and NotPermitted where it does not allow the act.

        ``item`` is the key of the item or the name of the topic, for the acts that are on one.
        """
        if not self.grant(authorization).rights.allow(act, cache, item):
            raise NotPermitted(act.name.lower().replace("_", " "), cache)

    def grant(self, authorization: str | None) -> Grant:
        """Give what a key gives; raise NotAuthenticated where it is none of ours, has expired or was revoked."""
        if not authorization:
            if self._is_open:
                return OPEN
            raise NotAuthenticated("The call brings no API key")
        grant = self._grants.get(authorization) or self._remembered(authorization)
        if grant.expires is not None and grant.expires <= self.clock():
            raise NotAuthenticated("The API key has expired")
        return grant

    def owner(self) -> str:
        """Give the v2 key that may do everything: the same for every server of one secret."""
        return self._signed({"t": "g", "jti": OWNER_KEY})

    def legacy(self, endpoint: str) -> str:
        """Give the one-string key that may do everything at an endpoint, for the JavaScript SDK on one machine too."""
        return self._signed({"jti": "legacy", "cp": endpoint, "c": endpoint, "p": _packed(EVERYTHING)})

    def v1(self, endpoint: str) -> str:
        """Give the one-string key that may do everything, of the hosts ``cache.`` and so on of an endpoint."""
        api_key = self._signed({"jti": "v1", "p": _packed(EVERYTHING)})
        return base64.b64encode(msgspec.json.encode({"endpoint": endpoint, "api_key": api_key})).decode()

    def token(self, permissions: messages.Permissions, lifetime: int | None, token_id: str = "") -> Token:
        """Give a new key that carries its rights, as the SDK sends it, for so many seconds or for ever.

        ``token_id`` is what the topics tell of whoever publishes with it.
        """
        return self._made({"p": _packed(permissions), "id": token_id}, lifetime)

    def refresh_token(self, api_key: str) -> str:
        """Give what renews a key."""
        return self._signed({"jti": secrets.token_hex(8), "of": self._claims(api_key)["jti"]})

    def renewed(self, api_key: str, refresh_token: str) -> Token:
        """Give a key of the same rights and lifetime as one that is still good, and stays so (*assumed*)."""
        self.grant(api_key)
        claims = self._claims(api_key)
        if self._claims(refresh_token).get("of") != claims["jti"]:
            raise NotAuthenticated("The refresh token is none of this key's")
        return self._made({"p": claims["p"], "id": claims["id"]}, claims.get("life"))

    def _made(self, claims: dict[str, Any], lifetime: int | None) -> Token:
        expires = None if lifetime is None else int(self.clock()) + lifetime
        life = {} if lifetime is None else {"exp": expires, "life": lifetime}
        return Token(self._signed({"jti": secrets.token_hex(8)} | claims | life), expires)

    def issue(self, role_id: str, description: str, expires: int | None) -> tuple[str, KeyInfo]:
        """Give a new v2 key and what is known of it; raise NotThere where there is no such role."""
        info = self._info(secrets.token_hex(8), description, self.roles[role_id].role_id, expires)
        self._issued[info.key_id] = info
        return self._signed({"t": "g", "jti": info.key_id}), info

    def issued(self) -> list[KeyInfo]:
        """Give what is known of every v2 key, the oldest first."""
        return list(self._issued.values())

    def revoke(self, key_id: str) -> None:
        """Make a v2 key good for nothing from now on; raise NotThere where there is none."""
        if self._issued.pop(key_id, None) is None:
            raise NotThere("API key", key_id)
        self._grants.clear()

    def _info(self, key_id: str, description: str, role_id: str, expires: int | None) -> KeyInfo:
        return KeyInfo(key_id, self.account, description, role_id, int(self.clock()), expires)

    def _remembered(self, authorization: str) -> Grant:
        """Verify a key that was not brought lately."""
        grant = self._verified(self._claims(authorization))
        if len(self._grants) >= REMEMBERED:
            self._grants.clear()
        self._grants[authorization] = grant
        return grant

    def _verified(self, claims: dict[str, Any]) -> Grant:
        if claims.get("t") == "g":
            return self._known(claims["jti"])
        if "p" not in claims:
            raise NotAuthenticated("This is a refresh token and no API key")
        permissions = messages.Permissions.FromString(base64.b64decode(claims["p"]))
        return Grant(from_message(permissions), claims.get("exp"), claims.get("id", ""))

    def _known(self, key_id: str) -> Grant:
        info = self._issued.get(key_id)
        if info is None:
            raise NotAuthenticated("The API key was revoked, or made by a server that has ended")
        return Grant(self.roles[info.role_id].rights(), info.expires_at_epoch_seconds)

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._secret, ALGORITHM)

    def _claims(self, token: str) -> dict[str, Any]:
        """Give the claims of what we have signed; whether it has expired is for our own clock to tell."""
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret, [ALGORITHM], options=UNTIMED)
        except jwt.InvalidTokenError as exc:
            raise NotAuthenticated("The API key is none of this server's") from exc
        return claims


def _packed(permissions: messages.Permissions) -> str:
    return base64.b64encode(permissions.SerializeToString()).decode()
