"""The calls about boards: which there are, how they are defined, which periods they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from laurels.answers import Boards, Periods
from laurels.client.calls import Calls, own_path
from laurels.client.connection import JSON
from laurels.definition import Definition
from laurels.http.wire import encode
from laurels.limits import BOARDS_LISTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from laurels.answers import ListedBoard, Period
    from laurels.client.retries import Repeat

_read_boards = msgspec.json.Decoder(Boards)
_read_definition = msgspec.json.Decoder(Definition)
_read_periods = msgspec.json.Decoder(Periods)


class BoardCalls(Calls):
    """The calls about boards."""

    async def boards(self, prefix: str | None = None, *, count: bool = False) -> AsyncIterator[ListedBoard]:
        """Yield the boards that one may read, by name: all, or those whose names begin with ``prefix``.

        With ``count`` each has how many entries it has.
        """
        query = {"prefix": prefix, "include": "count" if count else None, "limit": BOARDS_LISTED}
        async for part in self._connection.list(_read_boards, "/-/boards", query):
            for each in part.boards:
                self._check_definition(each.definition)
                yield each

    async def definition(self, board: str) -> Definition:
        """Return the definition of a board, with its defaults; raise BoardMissing if there is none."""
        return (await self.definition_and_tag(board))[0]

    async def definition_and_tag(self, board: str) -> tuple[Definition, str]:
        """Return the definition of a board, and its entity tag, for the ``if_match`` of :meth:`define`."""
        answer = await self._connection.ask("GET", own_path(board))
        found = self._check_definition(self._connection.decode(_read_definition, answer.content))
        return found, answer.headers.get("etag", "")

    async def define(
        self, board: str, definition: Definition | Mapping[str, Any] | bytes, *, if_match: str | None = None
    ) -> Definition:
        """Define a board, or change its definition; return it as the service keeps it.

        ``definition`` may also be its fields, as a boards file has them, or those in JSON; what is left out has its
        default. Raises NotAccepted for one that no board can have, NotKept for one that the store cannot keep, Conflict
        if the board's entries contradict it, and with ``if_match`` DefinitionStale if it has been changed since.
        """
        body = definition if isinstance(definition, bytes) else encode(definition)
        headers = JSON | ({"if-match": if_match} if if_match else {})
        repeat: Repeat = "unsent" if if_match else "safe"  # sent twice, the tag would be stale
        answer = await self._connection.ask("PUT", own_path(board), body=body, headers=headers, repeat=repeat)
        return self._check_definition(self._connection.decode(_read_definition, answer.content))

    async def undefine(self, board: str) -> None:
        """Drop the definition of a board, which then has the service's default one; its entries stay."""
        await self._connection.do("DELETE", own_path(board))

    async def periods(self, board: str) -> AsyncIterator[Period]:
        """Yield the periods of a board that have entries, by window and from the oldest."""
        async for part in self._connection.list(_read_periods, own_path(board, "periods"), {}):
            for each in part.periods:
                yield each
