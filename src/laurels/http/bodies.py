"""The bodies of requests, read strictly.

msgspec reads a good body in one step. JSON leaves open what two equal keys mean, and msgspec takes the later; the
quotes tell whether any is missing in what it read.

**Cost.** A bad body costs no more than a good one of its size: entries are counted before they are looked at, metadata
is looked into only if it is small enough to be kept, and what depends on the size of the body alone is done by compiled
code, without a step of Python for each part of it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from laurels import declaring
from laurels.definition import OPERATORS
from laurels.entries import EXACT, checked_name, cut_name, is_exact
from laurels.errors import BadBody, BadJSON, ScoreRefused, truncate
from laurels.http.wire import Batch, MetadataAlone, StrictEntry, Submit, WantedToken, encode
from laurels.limits import BATCH_ENTRIES, BODY_BYTES, METADATA_BYTES, NAME_BYTES, TOKEN_BOARDS, TOKEN_SECONDS
from laurels.stores.contract import FullSubmission, Refusal, Score, Submission
from laurels.wording import describe_unknown, quote, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from laurels.definition import Definition, Operator

Body = bytes | bytearray
Entries: TypeAlias = "Sequence[Submission | Refusal]"


class _Named(Struct, frozen=True):
    """The name of an entry that is otherwise wrong."""

    name: str = ""


class _Written(Struct, frozen=True):
    """A score as it was written."""

    score: Raw


class _Subject(NamedTuple):
    name: str
    example: str
    advice: dict[str, str] = {}  # noqa: RUF012 - never changed
    """What else to say of a problem with these words: that of a body which belongs elsewhere."""


_A_BATCH = "Several entries are a batch, which goes to POST /{board}."
_ALONE = {
    f'no field "{field}"': "That goes with one score alone, to POST /{board}/{name}." for field in ("operator", "run")
}
_A_SUBMIT = "One score goes to POST /{board}/{name}."
_SUBJECTS: dict[type[Struct], _Subject] = {
    Submit: _Subject(
        "A submit",
        '{"score": 42}',
        {"is a list": _A_BATCH, 'no field "entries"': _A_BATCH, 'no field "name"': "The name stands in the path."},
    ),
    Batch: _Subject(
        "A batch",
        '{"entries": [{"name": "v", "score": 42}]}',
        {'no field "score"': _A_SUBMIT, 'no field "name"': _A_SUBMIT, **_ALONE},
    ),
    StrictEntry: _Subject("An entry", '{"name": "v", "score": 42}', _ALONE),
    WantedToken: _Subject("A request for a token", '{"name": "v"}'),
    MetadataAlone: _Subject("A change of metadata", '{"metadata": {"car": "porsche"}}'),
}
_KINDS = {
    "int | float": "a number",
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "str | null": "a string",
    "object": "an object",
    "array": "a list",
    "array | null": "a list",
    "bool": "a boolean",
}
"""Words for what JSON may hold, by msgspec's."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_PATH = re.compile(r" - at `\$((?:\.\w{1,20})+)`$")
"""Where in a body msgspec found something wrong."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_score = attrgetter("score")

_read_submit = msgspec.json.Decoder(Submit).decode
_read_metadata = msgspec.json.Decoder(MetadataAlone).decode
_read_batch = msgspec.json.Decoder(Batch).decode
_read_wanted = msgspec.json.Decoder(WantedToken).decode
_read_entry = msgspec.json.Decoder(StrictEntry).decode
_read_name = msgspec.json.Decoder(_Named).decode
_read_written = msgspec.json.Decoder(_Written).decode
_read_raw = msgspec.json.Decoder(Raw).decode
_read_any = msgspec.json.Decoder(Any).decode


class Terms(NamedTuple):
    """How a submit is to count, if not as others do: its time, in microseconds since the epoch, operator and run."""

    submitted_at: int | None = None
    operator: Operator | None = None
    run: str | None = None

    @property
    def need_moderator(self) -> bool:
        """Whether they need the right to moderate."""
        return self.submitted_at is not None or self.operator is not None


def parse_submit(body: Body) -> tuple[Score, bytes | None, Terms | None]:
    """Read the score, the metadata and the terms of a submit.

    Raises BadJSON, BadBody or ScoreRefused for one that is not good.
    """
    try:
        submit = _read_submit(body)
    except _UNREADABLE as error:
        _refuse(body, error, Submit)
    if body.count(b'"') != 2 and _count_quotes(body) != 2 + _quotes_of_details(submit):  # noqa: PLR2004 - those around "score"
        _refuse_twice(body)
    if _is_large(submit.score):
        _check_digits(body, submit.score)
    terms = _terms(submit) if _quotes_of_terms(submit) else None
    return submit.score, _metadata(submit.metadata), terms


def parse_metadata(body: Body) -> bytes | None:
    """Read the metadata that an entry is to have, None for none; raises as :func:`parse_submit`."""
    try:
        found = _read_metadata(body)
    except _UNREADABLE as error:
        _refuse(body, error, MetadataAlone)
    if _count_quotes(body) != _quotes_of_metadata(found.metadata):
        _refuse_twice(body)
    return _metadata(found.metadata)


def parse_batch(body: Body) -> Entries | Iterator[Entries]:
    """Read the body of a batch, with a refusal in the place of each bad entry; raises as :func:`parse_submit`.

    Of a long body the entries come in portions, each of which is read, or raises, when it is asked for.
    """
    portions = _read_portions(body)
    return portions if len(body) > BODY_BYTES else [*chain.from_iterable(portions)]


def parse_definition(body: Body) -> Definition:
    """Read a board's definition; raises BadJSON and BadDefinition."""
    try:
        table = _read_any(body)
        if _count_quotes(encode(table)) != _count_quotes(body):
            _refuse_twice(body)
        return declaring.read_definition(table)
    except msgspec.ValidationError:
        raise BadBody("", "A number of the definition is beyond the range of a double (about 1.8e308).") from None
    except _UNREADABLE as error:
        _refuse(body, error)


