"""The calls of a function's store, each timed and each a part of the trace."""

from __future__ import annotations

import inspect
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from laurels.serverless.segments import subsegment
from laurels.stores.contract import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLS = tuple(name for name, method in vars(Store).items() if inspect.iscoroutinefunction(method) and name != "close")
"""What a store may be asked, by the names of its methods."""

_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


def observe(store: Store, name: str, record: Callable[[str, float, Exception | None], object]) -> None:
    """Let ``record`` know of every call of a store: which it was, its milliseconds, and the error that it ended in.

    ``name`` is what the store is called in traces. What it asks itself meanwhile is in the trace, but not recorded: its
    time is in that of the call.
    """
    for call in CALLS:
        setattr(store, call, _observed(getattr(store, call), call, name, record))


def _observed(
    method: Callable[..., Awaitable[Any]],
    call: str,
    name: str,
    record: Callable[[str, float, Exception | None], object],
) -> Callable[..., Awaitable[Any]]:
    async def observed(*arguments: Any, **options: Any) -> Any:
        failure: Exception | None = None
        is_outermost, token, begun = not _is_inside.get(), _is_inside.set(True), time.monotonic()
        try:
            with subsegment(name, namespace="remote", call=call):
                return await method(*arguments, **options)
        except Exception as error:
            failure = error
            raise
        finally:
            _is_inside.reset(token)
            if is_outermost:
                record(call, (time.monotonic() - begun) * 1e3, failure)

    return observed
