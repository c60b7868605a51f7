"""The access file: who may do what, in TOML.

Secrets do not stand in it: of a key its SHA-256 does, and of other secrets a reference, ``env:NAME`` or ``file:PATH``
(on Lambda ``ssm:NAME``).
"""

from __future__ import annotations

import tomllib
from datetime import date, datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from laurels.access.principal import EVERY_BOARD, Scope
from laurels.errors import AccessFileUnusable

if TYPE_CHECKING:
    from pathlib import Path

Rate = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}/[smhd]$", description="How many in a second, minute, hour, day.")]
Scopes = tuple[Scope, ...]
Patterns = tuple[Annotated[str, Meta(min_length=1, description="A board's name; `*` is any characters.")], ...]


class RateLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """How many requests, and submits among them, one address, key or player may make."""

    requests: Rate | None = None
    submits: Rate | None = None
    burst: Annotated[int, Meta(ge=1, le=1_000_000, description="How many at once. Default: one second's.")] | None = (
        None
    )


NO_LIMITS = RateLimits()


class Public(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests may do that show nothing; the limits are those of one address."""

    scopes: Scopes = ()
    boards: Patterns = (EVERY_BOARD,)
    limits: RateLimits = NO_LIMITS


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests may do that show one key."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: Scopes = ()
    boards: Patterns = (EVERY_BOARD,)
    limits: RateLimits = NO_LIMITS
    expires: date | datetime | None = None
    """A date ends at 00:00 UTC of that day."""


class Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    """A foreign signer of players' tokens, such as the game's identity provider."""

    issuer: str
    audience: str | tuple[str, ...]
    """Whom its tokens must be for: one of these."""
    jwks: str | None = None
    """Where its public keys are: a URL, of https unless it is of this machine."""
    keys: tuple[dict[str, Any], ...] = ()
    """Its public keys as JSON Web Keys, instead of the address that they are at."""
    name: str = "sub"
    """The claim that is the player's name; ``a.b`` is the claim b in a, unless there is one that is called so."""


class Players(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests may do that show a player's token; the limits are those of one player."""

    secret: str | None = None
    issuers: tuple[Issuer, ...] = ()
    scopes: Scopes = ("read", "submit:self")
    boards: Patterns = (EVERY_BOARD,)
    limits: RateLimits = NO_LIMITS
    anonymous: bool = False


class AccessFile(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do what."""

    public: Public = Public()
    keys: dict[str, Key] = {}
    players: Players | None = None


def read_access(path: Path) -> AccessFile:
    """Read an access file; raise AccessFileUnusable."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(table, AccessFile)
    except OSError as error:
        raise AccessFileUnusable(path, error.strerror or str(error)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise AccessFileUnusable(path, str(error)) from error
