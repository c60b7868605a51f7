"""Windows and their periods: the calendar of a board, in its own time zone. Nothing here reads a clock.

A window divides all time by *boundaries*, which are times of a wall clock in the board's time zone: those of a cron
line, or for ``daily`` each midnight, for ``weekly`` that of each Monday, for ``monthly`` that of each first of a month.

A wall clock skips times and shows others twice, when it is put forward or back. A boundary that is skipped comes at the
instant of the skip, and one that is shown twice comes the first time only, so that boundaries keep their order and a
period never comes back. A cron line whose minute or hour begins with a star means elapsed time, as in Debian's cron:
its skipped boundaries do not come at all, and those shown twice come both times.

A period begins at a boundary and ends at the next. It is named after its day, week (ISO 8601) or month, or, for a cron
line, by the instant in UTC at which it began: the names of one window sort as their times do.

Instants are in seconds since the epoch. A wall time is a datetime without a zone.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from heapq import merge
from itertools import groupby, islice, takewhile
from math import floor
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec import Struct

from laurels.errors import BadParameter

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWN = 256
FIRST_YEAR = 1970
"""No period is before it."""
_NO_TIME, _SECOND = timedelta(), timedelta(seconds=1)
_SOME_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time


class _Form(NamedTuple):
    """The cron line of a window, the ``strftime`` format of its periods' names, and an example of one.

    A name that is not yet a day, such as that of a week, is parsed with ``day`` appended, by ``day_name``.
    """

    line: str
    name: str
    example: str
    day: str = ""
    day_name: str = ""


NAMED = {
    "daily": _Form("0 0 * * *", "%Y-%m-%d", "2026-11-22"),
    "weekly": _Form("0 0 * * 1", "%G-W%V", "2026-W47", "-1", "-%u"),
    "monthly": _Form("0 0 1 * *", "%Y-%m", "2026-11"),
}
FIELDS = "minute 0-59, hour 0-23, day of the month 1-31, month 1-12, day of the week 0-7"
_FIELD_COUNT = 5
INSTEAD = {
    "@hourly": "0 * * * *",
    "@daily": "daily",
    "@midnight": "daily",
    "@weekly": "weekly",
    "@monthly": "monthly",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""What to write instead of the nicknames that cron has for lines."""


class Span(Struct, frozen=True, gc=False):
    """A period: from the instant ``start`` until just before ``stop``."""

    period: str
    start: int
    stop: int


def normalize_window(text: str) -> str:
    """Return the one way to write a window; raise ValueError with what is wrong, as a sentence without its subject."""
    if text in NAMED:
        return text
    line = " ".join(text.upper().split())
    count = line.count(" ") + 1
    if count == 1:
        raise ValueError(f"is no window: {_suggest(text)}")
    if count != _FIELD_COUNT:
        seconds = " (there is none for seconds)" if count == _FIELD_COUNT + 1 else ""
        raise ValueError(f"has {count} fields: a cron line has {_FIELD_COUNT}{seconds}, {FIELDS}")
    try:
        next(CronSim(line, _SOME_TIME))
    except CronSimError as error:
        raise ValueError(f"has a {str(error).lower()}: a cron line has {FIELDS}") from None
    except StopIteration:
        raise ValueError("never comes: no month has such a day") from None
    return line


def _suggest(text: str) -> str:
    words = {name: name for name in NAMED} | INSTEAD | {key[1:]: window for key, window in INSTEAD.items()}
    close = get_close_matches(text.strip().lower(), words, n=1)
    if close:
        return f'write "{words[close[0]]}"'
    return 'it must be "daily", "weekly", "monthly", or a cron line such as "0 6 * * 1"'


