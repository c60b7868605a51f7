"""Entries as scripts return them, with the details of the submission that counts."""

from __future__ import annotations

from typing import Any

from laurels.stores.contract import Ranked
from laurels.stores.redis.keys import read_score


def read_details(details: bytes) -> tuple[int, int, bytes | None]:
    """Return tick, sequence and metadata of an entry."""
    when, _, metadata = details.partition(b" ")
    tick, _, sequence = when.partition(b".")
    return int(tick), int(sequence), metadata or None


def read_entry(entry: list[Any], *, with_metadata: bool) -> Ranked:
    """Return an entry of its name, score, rank and details; one without these was put there by another program."""
    name, score, rank, details = entry
    if not details:
        return Ranked(name.decode(), read_score(score), rank)
    tick, sequence, metadata = read_details(details)
    kept = metadata if with_metadata else None
    return Ranked(name.decode(), read_score(score), rank, sequence, tick, kept, tick=tick)
