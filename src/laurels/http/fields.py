"""What each field of a body means, besides what its struct says: for the readers of the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laurels.http.parameters import NAME as NAME_SCHEMA
from laurels.limits import BATCH_ENTRIES, KIB, METADATA_BYTES, NAME_BYTES, TOKEN_BOARDS, TOKEN_SECONDS

if TYPE_CHECKING:
    from laurels.http.parameters import Schema


def _describe(description: str, **more: Any) -> Schema:
    return {"description": description, **more}


NAME = _describe(f"The player's name: 1 to {NAME_BYTES} bytes of UTF-8.", **NAME_SCHEMA)
SCORE = _describe("A finite number that a double holds exactly.")
RANK = _describe("The rank, from 0, by the board's `ranking`; null if the name is hidden.", minimum=0)
HIDDEN = _describe("True if the name is hidden: it has no rank, and is on no list; else left out.", const=True)
COUNT = _describe("How many entries there are.", minimum=0)
METADATA = _describe(f"Any JSON, at most {METADATA_BYTES // KIB} KiB of it, kept with the score it came with.")
SUBMITTED_AT = _describe(
    "When the score was reached, to count as of then: past, to the microsecond. Ties and periods go by it; under the "
    "operator `latest` one older than the entry does not count; and periods that are no longer kept are left out.",
    format="date-time",
    examples=["2026-11-20T10:00:00.123456Z"],
)
OPERATOR = _describe(
    "The operator by which this submit alone counts, instead of the board's: `latest`, `best` or `increment`. The "
    "bounds in `scores` hold as ever, the board's guard does not.",
    examples=["latest"],
)
RUN = _describe("A run of the player for this board; this submit uses it up.")
HELD_SCORE = {
    "score": _describe("The score that is held; under `increment` the sum of what was."),
    "submittedAt": _describe("When it was submitted.", format="date-time"),
}
PLACE = "Its position in the board's order, from 0, also where ranks are shared;"
TOTAL = _describe("How many entries there are in all; if `include` names it.", minimum=0)
METADATA_READ = _describe("The metadata of the submission that counts, or null; if `include` names it.")
SUBMITTED_AT_READ = _describe(
    "When the submission that counts was kept, or the time that it gave, in UTC; null if the store does not know; if "
    "`include` names it.",
    examples=["2026-11-22T05:00:00.123456Z"],
)
DAMAGED = _describe("True if there is metadata, but the disk has lost it; else left out.", const=True)
TOKEN = _describe("A JSON Web Token, to be sent as `Authorization: Bearer TOKEN`.")
EXPIRES_AT = _describe("Until when it is good, in UTC.")

FIELDS: dict[str, dict[str, Schema]] = {
    "Submit": {"score": SCORE, "metadata": METADATA, "submittedAt": SUBMITTED_AT, "operator": OPERATOR, "run": RUN},
    "MetadataAlone": {"metadata": _describe(f"Any JSON, at most {METADATA_BYTES // KIB} KiB of it; null for none.")},
    "StrictEntry": {"name": NAME, "score": SCORE, "metadata": METADATA, "submittedAt": SUBMITTED_AT},
    "Batch": {"entries": _describe("The entries, in the order in which they are submitted.", maxItems=BATCH_ENTRIES)},
    "BatchReceipt": {
        "accepted": _describe("How many entries were accepted, whether or not they changed a score.", minimum=0),
        "refused": _describe("The others."),
    },
    "Refusal": {
        "index": _describe("The entry's place in the batch, from 0.", minimum=0),
        "name": _describe("The entry's name, or nothing if it has none."),
        "problem": _describe("What was wrong, and what would be right."),
    },
    "WantedToken": {
        "name": NAME,
        "boards": _describe(
            "Names of boards, in which `*` is any characters: no more than the key itself has, and all of those if it "
            "is left out or null.",
            maxItems=TOKEN_BOARDS,
        ),
        "seconds": _describe("How long the token is good.", minimum=1, maximum=TOKEN_SECONDS),
    },
    "GivenToken": {"token": TOKEN, "expiresAt": EXPIRES_AT},
    "AnonymousToken": {"name": _describe("The player's new name."), "token": TOKEN, "expiresAt": EXPIRES_AT},
    "Receipt": {
        "score": _describe("The score that the name has now."),
        "rank": RANK,
        "previous": _describe("The standing before, or null for a new name."),
        "changed": _describe("Whether the board or one of its windows changed, or the metadata there."),
        "hidden": HIDDEN,
        "held": _describe(
            "True if the guard holds the score back, so that it does not count yet; else left out.", const=True
        ),
    },
    "Standing": {"score": SCORE, "rank": RANK},
    "StandingOfName": {
        "score": _describe("A finite number that a double holds exactly; 0 if the name is not on the board."),
        "rank": _describe(
            "The rank, from 0, by the board's `ranking`; null if the name is not on the board, or is hidden.", minimum=0
        ),
        "hidden": HIDDEN,
    },
    "StandingInWindow": {"score": SCORE, "rank": RANK},
    "StandingInFull": {
        "score": _describe("A finite number that a double holds exactly; 0 if the name is not on the board."),
        "rank": _describe("The rank, from 0; null if the name is not on the board, or is hidden.", minimum=0),
        "hidden": HIDDEN,
        "held": _describe("The score that is held of the name, or null; if `include` names it."),
        "place": _describe(f"{PLACE} null if there is no rank; if `include` names it.", minimum=0),
        "total": TOTAL,
        "percentile": _describe(
            "The percentage of entries that are no better, the name's own included: 100 for the best. Null if there is "
            "no rank; if `include` names it.",
            minimum=0,
            maximum=100,
        ),
        "metadata": METADATA_READ,
        "submittedAt": SUBMITTED_AT_READ,
        "windows": _describe(
            "The standing in the current period of each window of the board, null where there is none; if `include` "
            "names it."
        ),
        "metadataDamaged": DAMAGED,
    },
    "HeldScore": HELD_SCORE,
    "HeldEntry": {
        **HELD_SCORE,
        "name": NAME,
        "metadata": METADATA,
        "metadataDamaged": _describe("True if the disk has lost the metadata; else left out.", const=True),
    },
    "HeldEntries": {
        "held": _describe("The held scores, best first."),
        "next": _describe("Where the list goes on: the `cursor` for the next request, or null."),
    },
    "NewRun": {
        "run": _describe("The run."),
        "expiresAt": _describe("Until when it is accepted.", format="date-time"),
    },
    "ReadEntry": {
        "name": NAME,
        "score": SCORE,
        "rank": _describe("Its rank; in a page, if `include` names it.", minimum=0),
        "place": _describe(f"{PLACE} if `include` names it.", minimum=0),
        "metadata": METADATA_READ,
        "submittedAt": SUBMITTED_AT_READ,
        "metadataDamaged": DAMAGED,
    },
    "HiddenEntry": {
        "name": NAME,
        "score": _describe("A finite number that a double holds exactly; null if the name has no entry."),
        "metadata": _describe("The metadata of the submission that counts, or null; if `include` names it."),
        "submittedAt": _describe("When that was kept, in UTC, or null; if `include` names it.", format="date-time"),
        "metadataDamaged": _describe("True if there is metadata, but the disk has lost it; else left out.", const=True),
    },
    "HiddenNames": {
        "hidden": _describe("The names, sorted by their bytes."),
        "next": _describe("What to send as `after` for the names behind these, null if there are none."),
    },
    "AuditRecords": {
        "records": _describe("The records, the newest first."),
        "next": _describe("What to send as `before` for older records, null at the beginning of the file."),
    },
    "Record": {
        "time": _describe("When it was recorded, in UTC.", format="date-time"),
        "who": _describe(
            "`key:NAME`, `player:NAME`, `public` if nothing was shown, or `anybody` without an access file.",
            examples=["key:console"],
        ),
        "from": _describe("The client's address, as trusted proxies say; empty if it is not known."),
        "operation": _describe("Its `operationId`.", examples=["remove"]),
        "status": _describe("That of the answer; 499 if the act was cut off before."),
        "board": _describe("The board in the path."),
        "name": _describe("The player's name in the path."),
        "key": _describe("The key's name in the path."),
        "window": _describe("The window that was asked for."),
        "period": _describe("The period that was asked for."),
        "before": _describe("What it was about, just before: a standing, a count, a definition, or null."),
        "after": _describe("The same just after; left out if the act failed or was refused."),
        "unrecorded": _describe("How many refused attempts since the record before were too many to be recorded."),
    },
    "Reading": {
        "leaderboard": _describe("The entries, the first in the board's order first."),
        "next": _describe("What to send as `cursor` for the entries after these, null if there are none."),
        "missing": _describe("The names that are not on the board, in the order they were asked for."),
        "total": TOTAL,
    },
    "Summary": {
        "count": COUNT,
        "best": _describe("The best score, or null if there are no entries."),
        "worst": _describe("The worst score, or null if there are no entries."),
        "percentiles": _describe("The percentiles that were asked for, counted from the worst entry."),
        "histogram": _describe("Buckets of equal width, fewer than were asked for if the scores do not allow that."),
    },
    "Bucket": {
        "from": _describe("The least score in it."),
        "to": _describe("The score that it ends before; the last bucket includes it."),
        "count": COUNT,
    },
    "ScoreRank": {
        "rank": RANK,
        "percentile": _describe(
            "The percentage of entries that are no better, or null if there are no entries.", minimum=0, maximum=100
        ),
    },
    "Listed": {
        "name": _describe("The board's name."),
        "declared": _describe("Whether it has a definition of its own, and not the deployment's default one."),
        "count": COUNT,
        "definition": _describe("Its definition."),
    },
    "Listing": {
        "boards": _describe("The boards, by name."),
        "next": _describe("What to send as `after` for the boards after these, null if there are none."),
    },
    "Asker": {
        "who": _describe(
            "`key:NAME`, `player:NAME`, `public` if nothing was shown, or `anybody` without an access file.",
            examples=["key:console"],
        ),
        "scopes": _describe("What they may do; `admin` is everything, `submit` has `submit:self` in it."),
        "boards": _describe("On which boards: names, in which `*` is any characters."),
        "within": _describe("Further such names, one of which a board must match, too; left out if all do."),
        "expires": _describe("Until when; null if no time ends it."),
    },
    "ListedKey": {
        "name": _describe("The key's name."),
        "scopes": _describe("What may be done with it."),
        "boards": _describe("On which boards: names, in which `*` is any characters."),
        "expires": _describe("From when on it is accepted no more; null if it always is."),
    },
    "Keys": {
        "keys": _describe("The keys."),
        "next": _describe("What to go on `after`; null at the end."),
    },
    "ListedPeriod": {
        "window": _describe("The window, as the definition has it."),
        "period": _describe("Its name; names of one window sort by time."),
        "start": _describe("When it began, in the board's time zone.", format="date-time"),
        "stop": _describe("When it ends, or ended; not included.", format="date-time"),
        "count": COUNT,
        "current": _describe("Whether it is the current one."),
    },
    "Periods": {
        "periods": _describe("The periods that have entries."),
        "next": _describe("What to go on after. It is left out at the end.", examples=["daily 2026-11-22"]),
    },
    "Landing": {
        "service": _describe("The service's name.", const="laurels"),
        "version": _describe("Its version."),
        "docs": _describe("Where its docs are.", format="uri-reference"),
    },
    "Health": {"status": _describe("Always `ok`.")},
    "Readiness": {
        "status": _describe("Always `ok`."),
        "warnings": _describe("Sentences for the operator; not there if there are none."),
    },
    "Problem": {
        "type": _describe("The kind of problem; `about:blank` means that the status says it.", format="uri-reference"),
        "title": _describe("The status in words."),
        "status": _describe("The status.", minimum=400, maximum=599),
        "detail": _describe("What was wrong, and what would be right."),
        "parameter": _describe("The parameter that is wrong, if one is."),
        "pointer": _describe("Where in the body the fault is (RFC 6901), if it is there.", format="json-pointer"),
    },
}
"""By struct and field; each adds to what the struct itself says. A definition says all of it itself."""
