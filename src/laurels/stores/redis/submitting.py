"""Submits: what their script is told, and what its answer means (``submit.lua``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laurels.clock import SECOND
from laurels.errors import KeyReused, LaurelsError, RunRefused, ScoreRefused
from laurels.stores.contract import (
    KEY_SECONDS,
    Change,
    FullSubmission,
    HiddenStanding,
    Refusal,
    Standing,
    Submission,
    SubmitResult,
)
from laurels.stores.guard import too_long_a_step, too_often
from laurels.stores.redis.keys import read_score, write_score
from laurels.stores.runs import USED, is_too_old, is_too_young, run_times, too_old, too_young
from laurels.stores.sums import add, check_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.definition import Definition, Guard, Runs
    from laurels.stores.contract import Board, Feed, IdempotencyKey

Word = bytes | str | int
FINGERPRINT_BYTES, TIME_DIGITS = 16, 16
"""Of what is kept of an idempotency key, before the first answer."""
_NO_GUARD = ("", "", "", "")


def bounds_words(definition: Definition) -> list[Word]:
    """Return the bounds of sums."""
    bounds = definition.scores
    return ["" if bounds.min is None else repr(bounds.min), "" if bounds.max is None else repr(bounds.max)]


def key_words(key: IdempotencyKey | None, seconds: int) -> list[Word]:
    """Return an idempotency key, and how long it is remembered."""
    return ["", b"", seconds] if key is None else [key.key.hex(), key.fingerprint, seconds]


def guard_words(guard: Guard | None) -> Sequence[Word]:
    """Return what a guard refuses and holds."""
    if guard is None:
        return _NO_GUARD
    rate = ""
    if guard.rate is not None:
        count, seconds = guard.rate
        rate = f"{seconds * SECOND // count} {seconds * SECOND}"
    step, most = guard.max_step, guard.hold_above
    return (
        "" if step is None else repr(step),
        "" if most is None else repr(most),
        guard.per_player or "",
        rate,
    )


def put_words(submission: Submission) -> Sequence[Word]:
    """Return what ``put.lua`` is told."""
    name, score, metadata = submission.name, write_score(submission.score), submission.metadata
    return (name, score) if metadata is None else (name, score, metadata)


def enter_words(
    board: Board,
    guard: Sequence[Word],
    submission: Submission,
    key: IdempotencyKey | None,
    wants_change: bool,  # noqa: FBT001
) -> Sequence[Word]:
    """Return what ``enter.lua`` is told."""
    metadata = submission.metadata
    return (
        "c" * wants_change,
        submission.name,
        write_score(submission.score),
        b"" if metadata is None else metadata,
        "" if key is None else key.key.hex(),
        b"" if key is None else key.fingerprint,
        KEY_SECONDS,
        *guard,
        *[f"{feed.window}:{feed.period}" for feed in board.feeds],
    )


class Words:
    """The words for submissions: the periods that they feed, and seven for each of them."""

    def __init__(self, feeds: Sequence[Feed], runs: Runs | None, now: int) -> None:
        self._places: dict[str, int] = {}
        self._entries: list[Word] = []
        self._runs = runs
        self._now = now
        self._usual = self.places(feeds)

    def places(self, feeds: Sequence[Feed]) -> str:
        """Return the places of periods among those that are fed, each with the oldest that is kept."""
        places, found = self._places, []
        for feed in feeds:
            line = f"{feed.window}\n{feed.period}"
            found.append(f"{places.setdefault(line, len(places) + 1)}:{feed.oldest}")
        return ",".join(found)

    def add(self, each: Submission, run: bytes | None = None) -> None:
        """Add a submission, with its run."""
        metadata = b"" if each.metadata is None else b"=" + each.metadata
        when: Word = ""
        feeds, operator = self._usual, ""
        if isinstance(each, FullSubmission):
            when = "" if each.submitted_at is None else each.submitted_at
            feeds, operator = self.places(each.feeds), (each.operator or "")[:1]
        used = b"" if run is None else self._run(run)
        self._entries += (each.name, write_score(each.score), metadata, when, feeds, operator, used)

    def add_released(self, name: str, when: str) -> None:
        """Add a held entry, by its tick and sequence."""
        self._entries += (name, "", b"", when, self._usual, "", b"")

    def _run(self, run: bytes) -> str:
        left = max(1000, (run_times(run)[1] - self._now) // 1000 + 1000)
        letter = "f"
        if self._runs is not None and is_too_old(self._runs, run, self._now):
            letter = "o"
        elif self._runs is not None and is_too_young(self._runs, run, self._now):
            letter = "y"
        return f"{letter}{left} {run.hex()}"

    def all(self) -> list[Word]:
        """Return all words."""
        return [len(self._places), *self._places, *self._entries]


class Refused:
    """What the problems of a script mean for submissions to a board."""

    def __init__(self, definition: Definition, runs: Sequence[bytes | None]) -> None:
        self._definition = definition
        self._runs = runs

    def error(self, place: int, submission: Submission, problem: bytes, figure: Any) -> LaurelsError:
        """Return the error for one of them."""
        guard = self._definition.guard
        if problem == b"s" or guard is None:
            return _sum_refused(figure, submission, self._definition)
        if problem == b"t":
            return too_long_a_step(self._definition, read_score(figure), submission.score, guard.max_step or 0)
        if problem == b"p":
            return too_often(guard.per_player or "", figure)
        run, runs = self._runs[place], guard.runs
        if problem == b"u" or runs is None or run is None:
            return RunRefused(USED)
        return too_old(runs, run) if problem == b"o" else too_young(runs)


def _sum_refused(had: bytes, submission: Submission, definition: Definition) -> ScoreRefused:
    try:
        check_sum(add(read_score(had), submission.score), definition.scores)
    except ScoreRefused as error:
        return error
    raise AssertionError(f"The sum of {had!r} and {submission.score!r} can be kept")


def read_answer(
    answer: Any, good: Sequence[Submission], batch: Sequence[Submission | Refusal], refused: Refused
) -> SubmitResult:
    """Return what a submit's script answered; raise KeyReused, or what one submission is refused for."""
    kind, *rest = answer
    if kind == b"k":
        raise KeyReused
    if kind == b"x":
        raise refused.error(0, good[0], *rest)
    if kind == b"c":
        return read_change(answer)
    places = [place for place, each in enumerate(batch) if isinstance(each, Submission)]
    found = [each for each in batch if isinstance(each, Refusal)]
    for index, problem, figure in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        error = refused.error(index, good[index], problem, figure)
        found.append(Refusal(places[index], good[index].name, str(error)))
    return SubmitResult(sorted(found, key=lambda each: each.index))


def read_change(answer: Any) -> SubmitResult:
    """Return what a kept answer says of one submission; of a batch it says too little."""
    if answer == 0 or answer[0] != b"c":
        return SubmitResult()
    _, had, rank, score, now, counted, held = answer
    before = read_standing(had, rank) if had else None
    current = read_standing(score, now) if score else Standing(0, None) if now >= 0 else HiddenStanding(0)
    return SubmitResult(changes=(Change(before, current, bool(counted), bool(held)),))


def read_standing(score: bytes, rank: int) -> Standing:
    """Return a standing; one of a rank below 0 is hidden."""
    return Standing(read_score(score), rank) if rank >= 0 else HiddenStanding(read_score(score))
