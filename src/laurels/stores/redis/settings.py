"""What is set of the connections to Redis."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - a struct needs the type
from typing import Annotated

from msgspec import Meta, Struct

WAITING = 10_000
TIMEOUT = 5


class RedisSettings(Struct, frozen=True):
    """The settings of a store on Redis or Valkey."""

    wait: Annotated[int, Meta(ge=0)] = 0
    """How many replicas must have a change before it is acknowledged."""
    timeout: Annotated[float, Meta(gt=0)] = TIMEOUT
    """Seconds that an answer may take."""
    waiting: Annotated[int, Meta(ge=1)] = WAITING
    """How many calls may wait for one server; more are refused at once."""
    allow_eviction: bool = False
    password_file: Path | None = None
    ca_file: Path | None = None
    """The authorities whose certificates are believed, instead of the system's."""
