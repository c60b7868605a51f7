"""The tokens of the players of an access file. pyjwt, which takes 0.1 s to load, is loaded if there are players."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laurels.access.secret_references import read_secret
from laurels.errors import AccessFileUnusable
from laurels.optional import load

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.access.file import Players
    from laurels.access.tokens import Tokens


def open_tokens(players: Players | None, file: Path, before: Tokens | None = None) -> Tokens | None:
    """Return what signs and verifies tokens as an access file says, None if it says nothing of players.

    Known keys of issuers are taken over from what was there ``before``. Raises AccessFileUnusable for a secret or an
    issuer that cannot be used.
    """
    secret = None if players is None or players.secret is None else read_secret(players.secret, file)
    return make_tokens(players, secret, file, before)


def make_tokens(
    players: Players | None, secret: bytes | None, place: Path | str, before: Tokens | None = None, **parts: Any
) -> Tokens | None:
    """Return the same, with the secret that the access file at a place refers to, and further parts of Tokens."""
    if players is None:
        return None
    try:
        tokens: Tokens = load("laurels.access.tokens:Tokens")(players, secret, before, **parts)
    except ValueError as error:
        raise AccessFileUnusable(place, f"[players]: {error}") from None
    return tokens
