"""What a service says of itself: one line of the log once it listens, and one at its end.

Each is a sentence for people, and in JSON fields beside it, which say the same: ``event`` is ``start`` or ``stop``.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("laurels")
OPEN = "open"
"""The access of a service without an access file."""


class Start(Struct, frozen=True, kw_only=True, tag_field="event", tag="start"):
    """What runs."""

    version: str
    store: str
    """The store's URL without what is secret in it."""
    directory: str | UnsetType = UNSET
    """That of the embedded store."""
    boards: int | UnsetType = UNSET
    entries: int | UnsetType = UNSET
    addresses: list[str]
    """Where it listens, each with its port."""
    url: str
    access: str
    """The access file, or ``open``."""
    workers: int
    pid: int
    page: str
    """The URL of a board's page for people; so the next two are URLs."""
    console: str
    docs: str
    traces: str | UnsetType = UNSET
    """Where spans are sent to, if they are made."""

    def __str__(self) -> str:
        """Return the sentence."""
        kept = f"the store {self.store}" if self.directory is UNSET else f"the {self.store} store in {self.directory}"
        held = "" if self.boards is UNSET else f", {self.boards:,} boards with {self.entries:,} entries"
        who = "open to whoever reaches it" if self.access == OPEN else f"access by {self.access}"
        several = f", {self.workers} workers" if self.workers > 1 else ""
        traces = "" if self.traces is UNSET else f" Spans go to {self.traces}."
        return (
            f"Laurels {self.version} serves {self.url} (Ctrl-C stops it): {kept}{held}; "
            f"{who}{several}. In a browser: {self.page} is a board, {self.console} the console, {self.docs} the "
            f"documentation.{traces}"
        )


class Stop(Struct, frozen=True, tag_field="event", tag="stop"):
    """That it ended."""

    reason: str
    """The signal that it ended by, or the error."""
    seconds: float
    """From the line of its start."""

    def __str__(self) -> str:
        """Return the sentence."""
        return f"Laurels stopped by {self.reason}, after {timedelta(seconds=round(self.seconds))}."


class Lifetime:
    """The lines of one service, each of which is written once."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began: float | None = None

    def begin(self, start: Start) -> None:
        """Say what runs."""
        self._began = self._now()
        _say(start)

    def end(self, reason: str) -> None:
        """Say that it ended, unless it never began: then whoever started it is told why in another way."""
        if self._began is not None:
            _say(Stop(reason, round(self._now() - self._began, 3)))
            self._began = None


def _say(what: Start | Stop) -> None:
    log.info("%s", what, extra={"fields": msgspec.to_builtins(what)})


def hide_secrets(url: str) -> str:
    """Return the URL of a store without the user and the password in it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
