"""The table of operations: all that the service answers, documents aside (:mod:`laurels.http.documents`).

To add an operation: a row here, its handler in :mod:`laurels.http.handlers`, its parameters in
:mod:`laurels.http.parameters`, and an example in :mod:`laurels.http.examples`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from laurels.definition import Definition
from laurels.http.audited_state import (
    show_count,
    show_held,
    show_key,
    show_own_definition,
    show_restored,
    show_standing,
)
from laurels.http.board_page import parse_view, present
from laurels.http.bodies import parse_batch, parse_definition, parse_metadata, parse_submit, parse_wanted_token
from laurels.http.handlers import (
    back_up,
    check_health,
    check_ready,
    define,
    drop,
    list_boards,
    list_keys,
    list_periods,
    rank_of_score,
    remove,
    restore,
    revoke_key,
    set_metadata,
    show_audit,
    show_definition,
    show_landing,
    show_principal,
    standing,
    submit,
    submit_batch,
    summarize,
    undefine,
)
from laurels.http.held_scores import list_held, make_run, reject, release
from laurels.http.hidden_names import hide, list_hidden, show
from laurels.http.live import parse_views, watch
from laurels.http.messages import EVENTS, HTML, JSON, TAR
from laurels.http.operation import READ_ERRORS, SIMPLE_ERRORS, WRITE_ERRORS, Answer, Body, Operation
from laurels.http.parameters import (
    ACCESS_TOKEN,
    AFTER,
    AFTER_HIDDEN,
    AFTER_KEY,
    AFTER_PERIOD,
    AROUND,
    AUDIT_LIMIT,
    AUDITED_BEFORE,
    AUDITED_BOARD,
    AUDITED_NAME,
    AUDITED_SINCE,
    AUDITED_WHO,
    BOARDS_LIMIT,
    BOARDS_PREFIX,
    BUCKETS,
    END_RANK,
    HELD_CURSOR,
    HELD_LIMIT,
    HIDDEN_LIMIT,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    INCLUDE_IN_HIDDEN,
    INCLUDE_IN_LIST,
    INCLUDE_IN_STANDING,
    INCLUDE_IN_VIEW,
    KEYS_LIMIT,
    LIMIT_AROUND,
    LOOK,
    OF_PERIOD,
    ONE_NAME,
    PERIODS_LIMIT,
    PLAYER_SHOWN,
    PREFER,
    SCORE,
    SPAN,
    START_RANK,
    SUMMARY_PERCENTILES,
    VIEW,
    WINDOW,
)
from laurels.http.reads import READS, read_board
from laurels.http.tokens import give_anonymous_token, give_token
from laurels.http.wire import (
    AnonymousToken,
    Asker,
    AuditRecords,
    Batch,
    BatchReceipt,
    GivenToken,
    HeldEntries,
    HiddenNames,
    Keys,
    Listing,
    MetadataAlone,
    NewRun,
    Periods,
    Readiness,
    Reading,
    Receipt,
    ScoreRank,
    StandingInFull,
    StandingOfName,
    Submit,
    WantedToken,
)
from laurels.limits import (
    ANONYMOUS_TOKENS,
    BATCH_BYTES,
    BATCH_ENTRIES,
    BODY_BYTES,
    HEAD_BYTES,
    TARGET_BYTES,
    format_size,
)
from laurels.stores.contract import Summary

ABOUT = """\
Boards, the entries on them, and their ranks: one contract, however Laurels is run.

Ranks and places start at 0. A score is a JSON number that a double holds exactly; one that would be rounded is \
refused. The name of a board or of a player is one percent-decoded segment of the path, and `%2F` is part of a name. \
An answer is of one state of its board.

Who asks is shown by `Authorization: Bearer KEY-OR-TOKEN`. Each operation says which scope it needs. The access file \
of the service says which scopes the public has, each key, and players by their tokens; without such a file anybody \
may do everything.

