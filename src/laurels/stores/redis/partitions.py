"""Boards of several partitions: one board over many hash tags, by the names of its entries.

A partition is a board of the store by itself, with a tag of its own: that of the board, ``#``, and which of how many it
is (``laurels:{world#3/16}``). A name is in the partition ``CRC-32 of its UTF-8 bytes mod partitions``. So whatever
concerns one name is one act on one board, and what is here is only what concerns several.

**Rank.** The place of an entry is the sum of how many come before it in each partition: the partition of the name says
score and place there, then all others count at once. Two round trips, O(K log n) in all. Ties are exact: entries of one
score are counted by their names.

**Pages.** A split is a place in each partition, such that what is before them all is the beginning of the board. Behind
a split the next entries are merged from each partition's own next ones: about ``n / K`` and a few more of each are
read, and more of those that turn out to have more; mostly that is one round trip. A page near the top begins at the
split of zeros. Further down the split is found as in selection from sorted lists: each partition shows the entry at the
place that would be right if names were spread evenly; the median of these is counted everywhere, and bounds all the
places from one side. As names are spread by a hash, what is left falls to about its root each time: 2 rounds of 2 round
trips at 10^6. If they are not (somebody chose them), later rounds try the middle: each takes a quarter off.

**One state.** Every act is atomic in one partition, and there is none over several: the reads of one answer are of
several moments if others write meanwhile. So a rank lies between the sum of the least and the sum of the greatest
counts of the partitions during the read.

**Definitions.** Each partition has the definition of its board, of one partition, and the board's own tag says what
holds (``definitions.py``). Who is told of another one there asks the board, and gives the partition that one.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
from functools import partial
from itertools import accumulate, chain
from math import isqrt
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from msgspec import structs

from laurels.errors import AnswerLost, DefinitionChanged, StoreUnavailable, SumUncertain
from laurels.stores.contract import (
    KEY_SECONDS,
    Board,
    Change,
    IdempotencyKey,
    Period,
    Place,
    Ranked,
    Refusal,
    Standing,
    Submission,
    SubmitResult,
)
from laurels.stores.redis.keys import key_of, partition_name, write_score
from laurels.stores.redis.submitting import FINGERPRINT_BYTES, TIME_DIGITS
from laurels.stores.summary import PERCENTILES, edges_between, summarize

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from laurels.stores.contract import HiddenName, PeriodRange, Score, Store, Summary
    from laurels.stores.redis.definitions import Definitions

    Point = tuple[Score, str]
    Words = Sequence[Sequence[str | int]]

T = TypeVar("T")
MOST_REPEATED = 20
"""How often an act is done again because definitions have changed meanwhile."""
READ_AT_ONCE = 2000
"""Entries that are read and passed over rather than counted."""
SKEWED = 4
"""Rounds after which names are not taken to be spread evenly any more."""
BETTER = ""
"""In place of a name: only those with a better score come before it."""


def partition_of(name: str, count: int) -> int:
    """Return in which of so many partitions a name is; any client can compute it."""
    return crc32(name.encode()) % count


def partition(board: Board, at: int) -> Board:
    """Return the board that a partition of a board is."""
    of = board.definition
    name = partition_name(board.name, at, of.partitions)
    return structs.replace(board, name=name, definition=structs.replace(of, partitions=1))


class Partitions:
    """The boards of a store that have several partitions; ``ask`` asks several of these the same."""

    def __init__(
        self,
        store: Store,
        ask: Callable[[Sequence[Board], str, Words], Awaitable[list[Any]]],
        ask_one: Callable[..., Awaitable[Any]],
        definitions: Definitions,
    ) -> None:
        self._store = store
        self._ask_one = ask_one
        self._ask_parts = ask
        self._definitions = definitions

    # Acts on one partition, and on several

    async def _at(self, board: Board, at: int, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        """Act on a partition, once that has the definition of its board."""
        part = partition(board, at)
        self._definitions.begin_partition(part.name)
        return await self._repeat(board, [at], partial(act, part, *arguments, **options))

    async def _repeat(self, board: Board, parts: Sequence[int], act: Callable[[], Awaitable[T]]) -> T:
        for _ in range(MOST_REPEATED):
            try:
                return await act()
            except DefinitionChanged:
                await self._definitions.follow(board.name, board.definition, parts)
        raise StoreUnavailable("The definition of the board changes all the time")

    def _home(
        self, board: Board, name: str, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any
    ) -> Awaitable[T]:
        """Act on the partition of a name."""
        return self._at(board, partition_of(name, board.definition.partitions), act, *arguments, **options)

    async def _all(self, board: Board, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> list[T]:
        parts = range(board.definition.partitions)
        return await asyncio.gather(*(self._at(board, at, act, *arguments, **options) for at in parts))

    async def _ask(self, board: Board, parts: Sequence[int], kind: str, words: Words) -> list[Any]:
        asked = [partition(board, at) for at in parts]
        for each in asked:
            self._definitions.begin_partition(each.name)
        return await self._repeat(board, parts, lambda: self._ask_parts(asked, kind, words))

    # What concerns one name

    def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> Awaitable[bool]:
        return self._home(board, name, self._store.set_metadata, name, metadata)

    def remove(self, board: Board, name: str) -> Awaitable[bool]:
        return self._home(board, name, self._store.remove, name)

    def hide(self, board: Board, name: str) -> Awaitable[bool]:
        return self._home(board, name, self._store.hide, name)

    def show(self, board: Board, name: str) -> Awaitable[bool]:
        return self._home(board, name, self._store.show, name)

    def held_entry(self, board: Board, name: str, *, with_metadata: bool = False) -> Awaitable[Ranked | None]:
        return self._home(board, name, self._store.held_entry, name, with_metadata=with_metadata)

    def release(self, board: Board, held: Ranked) -> Awaitable[bool]:
        return self._home(board, held.name, self._store.release, held)

    def reject(self, board: Board, name: str) -> Awaitable[bool]:
        return self._home(board, name, self._store.reject, name)

    async def standing(self, board: Board, name: str) -> Standing | None:
        found = await self._home(board, name, self._store.standing, name)
        if found is None or found.rank is None:
            return found
        counts = await self._count_before(board, [_point(board, found.score, name)], _others(board, name))
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
            if want_changes:  # which the store refuses
                return await self._store.submit(partition(board, 0), submissions, want_changes=True)
            return await self._submit_batch(board, submissions, idempotency_key)
        name, submit = submissions.name, self._store.submit
        result = await self._home(board, name, submit, submissions, idempotency_key, want_changes=want_changes)
        if result is None or not result.changes:
            return result
        return SubmitResult(changes=[await self._rank_change(board, name, result.changes[0], idempotency_key)])

    async def _rank_change(self, board: Board, name: str, change: Change, key: IdempotencyKey | None) -> Change:
        """Return a change with ranks on the board, instead of in the partition of the name; a retry has the first."""
        standings = [change.previous, change.current]
        ranked = [each for each in standings if each is not None and each.rank is not None]
        points = [_point(board, each.score, name) for each in ranked]
        found = list(map(sum, zip(*await self._count_before(board, points, _others(board, name)), strict=True)))
        if key is not None:
            found = await self._remember(partition(board, partition_of(name, board.definition.partitions)), key, found)
        counts = iter(found)
        ranks = [
            each if each is None or each.rank is None else Standing(each.score, each.rank + next(counts))
            for each in standings
        ]
        return structs.replace(change, previous=ranks[0], current=ranks[1] or change.current)

    async def _remember(self, part: Board, key: IdempotencyKey, counts: list[int]) -> list[int]:
        """Keep what was counted for the first submit with a key, and return what was kept."""
        first = f"{key_of(part.name)}:key:{key.key.hex()}"
        kept = f"{first}:ranks"
        when = (await self._ask_one(first, "GET", first) or b"")[FINGERPRINT_BYTES : FINGERPRINT_BYTES + TIME_DIGITS]
        words = when + b"".join(b" %d" % count for count in counts)
        for condition in ("NX", "XX"):  # what is there may be of a submit before that the key was used for
            await self._ask_one(kept, "SET", kept, words, "EX", KEY_SECONDS, condition)
            found: bytes = await self._ask_one(kept, "GET", kept) or words
            if found.startswith(when):
                break
        return [int(count) for count in found[len(when) :].split()]

    async def _submit_batch(
        self, board: Board, batch: Sequence[Submission | Refusal], key: IdempotencyKey | None
    ) -> SubmitResult:
        """Submit to each partition what is its own; what is refused has its place in the whole batch."""
        shares: dict[int, list[int]] = {}
        for index, entry in enumerate(batch):
            if isinstance(entry, Submission):
                shares.setdefault(partition_of(entry.name, board.definition.partitions), []).append(index)
        if key is not None:
            await self._claim(board, key)
        acts = (
            self._at(board, at, self._store.submit, [batch[each] for each in share], key)
            for at, share in shares.items()
        )
        answers = await asyncio.gather(*acts, return_exceptions=True)
        refused = [entry for entry in batch if isinstance(entry, Refusal)]
        for share, answer in zip(shares.values(), answers, strict=True):
            if isinstance(answer, SubmitResult):
                refused += [structs.replace(each, index=share[each.index]) for each in answer.refusals]
        _check(answers, may_send_again=key is not None or not board.definition.operator_rules.adds)
        return SubmitResult(sorted(refused, key=lambda each: each.index))

    async def _claim(self, board: Board, key: IdempotencyKey) -> None:
        """Keep what a key came with in a partition that follows from the key alone: another batch has other names."""
        claim = IdempotencyKey(bytes(each ^ 0xFF for each in key.key), key.fingerprint)
        await self._at(board, crc32(key.key) % board.definition.partitions, self._store.submit, [], claim)

    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:
        """Return what any partition knows: of a submit of one name it is that of the name."""
        found = await self._all(board, self._store.recall, idempotency_key)
        return next((each for each in found if each is not None), None)

    async def drop(self, board: Board) -> bool:
        return any(await self._all(board, self._store.drop))

    # Reads of several partitions

    async def count(self, board: Board) -> int:
        return sum(await self._count(board))

    async def place(self, board: Board, score: Score) -> Place:
        better, counts = await asyncio.gather(self._split_at(board, score, BETTER), self._count(board))
        return Place(sum(better), sum(better), sum(counts))

    async def page(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> list[Ranked]:
        return await self._rank(board, await self._entries_at(board, start, stop - start), start, with_metadata)

    async def around(self, board: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked] | None:
        own = await self._home(board, name, self._store.entries_named, [name])
        if not own:
            return None
        split = await self._split_at(board, own[0].score, f"<{name}")
        before, behind = await asyncio.gather(
            self._merge(board, split, span, backwards=True), self._merge(board, split, span + 1)
        )
        return await self._rank(board, before + behind, sum(split) - len(before), with_metadata)

    async def entries_named(self, board: Board, names: Sequence[str], *, with_metadata: bool = False) -> list[Ranked]:
        homes: dict[int, list[str]] = {}
        for name in names:
            homes.setdefault(partition_of(name, board.definition.partitions), []).append(name)
        read = partial(self._store.entries_named, with_metadata=with_metadata)
        own = await asyncio.gather(*(self._at(board, at, read, some) for at, some in homes.items()))
        entries = sorted(chain(*own), key=_place_of, reverse=board.definition.order == "descending")
        counts = await self._count_before(board, [_point(board, each.score, each.name) for each in entries])
        ranks = map(sum, zip(*counts, strict=True))
        return [structs.replace(entry, rank=rank) for entry, rank in zip(entries, ranks, strict=True)]

    async def entries_between_scores(
        self, board: Board, low: Score, high: Score, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        split = await self._split_at(board, high if board.definition.order == "descending" else low, BETTER)
        found = [entry for entry in await self._merge(board, split, limit) if low <= entry.score <= high]
        return await self._rank(board, found, sum(split), with_metadata)

    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        split = await self._split_at(board, entry.score, f"={entry.name}")
        return await self._rank(board, await self._merge(board, split, limit), sum(split), with_metadata)

    async def summary(self, board: Board) -> Summary:
        count = await self.count(board)
        places = [0, count - 1, *(count * (100 - percent) // 100 for percent in PERCENTILES)] if count else []
        found = await asyncio.gather(*(self._entries_at(board, place, 1) for place in places))
        scores = [entry.score for each in found for entry in each]
        if not scores or len(scores) < len(places):  # of an empty board, or one that others have just emptied
            return summarize(0, [], [], [])
        edges = edges_between(scores[0], scores[1])
        words = [[write_score(edge) for edge in edges[:-1]]]
        counts = await self._ask(board, range(board.definition.partitions), "least", words)
        return summarize(count, scores, edges, [sum(each) for each in zip(*counts, strict=True)])

    async def held(self, board: Board, after: Ranked | None = None, limit: int | None = None) -> list[Ranked]:
        found = await self._all(board, self._store.held, after, limit)
        return sorted(chain(*found), key=_place_of, reverse=board.definition.order == "descending")[:limit]

    async def hidden(
        self, board: Board, after: str = "", limit: int | None = None, *, with_metadata: bool = False
    ) -> list[HiddenName]:
        found = await self._all(board, self._store.hidden, after, limit, with_metadata=with_metadata)
        return sorted(chain(*found), key=lambda each: each.name.encode())[:limit]

    async def periods(
        self, board: Board, ranges: Sequence[PeriodRange] | None = None, limit: int | None = None
    ) -> list[Period]:
        counts: dict[tuple[str, str], int] = {}
        for each in chain(*await self._all(board, self._store.periods, ranges, limit)):
            counts[each.window, each.period] = counts.get((each.window, each.period), 0) + each.count
        order = {each.window: at for at, each in enumerate(ranges or ())}
        names = sorted(counts, key=lambda each: (order.get(each[0], 0), *each))
        return [Period(*name, counts[name]) for name in names][:limit]

    # Counts, splits and merges

    async def _count(self, board: Board) -> list[int]:
        parts = range(board.definition.partitions)
        return await self._ask(board, parts, "count", []) if board.visible else [0] * len(parts)

    async def _count_before(
        self, board: Board, points: Sequence[Point], parts: Sequence[int] | None = None
    ) -> list[list[int]]:
        """Return for each of these partitions, or all, how many of its entries come before each point."""
        which = range(board.definition.partitions) if parts is None else parts
        if not (board.visible and points):
            return [[0] * len(points)] * len(which)
        return await self._ask(
            board, which, "before", [[word for score, name in points for word in (write_score(score), name)]]
        )

    async def _split_at(self, board: Board, score: Score, name: str) -> list[int]:
        """Return the split at a score and a name."""
        return [count for (count,) in await self._count_before(board, [(score, name)])]

    async def _read(self, board: Board, spans: Sequence[tuple[int, int]]) -> list[list[Ranked]]:
        """Return the entries of each partition from one place in it up to another; an empty span asks for nothing."""
        wanted = [at for at, (start, stop) in enumerate(spans) if start < stop]
        found: list[list[Ranked]] = [[] for _ in spans]
        if board.visible and wanted:
            rows = await self._ask(board, wanted, "entries", [spans[at] for at in wanted])
            for at, each in zip(wanted, rows, strict=True):
                found[at] = each
        return found

    async def _merge(self, board: Board, split: Sequence[int], count: int, *, backwards: bool = False) -> list[Ranked]:
        """Return the next ``count`` entries behind a split, or those before it, in the board's order."""
        is_reversed = (board.definition.order == "descending") != backwards
        read: list[dict[str, Ranked]] = [{} for _ in split]  # by name: who rises meanwhile may be met again
        done, size = [0] * len(split), _share(count, len(split))
        short, whole = set(range(len(split))) if count else set(), set()
        rows: list[tuple[tuple[Score, bytes], int, Ranked]] = []
        while short:
            spans = [
                (max(0, place - past - size), place - past) if backwards else (place + past, place + past + size)
                for place, past in zip(split, done, strict=True)
            ]
            found = await self._read(board, [span if at in short else (0, 0) for at, span in enumerate(spans)])
            for at in short:
                done[at] += size
                read[at] |= {entry.name: entry for entry in (reversed(found[at]) if backwards else found[at])}
                if len(found[at]) < size:
                    whole.add(at)
            rows = sorted(
                ((_place_of(entry), at, entry) for at, each in enumerate(read) for entry in each.values()),
                key=lambda row: row[0],
                reverse=is_reversed,
            )
            last = {at: place for place, (_, at, _) in enumerate(rows, 1)}
            short = {at for at in range(len(split)) if at not in whole and last[at] < count}
            size *= 2
        entries = [entry for _, _, entry in rows[:count]]
        return entries[::-1] if backwards else entries

    async def _entries_at(self, board: Board, start: int, count: int) -> list[Ranked]:
        """Return the entries at these places of the board."""
        split = [0] * board.definition.partitions
        if start > READ_AT_ONCE:
            counts = await self._count(board)
            if start >= sum(counts):
                return []
            split = await self._find_split(board, counts, start)
        skipped = start - sum(split)
        return (await self._merge(board, split, skipped + max(0, count)))[skipped:]

    async def _find_split(self, board: Board, high: list[int], start: int) -> list[int]:
        """Return a split with at most ``start`` entries before it, and so few less that they can be read."""
        low, rounds = [0] * len(high), 0
        while (left := start - sum(low)) > READ_AT_ONCE:
            sizes = [most - least for least, most in zip(low, high, strict=True)]
            if sum(sizes) < left:  # others have removed what was counted
                break
            aim = max(0, left - 2 * isqrt(left * len(high))) if rounds < SKEWED else sum(sizes) // 2
            places = [least + size * aim // sum(sizes) for least, size in zip(low, sizes, strict=True)]
            places = [min(place, most - 1) for place, most in zip(places, high, strict=True)]
            shown = await self._read(board, [(at, at + (size > 0)) for at, size in zip(places, sizes, strict=True)])
            pivots = [(each[0], size) for each, size in zip(shown, sizes, strict=True) if each]
            if not pivots:
                break
            pivot = _median(pivots, is_descending=board.definition.order == "descending")
            split = await self._split_at(board, pivot.score, f"={pivot.name}")
            split = [min(max(place, least), most) for place, least, most in zip(split, low, high, strict=True)]
            if sum(split) <= start:
                low = split
            else:  # the pivot itself is behind
                own = partition_of(pivot.name, len(high))
                high = [
                    max(least, place - (at == own)) for at, (place, least) in enumerate(zip(split, low, strict=True))
                ]
            rounds += 1
        return low

    async def _rank(self, board: Board, entries: list[Ranked], start: int, with_metadata: bool) -> list[Ranked]:  # noqa: FBT001
        """Return entries that stand from a place on, with their ranks."""
        is_ordinal, rank, score = board.definition.ranking == "ordinal", start, None
        if entries and start and not is_ordinal:
            score = entries[0].score
            rank = sum(await self._split_at(board, score, BETTER))
        ranked = []
        for place, entry in enumerate(entries, start):
            if is_ordinal or entry.score != score:
                rank, score = place, entry.score
            ranked.append(structs.replace(entry, rank=rank, metadata=entry.metadata if with_metadata else None))
        return ranked


def _share(count: int, partitions: int) -> int:
    """Return how many of the next entries of a board are asked of each partition: seldom fewer than it has of them."""
    even = -(-count // partitions)
    return min(count, even + 3 * isqrt(even) + 1)


def _others(board: Board, name: str) -> list[int]:
    """Return the partitions in which a name is not."""
    count = board.definition.partitions
    own = partition_of(name, count)
    return [at for at in range(count) if at != own]


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


def _check(answers: Sequence[object], *, may_send_again: bool) -> None:
    """Raise what a partition raised; if others have kept what is added, say that it must not be sent again."""
    errors = [each for each in answers if isinstance(each, BaseException)]
    if errors:
        error = next((each for each in errors if isinstance(each, AnswerLost)), errors[0])
        if not may_send_again and len(errors) < len(answers) and isinstance(error, StoreUnavailable):
            raise SumUncertain(str(error)) from error
        raise error
