"""A board's definition: what the board promises, as it stands in a file, in a request, and on disk."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Order = Literal["descending", "ascending"]
Operator = Literal["latest", "best", "increment"]
Ties = Literal["name", "earliest", "latest"]
Ranking = Literal["ordinal", "competition", "dense"]
Score = int | float
"""A finite number, exactly a double. Whole scores are given back as ``int``."""


class Bounds(Struct, frozen=True, forbid_unknown_fields=True):
    """Which scores a board takes."""

    min: Score | None = None
    max: Score | None = None
    integer: bool = False


class Definition(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a board promises."""

    order: Order = "descending"
    operator: Operator = "latest"
    ties: Ties = "name"
    ranking: Ranking = "ordinal"
    scores: Bounds = Bounds()
    windows: tuple[str, ...] = ()
    time_zone: str = "UTC"
    keep: dict[str, int] = {}
    ttl: str | None = None

    @property
    def ttl_seconds(self) -> int | None:
        """How long the board stays after its last submit."""
        return None


PLAIN = Definition()
