"""Attempts: which a board takes, and what makes one count once."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from laurels.entries import checked_name, checked_score
from laurels.errors import BadBody, BadName, BadParameter, ScoreRefused
from laurels.limits import KEY_CHARACTERS, METADATA_BYTES
from laurels.stores.contract import IdempotencyKey, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from laurels.definition import Definition
    from laurels.stores.contract import Score, Submission


def refusals(batch: Sequence[Submission | Refusal], definition: Definition) -> Iterator[tuple[int, Refusal]]:
    """Tell of the attempts of a batch that a board does not take why not, each with its place in the batch."""
    for index, attempt in enumerate(batch):
        if not isinstance(attempt, Refusal):
            try:
                check_submission(attempt, definition)
            except (BadBody, BadName, ScoreRefused) as error:
                yield index, Refusal(index, attempt.name, str(error))


def check_submission(attempt: Submission, definition: Definition) -> None:
    """Raise BadName, ScoreRefused or BadBody where a board does not take an attempt."""
    checked_name(attempt.name)
    bounded(checked_score(attempt.score), definition)
    if attempt.metadata is not None and len(attempt.metadata) > METADATA_BYTES:
        size = len(attempt.metadata)
        raise BadBody("/metadata", f"The metadata has {size:,} bytes of JSON: it may have {METADATA_BYTES:,}.")


def bounded(score: Score, definition: Definition) -> Score:
    """Give a score back where a board takes it; of one that is to be added only the store knows what comes of it."""
    bounds = definition.scores
    if bounds.integer and score != int(score):
        raise ScoreRefused(f"The score {score} is not whole, and this board takes only whole scores.")
    if definition.operator != "increment":
        if bounds.min is not None and score < bounds.min:
            raise ScoreRefused(f"The score {score} is too low: this board takes none below {bounds.min}.")
        if bounds.max is not None and score > bounds.max:
            raise ScoreRefused(f"The score {score} is too high: this board takes none above {bounds.max}.")
    return score


def once_of(key: str | None, scope: tuple[str, str], batch: Sequence[Submission | Refusal]) -> IdempotencyKey | None:
    """Give what makes an act count once, where it has a key; raise BadParameter for a bad one.

    ``scope`` is a board and a name, or no name for a batch.
    """
    if key is None:
        return None
    if not (0 < len(key) <= KEY_CHARACTERS and key.isascii() and key.isprintable() and " " not in key):
        problem = f"The Idempotency-Key must be 1 to {KEY_CHARACTERS} visible ASCII characters, such as a UUID."
        raise BadParameter("Idempotency-Key", problem)
    said = [part if isinstance(part, Refusal) else (part.name, _number(part.score), part.metadata) for part in batch]
    return IdempotencyKey(_digest("\n".join((*scope, key))), _digest(repr(said)))


def _number(score: Score) -> Score:
    return int(score) if isinstance(score, float) and score.is_integer() else score


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
