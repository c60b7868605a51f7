"""The functions' store in ElastiCache Serverless for Valkey, which their network reaches and the internet does not.

A connection is made with a token that is signed with the function's role (LAURELS_CACHE names the cache), or with a
password that Secrets Manager has (LAURELS_PASSWORD_SECRET). It is kept from invocation to invocation, but not trusted
for ever: networks forget one that is quiet, which nothing tells while Lambda freezes the environment, and ElastiCache
ends one that a token made after 12 hours.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from laurels.serverless.environment import need
from laurels.serverless.opened import Opened
from laurels.serverless.parameters import Parameter, secret
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.store import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.serverless.environment import Settings

TOKEN_SECONDS = 900
"""How long a token lets connect: the longest that ElastiCache takes."""
IDLE_SECONDS = 240
"""How long a connection is kept that is not used. AWS's networks forget one after 350."""
AGE_SECONDS = 11 * 3600
"""How long one is kept at all: short of ElastiCache's 12 hours."""
TURNS = 3
"""Of the loop, after which it knows of a connection that was closed while it stood still."""
ANSWER_SECONDS = 3
"""How long an answer may take: with a connection before it, well within the function's time."""


class Signature:
    """Signs a token for each connection, with the role of the function."""

    def __init__(self, cache: str, user: str) -> None:
        self._cache = cache
        self._user = user

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return the user and a token: the address of a request that is never sent, signed."""
        variables = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        role = Credentials(*(os.environ.get(name) for name in variables))
        asked = urlencode({"Action": "connect", "User": self._user, "ResourceType": "ServerlessCache"})
        request = AWSRequest("GET", f"https://{self._cache}/?{asked}")
        SigV4QueryAuth(role, "elasticache", os.environ["AWS_REGION"], expires=TOKEN_SECONDS).add_auth(request)
        return self._user, str(request.url).removeprefix("https://")


class Password:
    """The password of the user, which Secrets Manager has."""

    def __init__(self, name: str, user: str) -> None:
        self._user = user
        self._secret = Parameter(name, "password", lambda: secret(name))

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return the user and the password; raise ParameterUnreadable if there is none yet."""
        return self._user, await self._secret.current()


class Preparing:
    """Makes a store fit for an invocation: its connection is neither lost nor too old. By the wall clock."""

    def __init__(self, store: RedisStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._used = self._made = clock()

    async def __call__(self) -> None:
        """Have the store connect anew if it is time to, or if it could not when it was last used."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        now = self._clock()
        is_good = 0 <= now - self._used < IDLE_SECONDS and 0 <= now - self._made < AGE_SECONDS
        if not (is_good and self._store.is_connected):
            await self._store.reconnect()
            self._made = now
        self._used = now


def open_store(settings: Settings, _: Callable[[], Any]) -> Opened:
    """Return the store; nothing is connected yet. Raises BadSetting."""
    user = need(settings, "cache_user")
    named = settings.password_secret
    credentials = Password(named, user) if named else Signature(need(settings, "cache"), user)
    # Serverless caches remove what expires when they are full; that cannot be set.
    connections = RedisSettings(timeout=ANSWER_SECONDS, allow_eviction=True)
    store = RedisStore(need(settings, "store"), settings=connections, credentials=credentials)
    return Opened(store, Preparing(store))
