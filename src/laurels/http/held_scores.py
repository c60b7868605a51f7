"""What each operation on held scores and runs does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from laurels.errors import Forbidden
from laurels.http.access import refusal
from laurels.http.bodies import format_time
from laurels.http.cursor import read_cursor, write_cursor
from laurels.http.messages import NO_CONTENT, Response
from laurels.http.reads import format_metadata
from laurels.http.wire import HeldEntries, HeldEntry, HeldScore, NewRun, encode

if TYPE_CHECKING:
    from laurels.http.gate import Context
    from laurels.stores.contract import Ranked


def held_score(entry: Ranked | None) -> HeldScore | None:
    """Return what is held of a name, as it is shown."""
    return None if entry is None else HeldScore(entry.score, format_time(entry.submitted_at or 0))


def check_may_see_held(context: Context, name: str) -> None:
    """Raise unless who asks is the player of that name, or a moderator."""
    principal = context.principal
    is_own = principal.kind == "player" and principal.name == name
    if not (is_own or principal.may("moderate")):
        raise refusal(
            principal, "include=held cannot be asked for: it takes the scope moderate, or that player's token"
        )


async def make_run(context: Context, board: str) -> Response:
    """Answer with a run for the player who asks."""
    principal = context.principal
    if principal.kind != "player":
        raise Forbidden("A run is made with a player's token, for the name that it was made for; keys need none.")
    made = await context.boards.make_run(board, principal.name)
    return Response(201, encode(NewRun(made.run, format_time(made.expires_at))))


async def list_held(context: Context, board: str, cursor: str | None, limit: int) -> Response:
    """Answer with held scores of a board, best first."""
    boards = context.boards
    found = await boards.held(board, None if cursor is None else read_cursor(board, cursor).entry, limit)
    after = write_cursor(boards.board(board), limit, found.entries[-1]) if found.has_more else None
    return Response(200, encode(HeldEntries(list(map(_show, found.entries)), after)))


def _show(entry: Ranked) -> HeldEntry:
    return HeldEntry(
        entry.score,
        format_time(entry.submitted_at or 0),
        name=entry.name,
        metadata=format_metadata(entry.metadata),
        metadata_damaged=entry.is_metadata_damaged or UNSET,
    )


async def release(context: Context, board: str, name: str) -> Response:
    """Let what is held of a name count."""
    await context.boards.release(board, name)
    return NO_CONTENT


async def reject(context: Context, board: str, name: str) -> Response:
    """Forget what is held of a name."""
    await context.boards.reject(board, name)
    return NO_CONTENT
