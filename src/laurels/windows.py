"""Windows and their periods: the calendar of a board, in its own time zone. Nothing here reads a clock.

A window divides all time by *boundaries*, which are times of a wall clock in the board's time zone: those of a cron
line, or for ``daily`` each midnight, for ``weekly`` that of each Monday, for ``monthly`` that of each first of a month.

A wall clock skips times and shows others twice, when it is put forward or back. A boundary that is skipped comes at the
instant of the skip, and one that is shown twice comes the first time only, so that boundaries keep their order and a
period never comes back. A cron line whose minute or hour begins with a star means elapsed time, as in Debian's cron:
its skipped boundaries do not come at all, and those shown twice come both times.

A period begins at a boundary and ends at the next. It is named after its day, week (ISO 8601) or month, or, for a cron
line, by the instant in UTC at which it began: the names of one window sort as their times do.

Instants and wall times are in seconds, as in :mod:`laurels.wall_clock`, which finds the boundaries.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from cronsim import CronSim, CronSimError
from msgspec import Struct

from laurels.errors import BadParameter, truncate
from laurels.wall_clock import DAY, EPOCH, LEAST_YEAR, Line, Zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from laurels.wall_clock import Stretch

LINES_CACHED, ZONES_CACHED = 256, 1024
MOST_CHANGES = 300
FIRST_YEAR = 1970
"""No period is before it."""
_BEFORE_ALL = -1, -1
_SOME_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time
_line = lru_cache(LINES_CACHED)(Line)
_zone = lru_cache(ZONES_CACHED)(Zone)


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
DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
MONTHS = (
    *("JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE"),
    *("JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"),
)
_FIELDS: tuple[tuple[str, range, Sequence[str]], ...] = (
    ("minute", range(60), ()),
    ("hour", range(24), ()),
    ("day of the month", range(1, 32), ()),
    ("month", range(1, 13), MONTHS),
    ("day of the week", range(7), DAYS),
)
_WORD = re.compile("[A-Z]{3,}")
_LONG = 10
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
    _check_fields(line)
    try:
        next(CronSim(line, _SOME_TIME))
    except StopIteration:
        raise ValueError("never comes: no month has such a day") from None
    return line


def _check_fields(line: str) -> None:
    """Raise ValueError for what CronSim does not take, and for what it takes for something else than it says."""
    fields = line.split()
    for field, (name, values, words) in zip(fields, _FIELDS, strict=True):
        for term in field.split(","):
            _check_words(term, name, words)
            _check_term(term, values, words)
    minute, hour, day, month, weekday = fields
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", _SOME_TIME)
        CronSim(f"* * * {month} *", _SOME_TIME)
    except CronSimError as error:
        raise ValueError(f"has a {str(error).lower()}: a cron line has {FIELDS}") from None
    try:
        CronSim(f"* * {day} {month} *", _SOME_TIME)
    except CronSimError:
        raise ValueError(f"never comes on the day {truncate(day)}: no month of {truncate(month)} has it") from None


def _check_words(term: str, field: str, words: Sequence[str]) -> None:
    for word in _WORD.findall(term):
        for home, names in (("month", MONTHS), ("day of the week", DAYS)):
            full = next((name for name in names if name.startswith(word) or f"{name}S" == word), None)
            if full and names is not words:
                raise ValueError(f"has {word} as the {field}: it goes into the field of the {home}, as {full[:3]}")
            if full and len(word) > len(full[:3]):
                raise ValueError(f"has the word {word}: write {full[:3]}")


def _check_term(term: str, values: range, words: Sequence[str]) -> None:
    """Refuse a range that ends before it begins, and a step that is wider than what it steps through."""
    base, slash, step = term.partition("/")
    low, dash, high = base.partition("-")
    first, last = (_value_of(text, values, words) for text in (low, high if dash else low))
    if first is not None and last is not None and last < first:
        rest = f"{low}-{values[-1]},{values[0]}-{high}" if first in values else f"{values[0]}-{high}"
        raise ValueError(f"has the range {base}, which ends before it begins: write {rest}")
    if slash and base.startswith("L"):
        raise ValueError(f"has a step after {truncate(base)}, which is one day: write it without")
    if base == "*":
        first, last = values[0], values[-1]
    elif not dash:
        last = values[-1]  # a step after one value goes on to the end of the field
    if slash and step.isdecimal() and first is not None and last is not None and int(step) > last - first + 1:
        raise ValueError(
            f"has the step {truncate(step)}, but {base} has only {last - first + 1} values, and each begins anew: "
            f"a step may be at most that"
        )


def _value_of(text: str, values: range, words: Sequence[str]) -> int | None:
    """Return the value of a number or of the first letters of a word, None if it is neither."""
    if text.isdecimal() and len(text) < _LONG:
        return int(text)
    return next((value for value, word in zip(values, words, strict=False) if word[:3] == text), None)


def _suggest(text: str) -> str:
    word = text.strip().upper()
    for names, line in ((DAYS, "0 0 * * {}"), (MONTHS, "0 0 1 {} *")):
        for name in names:
            if word in {name, f"{name}S", name[:3]}:
                return f'write "{line.format(name[:3])}"'
    words = {name: name for name in NAMED} | INSTEAD | {key[1:]: window for key, window in INSTEAD.items()}
    close = get_close_matches(text.strip().lower(), words, n=1)
    if close:
        return f'write "{words[close[0]]}"'
    return 'it must be "daily", "weekly", "monthly", or a cron line such as "0 6 * * 1"'


class Calendar:
    """The periods of one window in one time zone, both of which must be valid."""

    def __init__(self, window: str, time_zone: str) -> None:
        self.window = window
        self._is_line = window not in NAMED
        self._form = NAMED.get(window) or _Form(window, "%Y-%m-%dT%H:%MZ", "2026-11-22T05:00Z")
        self._line, self._zone = _line(self._form.line), _zone(time_zone)
        self._means_elapsed_time = "*" in {field[0] for field in self._form.line.split()[:2]}
        self._latest = Span("", 0, 0)
        self._past: dict[int, str] = {}

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return self._zone.info

    def span_at(self, instant: float) -> Span:
        """Return the period of an instant. Within the one that was returned last it costs next to nothing."""
        if not self._latest.start <= instant < self._latest.stop:
            start, wall = self._boundary(floor(instant))
            self._latest = Span(self._name(start, wall), start, self._stop(floor(instant)))
            self._past.clear()
        return self._latest

    def past(self, instant: float, count: int) -> str:
        """Return the name of the period ``count`` before that of an instant, or an empty string before FIRST_YEAR."""
        span = self.span_at(instant)
        if count not in self._past:
            # A line that comes rarely has not come so often: no zone's clock was put forward or back as many times
            were = self._line.before(span.start + 2 * DAY, 0, max(0, count - MOST_CHANGES))[0] is not None
            start, wall = self._boundary(span.start, count, FIRST_YEAR - 1) if were else _BEFORE_ALL
            self._past[count] = self._name(start, wall) if wall >= 0 else ""
        return self._past[count]

    def span_of(self, period: str) -> Span:
        """Return a period by its name; raise BadParameter if it is none."""
        wall = int((self._read(period) - EPOCH).total_seconds())
        if self._is_line:
            return Span(period, wall, self._stop(wall))
        return Span(period, self._zone.instant_of(wall), self._zone.instant_of(self._line.after(wall + 1)))

    def check(self, period: str) -> None:
        """Raise BadParameter if a name cannot be that of a period."""
        self._read(period)

    def _name(self, start: int, wall: int) -> str:
        return (EPOCH + timedelta(seconds=start if self._is_line else wall)).strftime(self._form.name)

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
                f"{truncate(period)!r} is no period of the window {self.window!r}: it is named as {form.example!r}"
                f"{begun}.",
            )
        return wall

    def _boundary(self, instant: int, skipped: int = 0, first_year: int = LEAST_YEAR) -> tuple[int, int]:
        """Return the last boundary up to an instant but those skipped: when it came, and the wall time.

        All wall times that the clock skips come at one instant: the latest is returned.
        """
        end = instant + 1
        for start, offset, seen in self._zone.back(instant, first_year):
            shown = start + offset
            skips = seen < shown and not self._means_elapsed_time
            least = shown + skips if seen < shown or self._means_elapsed_time else seen
            wall, skipped = self._line.before(end + offset, least, skipped)
            if wall is not None:
                return wall - offset, wall
            if skips and (wall := self._line.before(least, seen)[0]) is not None:
                if not skipped:
                    return start, wall
                skipped -= 1
            end = start
        return _BEFORE_ALL

    def _stop(self, instant: int) -> int:
        """Return the first boundary after an instant."""
        ahead = ((stretch, self._first(stretch, instant), end) for stretch, end in self._zone.ahead(instant))
        return next(wall - stretch.offset for stretch, wall, end in ahead if wall < end + stretch.offset)

    def _first(self, stretch: Stretch, instant: int) -> int:
        """Return the wall time of the first boundary after an instant, if the clock went on as in a stretch."""
        start, offset, seen = stretch
        shown, next_shown = start + offset, instant + 1 + offset
        if self._means_elapsed_time:
            return self._line.after(max(shown, next_shown))
        if seen < shown and instant < start:
            return max(shown, self._line.after(seen))
        return self._line.after(max(seen, next_shown))
