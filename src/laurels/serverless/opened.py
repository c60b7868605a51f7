"""A store as a function has it: made once for an environment's life, and made fit for use before each invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from laurels.stores.contract import Store
    from laurels.stores.momento.topics import Publisher, Subscriptions


class Opened(NamedTuple):
    """A store, what has to be done before each invocation that uses it, and who tells of changes."""

    store: Store
    prepare: Callable[[], Awaitable[None]] | None = None
    publisher: Publisher | None = None
    subscriptions: Subscriptions | None = None
