"""The functions' store in ElastiCache Serverless for Valkey, which their network reaches and the internet does not.

A connection is made with a token that is signed with the function's role (LAURELS_CACHE names the cache), or with a
password that Secrets Manager has (LAURELS_PASSWORD_SECRET). It is kept from invocation to invocation, but not trusted
for ever: networks forget one that is quiet, which nothing tells while Lambda freezes the environment, and ElastiCache
ends one that a token made after 12 hours.
"""

from __future__ import annotations

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
ANSWER_SECONDS = 3
"""How long an answer may take: with a connection before it, well within the function's time."""


class Signature:
    """Signs a token for each connection, with the role of the function."""

    def __init__(self, cache: str, user: str) -> None:
        self._cache = cache
        self._user = user

    def __call__(self) -> tuple[str, str]:
        """Return the user and a token: the address of a request that is never sent, signed."""
        variables = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        role = Credentials(*(os.environ.get(name) for name in variables))
        asked = urlencode({"Action": "connect", "User": self._user, "ResourceType": "ServerlessCache"})
        request = AWSRequest("GET", f"https://{self._cache}/?{asked}")
        SigV4QueryAuth(role, "elasticache", os.environ["AWS_REGION"], expires=TOKEN_SECONDS).add_auth(request)
        return self._user, str(request.url).removeprefix("https://")


class Password:
    """The password of the user, as Secrets Manager had it last."""

    def __init__(self, name: str, user: str, clock: Callable[[], float] = time.time) -> None:
        self._user = user
        self._parameter = Parameter(name, "password", lambda: secret(name), clock)
        self._password = ""

    async def read(self) -> None:
        """Read it, if it is time to; raise ParameterUnreadable if there is none yet."""
        self._password = await self._parameter.current()

    def __call__(self) -> tuple[str, str]:
        """Return the user and the password."""
        return self._user, self._password


class Preparing:
    """Makes a store fit for an invocation: its connections are neither forgotten nor too old. By the wall clock."""

    def __init__(self, store: RedisStore, password: Password | None, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._password = password
        self._clock = clock
        self._used = self._made = clock()

    async def __call__(self) -> None:
        """Read the password if there is one, and have the store connect anew if it is time to."""
        if self._password is not None:
            await self._password.read()
        now = self._clock()
        if not (0 <= now - self._used < IDLE_SECONDS and 0 <= now - self._made < AGE_SECONDS):
            await self._store.reconnect()
            self._made = now
        self._used = now


def open_store(settings: Settings, _: Callable[[], Any]) -> Opened:
    """Return the store; nothing is connected yet. Raises BadSetting."""
    user = need(settings, "cache_user")
    password = Password(settings.password_secret, user) if settings.password_secret else None
    credentials = password or Signature(need(settings, "cache"), user)
    store = RedisStore(need(settings, "store"), answer_seconds=ANSWER_SECONDS, credentials=credentials)
    return Opened(store, Preparing(store, password))
