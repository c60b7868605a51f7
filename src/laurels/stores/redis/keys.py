"""Names of keys, and how scores are written; what is under which key stands at the head of ``common.lua``."""

from __future__ import annotations

import sys
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laurels.stores.contract import Score

PREFIX = "laurels:"
BOARDS, LISTED = f"{PREFIX}{{:}}boards", f"{PREFIX}{{:}}listed"
"""The boards that may have entries, and since when they are listed. No board has this tag."""
DEFINED = f"{PREFIX}{{:}}defined"
"""The boards that were ever defined."""
DEFAULT = f"{PREFIX}{{:}}default"
"""The default definition that was declared last."""
RUN_KEY = f"{PREFIX}{{:}}run-key"
"""What runs are signed with."""
COMMON = "common"
LARGEST = int(sys.float_info.max)
ONLY = "\n"
_ESCAPED = str.maketrans({each: f"%{ord(each):02X}" for each in "%{}:#"} | {"\n": "#"})


@lru_cache(10_000)
def key_of(board: str, window: str = "", period: str = "") -> str:
    """Return the key of a board, or of a period of it; all of one board have one hash tag, and so are in one slot."""
    key = f"{PREFIX}{{{board.removesuffix(ONLY).translate(_ESCAPED)}}}"
    return f"{key}:{window}:{period}" if window else key


def partition_name(board: str, at: int, count: int) -> str:
    """Return the name of a partition, under which it is a board by itself; no name has a line feed.

    The only one of a board is that board under another name, with the same keys.
    """
    return f"{board}\n{at}/{count}" if count > 1 else f"{board}\n"


def is_partition(name: str) -> bool:
    """Return whether that is the name of a partition."""
    return ONLY in name


def owner_of(name: str) -> str:
    """Return the board that a partition is of; a board is its own."""
    return name.partition("\n")[0]


def write_score(score: Score) -> str:
    """Return a score in digits that are exactly that double; there is one zero."""
    return f"{score + 0.0:.17g}"


def read_score(text: bytes) -> Score:
    """Return a score; whole ones as int. An infinite one, which another program has put there, is the largest."""
    score = float(text)
    if score.is_integer():
        return int(score)
    return score if isfinite(score) else LARGEST if score > 0 else -LARGEST


def read_name(name: bytes) -> str:
    """Return a name; what is no UTF-8 in it, because another program put it there, as U+FFFD."""
    return name.decode("utf-8", "replace")