def parse_wanted_token(body: Body) -> WantedToken:
    """Read what token is wanted; raises BadJSON, BadName or BadBody."""
    try:
        wanted = _read_wanted(body)
        is_twice = _count_quotes(encode(_read_any(body))) != _count_quotes(body)
    except _UNREADABLE as error:
        _refuse(body, error, WantedToken)
    if is_twice:
        _refuse_twice(body)
    checked_name(wanted.name)
    if not 1 <= wanted.seconds <= TOKEN_SECONDS:
        raise BadBody("/seconds", f"seconds is {truncate(wanted.seconds)}: it must be from 1 to {TOKEN_SECONDS:,}.")
    boards = wanted.boards or []
    if len(boards) > TOKEN_BOARDS:
        raise BadBody("/boards", f"There are {len(boards)} boards: a token has at most {TOKEN_BOARDS}.")
    for index, pattern in enumerate(boards):
        if not 0 < len(pattern.encode()) <= NAME_BYTES or "\0" in pattern:
            raise BadBody(
                f"/boards/{index}", f"A board, or a pattern of boards, has 1 to {NAME_BYTES} bytes and no NUL."
            )
    return wanted


def _read_portions(body: Body) -> Iterator[Entries]:
    found, read_entry = _read_entries(body)
    yield []
    size = 1 + len(found) * BODY_BYTES // len(body)
    for start in range(0, len(found), size):
        portion = found[start : start + size]
        yield [read_entry(index, entry) for index, entry in enumerate(portion, start)] if read_entry else portion


def _read_entries(body: Body) -> tuple[Sequence[Any], Callable[[int, Any], Submission | Refusal] | None]:
    """Return the entries as far as they could be read together, and what is to be done with each, if anything."""
    with suppress(*_UNREADABLE):
        found = _read_batch(body).entries
        if len(found) > BATCH_ENTRIES:
            raise _too_many()
        if not any(map(_is_large, map(_score, found))):
            if body.count(b'"') == 2 + 6 * len(found):
                return found, None
            if _count_quotes(body) == 2 + sum(6 + _quotes_of_details(entry) for entry in found):
                return found, _submission_or_refusal
    try:
        str(body, "utf-8")
        raws = _read_raws(body)
    except _UNREADABLE as error:
        if "at most length" in str(error):
            raise _too_many() from None
        _refuse(body, error, Batch)
    if _count_quotes(body) != 2 + sum(map(_count_quotes, raws)):
        _refuse_twice(body)
    return raws, _entry_or_refusal


