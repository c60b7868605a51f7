"""What boards promise, told to people: a definition in a few lines, and a list of boards in columns."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from laurels.definition import DEFAULT_DEFINITION, OPERATORS, Bounds
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


def told(definition: Definition, now: float) -> Iterator[str]:
    """Give a definition in lines; ``now`` is in seconds since the epoch."""
    for field, words in WORDS.items():
        value = getattr(definition, field)
        yield _line(field, f"{value}: {words[value]}")
    yield _line("scores", bounds(definition.scores))
    for window in definition.windows:
        yield _line("window" if " " in window else window, _window(definition, window, now))
    yield _line("ttl", f"{definition.ttl} after the last submit" if definition.ttl else "none of its own")


def bounds(scores: Bounds) -> str:
    """Tell which scores are taken."""
    kind = "whole numbers" if scores.integer else "numbers"
    ends = [f"{word} {end}" for word, end in (("from", scores.min), ("to", scores.max)) if end is not None]
    return " ".join(["any" if not ends and not scores.integer else "", kind, *ends]).strip()


def _window(definition: Definition, window: str, now: float) -> str:
    span = Calendar(window, definition.time_zone).span_at(now)
    stop = datetime.fromtimestamp(span.stop, ZoneInfo(definition.time_zone))
    kept = definition.keep.get(window)
    past = f"{kept} past ones kept" if kept is not None else "all past ones kept"
    begun = f"{window}, " if " " in window else ""
    return f"{begun}{span.period} until {stop:%Y-%m-%d %H:%M %z} ({definition.time_zone}), {past}"


def _line(label: str, words: str) -> str:
    return f"  {label:<{LABEL}}{words}"


def in_short(definition: Definition) -> str:
    """Tell in one line what of a definition is not as a board's is that says nothing."""
    fields = msgspec.structs.asdict(definition)
    return ", ".join(
        f"{field} {_short(value)}" for field, value in fields.items() if value != getattr(DEFAULT_DEFINITION, field)
    )


def _short(value: object) -> str:
    if isinstance(value, Bounds):
        return bounds(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
