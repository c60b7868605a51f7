"""Definitions: an error names the field that is wrong, and stored entries contradict some changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.declaring import read_definition
from laurels.definition import DEFAULT_DEFINITION, Bounds, Definition, Display, Guard, Runs, Stored, contradiction
from laurels.errors import BadDefinition

LONG = "x" * 101
BAD: list[tuple[object, str, str]] = [
    ([], "", "fields such as order"),
    ({"oder": "descending"}, "/oder", 'perhaps you mean "order"'),
    ({"colour": 3}, "/colour", "It has order, operator, ties"),
    ({"order": "desc"}, "/order", 'perhaps you mean "descending"'),
    ({"order": None}, "/order", 'must be "descending" or "ascending"'),
    ({"operator": "max"}, "/operator", '"latest" or "best" or "increment"'),
    ({"ties": 3}, "/ties", '"name" or "earliest" or "latest"'),
    ({"ranking": "standard"}, "/ranking", '"ordinal" or "competition" or "dense"'),
    ({"scores": 3}, "/scores", "must hold min, max and integer"),
    ({"scores": {"least": 1}}, "/scores/least", "It has min, max, integer"),
    ({"scores": {"min": True}}, "/scores/min", "must be a number"),
    ({"scores": {"min": "0"}}, "/scores/min", 'scores.min is "0"'),
    ({"scores": {"min": float("-inf")}}, "/scores/min", "a double holds exactly"),
    ({"scores": {"max": 2**53 + 1}}, "/scores/max", "a double holds exactly"),
    ({"scores": {"max": 10**400}}, "/scores/max", "a double holds exactly"),
    ({"scores": {"min": 3, "max": 1}}, "/scores/max", "not be below scores.min, which is 3"),
    ({"scores": {"max": 0.5, "integer": True}}, "/scores/max", "must be whole"),
    ({"scores": {"integer": 1}}, "/scores/integer", "true or false"),
    ({"windows": "daily"}, "/windows", 'a list of at most 8, such as ["daily"'),
    ({"windows": ["daily"] * 9}, "/windows", "at most 8"),
    ({"windows": ["daily", 7]}, "/windows/1", "windows[1] is 7"),
    ({"windows": [LONG]}, "/windows/0", "short cron line"),
    ({"windows": ["hourly"]}, "/windows/0", 'write "0 * * * *"'),
    ({"windows": ["0 6 * * 1", "daily", "0  6 * * 1"]}, "/windows/2", "stands twice"),
    ({"time_zone": 1}, "/time_zone", "the name of a time zone"),
    ({"time_zone": "europe/berlin"}, "/time_zone", 'perhaps you mean "Europe/Berlin"'),
    ({"time_zone": "localtime"}, "/time_zone", "the name of a time zone"),
    ({"time_zone": "../Berlin"}, "/time_zone", "the name of a time zone"),
    ({"keep": 30}, "/keep", "of windows how many"),
    ({"windows": ["daily"], "keep": {"daily": 0}}, "/keep/daily", "from 1 to 1,000"),
    ({"windows": ["daily"], "keep": {"daily": True}}, "/keep/daily", "keep.daily is true"),
    ({"windows": ["weekly"], "keep": {"daily": 3}}, "/keep/daily", 'its windows are "weekly"'),
    ({"keep": {"*/5 * * * *": 3}}, "/keep/*~15 * * * *", "it has no windows"),
    ({"windows": ["0 6 * * 1"], "keep": {"0 6 * * 1": 1, "0  6 * * 1": 2}}, "/keep/0  6 * * 1", "stands twice"),
    ({"keep": {"day": 3}}, "/keep/day", 'write "daily"'),
    ({"keep": {LONG: 3}}, f"/keep/{LONG[:94]}...", "from 1 to 1,000"),
    ({"ttl": "7 days"}, "/ttl", 'such as "7d"'),
    ({"ttl": "0d"}, "/ttl", "a whole number and a unit"),
    ({"ttl": 7}, "/ttl", "a whole number and a unit"),
    ({"ttl": "11575d"}, "/ttl", "at most 11574d"),
    ({"partitions": 0}, "/partitions", "from 1 to 1,024"),
    ({"partitions": 1025}, "/partitions", "partitions is 1025: it must be a whole number from 1 to 1,024"),
    ({"partitions": True}, "/partitions", "a whole number"),
    ({"partitions": 2, "ties": "earliest"}, "/ties", 'it must be "name" if there are partitions'),
    ({"partitions": 2, "ties": "latest"}, "/ties", "share no clock"),
    ({"partitions": 2, "ranking": "dense"}, "/ranking", "several may have one score"),
    ({"partitions": 2, "ttl": "1d"}, "/ttl", "cannot renew the time of all of them"),
    ({"guard": 3}, "/guard", "must hold max_step, per_player"),
    ({"guard": {"max_stpe": 3}}, "/guard/max_stpe", 'guard has no field "max_stpe"; perhaps you mean "max_step"'),
    ({"guard": {"max_step": "3"}}, "/guard/max_step", 'guard.max_step is "3": it must be a number above 0'),
    ({"guard": {"max_step": 0}}, "/guard/max_step", "a number above 0"),
    ({"guard": {"max_step": 2**53 + 1}}, "/guard/max_step", "a double holds exactly"),
    ({"guard": {"per_player": 10}}, "/guard/per_player", 'such as "10/m"'),
    ({"guard": {"per_player": "0/m"}}, "/guard/per_player", "in a second, minute, hour or day"),
    ({"guard": {"per_player": "10 / m"}}, "/guard/per_player", 'such as "10/m"'),
    ({"guard": {"per_player": "1000000/s"}}, "/guard/per_player", 'such as "10/m"'),
    ({"guard": {"hold_above": True}}, "/guard/hold_above", "must be a number"),
    ({"guard": {"hold_above": float("nan")}}, "/guard/hold_above", "a double holds exactly"),
    ({"guard": {"runs": True}}, "/guard/runs", "must hold required, min_seconds and max_seconds"),
    ({"guard": {"runs": {"needed": True}}}, "/guard/runs/needed", "guard.runs has no field"),
    ({"guard": {"runs": {"required": 1}}}, "/guard/runs/required", "guard.runs.required is 1: it must be true"),
    ({"guard": {"runs": {"min_seconds": -1}}}, "/guard/runs/min_seconds", "from 0 to 86,400"),
    ({"guard": {"runs": {"max_seconds": 86401}}}, "/guard/runs/max_seconds", "from 1 to 86,400"),
    ({"guard": {"runs": {"min_seconds": 9, "max_seconds": 5}}}, "/guard/runs/max_seconds", "min_seconds, which is 9"),
    ({"title": ""}, "/title", "a line of at most 100 characters"),
    ({"title": " "}, "/title", "a line of at most 100 characters"),
    ({"title": "a\nb"}, "/title", "a line of at most 100 characters"),
    ({"title": LONG}, "/title", "a line of at most 100 characters"),
    ({"display": "ms"}, "/display", "must hold format, unit, decimals"),
    ({"display": {"formt": "number"}}, "/display/formt", 'perhaps you mean "format"'),
    ({"display": {"format": "durations"}}, "/display/format", 'perhaps you mean "duration"'),
    ({"display": {"unit": "a\u202eb"}}, "/display/unit", "a line of at most 16 characters"),
    ({"display": {"format": "duration", "unit": "msec"}}, "/display/unit", 'because format is "duration"'),
    ({"display": {"decimals": 7}}, "/display/decimals", "from 0 to 6"),
    ({"display": {"country": ""}}, "/display/country", "the name of a field of the metadata"),
    ({"display": {"avatar": 3}}, "/display/avatar", "the name of a field of the metadata"),
    ({"display": {"avatar": "face"}}, "/display/avatar_hosts", "must name the hosts"),
    ({"display": {"avatar_hosts": "example.com"}}, "/display/avatar_hosts", "a list of at most 8"),
    ({"display": {"avatar_hosts": ["a.com"] * 9}}, "/display/avatar_hosts", "a list of at most 8"),
    ({"display": {"avatar_hosts": ["a.com", 3]}}, "/display/avatar_hosts/1", "the name of a host"),
    ({"display": {"avatar_hosts": ["https://a.com"]}}, "/display/avatar_hosts/0", "the name of a host"),
    ({"display": {"avatar_hosts": ["*"]}}, "/display/avatar_hosts/0", "the name of a host"),
    ({"display": {"avatar_hosts": ["*.com"]}}, "/display/avatar_hosts/0", "the name of a host"),
    ({"display": {"avatar_hosts": ["a.com; script-src *"]}}, "/display/avatar_hosts/0", "the name of a host"),
    ({"display": {"fields": ["a", "b", "c", "d", "e"]}}, "/display/fields", "a list of at most 4"),
    ({"display": {"fields": ["team", ""]}}, "/display/fields/1", "the name of a field of the metadata"),
    ({"display": {"fields": ["team", "car", "team"]}}, "/display/fields/2", "it stands twice"),
]


@pytest.mark.parametrize(("table", "pointer", "says"), BAD, ids=lambda value: ascii(value)[:50])
def test_bad_definition(table: object, pointer: str, says: str) -> None:
    """A bad definition is refused; the pointer says where it is wrong, and the message what would be right."""
    with pytest.raises(BadDefinition) as raised:
        read_definition(table)
    assert raised.value.pointer == pointer
    assert says in str(raised.value)


def test_what_is_not_said_is_plain() -> None:
    """A definition without fields is the default one."""
    assert read_definition({}) == DEFAULT_DEFINITION


def test_display_that_says_nothing() -> None:
    """A table without fields is none, and lines have no space around them."""
    assert read_definition({"display": {}, "title": None}) == DEFAULT_DEFINITION
    spaced = read_definition({"title": " Laps ", "display": {"unit": " s ", "format": "duration"}})
    assert spaced == Definition(title="Laps", display=Display(format="duration", unit="s"))


def test_one_way_to_write() -> None:
    """Two ways to write one definition are read as the same."""
    spaced = {"scores": {"max": 1e6, "min": -0.5}, "windows": ["0  6 * * mon"], "keep": {" 0 6 * * MON ": 3}}
    assert read_definition(spaced) == Definition(
        scores=Bounds(-0.5, 1_000_000), windows=("0 6 * * MON",), keep={"0 6 * * MON": 3}
    )


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800), (None, None)], ids=str
)
def test_time_to_live(ttl: str | None, seconds: int | None) -> None:
    """A time to live is counted in seconds, minutes, hours or days."""
    assert read_definition({"ttl": ttl}).ttl_seconds == seconds


@pytest.mark.parametrize("guard", [None, {}, {"runs": None, "max_step": None}], ids=str)
def test_no_guard(guard: object) -> None:
    """A guard that guards against nothing is none."""
    assert read_definition({"guard": guard}) == DEFAULT_DEFINITION


def test_guard() -> None:
    """A guard is read with its runs, and whole numbers are integers."""
    table = {"max_step": 500.0, "per_player": "10/m", "hold_above": 1e5, "runs": {"required": True, "min_seconds": 20}}
    definition = read_definition({"guard": table})
    assert definition.guard == Guard(500, "10/m", 100_000, Runs(required=True, min_seconds=20, max_seconds=3600))
    assert [type(definition.guard.max_step), definition.guard.rate] == [int, (10, 60)]


names = st.sampled_from(
    ["order", "operator", "scores", "windows", "keep", "ttl", "min", "daily", "guard", "runs", "max_step", "x"]
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["best", "daily"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=5), inner, max_size=4),
)


@given(anything)
def test_anything_is_a_definition_or_none(table: Any) -> None:
    """Whatever JSON holds is a definition, which is written as it was read, or refused."""
    try:
        definition = read_definition(table)
    except BadDefinition:
        return
    assert read_definition(msgspec.to_builtins(definition)) == definition
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(definition), type=Definition) == definition


OLD = Definition(windows=("daily", "weekly"), time_zone="Europe/Berlin", keep={"daily": 3})
EMPTY_INDEX = Stored(0, 0, 0, lambda: True)
ENTRIES = Stored(2, 1, 7.5, lambda: False)
PERIODS = Stored(2, 1, 7.5, lambda: False, frozenset({"daily"}))

CHANGES: list[tuple[dict[str, Any], Stored, str | None]] = [
    ({"order": "ascending"}, ENTRIES, "drop its entries first"),
    ({"operator": "best"}, ENTRIES, "drop its entries first"),
    ({"ties": "earliest"}, ENTRIES, "drop its entries first"),
    ({"order": "ascending", "operator": "best", "ties": "latest"}, EMPTY_INDEX, None),
    ({"ranking": "dense"}, PERIODS, None),
    ({"partitions": 3}, ENTRIES, "its entries are in 1 partition, not 3; move them with laurels boards repartition"),
    ({"partitions": 3}, EMPTY_INDEX, None),
    ({"keep": {}}, PERIODS, None),
    ({"ttl": "1d"}, PERIODS, None),
    ({"windows": ("monthly", "daily")}, PERIODS, None),
    ({"windows": ()}, PERIODS, "window 'daily'"),
    ({"windows": ()}, ENTRIES, None),
    ({"time_zone": "UTC"}, PERIODS, "drop its periods first"),
    ({"time_zone": "UTC"}, ENTRIES, None),
    ({"scores": Bounds(min=1, max=7.5)}, ENTRIES, None),
    ({"scores": Bounds(min=2)}, ENTRIES, "score 1, and scores.min would be 2"),
    ({"scores": Bounds(max=7)}, ENTRIES, "score 7.5, and scores.max would be 7"),
    ({"scores": Bounds(integer=True)}, ENTRIES, "not whole"),
    ({"scores": Bounds(min=2, max=0, integer=True)}, EMPTY_INDEX, None),
]


@pytest.mark.parametrize(("change", "stored", "says"), CHANGES, ids=lambda value: ascii(value)[:60])
def test_contradiction(change: dict[str, Any], stored: Stored, says: str | None) -> None:
    """Stored entries contradict a change under which they would be in another order, or would not be there."""
    problem = contradiction(OLD, msgspec.structs.replace(OLD, **change), stored)
    assert (problem is None) if says is None else (says in str(problem))
