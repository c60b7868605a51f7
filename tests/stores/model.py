"""What boards should be, as simply as possible: dictionaries, sorted anew for each read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf, isfinite
from typing import TYPE_CHECKING, TypeVar, cast

from msgspec import structs

from laurels.definition import DEFAULT_DEFINITION, Definition
from laurels.errors import DefinitionConflict, KeyReused, ScoreRefused, TooManyRequests
from laurels.stores.contract import (
    Board,
    Change,
    Feed,
    FullSubmission,
    HiddenStanding,
    Refusal,
    Standing,
    Submission,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from laurels.stores.contract import IdempotencyKey, Score

T = TypeVar("T")

LIFETIME = 24 * 3600


class RefusedByModel(Exception):
    """The submission cannot be kept."""


@dataclass(frozen=True)
class Row:
    """An entry: its name and score, the number of its submission, its metadata, and the time that it counts as of."""

    name: str
    score: Score
    number: int
    metadata: bytes | None
    time: float = inf
    """Of one that is not dated it is later than of any that is."""


@dataclass
class Model:
    """All boards by key, and the time."""

    entries: dict[str, dict[str, Row]] = field(default_factory=dict)
    declared: dict[str, Definition] = field(default_factory=dict)
    default: Definition = DEFAULT_DEFINITION
    now: float = 2_000_000_000.0
    latest: float = 0.0
    day: int = 10
    submissions: int = 0
    renewed: dict[str, float] = field(default_factory=dict)
    answers: dict[bytes, tuple[bytes, float, object]] = field(default_factory=dict)
    hidden: set[tuple[str, str]] = field(default_factory=set)
    held: dict[str, dict[str, Row]] = field(default_factory=dict)
    meters: dict[tuple[str, str], float] = field(default_factory=dict)
    """Boards and names; their rows are among the entries."""

    def definition(self, name: str) -> Definition:
        """Return the definition of a board."""
        return self.declared.get(name, self.default)

    def board(self, name: str, *, day: int | None = None) -> Board:
        """Return a board with what it feeds today, or one day of it."""
        definition = self.definition(name)
        if day is not None:
            return Board(name, definition, "daily", f"2026-11-{day:02}")
        feeds = {
            "daily": Feed("daily", f"2026-11-{self.day:02}", f"2026-11-{self.day - 1:02}"),
            "weekly": Feed("weekly", "W"),
        }
        return Board(name, definition, feeds=tuple(feeds[window] for window in definition.windows))

    def of(self, board: Board) -> dict[str, Row]:
        """Return the entries of a board, or of a period of it."""
        self.pass_time()
        return self.entries.get(board.key, {})

    def pass_time(self) -> None:
        """Remove boards whose time is over; time does not go back."""
        self.latest = max(self.latest, self.now)
        for name, renewed in list(self.renewed.items()):
            ttl = self.definition(name).ttl_seconds
            if ttl is not None and renewed + ttl <= self.latest:
                self.drop(Board(name))

    def keys(self, board: Board) -> list[str]:
        """Return the existing keys of a board and its periods, or of one period."""
        self.pass_time()
        return [key for key in self.entries if key == board.key or key.startswith(f"{board.key}\n")]

    # Changes

    def submit(self, board: Board, submission: Submission) -> bool | None:
        """Submit to a board and what it feeds; return whether that changed anything, None if it is held."""
        self.pass_time()
        self.submissions += 1
        if isinstance(submission, FullSubmission):
            board = structs.replace(board, feeds=submission.feeds)
        keys = [board.name, *(key_of(board.name, feed.window, feed.period) for feed in board.feeds)]
        rows = [self.weigh(board, self.entries.get(key, {}).get(submission.name), submission) for key in keys]
        if operator_of(board, submission) == "increment":
            self.check_bounds(board.definition, rows[0])
        has_operator = isinstance(submission, FullSubmission) and submission.operator
        if board.definition.guard and not has_operator and self.judge(board, rows[0], submission):
            if board.definition.ttl:
                self.renewed[board.name] = self.latest
            return None
        return self.keep(board, keys, rows)

    def judge(self, board: Board, row: Row, submission: Submission) -> bool:
        """Refuse what the guard of a board does not take; hold what it holds, and return whether it did."""
        definition, name, score = board.definition, submission.name, submission.score
        guard, adds, sign = definition.guard, definition.operator == "increment", definition.order == "descending" or -1
        assert guard is not None
        had = self.entries.get(board.name, {}).get(name)
        before = 0 if adds else had.score if had else None
        meter = self.meters.get((board.name, name), 0)
        if guard.rate:
            count, seconds = guard.rate
            meter = max(meter, self.now) + seconds / count
            if meter > self.now + seconds:
                raise TooManyRequests("Too often.", 1, "entries", [])
        if guard.max_step is not None and before is not None and (score - before) * sign > guard.max_step:
            raise ScoreRefused("The step is too long.")
        over = (row.score if adds else score) * sign
        is_held = guard.hold_above is not None and over > guard.hold_above * sign
        if is_held:
            held = self.held.get(board.name, {})
            held[name] = self.weigh(board, held.get(name), submission)
            self.held[board.name] = held
        self.meters[board.name, name] = meter
        return is_held

    def keep(self, board: Board, keys: list[str], rows: list[Row]) -> bool:
        """Give a name these entries; return whether that changed anything."""
        self.prune(board)
        before = [self.entries.get(key, {}).get(row.name) for key, row in zip(keys, rows, strict=True)]
        for key, row in zip(keys, rows, strict=True):
            self.entries.setdefault(key, {})[row.name] = row
        if board.definition.ttl:
            self.renewed[board.name] = self.latest
        return rows != before

    def weigh(self, board: Board, had: Row | None, submission: Submission) -> Row:
        """Return the entry that a key will have which has this one."""
        score = submission.score
        operator, time = operator_of(board, submission), inf
        if isinstance(submission, FullSubmission) and submission.submitted_at is not None:
            time = submission.submitted_at
        new = Row(submission.name, score, self.submissions, submission.metadata, time)
        return self.weigh_row(board.definition, operator, had, new)

    def weigh_row(self, definition: Definition, operator: str, had: Row | None, new: Row) -> Row:
        """Return the entry that there will be after one and a submission."""
        score = new.score
        if had is None:
            return new
        if (new.time, new.number) < (had.time, had.number):
            return self.weigh_older(definition, operator, had, new)
        if operator == "best" and score != had.score:
            return new if (score > had.score) == (definition.order == "descending") else had
        if operator == "increment":
            score = exact_sum(had.score, score)
            new = replace(new, score=score)
        if score != had.score:
            return new
        if new.metadata is None:
            return had
        return new if operator == "increment" else replace(had, metadata=new.metadata)

    @staticmethod
    def weigh_older(definition: Definition, operator: str, had: Row, new: Row) -> Row:
        """Return the entry after a submission as of a time before its own."""
        if operator == "increment":
            return replace(had, score=exact_sum(had.score, new.score))
        if operator == "latest":
            return had
        if new.score == had.score:
            return replace(new, metadata=new.metadata or had.metadata)
        return new if (new.score > had.score) == (definition.order == "descending") else had

    @staticmethod
    def check_bounds(definition: Definition, row: Row) -> None:
        """Refuse a sum out of bounds; other scores are not a store's concern."""
        bounds = definition.scores
        if (
            (bounds.min is not None and row.score < bounds.min)
            or (bounds.max is not None and row.score > bounds.max)
            or (bounds.integer and row.score != int(row.score))
        ):
            raise ScoreRefused("The sum is out of bounds.")

    def prune(self, board: Board) -> None:
        """Let periods go that are no longer kept, where one begins."""
        for feed in board.feeds:
            if key_of(board.name, feed.window, feed.period) not in self.entries:
                window = f"{board.name}\n{feed.window}\n"
                for key in [key for key in self.entries if key.startswith(window)]:
                    if key.removeprefix(window) < feed.oldest:
                        del self.entries[key]

    def change(self, board: Board, submission: Submission) -> Change:
        """Submit, and tell the standings on either side."""
        before = self.standing(board, submission.name) if submission.name in self.of(board) else None
        counted = self.submit(board, submission)
        after = self.standing(board, submission.name) or Standing(0, None)
        return Change(before, after, bool(counted), counted is None)

    def release(self, board: Board, name: str) -> bool:
        """Let what is held of a name count; return whether anything was."""
        self.pass_time()
        self.submissions += 1
        row = self.held.get(board.name, {}).get(name)
        if row is None:
            return False
        operator = board.definition.operator
        keys = [board.name, *(key_of(board.name, feed.window, feed.period) for feed in board.feeds)]
        rows = [self.weigh_row(board.definition, operator, self.entries.get(key, {}).get(name), row) for key in keys]
        if operator == "increment":
            self.check_bounds(board.definition, rows[0])
        self.keep(board, keys, rows)
        return self.reject(board, name)

    def reject(self, board: Board, name: str) -> bool:
        """Forget what is held of a name; return whether anything was."""
        self.pass_time()
        was_held = self.held.get(board.name, {}).pop(name, None) is not None
        if not self.held.get(board.name):
            self.held.pop(board.name, None)
        return was_held

    def held_rows(self, board: Board) -> list[Row]:
        """Return what is held on a board."""
        self.pass_time()
        return ordered(board.definition, self.held.get(board.name, {}).values())

    def submit_many(self, board: Board, batch: Sequence[Submission | Refusal]) -> list[int]:
        """Submit one after the other, and return the indexes of the refused."""
        refused = []
        for place, submission in enumerate(batch):
            if isinstance(submission, Refusal):
                refused.append(place)
                continue
            try:
                self.submit(board, submission)
            except (ScoreRefused, TooManyRequests):
                refused.append(place)
        return refused

    def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> bool:
        """Replace the metadata of a name on a board and what it feeds, or on one period; return whether it is there."""
        self.pass_time()
        keys = [board.key, *(key_of(board.name, feed.window, feed.period) for feed in board.feeds)]
        found = {key: self.entries[key][name] for key in keys if name in self.entries.get(key, {})}
        for key, row in found.items():
            self.entries[key][name] = replace(row, metadata=metadata)
        return board.key in found

    def remove(self, board: Board, name: str) -> bool:
        """Remove a name from a board and its periods, or from one period."""
        found = [self.entries[key].pop(name, None) for key in self.keys(board)]
        self.entries = {key: entries for key, entries in self.entries.items() if entries}
        was_held = not board.window and self.reject(board, name)
        return any(found) or was_held

    def drop(self, board: Board) -> bool:
        """Remove a board with its periods, or one of these."""
        keys = [key for key in self.entries if key == board.key or key.startswith(f"{board.key}\n")]
        for key in keys:
            del self.entries[key]
        was_held = False
        if not board.window:
            self.renewed.pop(board.name, None)
            was_held = self.held.pop(board.name, None) is not None
        return bool(keys) or was_held

    def contradicts(self, name: str, new: Definition) -> bool:
        """Return whether a board's entries contradict another definition."""
        old, rows = self.definition(name), self.of(Board(name)).values()
        windows = {key.split("\n")[1] for key in self.keys(Board(name)) if "\n" in key}
        same = (old.order, old.operator, old.ties) == (new.order, new.operator, new.ties)
        low, high = new.scores.min, new.scores.max
        within = all((low is None or low <= row.score) and (high is None or row.score <= high) for row in rows)
        return bool(rows or self.held.get(name)) and not (same and within and windows <= set(new.windows))

    def define(self, name: str, definition: Definition | None) -> bool:
        """Define a board, or with None no longer; return whether it was defined."""
        if self.contradicts(name, definition or self.default):
            raise DefinitionConflict(name, "of its entries")
        had = self.declared.pop(name, None) is not None
        if definition:
            self.declared[name] = definition
        self.adapt(name)
        return had

    def adapt(self, name: str) -> None:
        """Count the time of a board from now if it had no ttl before."""
        if (name in self.entries or name in self.held) and self.definition(name).ttl:
            self.renewed.setdefault(name, self.latest)
        else:
            self.renewed.pop(name, None)

    def do_once(self, once: IdempotencyKey | None, operation: Callable[[], T]) -> T:
        """Do what was not done with its key, and return the first answer."""
        self.pass_time()
        if once is None:
            return operation()
        found, when, answer = self.answers.get(once.key, (b"", -LIFETIME, None))
        if when + LIFETIME <= self.latest:
            answer = operation()
            self.answers[once.key] = once.fingerprint, self.latest, answer
        elif found != once.fingerprint:
            raise KeyReused
        return cast("T", answer)

    def hide(self, board: Board, name: str) -> bool:
        """Hide a name; return whether it was not hidden."""
        was_shown = self.is_shown(board, name)
        self.hidden.add((board.name, name))
        return was_shown

    def show(self, board: Board, name: str) -> bool:
        """Show a name; return whether it was hidden."""
        was_hidden = not self.is_shown(board, name)
        self.hidden.discard((board.name, name))
        return was_hidden

    # Questions

    def is_shown(self, board: Board, name: str) -> bool:
        """Return whether a name is not hidden."""
        return (board.name, name) not in self.hidden

    def shown_keys(self) -> list[str]:
        """Return the keys that look as if they were there."""
        return [
            key
            for key, rows in self.entries.items()
            if any(self.is_shown(Board(key.partition("\n")[0]), name) for name in rows)
        ]

    def hidden_rows(self, board: Board) -> list[tuple[str, Row | None]]:
        """Return the hidden names of a board, each with its entry."""
        names = sorted((name for on, name in self.hidden if on == board.name), key=str.encode)
        return [(name, self.of(board).get(name)) for name in names]

    def page(self, board: Board) -> list[tuple[Row, int]]:
        """Return all entries in order, each with its rank."""
        rows = ordered(board.definition, [row for row in self.of(board).values() if self.is_shown(board, row.name)])
        scores = [row.score for row in rows]
        return [(row, rank_of(board.definition, scores, place)) for place, row in enumerate(rows)]

    def after(self, board: Board, row: Row) -> list[tuple[Row, int]]:
        """Return what comes after the place of an entry, whether or not it is there now."""
        page = self.page(board)
        rows = ordered(board.definition, {row, *(each for each, _ in page)})
        return page[-len(behind) :] if (behind := rows[rows.index(row) + 1 :]) else []

    def standing(self, board: Board, name: str) -> Standing | None:
        """Return the standing of a name."""
        if not self.is_shown(board, name):
            row = self.of(board).get(name)
            return HiddenStanding(row.score if row else 0)
        return next((Standing(row.score, rank) for row, rank in self.page(board) if row.name == name), None)


