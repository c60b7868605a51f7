"""Runs: proof that a player began a while before the score came. Making one writes nothing.

A run is a time, a lifetime and random bytes (:data:`~laurels.stores.embedded.guard.RUN_BYTES`), signed for a board and
a name, as base64url. The key of the signatures is the directory's own, in its file ``runs``, so that a restart knows
the runs of before. Whoever has another key, or signed for another board or name, has made another run.

The time is the tick that a write would have had (:class:`~laurels.stores.embedded.commits.Ticks`). When a submit uses
the run, that is held against the tick of the submit (:mod:`laurels.stores.embedded.guard`).
"""

from __future__ import annotations

import asyncio
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING

from laurels.errors import RunRefused
from laurels.stores.embedded.guard import RUN_BYTES

if TYPE_CHECKING:
    from laurels.stores.embedded.directory import Directory

SIGNATURE_BYTES = 16
RANDOM_BYTES = 8
FOREIGN = "The run was not made here for this board and this player: make one with POST /-/boards/{board}/runs."


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
        run = tick.to_bytes(8, "big") + seconds.to_bytes(4, "big") + os.urandom(RANDOM_BYTES)
        return urlsafe_b64encode(run + _sign(self._key, board, name, run)).decode()

    def read(self, board: str, name: str, text: str) -> bytes:
        """Return a run as it is remembered; raise RunRefused for one that was not made here for this name."""
        try:
            signed = urlsafe_b64decode(text.encode("ascii"))
        except ValueError:
            signed = b""
        run, signature = signed[:RUN_BYTES], signed[RUN_BYTES:]
        if self._key is None or urlsafe_b64encode(signed).decode() != text:
            raise RunRefused(FOREIGN)
        if not compare_digest(signature, _sign(self._key, board, name, run)):
            raise RunRefused(FOREIGN)
        return run


def _sign(key: bytes, board: str, name: str, run: bytes) -> bytes:
    text = f"{board}\n{name}\n".encode("utf-8", "surrogatepass")
    return blake2b(text + run, key=key, digest_size=SIGNATURE_BYTES, person=b"laurels run").digest()
