"""How much a store may hold, as its operator has decided."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from laurels.limits import Limit


class StoreLimits(Struct, frozen=True):
    """How much a store may hold. Nothing that it holds already is refused or removed for them."""

    boards: Annotated[int, Limit("How many boards the embedded store may hold; a new one beyond gets a 507.")] = 100_000
    """Those that have entries or a definition of their own: about a kilobyte of memory each."""
    periods: Annotated[int, Limit("How many periods of windows it may hold, those of all boards together.")] = 1_000_000
    """Those that have entries: about a kilobyte of memory each."""
    entries: Annotated[int, Limit("How many entries it may hold, on all boards and in all periods.")] = 50_000_000
    """50 to 100 bytes of memory each."""
    keys: Annotated[int, Limit("How many idempotency keys it may remember at a time.")] = 10_000_000
