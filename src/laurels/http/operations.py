"""What there is to ask for, as readers are told: the operations, and what their answers mean."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from laurels.definition import Definition
from laurels.http import wire
from laurels.http.reads import READS
from laurels.stores.contract import Standing, Summary

ABOUT = """\
Boards, the entries on them, and who stands where: one contract however Laurels is run.

Ranks and places count from 0. A score is a JSON number that a double holds exactly; one that would be rounded is \
refused. The name of a board or of a player is one percent-decoded segment of the path, and `%2F` is part of a name. \
An answer is of one state of its board.

`HEAD` is answered wherever `GET` is, and `OPTIONS` with the methods in `Allow`. Any request may also get 405, 408, \
414, 431, 500 or 505. Every error is a problem document (RFC 9457) that says what was wrong and what would be right.
"""

TAGS = {
    "Scores": "Submit scores, and ask who stands where. A board comes into being at its first submit.",
    "Boards": "Which boards there are, what they promise, and what they hold.",
    "Service": "What this is, and whether it is well.",
}

STATUSES = {
    400: "The request cannot be read: JSON that is none, a bad name, a parameter of the wrong form or one too many.",
    404: "What was asked for is not there; the detail says what.",
    405: "The route does not have this method.",
    406: "`Accept` leaves no room for what there is.",
    408: "The request took too long to arrive.",
    409: "Stored entries, or the file that declares the board, contradict the definition; the detail says which.",
    413: "The body is too large: over 64 KiB, over 1 MiB for a batch.",
    414: "The target is longer than 8 KiB.",
    415: "The body is not JSON, or is encoded.",
    422: "It was read, and is refused; nothing was stored.",
    429: "The store's account is over one of its limits; nothing was counted.",
    431: "The headers are larger than 16 KiB.",
    500: "A fault of the service's own.",
    503: "The store cannot answer or cannot write now; nothing was counted, unless the detail says that it may be.",
    505: "Neither HTTP/1.1 nor HTTP/1.0.",
}
"""What each error means, whichever operation it answers."""

EVERYWHERE = (405, 408, 414, 431, 500, 505)
"""The errors that any request may get; the document has them once."""


_SIMPLE = (400, 406)
_READ = (400, 404, 406, 414, 422, 429, 503)
_WRITE = (400, 404, 406, 413, 415, 422, 429, 503)


class Answer(NamedTuple):
    """A good answer; ``bodies`` are the structs that it may be, or a content type."""

    status: int
    about: str
    bodies: tuple[type, ...] | bytes = ()
    headers: tuple[str, ...] = ()


class Operation(NamedTuple):
    """One method of one path: what it is for, what it takes, and what it answers."""

    name: str
    method: str
    path: str
    tag: str
    title: str
    about: str
    answers: tuple[Answer, ...]
    parameters: tuple[str, ...] = ()
    errors: tuple[int, ...] = _SIMPLE
    body: type | None = None


class Face(Struct, frozen=True):
    """What answers here."""

    service: str
    version: str
    docs: str


class Health(Struct, frozen=True):
    """That it does."""

    status: Literal["ok"]


_GONE = Answer(204, "It is not there, whether or not it was.")
_PERIOD = ("window", "period")
_OF_READS = tuple(dict.fromkeys("names" if key == "name" else key for read in READS for key in read.takes))

OPERATIONS = (
    Operation(
        "submit",
        "POST",
        "/{board}/{name}",
        "Scores",
        "Submit a score",
        "Puts the name on the board, by the board's operator, and on the current period of each of its windows. "
        "A retry after a lost answer is safe: with an `Idempotency-Key` it counts once under every operator.",
        (
            Answer(202, "The score is kept, and in the ranking."),
            Answer(
                200,
                "The score is kept. Standings after and before, where `Prefer: return=representation` asks for them.",
                (wire.Receipt,),
                ("Preference-Applied",),
            ),
        ),
        ("board", "name", "Prefer", "Idempotency-Key"),
        _WRITE,
        wire.Submit,
    ),
    Operation(
        "submit_many",
        "POST",
        "/{board}",
        "Scores",
        "Submit a batch",
        "Submits up to 1,000 entries in one act, each accepted or refused on its own, in their order.",
        (Answer(200, "What became of the entries.", (wire.BatchReceipt,)),),
        ("board", "Idempotency-Key"),
        _WRITE,
        wire.Batch,
    ),
    Operation(
        "standing",
        "GET",
        "/{board}/{name}",
        "Scores",
        "Ask where a name stands",
        "Gives score and rank. A name that is not on the board has score 0 and no rank.",
        (Answer(200, "The standing.", (Standing, wire.Absent)),),
        ("board", "name", *_PERIOD),
        _READ,
    ),
    Operation(
        "read",
        "GET",
        "/{board}",
        "Scores",
        "Read a board",
        "Gives entries in the board's order. The parameters tell which: a page (`startRank`, `endRank`), the page "
        "behind another (`cursor`), a name and its neighbours (`around`, `span`), chosen names (`name`, repeated), or "
        "the entries between two scores (`minScore`, `maxScore`, `limit`). One of these at a time; `include`, `window` "
        "and `period` go with all. A board that does not exist is an empty page.",
        (Answer(200, "The entries.", (wire.Reading,)),),
        ("board", *_OF_READS),
        _READ,
    ),
    Operation(
        "remove",
        "DELETE",
        "/{board}/{name}",
        "Scores",
        "Take a name off a board",
        "Takes it off all the board's periods, too; with `window`, off one period alone.",
        (_GONE,),
        ("board", "name", *_PERIOD),
        _READ,
    ),
    Operation(
        "drop",
        "DELETE",
        "/{board}",
        "Scores",
        "Drop a board's entries",
        "Drops them all, those of its periods too; with `window`, those of one period alone. The definition stays.",
        (_GONE,),
        ("board", *_PERIOD),
        _READ,
    ),
    Operation(
        "boards",
        "GET",
        "/-/boards",
        "Boards",
        "List the boards",
        "Gives the boards that have a definition or entries, by name.",
        (Answer(200, "The boards.", (wire.Listing,)),),
        ("after", "boards"),
        _READ,
    ),
    Operation(
        "definition",
        "GET",
        "/-/boards/{board}",
        "Boards",
        "Show a definition",
        "Gives what the board promises, all defaults written out. An undeclared board that has entries has the "
        "deployment's default definition.",
        (Answer(200, "The definition.", (Definition,)),),
        ("board",),
        _READ,
    ),
    Operation(
        "define",
        "PUT",
        "/-/boards/{board}",
        "Boards",
        "Define a board",
        "Declares the board, or changes what it promises. What is left out has its default. A change that stored "
        "entries contradict is refused with 409, and one that the store cannot keep with 422.",
        (
            Answer(201, "The board is declared.", (Definition,)),
            Answer(200, "Its definition is changed.", (Definition,)),
        ),
        ("board",),
        (400, 406, 409, 413, 415, 422, 429, 503),
        Definition,
    ),
    Operation(
        "undefine",
        "DELETE",
        "/-/boards/{board}",
        "Boards",
        "Drop a definition",
        "Gives the board the deployment's default definition; its entries stay.",
        (Answer(204, "The board is not declared, whether or not it was."),),
        ("board",),
        (400, 406, 409, 422, 429, 503),
    ),
    Operation(
        "periods",
        "GET",
        "/-/boards/{board}/periods",
        "Boards",
        "List a board's periods",
        "Gives the periods that have entries, by window and from the oldest.",
        (Answer(200, "The periods.", (wire.Periods,)),),
        ("board",),
        _READ,
    ),
    Operation(
        "summary",
        "GET",
        "/-/boards/{board}/summary",
        "Boards",
        "Summarize a board",
        "Gives how many entries there are, the best and the worst score, percentiles and a histogram. Percentiles "
        "count from the worst entry, whatever the order: the 99th is near the best.",
        (Answer(200, "The board in a few figures.", (Summary,)),),
        ("board", *_PERIOD),
        _READ,
    ),
    Operation(
        "rank",
        "GET",
        "/-/boards/{board}/rank",
        "Boards",
        "Ask where a score would stand",
        "Gives the rank that the score would have, and the percentage of entries that are no better.",
        (Answer(200, "Where it would stand.", (wire.ScoreRank,)),),
        ("board", "score", *_PERIOD),
        _READ,
    ),
    Operation(
        "face",
        "GET",
        "/",
        "Service",
        "Ask what this is",
        "Gives name, version, and where the docs are; to a browser, a page.",
        (Answer(200, "What this is.", (Face,)),),
    ),
    Operation(
        "health",
        "GET",
        "/-/health",
        "Service",
        "Ask whether the process answers",
        "Gives 200 while it does.",
        (Answer(200, "It does.", (Health,)),),
    ),
    Operation(
        "ready",
        "GET",
        "/-/ready",
        "Service",
        "Ask whether submits can be kept",
        "Gives 200 while the store can answer and can write, and 503 while it cannot.",
        (Answer(200, "They can.", (Health,)),),
        errors=(*_SIMPLE, 503),
    ),
    Operation(
        "document",
        "GET",
        "/-/openapi.json",
        "Service",
        "Read this document",
        "Gives it as OpenAPI 3.1.",
        (Answer(200, "The document.", b"application/json"),),
    ),
    Operation(
        "docs",
        "GET",
        "/-/docs",
        "Service",
        "Read the docs",
        "Gives this document as a page that needs nothing from elsewhere.",
        (Answer(200, "The page.", b"text/html; charset=utf-8"),),
    ),
)
