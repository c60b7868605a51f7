"""The calls that make keys and disposable tokens, for any caller whose key allows it.

What Momento's documentation leaves open is *assumed*: that a token has no right that its maker's key has not, that
making an API key needs the right to manage keys too, and that the old key of a renewed one is valid until it expires.
That a v1 key which may do everything makes no other such key is tested in Momento's own SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from momento_wire_types import auth_pb2 as auth
from momento_wire_types import token_pb2 as wire

from laurels.momento_local.errors import BadArgument, NotPermitted
from laurels.momento_local.fields import choice
from laurels.momento_local.rights import Action, check, from_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from momento_wire_types import permissionmessages_pb2 as messages

    from laurels.momento_local.keys import Keys, Token

LONGEST_DISPOSABLE = 3600


Calls = dict[str, "Callable[[Tokens, Any], Any]"]


class Tokens:
    """Makes keys and tokens with ``endpoint`` in them; each request has the key that must allow it."""

    endpoint = "localhost"

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def generate_disposable(
        self, request: wire._GenerateDisposableTokenRequest
    ) -> wire._GenerateDisposableTokenResponse:
        """Make a token with some of the key's rights, for an hour at most."""
        lifetime = request.expires.valid_for_seconds
        if lifetime > LONGEST_DISPOSABLE:
            raise BadArgument(f"A disposable token lives {LONGEST_DISPOSABLE} seconds at most, not {lifetime}.")
        token = self._token(request.auth_token, request.permissions, lifetime, request.token_id)
        return wire._GenerateDisposableTokenResponse(
            api_key=token.api_key, endpoint=self.endpoint, valid_until=token.expires
        )

    def generate(self, request: auth._GenerateApiTokenRequest) -> auth._GenerateApiTokenResponse:
        """Make a v1 key with some of the key's rights; the key must be one that may manage keys."""
        self._keys.check(request.auth_token, Action.MANAGE_KEYS)
        expires = choice(request, "expiry", "how long the key lives") == "expires"
        lifetime = request.expires.valid_for_seconds if expires else None
        token = self._token(request.auth_token, request.permissions, lifetime, request.token_id)
        return auth._GenerateApiTokenResponse(**self._fields_of(token))

    def refresh(self, request: auth._RefreshApiTokenRequest) -> auth._RefreshApiTokenResponse:
        """Make a v1 key with the same rights and lifetime as one that has not expired."""
        token = self._keys.renew(request.api_key, request.refresh_token)
        return auth._RefreshApiTokenResponse(**self._fields_of(token))

    def _fields_of(self, token: Token) -> dict[str, Any]:
        """Return a v1 key as a response's fields; one that never expires is valid until 0, as the SDKs read it."""
        return {
            "api_key": token.api_key,
            "refresh_token": self._keys.refresh_token(token.api_key),
            "endpoint": self.endpoint,
            "valid_until": token.expires or 0,
        }

    def _token(
        self, authorization: str, permissions: messages.Permissions, lifetime: int | None, token_id: str
    ) -> Token:
        """Make a token; raise NotPermitted if it would have more rights than the key."""
        if lifetime == 0:
            raise BadArgument("`expires` is missing, or 0 seconds: a token lives 1 second at least.")
        check(permissions)
        grant, rights = self._keys.grant(authorization), from_message(permissions)
        if rights.everything and not grant.makes_super_users:
            raise NotPermitted("make another that may do everything, as only v2 keys do", None)
        if not grant.rights.cover(rights):
            raise NotPermitted("give rights that it has not itself", None)
        return self._keys.token(permissions, lifetime, token_id)


DISPOSABLE: Calls = {"GenerateDisposableToken": Tokens.generate_disposable}
KEYS: Calls = {"GenerateApiToken": Tokens.generate, "RefreshApiToken": Tokens.refresh}
"""The function of each call of the two services."""
