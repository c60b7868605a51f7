"""The query of a request: its parameters by their names, each value read strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from laurels.entries import checked_score
from laurels.errors import BadParameter, ScoreRefused, truncate
from laurels.http.bodies import parse_submit
from laurels.limits import LARGEST_NUMBER

if TYPE_CHECKING:
    from laurels.stores.contract import Score

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WHOLE = re.compile(rf"[0-9]{{1,{len(str(LARGEST_NUMBER))}}}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def decode_text(text: bytes) -> str:
    """Return UTF-8 without its percent-encoding; raise ValueError with the problem, to follow the thing's name."""
    if b"%" in text:
        if _BAD_ESCAPE.search(text):
            raise ValueError("has a % that is not followed by two hexadecimal digits: write %25 for a percent sign")
        text = unquote_to_bytes(text)
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


class Query(dict[str, list[bytes]]):
    """The parameters of one request by their names, in the order they came, and their values as they came.

    A plus in a value is a space, as in a form. Values are decoded only when they are asked for: each method takes the
    name of a parameter that is there, and raises BadParameter if it is there twice or of another form.
    """

    def __init__(self, query: bytes) -> None:
        super().__init__()
        for field in query.split(b"&"):
            if field:
                key, _, value = field.replace(b"+", b" ").partition(b"=")
                self.setdefault(unquote_to_bytes(key).decode(errors="replace"), []).append(value)

    def texts(self, key: str) -> list[str]:
        """Return all values of a parameter, which may be there several times."""
        try:
            return [decode_text(value) for value in self[key]]
        except ValueError as error:
            raise BadParameter(key, f"{truncate(key)} {error}.") from None

    def text(self, key: str) -> str:
        """Return the only value of a parameter."""
        if len(self[key]) > 1:
            raise BadParameter(key, f"{truncate(key)} stands twice.")
        return self.texts(key)[0]

    def number(self, key: str) -> int:
        """Return a whole number."""
        value = self.text(key)
        if not _WHOLE.fullmatch(value):
            problem = f"{key} is {truncate(value)!r}: it must be a whole number from 0 to {LARGEST_NUMBER}."
            raise BadParameter(key, problem)
        return int(value)

    def score(self, key: str) -> Score:
        """Return a score, read as in the body of a submit."""
        value = self.text(key)
        if not _NUMBER.fullmatch(value):
            problem = f"{key} is {truncate(value)!r}: it must be a number as JSON has them, and a plus in it %2B."
            raise BadParameter(key, problem)
        try:
            return checked_score(parse_submit(b'{"score":%b}' % value.encode())[0])
        except ScoreRefused as error:
            raise BadParameter(key, str(error)) from None


EMPTY_QUERY = Query(b"")
