"""What credentials were found to be: a look-up in memory instead of a proof, for all requests but the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from laurels.access.principal import Principal

MOST_BYTES = 24 * 1024 * 1024
"""Of one half of what is remembered."""
ENTRY_BYTES = 300
"""About what a principal takes, besides the header that it is remembered by."""


class Known(Struct, gc=False):
    """What one header was found to be."""

    header: bytes
    principal: Principal
    compiled: object = None
    """What the fast path has made of it."""


class Remembered:
    """The principals of headers ``Authorization`` that were proved, by the headers' bytes; bounded.

    There are two halves. When the younger one is full it becomes the older one, and what was in that is forgotten,
    unless it was asked for since: bit by bit, so that no request pays for all of it.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}
        self._forgotten: dict[bytes, Known] = {}
        self._bytes = 0

    def find(self, header: bytes, now: float) -> Known | None:
        """Return what a header was found to be, None if nothing is known that has not expired."""
        found = self._young.get(header)
        if found is None:
            found = self._old.pop(header, None)
            if found is None:
                return None
            self._keep(found)
        if found.principal.expires <= now:
            del self._young[header]
            return None
        return found

    def add(self, header: bytes, principal: Principal) -> None:
        """Remember the principal of a header."""
        self._keep(Known(header, principal))

    def _keep(self, known: Known) -> None:
        if self._bytes > self._most_bytes:
            self._young, self._old, self._forgotten, self._bytes = {}, self._young, self._old, 0
        for _ in range(min(2, len(self._forgotten))):
            self._forgotten.popitem()
        self._young[known.header] = known
        self._bytes += len(known.header) + ENTRY_BYTES
