"""What each parameter and each field of a body means, and what holds for it: told to readers, checked elsewhere."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from laurels.http.reads import PAGE_FIELDS

Schema = dict[str, Any]
Where = Literal["path", "query", "header"]


class Parameter(NamedTuple):
    """A part of the path, the query or the head."""

    where: Where
    about: str
    schema: Schema
    example: str | None = None
    is_required: bool = False
    is_repeated: bool = False
    """Whether each value of a list is a parameter of its own; else they are one, with commas."""


_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
_NO_CONTROLS = r"[^\x00-\x1f\x7f-\x9f]+$"
_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}

PARAMETERS = {
    "board": Parameter(
        "path",
        "The board's name.",
        {**_NAME, "pattern": rf"^(?!(?:\.{{1,2}}|-)$){_NO_CONTROLS}"},
        "mario-kart",
        is_required=True,
    ),
    "name": Parameter(
        "path",
        "The name of who has the score.",
        {**_NAME, "pattern": rf"^(?!\.{{1,2}}$){_NO_CONTROLS}"},
        "silverhand",
        is_required=True,
    ),
    "Prefer": Parameter(
        "header",
        "`return=representation` asks for the standings before and after the submit. A store that cannot tell them "
        "(Momento) passes it over.",
        _TEXT,
    ),
    "Idempotency-Key": Parameter(
        "header",
        "Any text that is this act's own, such as a UUID. Within 24 hours the same request with this key counts once "
        "and gets the first answer; another request with that key is refused.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    ),
    "window": Parameter(
        "query", "A window of the board: `daily`, `weekly`, `monthly`, or its cron line.", _TEXT, "daily"
    ),
    "period": Parameter(
        "query",
        "A period of the window, such as `2026-11-22`, `2026-W47`, `2026-11`, or `2026-11-22T05:00Z`, the instant at "
        "which a cron line's began. It is the current one where none is named.",
        _TEXT,
    ),
    "startRank": Parameter("query", "The first place, included.", {**_WHOLE, "default": 0}),
    "endRank": Parameter(
        "query", "The first place that is not included, at most 1,000 on; 20 on where it is left out.", _WHOLE
    ),
    "include": Parameter(
        "query",
        "What to tell of each entry beside name and score, separated by commas; `cursor` is told once, as `next`.",
        {"type": "array", "items": {"enum": list(PAGE_FIELDS)}, "minItems": 1},
    ),
    "cursor": Parameter("query", "The `next` of a page, as it came: gives the entries behind it.", _TEXT),
    "around": Parameter("query", "A name: gives it with its neighbours.", _NAME),
    "span": Parameter(
        "query", "How many neighbours on either side.", {"type": "integer", "minimum": 0, "maximum": 500, "default": 5}
    ),
    "names": Parameter(
        "query",
        "Gives exactly these names.",
        {"type": "array", "items": _NAME, "minItems": 1, "maxItems": 100, "uniqueItems": True},
        is_repeated=True,
    ),
    "minScore": Parameter("query", "The least score, included.", {"type": "number"}),
    "maxScore": Parameter("query", "The greatest score, included.", {"type": "number"}),
    "limit": Parameter("query", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}),
    "score": Parameter("query", "A score that nobody needs to have.", {"type": "number"}, is_required=True),
    "after": Parameter("query", "The `next` of the list before: gives the boards behind that name.", _TEXT),
    "boards": Parameter(
        "query", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    ),
}
"""Each by its name, as far as it has that alone."""

RENAMED = {"names": "name", "boards": "limit"}
"""The names of the others."""


def _said(description: str, **more: Any) -> Schema:
    return {"description": description, **more}


NAME = _said("The name of who has the score: 1 to 256 bytes of UTF-8.", **_NAME)
SCORE = _said("A finite number that a double holds exactly.")
RANK = _said("The rank, from 0, by the board's `ranking`.", minimum=0)
COUNT = _said("How many entries there are.", minimum=0)
METADATA = _said("Any JSON, at most 1 KiB of it, kept with the score it came with.")

FIELDS: dict[str, dict[str, Schema]] = {
    "Submit": {"score": SCORE, "metadata": METADATA},
    "StrictEntry": {"name": NAME, "score": SCORE, "metadata": METADATA},
    "Batch": {"entries": _said("The entries, in the order in which they are submitted.", maxItems=1000)},
    "BatchReceipt": {
        "accepted": _said("How many entries were accepted, whether or not they changed a score.", minimum=0),
        "refused": _said("The others."),
    },
    "Refusal": {
        "index": _said("The entry's place in the batch, from 0.", minimum=0),
        "name": _said("The entry's name, or nothing where it has none."),
        "problem": _said("What was wrong, and what would be right."),
    },
    "Receipt": {
        "score": _said("The score that the name has now."),
        "rank": RANK,
        "previous": _said("The standing before, or null for a new name."),
        "changed": _said("Whether the attempt counted."),
    },
    "Standing": {"score": SCORE, "rank": RANK},
    "Absent": {
        "score": _said("Always 0.", const=0),
        "rank": _said("Always null: the name is not on the board."),
    },
    "ReadEntry": {
        "name": NAME,
        "score": SCORE,
        "rank": _said("Its rank; in a page, where `include` names it.", minimum=0),
        "metadata": _said("What came with the attempt that counts, or null; where `include` names it."),
        "submittedAt": _said(
            "When the attempt that counts was kept, in UTC, or null where the store does not know; where `include` "
            "names it.",
            examples=["2026-11-22T05:00:00.123Z"],
        ),
    },
    "Reading": {
        "leaderboard": _said("The entries, the first in the board's order first."),
        "next": _said("What to send as `cursor` for the entries behind, null where there are none."),
        "missing": _said("The names that are not on the board, in the order they were asked for."),
    },
    "Summary": {
        "count": COUNT,
        "best": _said("The score that stands first, or null of no entries."),
        "worst": _said("The score that stands last, or null of no entries."),
        "percentiles": _said("The 50th, 90th and 99th percentile, counted from the worst entry."),
        "histogram": _said("Ten buckets of equal width, fewer where the scores do not allow that."),
    },
    "Bucket": {
        "from": _said("The least score in it."),
        "to": _said("The score that it ends before; the last bucket includes it."),
        "count": COUNT,
    },
    "ScoreRank": {
        "rank": RANK,
        "percentile": _said(
            "The percentage of entries that are no better, or null of no entries.", minimum=0, maximum=100
        ),
    },
    "Listed": {
        "name": _said("The board's name."),
        "declared": _said("Whether it has a definition of its own, and not the deployment's default one."),
        "definition": _said("What it promises."),
    },
    "Listing": {
        "boards": _said("The boards, by name."),
        "next": _said("What to send as `after` for those behind, null where there are none."),
    },
    "ListedPeriod": {
        "window": _said("The window, as the definition has it."),
        "period": _said("Its name; names of one window order as their times."),
        "start": _said("When it began, in the board's time zone.", format="date-time"),
        "stop": _said("When it ends, or ended; not included.", format="date-time"),
        "count": COUNT,
        "current": _said("Whether it is the current one."),
    },
    "Periods": {"periods": _said("The periods that have entries.")},
    "Face": {
        "service": _said("The service's name.", const="laurels"),
        "version": _said("Its version."),
        "docs": _said("Where its docs are.", format="uri-reference"),
    },
    "Health": {"status": _said("Always `ok`.")},
    "Problem": {
        "type": _said("The kind of problem; `about:blank` says that the status tells it.", format="uri-reference"),
        "title": _said("The status in words."),
        "status": _said("The status.", minimum=400, maximum=599),
        "detail": _said("What was wrong, and what would be right."),
        "parameter": _said("The parameter that is to blame, where one is."),
        "pointer": _said("Where in the body the fault is (RFC 6901), where it is there.", format="json-pointer"),
    },
}
"""By struct and field; each adds to what the struct itself tells. A definition tells all of it itself."""
