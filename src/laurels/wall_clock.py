"""Wall clocks: when a cron line comes by them, and how those of time zones go. Boundaries are counted, not walked over.

A *wall time* is what a clock on the wall shows, in seconds since it showed the beginning of 1970: no number of seconds
that passed, because a clock that is put forward or back skips times, or shows them twice. Instants are in seconds since
the epoch.

A line knows the days of a year and the times of a day at which it comes, so that the thousandth time before another is
found by a division. A zone knows the stretches of a year in which its clock goes evenly, where a wall time is an
instant and a sum. Both are computed for the years that are asked for, and are the same for all who ask.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim
from cronsim.cronsim import last_weekday

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60
LEAST_YEAR = 1900
YEARS_CACHED = 128
PROBE_SECONDS = 6 * DAY
"""How often a year is searched for changes of a clock: no clock is put forward or back twice in so short a time."""
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall time
_NO_TIME = timedelta()
_WEEKDAY_OF_EPOCH = 4
_ALL_DATES, _ALL_WEEKDAYS = frozenset(range(1, 32)), frozenset(range(7))


class Line:
    """The wall times at which a cron line comes; CronSim reads the line."""

    def __init__(self, line: str) -> None:
        self._cron = CronSim(line, EPOCH)
        self._times = array("l", sorted(HOUR * h + MINUTE * m for h in self._cron.hours for m in self._cron.minutes))
        self._is_daily = self._cron.months >= set(range(1, 13)) and self._any_date and self._any_weekday
        self._days = lru_cache(YEARS_CACHED)(self._find_days)

    @property
    def _any_date(self) -> bool:
        return self._cron.days >= _ALL_DATES

    @property
    def _any_weekday(self) -> bool:
        return self._cron.weekdays >= _ALL_WEEKDAYS

    def _find_days(self, year: int) -> Sequence[int]:
        """Return the days of a year on which it comes, counted from the epoch."""
        if self._is_daily:
            return range(first_day(year), first_day(year + 1))
        found = array("l")
        for month in sorted(self._cron.months):
            before = first_day(year, month) - 1
            found.extend(before + day for day in sorted(self._dates(year, month, before)))
        return found

    def _dates(self, year: int, month: int, before: int) -> set[int]:
        cron, length = self._cron, monthrange(year, month)[1]
        dates = {day for day in cron.days if 0 < day <= length}
        if cron.LAST in cron.days:
            dates.add(length)
        if cron.LAST_WEEKDAY in cron.days:
            dates.add(last_weekday(year, month))
        if cron.day_and and self._any_weekday:
            return dates
        in_week: set[int] = set()
        for item in cron.weekdays:
            weekday, which = item if isinstance(item, tuple) else (item, 0)
            these = range(1 + (weekday - before - 1 - _WEEKDAY_OF_EPOCH) % 7, length + 1, 7)
            in_week.update(these[-1:] if which == cron.LAST else these[which - 1 : which] if which else these)
        return dates & in_week if cron.day_and else dates | in_week

    def _place(self, wall: int) -> tuple[int, int]:
        """Return the year of a wall time, and how many times of that year are before it."""
        day, second = divmod(wall, DAY)
        year = (EPOCH + timedelta(day)).year
        days = self._days(year)
        place = bisect_left(days, day)
        comes = place < len(days) and days[place] == day
        return year, place * len(self._times) + (bisect_left(self._times, second) if comes else 0)

    def _size(self, year: int) -> int:
        return len(self._days(year)) * len(self._times)

    def _time(self, year: int, place: int) -> int:
        day, time = divmod(place, len(self._times))
        return self._days(year)[day] * DAY + self._times[time]

    def before(self, wall: int, least: int, skipped: int = 0) -> tuple[int | None, int]:
        """Return the last time from ``least`` up to but not including ``wall``, but for those ``skipped``.

        If there are not so many, return None, and how many are to be skipped before ``least``.
        """
        (first_year, first), (year, place) = self._place(least), self._place(max(wall, least))
        while place <= skipped and year > first_year:
            skipped -= place
            year -= 1
            place = self._size(year)
        left = place - first if year == first_year else place
        if skipped < left:
            return self._time(year, place - 1 - skipped), 0
        return None, skipped - left

    def after(self, wall: int) -> int:
        """Return the first time from ``wall`` on."""
        year, place = self._place(wall)
        while place == self._size(year):
            year, place = year + 1, 0
        return self._time(year, place)


def load_zone(name: str) -> ZoneInfo:
    """Return a zone by the rules of the package tzdata. ZoneInfo would prefer the system's, which may be old."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


class Stretch(NamedTuple):
    """A stretch of time from an instant on in which a clock goes evenly: it shows the instant plus an offset.

    What it shows before ``seen`` was shown or skipped before.
    """

    start: int
    offset: int
    seen: int


class Zone:
    """The wall clock of a time zone, which must be valid. Every year begins with a stretch of its own."""

    def __init__(self, name: str) -> None:
        self.info = load_zone(name)
        self._stretches = lru_cache(YEARS_CACHED)(self._find_stretches)

    def _offset(self, instant: int) -> int:
        offset = datetime.fromtimestamp(instant, self.info).utcoffset() or _NO_TIME
        return offset.days * DAY + offset.seconds

    def _change(self, begin: int, end: int, offset: int) -> int:
        """Return when, after ``begin`` and by ``end``, this became the offset."""
        return begin + 1 + bisect_left(range(begin + 1, end), 1, key=lambda instant: self._offset(instant) == offset)

    def _find_stretches(self, year: int) -> list[Stretch]:
        start, stop = first_day(year) * DAY, first_day(year + 1) * DAY
        offset = self._offset(start - PROBE_SECONDS)
        seen = start - PROBE_SECONDS + offset
        found = []
        for begin, end in pairwise((start - PROBE_SECONDS, *range(start - 1, stop - 1, PROBE_SECONDS), stop - 1)):
            after = self._offset(end)
            if after != offset:
                at = self._change(begin, end, after)
                seen = max(seen, at + offset)
                offset = after
                found.append(Stretch(at, offset, seen))
            if end == start - 1:
                found = [Stretch(start, offset, max(seen, start + offset))]
        return found

    def back(self, instant: int, first_year: int = LEAST_YEAR) -> Iterator[Stretch]:
        """Yield the stretches that had begun by an instant, from the latest back to a year."""
        for year in range(year_of(instant), first_year - 1, -1):
            yield from (stretch for stretch in reversed(self._stretches(year)) if stretch.start <= instant)

    def ahead(self, instant: int) -> Iterator[tuple[Stretch, int]]:
        """Yield the stretch of an instant and those after it, each with its end."""
        year = year_of(instant)
        while True:
            ends = [stretch.start for stretch in self._stretches(year)[1:]]
            for stretch, end in zip(self._stretches(year), [*ends, first_day(year + 1) * DAY], strict=True):
                if instant < end:
                    yield stretch, end
            year += 1

    def instant_of(self, wall: int) -> int:
        """Return when the clock first shows a time, or skips it."""
        stretch = next(stretch for stretch in self.back(wall + 2 * DAY) if stretch.seen <= wall)
        return max(stretch.start, wall - stretch.offset)


def first_day(year: int, month: int = 1) -> int:
    """Return the first day of a month, counted from the epoch."""
    return date(year, month, 1).toordinal() - EPOCH.toordinal()


def year_of(instant: int) -> int:
    """Return the year of an instant, in UTC."""
    return (EPOCH + timedelta(seconds=instant)).year
