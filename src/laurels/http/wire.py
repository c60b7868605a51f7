"""The bodies of requests and responses: typed, and read strictly.

msgspec reads a good body in one step. JSON leaves open what two equal keys mean, and msgspec takes the later, so a body
that may hold such a pair is read once more. The quotes tell cheaply: a good body without escapes has exactly so many.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from laurels import declaring
from laurels.boards import ListedPeriod  # noqa: TC001 - msgspec reads the annotations
from laurels.definition import Definition  # noqa: TC001 - msgspec reads the annotations
from laurels.entries import EXACT, is_exact
from laurels.errors import BadBody, BadJSON, ScoreRefused
from laurels.limits import BATCH_ENTRIES
from laurels.stores.contract import Change, Entry, Place, Refusal, Score, Standing, Submission

if TYPE_CHECKING:
    from collections.abc import Sequence

Body = bytes | bytearray


class Submit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The body of a submit; null is no metadata."""

    score: int | float
    metadata: Raw = None  # type: ignore[assignment]  # msgspec reads whatever is there as Raw, null too


class StrictEntry(Submission, frozen=True, forbid_unknown_fields=True, gc=False):
    """One entry of a batch, with nothing else in it."""

    metadata: Raw = None  # type: ignore[assignment]  # as in Submit


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


class ReadEntry(Struct, frozen=True, rename="camel", gc=False):
    """An entry with more about it than a page has; ``submitted_at`` is RFC 3339, in UTC, to the millisecond.

    What was asked for and is not there is null.
    """

    name: str
    score: Score
    rank: int | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    submitted_at: str | UnsetType | None = UNSET


class Reading(Struct, frozen=True):
    """Entries with more about them than a page has; ``next`` is the cursor of the page behind, None at the end."""

    leaderboard: list[ReadEntry]
    next: str | UnsetType | None = UNSET
    missing: list[str] | UnsetType = UNSET


class ScoreRank(Struct, frozen=True):
    """The rank that a score would have, and the percentage of entries that are no better: None if there are none."""

    rank: int
    percentile: float | None

    @classmethod
    def of(cls, place: Place) -> ScoreRank:
        """Return the answer for a place."""
        return cls(place.rank, 100 * (place.count - place.better) / place.count if place.count else None)


class Receipt(Struct, frozen=True):
    """The answer to a submit that asked for a representation."""

    score: Score
    rank: int
    previous: Standing | None
    changed: bool

    @classmethod
    def of(cls, change: Change) -> Receipt:
        """Return the answer for a change."""
        return cls(change.current.score, change.current.rank, change.previous, change.counted)


class Listed(Struct, frozen=True):
    """A board of the list of boards; ``declared`` tells whether it has a definition of its own."""

    name: str
    declared: bool
    definition: Definition


class Listing(Struct, frozen=True):
    """Boards by their names; ``next`` is what to go on after, None at the end."""

    boards: list[Listed]
    next: str | None


class Periods(Struct, frozen=True):
    """The periods of a board, by window and from the oldest."""

    periods: list[ListedPeriod]


class Readiness(Struct, frozen=True):
    """That submits can be kept, and what the operator should know all the same."""

    status: Literal["ok"]
    warnings: list[str] | UnsetType = UNSET


SUBJECTS: dict[type[Struct], str] = {Submit: "A submit", Batch: "A batch", StrictEntry: "An entry"}
_KINDS = {
    "int | float": "a number",
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "object": "an object",
    "array": "a list",
    "bool": "a boolean",
}
"""Words for what JSON may hold, by msgspec's."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_score = attrgetter("score")

encode = msgspec.json.Encoder().encode
ABSENT_BODY = encode(Absent())
_read_submit = msgspec.json.Decoder(Submit).decode
_read_batch = msgspec.json.Decoder(Batch).decode
_read_raw_batch = msgspec.json.Decoder(RawBatch).decode
_read_entry = msgspec.json.Decoder(StrictEntry).decode
_read_any = msgspec.json.Decoder(Any).decode


def parse_submit(body: Body) -> tuple[Score, bytes | None]:
    """Read the score and the metadata of a submit; raise BadJSON, BadBody or ScoreRefused for one that is not good."""
    try:
        submit = _read_submit(body)
    except _UNREADABLE as error:
        _refuse(body, error, Submit)
    if body.count(b'"') != 2:  # noqa: PLR2004 - the two around "score"
        _check_pairs(body)
    if _is_large(submit.score):
        _check_digits(body, submit.score)
    return submit.score, _metadata(submit.metadata)


def parse_batch(body: Body) -> Sequence[Submission | Refusal]:
    """Read the body of a batch, with a refusal in the place of each bad entry; raises as :func:`parse_submit`."""
    try:
        found = _read_batch(body).entries
    except _UNREADABLE:
        entries = _read_one_by_one(body)
    else:
        entries = _read_further(body, found)
    if len(entries) > BATCH_ENTRIES:
        raise BadBody("/entries", f"The batch has {len(entries)} entries. Send at most {BATCH_ENTRIES:,} at a time.")
    return entries


def parse_definition(body: Body) -> Definition:
    """Read a board's definition; raises BadJSON and BadDefinition."""
    try:
        table = _read_any(body)
    except msgspec.ValidationError:
        raise BadBody("", "A number of the definition is beyond the range of a double (about 1.8e308).") from None
    except _UNREADABLE as error:
        _refuse(body, error)
    _check_pairs(body)
    return declaring.read_definition(table)