def _read_raws(body: Body) -> Sequence[bytes]:
    return [bytes(raw) for raw in msgspec.structs.astuple(_raw_batch_reader()(body).entries) if raw is not None]


@cache
def _raw_batch_reader() -> Callable[[Body], Any]:
    """Return what reads the entries of a batch as they were written, and stops at the first that is too many.

    msgspec looks at the length of a list only when it has read all of it, but at that of an array of fields as it goes.
    It is made when it is needed first, which takes some milliseconds.
    """
    fields = [(f"entry_{index}", Raw, None) for index in range(BATCH_ENTRIES)]
    entries = msgspec.defstruct("RawEntries", fields, array_like=True, forbid_unknown_fields=True, gc=False)
    batch = msgspec.defstruct("RawBatch", [("entries", entries)], forbid_unknown_fields=True)
    return msgspec.json.Decoder(batch).decode


def _too_many() -> BadBody:
    return BadBody("/entries", f"The batch has too many entries. Send at most {BATCH_ENTRIES:,} at a time.")


def _entry_or_refusal(index: int, raw: bytes) -> Submission | Refusal:
    try:
        entry = _read_entry(raw)
    except msgspec.ValidationError as error:
        return Refusal(index, _name_of(raw), str(_shape_error(error, StrictEntry)))
    if _count_quotes(raw) != 6 + _quotes_of_details(entry):
        _refuse_twice(raw)
    try:
        if _is_large(entry.score):
            _check_digits(raw, entry.score)
    except ScoreRefused as error:
        return Refusal(index, cut_name(entry.name), str(error))
    return _submission_or_refusal(index, entry)


def _name_of(raw: bytes) -> str:
    """Return the name of an entry that is wrong, as far as it has one."""
    try:
        return cut_name(_read_name(raw).name)
    except _UNREADABLE:
        return ""


def _submission_or_refusal(index: int, entry: StrictEntry) -> Submission | Refusal:
    try:
        metadata, time = _metadata(entry.metadata), _time(entry.submitted_at)
        if time is None:
            return Submission(entry.name, entry.score, metadata)
        return FullSubmission(entry.name, entry.score, metadata, time)
    except BadBody as error:
        return Refusal(index, cut_name(entry.name), str(error))


def _metadata(raw: Raw | None) -> bytes | None:
    """Return metadata without the spaces between its parts; numbers and strings stay as written.

    What is too large to be kept is returned unread: the rules refuse it.
    """
    if raw is None:
        return None
    metadata = bytes(raw)
    try:
        metadata = msgspec.json.format(metadata, indent=-1)
        if len(metadata) > METADATA_BYTES:
            return metadata
        found = _read_any(metadata)
    except msgspec.ValidationError as error:
        raise BadBody("/metadata", f"The metadata cannot be kept: {error}.") from None
    except _UNREADABLE as error:
        _refuse(metadata, error)
    if b',"' in metadata and _count_quotes(encode(found)) != _count_quotes(metadata):
        _refuse_twice(metadata)
    return None if metadata == b"null" else metadata


def _time(text: str | UnsetType | None) -> int | None:
    """Return a time in microseconds since the epoch; raise BadBody for a text that is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.upper()) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or moment < EPOCH:
        right = 'a time since 1970 as RFC 3339 has it, to the microsecond, such as "2026-11-20T10:00:00.123456Z"'
        raise BadBody("/submittedAt", f"submittedAt is {truncate(text)!r}: it must be {right}.")
    return (moment - EPOCH) // timedelta(microseconds=1)


def format_time(microseconds: int) -> str:
    """Return a time, in microseconds since the epoch, as RFC 3339 has it, in UTC."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _terms(submit: Submit) -> Terms:
    run = submit.run if isinstance(submit.run, str) else None
    return Terms(_time(submit.submitted_at), _operator(submit.operator), run)


