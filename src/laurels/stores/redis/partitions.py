"""Boards of several partitions: one board over many hash tags, by the names of its entries.

A partition is a board of the store by itself, with a tag of its own: that of the board, ``#``, and which of how many it
is (``laurels:{world#3/16}``). A name is in the partition ``CRC-32 of its UTF-8 bytes mod partitions``. So whatever
concerns one name is one act on one board, and what is here is only what concerns several.

**Rank.** The place of an entry is the sum of how many come before it in each partition: the partition of the name says
score and place there, then all others count at once. Two round trips, O(K log n) in all. Ties are exact: entries of one
score are counted by their names.

**Pages.** A split is a place in each partition, such that what is before them all is the beginning of the board. Behind
a split, the next entries are merged from each partition's own next ones: about ``n / K`` and a few more of each are
read, and more of those that turn out to have more; mostly one round trip. A page near the top begins at the split of
zeros. Further down the split is found as in selection from sorted lists: each partition shows the entry at the place
that would be right if names were spread evenly; the median of these is counted everywhere, and bounds all the places
from one side. As names are spread by a hash, what is left falls to its root each time: 2 rounds of 2 round trips at
10^6. If they are not (somebody chose them), each round still takes a quarter off, for the middle is tried after a few.

**One state.** Every act is atomic in one partition, and there is none over several: the reads of one answer are of
several moments if others write meanwhile. So a rank lies between the sum of the least and the sum of the greatest
counts of the partitions during the read.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
from itertools import accumulate, chain
from math import isqrt
from typing import TYPE_CHECKING, Any
from zlib import crc32

from msgspec import structs

from laurels.errors import AnswerLost, LaurelsError, StoreUnavailable, SumUncertain
from laurels.stores.contract import (
    Board,
    Change,
    Entry,
    HiddenStanding,
    IdempotencyKey,
    Period,
    Place,
    Ranked,
    Refusal,
    Standing,
    Submission,
    SubmitResult,
)
from laurels.stores.summary import PERCENTILES, edges_between, summarize

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from laurels.stores.contract import HiddenName, PeriodRange, Run, Score, Store, Summary

    Point = tuple[Score, str]
    Ask = Callable[[Sequence[Board], str, Sequence[Sequence[str | int]]], Awaitable[list[Any]]]

READ_AT_ONCE = 2000
"""Entries that are read and passed over rather than counted."""
SKEWED = 4
"""Rounds after which names are not taken to be spread evenly any more."""
BETTER = ""
"""In place of a name: all that have another score, which is better, and nobody else."""


def partition_of(name: str, count: int) -> int:
    """Return in which of so many partitions a name is; any client can compute it."""
    return crc32(name.encode()) % count


def partitions_of(board: Board) -> list[Board]:
    """Return the boards that a board's partitions are; no other board has a line feed in its name."""
    count = board.definition.partitions
    definition = structs.replace(board.definition, partitions=1)
    return [structs.replace(board, name=f"{board.name}\n{at}/{count}", definition=definition) for at in range(count)]


