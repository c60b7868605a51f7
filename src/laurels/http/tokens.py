"""The operations that give tokens to players."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from laurels.access.principal import EVERY_BOARD
from laurels.errors import NoSecret, truncate
from laurels.http.access import refusal
from laurels.http.messages import Response
from laurels.http.problems import HTTPError
from laurels.http.wire import AnonymousToken, GivenToken, encode
from laurels.limits import ANONYMOUS_TOKEN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.access.principal import Principal
    from laurels.http.gate import Context
    from laurels.http.messages import Request
    from laurels.http.wire import WantedToken

NOT_ANONYMOUS = "This service gives no tokens to anonymous players: it does not have anonymous = true in [players]."
ANONYMOUS = "guest-"
RANDOM_BYTES = 8


async def give_token(context: Context, wanted: WantedToken) -> Response:
    """Answer with a token for a player."""
    boards = find_boards(context.principal, wanted.boards)
    if context.access is None:
        raise NoSecret
    signed = context.access.sign(wanted.name, boards, wanted.seconds)
    return Response(201, encode(GivenToken(signed.token, signed.expires_at)))


async def give_anonymous_token(context: Context, request: Request) -> Response:
    """Answer with a token for a player of a new random name."""
    access = context.access
    if access is None or not access.is_anonymous:
        raise HTTPError(404, NOT_ANONYMOUS)
    limit = access.limit_anonymous_tokens(request)
    if limit is not None:
        await limit()
    name = ANONYMOUS + secrets.token_hex(RANDOM_BYTES)
    signed = access.sign(name, [EVERY_BOARD], ANONYMOUS_TOKEN_SECONDS)
    return Response(201, encode(AnonymousToken(name, signed.token, signed.expires_at)))


def find_boards(principal: Principal, wanted: Iterable[str] | None) -> tuple[str, ...]:
    """Return the patterns that a token by this principal is to have, its own by default.

    Raises Unauthenticated or Forbidden if it has not itself what they would give.
    """
    boards = principal.boards if wanted is None else tuple(wanted)
    for pattern in boards:
        if not principal.may_on_all(pattern):
            raise refusal(principal, f"no token can be given for all boards that match {truncate(pattern)!r}")
    return boards
