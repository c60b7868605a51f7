"""The store on Momento's sorted sets, through the official SDK.

A board is one sorted set of one cache: the element's value is the name, its score the score. Momento keeps equal scores
as the contract orders them, and takes a whole set away a time (7 days by default) after its last submit.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from momento import CredentialProvider
from momento.errors import SdkException

from laurels.errors import KeyRefused

LOCAL = re.compile(r"http://([^/:]+):([0-9]+)/?")
KEY_KINDS = "It must be a v1 key, a legacy key or a v2 key of Momento, as its console gives it"


class Keys(Protocol):
    """Where a store gets its key from."""

    async def current(self) -> str:
        """Give the key to use now. It is asked before each act."""

    async def refused(self, key: str) -> str:
        """Hear that Momento refused ``key``, and give the one to use now, which may be the same."""


class FixedKey:
    """One key for good."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def current(self) -> str:
        """Give the key."""
        return self._key

    async def refused(self, _key: str) -> str:
        """Give the key again: there is no other."""
        return self._key


def credentials(key: str, endpoint: str | None = None) -> CredentialProvider:
    """Make of a key what the SDK connects with; raise KeyRefused where that cannot be.

    A v2 key needs its ``endpoint``; v1 and legacy keys hold their own. An endpoint of the form ``http://host:port`` is
    a local server: it is reached without TLS, whatever the key holds, and also without a key.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise KeyRefused(f"it has characters that no key has. {KEY_KINDS}")
    local = LOCAL.fullmatch(endpoint or "")
    if local is None:
        return _read(key, endpoint)
    host, port = local[1], int(local[2])
    if not key:
        return CredentialProvider.for_momento_local(host, port)
    known = _read(key, host)
    return replace(known, control_endpoint=host, cache_endpoint=host, token_endpoint=host, port=port)


def _read(key: str, endpoint: str | None) -> CredentialProvider:
    """Try the kinds of keys. What the SDK raises is not handed on as the cause, because it may hold the key."""
    try:
        return CredentialProvider.from_disposable_token(key)
    except (SdkException, ValueError, LookupError, TypeError):
        pass
    try:
        known = CredentialProvider.from_api_key_v2(key, endpoint or "its own")
    except SdkException:
        raise KeyRefused(f"it cannot be read. {KEY_KINDS}") from None
    if not endpoint:
        raise KeyRefused(
            "it is a v2 key, which needs its endpoint: set that in MOMENTO_ENDPOINT (on Lambda, in context)"
        )
    return known
