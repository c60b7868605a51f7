"""A store as a function has it: made once for an environment's life, and made fit for use before each invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from laurels.stores.contract import Store


class Opened(NamedTuple):
    """A store, and what has to be done before each invocation that uses it."""

    store: Store
    prepare: Callable[[], Awaitable[None]] | None = None