`HEAD` is answered wherever `GET` is, and `OPTIONS` with the methods in `Allow`. Any request may also get 401, 403, \
405, 408, 414, 421, 429, 431, 500, 501, 503 or 505. Every error is a problem document (RFC 9457) that says what was \
wrong and what would be right.
"""

OF_CREDENTIALS = (
    "A key (`laurels_...`), or a token of a player. Neither is needed for what the service's access file lets the "
    "public do, or if it has no such file. A wrong one is refused everywhere."
)

TAGS = {
    "Scores": "Submit scores, and read ranks. A board comes into being at its first submit.",
    "Players": "Tokens, by which players submit their own scores.",
    "Boards": "Which boards there are, how they are defined, and what they hold.",
    "Guard": "What a board does against cheating: runs, and scores that wait for a moderator.",
    "Service": "What this is, and whether it is well.",
}

STATUSES = {
    400: "The request cannot be read: malformed JSON, a bad name, a parameter of the wrong form or one too many.",
    401: "The request shows no key or token and needs one, or shows one that is not accepted.",
    403: "The key or token has no right to this; or a page of another origin, which is not allowed, may not write.",
    404: "What was asked for is not there; the detail says what.",
    405: "The route does not have this method.",
    406: "`Accept` excludes every representation there is.",
    408: "The request took too long to arrive.",
    409: "Stored entries, or the file that declares the board, contradict the definition; or the access file cannot be "
    "written. The detail says which.",
    412: "The definition is not the one that `If-Match` says.",
    413: f"The body is too large: over {format_size(BODY_BYTES)}, over {format_size(BATCH_BYTES)} for a batch, unless "
    "the service is set otherwise.",
    414: f"The target is longer than {format_size(TARGET_BYTES)}, unless the service is set otherwise.",
    415: "The body is not JSON, or is encoded.",
    421: "`Host` names another service than this.",
    422: "The request was read, and is refused; nothing was stored.",
    426: "The WebSocket is of another version than 13.",
    429: "The address, the key or the player asks too often; or the store's account is over one of its limits. Nothing "
    "was counted.",
    431: f"The headers are larger than {format_size(HEAD_BYTES)}, unless the service is set otherwise.",
    500: "A fault of the service's own.",
    501: "`Transfer-Encoding` has another coding than `chunked`, or more than one.",
    503: "The service cannot answer now, or does as much as it is set to; nothing was counted, unless the detail says "
    "that it may be.",
    505: "Neither HTTP/1.1 nor HTTP/1.0.",
    507: "The store holds as much as its operator allows; nothing was counted. The detail names the setting to raise.",
}
"""What each error means, whichever operation it answers."""

ANY_REQUEST = (401, 403, 405, 408, 414, 421, 429, 431, 500, 501, 503, 505)
"""The errors that any request may get; the document has them once."""


class Landing(Struct, frozen=True):
    """What the service is."""

    service: str
    version: str
    docs: str


class Health(Struct, frozen=True):
    """That the service answers."""

    status: Literal["ok"]


_GONE = Answer(204, "It is not there, whether or not it was.")
# "include" has two forms: the document shows that of a page, which knows every field.
_FIRST_OF_NAME = {parameter.name: parameter for read in reversed(READS) for parameter in read.inputs.parameters}
_OF_READS = tuple(
    dict.fromkeys(_FIRST_OF_NAME[parameter.name] for read in READS for parameter in read.inputs.parameters)
)

SUBMIT = Operation(
    name="submit",
    method="POST",
    path="/{board}/{name}",
    tag="Scores",
    title="Submit a score",
    about="Submits a score for the name to the board, by the board's operator, and to the current period of each of "
    "its windows. A retry after a lost answer is safe: with an `Idempotency-Key` it counts once under every operator. "
    "With `operator` it counts by that one instead of the board's, past the board's guard; with `submittedAt` as of "
    "then. Both need the right to moderate.",
    answers=(
        Answer(202, "The score is kept, and in the ranking."),
        Answer(
            200,
            "The score is kept. The standings after and before it, if `Prefer: return=representation` asks for them.",
            (Receipt,),
            ("Preference-Applied",),
        ),
    ),
    handler=submit,
    parameters=(PREFER, IDEMPOTENCY_KEY),
    errors=WRITE_ERRORS,
    body=Body(Submit, parse_submit),
    scope="submit:self",
    admits_moderators=True,
    is_submit=True,
)
STANDING = Operation(
    name="standing",
    method="GET",
    path="/{board}/{name}",
    tag="Scores",
    title="Get a standing",
    about="Returns the score and the rank of a name. A name that is not on the board has score 0 and no rank.",
    answers=(Answer(200, "The standing, with what else was asked for.", (StandingOfName, StandingInFull)),),
    handler=standing,
    parameters=(*OF_PERIOD, INCLUDE_IN_STANDING),
    errors=READ_ERRORS,
    scope="read",
    subject="the standing of a name",
)
READ = Operation(
    name="read",
    method="GET",
    path="/{board}",
    tag="Scores",
    title="Read a board",
    about="Returns entries in the board's order. The parameters say which: a page (`startRank`, `endRank`), the page "
    "after another (`cursor`), a name and its neighbours (`around`, `span` or `limit`), chosen names (`name`, "
    "repeated), or the entries between two scores (`minScore`, `maxScore`, `limit`). One of these at a time; "
    "`include`, `window` and `period` go with all. A board that does not exist is an empty page. A browser "
    "(`Accept: text/html`) gets a page for people, and `view` and `player` are for that.",
    answers=(Answer(200, "The entries.", (Reading,)),),
    handler=read_board,
    parameters=(*_OF_READS, LOOK, PLAYER_SHOWN),
    parse=parse_view,
    produces=(JSON, HTML),
    present=present,
    errors=READ_ERRORS,
    scope="read",
)

HEALTH = Operation(
    name="health",
    method="GET",
    path="/-/health",
    tag="Service",
    title="Ask whether the process answers",
    about="Returns 200 while it does.",
    answers=(Answer(200, "It does.", (Health,)),),
    handler=check_health,
    scope=None,
)
READY = Operation(
    name="ready",
    method="GET",
    path="/-/ready",
    tag="Service",
    title="Ask whether submits can be kept",
    about="Returns 200 while the store can answer and can write, and 503 while it cannot. `warnings` is there if "
    "the operator has something to look after: a clock that jumped, or one that is far from the newest record; an "
    "issuer of tokens whose keys cannot be fetched.",
    answers=(Answer(200, "They can.", (Readiness,)),),
    handler=check_ready,
    errors=(*SIMPLE_ERRORS, 503),
    scope=None,
)
LIVE = Operation(
    name="live",
    method="GET",
    path="/-/boards/{board}/live",
    tag="Boards",
    title="Watch a board",
    about="Answers with events for as long as the client listens: `page`, all that the view shows, first and after "
    "a gap; then `change`, what to set and what to delete. With `name`, `standing`: its score and rank, and who "
    "has passed it. Ten a second at most. `Last-Event-ID` goes on after an event. The same over WebSocket, with "
    "the subprotocol `laurels.v1`, as JSON messages.",
    answers=(
        Answer(200, "The events.", kinds=(EVENTS,)),
        Answer(101, "The events follow as messages of a WebSocket."),
    ),
    handler=watch,
    parameters=(
        *(START_RANK, END_RANK, AROUND, SPAN, LIMIT_AROUND, ONE_NAME, INCLUDE_IN_VIEW, WINDOW, VIEW, ACCESS_TOKEN),
    ),
    parse=parse_views,
    errors=(400, 404, 406, 414, 422, 426, 429, 503),
    scope="read",
    produces=(EVENTS,),
    takes_request=True,
    is_live=True,
)

OPERATIONS = (
    SUBMIT,
    Operation(
        name="submit_many",
        method="POST",
        path="/{board}",
        tag="Scores",
        title="Submit a batch",
        about=f"Submits up to {BATCH_ENTRIES:,} entries in one operation, each accepted or refused on its own, in "
        "their order.",
        answers=(Answer(200, "What became of the entries.", (BatchReceipt,)),),
        handler=submit_batch,
        parameters=(IDEMPOTENCY_KEY,),
        errors=WRITE_ERRORS,
        body=Body(Batch, parse_batch, BATCH_BYTES),
        scope="submit",
        admits_moderators=True,
        is_submit=True,
    ),
    STANDING,
    READ,
    Operation(
        name="set_metadata",
        method="PATCH",
        path="/{board}/{name}",
        tag="Scores",
        title="Set metadata",
        about="Replaces the metadata of a name, or with null takes it away, on the board and in the current period of "
        "each of its windows; with `window`, in one period alone. Score, time and place stay.",
        answers=(Answer(204, "The metadata is kept."),),
        handler=set_metadata,
        parameters=OF_PERIOD,
        errors=WRITE_ERRORS,
        body=Body(MetadataAlone, parse_metadata),
        scope="submit",
        subject="a change of metadata",
    ),
    Operation(
        name="remove",
        method="DELETE",
        path="/{board}/{name}",
        tag="Scores",
        title="Remove a name from a board",
        about="Removes it from all the board's periods, too; with `window`, from one period alone.",
        answers=(_GONE,),
        handler=remove,
        shows=show_standing,
        parameters=OF_PERIOD,
        errors=READ_ERRORS,
        scope="moderate",
        subject="the removal of a name",
    ),
    Operation(
        name="drop",
        method="DELETE",
        path="/{board}",
        tag="Scores",
        title="Remove all entries of a board",
        about="Removes those of its periods, too; with `window`, those of one period alone. The definition stays.",
        answers=(_GONE,),
        handler=drop,
        shows=show_count,
        parameters=OF_PERIOD,
        errors=READ_ERRORS,
        scope="define",
        subject="the removal of a board",
    ),
    Operation(
        name="boards",
        method="GET",
        path="/-/boards",
        tag="Boards",
        title="List the boards",
        about="Returns the boards that have a definition or entries, by name.",
        answers=(Answer(200, "The boards.", (Listing,)),),
        handler=list_boards,
        parameters=(AFTER, BOARDS_PREFIX, BOARDS_LIMIT, INCLUDE_IN_LIST),
        errors=READ_ERRORS,
        scope="read",
        concerns="permitted boards",
        subject="the list of boards",
    ),
    Operation(
        name="definition",
        method="GET",
        path="/-/boards/{board}",
        tag="Boards",
        title="Get a definition",
        about="Returns the board's definition, with all defaults written out. An undeclared board that has entries has "
        "the deployment's default definition.",
        answers=(Answer(200, "The definition.", (Definition,), ("ETag",)),),
        handler=show_definition,
        errors=READ_ERRORS,
        scope="read",
    ),
    Operation(
        name="define",
        method="PUT",
        path="/-/boards/{board}",
        tag="Boards",
        title="Define a board",
        about="Declares the board, or changes its definition. What is left out has its default. A change that stored "
        "entries contradict is refused with 409, and one that the store cannot keep with 422.",
        answers=(
            Answer(201, "The board is declared.", (Definition,), ("ETag",)),
            Answer(200, "Its definition is changed.", (Definition,), ("ETag",)),
        ),
        handler=define,
        parameters=(IF_MATCH,),
        shows=show_own_definition,
        errors=(400, 406, 409, 412, 413, 415, 422, 429, 503, 507),
        body=Body(Definition, parse_definition),
        scope="define",
    ),
    Operation(
        name="undefine",
        method="DELETE",
        path="/-/boards/{board}",
        tag="Boards",
        title="Drop a definition",
        about="Returns the board to the deployment's default definition; its entries stay.",
        answers=(Answer(204, "The board is not declared, whether or not it was."),),
        handler=undefine,
        shows=show_own_definition,
        errors=(400, 406, 409, 422, 429, 503),
        scope="define",
    ),
    Operation(
        name="periods",
        method="GET",
        path="/-/boards/{board}/periods",
        tag="Boards",
        title="List a board's periods",
        about="Returns the periods that have entries, by window and from the oldest; `next` is there if more follow.",
        answers=(Answer(200, "The periods.", (Periods,)),),
        handler=list_periods,
        parameters=(AFTER_PERIOD, PERIODS_LIMIT),
        errors=READ_ERRORS,
        scope="read",
        subject="the list of a board's periods",
    ),
    LIVE,
    Operation(
        name="hide",
        method="PUT",
        path="/-/boards/{board}/hidden/{name}",
        tag="Boards",
        title="Hide a name",
        about="Hides it on the board and in its periods. It keeps its score and may go on submitting, but is on no "
        "list, has no rank and moves nobody; its own standing says `hidden`. That holds until it is shown, also if its "
        "entry or the whole board is removed meanwhile. A name may be hidden before it has any entry.",
        answers=(Answer(204, "It is hidden, whether or not it was."),),
        handler=hide,
        shows=show_standing,
        errors=(*READ_ERRORS, 507),
        scope="moderate",
    ),
    Operation(
        name="show",
        method="DELETE",
        path="/-/boards/{board}/hidden/{name}",
        tag="Boards",
        title="Show a hidden name",
        about="Ends what `PUT` began: the name stands where it would if it had never been hidden.",
        answers=(Answer(204, "It is not hidden, whether or not it was."),),
        handler=show,
        shows=show_standing,
        errors=READ_ERRORS,
        scope="moderate",
    ),
    Operation(
        name="restore",
        method="PUT",
        path="/-/boards/{board}/entries",
        tag="Boards",
        title="Restore entries",
        about=f"Gives up to {BATCH_ENTRIES:,} names exactly the entries that they have elsewhere: on the board alone, "
        "or with `window` in one period of it. Whatever the operator and the guard say, an entry has then this score, "
        "this metadata and this `submittedAt`, or the present time if there is none; windows are not fed. A name that "
        "has another entry of the same score or of a later time is removed first, from the board's periods too.",
        answers=(Answer(200, "What became of the entries.", (BatchReceipt,)),),
        handler=restore,
        parameters=OF_PERIOD,
        errors=WRITE_ERRORS,
        body=Body(Batch, parse_batch, BATCH_BYTES),
        shows=show_restored,
        scope="moderate",
        subject="a restoration of entries",
    ),
    Operation(
        name="hidden",
        method="GET",
        path="/-/boards/{board}/hidden",
        tag="Boards",
        title="List the hidden names",
        about="Returns the hidden names of the board, by their bytes, each with its score: that on the board, or with "
        "`window` that in one period; null if it has none there.",
        answers=(Answer(200, "The names.", (HiddenNames,)),),
        handler=list_hidden,
        parameters=(AFTER_HIDDEN, HIDDEN_LIMIT, INCLUDE_IN_HIDDEN, *OF_PERIOD),
        errors=READ_ERRORS,
        scope="moderate",
        subject="the list of hidden names",
    ),
    Operation(
        name="summary",
        method="GET",
        path="/-/boards/{board}/summary",
        tag="Boards",
        title="Summarize a board",
        about="Returns how many entries there are, the best and the worst score, percentiles and a histogram. "
        "Percentiles count from the worst entry, whatever the order: the 99th is near the best.",
        answers=(Answer(200, "The board in a few figures.", (Summary,)),),
        handler=summarize,
        parameters=(SUMMARY_PERCENTILES, BUCKETS, *OF_PERIOD),
        errors=READ_ERRORS,
        scope="read",
        subject="the summary of a board",
    ),
    Operation(
        name="rank",
        method="GET",
        path="/-/boards/{board}/rank",
        tag="Boards",
        title="Get the rank of a score",
        about="Returns the rank that the score would have, and the percentage of entries that are no better.",
        answers=(Answer(200, "Its rank.", (ScoreRank,)),),
        handler=rank_of_score,
        parameters=(SCORE, *OF_PERIOD),
        errors=READ_ERRORS,
        scope="read",
        subject="the rank of a score",
    ),
    Operation(
        name="give_token",
        method="POST",
        path="/-/tokens",
        tag="Players",
        title="Give a player a token",
        about="Returns a token by which a player may read, and submit scores under its own name. The game's server "
        "asks for it with its key, once it knows who the player is, and hands it on to the game.",
        answers=(Answer(201, "The token.", (GivenToken,)),),
        handler=give_token,
        errors=(400, 406, 409, 413, 415, 422),
        body=Body(WantedToken, parse_wanted_token),
        scope="tokens",
        concerns="permitted boards",
    ),
    Operation(
        name="give_anonymous_token",
        method="POST",
        path="/-/tokens/anonymous",
        tag="Players",
        title="Become an anonymous player",
        about="Returns a new random name and its token, to keep: for games that have no server of their own, where the "
        f"operator allows it. An address gets {ANONYMOUS_TOKENS} an hour.",
        answers=(Answer(201, "The name and its token.", (AnonymousToken,)),),
        handler=give_anonymous_token,
        errors=(400, 404, 406, 429),
        scope=None,
        takes_request=True,
    ),
    Operation(
        name="whoami",
        method="GET",
        path="/-/whoami",
        tag="Service",
        title="Ask what one may do",
        about="Returns whose key or token is shown, its scopes, and on which boards they hold.",
        answers=(Answer(200, "Who asks.", (Asker,)),),
        handler=show_principal,
        scope=None,
    ),
    Operation(
        name="keys",
        method="GET",
        path="/-/keys",
        tag="Service",
        title="List the keys",
        about="Returns the keys of the access file, by name. Their secrets are nowhere.",
        answers=(Answer(200, "The keys.", (Keys,)),),
        handler=list_keys,
        parameters=(AFTER_KEY, KEYS_LIMIT),
        errors=SIMPLE_ERRORS,
        scope="admin",
        concerns="all boards",
        subject="the list of keys",
    ),
    Operation(
        name="revoke",
        method="DELETE",
        path="/-/keys/{key}",
        tag="Service",
        title="Revoke a key",
        about="Takes the key out of the access file; it is accepted no more. A file that cannot be written is a 409, "
        "and so is the last key that may do so.",
        answers=(Answer(204, "There is no such key, whether or not there was."),),
        handler=revoke_key,
        shows=show_key,
        errors=(*SIMPLE_ERRORS, 409),
        scope="admin",
        concerns="all boards",
    ),
    Operation(
        name="audit",
        method="GET",
        path="/-/audit",
        tag="Service",
        title="Read the audit log",
        about="Returns the records of what was written with the scopes `moderate`, `define` and `admin`, the newest "
        "first, as far back as a part of the file goes; `next` says where to go on, also if there are no records.",
        answers=(Answer(200, "The records.", (AuditRecords,)),),
        handler=show_audit,
        parameters=(AUDITED_BOARD, AUDITED_NAME, AUDITED_WHO, AUDITED_SINCE, AUDITED_BEFORE, AUDIT_LIMIT),
        errors=(*SIMPLE_ERRORS, 409),
        scope="admin",
        concerns="all boards",
        subject="the audit log",
    ),
    Operation(
        name="back_up",
        method="GET",
        path="/-/backup",
        tag="Service",
        title="Take a backup",
        about="Answers with a copy of everything as of one moment, a tar archive, while reads and writes go on. "
        "`laurels backup` downloads it and checks it, `laurels restore` makes a data directory of it. An answer that "
        "breaks off has no end, and is no backup. At most one at a time is sent, unless the service is set otherwise.",
        answers=(Answer(200, "The backup.", headers=("Content-Disposition",), kinds=(TAR,)),),
        handler=back_up,
        errors=(*SIMPLE_ERRORS, 422, 503),
        scope="admin",
        concerns="all boards",
        subject="a backup",
        produces=(TAR,),
        is_inline=False,
    ),
    Operation(
        name="make_run",
        method="POST",
        path="/-/boards/{board}/runs",
        tag="Guard",
        title="Make a run",
        about="Returns a run for the player whose token is shown. One submit of that player to this board can use it "
        "up, as `run` in its body, from `min_seconds` to `max_seconds` of the board's guard after now.",
        answers=(Answer(201, "The run.", (NewRun,)),),
        handler=make_run,
        errors=(400, 404, 406, 422, 429, 503),
        scope="submit:self",
        subject="the making of a run",
    ),
    Operation(
        name="held",
        method="GET",
        path="/-/boards/{board}/held",
        tag="Guard",
        title="List held scores",
        about="Returns the scores that the board's guard holds back, best first.",
        answers=(Answer(200, "The held scores.", (HeldEntries,)),),
        handler=list_held,
        parameters=(HELD_CURSOR, HELD_LIMIT),
        errors=READ_ERRORS,
        scope="moderate",
        subject="the list of held scores",
    ),
    Operation(
        name="release",
        method="POST",
        path="/-/boards/{board}/held/{name}/release",
        tag="Guard",
        title="Release a held score",
        about="Submits the score that is held of the name as of its time, by the board's operator, past its guard, and "
        "into those periods of then that are still kept.",
        answers=(Answer(204, "It counts, as any of its time would; nothing is held of the name."),),
        handler=release,
        shows=show_held,
        errors=(400, 404, 406, 422, 429, 503, 507),
        scope="moderate",
        subject="the release of a held score",
    ),
    Operation(
        name="reject",
        method="POST",
        path="/-/boards/{board}/held/{name}/reject",
        tag="Guard",
        title="Reject a held score",
        about="Forgets the score that is held of the name.",
        answers=(Answer(204, "Nothing is held of the name."),),
        handler=reject,
        shows=show_held,
        errors=(400, 404, 406, 422, 429, 503),
        scope="moderate",
        subject="the rejection of a held score",
    ),
    Operation(
        name="landing",
        method="GET",
        path="/",
        tag="Service",
        title="Ask what this is",
        about="Returns name, version, and where the docs are; for a browser, a page.",
        answers=(Answer(200, "What this is.", (Landing,)),),
        handler=show_landing,
        scope=None,
        takes_request=True,
    ),
    HEALTH,
    READY,
)
