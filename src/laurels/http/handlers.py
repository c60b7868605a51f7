"""What each operation does, reads of a board aside (:mod:`laurels.http.reads`).

A handler gets a context, the names in the path, what was read of the body, and the values of the operation's parameters
in their order; all of them are of the right form. It catches no error: the adapter turns errors into responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import TYPE_CHECKING, get_args

from msgspec import UNSET
from msgspec.structs import replace

from laurels.access.principal import ANYBODY, EVERY_BOARD, Scope
from laurels.audit.record import Wanted
from laurels.entries import checked_name
from laurels.errors import NoAccessFile
from laurels.http.access import refusal
from laurels.http.audited_state import show_standing, show_standings
from laurels.http.backups import format_file_name
from laurels.http.headers import REPRESENTATION, revalidated, tag_of
from laurels.http.messages import NO_CONTENT, TAR, Response, StreamingResponse
from laurels.http.permitted_boards import find_permitted_boards
from laurels.http.reads import find_board
from laurels.http.standings import standing_in_full
from laurels.http.wire import (
    ABSENT_BODY,
    Asker,
    AuditRecords,
    BatchReceipt,
    Keys,
    Listed,
    ListedKey,
    Listing,
    Periods,
    Readiness,
    Receipt,
    ScoreRank,
    encode,
)
from laurels.limits import NAMES_ASKED
from laurels.stores.contract import FullSubmission, Refusal, Submission
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.definition import Definition
    from laurels.http.bodies import Entries, Terms
    from laurels.http.gate import Context
    from laurels.http.messages import Request
    from laurels.stores.contract import Percentile, Score

ACCEPTED = Response(202)
ABSENT = Response(200, ABSENT_BODY)
HEALTHY = Response(200, b'{"status":"ok"}')
PLAIN = "only scores with submittedAt or operator can be submitted: any other takes the scope submit"
_APPLIED = ((b"preference-applied", REPRESENTATION),)


def check_moderator(context: Context) -> None:
    """Raise if who asks may not say when a score was submitted, or how it is to count."""
    if not context.principal.may("moderate"):
        error = refusal(context.principal, "no submittedAt and no operator can be given: they take the scope moderate")
        if context.watch is not None:
            context.watch.refuse(error)
        raise error


def check_batch(context: Context, entries: Entries) -> None:
    """Raise if who asks may not submit one of the entries."""
    kinds = set(map(type, entries))
    if FullSubmission in kinds:
        check_moderator(context)
    if kinds - {FullSubmission, Refusal} and not context.principal.may("submit"):
        raise refusal(context.principal, PLAIN)


# Scores


async def submit(
    context: Context,
    board: str,
    name: str,
    sent: tuple[Score, bytes | None, Terms | None],
    wants_representation: bool,
    key: str | None,
) -> Response:
    """Answer a submit once it is kept."""
    boards, principal, (score, metadata, terms) = context.boards, context.principal, sent
    if terms is not None and terms.need_moderator:
        check_moderator(context)
        if context.watch is not None:
            submitting = partial(submit, replace(context, watch=None), board, name, sent, wants_representation, key)
            return await context.watch.follow(partial(show_standing, context, board, name), submitting)
    elif principal is not ANYBODY and not principal.may_submit_for(name):
        raise refusal(principal, PLAIN)
    want_change = wants_representation and boards.reports_changes  # RFC 7240: one that cannot be met is ignored
    needs_run = principal.kind == "player"
    if terms is None:
        submission = Submission(name, score, metadata)
        change = await boards.submit(board, submission, key, want_change=want_change, needs_run=needs_run)
    else:
        time, operator, run = terms
        submission = FullSubmission(name, score, metadata, time, operator=operator, run=run)
        change = await boards.submit_in_full(board, submission, key, want_change=want_change, needs_run=needs_run)
    return Response(200, encode(Receipt.of(change)), headers=_APPLIED) if change else ACCEPTED


async def set_metadata(
    context: Context, board: str, name: str, metadata: bytes | None, window: str | None, period: str | None
) -> Response:
    """Replace the metadata of a name on a board and in its current periods, or in one period."""
    boards = context.boards
    where = None if window is period is None else await find_board(boards, board, window, period)
    await boards.set_metadata(board, name, metadata, where)
    return NO_CONTENT


async def submit_batch(context: Context, board: str, sent: Entries | Iterator[Entries], key: str | None) -> Response:
    """Answer a batch once its good entries are kept."""
    entries = await context.turns.collect(sent) if isinstance(sent, Iterator) else sent
    if context.principal is not ANYBODY:
        check_batch(context, entries)
    if context.watch is not None and (dated := [each.name for each in entries if type(each) is FullSubmission]):
        shown = list(dict.fromkeys(dated))[:NAMES_ASKED]
        submitting = partial(submit_batch, replace(context, watch=None), board, entries, key)
        return await context.watch.follow(partial(show_standings, context, board, shown), submitting)
    refused = await context.boards.submit_many(board, entries, key, needs_run=context.principal.kind == "player")
    return Response(200, encode(BatchReceipt(len(entries) - len(refused), refused)))


async def restore(
    context: Context, board: str, sent: Entries | Iterator[Entries], window: str | None, period: str | None
) -> Response:
    """Answer once entries are as they were elsewhere, on a board or in one period of it."""
    entries = await context.turns.collect(sent) if isinstance(sent, Iterator) else sent
    refused = await context.boards.restore(await find_board(context.boards, board, window, period), entries)
    return Response(200, encode(BatchReceipt(len(entries) - len(refused), refused)))


async def standing(
    context: Context,
    board: str,
    name: str,
    window: str | None,
    period: str | None,
    include: frozenset[str] = frozenset(),
) -> Response:
    """Answer with the score and the rank of a name, and whatever else is asked for."""
    boards = context.boards
    if include:
        return await standing_in_full(context, await find_board(boards, board, window, period), name, include)
    where = boards.board(board) if window is None is period else await find_board(boards, board, window, period)
    found = await boards.standing(where, name)
    return ABSENT if found is None else Response(200, encode(found))


async def remove(context: Context, board: str, name: str, window: str | None, period: str | None) -> Response:
    """Remove a name from a board and its periods, or from one period."""
    await context.boards.remove(await find_board(context.boards, board, window, period), name)
    return NO_CONTENT


async def drop(context: Context, board: str, window: str | None, period: str | None) -> Response:
    """Remove the entries of a board and its periods, or of one period."""
    await context.boards.drop(await find_board(context.boards, board, window, period))
    return NO_CONTENT


# Boards


async def list_boards(
    context: Context, after: str | None, prefix: str | None, limit: int, include: frozenset[str]
) -> Response:
    """Answer with boards that are defined or have entries, by name: those that who asks has rights on."""
    boards = context.boards
    after = checked_name(after, "after") if after else ""
    prefix = checked_name(prefix, "prefix") if prefix else ""
    names, following = await find_permitted_boards(boards, context.principal, after, limit, prefix)
    listed = []
    for name in names:
        definition, is_declared = boards.describe(name)
        count = await boards.count(boards.board(name)) if "count" in include else UNSET
        listed.append(Listed(name, is_declared, definition, count))
    return Response(200, encode(Listing(listed, following)))


async def show_definition(context: Context, board: str) -> Response:
    """Answer with the definition of a board, and its tag."""
    return _show_definition(await context.boards.definition(board))


async def define(context: Context, board: str, definition: Definition, tags: frozenset[bytes] | None) -> Response:
    """Define a board, if tags are given only one whose definition has such a tag."""
    is_expected = None if tags is None else lambda found: bool(tags & {b"*", tag_of(encode(found))})
    is_new = await context.boards.define(board, definition, is_expected)
    return _show_definition(definition, 201 if is_new else 200)


def _show_definition(definition: Definition, status: int = 200) -> Response:
    body = encode(definition)
    return Response(status, body, headers=((b"etag", tag_of(body)),))


async def undefine(context: Context, board: str) -> Response:
    """Return a board to the default definition."""
    await context.boards.undefine(board)
    return NO_CONTENT


async def list_periods(context: Context, board: str, after: str | None, limit: int) -> Response:
    """Answer with the periods that have entries, by window and from the oldest.

    ``after`` is a window and a period with a space between: no period's name has one.
    """
    window, _, period = (after or "").rpartition(" ")
    found = await context.boards.periods(board, (window, period), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return Response(200, encode(Periods(found[:limit], f"{last.window} {last.period}" if last else UNSET)))


async def summarize(
    context: Context,
    board: str,
    percentiles: Sequence[Percentile],
    buckets: int,
    window: str | None,
    period: str | None,
) -> Response:
    """Answer with the figures of a board or a period."""
    where = await find_board(context.boards, board, window, period)
    return Response(200, encode(await context.boards.summary(where, percentiles, buckets)))


async def rank_of_score(context: Context, board: str, score: Score, window: str | None, period: str | None) -> Response:
    """Answer with the rank that a score would have."""
    place = await context.boards.place(await find_board(context.boards, board, window, period), score)
    return Response(200, encode(ScoreRank.of(place)))


# Who may


async def show_principal(context: Context) -> Response:
    """Answer with who asks, and what they may do."""
    principal = context.principal
    expires = None if principal.expires == inf else datetime.fromtimestamp(principal.expires, UTC)
    scopes = [scope for scope in get_args(Scope) if scope in principal.scopes]
    within = UNSET if EVERY_BOARD in principal.within else principal.within
    return Response(200, encode(Asker(str(principal), scopes, principal.boards, expires, within)))


async def list_keys(context: Context, after: str | None, limit: int) -> Response:
    """Answer with the keys of the access file, by name, without their digests."""
    keys = context.access.file.keys if context.access is not None else {}
    names = sorted(name for name in keys if name > (after or ""))
    listed = [ListedKey(name, key.scopes, key.boards, key.expires) for name in names[:limit] for key in (keys[name],)]
    return Response(200, encode(Keys(listed, names[limit - 1] if len(names) > limit else None)))


async def revoke_key(context: Context, key: str) -> Response:
    """Take a key out of the access file."""
    if context.access is None:
        raise NoAccessFile
    await context.access.revoke(key)
    return NO_CONTENT


async def show_audit(
    context: Context,
    board: str | None,
    name: str | None,
    who: str | None,
    since: datetime | None,
    before: int | None,
    limit: int,
) -> Response:
    """Answer with records of the audit log, the newest first."""
    assert context.auditor is not None  # noqa: S101 - the routes have one
    found, at = await context.auditor.find(Wanted(board=board, name=name, who=who, since=since), limit, before)
    return Response(200, encode(AuditRecords(found, at)))


# Service


async def show_landing(_: Context, request: Request) -> Response:
    """Answer with what this service is."""
    body = encode({"service": "laurels", "version": __version__, "docs": f"{request.prefix}/-/docs"})
    return revalidated(request, Response(200, body, headers=((b"vary", b"accept"),)))


async def check_health(_: Context) -> Response:
    """Answer while the process does."""
    return HEALTHY


async def back_up(context: Context) -> StreamingResponse:
    """Answer with a backup of everything, while it is made."""
    backup = context.boards.store.backup()
    name = format_file_name(datetime.fromtimestamp(context.boards.now(), UTC))
    return StreamingResponse(
        200,
        content_type=TAR,
        headers=((b"content-disposition", b'attachment; filename="%b"' % name.encode()),),
        chunks=partial(context.backups.send, backup),
        starts_with_first=True,
    )


async def check_ready(context: Context) -> Response:
    """Answer while submits can be kept, with what the operator should know all the same."""
    await context.boards.ready()
    tokens = context.access.tokens if context.access else None
    warnings = [*context.boards.store.warnings(), *(tokens.warnings() if tokens else ())]
    return Response(200, encode(Readiness("ok", warnings))) if warnings else HEALTHY
