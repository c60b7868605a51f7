"""The calls of moderators: hidden names and held scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from laurels.answers import Held, Hidden
from laurels.client.calls import Calls, list_fields, own_path
from laurels.limits import HELD_LISTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Literal

    from laurels.answers import HeldEntry, HiddenEntry

_read_hidden = msgspec.json.Decoder(Hidden)
_read_held = msgspec.json.Decoder(Held)


class ModerationCalls(Calls):
    """The calls of moderators; all need the right to moderate."""

    async def hide(self, board: str, name: str) -> None:
        """Hide a name on a board and in its periods, whether or not it is there.

        It keeps its score and may go on submitting, but is on no list, has no rank and moves nobody.
        """
        await self._connection.do("PUT", own_path(board, "hidden", name))

    async def show(self, board: str, name: str) -> None:
        """Show a hidden name: it stands where it would if it had never been hidden."""
        await self._connection.do("DELETE", own_path(board, "hidden", name))

    async def hidden(
        self,
        board: str,
        *,
        include: Iterable[Literal["metadata", "submitted_at"]] = (),
        window: str | None = None,
        period: str | None = None,
    ) -> AsyncIterator[HiddenEntry]:
        """Yield the hidden names of a board, by their bytes, each with its score there, or in one period."""
        query = {"include": list_fields(include), "window": window, "period": period}
        async for part in self._connection.list(_read_hidden, own_path(board, "hidden"), query):
            for each in part.hidden:
                yield each

    async def held(self, board: str) -> AsyncIterator[HeldEntry]:
        """Yield the scores that the board's guard holds back, best first."""
        query = {"limit": HELD_LISTED}
        async for part in self._connection.list(_read_held, own_path(board, "held"), query, on="cursor"):
            for each in part.held:
                yield each

    async def release(self, board: str, name: str) -> None:
        """Let the score that is held of a name count, as of its time; raise NameMissing if none is.

        It is not sent again after a connection broke: the score may be released.
        """
        await self._connection.do("POST", own_path(board, "held", name, "release"), repeat="unsent")

    async def reject(self, board: str, name: str) -> None:
        """Forget the score that is held of a name; raise NameMissing if none is.

        It is not sent again after a connection broke: the score may be forgotten.
        """
        await self._connection.do("POST", own_path(board, "held", name, "reject"), repeat="unsent")
