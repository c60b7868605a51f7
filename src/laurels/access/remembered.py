"""What credentials were found to be: a look-up in memory instead of a proof, for all requests but the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laurels.access.principal import Principal

MOST_BYTES = 24 * 1024 * 1024
"""Of one half of what is remembered."""
ENTRY_BYTES = 300
"""About what a principal takes, besides the header that it is remembered by."""


class Remembered:
    """The principals of headers ``Authorization`` that were proved, by the headers' bytes; bounded.

    There are two halves. When the younger one is full it becomes the older one, and what was in that is forgotten,
    unless it was asked for since.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._young: dict[bytes, Principal] = {}
        self._old: dict[bytes, Principal] = {}
        self._bytes = 0

    def find(self, header: bytes, now: float) -> Principal | None:
        """Return the principal of a header, None if there is none that has not expired."""
        found = self._young.get(header)
        if found is None:
            found = self._old.pop(header, None)
            if found is None:
                return None
            self.add(header, found)
        if found.expires <= now:
            del self._young[header]
            return None
        return found

    def add(self, header: bytes, principal: Principal) -> None:
        """Remember the principal of a header."""
        if self._bytes > self._most_bytes:
            self._young, self._old, self._bytes = {}, self._young, 0
        self._young[header] = principal
        self._bytes += len(header) + ENTRY_BYTES
