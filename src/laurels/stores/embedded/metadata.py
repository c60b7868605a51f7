"""The metadata of one store's entries: where it is, what is in memory of it, and whether a submit brings it again.

Metadata is on disk (:mod:`laurels.stores.embedded.lookups`), under the sequence of the write that brought it, and never
changes there. So what was read once stays in memory until it is the oldest of CACHE_BYTES; a read that finds all that
it needs there does not wait.

**A submit that brings it again** changes nothing, and only the disk can tell. So a write with metadata looks first,
and its record says what was found equal (:mod:`laurels.stores.embedded.records`). From the look until it is applied no
other write may bring metadata for the same name on the same board: such a write waits, or neither would see the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from laurels.errors import StoreError, StoreUnavailable
from laurels.ranking import to_json
from laurels.stores.contract import Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import ExitStack

    from laurels.ranking.index import Row
    from laurels.stores.embedded.lookups import Bodies, DiskLookups, Reader, Wanted
    from laurels.stores.embedded.records import Submit, SubmitMany
    from laurels.stores.embedded.state import State

CACHE_BYTES = 32 * 2**20
ROW_BYTES = 150
"""What metadata takes in memory besides its bytes."""


def rank_row(row: Row, metadata: bytes | None = None, *, is_damaged: bool = False) -> Ranked:
    """Return the entry of an index's row, with its tick for its time."""
    name, score, rank, sequence, *date = row
    tick = date[0] if date else -1
    return Ranked(name, score, rank, sequence, tick if date else sequence >> 1 or None, metadata, is_damaged, tick)


class Metadata:
    """The metadata of the entries of a state."""

    def __init__(self, state: State, lookups: DiskLookups) -> None:
        self._state = state
        self._lookups = lookups
        self._cache: Bodies = {}
        self._cache_bytes = 0
        self._locks = WeakValueDictionary[tuple[str, str], asyncio.Lock]()

    # Reads

    def page_json(self, key: str, packed: bytes) -> bytes | None:
        """Return packed entries as JSON with their metadata, None if it is not all in memory.

        Also None if some of a board's metadata is not under the sequences of its entries, and was to be looked for.
        """
        return None if key in self._state.moved else to_json(packed, stamped=True, metadata=self._cache)

    async def entries(self, key: str, read: Callable[[], Sequence[Row]]) -> list[Ranked]:
        """Return the entries that ``read`` returns, with their metadata; ``read`` is called again if they changed.

        Metadata that is there no more was replaced meanwhile, or else it is damaged.
        """
        missing: set[int] = set()
        while True:
            rows = read()
            kept = self._sequences(key, rows)
            bodies, before = {at: self._cache[at] for at in kept if at in self._cache}, missing
            if wanted := {at: (key, row[0]) for at, row in zip(kept, rows, strict=True) if at and at not in bodies}:
                bodies |= await self._find(self._lookups.of_reads, wanted)
            missing = wanted.keys() - bodies.keys()
            if missing <= before:
                return [
                    rank_row(row, bodies.get(at), is_damaged=at in missing) for row, at in zip(rows, kept, strict=True)
                ]

    def _sequences(self, key: str, rows: Iterable[Row]) -> list[int]:
        """Return the sequences under which the metadata of entries is kept, 0 for those that have none."""
        moved = self._state.moved.get(key)
        if moved:
            return [moved.get(row[0], row[3]) if row[3] & 1 else 0 for row in rows]
        return [row[3] if row[3] & 1 else 0 for row in rows]

    async def _find(self, reader: Reader, wanted: Wanted) -> Bodies:
        """Return what there is on disk of this metadata, and keep it in memory."""
        everything = await reader.metadata(wanted)  # what others asked for at the same time, too
        found = {sequence: everything[sequence] for sequence in wanted if sequence in everything}
        for sequence, body in found.items():
            if sequence not in self._cache:
                self._cache[sequence] = body
                self._cache_bytes += ROW_BYTES + len(body)
        while self._cache_bytes > CACHE_BYTES:
            self._cache_bytes -= ROW_BYTES + len(self._cache.pop(next(iter(self._cache))))
        return found

    # Writes

    async def hold(self, board: str, names: Iterable[str], held: ExitStack) -> None:
        """Wait for writes that bring metadata for these names; others wait until ``held`` is closed."""
        for lock in [self._locks.setdefault((board, name), asyncio.Lock()) for name in sorted(set(names))]:
            await lock.acquire()
            held.callback(lock.release)

    async def compare(self, record: Submit | SubmitMany, bodies: Sequence[tuple[int, bytes]]) -> Submit | SubmitMany:
        """Return a record with what metadata is found to be equal to its own; what cannot be read is not."""
        brought, keys = dict(bodies), list(record.needs())
        first: dict[tuple[str, bytes], int] = {}
        equal: list[tuple[int, int]] = []
        candidates: list[tuple[int, int]] = []
        wanted: dict[int, tuple[str, str]] = {}
        for place, name, score in record.entries():
            same = first.setdefault((name, brought[place]), place)
            if same != place:
                equal.append((place, ~same))
                continue
            for key in keys:
                if self._state.index_of(key, name).score(name) == score:
                    at = self._state.metadata_of(key, name)
                    if at:
                        wanted[at] = key, name
                        candidates.append((place, at))
        found = await self._find_for_write(wanted) if wanted else {}
        equal += [(place, at) for place, at in candidates if found.get(at) == brought[place]]
        return record.with_equal(equal)

    async def _find_for_write(self, wanted: Wanted) -> Bodies:
        cached = {at: self._cache[at] for at in wanted if at in self._cache}
        if len(cached) == len(wanted):
            return cached
        try:
            return await self._find(self._lookups.of_writes, wanted)
        except StoreError as error:
            if isinstance(error, StoreUnavailable) and error.__cause__ is None:
                raise  # the store is closed, or too many wait
            return {}
