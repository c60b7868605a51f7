"""Meters in Redis, which all processes share that keep their boards there, on whichever machine they are.

A request is counted before it is let in, so that a limit holds exactly, over however many processes. What comes of one
subject while a call of its meter is under way goes together in the next: many requests of one address or key cost few
calls. The clock is the server's. A meter is dropped once it says no more than a new one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from laurels.clock import SECOND
from laurels.errors import StoreError
from laurels.stores.contract import SharedMeters, Taken
from laurels.stores.redis.calls import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "laurels:rate:"
_RATES = Script("rates", closed=True)
_Meter: TypeAlias = tuple[str, tuple[float, float], tuple[float, float]]


class RedisMeters(SharedMeters):
    """The meters in one database of Redis."""

    def __init__(self, call: Callable[..., asyncio.Future[Any]]) -> None:
        """``call`` calls a script, given its keys and its arguments."""
        self._call = call
        self._waiting: dict[_Meter, list[Reply]] = {}

    def take(self, subject: str, requests: tuple[float, float], submits: tuple[float, float]) -> Reply:
        """Count a request, or not; see the contract."""
        meter, loop = (subject, requests, submits), asyncio.get_running_loop()
        reply, waiting = Reply("", ()), self._waiting.get(meter)
        if waiting is None:
            self._waiting[meter] = [reply]
            loop.call_soon(self._ask, meter)  # for all that come in this turn
        else:
            waiting.append(reply)
        return reply

    def _ask(self, meter: _Meter) -> None:
        subject, *limits = meter
        replies, self._waiting[meter] = self._waiting[meter], []
        words = [f"{seconds * SECOND:.17g}" for limit in limits for seconds in limit]
        try:
            call = self._call(_RATES, (PREFIX + subject,), len(replies), *words)
        except StoreError as error:  # too much waits
            self._end(meter, replies, error)
        else:
            call.add_done_callback(partial(self._answer, meter, replies))

    def _answer(self, meter: _Meter, replies: list[Reply], call: asyncio.Future[Any]) -> None:
        error = call.exception()
        self._end(meter, replies, call.result() if error is None else error)

    def _end(self, meter: _Meter, replies: list[Reply], outcome: Any) -> None:
        for place, reply in enumerate(replies):
            if reply.done():  # its client has left
                continue
            if isinstance(outcome, BaseException):
                reply.fail(outcome)
            else:
                counted, requests_due, submits_due = outcome
                reply.take(Taken(place < counted, requests_due / SECOND, submits_due / SECOND))
        if self._waiting[meter]:
            self._ask(meter)
        else:
            del self._waiting[meter]
