"""Momento's Topics: hints that a board has changed, and tokens with which a browser may listen to them.

A board has one topic in the cache of its entries. Its name is ``live:`` and the board's name, percent-encoded, or its
hash if that is long; a namespace and a colon come before. So two boards never have the same topic, whatever their names
are, and a key for the topics of one namespace reaches no other.

A hint is ``{"name": ..., "score": ...}``: who has submitted what. It is no news of a rank: who gets it reads again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import quote

import msgspec
from momento import AuthClientAsync, TopicClientAsync
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.config import TopicConfiguration
from momento.config.auth_configurations import AuthConfigurations
from momento.config.transport.topic_transport_strategy import (
    StaticTopicGrpcConfiguration,
    StaticTopicTransportStrategy,
)
from momento.utilities import ExpiresIn

from laurels.errors import StoreUnavailable
from laurels.stores.momento.connection import Connection, own_connection
from laurels.stores.momento.errors import check_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from momento import CredentialProvider
    from momento.responses import GenerateDisposableToken

    from laurels.stores.contract import Score
    from laurels.stores.momento.connection import Keys

PUBLISH_SECONDS = 0.5
"""How long a submit waits at most for its hint to be published."""
ASK_SECONDS = 3.0
"""How long a token may take."""
TOKEN_SECONDS = 600
"""How long a token lives. The same one is given out until half of that is over."""
TOKENS_KEPT = 1024
LONGEST_NAME = 200
"""Of a board's encoded name in a topic, in characters."""
ANYWHERE = "https://*.momentohq.com"
WEB = "https://web.cache."
"""What comes before an endpoint of Momento's to make the address that browsers call."""


class Subscription(NamedTuple):
    """What a browser needs to listen to one topic."""

    endpoint: str
    """The URL that browsers call."""
    cache: str
    topic: str
    token: str
    """As Momento's SDKs take it."""
    expires: int
    """In seconds since the epoch."""

    def __repr__(self) -> str:
        """Return nothing of the token."""
        return f"Subscription({self.cache!r}, {self.topic!r}, {self.expires})"


class Publisher:
    """Publishes the hints of a cache's boards; its key may publish to their topics."""

    def __init__(self, cache: str, keys: Keys, endpoint: str | None = None, *, namespace: str | None = None) -> None:
        self._cache = cache
        self._namespace = namespace
        self._connection = Connection(keys, endpoint, _connect_topics)

    async def publish(self, board: str, name: str, score: Score) -> None:
        """Publish that a score was submitted for a name, once and within PUBLISH_SECONDS; raise StoreError."""
        topic, hint = topic_of(self._namespace, board), msgspec.json.encode({"name": name, "score": score}).decode()
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._connection.call(lambda client: self._publish(client, topic, hint))
        except TimeoutError as exc:
            raise StoreUnavailable("Momento did not take a hint in time") from exc

    async def _publish(self, client: TopicClientAsync, topic: str, hint: str) -> None:
        check_answer(self._cache, await client.publish(self._cache, topic, hint))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


class Subscriptions:
    """Gives out what a browser needs to listen to a board; its key may make tokens that subscribe to the topics.

    ``web`` is the URL that browsers call, if it is not Momento's own. ``clock`` is in seconds since the epoch.
    """

    def __init__(  # noqa: PLR0913 - the settings of a connection
        self,
        cache: str,
        keys: Keys,
        endpoint: str | None = None,
        *,
        namespace: str | None = None,
        web: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._namespace = namespace
        self._web = web
        self.place = web or (f"{WEB}{endpoint}" if endpoint else ANYWHERE)
        """Where browsers will listen, as the policy of a page has it."""
        self._clock = clock
        self._connection = Connection(keys, endpoint, _connect_tokens)
        self._given: dict[str, tuple[float, Subscription]] = {}

    async def subscribe(self, board: str) -> Subscription:
        """Return a subscription to a board's topic that is good for TOKEN_SECONDS / 2 at least; raise StoreError."""
        topic = topic_of(self._namespace, board)
        made, given = self._given.get(topic, (-inf, None))
        now = self._clock()
        if given is None or not 0 <= now - made < TOKEN_SECONDS / 2:  # the clock may have been set back
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    given = await self._connection.call(lambda client: self._subscribe(client, topic))
            except TimeoutError as exc:
                raise StoreUnavailable("Momento did not give a token in time") from exc
            self._given.pop(topic, None)
            self._given[topic] = now, given
            if len(self._given) > TOKENS_KEPT:
                del self._given[next(iter(self._given))]
        return given

    async def _subscribe(self, client: AuthClientAsync, topic: str) -> Subscription:
        scope = DisposableTokenScopes.topic_subscribe_only(self._cache, topic)
        made = await client.generate_disposable_token(scope, ExpiresIn.seconds(TOKEN_SECONDS))
        token = cast("GenerateDisposableToken.Success", check_answer(self._cache, made))
        endpoint = self._web or f"{WEB}{token.endpoint}"
        return Subscription(endpoint, self._cache, topic, token.auth_token, token.expires_at.epoch())

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def topic_of(namespace: str | None, board: str) -> str:
    """Return the name of a board's topic, which is of ASCII without spaces."""
    name = quote(board, safe="")
    if len(name) > LONGEST_NAME:
        name = f"sha256:{hashlib.sha256(board.encode()).hexdigest()}"  # no encoded name has a colon
    return f"{namespace}:live:{name}" if namespace else f"live:{name}"


def _connect_topics(credentials: CredentialProvider, number: int) -> TopicClientAsync:
    # Without keep-alive, as for caches: it means nothing where the process stands still between two requests.
    grpc = StaticTopicGrpcConfiguration(timedelta(seconds=PUBLISH_SECONDS), number, None, False, None, None)  # noqa: FBT003
    return TopicClientAsync(TopicConfiguration(StaticTopicTransportStrategy(grpc)), credentials)


def _connect_tokens(credentials: CredentialProvider, number: int) -> AuthClientAsync:
    return AuthClientAsync(own_connection(AuthConfigurations.Lambda.latest(), number), credentials)
