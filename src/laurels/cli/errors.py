"""The errors of the command line alone. Those of requests are the client's, in :mod:`laurels.client.errors`.

LaurelsError
├── BadFile                   a file of scores that cannot be read, or in more than one way
├── SourceFailed              a server of Redis to import from cannot be reached or read, or has nothing to import
└── BoardTaken                where a board is moved to there is another one of its name
"""

from __future__ import annotations

from laurels.errors import LaurelsError, truncate


class SourceFailed(LaurelsError):
    """A server of Redis to import from cannot be reached or read; ``source`` is its URL without a password."""

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        super().__init__(f"Cannot read {source}: {problem.rstrip('.')}.")


class BoardTaken(LaurelsError):
    """Where a board is to be moved there is one of its name that would lose something."""

    def __init__(self, board: str, problem: str) -> None:
        self.board = board
        super().__init__(
            f"The board {truncate(board)!r} is there already, and is another one: {problem}. Nothing of it was "
            "changed. --replace makes it what it is where it comes from."
        )


class BadFile(LaurelsError):
    """A file of scores cannot be read, or in more than one way; the message says what would be right."""
