"""Scores, ranks, times and names as a page shows them: in plain English, until a script writes them for the reader."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from html import escape
from time import gmtime
from typing import TYPE_CHECKING

from laurels.definition import DURATION_UNITS
from laurels.visible import escape as escape_invisible
from laurels.visible import is_seen

if TYPE_CHECKING:
    from laurels.definition import Display, Score

MICROSECONDS = 10**6
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST = 10**15
"""From here on the digits of a number tell nobody anything."""
SPACE = "\N{OPEN BOX}"
"""How a space is shown if there is nothing else."""


def show_name(name: str) -> str:
    """Return a name as HTML that nothing around it can be mistaken for; what nobody would see is written out."""
    if name.isascii():
        if name.isalnum():
            return f"<bdi>{name}</bdi>"
        return f"<bdi>{escape(name) if name.strip() else SPACE * len(name)}</bdi>"
    return f"<bdi>{escape(name if is_seen(name) else escape_invisible(name))}</bdi>"


def show_score(score: Score, display: Display) -> str:
    """Return a score as HTML, with its value for scripts."""
    text = format_score(score, display)
    return f'<data class="score" value="{score}">{escape(text) if display.unit else text}</data>'


def format_score(score: Score, display: Display) -> str:
    """Return a score as text."""
    if display.format == "duration" and abs(score) < LONGEST:
        return format_duration(score, display)
    unit = f"\N{NO-BREAK SPACE}{display.unit}" if display.unit else ""
    return f"{format_number(score, display.decimals)}{unit}"


def format_number(score: Score, decimals: int | None = None) -> str:
    """Return a number with its thousands apart; a very great one by its powers of ten."""
    if abs(score) >= LONGEST:
        return f"{float(score):.6g}"
    if decimals is not None:
        return f"{score:,.{decimals}f}"
    text = f"{score:,}"
    return text if isinstance(score, int) or "e" in text else text.removesuffix(".0")


def format_duration(score: Score, display: Display) -> str:
    """Return a score as hours, minutes and seconds, as far as there are any: 1:02:03, 1:23.456."""
    unit = DURATION_UNITS[display.unit or "s"]
    decimals = display.decimals
    if decimals is None:
        decimals = {1: 6, 1000: 3}.get(unit, 0 if isinstance(score, int) else 3)
    ticks = round(abs(score) * unit * 10**decimals / MICROSECONDS)
    seconds, fraction = divmod(ticks, 10**decimals)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours:,}:{minutes:02}" if hours else f"{minutes}"
    tail = f".{fraction:0{decimals}}" if decimals else ""
    return f"{'-' * (score < 0)}{head}:{seconds:02}{tail}"


def show_time(microseconds: int) -> str:
    """Return a time as HTML, with its value for scripts."""
    minutes, second = divmod(microseconds // MICROSECONDS, 60)
    value, text = _show_minute(minutes)
    return f'<time datetime="{value}:{second:02}Z">{text}</time>'


@lru_cache(maxsize=1_000)
def _show_minute(minutes: int) -> tuple[str, str]:
    year, month, day, hour, minute, *_ = gmtime(minutes * 60)
    value = f"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}"
    return value, f"{day} {MONTHS[month - 1]} {year}, {hour:02}:{minute:02} UTC"


@cache  # there are 676
def show_country(code: str) -> str:
    """Return a country, by its two letters, as a flag that is read as the letters."""
    flag = "".join(chr(0x1F1E6 - ord("A") + ord(letter)) for letter in code)
    return f'<span class="flag" role="img" aria-label="{code}" title="{code}" lang="zxx">{flag}</span>'


def show_period(window: str, period: str) -> str:
    """Return a period as HTML, with its value for scripts."""
    if window == "weekly":
        return f'<time datetime="{escape(period)}">Week {int(period[-2:])}, {escape(period[:4])}</time>'
    form = {"daily": "%Y-%m-%d", "monthly": "%Y-%m"}.get(window, "%Y-%m-%dT%H:%MZ")
    time = datetime.strptime(period, form)  # noqa: DTZ007 - a name, in the board's own zone
    words = {"daily": f"{time.day} {time:%b %Y}", "monthly": f"{time:%B %Y}"}
    return f'<time datetime="{period}">{words.get(window, f"{time.day} {time:%b %Y, %H:%M} UTC")}</time>'
