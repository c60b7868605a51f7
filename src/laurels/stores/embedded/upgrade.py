"""What journals of earlier formats hold, as those of today hold it.

In formats 1 and 2 there was a row for each answer, which had the answer as JSON, and an index by the keys. The first
format had no answers. Their keys are honoured for a whole day from the upgrade, because nobody knows how much agreed time
has passed since.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec

from laurels.errors import DataDamaged
from laurels.stores.contract import Change, IdempotencyKey, Refusal
from laurels.stores.embedded.answers import ROW_ANSWERS, Answers, pack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from laurels.stores.embedded.answers import Answered, Compared

_decode = msgspec.json.Decoder(Change | list[Refusal]).decode


def repack_answers(db: sqlite3.Connection, path: Path) -> Iterator[Answers]:
    """Yield the answers of the table ``once_before``, as it was in the second format; raise DataDamaged."""
    question = "SELECT tick, key, print, answer, crc FROM once_before WHERE tick > ? ORDER BY tick LIMIT ?"
    tick = 0
    while rows := db.execute(question, (tick, ROW_ANSWERS)).fetchall():
        tick = rows[-1][0]
        yield from pack([_read(path, *row) for row in rows], 0)


def _read(path: Path, tick: int, key: bytes, fingerprint: bytes, answer: bytes, crc: int) -> Answered:
    fields = key, fingerprint, answer
    if list(map(type, fields)) != [bytes] * 3 or zlib.crc32(b"%d %b" % (tick, b"".join(fields))) != crc:
        raise DataDamaged(path, f"answer {tick} is not what was written")
    once = IdempotencyKey(key, fingerprint)
    if not answer:  # the write was refused
        return tick, once, None
    outcome = _decode(answer)
    return tick, once, _compared(outcome) if isinstance(outcome, Change) else outcome


def _compared(change: Change) -> Compared:
    before, after = change.previous, change.current
    return (before.score, before.rank) if before else None, (after.score, after.rank), change.counted
