"""A naive model of the service, written from the contract alone: a board is a dictionary, every read a sort."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime, time
from fractions import Fraction
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "guard": None,
    "title": None,
    "display": None,
    "partitions": 1,
}


def complete(definition: dict[str, Json]) -> dict[str, Json]:
    """Return a definition with all its fields."""
    full = deepcopy(DEFAULT) | definition
    return full | {"scores": DEFAULT["scores"] | full["scores"]}


class Entry(NamedTuple):
    """The entry of a name on a board."""

    score: float
    sequence: int
    at: int
    """In milliseconds since the epoch."""
    metadata: Json


class Place(NamedTuple):
    """The place on a board that a cursor names."""

    window: str
    period: str
    name: str
    score: float
    sequence: int


class KeyedRequest(NamedTuple):
    """A request with an idempotency key, and its response."""

    at: float
    submissions: str
    response: Json


class Problem(Exception):
    """A response with the status of an error."""

    def __init__(self, status: int, what: str = "") -> None:
        self.status = status
        super().__init__(status, what)


def period_now(window: str, zone: str, now: float) -> int:
    """Return the number of the period that ``now`` is in; periods are numbered consecutively."""
    clock = datetime.fromtimestamp(now, ZoneInfo(zone))
    day = clock.toordinal()
    return {
        "daily": day,
        "weekly": (day - 1) // 7,
        "monthly": clock.year * 12 + clock.month - 1,
        SIX_HOURS: day * 4 + clock.hour // 6,
    }[window]


def period_begin(window: str, zone: str, number: int) -> datetime:
    """Return the moment at which a period begins, in its board's time zone."""
    day = {
        "daily": lambda: date.fromordinal(number),
        "weekly": lambda: date.fromordinal(number * 7 + 1),
        "monthly": lambda: date(number // 12, number % 12 + 1, 1),
        SIX_HOURS: lambda: date.fromordinal(number // 4),
    }[window]()
    return datetime.combine(day, time(number % 4 * 6 if window == SIX_HOURS else 0), ZoneInfo(zone))


def period_name(window: str, zone: str, number: int) -> str:
    """Return the name of a period."""
    begin = period_begin(window, zone, number)
    if window == SIX_HOURS:
        return f"{begin.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    year, week, _ = begin.isocalendar()
    return {"daily": f"{begin:%Y-%m-%d}", "weekly": f"{year}-W{week:02}", "monthly": f"{begin:%Y-%m}"}[window]


def ranks_of(ranking: str, scores: list[float]) -> list[int]:
    """Return the ranks of scores that are in the order of their board."""
    if ranking == "ordinal":
        return list(range(len(scores)))
    if ranking == "competition":
        return [scores.index(score) for score in scores]
    return [list(dict.fromkeys(scores)).index(score) for score in scores]


class Model:
    """All boards."""

    def __init__(self, now: float, default: dict[str, Json], file: dict[str, dict[str, Json]], *, only: bool) -> None:
        self.now = now
        self.default = complete(default)
        self.file = {name: complete(definition) for name, definition in file.items()}
        self.own = dict(self.file)
        self.declared_only = only
        self.sequence = 0
        self.boards: dict[str, dict[Key, dict[str, Entry]]] = {}
        self.touched: dict[str, float] = {}
        self.keyed: dict[tuple[str, str | None, str], KeyedRequest] = {}

    # State

    def definition(self, board: str) -> dict[str, Json]:
        """Return the definition of a board."""
        return self.own.get(board, self.default)

    def stored(self, board: str) -> dict[Key, dict[str, Entry]]:
        """Return the periods stored of a board, without those that have expired or are empty."""
        definition, periods = self.definition(board), self.boards.setdefault(board, {})
        ttl = definition["ttl"]
        if ttl and self.now >= self.touched.get(board, self.now) + int(ttl[:-1]) * UNITS[ttl[-1]]:
            periods.clear()
        for key in [key for key, entries in periods.items() if not entries]:
            del periods[key]
        return periods

    def visible(self, board: str, key: Key) -> dict[str, Entry]:
        """Return the entries that a read of a board or of a period finds."""
        if self.hidden(board) or (key[0] and not self.is_kept(board, key)):
            return {}
        return self.stored(board).get(key, {})

    def hidden(self, board: str) -> bool:
        """Return whether a board reads as one that does not exist."""
        return self.declared_only and board not in self.own

    def is_kept(self, board: str, key: Key) -> bool:
        """Return whether a period can be read."""
        definition, (window, period) = self.definition(board), key
        zone, past = definition["time_zone"], definition["keep"].get(window)
        current = period_now(window, zone, self.now)
        oldest = "" if past is None else period_name(window, zone, current - past)
        return oldest <= period <= period_name(window, zone, current)

    def current(self, board: str, window: str) -> str:
        """Return the name of the current period of a window."""
        zone = self.definition(board)["time_zone"]
        return period_name(window, zone, period_now(window, zone, self.now))

    def key(self, board: str, window: str | None, period: str | None) -> Key:
        """Return the key of the period that a request names."""
        if window is None:
            return ALL_TIME
        if window not in self.definition(board)["windows"]:
            raise Problem(400, "window")
        return window, period or self.current(board, window)

    # Submits

    def submit_once(self, board: str, name: str, score: float, metadata: Json) -> Json:
        """Submit one score to a board and its periods; return the receipt."""
        definition = self.definition(board)
        keys = [ALL_TIME, *((window, self.current(board, window)) for window in definition["windows"])]
        periods = self.stored(board)
        if definition["scores"]["integer"] and score != int(score):
            raise Problem(422, "integer")
        results = {key: self.result(definition, periods.get(key, {}).get(name), score) for key in keys}
        self.check_bounds(definition, results[ALL_TIME] if definition["operator"] == "increment" else score)
        before = self.standings(board, ALL_TIME).get(name)
        self.sequence += 1
        changed = False
        for key in keys:
            old = periods.get(key, {}).get(name)
            entry = Entry(results[key], self.sequence, int(self.now * 1000), metadata)
            if old and results[key] == old.score and definition["operator"] != "increment":
                entry = old._replace(metadata=metadata)  # the same score again: it keeps its time and its place
            if self.counts(definition, old, score, entry):
                periods.setdefault(key, {})[name] = entry
                changed = True
        self.touched[board] = self.now
        self.prune(board)
        after = self.standings(board, ALL_TIME)[name]
        return after | {"previous": before, "changed": changed}

    def prune(self, board: str) -> None:
        """Delete the periods that are no longer kept."""
        periods = self.boards[board]
        for key in [key for key in periods if key[0] and not self.is_kept(board, key)]:
            del periods[key]

    @staticmethod
    def result(definition: dict[str, Json], old: Entry | None, score: float) -> float:
        """Return the score that a name has if a submission counts."""
        if definition["operator"] != "increment":
            return score
        both = (old.score if old else 0, score)
        total = sum(map(float, both))
        allowed = 0 if all(float(one).is_integer() for one in both) else abs(Fraction(score)) / 1000
        if not isfinite(total) or abs(Fraction(total) - sum(map(Fraction, both))) > allowed:
            raise Problem(422, "sum")
        return total

    @staticmethod
    def counts(definition: dict[str, Json], old: Entry | None, score: float, new: Entry) -> bool:
        """Return whether a submission counts, on its own or by its metadata."""
        if old is None:
            return True
        if new.score == old.score:
            is_other = definition["operator"] == "increment" or json.dumps(new.metadata) != json.dumps(old.metadata)
            return new.metadata is not None and is_other
        if definition["operator"] == "best":
            return score > old.score if definition["order"] == "descending" else score < old.score
        return True

    @staticmethod
    def check_bounds(definition: dict[str, Json], score: float) -> None:
        """Raise Problem if a score is out of the board's bounds."""
        bounds = definition["scores"]
        low, high = bounds["min"], bounds["max"]
        if (low is not None and score < low) or (high is not None and score > high):
            raise Problem(422, "bounds")
        if bounds["integer"] and score != int(score):
            raise Problem(422, "integer")

    def named(self, board: str, window: str | None, back: int) -> dict[str, str | None]:
        """Return the parameters for a period ``back`` periods ago: 0 is the current one, unnamed, and 4 the next."""
        if window is None:
            return {"window": None, "period": None}
        zone = self.definition(board)["time_zone"]
        current = period_now(window, zone, self.now)
        number = current + 1 if back == 4 else current - back
        return {"window": window, "period": period_name(window, zone, number) if back else None}

    def check_declared(self, board: str) -> None:
        """Raise Problem if the board must be declared and is not."""
        if self.hidden(board):
            raise Problem(404, "declared")

    def submit(self, board: str, name: str, score: float, metadata: Json, key: str | None) -> Json:
        """Submit one score, once if it has a key; return the receipt."""
        self.check_declared(board)
        return self.do_once(
            (board, name, key), [name, score, metadata], lambda: self.submit_once(board, name, score, metadata)
        )

    def batch(self, board: str, submissions: list[tuple[str, float, Json]], key: str | None) -> Json:
        """Submit each on its own, once if they have a key; return how many were accepted, and which were refused."""
        self.check_declared(board)
        return self.do_once((board, None, key), submissions, lambda: self.submit_each(board, submissions))

    def submit_each(self, board: str, submissions: list[tuple[str, float, Json]]) -> Json:
        """Submit one after another."""
        refused = []
        for index, (name, score, metadata) in enumerate(submissions):
            try:
                self.submit_once(board, name, score, metadata)
            except Problem:
                refused.append((index, name))
        return {"accepted": len(submissions) - len(refused), "refused": refused}

    def do_once(
        self, scope: tuple[str, str | None, str | None], submissions: Json, operation: Callable[[], Json]
    ) -> Json:
        """Do the operation, or return the response to an earlier request with the same key."""
        board, name, key = scope
        if key is None:
            return operation()
        earlier, sent = self.keyed.get((board, name, key)), json.dumps(submissions)
        if earlier is None or self.now >= earlier.at + KEY_SECONDS:
            earlier = self.keyed[board, name, key] = KeyedRequest(self.now, sent, operation())
        elif earlier.submissions != sent:
            raise Problem(422, "key")
        return earlier.response

    # Reads

    def entries(self, board: str, key: Key) -> dict[str, Json]:
        """Return all entries of a board in order, by name, with all that may be included."""
        definition, entries = self.definition(board), self.visible(board, key)
        sign = -1 if definition["order"] == "descending" else 1
        names = sorted(entries, key=str.encode, reverse=sign < 0)
        if definition["ties"] != "name":
            names.sort(key=lambda name: entries[name].sequence, reverse=definition["ties"] == "latest")
        names.sort(key=lambda name: sign * entries[name].score)
        scores = [entries[name].score for name in names]
        ranks = ranks_of(definition["ranking"], scores)
        return {
            name: self.write_entry(name, entries[name], rank) | {"place": place}
            for place, (name, rank) in enumerate(zip(names, ranks, strict=True))
        }

    def standings(self, board: str, key: Key) -> dict[str, Json]:
        """Return score and rank of all names."""
        return {
            name: {"score": entry["score"], "rank": entry["rank"]} for name, entry in self.entries(board, key).items()
        }

    @staticmethod
    def write_entry(name: str, entry: Entry, rank: int) -> Json:
        """Return an entry as a response has it."""
        at = datetime.fromtimestamp(entry.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"name": name, "score": entry.score, "rank": rank, "metadata": entry.metadata, "submittedAt": at}

    def page(self, board: str, key: Key, start: int, stop: int) -> list[Json]:
        """Return the entries of a range of places."""
        return list(self.entries(board, key).values())[start:stop]

    def standing(self, board: str, key: Key, name: str) -> Json:
        """Return a standing."""
        return self.standings(board, key).get(name, {"score": 0, "rank": None})

    def page_behind(self, board: str, place: Place, size: int) -> list[Json]:
        """Return the entries behind a place, whether or not an entry is still there."""
        key = self.key(board, place.window or None, place.period)
        behind = [name for name, entry in self.visible(board, key).items() if self.is_behind(board, name, entry, place)]
        return [entry for name, entry in self.entries(board, key).items() if name in behind][:size]

    def is_behind(self, board: str, name: str, entry: Entry, place: Place) -> bool:
        """Return whether an entry is behind a place."""
        definition = self.definition(board)
        falls: bool = definition["order"] == "descending"
        if entry.score != place.score:
            return (entry.score < place.score) == falls
        if definition["ties"] == "name":
            return name != place.name and (name.encode() < place.name.encode()) == falls
        is_later = entry.sequence > place.sequence
        return entry.sequence != place.sequence and is_later == (definition["ties"] == "earliest")

    def in_full(self, board: str, key: Key, name: str) -> Json:
        """Return all there is to say of a name."""
        entries = self.entries(board, key)
        entry = entries.get(name)
        windows = {}
        for window in self.definition(board)["windows"]:
            standing = self.standings(board, (window, self.current(board, window))).get(name)
            windows[window] = standing
        full = {"total": len(entries), "windows": windows}
        if entry is None:
            nothing = ("rank", "place", "percentile", "metadata", "submittedAt")
            return full | dict.fromkeys(nothing) | {"score": 0}
        rank = self.rank_of(board, key, entry["score"])
        shown = {field: entry[field] for field in ("score", "rank", "place", "metadata", "submittedAt")}
        return full | shown | {"percentile": rank["percentile"]}

    def around_limited(self, board: str, key: Key, name: str, limit: int) -> list[Json]:
        """Return a name among so many entries, one by one from the nearest, those above first."""
        order = list(self.entries(board, key))
        if name not in order:
            raise Problem(404, "around")
        place = order.index(name)
        chosen = {place}
        for away in range(1, len(order)):
            for other in (place - away, place + away):
                if 0 <= other < len(order) and len(chosen) < limit:
                    chosen.add(other)
        return self.page(board, key, min(chosen), max(chosen) + 1)

    def around(self, board: str, key: Key, name: str, span: int) -> list[Json]:
        """Return a name and its neighbours."""
        order = list(self.entries(board, key))
        if name not in order:
            raise Problem(404, "around")
        place = order.index(name)
        return self.page(board, key, max(place - span, 0), place + span + 1)

    def entries_named(self, board: str, key: Key, names: list[str]) -> Json:
        """Return the entries of some names, and the names that are missing."""
        entries = self.entries(board, key)
        missing = [name for name in names if name not in entries]
        return [entry for name, entry in entries.items() if name in names], missing

    def entries_between_scores(self, board: str, key: Key, low: float, high: float, limit: int) -> list[Json]:
        """Return the entries between two scores."""
        return [entry for entry in self.entries(board, key).values() if low <= entry["score"] <= high][:limit]

    def rank_of(self, board: str, key: Key, score: float) -> Json:
        """Return the rank that a score would have."""
        sign = -1 if self.definition(board)["order"] == "descending" else 1
        scores = [entry.score for entry in self.visible(board, key).values()]
        better = [other for other in scores if sign * other < sign * score]
        rank = len(set(better)) if self.definition(board)["ranking"] == "dense" else len(better)
        return {"rank": rank, "percentile": 100 * (len(scores) - len(better)) / len(scores) if scores else None}

    def summary(self, board: str, key: Key) -> Json:
        """Return the summary without its histogram."""
        scores = [entry["score"] for entry in self.page(board, key, 0, 10**6)]
        worst_first = scores[::-1]
        percentiles = {str(p): worst_first[ceil(p * len(scores) / 100) - 1] if scores else None for p in (50, 90, 99)}
        best, worst = (scores[0], scores[-1]) if scores else (None, None)
        return {"count": len(scores), "best": best, "worst": worst, "percentiles": percentiles}

    def periods(self, board: str) -> list[Json]:
        """List the periods that have entries and are kept."""
        zone = self.definition(board)["time_zone"]
        found = []
        for window, period in sorted(key for key in self.stored(board) if self.visible(board, key) and key[0]):
            now = period_now(window, zone, self.now)
            number = next(n for n in range(now, now - 4000, -1) if period_name(window, zone, n) == period)
            found.append(
                {
                    "window": window,
                    "period": period,
                    "start": period_begin(window, zone, number).isoformat(),
                    "stop": period_begin(window, zone, number + 1).isoformat(),
                    "count": len(self.visible(board, (window, period))),
                    "current": number == now,
                }
            )
        return found

    # Other writes

    def remove(self, board: str, key: Key, name: str | None) -> None:
        """Remove a name, or all, from a board and its periods, or from one period, hidden or not."""
        for one, entries in self.stored(board).items():
            for gone in [other for other in entries if key in {one, ALL_TIME} and name in {other, None}]:
                del entries[gone]

    def check_change(self, board: str, new: dict[str, Json]) -> None:
        """Raise Problem if the entries of a board contradict a definition."""
        old, stored = self.definition(board), self.stored(board)
        windows = {window for window, _ in stored if window}
        if board in self.file:
            raise Problem(409, "file")
        if stored and any(old[field] != new[field] for field in ("order", "operator", "ties")):
            raise Problem(409, "entries")
        if windows and (old["time_zone"] != new["time_zone"] or windows - set(new["windows"])):
            raise Problem(409, "periods")
        try:
            for entry in stored.get(ALL_TIME, {}).values():
                self.check_bounds(new, entry.score)
        except Problem as problem:
            raise Problem(409, "bounds") from problem

    def define(self, board: str, definition: dict[str, Json]) -> Json:
        """Set a board's own definition; return it with all its fields."""
        new = complete(definition)
        self.check_change(board, new)
        self.change_ttl(board, new)
        self.own[board] = new
        return new

    def change_ttl(self, board: str, new: dict[str, Json]) -> None:
        """Start the time to live of a board that had none now."""
        if new["ttl"] and not self.definition(board)["ttl"]:
            self.touched[board] = self.now

    def undefine(self, board: str) -> None:
        """Delete a board's own definition."""
        self.check_change(board, self.default)
        self.change_ttl(board, self.default)
        self.own.pop(board, None)

    def read_definition(self, board: str) -> Json:
        """Return the definition of a board; raise Problem if there is no such board."""
        if board not in self.own and (self.hidden(board) or not self.stored(board).get(ALL_TIME)):
            raise Problem(404, "board")
        return self.definition(board)

    def list_boards(self) -> list[Json]:
        """Return all boards with their definitions."""
        filled = {board for board in self.boards if not self.hidden(board) and self.stored(board).get(ALL_TIME)}
        return [
            {"name": board, "declared": board in self.own, "definition": self.definition(board)}
            for board in sorted(filled | set(self.own), key=str.encode)
        ]
