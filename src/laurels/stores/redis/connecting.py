"""Connecting: which servers a URL and the settings lead to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from laurels.errors import ServerUnusable
from laurels.stores.redis.cluster import Cluster
from laurels.stores.redis.handshake import Handshake
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.single import Single, Watched
from laurels.stores.redis.url import Target

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.stores.redis.handshake import Credentials
    from laurels.stores.redis.servers import Servers

PASSWORD = "LAURELS_REDIS_PASSWORD"  # noqa: S105 - the variable's name


def connect(url: str, settings: RedisSettings | None = None, credentials: Credentials | None = None) -> Servers:
    """Return the servers that a URL names; they are connected to when they are first asked.

    ``credentials`` are asked for each connection, instead of what the URL, the settings and the environment say. Raises
    BadServerURL, and ServerUnusable for a file of authorities that cannot be used.
    """
    settings = settings or RedisSettings()
    target = Target(url)
    known = credentials or Known(target, settings)

    def handshake(database: int) -> Handshake:
        return Handshake(known, is_tls=target.is_tls, ca_file=settings.ca_file, database=database)

    if target.kind == "cluster":
        return Cluster(target.addresses, handshake(0), settings)
    if target.kind == "sentinel":
        return Watched(target.addresses, target.service, handshake(0), handshake(target.database), settings)
    return Single(target.addresses[0], handshake(target.database), settings)


class Known:
    """Who connects, as the URL and the settings say."""

    def __init__(self, target: Target, settings: RedisSettings) -> None:
        self._target = target
        self._settings = settings

    async def get_credentials_async(self) -> tuple[str | None, str | None]:
        """Return the user and the password."""
        return self._target.user, self._target.password or read_password(self._settings.password_file)


def read_password(file: Path | None) -> str | None:
    """Return the password from its file, which may be replaced at any time, or from the environment."""
    if file is None:
        return os.environ.get(PASSWORD) or None
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ServerUnusable(
            f"The file with the password of Redis cannot be read: {reason}", "have the operator correct it"
        ) from error
