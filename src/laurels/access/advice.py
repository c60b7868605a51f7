"""What an operator should know of an access file that can be used: what it cannot mean, and who else can change it."""

from __future__ import annotations

import logging
import os
import stat
import time
from typing import TYPE_CHECKING

from laurels.access.file import place_of, read_access
from laurels.access.secret_references import FILE, secret_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from laurels.access.file import AccessFile

log = logging.getLogger(__name__)

OF_PUBLIC, OF_PLAYERS = {"read", "metrics"}, {"read", "submit:self"}
"""The scopes that whoever asks, and whoever plays, may have without harm."""
IS_POSIX = os.name == "posix"
"""Whether the mode of a file says who else can use it."""


def read_with_advice(file: Path) -> AccessFile:
    """Read an access file, as :func:`read_access`; the log tells what its operator should know of it."""
    found = read_access(file)
    for advice in list_advice(found, file, time.time()):
        log.warning("The access file %s: %s.", file, advice)
    return found


def list_advice(found: AccessFile, file: Path, now: float) -> list[str]:
    """Return what should be known, each in one line without a full stop."""
    return [*_of_scopes(found), *_of_keys(found, now), *_of_files(found, file)]


def _of_scopes(found: AccessFile) -> Iterator[str]:
    for scope in found.public.scopes:
        if scope == "submit:self":
            yield "[public]: submit:self is of no use there: who shows nothing has no name"
        elif scope not in OF_PUBLIC:
            yield f"[public]: whoever reaches the service has the scope {scope}"
    if (players := found.players) is None:
        return
    for scope in players.scopes:
        if scope not in OF_PLAYERS:
            yield f"[players]: every player has the scope {scope}, over what others have"
    if players.secret is None and not players.issuers:
        yield "[players] has neither secret nor issuers, so that no token is accepted"


def _of_keys(found: AccessFile, now: float) -> Iterator[str]:
    for name, key in found.keys.items():
        if key.expires_at <= now:
            yield f"{place_of(name)} has expired"
        if "submit:self" in key.scopes:
            yield f"{place_of(name)}: submit:self is of no use there: it is for players, whose tokens have names"
        for field in ("scopes", "boards"):
            if not getattr(key, field):
                yield f"{place_of(name)} has no {field}, so that it may do nothing"


def _of_files(found: AccessFile, file: Path) -> Iterator[str]:
    if IS_POSIX and file.stat().st_mode & stat.S_IWOTH:
        yield f"{file} can be written by every user of this machine: chmod o-w {file}"
    secret = found.players.secret if found.players else None
    if secret is not None and secret.startswith(f"{FILE}:"):
        place = secret_file(secret, file)
        if IS_POSIX and place.exists() and place.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield f"{place}, a secret, can be read by every user of this machine: chmod o-rw {place}"
