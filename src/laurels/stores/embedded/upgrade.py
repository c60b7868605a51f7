"""What journals of earlier formats hold, as those of today hold it.

In the second format there was a row for each answer, with the answer as JSON, and an index by the keys; in the first
there were no answers. The keys are honoured for a whole day from the upgrade, for how much agreed time has passed since
they were used is not known.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from laurels.errors import DataDamaged
from laurels.stores.contract import Change, IdempotencyKey, Refusal
from laurels.stores.embedded.answers import ROW_ANSWERS, Answers, pack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from laurels.stores.embedded.answers import Answered, Compared

_decode = msgspec.json.Decoder(Change | list[Refusal]).decode


def repack_answers(db: sqlite3.Connection, path: Path) -> Iterator[Answers]:
    """Yield the answers of the table ``once_before``, as it was in the second format; raise DataDamaged."""
    question = "SELECT tick, key, print, answer, crc FROM once_before WHERE tick > ? ORDER BY tick LIMIT ?"
    tick = 0
    while rows := db.execute(question, (tick, ROW_ANSWERS)).fetchall():
        tick = rows[-1][0]
        yield from pack([_read(path, row) for row in rows], 0)


def _read(path: Path, row: Sequence[Any]) -> Answered:
    tick, *fields, crc = row
    if list(map(type, fields)) != [bytes] * 3 or zlib.crc32(b"%d %b" % (tick, b"".join(fields))) != crc:
        raise DataDamaged(path, f"answer {tick} is not what was written")
    key, fingerprint, answer = fields
    once = IdempotencyKey(key, fingerprint)
    if not answer:  # the write was refused
        return tick, once, None
    outcome = _decode(answer)
    return tick, once, _compared(outcome) if isinstance(outcome, Change) else outcome


def _compared(change: Change) -> Compared:
    before, after = change.previous, change.current
    return (before.score, before.rank) if before else None, (after.score, after.rank), change.counted
