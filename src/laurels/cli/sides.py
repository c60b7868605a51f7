"""Where boards are moved from and to: a running service, or a store that is opened in this process."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from msgspec import Struct

from laurels.cli.client import PATIENT, CommandClient
from laurels.client.environment import hide_password
from laurels.http.messages import DEFAULT_ORIGIN
from laurels.optional import load
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.url import SCHEMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from laurels.cli.credentials import Credential

SERVICES = ("http://", "https://")
STORES = {"embedded", "momento", *SCHEMES}
"""The schemes of stores, which are opened only for a side that is one: that takes what the service needs."""


class Side(Struct, frozen=True):
    """A side by its address: the URL of a service or of a store, or else a directory of the embedded store."""

    place: str
    credential: Credential | None = None
    redis: RedisSettings = RedisSettings()

    def __str__(self) -> str:
        """Return it as a message may show it."""
        return hide_password(self.place)

    @property
    def is_service(self) -> bool:
        """Whether a service runs there."""
        return self.place.startswith(SERVICES)

    @property
    def directory(self) -> Path | None:
        """The directory of the embedded store, None for what is a URL."""
        scheme, separator, _ = self.place.partition(":")
        is_url = "://" in self.place or (separator and scheme in STORES)
        return None if is_url else Path(self.place)

    def is_as(self, other: Side) -> bool:
        """Return whether it is the same place, spelled as it may be."""
        ours, theirs = (each.directory for each in (self, other))
        if ours is not None and theirs is not None:
            return ours.resolve() == theirs.resolve()
        return self.place.rstrip("/") == other.place.rstrip("/")


@asynccontextmanager
async def open_side(side: Side) -> AsyncIterator[CommandClient]:
    """Yield a client of a side; raise StoreError if a store cannot be opened."""
    if side.is_service:
        async with CommandClient(side.place, side.credential, retries=PATIENT) as client:
            yield client
        return
    directory = side.directory
    where = {"data": directory} if directory else {"store": side.place, "redis": side.redis}
    async with load("laurels.assembly:open_application")(load("laurels.assembly:Settings")(**where)) as application:
        transport = httpx.ASGITransport(application)
        with _without_audit():
            async with CommandClient(DEFAULT_ORIGIN, retries=PATIENT, transport=transport) as client:
                yield client


@contextmanager
def _without_audit() -> Iterator[None]:
    """Log nothing of what is done here: it is no request of anybody's."""
    log = logging.getLogger("laurels.audit")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
