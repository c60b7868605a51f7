"""How much a store may hold, as its operator has decided."""

from __future__ import annotations

from msgspec import Struct


class StoreLimits(Struct, frozen=True):
    """How much a store may hold. Nothing that it holds already is refused or removed for them."""

    boards: int = 100_000
    """Boards that have entries or a definition of their own: about a kilobyte of memory each."""
    periods: int = 1_000_000
    """Periods of all windows that have entries: about a kilobyte of memory each."""
    entries: int = 50_000_000
    """Entries on all boards and in all periods: 50 to 100 bytes of memory each."""
    keys: int = 10_000_000
    """Idempotency keys that are remembered."""