def operator_of(board: Board, submission: Submission) -> str:
    """Return the operator by which a submission counts."""
    return (isinstance(submission, FullSubmission) and submission.operator) or board.definition.operator


def ordered(definition: Definition, rows: Iterable[Row]) -> list[Row]:
    """Return entries in the order of a board."""
    found = sorted(rows, key=lambda row: row.name.encode(), reverse=definition.order == "descending")
    if definition.ties != "name":
        found.sort(key=lambda row: (row.time, row.number), reverse=definition.ties == "latest")
    return sorted(found, key=lambda row: row.score, reverse=definition.order == "descending")


def rank_of(definition: Definition, scores: Sequence[Score], place: int) -> int:
    """Return the rank of the entry at a place, by the scores in order."""
    better = scores[: scores.index(scores[place])]
    return {"ordinal": place, "competition": len(better), "dense": len(set(better))}[definition.ranking]


def exact_sum(had: Score, score: Score) -> Score:
    """Add as boards do: as doubles, but never losing a digit of whole numbers, nor a thousandth of any other."""
    total = float(had) + float(score)
    allowed = 0 if all(map(is_whole, (had, score))) else abs(Fraction(score)) / 1000
    if not isfinite(total) or abs(Fraction(total) - Fraction(had) - Fraction(score)) > allowed:
        raise ScoreRefused("There is no such sum.")
    return int(total) if is_whole(total) else total


def is_whole(score: Score) -> bool:
    """Return whether a score is a whole number."""
    return float(score).is_integer()


def shown_rows(page: Iterable[tuple[Row, int]]) -> list[tuple[str, Score, int]]:
    """Return what a client sees of entries."""
    return [(row.name, row.score, rank) for row, rank in page]
