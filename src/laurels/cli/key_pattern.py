"""Patterns of keys as Redis reads them, and the names of boards that the keys they match become."""

from __future__ import annotations

import os
import re

import click

from laurels.entries import checked_board
from laurels.errors import BadName, truncate

_PARTS = re.compile(
    rb"\\(?P<escaped>.)|\[(?P<set>\^?(?:\\.|.-.|[^\]\\])*)\]?|(?P<many>\*+)|(?P<one>\?)|(?P<plain>.)", re.DOTALL
)
_MEMBERS = re.compile(rb"\\(.)|(.)-(.)|(.)", re.DOTALL)


class KeyPattern:
    """What keys are imported, and as which boards.

    ``board`` is the name of a board in which each ``*`` stands for what the next ``*`` of the pattern matches; by
    default that is ``*`` alone, or the key if the pattern has none.
    """

    def __init__(self, pattern: str, board: str | None = None) -> None:
        """Raise UsageError if the names of boards do not follow from the keys."""
        parts = [(each.lastgroup, each) for each in _PARTS.finditer(os.fsencode(pattern))]
        self._stars = sum(kind == "many" for kind, _ in parts)
        self._pattern = re.compile(b"".join(_translate(kind or "", each) for kind, each in parts), re.DOTALL)
        self._board = board if board is not None else "*" if self._stars else None
        wanted = self._board.count("*") if self._board else 0
        if (board is None and self._stars > 1) or wanted > self._stars:
            raise click.UsageError(
                f"--key {pattern!r} has {self._stars} times a *, and --board {wanted}: say with --board which board a "
                "key becomes; each * there is what the next * of the pattern matches."
            )

    def board_of(self, key: bytes) -> str:
        """Return the board that a key becomes; raise UsageError with the way out if there can be no such board."""
        try:
            found = self._pattern.fullmatch(key)
            matched = iter([each.decode() for each in found.groups()] if found else ())
            board = key.decode() if self._board is None else re.sub(r"\*", lambda _: next(matched, ""), self._board)
            return checked_board(board)
        except UnicodeDecodeError:
            problem = "is not UTF-8"
        except BadName as error:
            problem = f"would be a board whose name cannot be: {str(error).rstrip('.')}"
        shown = truncate(repr(key)[2:-1])
        raise click.UsageError(
            f"The key {shown} {problem}. Leave it out with another --key, or name the board with --board, as in "
            "--board 'imported-*', or --board NAME for one key."
        )


def _translate(kind: str, part: re.Match[bytes]) -> bytes:
    """Return the regular expression of a part of a pattern; a character is a byte, as Redis has it."""
    if kind == "many":
        return b"(.*)"
    if kind == "one":
        return b"."
    if kind != "set":
        return re.escape(part[kind])
    negated = part[kind][:1] == b"^"
    members = set[int]()
    for escaped, first, last, one in _MEMBERS.findall(part[kind][negated:]):
        ends = sorted([ord(first), ord(last)]) if first else [ord(escaped or one)] * 2
        members |= {*range(ends[0], ends[1] + 1)}
    matching = {*range(256)} - members if negated else members
    return b"[" + b"".join(b"\\x%02x" % each for each in sorted(matching)) + b"]" if matching else b"(?!)"
