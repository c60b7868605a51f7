"""Scores as people and spreadsheets write them. Numbers keep every digit or are refused."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from laurels.entries import EXACT, is_exact
from laurels.errors import truncate

if TYPE_CHECKING:
    from laurels.stores.contract import Score

FEW_DIGITS = 15
_NUMBER = re.compile(r"\s*[+-]?(?=\d|\.\d)\d*(?P<more>(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*", re.ASCII)
_EXPONENT = r"(?:[eE][+-]?\d+)?\s*"
_LIKE_NUMBER = re.compile(r"\s*[+-]?[\d.,]*\d[\d.,]*" + _EXPONENT, re.ASCII)
_THREE_DIGITS = re.compile(r"\s*[+-]?\d{1,3}\.\d{3}\s*", re.ASCII)
_WITH_GROUPS = {
    mark: re.compile(rf"\s*[+-]?(?:\d{{1,3}}(?:\{other}\d{{3}})+|\d*)(?:\{mark}\d*)?{_EXPONENT}", re.ASCII)
    for mark, other in ((",", "."), (".", ","))
}


class Ambiguous(ValueError):
    """A score that could be two numbers."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"the score {truncate(text)!r} could be two numbers: --decimal , or --decimal . says what begins a fraction"
        )


def parse_score(text: str) -> Score:
    """Parse a score; raise ValueError, with the reason, if it is no finite number or would lose a digit."""
    if text.isdecimal() and text.isascii() and len(text) <= FEW_DIGITS:
        return int(text)
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        raise ValueError(f"the score {truncate(text)!r} is not a number" if text.strip() else "there is no score")
    score = float(text)
    if not isfinite(score):
        raise ValueError(f"the score {truncate(text)!r} is beyond the range of a double (about 1.8e308)")
    if not parts["more"]:
        return int(Decimal(text))
    if not -EXACT < score < EXACT and not is_exact(Decimal(text), score):
        raise ValueError(f"the score {truncate(text)!r} would be rounded to {score:.0f}")
    return score


def parse_decimal(text: str, decimal: str) -> Score:
    """Parse a score whose fraction begins with ``decimal``; the other of point and comma may group thousands."""
    if _WITH_GROUPS[decimal].fullmatch(text):
        text = text.replace("," if decimal == "." else ".", "").replace(decimal, ".")
    return parse_score(text)


def parse_with_point(text: str) -> Score:
    """Parse a score whose fraction begins with a point; raise Ambiguous if it has a comma."""
    if "," in text and _LIKE_NUMBER.fullmatch(text):
        raise Ambiguous(text)
    return parse_score(text)


def parse_clear(text: str) -> Score:
    """Parse a score; raise Ambiguous also for a point that may stand between thousands, as in 1.234."""
    if _THREE_DIGITS.fullmatch(text):
        raise Ambiguous(text)
    return parse_with_point(text)
