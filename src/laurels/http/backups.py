"""Backups of the whole store, each made while it is sent."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from laurels.http.problems import overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

RETRY_SECONDS = 30
"""When to come again if another backup is under way."""


class Backups:
    """The backups that are being sent: at most so many at once, as each keeps the store from tidying up."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.running = 0

    async def send(self, backup: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield a backup; raise HTTPError, before its first chunk, if there are as many as may be."""
        if self.running >= self.most:
            full = f"As many backups are being taken as --max-backups allows: {self.most:,}."
            raise overloaded(full, "--max-backups", RETRY_SECONDS)
        self.running += 1
        try:
            async with aclosing(backup):
                async for chunk in backup:
                    yield chunk
        finally:
            self.running -= 1


def format_file_name(time: datetime) -> str:
    """Return the name of the file that a backup of a time is to have, which sorts as the times do."""
    return time.strftime("laurels-%Y%m%dT%H%M%SZ.tar")
