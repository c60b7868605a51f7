"""Submissions: which ones a board accepts, and the idempotency key that makes one count once.

Keys and fingerprints are on disk, made of what is digested here: whatever changes that makes retries look like requests
that were never made, or like others.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from laurels.definition import OPERATORS
from laurels.entries import check_entry, cut_name
from laurels.errors import BadBody, BadName, BadParameter, RunRefused, ScoreRefused, truncate
from laurels.limits import KEY_CHARACTERS, METADATA_BYTES
from laurels.stores.contract import FullSubmission, IdempotencyKey, Refusal, Submission

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from laurels.definition import Definition, Operator
    from laurels.stores.contract import Score

SHORT = 2**63
"""Whole scores below this are their own fingerprints."""


def find_refusals(batch: Sequence[Submission | Refusal], definition: Definition) -> Iterator[tuple[int, Refusal]]:
    """Yield a refusal, with its position in the batch, for each submission that a board does not accept."""
    for index, entry in enumerate(batch):
        if not isinstance(entry, Refusal):
            try:
                check_submission(entry, definition)
            except (BadBody, BadName, ScoreRefused) as error:
                yield index, Refusal(index, cut_name(entry.name), str(error))


def check_submission(submission: Submission, definition: Definition) -> None:
    """Raise BadName, ScoreRefused or BadBody if a board does not accept a submission."""
    check_entry(submission.name, submission.score)
    check_bounds(submission.score, definition, operator_of(submission))
    check_metadata(submission.metadata)


def check_metadata(metadata: bytes | None) -> None:
    """Raise BadBody if metadata is too large."""
    if metadata is not None and len(metadata) > METADATA_BYTES:
        size = len(metadata)
        raise BadBody("/metadata", f"The metadata has {size:,} bytes of JSON: it may have {METADATA_BYTES:,}.")


def check_past(time: float, now: float) -> None:
    """Raise BadBody if the time of a submission is to come."""
    if time > now:
        shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")
        raise BadBody("/submittedAt", f"submittedAt is to come: by the service's clock it is {shown}.")


def operator_of(submission: Submission) -> Operator | None:
    """Return the operator that a submission brings, None if it counts by the board's."""
    return submission.operator if isinstance(submission, FullSubmission) else None


def requires_run(definition: Definition) -> bool:
    """Return whether a board requires a run of players."""
    return definition.guard is not None and definition.guard.runs is not None and definition.guard.runs.required


def run_missing(board: str) -> RunRefused:
    """Return the error for a submit of a player that has no run."""
    make = f"make one with POST /-/boards/{truncate(board)}/runs when the player begins, and send it as run"
    return RunRefused(f"The board {truncate(board)!r} requires a run of players: {make}.")


def check_run(board: str, submission: Submission, definition: Definition, *, needs_run: bool) -> None:
    """Raise RunRefused if a submission has no run that its board requires, or one that it does not take."""
    run = submission.run if isinstance(submission, FullSubmission) else None
    if run is None:
        if needs_run and operator_of(submission) is None and requires_run(definition):
            raise run_missing(board)
    elif definition.guard is None or definition.guard.runs is None:
        raise RunRefused(f"The board {truncate(board)!r} takes no runs: its definition has none in guard.")


def check_bounds(score: Score, definition: Definition, operator: Operator | None = None) -> None:
    """Raise ScoreRefused if a board does not accept a score; of one that is added only the store knows the sum."""
    bounds = definition.scores
    if bounds.integer and score != int(score):
        raise ScoreRefused(f"The score {truncate(score)} is not whole, and this board takes only whole scores.")
    if not OPERATORS[operator or definition.operator].adds:
        if bounds.min is not None and score < bounds.min:
            raise _out_of_bounds(score, "low", f"below {truncate(bounds.min)}")
        if bounds.max is not None and score > bounds.max:
            raise _out_of_bounds(score, "high", f"above {truncate(bounds.max)}")


def _out_of_bounds(score: Score, how: str, where: str) -> ScoreRefused:
    return ScoreRefused(f"The score {truncate(score)} is too {how}: this board takes none {where}.")


def make_submit_key(key: str, board: str, submission: Submission) -> IdempotencyKey:
    """Return what makes a submit of one score count once; raise BadParameter.

    A whole score without metadata and time is its own fingerprint: the name is in the key.
    """
    score = submission.score
    if (
        type(submission) is Submission
        and submission.metadata is None
        and -SHORT < score < SHORT
        and score == (whole := int(score))
    ):
        return IdempotencyKey(_digest_key(key, board, submission.name), whole.to_bytes(16, "little", signed=True))
    return make_idempotency_key(key, board, submission.name, (submission,))


def make_idempotency_key(
    key: str, board: str, name: str, submissions: Sequence[Submission | Refusal]
) -> IdempotencyKey:
    """Return what makes a submit count once, of the client's key and of what is submitted; raise BadParameter.

    The client's key belongs to a board and a name, which is empty for a batch. What is submitted decides the
    fingerprint, by its meaning: 5 and 5.0 are one score.
    """
    content = ", ".join(map(_describe, submissions))
    fingerprint = blake2b(f"[{content}]".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return IdempotencyKey(_digest_key(key, board, name), fingerprint)


def _digest_key(key: str, board: str, name: str) -> bytes:
    if not (0 < len(key) <= KEY_CHARACTERS and key.isascii() and key.isprintable() and " " not in key):
        problem = f"The Idempotency-Key must be 1 to {KEY_CHARACTERS} visible ASCII characters, such as a UUID."
        raise BadParameter("Idempotency-Key", problem)
    return blake2b(f"{board}\n{name}\n{key}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _describe(entry: Submission | Refusal) -> str:
    if isinstance(entry, Refusal):
        return repr(entry)
    score = entry.score
    if isinstance(score, float) and score.is_integer():
        score = int(score)
    time = operator = run = ""
    if isinstance(entry, FullSubmission):
        time = "" if entry.submitted_at is None else f", {entry.submitted_at!r}"
        operator = f", by {entry.operator}" if entry.operator else ""
        run = f", run {entry.run}" if entry.run else ""
    return f"({entry.name!r}, {score!r}, {entry.metadata!r}{time}{operator}{run})"
