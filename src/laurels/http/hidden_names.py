"""Hidden names: to hide one, to show it again, and to list them with their entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from laurels.http.bodies import format_time
from laurels.http.messages import NO_CONTENT, Response
from laurels.http.reads import find_board, format_metadata
from laurels.http.wire import HiddenEntry, HiddenNames, encode

if TYPE_CHECKING:
    from laurels.http.gate import Context


async def hide(context: Context, board: str, name: str) -> Response:
    """Hide a name on a board and in its periods."""
    await context.boards.hide(board, name)
    return NO_CONTENT


async def show(context: Context, board: str, name: str) -> Response:
    """Show a hidden name."""
    await context.boards.show(board, name)
    return NO_CONTENT


async def list_hidden(
    context: Context,
    board: str,
    after: str | None,
    limit: int,
    fields: frozenset[str],
    window: str | None,
    period: str | None,
) -> Response:
    """Answer with hidden names, each with its entry on the board or in one period."""
    where = await find_board(context.boards, board, window, period)
    metadata, time = "metadata" in fields, "submittedAt" in fields
    found = await context.boards.hidden(where, after or "", limit + 1, with_metadata=metadata)
    listed = [
        HiddenEntry(
            each.name,
            each.score,
            format_metadata(each.metadata) if metadata else UNSET,
            (None if each.submitted_at is None else format_time(each.submitted_at)) if time else UNSET,
            each.is_metadata_damaged or UNSET,
        )
        for each in found[:limit]
    ]
    return Response(200, encode(HiddenNames(listed, listed[-1].name if len(found) > limit else None)))
