"""How an archive is kept, as settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from laurels.limits import MIB, Limit

DAY = 24 * 60 * 60


class ArchiveLimits(Struct, frozen=True):
    """How much may wait for an archive, and how long back it can be restored."""

    backlog: Annotated[
        int,
        Limit(
            "How much of the journal may wait for the archive, or for a backup that is being read; beyond that the "
            "archive has a gap, and the backup fails.",
            "bytes",
            least=MIB,
        ),
    ] = 1024 * MIB
    every: Annotated[int, Limit("How often the archive gets a new copy of everything.", "seconds", least=60)] = DAY
    keep: Annotated[
        int, Limit("How long back the archive can be restored at least; older copies are removed.", "seconds")
    ] = 7 * DAY
