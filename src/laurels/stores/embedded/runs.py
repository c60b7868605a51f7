"""Runs: proof that a player began a while before the score came. Making one writes nothing.

The key of the signatures (:mod:`laurels.stores.runs`) is the directory's own, in its file ``runs``, so that a restart
knows the runs of before.

The time is the tick that a write would have had (:class:`~laurels.stores.embedded.commits.Ticks`). When a submit uses
the run, that is held against the tick of the submit (:mod:`laurels.stores.embedded.guard`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from laurels.stores.runs import make_run, read_run

if TYPE_CHECKING:
    from laurels.stores.embedded.directory import Directory


class RunSigner:
    """Makes the runs of a directory, and knows them again."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._key = directory.read_run_key()
        self._making = asyncio.Lock()

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return f"<{type(self).__name__}>"

    async def make(self, board: str, name: str, tick: int, seconds: int) -> str:
        """Return a new run that was made at a tick and lives for some seconds."""
        async with self._making:
            if self._key is None:
                self._key = await asyncio.to_thread(self._directory.make_run_key)
        return make_run(self._key, board, name, tick, seconds)

    def read(self, board: str, name: str, text: str) -> bytes:
        """Return a run as it is remembered; raise RunRefused for one that was not made here for this name."""
        return read_run(self._key, board, name, text)
