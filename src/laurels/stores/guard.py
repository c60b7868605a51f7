"""What a board's guard refuses, in words; every store that guards decides it for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.clock import SECOND
from laurels.errors import ScoreRefused, TooManyRequests, truncate
from laurels.limits import read_rate

if TYPE_CHECKING:
    from laurels.definition import Definition, Score


def too_often(per_player: str, early: int) -> TooManyRequests:
    """Return the error for an entry that comes so many microseconds before the rate of a player has room for it."""
    count, seconds = read_rate(per_player)
    wait = -(-early // SECOND)
    return TooManyRequests(
        f"The board takes {per_player} entries of one player: the next one in {wait} seconds.",
        wait,
        "entries",
        [("entries", count, seconds)],
    )


def too_long_a_step(definition: Definition, before: Score, score: Score, most: Score) -> ScoreRefused:
    """Return the error for a score that improves on another by more than ``most``."""
    step = score - before if definition.order == "descending" else before - score
    return ScoreRefused(
        f"The score {score:.15g} improves the player's entry by {step:.15g}: this board takes steps of "
        f"{truncate(most)} at most."
    )
