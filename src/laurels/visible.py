r"""Foreign text, made visible: what a terminal would obey, and what nobody would see, is shown as an escape.

Controls and escape sequences, marks of direction, zero widths, blanks that look like nothing, more accents on a letter
than any language has. In a line they are written as Python does (``\x1b``, ``\u202e``), in a document as JSON does.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Callable

MARKS = 4
"""So many marks may stand on one letter: the languages of the world need no more."""

_BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef"
_is_blank = re.compile(f"[{_BLANKS}]").match
"""What Unicode counts as a letter, a mark or a symbol although nobody sees it."""


def escape(text: str) -> str:
    """Return a text with every character shown that a terminal would obey, or that nobody would see."""
    return text if text.isascii() and text.isprintable() else _escape(text, _write_python)


def is_seen(text: str) -> bool:
    """Return whether there is anything in a text that somebody would see."""
    return any(char.isprintable() and not char.isspace() and not _is_blank(char) for char in text)


def escape_json(document: str) -> str:
    """Return JSON that says the same, with the escapes of JSON; it has no spaces but those in its strings."""
    return document if document.isascii() and document.isprintable() else _escape(document, _write_json)


def _escape(text: str, write: Callable[[str], str]) -> str:
    pieces, marks = [], 0
    for index, char in enumerate(text):
        marks = marks + 1 if category(char) in {"Mn", "Me"} else 0
        is_seen = char.isprintable() and not _is_blank(char) and marks <= MARKS * bool(index)
        pieces.append(char if is_seen or _is_in_emoji(text, index) else write(char))
    return "".join(pieces)


def _is_in_emoji(text: str, index: int) -> bool:
    """Return whether a character makes one picture of its neighbours: a joiner between two, or a variation of one."""
    before, char, after = text[index - 1 : index], text[index], text[index + 1 : index + 2]
    if char == "\ufe0f":
        return _is_picture(before) or (before in set("#*0123456789") and after == "\u20e3")
    return char == "\u200d" and (_is_picture(before) or before == "\ufe0f") and _is_picture(after)


def _is_picture(char: str) -> bool:
    return bool(char) and (category(char) == "So" or "\U0001f3fb" <= char <= "\U0001f3ff") and not _is_blank(char)


def _write_python(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _write_json(char: str) -> str:
    return json.dumps(char)[1:-1] if not char.isascii() else f"\\u{ord(char):04x}"
