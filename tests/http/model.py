"""A naive model of the service, written from the contract alone: a board is a dictionary, every question a sort."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime, time
from math import ceil, isfinite
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Json = Any
Key = tuple[str, str]
"""Window and period; both are empty for the board of all time."""

ALL_TIME: Key = ("", "")
SIX_HOURS = "0 */6 * * *"
KEY_SECONDS = 24 * 60 * 60
UNITS = {"m": 60, "h": 3600, "d": 86400}
DEFAULT: dict[str, Json] = {
    "order": "descending",
    "operator": "latest",
    "ties": "name",
    "ranking": "ordinal",
    "scores": {"min": None, "max": None, "integer": False},
    "windows": [],
    "time_zone": "UTC",
    "keep": {},
    "ttl": None,
}


def whole(definition: dict[str, Json]) -> dict[str, Json]:
    """Write a definition with all its fields."""
    full = deepcopy(DEFAULT) | definition
    return full | {"scores": DEFAULT["scores"] | full["scores"]}


class Held(NamedTuple):
    """What a name has on a board."""

    score: float
    sequence: int
    at: int
    """In milliseconds since the epoch."""
    metadata: Json


class Place(NamedTuple):
    """What a cursor names."""

    window: str
    period: str
    name: str
    score: float
    sequence: int


class Kept(NamedTuple):
    """The answer to an act with a key."""

    at: float
    attempts: str
    answer: Json


class Problem(Exception):
    """An answer with the status of an error."""

    def __init__(self, status: int, what: str = "") -> None:
        self.status = status
        super().__init__(status, what)


def period_now(window: str, zone: str, now: float) -> int:
    """Give a number to the period that ``now`` is in; the one before has the number before."""
    clock = datetime.fromtimestamp(now, ZoneInfo(zone))
    day = clock.toordinal()
    return {
        "daily": day,
        "weekly": (day - 1) // 7,
        "monthly": clock.year * 12 + clock.month - 1,
        SIX_HOURS: day * 4 + clock.hour // 6,
    }[window]


def begins(window: str, zone: str, number: int) -> datetime:
    """Give the moment that a period begins at, in its board's time zone."""
    day = {
        "daily": lambda: date.fromordinal(number),
        "weekly": lambda: date.fromordinal(number * 7 + 1),
        "monthly": lambda: date(number // 12, number % 12 + 1, 1),
        SIX_HOURS: lambda: date.fromordinal(number // 4),
    }[window]()
    return datetime.combine(day, time(number % 4 * 6 if window == SIX_HOURS else 0), ZoneInfo(zone))


def period_name(window: str, zone: str, number: int) -> str:
    """Name a period."""
    begin = begins(window, zone, number)
    if window == SIX_HOURS:
        return f"{begin.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    year, week, _ = begin.isocalendar()
    return {"daily": f"{begin:%Y-%m-%d}", "weekly": f"{year}-W{week:02}", "monthly": f"{begin:%Y-%m}"}[window]


def ranked(ranking: str, scores: list[float]) -> list[int]:
    """Give the ranks of scores that stand in their order."""
    if ranking == "ordinal":
        return list(range(len(scores)))
    if ranking == "competition":
        return [scores.index(score) for score in scores]
    return [list(dict.fromkeys(scores)).index(score) for score in scores]


class Model:
    """All boards."""

    def __init__(self, now: float, default: dict[str, Json], file: dict[str, dict[str, Json]], *, only: bool) -> None:
        self.now = now
        self.default = whole(default)
        self.file = {name: whole(definition) for name, definition in file.items()}
        self.own = dict(self.file)
        self.declared_only = only
        self.sequence = 0
        self.boards: dict[str, dict[Key, dict[str, Held]]] = {}
        self.touched: dict[str, float] = {}
        self.once: dict[tuple[str, str | None, str], Kept] = {}

    # What is there

    def definition(self, board: str) -> dict[str, Json]:
        """Give the definition that a board has."""
        return self.own.get(board, self.default)

    def stored(self, board: str) -> dict[Key, dict[str, Held]]:
        """Give what is kept of a board, after taking away what time has ended."""
        definition, periods = self.definition(board), self.boards.setdefault(board, {})
        ttl = definition["ttl"]
        if ttl and self.now >= self.touched.get(board, self.now) + int(ttl[:-1]) * UNITS[ttl[-1]]:
            periods.clear()
        for key in [key for key, entries in periods.items() if not entries]:
            del periods[key]
        return periods

    def seen(self, board: str, key: Key) -> dict[str, Held]:
        """Give the entries that a read of a board or of a period finds."""
        if self.hidden(board) or (key[0] and not self.is_kept(board, key)):
            return {}
        return self.stored(board).get(key, {})

    def hidden(self, board: str) -> bool:
        """Tell whether a board is as one that does not exist."""
        return self.declared_only and board not in self.own

    def is_kept(self, board: str, key: Key) -> bool:
        """Tell whether a period may be read."""
        definition, (window, period) = self.definition(board), key
        zone, past = definition["time_zone"], definition["keep"].get(window)
        current = period_now(window, zone, self.now)
        oldest = "" if past is None else period_name(window, zone, current - past)
        return oldest <= period <= period_name(window, zone, current)

    def current(self, board: str, window: str) -> str:
        """Name the current period of a window."""
        zone = self.definition(board)["time_zone"]
        return period_name(window, zone, period_now(window, zone, self.now))

    def key(self, board: str, window: str | None, period: str | None) -> Key:
        """Tell what a request is about."""
        if window is None:
            return ALL_TIME
        if window not in self.definition(board)["windows"]:
            raise Problem(400, "window")
        return window, period or self.current(board, window)

    # Submitting

    def attempt(self, board: str, name: str, score: float, metadata: Json) -> Json:
        """Submit one score to a board and its periods; give the receipt."""
        definition = self.definition(board)
        keys = [ALL_TIME, *((window, self.current(board, window)) for window in definition["windows"])]
        periods = self.stored(board)
        if definition["scores"]["integer"] and score != int(score):
            raise Problem(422, "integer")
        results = {key: self.result(definition, periods.get(key, {}).get(name), score) for key in keys}
        self.check_bounds(definition, results[ALL_TIME] if definition["operator"] == "increment" else score)
        before = self.ranks(board, ALL_TIME, shown=True).get(name)
        self.sequence += 1
        counted = {
            key
            for key in keys
            if self.counts(definition, periods.get(key, {}).get(name), score, results[key], metadata)
        }
        for key in counted:
            held = Held(results[key], self.sequence, int(self.now * 1000), metadata)
            periods.setdefault(key, {})[name] = held
        self.touched[board] = self.now
        self.prune(board)
        after = self.ranks(board, ALL_TIME, shown=True)[name]
        return after | {"previous": before, "changed": ALL_TIME in counted}

    def prune(self, board: str) -> None:
        """Forget the periods that are no longer kept."""
        periods = self.boards[board]
        for key in [key for key in periods if key[0] and not self.is_kept(board, key)]:
            del periods[key]

    @staticmethod
    def result(definition: dict[str, Json], held: Held | None, score: float) -> float:
        """Give the score that a name has where an attempt counts."""
        if definition["operator"] != "increment":
            return score
        both = (held.score if held else 0, score)
        total = sum(both)
        if all(float(one).is_integer() for one in both) and isfinite(total):
            total = sum(map(int, both))
        if not isfinite(total) or float(total) != total:
            raise Problem(422, "sum")
        return total

    @staticmethod
    def counts(definition: dict[str, Json], held: Held | None, score: float, result: float, metadata: Json) -> bool:
        """Tell whether an attempt counts."""
        if held is None or (metadata is not None and result == held.score):
            return True
        if definition["operator"] == "best":
            return score > held.score if definition["order"] == "descending" else score < held.score
        return result != held.score

    @staticmethod
    def check_bounds(definition: dict[str, Json], score: float) -> None:
        """Refuse a score that the board does not take."""
        bounds = definition["scores"]
        low, high = bounds["min"], bounds["max"]
        if (low is not None and score < low) or (high is not None and score > high):
            raise Problem(422, "bounds")
        if bounds["integer"] and score != int(score):
            raise Problem(422, "integer")

    def named(self, board: str, window: str | None, back: int) -> dict[str, str | None]:
        """Name a window, and its period ``back`` periods ago: 0 is the current one, unnamed, and 4 the next."""
        if window is None:
            return {"window": None, "period": None}
        zone = self.definition(board)["time_zone"]
        current = period_now(window, zone, self.now)
        number = current + 1 if back == 4 else current - back
        return {"window": window, "period": period_name(window, zone, number) if back else None}

    def check_declared(self, board: str) -> None:
        """Refuse a submit to a board that must be declared and is not."""
        if self.hidden(board):
            raise Problem(404, "declared")

    def submit(self, board: str, name: str, score: float, metadata: Json, key: str | None) -> Json:
        """Submit once; give the receipt."""
        self.check_declared(board)
        return self.do_once(
            (board, name, key), [name, score, metadata], lambda: self.attempt(board, name, score, metadata)
        )

    def batch(self, board: str, attempts: list[tuple[str, float, Json]], key: str | None) -> Json:
        """Submit each on its own; give how many were kept, and which were not."""
        self.check_declared(board)
        return self.do_once((board, None, key), attempts, lambda: self.each(board, attempts))

    def each(self, board: str, attempts: list[tuple[str, float, Json]]) -> Json:
        """Submit one after another."""
        refused = []
        for index, (name, score, metadata) in enumerate(attempts):
            try:
                self.attempt(board, name, score, metadata)
            except Problem:
                refused.append((index, name))
        return {"accepted": len(attempts) - len(refused), "refused": refused}

    def do_once(self, scope: tuple[str, str | None, str | None], attempts: Json, act: Any) -> Json:
        """Act, or give the answer that the key has."""
        board, name, key = scope
        if key is None:
            return act()
        kept, told = self.once.get((board, name, key)), json.dumps(attempts)
        if kept is None or self.now >= kept.at + KEY_SECONDS:
            kept = self.once[board, name, key] = Kept(self.now, told, act())
        elif kept.attempts != told:
            raise Problem(422, "key")
        return kept.answer

    # Reading

    def ranks(self, board: str, key: Key, *, shown: bool = False) -> dict[str, Json]:
        """Give all entries of a board in their order, with their ranks; ``shown`` as a standing."""
        definition, entries = self.definition(board), self.seen(board, key)
        sign = -1 if definition["order"] == "descending" else 1
        names = sorted(entries, key=str.encode, reverse=sign < 0)
        if definition["ties"] != "name":
            names.sort(key=lambda name: entries[name].sequence, reverse=definition["ties"] == "latest")
        names.sort(key=lambda name: sign * entries[name].score)
        scores = [entries[name].score for name in names]
        return {
            name: {"score": entries[name].score, "rank": rank} if shown else self.entry(name, entries[name], rank)
            for name, rank in zip(names, ranked(definition["ranking"], scores), strict=True)
        }

    @staticmethod
    def entry(name: str, held: Held, rank: int) -> Json:
        """Give an entry with all that may be included."""
        at = datetime.fromtimestamp(held.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"name": name, "score": held.score, "rank": rank, "metadata": held.metadata, "submittedAt": at}

    def page(self, board: str, key: Key, start: int, stop: int) -> list[Json]:
        """Give the entries of some places."""
        return list(self.ranks(board, key).values())[start:stop]

    def standing(self, board: str, key: Key, name: str) -> Json:
        """Give a standing."""
        return self.ranks(board, key, shown=True).get(name, {"score": 0, "rank": None})

    def after(self, board: str, place: Place, size: int) -> list[Json]:
        """Give the entries that stand behind a place, be it anybody's or not."""
        key = self.key(board, place.window or None, place.period)
        behind = [name for name, held in self.seen(board, key).items() if self.is_behind(board, name, held, place)]
        return [entry for name, entry in self.ranks(board, key).items() if name in behind][:size]

    def is_behind(self, board: str, name: str, held: Held, place: Place) -> bool:
        """Tell whether an entry stands behind a place."""
        definition = self.definition(board)
        falls: bool = definition["order"] == "descending"
        if held.score != place.score:
            return (held.score < place.score) == falls
        if definition["ties"] == "name":
            return name != place.name and (name.encode() < place.name.encode()) == falls
        return held.sequence != place.sequence and (held.sequence > place.sequence) == (
            definition["ties"] == "earliest"
        )

    def around(self, board: str, key: Key, name: str, span: int) -> list[Json]:
        """Give a name and its neighbours."""
        order = list(self.ranks(board, key))
        if name not in order:
            raise Problem(404, "around")
        place = order.index(name)
        return self.page(board, key, max(place - span, 0), place + span + 1)

    def entries_named(self, board: str, key: Key, names: list[str]) -> Json:
        """Give some names' entries, and who is missing."""
        ranks = self.ranks(board, key)
        return [entry for name, entry in ranks.items() if name in names], [name for name in names if name not in ranks]

    def entries_between_scores(self, board: str, key: Key, low: float, high: float, limit: int) -> list[Json]:
        """Give the entries between two scores."""
        return [entry for entry in self.ranks(board, key).values() if low <= entry["score"] <= high][:limit]

    def rank_of(self, board: str, key: Key, score: float) -> Json:
        """Tell where a score would stand."""
        sign = -1 if self.definition(board)["order"] == "descending" else 1
        scores = [held.score for held in self.seen(board, key).values()]
        better = [other for other in scores if sign * other < sign * score]
        rank = len(set(better)) if self.definition(board)["ranking"] == "dense" else len(better)
        return {"rank": rank, "percentile": 100 * (len(scores) - len(better)) / len(scores) if scores else None}

    def figures(self, board: str, key: Key) -> Json:
        """Give the summary but for its histogram."""
        scores = [entry["score"] for entry in self.page(board, key, 0, 10**6)]
        worst_first = scores[::-1]
        percentiles = {str(p): worst_first[ceil(p * len(scores) / 100) - 1] if scores else None for p in (50, 90, 99)}
        best, worst = (scores[0], scores[-1]) if scores else (None, None)
        return {"count": len(scores), "best": best, "worst": worst, "percentiles": percentiles}

    def periods(self, board: str) -> list[Json]:
        """List the periods that have entries and are kept."""
        zone = self.definition(board)["time_zone"]
        found = []
        for window, period in sorted(key for key in self.stored(board) if self.seen(board, key) and key[0]):
            now = period_now(window, zone, self.now)
            number = next(n for n in range(now, now - 4000, -1) if period_name(window, zone, n) == period)
            found.append(
                {
                    "window": window,
                    "period": period,
                    "start": begins(window, zone, number).isoformat(),
                    "stop": begins(window, zone, number + 1).isoformat(),
                    "count": len(self.seen(board, (window, period))),
                    "current": number == now,
                }
            )
        return found

    # Changing

    def remove(self, board: str, key: Key, name: str | None) -> None:
        """Take a name, or all, off a board with its periods, or off one period, be they in sight or not."""
        for one, entries in self.stored(board).items():
            for gone in [other for other in entries if key in {one, ALL_TIME} and name in {other, None}]:
                del entries[gone]

    def check_change(self, board: str, new: dict[str, Json]) -> None:
        """Refuse a definition that the entries of a board contradict."""
        old, stored = self.definition(board), self.stored(board)
        windows = {window for window, _ in stored if window}
        if board in self.file:
            raise Problem(409, "file")
        if stored and any(old[field] != new[field] for field in ("order", "operator", "ties")):
            raise Problem(409, "entries")
        if windows and (old["time_zone"] != new["time_zone"] or windows - set(new["windows"])):
            raise Problem(409, "periods")
        try:
            for held in stored.get(ALL_TIME, {}).values():
                self.check_bounds(new, held.score)
        except Problem as problem:
            raise Problem(409, "bounds") from problem

    def define(self, board: str, definition: dict[str, Json]) -> Json:
        """Give a board a definition of its own; give it back with all its fields."""
        new = whole(definition)
        self.check_change(board, new)
        self.change_ttl(board, new)
        self.own[board] = new
        return new

    def change_ttl(self, board: str, new: dict[str, Json]) -> None:
        """Let the time of a board that was given a time to live count from now."""
        if new["ttl"] and not self.definition(board)["ttl"]:
            self.touched[board] = self.now

    def undefine(self, board: str) -> None:
        """Take a board's own definition away."""
        self.check_change(board, self.default)
        self.change_ttl(board, self.default)
        self.own.pop(board, None)

    def shown_definition(self, board: str) -> Json:
        """Give the definition of a board that there is."""
        if board not in self.own and (self.hidden(board) or not self.stored(board).get(ALL_TIME)):
            raise Problem(404, "board")
        return self.definition(board)

    def listed(self) -> list[Json]:
        """Give all boards that there are, with their definitions."""
        there = {board for board in self.boards if not self.hidden(board) and self.stored(board).get(ALL_TIME)}
        return [
            {"name": board, "declared": board in self.own, "definition": self.definition(board)}
            for board in sorted(there | set(self.own), key=str.encode)
        ]