def _operator(text: str | UnsetType | None) -> Operator | None:
    """Return an operator; raise BadBody for a text that is none."""
    if not isinstance(text, str):
        return None
    operator = next((each for each in OPERATORS if each == text), None)
    if operator is None:
        right = " or ".join(map(quote, OPERATORS))
        hint = suggest(text, OPERATORS)
        raise BadBody("/operator", f"operator is {quote(text)}: it must be {right}{hint}.")
    return operator


def _is_large(score: Score) -> bool:
    return isinstance(score, float) and not -EXACT < score < EXACT


def _count_quotes(text: Body) -> int:
    """Count the quotes around the strings of JSON, keys too.

    msgspec takes the last of equal keys, so JSON with such a pair has more strings than what was read of it.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"")  # escaped backslashes, so that one before a quote escapes that
        return text.count(b'"') - text.count(b'\\"')
    return text.count(b'"')


def _quotes_of_details(sent: Submit | StrictEntry) -> int:
    return _quotes_of_metadata(sent.metadata) + _quotes_of_terms(sent)


def _quotes_of_terms(sent: Submit | StrictEntry) -> int:
    texts = (sent.submitted_at, sent.operator, sent.run) if isinstance(sent, Submit) else (sent.submitted_at,)
    return sum(0 if text is UNSET else 2 if text is None else 4 for text in texts)


def _quotes_of_metadata(raw: Raw | None) -> int:
    return 0 if raw is None else 2 + _count_quotes(bytes(raw))


def _refuse_twice(text: Body) -> NoReturn:
    """Raise BadJSON for an object that has one key twice."""

    def check_pairs(pairs: list[tuple[str, Any]]) -> None:
        key, count = Counter(key for key, _ in pairs).most_common(1)[0] if pairs else ("", 0)
        if count > 1:
            raise BadJSON(f"the key {quote(key)} stands twice in one object")

    if len(text) <= BODY_BYTES:
        with suppress(RecursionError, ValueError):  # of what is no better otherwise: not UTF-8, or nested too deeply
            json.loads(text, object_pairs_hook=check_pairs, parse_int=float)
    raise BadJSON("a key stands twice in one object")


def _check_digits(text: Body, score: Score) -> None:
    """Raise ScoreRefused if the score was written with more digits than a double keeps."""
    written = bytes(_read_written(text).score).decode()
    if not is_exact(Decimal(written), score):
        raise ScoreRefused(
            f"The score {truncate(written)} would be rounded to {score!r}. Send a number that a double holds."
        )


def _refuse(body: Body, error: Exception, kind: type[Struct] = Submit) -> NoReturn:
    """Raise what is wrong with a body that could not be read: first whether it is JSON at all, then its shape."""
    if isinstance(error, msgspec.ValidationError):
        try:
            _read_raw(body)
            str(body, "utf-8")
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
    found = _PATH.search(str(error))
    subject, is_one_of_many = _SUBJECTS[kind], kind is StrictEntry
    problem = describe_mismatch(error, subject.name, kind.__struct_encode_fields__, at_length=not is_one_of_many)
    if found:
        return BadBody(found[1].replace(".", "/"), f"{problem}.")
    advice = [f" {advice}" for words, advice in subject.advice.items() if words in problem]
    return BadBody("", f"{problem}: send {subject.example}.{''.join(advice)}")


def describe_mismatch(
    error: msgspec.ValidationError, subject: str, fields: Sequence[str], *, at_length: bool = True
) -> str:
    """Return what is wrong with JSON of another shape than ``subject`` with these fields has."""
    what, _, where = str(error).partition(" - at `$")
    if found := re.fullmatch(r"Expected `(.+?)`, got `(.+?)`", what):
        expected, got = (_KINDS.get(word, word) for word in found.groups())
        advice = ": a number has no quotes" if (expected, got) == ("a number", "a string") else ""
        return f"{where.strip('.`') or subject} must be {expected}, and is {got}{advice}"
    name = what.partition("`")[2].removesuffix("`")
    if what.startswith("Object missing"):
        return f"{subject} needs the field {name}"
    return describe_unknown(subject, name, fields, at_length=at_length)
