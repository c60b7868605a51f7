"""Windows: every instant is in one period, through years of clocks that are put forward and back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import accumulate, islice, pairwise, takewhile
from math import floor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.declaring import time_zones
from laurels.errors import BadParameter
from laurels.wall_clock import DAY, Zone, load_zone
from laurels.windows import FIRST_YEAR, Calendar, Span, normalize_window
from tests.length import times
from tests.slow_windows import SlowCalendar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

YEARS = {
    "Europe/Berlin": 2026,
    "Europe/London": 2026,
    "America/New_York": 2026,
    "America/Sao_Paulo": 2018,  # put forward at midnight
    "America/St_Johns": 2006,  # put back at 00:01, to the day before
    "Asia/Beirut": 2025,  # put forward at midnight
    "Australia/Lord_Howe": 2026,  # by half an hour
    "Africa/Casablanca": 2026,  # back for Ramadan
    "Pacific/Apia": 2011,  # skipped 30 December
    "Asia/Kathmandu": 2026,
}
"""For each zone, a year in which its clock does what only the clocks there do."""
MINUTE, YEAR = 60, 365 * 24 * 60 * 60
HOUR = timedelta(hours=1)


def instant(text: str) -> float:
    """Parse an instant in ISO 8601."""
    return datetime.fromisoformat(text).timestamp()


def wall_clock(instant: int, zone: ZoneInfo) -> datetime:
    """Return what the wall clock shows."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def changes(zone: str) -> Iterator[list[tuple[int, datetime]]]:
    """Return the minutes around each change of the clock in its year, each with the latest time shown until then."""
    clock = load_zone(zone)
    start = int(datetime(YEARS[zone], 1, 1, tzinfo=UTC).timestamp())
    for hour in range(start, start + YEAR, 3600):
        if hour == start or wall_clock(hour, clock) - wall_clock(hour - 3600, clock) != HOUR:
            minutes = range(hour - 36 * 3600, hour + 36 * 3600, MINUTE)
            yield list(zip(minutes, accumulate((wall_clock(minute, clock) for minute in minutes), max), strict=True))


NAMES = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m"}


@pytest.mark.parametrize("window", NAMES)
@pytest.mark.parametrize("zone", YEARS)
def test_days_weeks_and_months(zone: str, window: str) -> None:
    """The period is that of the latest time that the wall clock has shown."""
    calendar = Calendar(window, zone)
    for minute, latest in (moment for minutes in changes(zone) for moment in minutes):
        assert calendar.span_at(minute).period == latest.strftime(NAMES[window])


FIXED: dict[str, Callable[[datetime], bool]] = {
    "30 2 * * *": lambda wall: (wall.hour, wall.minute) == (2, 30),
    "0,20,40 0 * * *": lambda wall: wall.hour == 0 and wall.minute in {0, 20, 40},
    "15 1-3,23 * * *": lambda wall: wall.hour in {1, 2, 3, 23} and wall.minute == 15,
    "59 23 * * SAT": lambda wall: wall.isoweekday() == 6 and (wall.hour, wall.minute) == (23, 59),
}


