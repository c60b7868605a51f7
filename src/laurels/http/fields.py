"""What each field of a body means, and what holds for it beyond its type: told to readers, checked elsewhere."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _said(description: str, **more: Any) -> Schema:
    return {"description": description, **more}


NAME = _said("The name of who has the score: 1 to 256 bytes of UTF-8.", minLength=1, maxLength=256)
SCORE = _said("A finite number that a double holds exactly.")
RANK = _said("The rank, from 0, by the board's `ranking`.", minimum=0)
COUNT = _said("How many entries there are.", minimum=0)
METADATA = _said("Any JSON, at most 1 KiB of it, kept with the score it came with.")
WINDOW = _said("`daily`, `weekly`, `monthly`, or a cron line.")
PERIOD = _said("Its name; names of one window order as their times.")
REFUSED_NAME = _said("The entry's name, or nothing where it has none.")

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
        "name": REFUSED_NAME,
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
        "window": WINDOW,
        "period": PERIOD,
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
