"""The bodies of requests and responses: typed, and read strictly.

msgspec reads a good body in one step. JSON leaves open what two equal keys mean, and msgspec takes the later, so a body
that may hold such a pair is read once more. The quotes tell cheaply: a good body without escapes has exactly so many.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from laurels.boards import EXACT, Refusal
from laurels.errors import BadBody, BadJSON, ScoreRefused
from laurels.stores.contract import Change, Entry, Place, Ranked, Score, Standing

Body = bytes | bytearray


class Submit(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of a submit."""

    score: int | float


class StrictEntry(Entry, frozen=True, forbid_unknown_fields=True, gc=False):
    """One entry of a batch, with nothing else in it."""


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a batch submit."""

    entries: list[StrictEntry]


class RawBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """A batch some of whose entries cannot be read; the others still count."""

    entries: list[Raw]


class BatchReceipt(Struct, frozen=True):
    """What became of a batch."""

    accepted: int
    refused: list[Refusal]


class Absent(Struct, frozen=True):
    """The standing of a name that is not on the board."""

    score: int = 0
    rank: None = None


class Page(Struct, frozen=True):
    """The entries of a page, best first; written by the store as JSON, read by clients."""

    leaderboard: list[Entry]


class Reading(Struct, frozen=True):
    """Entries with more about them than a page has; ``next`` is the cursor of the page behind, None at the end."""

    leaderboard: list[Entry] | list[Ranked]
    next: str | UnsetType | None = UNSET
    missing: list[str] | UnsetType = UNSET


class ScoreRank(Struct, frozen=True):
    """Where a score would stand; ``percentile`` is the percentage of entries that are no better, None of no entries."""

    rank: int
    percentile: float | None

    @classmethod
    def of(cls, place: Place) -> ScoreRank:
        """Tell a place."""
        return cls(place.rank, 100 * (place.count - place.rank) / place.count if place.count else None)


class Receipt(Struct, frozen=True):
    """The answer to a submit that asked for a representation."""

    score: Score
    rank: int
    previous: Standing | None
    changed: bool

    @classmethod
    def of(cls, change: Change) -> Receipt:
        """Tell a change."""
        return cls(change.current.score, change.current.rank, change.previous, change.previous != change.current)


BATCH_ENTRIES = 1000
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

encode = msgspec.json.Encoder().encode
NOBODY = encode(Absent())
_read_submit = msgspec.json.Decoder(Submit).decode
_read_batch = msgspec.json.Decoder(Batch).decode
_read_raw_batch = msgspec.json.Decoder(RawBatch).decode
_read_entry = msgspec.json.Decoder(StrictEntry).decode
_read_any = msgspec.json.Decoder(Any).decode


def read_score(body: Body) -> Score:
    """Read the body of a submit; raise BadJSON, BadBody or ScoreRefused for one that is not good."""
    try:
        score = _read_submit(body).score
    except _UNREADABLE as error:
        _refuse(body, error)
    if body.count(b'"') != 2:  # noqa: PLR2004 - the two around "score"
        _check_pairs(body)
    if _is_large(score):
        _check_digits(body, score)
    return score


def read_batch(body: Body) -> list[Entry | Refusal]:
    """Read the body of a batch, with a refusal in the place of each entry that cannot be read; raises as read_score."""
    try:
        entries: list[Entry | Refusal] = list(_read_batch(body).entries)
    except _UNREADABLE:
        entries = _read_one_by_one(body)
    else:
        if body.count(b'"') != 2 + 6 * len(entries):
            _check_pairs(body)
        if any(_is_large(entry.score) for entry in entries if isinstance(entry, Entry)):
            entries = _read_one_by_one(body)
    if len(entries) > BATCH_ENTRIES:
        raise BadBody("/entries", f"The batch has {len(entries)} entries. Send at most {BATCH_ENTRIES:,} at a time.")
    return entries


def _read_one_by_one(body: Body) -> list[Entry | Refusal]:
    try:
        raws = _read_raw_batch(body).entries
        _check_pairs(body)
    except _UNREADABLE as error:
        _refuse(body, error)
    return [_entry_or_refusal(index, bytes(raw)) for index, raw in enumerate(raws)]


def _entry_or_refusal(index: int, raw: bytes) -> Entry | Refusal:
    try:
        entry = _read_entry(raw)
        if _is_large(entry.score):
            _check_digits(raw, entry.score)
    except msgspec.ValidationError as error:
        found = json.loads(raw, parse_int=float)
        name = found.get("name") if isinstance(found, dict) else None
        return Refusal(index, name if isinstance(name, str) else "", str(_shape_error(error)))
    except ScoreRefused as error:
        return Refusal(index, entry.name, str(error))
    return entry


def _is_large(score: Score) -> bool:
    return isinstance(score, float) and not -EXACT < score < EXACT


def _check_pairs(body: Body) -> None:
    """Raise BadJSON where an object of ``body`` has one key twice."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        once = dict(found)
        if len(once) < len(found):
            counts = Counter(key for key, _ in found)
            raise BadJSON(f"the key {json.dumps(counts.most_common(1)[0][0])} stands twice in one object")
        return once

    json.loads(body, object_pairs_hook=pairs, parse_int=float)


def _check_digits(text: Body, score: Score) -> None:
    """Raise ScoreRefused where the score was written with more digits than a double keeps.

    Beyond 2^53 every double is whole. A literal with a point or an exponent stands for the double if it is that number
    to the digit (``99999999999999991611392.0``) or the shortest way to write it (``1e23``).
    """
    written = json.loads(text, parse_float=Decimal)["score"]
    if written not in {Decimal(score), Decimal(repr(score))}:
        raise ScoreRefused(
            f"The score {written} would be rounded to {Decimal(score)}. Send a number that a double holds."
        )


def _refuse(body: Body, error: Exception) -> NoReturn:
    """Raise what is wrong with a body that could not be read: first whether it is JSON at all, then its shape."""
    if isinstance(error, msgspec.ValidationError):
        try:
            _read_any(body)
        except msgspec.ValidationError:
            pass
        except _UNREADABLE as deeper:
            error = deeper
    if isinstance(error, msgspec.ValidationError):
        raise _shape_error(error) from None
    if not body:
        raise BadJSON("it is empty") from None
    if isinstance(error, RecursionError):
        raise BadJSON("it is nested too deeply") from None
    if isinstance(error, UnicodeDecodeError):
        raise BadJSON("it is not UTF-8") from None
    raise BadJSON(str(error).removeprefix("JSON is malformed: ")) from None


def _shape_error(error: msgspec.ValidationError) -> BadBody | ScoreRefused:
    what, _, where = str(error).partition(" - at `$")
    if what.endswith("out of range"):
        return ScoreRefused("The score is beyond the range of a double (about 1.8e308).")
    what = what.replace("`int | float`", "number").replace("`str`", "string").replace("`", "")
    return BadBody(where.strip("`").replace(".", "/"), f"{what}.")
