"""Reading definitions: an error names the field that is wrong, and says what would be right."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from laurels.definition import (
    AVATAR_HOSTS,
    DECIMALS,
    DURATION_UNITS,
    FIELD_CHARACTERS,
    FIELDS_SHOWN,
    LONGEST_RUN_SECONDS,
    LONGEST_TTL_SECONDS,
    NO_DISPLAY,
    NO_GUARD,
    PARTITIONS,
    PERIODS_KEPT,
    TITLE_CHARACTERS,
    UNIT_CHARACTERS,
    WINDOWS,
    Bounds,
    Definition,
    Display,
    Guard,
    Runs,
)
from laurels.errors import BadDefinition
from laurels.limits import SECONDS
from laurels.windows import normalize_window
from laurels.wording import describe_unknown, path_of, quote, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msgspec import Struct

    from laurels.definition import Score

    Path = tuple[str | int, ...]

CHOICES = {
    field: get_args(kind)
    for table in (Definition, Display)
    for field, kind in get_type_hints(table).items()
    if get_origin(kind) is Literal
}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}")
EXPECTED = {
    "scores": "it must hold min, max and integer, or some of them",
    "min": "it must be a number that a double holds exactly",
    "max": "it must be a number that a double holds exactly",
    "integer": "it must be true or false",
    "windows": f'it must be a list of at most {WINDOWS}, such as ["daily", "weekly"]',
    "time_zone": 'it must be the name of a time zone, such as "Europe/Berlin"',
    "keep": 'it must tell of windows how many past periods stay readable, such as 30 of "daily"',
    "guard": "it must hold max_step, per_player, hold_above and runs, or some of them",
    "max_step": "it must be a number above 0 that a double holds exactly",
    "per_player": 'it must be how many in a second, minute, hour or day, such as "10/m"',
    "hold_above": "it must be a number that a double holds exactly",
    "runs": "it must hold required, min_seconds and max_seconds, or some of them",
    "required": "it must be true or false",
    "min_seconds": f"it must be a whole number from 0 to {LONGEST_RUN_SECONDS:,}",
    "max_seconds": f"it must be a whole number from 1 to {LONGEST_RUN_SECONDS:,}",
    "partitions": f"it must be a whole number from 1 to {PARTITIONS:,}",
    "title": f"it must be a line of at most {TITLE_CHARACTERS} characters",
    "display": "it must hold format, unit, decimals, country, avatar, avatar_hosts and fields, or some of them",
    "unit": f"it must be a line of at most {UNIT_CHARACTERS} characters",
    "decimals": f"it must be a whole number from 0 to {DECIMALS}",
    "country": f"it must be the name of a field of the metadata, of at most {FIELD_CHARACTERS} characters",
    "avatar": f"it must be the name of a field of the metadata, of at most {FIELD_CHARACTERS} characters",
    "avatar_hosts": f'it must be a list of at most {AVATAR_HOSTS}, such as ["avatars.example.com"]',
    "fields": f'it must be a list of at most {FIELDS_SHOWN}, such as ["team", "car"]',
    "ttl": 'it must be a whole number and a unit, such as "7d", "12h", "30m" or "90s"',
} | {field: f"it must be {' or '.join(map(json.dumps, choices))}" for field, choices in CHOICES.items()}
EXPECTED_ITEM = {
    "windows": 'it must be "daily", "weekly", "monthly", or a short cron line such as "0 6 * * 1"',
    "keep": f"it must be a whole number from 1 to {PERIODS_KEPT:,}",
    "avatar_hosts": 'it must be the name of a host, such as "avatars.example.com" or "*.example.com"',
    "fields": f"it must be the name of a field of the metadata, of at most {FIELD_CHARACTERS} characters",
}
"""What would be right, by field; and for each item of a list or a table."""
UNPARTITIONED = {
    "ties": 'it must be "name" if there are partitions, because these share no clock that could order ties',
    "ranking": 'it must be "ordinal" or "competition" if there are partitions, because several may have one score',
    "ttl": "it must be left out if there are partitions, because one submit cannot renew the time of all of them",
}
"""Why a board of several partitions cannot have it, by field."""
_TABLES: dict[Path, type[Struct]] = {
    ("scores",): Bounds,
    ("guard",): Guard,
    ("guard", "runs"): Runs,
    ("display",): Display,
}
"""The tables in a definition that have fields of their own."""


def read_definition(table: object) -> Definition:
    """Read a definition from decoded JSON or TOML; raise BadDefinition if it is none."""
    if not isinstance(table, dict):
        raise BadDefinition("", f"A definition is {quote(table)}: it must hold fields such as order and windows.")
    _check_fields(table, Definition)
    try:
        definition = msgspec.convert(table, Definition)
    except msgspec.ValidationError as error:
        _refuse(table, str(error))
    return normalize_definition(definition)


def normalize_definition(definition: Definition) -> Definition:
    """Return a definition in the one way to write it; raise BadDefinition if no board can have it."""
    if definition.time_zone not in time_zones():
        raise _bad_value(("time_zone",), definition.time_zone, EXPECTED["time_zone"], time_zones())
    if (definition.ttl_seconds or 0) > LONGEST_TTL_SECONDS:
        raise _bad_value(("ttl",), definition.ttl, f"it must be at most {LONGEST_TTL_SECONDS // SECONDS['d']}d")
    windows = tuple(_normalize_windows(definition.windows))
    if definition.partitions > 1:
        _check_partitioned(definition)
    return replace(
        definition,
        scores=_normalize_bounds(definition.scores),
        guard=_normalize_guard(definition.guard),
        title=_normalize_line(("title",), definition.title),
        display=_normalize_display(definition.display),
        windows=windows,
        keep=dict(_normalize_keep(definition.keep, windows)),
    )


def _check_partitioned(definition: Definition) -> None:
    has = {"ties": definition.ties != "name", "ranking": definition.ranking == "dense", "ttl": definition.ttl}
    for field, is_wrong in has.items():
        if is_wrong:
            raise _bad_value((field,), getattr(definition, field), UNPARTITIONED[field])


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones, those of the package tzdata: the same on every machine."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())


def _check_fields(table: dict[str, Any], kind: type[Struct], *path: str) -> None:
    fields = kind.__struct_fields__
    for field, value in table.items():
        inner = (*path, field)
        if field not in fields:
            problem = describe_unknown(".".join(path) or "A definition", field, fields)
            raise BadDefinition(_pointer(inner), f"{problem}.")
        if inner in _TABLES and isinstance(value, dict):
            _check_fields(value, _TABLES[inner], *inner)


def _refuse(table: dict[str, Any], problem: str) -> NoReturn:
    """Raise what msgspec found: a field of another type, whose path ends ``problem`` ("... - at `$.scores.min`")."""
    path: Path = path_of(problem)
    value: Any = table
    for step in path:
        value = value[step]
    if path == ("keep",) and isinstance(value, dict):  # msgspec does not say of which window
        wrong = (
            (window, count)
            for window, count in value.items()
            if type(count) is not int or not 1 <= count <= PERIODS_KEPT
        )
        window, value = next(wrong, (next(iter(value)), value))
        path = "keep", window
    names = [step for step in path if isinstance(step, str)]
    is_item = len(names) < len(path) or (path[0] == "keep" and len(path) > 1)
    field = "keep" if path[0] == "keep" else names[-1]
    right = EXPECTED_ITEM[field] if is_item else EXPECTED[field]
    raise _bad_value(path, value, right, CHOICES.get(field, ()))


def _normalize_bounds(bounds: Bounds) -> Bounds:
    least, greatest = _normalize_bound(bounds, "min", bounds.min), _normalize_bound(bounds, "max", bounds.max)
    if least is not None and greatest is not None and least > greatest:
        raise _bad_value(("scores", "max"), greatest, f"it must not be below scores.min, which is {least}")
    return Bounds(least, greatest, bounds.integer)


def _normalize_bound(bounds: Bounds, which: str, bound: Score | None) -> Score | None:
    number = _normalize_number(("scores", which), bound)
    if bounds.integer and isinstance(number, float):
        raise _bad_value(("scores", which), bound, "it must be whole, because scores.integer is true")
    return number


def _normalize_number(path: Path, number: Score | None) -> Score | None:
    """Return a number as an ``int`` if it is whole; raise BadDefinition if no double holds it exactly."""
    if number is None:
        return None
    try:
        is_exact = isfinite(double := float(number)) and double == number
    except OverflowError:
        is_exact = False
    if not is_exact:
        raise _bad_value(path, number, EXPECTED[str(path[-1])])
    return int(double) if double.is_integer() else double


def _normalize_guard(guard: Guard | None) -> Guard | None:
    if guard is None or guard == NO_GUARD:
        return None
    step = _normalize_number(("guard", "max_step"), guard.max_step)
    if step is not None and step <= 0:
        raise _bad_value(("guard", "max_step"), step, EXPECTED["max_step"])
    if guard.runs and guard.runs.max_seconds < guard.runs.min_seconds:
        right = f"it must not be below guard.runs.min_seconds, which is {guard.runs.min_seconds}"
        raise _bad_value(("guard", "runs", "max_seconds"), guard.runs.max_seconds, right)
    return replace(guard, max_step=step, hold_above=_normalize_number(("guard", "hold_above"), guard.hold_above))


def _normalize_display(display: Display | None) -> Display | None:
    if display is None or display == NO_DISPLAY:
        return None
    display = replace(display, unit=_normalize_line(("display", "unit"), display.unit))
    if display.format == "duration" and display.unit is not None and display.unit not in DURATION_UNITS:
        right = f'it must be {", ".join(map(quote, DURATION_UNITS))}, because format is "duration"'
        raise _bad_value(("display", "unit"), display.unit, right, DURATION_UNITS)
    if display.avatar is not None and not display.avatar_hosts:
        raise _bad_value(("display", "avatar_hosts"), [], "it must name the hosts that pictures may come from")
    for index, host in enumerate(display.avatar_hosts):
        if not _HOST.fullmatch(host):
            raise _bad_value(("display", "avatar_hosts", index), host, EXPECTED_ITEM["avatar_hosts"])
    for index, field in enumerate(display.fields):
        if field in display.fields[:index]:
            raise _bad_value(("display", "fields", index), field, "it stands twice")
    return display


def _normalize_line(path: Path, text: str | None) -> str | None:
    """Return a text that is shown on one line, without space around it; raise BadDefinition if that cannot be."""
    line = None if text is None else text.strip()
    if line is not None and not (line and line.isprintable()):
        raise _bad_value(path, text, EXPECTED[str(path[-1])])
    return line


def _normalize_windows(windows: Iterable[str]) -> Iterator[str]:
    seen = set()
    for index, text in enumerate(windows):
        window = _normalize_window(("windows", index), text)
        if window in seen:
            raise _bad_value(("windows", index), text, "it stands twice")
        seen.add(window)
        yield window


def _normalize_window(path: Path, text: str) -> str:
    try:
        return normalize_window(text)
    except ValueError as error:
        raise BadDefinition(_pointer(path), f"The window {quote(text)} {error}.") from None


def _normalize_keep(keep: dict[str, int], windows: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    seen = set()
    for text, count in keep.items():
        window = _normalize_window(("keep", text), text)
        if window not in windows:
            declared = f"its windows are {', '.join(map(quote, windows))}" if windows else "it has no windows"
            raise BadDefinition(
                _pointer(("keep", text)), f"keep tells of {quote(text)}, which is no window of the board: {declared}."
            )
        if window in seen:
            raise _bad_value(("keep", text), count, "its window stands twice")
        seen.add(window)
        yield window, count


def _bad_value(path: Path, value: object, right: str, choices: Iterable[str] = ()) -> BadDefinition:
    first, *rest = path
    label = str(first) + "".join(f".{step}" if str(step).isidentifier() else f"[{quote(step)}]" for step in rest)
    return BadDefinition(_pointer(path), f"{label} is {quote(value)}: {right}{suggest(value, choices)}.")


def _pointer(path: Path) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