class Partitions:
    """The boards of a store that have several partitions; ``ask`` asks several of these the same."""

    def __init__(self, store: Store, ask: Ask) -> None:
        self._store = store
        self._ask = ask

    def _home(self, board: Board, name: str) -> Board:
        """Return the partition of a name."""
        count = board.definition.partitions
        definition = structs.replace(board.definition, partitions=1)
        return structs.replace(
            board, name=f"{board.name}\n{partition_of(name, count)}/{count}", definition=definition
        )

    # What concerns one name

    def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> Coroutine[Any, Any, bool]:
        return self._store.set_metadata(self._home(board, name), name, metadata)

    def remove(self, board: Board, name: str) -> Coroutine[Any, Any, bool]:
        return self._store.remove(self._home(board, name), name)

    def hide(self, board: Board, name: str) -> Coroutine[Any, Any, bool]:
        return self._store.hide(self._home(board, name), name)

    def show(self, board: Board, name: str) -> Coroutine[Any, Any, bool]:
        return self._store.show(self._home(board, name), name)

    def make_run(self, board: Board, name: str) -> Coroutine[Any, Any, Run]:
        return self._store.make_run(self._home(board, name), name)

    def held_entry(
        self, board: Board, name: str, *, with_metadata: bool = False
    ) -> Coroutine[Any, Any, Ranked | None]:
        return self._store.held_entry(self._home(board, name), name, with_metadata=with_metadata)

    def release(self, board: Board, held: Ranked) -> Coroutine[Any, Any, bool]:
        return self._store.release(self._home(board, held.name), held)

    def reject(self, board: Board, name: str) -> Coroutine[Any, Any, bool]:
        return self._store.reject(self._home(board, name), name)

    async def standing(self, board: Board, name: str) -> Standing | None:
        home = self._home(board, name)
        found = await self._store.standing(home, name)
        if found is None or found.rank is None:
            return found
        others = [each for each in partitions_of(board) if each.name != home.name]
        counts = await self._count_before(board, others, [_point(board, found.score, name)])
        return Standing(found.score, found.rank + sum(count for (count,) in counts))

    # Submits

    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        if not isinstance(submissions, Submission):
            return await self._submit_batch(board, submissions, idempotency_key)
        home = self._home(board, submissions.name)
        result = await self._store.submit(home, submissions, idempotency_key, want_changes=want_changes)
        if result is None or not result.changes:
            return result
        return SubmitResult(changes=[await self._rank_change(board, home, submissions.name, result.changes[0])])

    async def _rank_change(self, board: Board, home: Board, name: str, change: Change) -> Change:
        """Return a change with ranks on the board, instead of in the partition of the name."""
        standings = [change.previous, change.current]
        points = [_point(board, each.score, name) for each in standings if each is not None and each.rank is not None]
        others = [each for each in partitions_of(board) if each.name != home.name]
        sums = iter([sum(counts) for counts in zip(*await self._count_before(board, others, points), strict=True)])
        previous, current = (
            each if each is None or each.rank is None else Standing(each.score, each.rank + next(sums))
            for each in standings
        )
        return structs.replace(change, previous=previous, current=current or change.current)

    async def _submit_batch(
        self, board: Board, batch: Sequence[Submission | Refusal], key: IdempotencyKey | None
    ) -> SubmitResult:
        """Submit to each partition what is its own; what is refused has its place in the whole batch."""
        parts = partitions_of(board)
        shares: dict[int, list[int]] = {}
        for at, entry in enumerate(batch):
            if isinstance(entry, Submission):
                shares.setdefault(partition_of(entry.name, len(parts)), []).append(at)
        if key is not None:  # with another batch the key must be found even if that has no name of these partitions
            await self._claim(parts, key)
        answers = await asyncio.gather(
            *(self._store.submit(parts[at], [batch[each] for each in share], key) for at, share in shares.items()),
            return_exceptions=True,
        )
        _check(answers, is_counted_twice=board.definition.operator_rules.adds and key is None)
        refused = [entry for entry in batch if isinstance(entry, Refusal)]
        for share, answer in zip(shares.values(), answers, strict=True):
            if isinstance(answer, SubmitResult):
                refused += [structs.replace(each, index=share[each.index]) for each in answer.refusals]
        return SubmitResult(sorted(refused, key=lambda each: each.index))

    async def _claim(self, parts: Sequence[Board], key: IdempotencyKey) -> None:
        """Keep what the key came with in a partition that follows from the key alone."""
        claim = IdempotencyKey(bytes(each ^ 0xFF for each in key.key), key.fingerprint)
        await self._store.submit(parts[crc32(key.key) % len(parts)], [], claim)

    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:
        """Return what any partition knows: of a submit of one name it is that of the name."""
        found = await asyncio.gather(*(self._store.recall(each, idempotency_key) for each in partitions_of(board)))
        return next((each for each in found if each is not None), None)

    async def drop(self, board: Board) -> bool:
        return any(await asyncio.gather(*map(self._store.drop, partitions_of(board))))

    # Reads of several partitions

    async def count(self, board: Board) -> int:
        return sum(await self._count(board))

    async def place(self, board: Board, score: Score) -> Place:
        parts = partitions_of(board)
        better, counts = await asyncio.gather(
            self._count_before(board, parts, [(score, BETTER)]), self._count(board)
        )
        total = sum(count for (count,) in better)
        return Place(total, total, sum(counts))

    async def page(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> list[Ranked]:
        found = await self._entries_at(board, start, stop - start)
        return await self._rank(board, found, start, with_metadata=with_metadata)

    async def around(self, board: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked] | None:
        own = await self._store.entries_named(self._home(board, name), [name])
        if not own:
            return None
        parts = partitions_of(board)
        places = [count for (count,) in await self._count_before(board, parts, [(own[0].score, f"<{name}")])]
        before, behind = await asyncio.gather(
            self._merge(board, places, span, backwards=True), self._merge(board, places, span + 1)
        )
        return await self._rank(board, before + behind, sum(places) - len(before), with_metadata=with_metadata)

    async def entries_named(self, board: Board, names: Sequence[str], *, with_metadata: bool = False) -> list[Ranked]:
        homes: dict[str, tuple[Board, list[str]]] = {}
        for name in names:
            home = self._home(board, name)
            homes.setdefault(home.name, (home, []))[1].append(name)
        own = await asyncio.gather(
            *(self._store.entries_named(home, some, with_metadata=with_metadata) for home, some in homes.values())
        )
        entries = sorted(chain(*own), key=_place_of, reverse=board.definition.order == "descending")
        points = [_point(board, entry.score, entry.name) for entry in entries]
        counts = await self._count_before(board, partitions_of(board), points)
        ranks = map(sum, zip(*counts, strict=True))
        return [structs.replace(entry, rank=rank) for entry, rank in zip(entries, ranks, strict=False)]

    async def entries_between_scores(
        self, board: Board, low: Score, high: Score, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        first = high if board.definition.order == "descending" else low
        places = [count for (count,) in await self._count_before(board, partitions_of(board), [(first, BETTER)])]
        found = [entry for entry in await self._merge(board, places, limit) if low <= entry.score <= high]
        return await self._rank(board, found, sum(places), with_metadata=with_metadata)

    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        point = entry.score, f"={entry.name}"
        places = [count for (count,) in await self._count_before(board, partitions_of(board), [point])]
        found = await self._merge(board, places, limit)
        return await self._rank(board, found, sum(places), with_metadata=with_metadata)

    async def summary(self, board: Board) -> Summary:
        count = await self.count(board)
        places = [0, count - 1, *(count * (100 - percent) // 100 for percent in PERCENTILES)]
        found = await asyncio.gather(*(self._entries_at(board, max(0, place), 1) for place in places))
        scores = [entry.score for each in found for entry in each]
        if len(scores) < len(places):  # of an empty board, or one that others have just emptied
            return summarize(0, [], [], [])
        edges = edges_between(scores[0], scores[1])
        parts = partitions_of(board)
        counts = await self._ask(parts, "least", [[f"{edge:.17g}" for edge in edges[:-1]]])
        return summarize(count, scores, edges, [sum(each) for each in zip(*counts, strict=True)])

    async def held(self, board: Board, after: Ranked | None = None, limit: int | None = None) -> list[Ranked]:
        found = await asyncio.gather(*(self._store.held(each, after, limit) for each in partitions_of(board)))
        return sorted(chain(*found), key=_place_of, reverse=board.definition.order == "descending")[:limit]

    async def hidden(
        self, board: Board, after: str = "", limit: int | None = None, *, with_metadata: bool = False
    ) -> list[HiddenName]:
        found = await asyncio.gather(
            *(self._store.hidden(each, after, limit, with_metadata=with_metadata) for each in partitions_of(board))
        )
        return sorted(chain(*found), key=lambda each: each.name.encode())[:limit]

    async def periods(
        self, board: Board, ranges: Sequence[PeriodRange] | None = None, limit: int | None = None
    ) -> list[Period]:
        found = await asyncio.gather(*(self._store.periods(each, ranges, limit) for each in partitions_of(board)))
        counts: dict[tuple[str, str], int] = {}
        for each in chain(*found):
            counts[each.window, each.period] = counts.get((each.window, each.period), 0) + each.count
        order = {each.window: at for at, each in enumerate(ranges or ())}
        names = sorted(counts, key=lambda each: (order.get(each[0], 0), *each))
        return [Period(*name, counts[name]) for name in names][:limit]

    # Counts, splits and merges

    async def _count(self, board: Board) -> list[int]:
        return await self._ask(partitions_of(board), "count", [[]]) if board.visible else [0]

    async def _count_before(self, board: Board, parts: Sequence[Board], points: Sequence[Point]) -> list[list[int]]:
        """Return for each partition how many of its entries come before each point."""
        if not (board.visible and parts and points):
            return [[0] * len(points)] * len(parts)
        words = [word for score, which in points for word in (f"{score:.17g}", which)]
        return await self._ask(parts, "before", [words])

    async def _read(self, board: Board, spans: Sequence[tuple[int, int]]) -> list[list[Ranked]]:
        """Return the entries of each partition from one place in it up to another; an empty span asks for nothing."""
        wanted = [at for at, (start, stop) in enumerate(spans) if start < stop]
        found: list[list[Ranked]] = [[] for _ in spans]
        if board.visible and wanted:
            parts = partitions_of(board)
            rows = await self._ask([parts[at] for at in wanted], "entries", [spans[at] for at in wanted])
            for at, each in zip(wanted, rows, strict=True):
                found[at] = each
        return found

    async def _merge(self, board: Board, places: Sequence[int], count: int, *, backwards: bool = False) -> list[Ranked]:
        """Return the next ``count`` entries behind a split, or those before it, in the board's order."""
        is_descending = board.definition.order == "descending"
        read: list[dict[str, Ranked]] = [{} for _ in places]  # by name: who rises meanwhile may be met again
        done, size = [0] * len(places), share_of(count, len(places))
        open_ = set(range(len(places)))
        behind = dict.fromkeys(open_, 0)
        while True:
            spans = [(0, 0)] * len(places)
            for at in behind:
                first = places[at] + done[at]
                spans[at] = (max(0, places[at] - done[at] - size), places[at] - done[at]) if backwards else (first, first + size)
            for at, found in enumerate(await self._read(board, spans)):
                start, stop = spans[at]
                done[at] += stop - start
                read[at] |= {entry.name: entry for entry in (reversed(found) if backwards else found)}
                if at in behind and len(found) < size:
                    open_.discard(at)
            rows = sorted(
                ((_place_of(entry), at, entry) for at, each in enumerate(read) for entry in each.values()),
                key=lambda row: row[0],
                reverse=is_descending != backwards,
            )
            last = {at: place for place, (_, at, _) in enumerate(rows, 1)}
            behind = {at: last[at] for at in open_ if last[at] < count}
            if not behind:
                entries = [entry for _, _, entry in rows[:count]]
                return entries[::-1] if backwards else entries
            size *= 2

    async def _entries_at(self, board: Board, start: int, count: int) -> list[Ranked]:
        """Return the entries at these places of the board."""
        if start + count <= READ_AT_ONCE:
            return (await self._merge(board, [0] * board.definition.partitions, start + count))[start:]
        counts = await self._count(board)
        if start >= sum(counts):
            return []
        places = await self._split(board, counts, start)
        skipped = start - sum(places)
        return (await self._merge(board, places, skipped + count))[skipped:]

    async def _split(self, board: Board, high: list[int], start: int) -> list[int]:
        """Return a split with at most ``start`` entries before it, and so few less that they can be read."""
        parts, low, rounds = partitions_of(board), [0] * len(high), 0
        while (left := start - sum(low)) > READ_AT_ONCE:
            sizes = [most - least for least, most in zip(low, high, strict=True)]
            aim = left - 2 * isqrt(left * len(parts)) if rounds < SKEWED else sum(sizes) // 2
            shown = [
                least + min(size - 1, size * max(0, aim) // max(1, sum(sizes))) for least, size in zip(low, sizes, strict=True)
            ]
            rows = await self._read(board, [(at, at + (size > 0)) for at, size in zip(shown, sizes, strict=True)])
            pivots = [(entry, sizes[at]) for at, found in enumerate(rows) for entry in found]
            if not pivots:  # others have removed what was counted
                return low
            pivot = _median(pivots, is_descending=board.definition.order == "descending")
            counts = await self._count_before(board, parts, [(pivot.score, f"={pivot.name}")])
            places = [min(max(count, least), most) for (count,), least, most in zip(counts, low, high, strict=True)]
            if sum(places) <= start:
                low = places
            else:
                high = [place - 1 if place > least and found and found[0].name == pivot.name else place
                        for place, least, found in zip(places, low, rows, strict=True)]
            rounds += 1
        return low

    async def _rank(
        self, board: Board, entries: list[Ranked], start: int, *, with_metadata: bool
    ) -> list[Ranked]:
        """Return entries that stand from a place on, with their ranks."""
        rank, score = start, None
        if entries and start and board.definition.ranking == "competition":
            score = entries[0].score
            better = await self._count_before(board, partitions_of(board), [(score, BETTER)])
            rank = sum(count for (count,) in better)
        ranked = []
        for place, entry in enumerate(entries, start):
            if board.definition.ranking == "ordinal" or entry.score != score:
                rank, score = place, entry.score
            metadata = entry.metadata if with_metadata else None
            ranked.append(structs.replace(entry, rank=rank, metadata=metadata))
        return ranked


def share_of(count: int, partitions: int) -> int:
    """Return how many of the next entries of a board are asked of each partition: seldom fewer than it has of them."""
    even = -(-count // partitions)
    return min(count, even + 3 * isqrt(even) + 1)


def _point(board: Board, score: Score, name: str) -> Point:
    """Return what comes before an entry, as the board ranks."""
    return score, f"<{name}" if board.definition.ranking == "ordinal" else BETTER


def _place_of(entry: Ranked) -> tuple[Score, bytes]:
    return entry.score, entry.name.encode()


def _median(pivots: list[tuple[Ranked, int]], *, is_descending: bool) -> Ranked:
    """Return the entry behind which as many others are as before it, each standing for so many."""
    pivots = sorted(pivots, key=lambda each: _place_of(each[0]), reverse=is_descending)
    half = sum(size for _, size in pivots) / 2
    sums = accumulate(size for _, size in pivots)
    return next(entry for (entry, _), total in zip(pivots, sums, strict=True) if total >= half)


def _check(answers: Sequence[object], *, is_counted_twice: bool) -> None:
    """Raise what a partition raised; if others have kept what is added, say that it must not be sent again."""
    errors = [each for each in answers if isinstance(each, BaseException)]
    if not errors:
        return
    lost = next((each for each in errors if isinstance(each, AnswerLost | SumUncertain)), errors[0])
    if is_counted_twice and len(errors) < len(answers) and isinstance(lost, StoreUnavailable):
        raise SumUncertain(lost.problem) from lost
    raise lost
