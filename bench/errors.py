"""Why a row could not be measured, in one tree.

Unmeasured
├── NotAnswering        a server did not answer in time, or died
├── UnexpectedAnswer    a server's answer was not a success
├── LoadFailed          some requests under load were not answered with success
├── Disturbed           something else ran on the machine during the measurement
├── Disagreement        Laurels and a peer gave different answers, so that their speeds cannot be compared
├── Incomplete          an import left entries out
├── NotFolded           the journal was not compacted in time
└── NotOffered          this version does not have what is measured
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Unmeasured(Exception):
    """A row could not be measured; the others go on."""


class NotAnswering(Unmeasured):
    """A server did not answer in time, or died; the message ends with the end of its log."""

    def __init__(self, server: str, log: Path) -> None:
        super().__init__(f"{server} does not answer. It said: {log.read_text(errors='replace')[-1_000:]}")


class UnexpectedAnswer(Unmeasured):
    """A server's answer was not a success; ``request`` is its method and path."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        super().__init__(f"{request} was answered {status}: {body[:200]!r}.")


class LoadFailed(Unmeasured):
    """Some requests under load were not answered with success."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(f"{server} failed under load: {problem}")


class Disturbed(Unmeasured):
    """Neither a peer nor the generator could use its core: something else ran on the machine."""

    def __init__(self, server: str) -> None:
        super().__init__(f"Something else ran on the machine while {server} was measured. Measure again without it.")


class Disagreement(Unmeasured):
    """Laurels and a peer gave different answers, so that their speeds cannot be compared."""

    def __init__(self, request: str, ours: bytes, theirs: bytes) -> None:
        super().__init__(f"{request}: laurels answers {ours!r}, its peer {theirs!r}.")


class Incomplete(Unmeasured):
    """An import left entries out."""

    def __init__(self, board: str, wanted: tuple[str, int]) -> None:
        super().__init__(f"After its import the board {board} does not end with {wanted}.")


class NotFolded(Unmeasured):
    """The journal was not compacted in time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"The journal in {directory} was not folded in time.")


class NotOffered(Unmeasured):
    """This version does not have what is measured."""

    def __init__(self, option: str) -> None:
        super().__init__(f"`laurels serve` has no {option}.")
