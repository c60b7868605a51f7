"""Batches: entries in the bodies of as few requests as they fit into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from laurels.answers import NewEntry
from laurels.http.wire import encode
from laurels.limits import BATCH_BYTES, BATCH_ENTRIES
from laurels.stores.contract import Score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Scores: TypeAlias = Mapping[str, Score] | Iterable[NewEntry | tuple[str, Score]]
"""Scores of several names: by name, or as pairs, or as entries with more about them."""
OPENING, CLOSING = b'{"entries":[', b"]}"
EMPTY_BYTES = len(OPENING) + len(CLOSING)


def has_room(size: int, entries: int, more: int) -> bool:
    """Return whether a body of so many bytes and entries may also hold an encoded entry of ``more`` bytes."""
    return entries < BATCH_ENTRIES and size + more < BATCH_BYTES


def make_body(entries: Sequence[bytes]) -> bytes:
    """Return the body of a batch of encoded entries."""
    return OPENING + b",".join(entries) + CLOSING


def make_batches(scores: Scores) -> Iterator[Sequence[bytes]]:
    """Yield the encoded entries of each batch, in their order."""
    entries: list[bytes] = []
    size = EMPTY_BYTES
    for each in scores.items() if isinstance(scores, Mapping) else scores:
        entry = encode(each if isinstance(each, NewEntry) else NewEntry(*each))
        if entries and not has_room(size, len(entries), len(entry)):
            yield entries
            entries, size = [], EMPTY_BYTES
        entries.append(entry)
        size += len(entry) + 1
    if entries:
        yield entries
