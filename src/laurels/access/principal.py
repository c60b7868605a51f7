"""Principals: who asks, and what they may do."""

from __future__ import annotations

from math import inf
from typing import Literal, get_args

from msgspec import Struct

Scope = Literal["read", "submit:self", "submit", "moderate", "define", "tokens", "metrics", "admin"]
"""A right, as operations need it and principals have it. ``submit`` has ``submit:self`` in it, ``admin`` has all."""
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))
EVERY_BOARD = "*"
"""The pattern that every board matches. A principal has it, or patterns of some boards, or both."""
NO_BOARD = "\0"
"""A character that is in no board's name."""


class Principal(Struct, frozen=True, kw_only=True, gc=False):
    """Who asks: anybody where no access file is used, the public that shows nothing, a key, or a player by a token."""

    kind: Literal["anybody", "public", "key", "player"]
    name: str = ""
    """That of the key, or the name that the player submits under."""
    scopes: frozenset[Scope] = SCOPES
    boards: tuple[str, ...] = (EVERY_BOARD,)
    """Patterns of names of boards: ``*`` stands for any characters, case counts."""
    within: tuple[str, ...] = (EVERY_BOARD,)
    """Further patterns, which a board must match, too: those of all players, beside those of a token."""
    expires: float = inf
    """When it is no principal any more, in seconds since the epoch."""

    def may(self, scope: Scope) -> bool:
        """Return whether the principal has a right."""
        scopes = self.scopes
        return scope in scopes or "admin" in scopes or (scope == "submit:self" and "submit" in scopes)

    def may_submit_for(self, name: str) -> bool:
        """Return whether it may submit a score for a name: a player's token only for the name that it was made for."""
        if "submit" in self.scopes or "admin" in self.scopes:
            return True
        return self.kind == "player" and self.name == name and "submit:self" in self.scopes

    def may_on(self, board: str) -> bool:
        """Return whether its rights hold on a board."""
        return _match_any(self.boards, board) and _match_any(self.within, board)

    def may_on_all(self, pattern: str) -> bool:
        """Return whether its rights hold on every board that a pattern is of."""
        return self.may_on(pattern.replace(EVERY_BOARD, NO_BOARD))  # only a star of its own is of that as well

    @property
    def has_every_board(self) -> bool:
        """Whether its rights hold on all boards, so that it may do what concerns them all."""
        return EVERY_BOARD in self.boards and EVERY_BOARD in self.within

    def __str__(self) -> str:
        """Return who it is, as logs say it."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


ANYBODY = Principal(kind="anybody")
"""Who asks a service without an access file: it may do everything."""


def matches(pattern: str, board: str) -> bool:
    """Return whether a pattern is of a board: ``*`` stands for any characters, also none; nothing else is special."""
    first, *parts = pattern.split(EVERY_BOARD)
    if not parts:
        return pattern == board
    last = parts.pop()
    if not board.startswith(first):
        return False
    position = len(first)
    for part in parts:  # each as early as it can be: no other place would leave more to those that follow
        found = board.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return board.endswith(last) and position <= len(board) - len(last)


def _match_any(patterns: tuple[str, ...], board: str) -> bool:
    return EVERY_BOARD in patterns or any(matches(pattern, board) for pattern in patterns)
