"""The functions' store in Momento, whose key is in a parameter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from laurels.serverless.environment import need
from laurels.serverless.opened import Opened
from laurels.serverless.parameters import Parameter, parameter
from laurels.stores.momento.store import MomentoStore
from laurels.stores.momento.topics import Publisher, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.serverless.environment import Settings


def open_store(settings: Settings, connect: Callable[[], Any]) -> Opened:
    """Return the store; nothing is read yet. Raises BadSetting."""
    cache, keys = need(settings, "momento_cache"), _keys(need(settings, "key_parameter"), connect)
    endpoint, namespace = settings.momento_endpoint, settings.namespace
    ttl = timedelta(seconds=settings.ttl_seconds)
    store = MomentoStore(cache, keys, endpoint, ttl=ttl, namespace=namespace)
    publisher = Publisher(cache, keys, endpoint, namespace=namespace) if settings.live else None
    subscriptions = None
    if settings.live_key_parameter:
        live_keys = _keys(settings.live_key_parameter, connect)
        subscriptions = Subscriptions(cache, live_keys, endpoint, namespace=namespace, web=settings.momento_web)
    return Opened(store, publisher=publisher, subscriptions=subscriptions)


def _keys(name: str, connect: Callable[[], Any]) -> Parameter[str]:
    return Parameter(name, "key", lambda: parameter(name, connect))
