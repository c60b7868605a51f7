"""The functions' store in Momento, whose key is in a parameter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from laurels.serverless.environment import need
from laurels.serverless.opened import Opened
from laurels.serverless.parameters import Parameter, parameter
from laurels.stores.momento.store import MomentoStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.serverless.environment import Settings


def open_store(settings: Settings, connect: Callable[[], Any]) -> Opened:
    """Return the store; nothing is read yet. Raises BadSetting."""
    name = need(settings, "key_parameter")
    store = MomentoStore(
        need(settings, "momento_cache"),
        Parameter(name, "key", lambda: parameter(name, connect)),
        settings.momento_endpoint,
        ttl=timedelta(seconds=settings.ttl_seconds),
        namespace=settings.namespace,
    )
    return Opened(store)