@pytest.mark.parametrize("line", FIXED)
@pytest.mark.parametrize("zone", YEARS)
def test_lines_of_the_wall_clock(zone: str, line: str) -> None:
    """A period begins when the wall clock first comes to a time of the line, or skips it."""
    calendar = Calendar(line, zone)
    for minutes in changes(zone):
        start = 0
        for (_, before), (minute, latest) in pairwise(minutes):
            passed = (
                before + timedelta(minutes=more) for more in range(1, (latest - before) // timedelta(minutes=1) + 1)
            )
            start = minute if any(map(FIXED[line], passed)) else start
            assert not start or calendar.span_at(minute).start == start


def test_start_while_times_are_shown_again() -> None:
    """While the wall clock shows an hour for the second time, the period is the one that began in the first."""
    span = Calendar("45 2 * * *", "Europe/Berlin").span_at(instant("2026-10-25T01:10Z"))
    assert span.start == instant("2026-10-25T00:45Z")


PASSING: dict[str, Callable[[datetime], bool]] = {
    "*/20 * * * *": lambda wall: wall.minute % 20 == 0,
    "15 * * * *": lambda wall: wall.minute == 15,
    "*/30 0-2,23 * * *": lambda wall: wall.hour in {0, 1, 2, 23} and wall.minute % 30 == 0,
}


@pytest.mark.parametrize("line", PASSING)
@pytest.mark.parametrize("zone", YEARS)
def test_lines_of_passing_time(zone: str, line: str) -> None:
    """If minute or hour begins with a star, a period begins whenever the wall clock shows a time of the line."""
    calendar, clock = Calendar(line, zone), load_zone(zone)
    for minutes in changes(zone):
        start = 0
        for minute, _ in minutes:
            start = minute if PASSING[line](wall_clock(minute, clock)) else start
            assert not start or calendar.span_at(minute).start == start


windows = st.sampled_from([*NAMES, *FIXED, *PASSING, "0 6 1 * *", "0 0 29 2 *", "30 4 1,15 * 5", "0 0 * * MON#1"])
zones = st.sampled_from([*YEARS, *sorted(time_zones())])
instants = st.floats(instant("1981-01-01T00:00Z"), instant("2100-01-01T00:00Z"))


@given(windows, zones, instants)
@settings(max_examples=times(200))
def test_one_period_after_another(window: str, zone: str, now: float) -> None:
    """Every instant is in one period, which ends when the next begins; the names of periods sort as they do."""
    calendar = Calendar(window, zone)
    span = calendar.span_at(now)
    before, after = calendar.span_at(span.start - 0.001), calendar.span_at(span.stop)
    assert span.start <= now < span.stop
    assert before.stop == span.start
    assert after.start == span.stop
    assert before.period < span.period < after.period
    assert calendar.past(now, 1) == before.period
    assert calendar.span_of(span.period) == span


def is_window(line: str) -> bool:
    """Return whether a board can have such a line."""
    try:
        normalize_window(line)
    except ValueError:
        return False
    return True


fields = [
    st.sampled_from(texts)
    for texts in (
        ("0", "30", "59", "*", "*/20", "0,20,40", "5-50/9"),
        ("0", "2", "*", "23", "1-3", "*/6"),
        ("*", "1", "29", "31", "L", "LW", "1,15", "*/2"),
        ("*", "*", "2", "3,10", "2-12/5"),
        ("*", "*", "0", "7", "5L", "MON#1", "7#2", "SUN#5", "1-5", "*/3"),
    )
]
lines = st.tuples(*fields).map(" ".join).filter(is_window)
days_from_a_change = st.floats(-2, 2)


@given(lines, zones, instants, days_from_a_change, st.integers(0, 40))
@settings(max_examples=times(150))
def test_periods_by_the_definition(line: str, zone: str, year: float, days: float, count: int) -> None:
    """The periods of any line, near the changes of any clock, are those that the definition gives."""
    turns = [start for start, offset, seen in Zone(zone).back(floor(year), FIRST_YEAR + 1) if seen != start + offset]
    now = floor((turns[0] if turns else year) + days * DAY)
    calendar, slow = Calendar(line, zone), SlowCalendar(line, zone)
    boundaries = islice(takewhile(lambda boundary: boundary[1].year >= FIRST_YEAR, slow.back(now)), count, None)
    start = datetime.fromtimestamp(next(slow.back(now))[0], UTC).strftime("%Y-%m-%dT%H:%MZ")
    past = next((datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ") for at, _ in boundaries), "")
    assert calendar.span_at(now) == Span(start, next(slow.back(now))[0], slow.stop(now))
    assert calendar.past(now, count) == past


LONG_AGO = {
    "every minute": ("* * * * *", "Asia/Kathmandu", 1000),
    "through an hour that is shown twice": ("*/2 * * * *", "Europe/Berlin", 1000),
    "over a time that was skipped": ("30 2 * * *", "Europe/Berlin", 300),
    "days": ("0 0 * * *", "America/New_York", 1000),
    "a day that rarely comes": ("0 0 29 2 *", "Europe/London", 14),
    "more than there are": ("0 0 29 2 *", "Europe/London", 15),
}


@pytest.mark.parametrize(("line", "zone", "count"), LONG_AGO.values(), ids=LONG_AGO)
def test_a_thousand_periods_ago(line: str, zone: str, count: int) -> None:
    """The period so many before another is counted right, through all that the clock did since."""
    now = floor(instant("2026-10-25T05:00Z"))
    at, wall = next(islice(SlowCalendar(line, zone).back(now), count, None))
    past = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ") if wall.year >= FIRST_YEAR else ""
    assert Calendar(line, zone).past(now, count) == past


@given(windows, zones, st.lists(instants))
def test_clock_goes_anywhere(window: str, zone: str, nows: list[float]) -> None:
    """Questions that were asked before do not change the period of an instant."""
    calendar = Calendar(window, zone)
    assert [calendar.span_at(now) for now in nows] == [Calendar(window, zone).span_at(now) for now in nows]


SPANS = {
    "no day that is skipped": ("daily", "Pacific/Apia", "2011-12-30T10:00+00:00", "2011-12-31", 24),
    "a day of 23 hours": ("daily", "Europe/Berlin", "2026-03-29T12:00+00:00", "2026-03-29", 23),
    "a day of 25 hours": ("daily", "Europe/Berlin", "2026-10-25T12:00+00:00", "2026-10-25", 25),
    "a day that begins at one": ("daily", "Asia/Beirut", "2025-03-30T00:00+02:00", "2025-03-30", 23),
    "a week of two years": ("weekly", "UTC", "2027-01-01T00:00+00:00", "2026-W53", 7 * 24),
    "a month": ("monthly", "Asia/Kathmandu", "2026-11-30T23:59+05:45", "2026-11", 30 * 24),
    "a line once a year": ("0 0 1 1 *", "UTC", "2026-11-22T00:00+00:00", "2026-01-01T00:00Z", 365 * 24),
    "a line in New York": ("0 0 * * *", "America/New_York", "2026-11-22T00:00-05:00", "2026-11-22T05:00Z", 24),
}


@pytest.mark.parametrize(("window", "zone", "now", "period", "hours"), SPANS.values(), ids=SPANS)
def test_names_and_lengths(window: str, zone: str, now: str, period: str, hours: int) -> None:
    """A period is named by its day, week or month, or by its start, and is as long as the clock makes it."""
    span = Calendar(window, zone).span_at(instant(now))
    assert span.period == period
    assert span.stop - span.start == hours * 3600


def test_skipped_day() -> None:
    """A day that the clock skips has a name, and lasts no time."""
    span = Calendar("daily", "Pacific/Apia").span_of("2011-12-30")
    assert span == Span("2011-12-30", int(instant("2011-12-30T10:00+00:00")), int(instant("2011-12-30T10:00+00:00")))


@pytest.mark.parametrize(("window", "count", "period"), [("daily", 30, "2026-10-23"), ("0 0 29 2 *", 2000, "")])
def test_past(window: str, count: int, period: str) -> None:
    """Past periods are counted by the calendar; before the first year there is none."""
    calendar = Calendar(window, "UTC")
    assert calendar.past(instant("2026-11-22T12:00+00:00"), count) == period


BAD_PERIODS = {
    "another window's": ("daily", "2026-W47", "2026-11-22"),
    "no such month": ("monthly", "2026-13", "2026-11"),
    "short": ("daily", "2026-1-2", "2026-11-22"),
    "no such week": ("weekly", "2025-W53", "2026-W47"),
    "the year 0": ("daily", "0000-01-01", "2026-11-22"),
    "with seconds": ("0 6 * * 1", "2026-11-22T05:00:00Z", "2026-11-22T05:00Z"),
    "empty": ("0 6 * * 1", "", "2026-11-22T05:00Z"),
}


@pytest.mark.parametrize(("window", "period", "example"), BAD_PERIODS.values(), ids=BAD_PERIODS)
def test_bad_period(window: str, period: str, example: str) -> None:
    """A name of the wrong form is refused, with an example of the right one."""
    with pytest.raises(BadParameter, match=f"'{example}'"):
        Calendar(window, "UTC").check(period)


GOOD_WINDOWS = {
    "weekly": "weekly",
    "0  6 * * 1": "0 6 * * 1",
    " 0 6\t* * mon": "0 6 * * MON",
    "*/60 */24 */31 */12 */7": "*/60 */24 */31 */12 */7",  # once in all that a field has: as it says
    "1-5/5 0/24 31/1 jan-mar/2 mon-fri/5": "1-5/5 0/24 31/1 JAN-MAR/2 MON-FRI/5",
    "0 0 31 1,2 *": "0 0 31 1,2 *",
    "0 0 29 2 *": "0 0 29 2 *",
    "0 0 LW * 5L": "0 0 LW * 5L",
    "0 0 * * sat-7,fri#5": "0 0 * * SAT-7,FRI#5",
    "0 0 1 may *": "0 0 1 MAY *",
}


@pytest.mark.parametrize(("text", "window"), GOOD_WINDOWS.items(), ids=GOOD_WINDOWS.values())
def test_one_way_to_write(text: str, window: str) -> None:
    """Spaces and case make no difference to which window it is."""
    assert normalize_window(text) == window


BAD_WINDOWS = {
    "Daily": 'write "daily"',
    "@weekly": 'write "weekly"',
    "hourly": 'write "0 * * * *"',
    "fortnightly?!": "it must be",
    "0 6 * *": "has 4 fields",
    "0 0 6 * * 1": "none for seconds",
    "60 * * * *": "bad minute",
    "0 0 30 2 *": "never comes on the day 30: no month of 2 has it",
    "0 0 31 FEB,APR *": "never comes on the day 31: no month of FEB,APR has it",
    "0 0 31 2 MON": "never comes on the day 31",
    "0 */48 * * *": "has the step 48, but * has only 24 values",
    "*/61 * * * *": "at most",
    "0-59/100 * * * *": "0-59 has only 60",
    "1-5/9 * * * *": "1-5 has only 5",
    "0,30/31 * * * *": "30 has only 30",
    "0 0 */32 * *": "has only 31",
    "0 0 1 */13 *": "has only 12",
    "0 0 1 FEB-APR/4 *": "FEB-APR has only 3",
    "0 0 * * */8": "has only 7",
    "0 0 * * MON-FRI/6": "MON-FRI has only 5",
    f"0 */{'9' * 80} * * *": "has the step 9",
    "0 0 L/2 * *": "has a step after L",
    "0 0 LW/2 * *": "has a step after LW",
    "0 0 * * friday": "has the word FRIDAY: write FRI",
    "0 0 * * Mondays,5": "has the word MONDAYS: write MON",
    "0 0 * * mon-thurs": "has the word THURS: write THU",
    "0 0 1 january *": "has the word JANUARY: write JAN",
    "0 0 1 sept *": "has the word SEPT: write SEP",
    "0 FRI * * *": "has FRI as the hour: it goes into the field of the day of the week, as FRI",
    "january 0 1 * *": "has JANUARY as the minute: it goes into the field of the month, as JAN",
    "0 0 1 Tuesday *": "has TUESDAY as the month: it goes into the field of the day of the week, as TUE",
    "0 0 * * 7-0": "has the range 7-0, which ends before it begins: write 0-0",
    "0 22-6 * * *": "has the range 22-6, which ends before it begins: write 22-23,0-6",
    "0 0 * * FRI-MON": "has the range FRI-MON, which ends before it begins: write FRI-6,0-MON",
    "0 0 * * */0": "bad day-of-week",
    "0 0 * * DAY": "bad day-of-week",
    "0 24 * * *": "bad hour",
    "0 0 0 * *": "bad day-of-month",
    "0 0 * 13 *": "bad month",
    "friday": 'write "0 0 * * FRI"',
    "Mondays": 'write "0 0 * * MON"',
    "january": 'write "0 0 1 JAN *"',
    "0 0 */29 2 MON#5": "never comes",
}


@pytest.mark.parametrize(("text", "problem"), BAD_WINDOWS.items(), ids=BAD_WINDOWS)
def test_bad_window(text: str, problem: str) -> None:
    """A text that is no window is refused, with what would be right."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        normalize_window(text)


@given(st.text(st.sampled_from("0123456789*/,-#LW FMONSUTJA?@"), max_size=20) | st.text(max_size=12))
@settings(max_examples=times(200))
def test_any_text_is_a_window_or_none(text: str) -> None:
    """Any text is a window with one normal form, or there is a reason why it is none."""
    try:
        window = normalize_window(text)
    except ValueError as error:
        problem = str(error)
        assert problem.startswith(("is no window: ", "has ", "never comes"))
    else:
        assert normalize_window(window) == window
        assert Calendar(window, "Europe/Berlin").span_at(instant("2026-11-22T00:00Z")).start > 0


def test_rules_of_the_system(tmp_path: Path) -> None:
    """What the machine says of a zone, for all of Python, makes no period another one."""
    elsewhere = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe/Berlin").write_bytes(elsewhere)
    script = (
        "from zoneinfo import ZoneInfo; from datetime import datetime; from laurels.windows import Calendar; "
        "calendar = Calendar('daily', 'Europe/Berlin'); day = datetime(2026, 11, 22); "
        "print(calendar.span_at(1795353000), day.astimezone(ZoneInfo('Europe/Berlin')).tzname(), calendar.zone)"
    )
    environment = os.environ | {"PYTHONTZPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    expected = Span("2026-11-22", 1795302000, 1795388400)
    assert done.stdout == f"{expected} JST Europe/Berlin\n"