class Calendar:
    """The periods of one window in one time zone, both of which must be valid."""

    def __init__(self, window: str, time_zone: str) -> None:
        self.window = window
        self.zone = ZoneInfo(time_zone)
        self._is_line = window not in NAMED
        self._form = NAMED.get(window) or _Form(window, "%Y-%m-%dT%H:%MZ", "2026-11-22T05:00Z")
        # Which of the times that are shown twice are boundaries: both if the line means elapsed time, or the first.
        self._passes = (0, 1) if "*" in {field[0] for field in self._form.line.split()[:2]} else (0,)
        self._latest = Span("", 0, 0)
        self._past = lru_cache(KNOWN)(self._find_past)

    def span_at(self, instant: float) -> Span:
        """Return the period of an instant. Within the one that was returned last it costs next to nothing."""
        if not self._latest.start <= instant < self._latest.stop:
            start, wall = next(self._boundaries_back(instant))
            self._latest = Span(self._name(start, wall), start, self._stop(instant))
        return self._latest

    def past(self, span: Span, count: int) -> str:
        """Return the name of the period ``count`` before a span, or an empty string if that is before FIRST_YEAR."""
        return self._past(span.start, count)

    def span_of(self, period: str) -> Span:
        """Return a period by its name; raise BadParameter if it is none."""
        wall = self._read(period)
        if self._is_line:
            start = int(wall.replace(tzinfo=UTC).timestamp())
            return Span(period, start, self._stop(start))
        walls = wall, next(CronSim(self._form.line, wall))
        return Span(period, *(instant for wall in walls for instant in self._instants_of(wall, 0)))

    def check(self, period: str) -> None:
        """Raise BadParameter if a name cannot be that of a period."""
        self._read(period)

    def _name(self, start: int, wall: datetime) -> str:
        return (datetime.fromtimestamp(start, UTC) if self._is_line else wall).strftime(self._form.name)

    def _read(self, period: str) -> datetime:
        form = self._form
        try:
            wall = datetime.strptime(period + form.day, form.name + form.day_name)  # noqa: DTZ007 - a wall time
        except ValueError:
            wall = None
        if wall is None or wall.strftime(form.name) != period:
            begun = " for the instant in UTC at which it began" if self._is_line else ""
            raise BadParameter(
                "period",
                f"{period!r} is no period of the window {self.window!r}: it is named as {form.example!r}{begun}.",
            )
        return wall

    def _find_past(self, start: int, count: int) -> str:
        counted = takewhile(lambda boundary: boundary[1].year >= FIRST_YEAR, self._boundaries_back(start))
        return next((self._name(*boundary) for boundary in islice(counted, count, None)), "")

    def _stop(self, instant: float) -> int:
        return min(next(self._ahead(instant, fold)) for fold in self._passes)

    def _boundaries_back(self, instant: float) -> Iterator[tuple[int, datetime]]:
        """Walk back over the boundaries up to an instant: when each came, and the last wall time that came then."""
        boundaries = merge(*(self._back(instant, fold) for fold in self._passes), reverse=True)
        # All wall times that the clock skips come at one instant: the latest names the period.
        return (next(same) for _, same in groupby(boundaries, key=itemgetter(0)))

    def _back(self, instant: float, fold: int) -> Iterator[tuple[int, datetime]]:
        # In a time that is shown twice, wall times ahead of what is shown now may have come already, the first time.
        # The second more is for CronSim, which starts strictly before the time that it is given.
        shown, repeated = self._wall_clock(instant)
        walls = CronSim(self._form.line, shown + repeated + _SECOND, reverse=True)
        return ((at, wall) for wall in walls for at in self._instants_of(wall, fold) if at <= instant)

    def _ahead(self, instant: float, fold: int) -> Iterator[int]:
        shown, repeated = self._wall_clock(instant)
        walls = CronSim(self._form.line, shown - repeated)
        return (at for wall in walls for at in self._instants_of(wall, fold) if at > instant)

    def _wall_clock(self, instant: float) -> tuple[datetime, timedelta]:
        """Return what the wall clock shows, and how much of that time it shows twice."""
        moment = datetime.fromtimestamp(floor(instant), self.zone)
        return moment.replace(tzinfo=None), _repeated(moment)

    def _instants_of(self, wall: datetime, fold: int) -> Iterator[int]:
        """Return the instant at which the wall clock shows a time, the first (``fold`` 0) or the second time (1).

        For a time that is skipped, return the instant of the skip, or none if the line means elapsed time.
        """
        instant = self._instant(wall, fold)
        if self._wall_clock(instant)[0] == wall:
            yield instant
        elif len(self._passes) == 1:
            # PEP 495 maps a skipped time to an instant after the skip with fold 0, before it with 1: search in between.
            before, after = self._instant(wall, 1), self._instant(wall, 0)
            ahead = self._offset(after)
            yield before + bisect_left(range(before, after), 1, key=lambda second: self._offset(second) == ahead)

    def _instant(self, wall: datetime, fold: int) -> int:
        return int(wall.replace(tzinfo=self.zone, fold=fold).timestamp())

    def _offset(self, instant: int) -> timedelta | None:
        return datetime.fromtimestamp(instant, self.zone).utcoffset()


def _repeated(moment: datetime) -> timedelta:
    """Return how long the stretch of time is that the clock shows twice, if the moment is in one; zero if not."""
    first, second = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
    return (first or _NO_TIME) - (second or _NO_TIME)
