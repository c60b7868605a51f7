"""The standing of a name with all else that may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from laurels.errors import NotKept
from laurels.http.bodies import format_time
from laurels.http.held_scores import check_may_see_held, held_score
from laurels.http.messages import Response
from laurels.http.reads import check_fields, format_metadata
from laurels.http.wire import StandingInFull, StandingInWindow, encode, percentile
from laurels.stores.contract import HiddenStanding, Standing

if TYPE_CHECKING:
    from laurels.http.gate import Context
    from laurels.stores.contract import Board

ABSENT = Standing(0, None)


async def standing_in_full(context: Context, where: Board, name: str, fields: frozenset[str]) -> Response:
    """Answer with the standing of a name and the fields asked for, all of one state."""
    boards = context.boards
    check_fields(boards, fields)
    if "percentile" in fields and not boards.store.capabilities.one_state:
        raise NotKept("tell how many entries are no better")
    if "held" in fields:
        check_may_see_held(context, name)
    found = await boards.standing_in_full(
        where,
        name,
        with_metadata="metadata" in fields,
        with_windows="windows" in fields,
        with_held="held" in fields,
    )
    standing, better, time = found.standing or ABSENT, found.better, found.submitted_at
    windows = zip(found.window_names, found.windows, strict=True)  # another process may have defined others meanwhile
    return Response(
        200,
        encode(
            StandingInFull(
                standing.score,
                standing.rank,
                isinstance(standing, HiddenStanding) or UNSET,
                held_score(found.held) if "held" in fields else UNSET,
                found.place if "place" in fields else UNSET,
                found.total if "total" in fields else UNSET,
                (None if better is None else percentile(better, found.total)) if "percentile" in fields else UNSET,
                format_metadata(found.metadata) if "metadata" in fields else UNSET,
                (None if time is None else format_time(time)) if "submittedAt" in fields else UNSET,
                {window: _in_window(each) for window, each in windows} if "windows" in fields else UNSET,
                found.is_metadata_damaged or UNSET,
            )
        ),
    )


def _in_window(standing: Standing | None) -> StandingInWindow | None:
    return None if standing is None else StandingInWindow(standing.score, standing.rank)
