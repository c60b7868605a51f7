"""Reading definitions: an error names the field that is wrong, and says what would be right."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from laurels.definition import LONGEST_TTL_SECONDS, PERIODS_KEPT, UNITS, WINDOWS, Bounds, Definition
from laurels.errors import BadDefinition
from laurels.windows import normalize_window
from laurels.wording import describe_unknown, path_of, quote, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    "ttl": 'it must be a whole number and a unit, such as "7d", "12h", "30m" or "90s"',
} | {field: f"it must be {' or '.join(map(json.dumps, choices))}" for field, choices in CHOICES.items()}
EXPECTED_ITEM = {
    "windows": 'it must be "daily", "weekly", "monthly", or a short cron line such as "0 6 * * 1"',
    "keep": f"it must be a whole number from 1 to {PERIODS_KEPT:,}",
}
"""What would be right, by field; and for each window in a list or a table."""


def read_definition(table: object) -> Definition:
    """Read a definition from decoded JSON or TOML; raise BadDefinition if it is none."""
    if not isinstance(table, dict):
        raise BadDefinition("", f"A definition is {quote(table)}: it must hold fields such as order and windows.")
    _check_fields(table, Definition)
    if isinstance(table.get("scores"), dict):
        _check_fields(table["scores"], Bounds, "scores")
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
        raise _bad_value(("ttl",), definition.ttl, f"it must be at most {LONGEST_TTL_SECONDS // UNITS['d']}d")
    windows = tuple(_normalize_windows(definition.windows))
    return replace(
        definition,
        scores=_normalize_bounds(definition.scores),
        windows=windows,
        keep=dict(_normalize_keep(definition.keep, windows)),
    )


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones, those of the package tzdata: the same on every machine."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())


def _check_fields(table: dict[str, Any], kind: type[Definition | Bounds], *path: str) -> None:
    fields = kind.__struct_fields__
    for field in table:
        if field not in fields:
            problem = describe_unknown(path[0] if path else "A definition", field, fields)
            raise BadDefinition(_pointer((*path, field)), f"{problem}.")


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
    right = EXPECTED_ITEM[field] if inner and field in EXPECTED_ITEM else EXPECTED[inner[0] if inner else field]
    raise _bad_value(path, value, right, CHOICES.get(field, ()))


def _normalize_bounds(bounds: Bounds) -> Bounds:
    least, greatest = _normalize_bound(bounds, "min", bounds.min), _normalize_bound(bounds, "max", bounds.max)
    if least is not None and greatest is not None and least > greatest:
        raise _bad_value(("scores", "max"), greatest, f"it must not be below scores.min, which is {least}")
    return Bounds(least, greatest, bounds.integer)


def _normalize_bound(bounds: Bounds, which: str, bound: Score | None) -> Score | None:
    if bound is None:
        return None
    try:
        is_exact = isfinite(double := float(bound)) and double == bound
    except OverflowError:
        is_exact = False
    if not is_exact:
        raise _bad_value(("scores", which), bound, EXPECTED[which])
    if double.is_integer():
        return int(double)
    if bounds.integer:
        raise _bad_value(("scores", which), bound, "it must be whole, because scores.integer is true")
    return double


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
