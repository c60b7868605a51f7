"""The wall clock, and whether it can be trusted.

A wall clock may jump: somebody sets it, a machine starts with a wrong one, a virtual machine comes back. A second clock
runs beside it, which nobody sets and which counts while a machine sleeps; the two *agree* as long as neither moves
against the other. Every look at the time (:meth:`Clock.__call__`) compares them, so that no time is used that was
not compared.

A step of less than JUMP_SECONDS, such as a leap second, is no jump, nor is what a clock is slewed by. After a jump, and
after the start of a machine, the clock is not settled until both have agreed for SETTLE_SECONDS; nor is one ever that
shows a time before this version was made. What can be undone follows the wall clock at once; what cannot (that
something is deleted, or forgotten) waits until it is settled, or is counted in :attr:`Clock.agreed`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

JUMP_SECONDS = 2.0
JITTER_SECONDS = 0.0005
"""What the clocks may differ by from one look to the next without anything to be done about it."""
SLEW = 0.001
"""By which part of the time the clocks may move apart: twice what ntpd does."""
SETTLE_SECONDS = 3600
EARLIEST = 1_767_225_600
"""The first of January 2026: a clock that shows an earlier time is wrong."""
SECOND = 1_000_000
"""Microseconds."""


_steady: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Returns the seconds since some moment, those of sleep included if the system can tell."""


def _read_boot() -> str:
    """Return what identifies the run of the machine, or nothing if the system does not say."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


class _Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the clocks since the start of the machine, by the steady clock; ``ahead`` is the wall clock."""

    boot: str
    ahead: float
    since: float
    zero: float


_decode = msgspec.json.Decoder(_Memory).decode


class Clock:
    """A wall clock beside a steady one.

    ``turned`` is the sum of all jumps that were noticed, in seconds; those back are negative. ``memory`` is what a
    later process can :meth:`resume` from.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _steady,
        *,
        boot: str | None = None,
        earliest: float = EARLIEST,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._boot = _read_boot() if boot is None else boot
        self._earliest = earliest
        self._looked, self._shown = steady(), wall()
        self._ahead = self._shown - self._looked
        self._since = self._zero = self._followed = self._looked
        self._jump = self.turned = 0.0
        self._remember()

    def __call__(self) -> float:
        """Return the seconds since the epoch by the wall clock."""
        steady, wall = self._steady(), self._wall()
        if -JITTER_SECONDS < wall - steady - self._ahead < JITTER_SECONDS:  # nearly always
            self._looked, self._shown = steady, wall
        else:
            wall = self._follow(steady, wall)
        return wall

    def _follow(self, steady: float, wall: float) -> float:
        """Take over by what the wall clock has moved against the steady one, and return what it shows."""
        if abs(wall - steady - self._ahead) > JUMP_SECONDS:
            steady, wall = self._steady(), self._wall()  # again: the process may have been stopped between the two
        moved, passed = wall - steady - self._ahead, steady - self._looked
        slewed = SLEW * (steady - self._followed)
        self._looked, self._shown, self._followed = steady, wall, steady
        if abs(moved) > JUMP_SECONDS:
            self._begin_anew(moved, passed)
        else:
            self._ahead += max(-slewed, min(moved, slewed))
            if abs(self._ahead - self._remembered) > JUMP_SECONDS / 4:
                self._remember()
        return wall

    def _begin_anew(self, moved: float, passed: float) -> None:
        self._ahead += moved
        self._since = self._looked
        self._zero += passed
        self._jump = moved
        self.turned += moved
        self._remember()

    @property
    def is_settled(self) -> bool:
        """Whether both clocks had agreed for long enough when the time was last asked for."""
        return self._looked - self._since >= SETTLE_SECONDS and self._shown >= self._earliest

    @property
    def jump(self) -> float:
        """By how many seconds the wall clock jumped last; 0 if it has not, or has settled since."""
        return 0.0 if self.is_settled else self._jump

    @property
    def agreed(self) -> int:
        """The microseconds for which both clocks have agreed, from the first process on that :meth:`resume` knows of.

        They never go back. What passed up to a jump since the time was asked for before is not counted.
        """
        self()
        return int((self._looked - self._zero) * SECOND)

    def begin_at(self, agreed: int) -> None:
        """Let ``agreed`` be at least this: what it was in a process before, as far as that is known."""
        self._zero = min(self._zero, self._looked - agreed / SECOND)
        self._remember()

    def resume(self, memory: bytes) -> None:
        """Go on from what a process before remembered, if the machine has not been started since; ignore anything else.

        If the clocks do not agree any more, the next look finds a jump.
        """
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            known = _decode(memory)
            if not known.boot or known.boot != self._boot:
                return
            if abs(known.ahead - self._ahead) > JUMP_SECONDS:
                self._ahead = known.ahead
                return
            self._since = min(self._since, known.since)
            self._zero = min(self._zero, known.zero)
            self._remember()

    def _remember(self) -> None:
        self._remembered = self._ahead
        self.memory = msgspec.json.encode(_Memory(self._boot, self._ahead, self._since, self._zero))
