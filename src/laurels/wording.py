"""The words of errors about what somebody wrote: it is quoted, and what was perhaps meant is suggested."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

QUOTED_CHARACTERS = 60
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def suggest(value: object, choices: Iterable[str], *, at_length: bool = True) -> str:
    """Return which of the choices was perhaps meant, to be appended to what was wrong; empty if none is close.

    Letters may be of either case. Unless ``at_length``, nothing else may differ: to compare more takes long.
    """
    word, by_word = str(value).lower(), {choice.lower(): choice for choice in choices}
    if len(word) > QUOTED_CHARACTERS:
        return ""
    close = [word] if word in by_word else []
    if at_length and not close and word:
        begun = [choice for choice in by_word if choice.startswith(word)]
        close = begun or get_close_matches(word, by_word, n=1, cutoff=0.55)
    return f"; perhaps you mean {quote(by_word[close[0]])}" if close else ""


def quote(value: object) -> str:
    """Return a value as JSON, cut short if it is long."""
    text = ""
    for piece in _ENCODER.iterencode(value):  # no more of it than is needed
        text += piece
        if len(text) > QUOTED_CHARACTERS:
            return f"{text[:QUOTED_CHARACTERS]}..."
    return text


def describe_unknown(subject: str, field: str, fields: Iterable[str], *, at_length: bool = True) -> str:
    """Return that ``subject`` has no such field, which was perhaps meant, and which it has."""
    hint = suggest(field, fields, at_length=at_length)
    return f"{subject} has no field {quote(field)}{hint}. It has {', '.join(fields)}"


def path_of(problem: str) -> tuple[str | int, ...]:
    """Return where msgspec found a problem: its errors end as in "... - at `$.scores.min`"."""
    steps = _STEP.findall(problem.rpartition("$")[2])
    return tuple(name or int(index) for name, index in steps)
