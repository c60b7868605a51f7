"""The watch on the clock of a store: it looks once a second, and has what its operator should know.

A start far from the newest record, and a jump, are logged at once, and are among :meth:`ClockWatch.warnings` until the
clock has agreed with the steady one for an hour.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from laurels.clock import SECOND, SETTLE_SECONDS

if TYPE_CHECKING:
    from laurels.clock import Clock

LOOK_SECONDS = 1.0
AHEAD_SECONDS, BEHIND_SECONDS = 60, 7 * 24 * 60 * 60
"""How far the newest record may be ahead of the clock, and behind it, at the start."""
LAST = 253_402_300_799
"""The last second of the year 9999, and so of all dates."""
UNITS = {"days": 24 * 60 * 60, "hours": 60 * 60, "minutes": 60, "seconds": 1}
UNTIL_SETTLED = "Until it has run evenly for an hour, boards and periods that are over by it are hidden, not deleted."

_log = logging.getLogger("laurels.stores")


class ClockWatch:
    """The warnings about a clock, over a store whose newest record is of the microsecond ``newest``, 0 if of none."""

    def __init__(self, clock: Clock, newest: int) -> None:
        self._clock = clock
        self._at_start = _describe_start(clock(), newest / SECOND)
        if self._at_start and not clock.is_settled:
            self._at_start += f" {UNTIL_SETTLED}"
        self._started = clock.agreed
        self._jump = 0.0
        if self._at_start:
            _log.warning("%s", self._at_start)
        self._look()

    def _look(self) -> None:
        self._clock()
        if self._clock.jump != self._jump:
            self._jump = self._clock.jump
            if self._jump:
                _log.warning("%s", self._describe_jump())
        self._next = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _describe_jump(self) -> str:
        way = "forward" if self._clock.jump > 0 else "back"
        return f"The clock of this machine jumped {way} by {_format_duration(abs(self._clock.jump))}. {UNTIL_SETTLED}"

    def warnings(self) -> list[str]:
        """Return what is to be said of the clock now."""
        is_new = self._clock.agreed - self._started < SETTLE_SECONDS * SECOND
        warnings = [self._at_start] if self._at_start and is_new else []
        return [*warnings, self._describe_jump()] if self._clock.jump else warnings

    def close(self) -> None:
        """Look no more."""
        self._next.cancel()


def _format_duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two."""
    name, size = next((name, size) for name, size in UNITS.items() if seconds >= 2 * size)
    return f"{seconds / size:,.0f} {name}"


def _describe_start(now: float, newest: float) -> str:
    """Return what is wrong with a start at this time, or nothing."""
    if not newest or -AHEAD_SECONDS <= now - newest <= BEHIND_SECONDS:
        return ""
    times = [datetime.fromtimestamp(min(each, LAST), UTC).isoformat(timespec="seconds") for each in (now, newest)]
    return (
        f"The clock of this machine shows {times[0]}, and the newest record is of {times[1]}: set the clock, if it is "
        "wrong."
    )