def _read_further(body: Body, found: list[StrictEntry]) -> Sequence[Submission | Refusal]:
    """Look at what msgspec lets pass: great scores, metadata, and one key twice."""
    if any(map(_is_large, map(_score, found))):
        return _read_one_by_one(body)
    if body.count(b'"') == 2 + 6 * len(found):
        return found
    _check_pairs(body)
    return [_submission_or_refusal(index, entry) for index, entry in enumerate(found)]


def _read_one_by_one(body: Body) -> Sequence[Submission | Refusal]:
    try:
        raws = _read_raw_batch(body).entries
    except _UNREADABLE as error:
        _refuse(body, error, Batch)
    _check_pairs(body)
    return [_entry_or_refusal(index, bytes(raw)) for index, raw in enumerate(raws)]


def _entry_or_refusal(index: int, raw: bytes) -> Submission | Refusal:
    try:
        entry = _read_entry(raw)
    except msgspec.ValidationError as error:
        found = json.loads(raw, parse_int=float)
        name = found.get("name") if isinstance(found, dict) else None
        return Refusal(index, name if isinstance(name, str) else "", str(_shape_error(error, StrictEntry)))
    try:
        if _is_large(entry.score):
            _check_digits(raw, entry.score)
    except ScoreRefused as error:
        return Refusal(index, entry.name, str(error))
    return _submission_or_refusal(index, entry)


def _submission_or_refusal(index: int, entry: StrictEntry) -> Submission | Refusal:
    try:
        return Submission(entry.name, entry.score, _metadata(entry.metadata))
    except BadBody as error:
        return Refusal(index, entry.name, str(error))


def _metadata(raw: Raw | None) -> bytes | None:
    """Return metadata without the spaces between its parts; numbers and strings stay as written."""
    if raw is None:
        return None
    try:
        metadata = msgspec.json.format(bytes(raw), indent=-1)
        _read_any(metadata)
    except msgspec.ValidationError as error:
        raise BadBody("/metadata", f"The metadata cannot be kept: {error}.") from None
    return None if metadata == b"null" else metadata


def _is_large(score: Score) -> bool:
    return isinstance(score, float) and not -EXACT < score < EXACT


def _check_pairs(body: Body) -> None:
    """Raise BadJSON if an object of ``body`` has one key twice."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        once = dict(found)
        if len(once) < len(found):
            counts = Counter(key for key, _ in found)
            raise BadJSON(f"the key {json.dumps(counts.most_common(1)[0][0])} stands twice in one object")
        return once

    try:
        json.loads(body, object_pairs_hook=pairs, parse_int=float)
    except (UnicodeDecodeError, RecursionError) as error:  # in metadata, which msgspec did not decode
        _refuse(body, error)


def _check_digits(text: Body, score: Score) -> None:
    """Raise ScoreRefused if the score was written with more digits than a double keeps."""
    written = json.loads(text, parse_float=Decimal)["score"]
    if not is_exact(written, score):
        raise ScoreRefused(
            f"The score {written} would be rounded to {Decimal(score)}. Send a number that a double holds."
        )


def _refuse(body: Body, error: Exception, kind: type[Struct] = Submit) -> NoReturn:
    """Raise what is wrong with a body that could not be read: first whether it is JSON at all, then its shape."""
    if isinstance(error, msgspec.ValidationError):
        try:
            _read_any(body)
        except msgspec.ValidationError:
            pass
        except _UNREADABLE as deeper:
            error = deeper
    if isinstance(error, msgspec.ValidationError):
        raise _shape_error(error, kind) from None
    if not body:
        raise BadJSON("it is empty") from None
    if isinstance(error, RecursionError):
        raise BadJSON("it is nested too deeply") from None
    if isinstance(error, UnicodeDecodeError):
        raise BadJSON("it is not UTF-8") from None
    raise BadJSON(str(error).removeprefix("JSON is malformed: ")) from None


def _shape_error(error: msgspec.ValidationError, kind: type[Struct]) -> BadBody | ScoreRefused:
    if "out of range - at" in str(error):
        return ScoreRefused("The score is beyond the range of a double (about 1.8e308).")
    pointer = str(error).partition(" - at `$")[2].strip("`").replace(".", "/")
    return BadBody(pointer, f"{describe_mismatch(error, SUBJECTS[kind], kind.__struct_fields__)}.")


def describe_mismatch(error: msgspec.ValidationError, subject: str, fields: Sequence[str]) -> str:
    """Return what is wrong with JSON of another shape than ``subject`` with these fields has."""
    what, _, where = str(error).partition(" - at `$")
    if found := re.fullmatch(r"Expected `(.+?)`, got `(.+?)`", what):
        expected, got = (_KINDS.get(word, word) for word in found.groups())
        return f"{where.strip('.`') or subject} must be {expected}, and is {got}"
    name = what.partition("`")[2].removesuffix("`")
    if what.startswith("Object missing"):
        return f"{subject} needs the field {name}"
    return (
        f"{subject} has no field {declaring.quote(name)}{declaring.suggest(name, fields)}. It has {', '.join(fields)}"
    )
