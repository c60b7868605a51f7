"""Faults on request: calls that fail or wait, so that users can test their retries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf

import grpc

from laurels.momento_local.calls import NAMES
from laurels.momento_local.errors import BadArgument

STATUSES = {status.name: status for status in grpc.StatusCode if status is not grpc.StatusCode.OK}
FORM = "CALL:STATUS or CALL:delay=200ms, and :COUNT behind it unless it is for good"
DELAY = re.compile(r"delay=(?P<number>\d{1,9}(\.\d+)?)(?P<unit>ms|s)")
COUNT = re.compile(r"[1-9]\d{0,8}")
UNITS = {"ms": 0.001, "s": 1.0}


@dataclass(slots=True)
class Fault:
    """One call's error (``status``) or ``delay`` in seconds, for the next ``left`` calls."""

    call: str
    status: grpc.StatusCode | None
    delay: float
    left: float

    def __str__(self) -> str:
        what = self.status.name if self.status else f"delay={self.delay * 1000:g}ms"
        return f"{self.call}:{what}" if self.left == inf else f"{self.call}:{what}:{self.left:.0f}"


def parse(text: str) -> Fault:
    """Parse a fault: ``SortedSetPut:UNAVAILABLE:3``, ``SortedSetFetch:delay=200ms``; raise BadArgument for another."""
    call, _, effect = text.partition(":")
    what, is_counted, count = effect.partition(":")
    if not what or ":" in count:
        raise BadArgument(f"{text!r} is no fault: give {FORM}.")
    if call not in NAMES:
        near = get_close_matches(call, NAMES, n=1)
        meant = f" (perhaps {near[0]})" if near else ""
        raise BadArgument(
            f"There is no call {call!r} here{meant}: give the name of one that is served, as it is on the wire: "
            f"{', '.join(sorted(NAMES))}."
        )
    if is_counted and not COUNT.fullmatch(count):
        raise BadArgument(f"{count!r} is no count: give how many calls it is for, at least 1, or leave it out.")
    status, delay = _parse_effect(what)
    return Fault(call, status, delay, int(count) if count else inf)


def _parse_effect(what: str) -> tuple[grpc.StatusCode | None, float]:
    if what in STATUSES:
        return STATUSES[what], 0.0
    delay = DELAY.fullmatch(what)
    if delay is None:
        raise BadArgument(f"{what!r} is neither a delay (delay=200ms, delay=1.5s) nor one of {', '.join(STATUSES)}.")
    return None, float(delay["number"]) * UNITS[delay["unit"]]


class Faults:
    """The faults that are still to be injected, in the order in which they were planned."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._planned)

    def __str__(self) -> str:
        return "\n".join(map(str, self._planned))

    def plan(self, text: str) -> None:
        """Add a fault, in the form of :func:`parse`."""
        self._planned.append(parse(text))

    def clear(self) -> None:
        """Drop all planned faults."""
        self._planned.clear()

    def strike(self, call: str) -> tuple[float, grpc.StatusCode | None]:
        """Count down the faults of a call that is made now; return the sum of its delays, and its first error."""
        delay, status = 0.0, None
        for fault in [fault for fault in self._planned if fault.call == call]:
            # One call can fail once only: the next error stays planned for the next call.
            if fault.status is not None and status is not None:
                continue
            delay, status = delay + fault.delay, status or fault.status
            fault.left -= 1
            if not fault.left:
                self._planned.remove(fault)
        return delay, status
