"""Reading definitions: an error names the field that is wrong, and says what would be right."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from laurels.definition import (
    LONGEST_RUN_SECONDS,
    LONGEST_TTL_SECONDS,
    NO_GUARD,
    PARTITIONS,
    PERIODS_KEPT,
    WINDOWS,
    Bounds,
    Definition,
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

CHOICES = {field: get_args(kind) for field, kind in get_type_hints(Definition).items() if get_origin(kind) is Literal}
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
    "ttl": 'it must be a whole number and a unit, such as "7d", "12h", "30m" or "90s"',
} | {field: f"it must be {' or '.join(map(json.dumps, choices))}" for field, choices in CHOICES.items()}
EXPECTED_ITEM = {
    "windows": 'it must be "daily", "weekly", "monthly", or a short cron line such as "0 6 * * 1"',
    "keep": f"it must be a whole number from 1 to {PERIODS_KEPT:,}",
}
"""What would be right, by field; and for each window in a list or a table."""
UNPARTITIONED = {
    "ties": 'it must be "name" if there are partitions, because these share no clock that could order ties',
    "ranking": 'it must be "ordinal" or "competition" if there are partitions, because several may have one score',
    "ttl": "it must be left out if there are partitions, because one submit cannot renew the time of all of them",
}
"""Why a board of several partitions cannot have it, by field."""
_TABLES: dict[Path, type[Struct]] = {("scores",): Bounds, ("guard",): Guard, ("guard", "runs"): Runs}
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
    field, *inner = map(str, path)
    right = EXPECTED_ITEM[field] if inner and field in EXPECTED_ITEM else EXPECTED[str(path[-1])]
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
