"""Runs: proof that a player began a while before the score came.

A run is a time, a lifetime and random bytes, signed for a board and a name, as base64url. So whoever makes one need not
remember it. Who has another key, or signed for another board or name, has made another run.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING

from laurels.clock import SECOND
from laurels.errors import RunRefused

if TYPE_CHECKING:
    from laurels.definition import Runs

RUN_BYTES = 20
"""A run: the tick of its making, its lifetime in seconds, and random bytes; 8, 4 and 8 of them."""
KEY_BYTES = 32
SIGNATURE_BYTES = 16
RANDOM_BYTES = 8
FOREIGN = "The run was not made here for this board and this player: make one with POST /-/boards/{board}/runs."
USED = "The run was used before: make another for the next submit."


def make_run(key: bytes, board: str, name: str, tick: int, seconds: int) -> str:
    """Return a new run that was made at a tick and lives for some seconds."""
    run = tick.to_bytes(8, "big") + seconds.to_bytes(4, "big") + os.urandom(RANDOM_BYTES)
    return urlsafe_b64encode(run + _sign(key, board, name, run)).decode()


def read_run(key: bytes | None, board: str, name: str, text: str) -> bytes:
    """Return a run as it is remembered; raise RunRefused for one that was not made with this key for this name."""
    try:
        signed = urlsafe_b64decode(text.encode("ascii"))
    except ValueError:
        signed = b""
    run, signature = signed[:RUN_BYTES], signed[RUN_BYTES:]
    if key is None or urlsafe_b64encode(signed).decode() != text:
        raise RunRefused(FOREIGN)
    if not compare_digest(signature, _sign(key, board, name, run)):
        raise RunRefused(FOREIGN)
    return run


def _sign(key: bytes, board: str, name: str, run: bytes) -> bytes:
    text = f"{board}\n{name}\n".encode("utf-8", "surrogatepass")
    return blake2b(text + run, key=key, digest_size=SIGNATURE_BYTES, person=b"laurels run").digest()


def run_times(run: bytes) -> tuple[int, int]:
    """Return the tick at which a run was made, and the last one at which it is accepted."""
    made = int.from_bytes(run[:8], "big")
    return made, made + int.from_bytes(run[8:12], "big") * SECOND


def is_too_old(runs: Runs, run: bytes, now: int) -> bool:
    """Return whether a board accepts a run no more."""
    made, until = run_times(run)
    return now > until or now - made > runs.max_seconds * SECOND


def is_too_young(runs: Runs, run: bytes, now: int) -> bool:
    """Return whether a board does not accept a run yet."""
    return now - run_times(run)[0] < runs.min_seconds * SECOND


def too_old(runs: Runs, run: bytes) -> RunRefused:
    """Return the error for a run that is accepted no more."""
    made, until = run_times(run)
    most = min(runs.max_seconds, (until - made) // SECOND)
    return RunRefused(f"The run is too old: it was accepted for {most} seconds. Make another.")


def too_young(runs: Runs) -> RunRefused:
    """Return the error for a run that is not accepted yet."""
    return RunRefused(f"The run is too short: it is accepted {runs.min_seconds} seconds after its making.")
