"""The calls that make keys and disposable tokens, for whoever has a key that allows it.

What Momento's documentation leaves open is *assumed*: that a token gives nothing that its maker's key does not, that a
new API key wants the right to manage keys too, and that a renewed key leaves the old one good until it expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from momento_wire_types import auth_pb2 as auth
from momento_wire_types import auth_pb2_grpc, token_pb2_grpc
from momento_wire_types import token_pb2 as token

from laurels.errors import BadArgument, NotPermitted
from laurels.momento_local.rights import Act, from_message

if TYPE_CHECKING:
    from momento_wire_types import permissionmessages_pb2 as messages

    from laurels.momento_local.keys import Keys

LONGEST_DISPOSABLE = 3600


class Tokens(token_pb2_grpc.TokenServicer):
    """Makes disposable tokens, which live an hour at most and send their holders to ``endpoint``."""

    def __init__(self, keys: Keys, endpoint: str) -> None:
        self._keys = keys
        self._endpoint = endpoint

    async def GenerateDisposableToken(
        self, request: token._GenerateDisposableTokenRequest, _context: Any
    ) -> token._GenerateDisposableTokenResponse:
        """Make a token of some of the rights that the key in the request has."""
        lifetime = request.expires.valid_for_seconds
        if not 0 < lifetime <= LONGEST_DISPOSABLE:
            raise BadArgument(f"A disposable token lives 1 to {LONGEST_DISPOSABLE} seconds, not {lifetime}.")
        _delegate(self._keys, request.auth_token, request.permissions)
        made = self._keys.token(request.permissions, lifetime, request.token_id)
        return token._GenerateDisposableTokenResponse(
            api_key=made.api_key, endpoint=self._endpoint, valid_until=made.expires
        )


class Auth(auth_pb2_grpc.AuthServicer):
    """Makes v1 keys, which send their holders to ``endpoint``, and renews them."""

    def __init__(self, keys: Keys, endpoint: str) -> None:
        self._keys = keys
        self._endpoint = endpoint

    async def GenerateApiToken(
        self, request: auth._GenerateApiTokenRequest, _context: Any
    ) -> auth._GenerateApiTokenResponse:
        """Make a key of some of the rights that the key in the request has."""
        lifetime = request.expires.valid_for_seconds if request.HasField("expires") else None
        if lifetime == 0:
            raise BadArgument("A key lives 1 second at least, or never expires.")
        self._keys.check(request.auth_token, Act.MANAGE_KEYS)
        _delegate(self._keys, request.auth_token, request.permissions)
        made = self._keys.token(request.permissions, lifetime, request.token_id)
        return auth._GenerateApiTokenResponse(
            api_key=made.api_key,
            refresh_token=self._keys.refresh_token(made.api_key),
            endpoint=self._endpoint,
            valid_until=made.expires or 0,
        )

    async def RefreshApiToken(
        self, request: auth._RefreshApiTokenRequest, _context: Any
    ) -> auth._RefreshApiTokenResponse:
        """Make a key of the same rights and lifetime as one that has not expired."""
        made = self._keys.renewed(request.api_key, request.refresh_token)
        return auth._RefreshApiTokenResponse(
            api_key=made.api_key,
            refresh_token=self._keys.refresh_token(made.api_key),
            endpoint=self._endpoint,
            valid_until=made.expires or 0,
        )


def _delegate(keys: Keys, authorization: str, permissions: messages.Permissions) -> None:
    """Raise NotPermitted where permissions are more than a key has; BadArgument where there are none."""
    if permissions.WhichOneof("kind") is None:
        raise BadArgument("A key needs permissions: super_user, or explicit ones.")
    if not keys.grant(authorization).rights.cover(from_message(permissions)):
        raise NotPermitted("give rights that it has not itself", None)
