"""Which names and which scores a board can hold."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from laurels.errors import BadName, ScoreRefused, truncate
from laurels.limits import NAME_BYTES

if TYPE_CHECKING:
    from laurels.definition import Score

EXACT = 2**53
RESERVED = "-"
"""No board has this name: routes of the service itself begin with it."""
SHORT = len("..")
_DOTS = frozenset({".", ".."})
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def checked_name(name: str, parameter: str = "name") -> str:
    """Return ``name`` if an entry can have it; raise BadName if not.

    ``.`` and ``..`` are refused because clients and proxies take them out of a path before it arrives.
    """
    if name.isascii() and name.isprintable() and 0 < len(name) <= NAME_BYTES and name not in _DOTS:
        return name
    if not name:
        raise BadName(parameter, "is empty")
    if name in _DOTS:
        raise BadName(parameter, f"is {name!r}, which clients take out of a path")
    if _CONTROL.search(name):
        raise BadName(parameter, "has a control character")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadName(parameter, "has half of a surrogate pair") from None
    if size > NAME_BYTES:
        raise BadName(parameter, f"has {size} bytes")
    return name


def is_name(text: str) -> bool:
    """Return whether an entry can have this name."""
    try:
        checked_name(text)
    except BadName:
        return False
    return True


def cut_name(name: str) -> str:
    """Return a name as a refusal repeats it: one that is too long to be any is cut short."""
    return name if len(name) <= NAME_BYTES else truncate(name)


def last_name(beginning: str) -> str:
    """Return the last text, by its bytes, that is no longer than a name may be and begins so.

    Of what is longer itself, the last that comes before it.
    """
    whole = beginning.encode()[:NAME_BYTES].decode(errors="ignore")
    most, left = divmod(NAME_BYTES - len(whole.encode()), 4)
    return whole + "\U0010ffff" * most + ("", "\x7f", "\u07ff", "\uffff")[left]  # the last characters of 1 to 4 bytes


def check_entry(name: str, score: Score) -> None:
    """Raise BadName or ScoreRefused if a board cannot hold such an entry."""
    # Most names and scores are good by this alone, which saves two calls for each submit
    if not (name.isascii() and name.isprintable() and SHORT < len(name) <= NAME_BYTES and -EXACT <= score <= EXACT):
        checked_name(name)
        checked_score(score)


def checked_board(name: str) -> str:
    """Return ``name`` if a board can have it; raise BadName if not."""
    if name == RESERVED:
        raise BadName("board", f"{RESERVED!r} is reserved for the service's own routes")
    return checked_name(name, "board")


def checked_score(score: Score) -> Score:
    """Return ``score`` if a double holds it exactly; raise ScoreRefused if not."""
    if -EXACT <= score <= EXACT:
        return score
    if isinstance(score, float):
        if isfinite(score):
            return score
        raise ScoreRefused("The score is not finite. A score is a finite number.")
    try:
        exact = int(float(score)) == score
    except OverflowError:
        raise ScoreRefused("The score is beyond the range of a double (about 1.8e308).") from None
    if not exact:
        raise ScoreRefused(
            f"The score {truncate(score)} would be rounded to {truncate(int(float(score)))}. Beyond 2^53 only integers "
            "that a double holds exactly are kept.",
        )
    return score


def is_exact(written: int | Decimal, score: float) -> bool:
    """Return whether a literal is exactly the double that it was read as, for scores beyond 2^53.

    Beyond 2^53 every double is whole. A literal with a point or an exponent is exact if it is that number to the digit
    (``99999999999999991611392.0``) or the shortest way to write it (``1e23``).
    """
    return any(written == Decimal(text) for text in (score, repr(score)))
