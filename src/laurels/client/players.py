"""The calls about players: tokens, and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from laurels.answers import AnonymousToken, GivenToken, Run
from laurels.client.calls import Calls, own_path
from laurels.client.connection import JSON
from laurels.http.wire import WantedToken, encode
from laurels.limits import DEFAULT_TOKEN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

_read_token = msgspec.json.Decoder(GivenToken)
_read_anonymous_token = msgspec.json.Decoder(AnonymousToken)
_read_run = msgspec.json.Decoder(Run)


class PlayerCalls(Calls):
    """The calls about players."""

    async def give_token(
        self, name: str, *, boards: Iterable[str] | None = None, seconds: int = DEFAULT_TOKEN_SECONDS
    ) -> GivenToken:
        """Return a token by which a player may read, and submit scores under its own name. Needs the right to tokens.

        ``boards`` are patterns of names of boards, by default all that the key has; ``seconds`` is how long it is good,
        at most a day.
        """
        body = encode(WantedToken(name, None if boards is None else [*boards], seconds))
        answer = await self._connection.ask("POST", "/-/tokens", body=body, headers=JSON)
        return self._connection.decode(_read_token, answer.content)

    async def give_anonymous_token(self) -> AnonymousToken:
        """Return a new random name and its token, to be kept: for games that have no server of their own.

        An address gets few an hour, so this is not sent again after a connection broke. Raises NotFound if the service
        has no anonymous players.
        """
        answer = await self._connection.ask("POST", "/-/tokens/anonymous", repeat="unsent")
        return self._connection.decode(_read_anonymous_token, answer.content)

    async def make_run(self, board: str) -> Run:
        """Return a run for the player whose token is shown, which one submit to the board can use up."""
        answer = await self._connection.ask("POST", own_path(board, "runs"))
        return self._connection.decode(_read_run, answer.content)
