"""The cache of credentials: for all requests but the first, a look-up in memory instead of a proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from laurels.access.principal import Principal

MOST_BYTES = 48 * 1024 * 1024
"""Of one half of what is remembered: 100,000 players."""
ENTRY_BYTES, PATTERN_BYTES = 480, 80
"""About what is taken by one, and by each pattern of boards."""


class CachedCredential(Struct, gc=False):
    """What was found of the credential that has a mark."""

    mark: bytes
    principal: Principal
    compiled: object = None
    """What the fast path has made of it."""


class CredentialCache:
    """The principals that were proved, by the marks of what they have shown; bounded.

    There are two halves. When the younger one is full it becomes the older one, and what was in that is forgotten,
    unless it was asked for since: bit by bit, so that no request pays for all of it.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._young: dict[bytes, CachedCredential] = {}
        self._old: dict[bytes, CachedCredential] = {}
        self._forgotten: dict[bytes, CachedCredential] = {}
        self._bytes = 0

    def find(self, mark: bytes, now: float) -> CachedCredential | None:
        """Return what is known of a mark, None if that is nothing that has not expired."""
        found = self._young.get(mark)
        if found is None:
            found = self._old.pop(mark, None)
            if found is None:
                return None
            self._keep(found)
        if found.principal.expires <= now:
            del self._young[mark]
            return None
        return found

    def add(self, mark: bytes, principal: Principal) -> None:
        """Remember whose a mark is."""
        self._keep(CachedCredential(mark, principal))

    def _keep(self, known: CachedCredential) -> None:
        if self._bytes >= self._most_bytes:
            self._young, self._old, self._forgotten, self._bytes = {}, self._young, self._old, 0
        for _ in range(min(2, len(self._forgotten))):
            self._forgotten.popitem()
        self._young[known.mark] = known
        self._bytes += ENTRY_BYTES + PATTERN_BYTES * len(known.principal.boards)
