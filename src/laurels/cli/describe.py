"""Definitions for people: one in a few lines, or in short for a list of boards."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from laurels.definition import DEFAULT_DEFINITION, OPERATORS, Bounds, Display, Guard
from laurels.windows import Calendar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.definition import Definition

WORDS: dict[str, dict[str, str]] = {
    "order": {"descending": "the higher score stands first", "ascending": "the lower score stands first"},
    "operator": {name: rules.words for name, rules in OPERATORS.items()},
    "ties": {
        "name": "equal scores stand by name",
        "earliest": "of equal scores the first one stands first",
        "latest": "of equal scores the last one stands first",
    },
    "ranking": {"ordinal": "ranks 0,1,2,3", "competition": "ranks 0,1,1,3", "dense": "ranks 0,1,1,2"},
}
LABEL = 11


def format_definition(definition: Definition, now: float) -> Iterator[str]:
    """Yield the lines of a definition, with its windows' periods at ``now``, in seconds since the epoch."""
    for field, words in WORDS.items():
        value = getattr(definition, field)
        yield _format_line(field, f"{value}: {words[value]}")
    yield _format_line("scores", format_bounds(definition.scores))
    for window in definition.windows:
        yield _format_line("window" if " " in window else window, _format_window(definition, window, now))
    yield _format_line("ttl", f"{definition.ttl} after the last submit" if definition.ttl else "none of its own")
    if definition.partitions > 1:
        yield _format_line("partitions", f"{definition.partitions}, over which the names are spread")
    if definition.guard is not None:
        yield _format_line("guard", format_guard(definition.guard))
    if definition.title is not None:
        yield _format_line("title", definition.title)
    if definition.display is not None:
        yield _format_line("display", format_display(definition.display))


def format_bounds(scores: Bounds) -> str:
    """Return in words which scores a board takes."""
    kind = "whole numbers" if scores.integer else "numbers"
    ends = [f"{word} {end}" for word, end in (("from", scores.min), ("to", scores.max)) if end is not None]
    return " ".join(["any" if not ends and not scores.integer else "", kind, *ends]).strip()


def format_guard(guard: Guard) -> str:
    """Return in words what a board does against cheating."""
    words = {
        "steps of at most": guard.max_step,
        "of one player": guard.per_player,
        "held above": guard.hold_above,
    }
    parts = [f"{what} {value}" for what, value in words.items() if value is not None]
    if runs := guard.runs:
        need = "required" if runs.required else "taken"
        parts.append(f"runs {need}, of {runs.min_seconds} to {runs.max_seconds} seconds")
    return ", ".join(parts)


def format_display(display: Display) -> str:
    """Return in words how a board's page shows its entries."""
    unit = f" of {display.unit}" if display.unit else ""
    digits = f", {display.decimals} decimal{'s' * (display.decimals != 1)}" if display.decimals is not None else ""
    shown = [f"country from {display.country}"] if display.country else []
    shown += [f"avatar from {display.avatar} at {', '.join(display.avatar_hosts)}"] if display.avatar else []
    return ", ".join([f"scores as {display.format}s{unit}{digits}", *shown, *display.fields])


def _format_window(definition: Definition, window: str, now: float) -> str:
    calendar = Calendar(window, definition.time_zone)
    span = calendar.span_at(now)
    stop = datetime.fromtimestamp(span.stop, calendar.zone)
    kept = definition.keep.get(window)
    past = f"{kept} past ones kept" if kept is not None else "all past ones kept"
    cron_line = f"{window}, " if " " in window else ""
    return f"{cron_line}{span.period} until {stop:%Y-%m-%d %H:%M %z} ({definition.time_zone}), {past}"


def _format_line(label: str, words: str) -> str:
    return f"  {label:<{LABEL}}{words}"


def format_short(definition: Definition) -> str:
    """Return on one line the fields that differ from the default definition's."""
    fields = msgspec.structs.asdict(definition)
    return ", ".join(
        f"{field} {_format_value(value)}"
        for field, value in fields.items()
        if value != getattr(DEFAULT_DEFINITION, field)
    )


def _format_value(value: object) -> str:
    if isinstance(value, Bounds):
        return format_bounds(value)
    if isinstance(value, Guard):
        return format_guard(value)
    if isinstance(value, Display):
        return format_display(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
