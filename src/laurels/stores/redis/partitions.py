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

**Moving.** While entries are moved to another number of partitions, both are there (``relocation.py``): a name is
brought to where it goes to before it is changed, and reads ask those that they come from, then those that they go to.

**Definitions.** Each partition has the definition of its board, of one partition, and the board's own tag says what
holds (``definitions.py``). Who is told of another one there asks the board, and gives the partition that one.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
from functools import lru_cache, partial, wraps
from itertools import accumulate, chain
from math import isqrt
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from zlib import crc32

import msgspec
from msgspec import structs

from laurels.errors import AnswerLost, DefinitionChanged, LaurelsError, StoreError, StoreUnavailable, SumUncertain
from laurels.limits import DEFAULT_SUMMARY_BUCKETS
from laurels.stores.contract import (
    PERCENTILES,
    Board,
    Change,
    Entries,
    Entry,
    FullStanding,
    IdempotencyKey,
    Period,
    Place,
    Ranked,
    Refusal,
    Standing,
    Submission,
    SubmitResult,
)
from laurels.stores.neighbours import places_around
from laurels.stores.redis.details import read_entry
from laurels.stores.redis.keys import partition_name, read_name, read_score, write_score
from laurels.stores.redis.relocation import partition
from laurels.stores.summary import edges_between, places_of, summarize

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from laurels.stores.contract import HiddenName, Percentile, PeriodRange, Score, Store, Summary
    from laurels.stores.redis.definitions import Definitions, Known
    from laurels.stores.redis.relocation import Relocation

    Point = tuple[Score, str | bytes]
    Words = Sequence[Sequence[str | bytes | int]]

T = TypeVar("T")
Method = TypeVar("Method", bound="Callable[..., Any]")
Row: TypeAlias = tuple[float, bytes, bytes, bytes | None]
"""An entry as it is read: its score, its name, its score in digits, and its details if they were asked for."""
_ORDER = itemgetter(0, 1)
_encode = msgspec.json.Encoder().encode
MOST_REPEATED = 20
"""How often an act is done again because definitions have changed meanwhile."""
READ_AT_ONCE = 300
"""Entries that are read and passed over rather than counted."""
SKEWED = 4
"""Rounds after which names are not taken to be spread evenly any more."""
BEFORE = "before"
"""What is asked for how many entries come before points."""
ENTRIES = {"entries", "pairs"}
"""What is asked of each partition for a span of its own, with the details of entries or without."""
LATER = 10
"""After how many seconds what one partition refused may be sent again, if that does not say it."""
BETTER = ""
"""In place of a name: only those with a better score come before it."""


def partition_of(name: str, count: int) -> int:
    """Return in which of so many partitions a name is; any client can compute it."""
    return crc32(name.encode()) % count


@lru_cache(1000)
def names_of(board: str, count: int) -> tuple[str, ...]:
    """Return the names of a board's partitions."""
    return tuple(partition_name(board, at, count) for at in range(count))


def _in_one_layout(read: Method) -> Method:
    """Raise DefinitionChanged if others have moved all entries while a method reads: it would mix both layouts."""

    @wraps(read)
    async def checked(self: Partitions, board: Board, *arguments: Any, **options: Any) -> Any:
        known = self._definitions.of(board.name)
        try:
            return await read(self, board, *arguments, **options)
        finally:
            if not self._definitions.of(board.name).has_layout_of(known):
                raise DefinitionChanged(board.name)

    return cast("Method", checked)


class Partitions:
    """The boards of a store that have several partitions; ``ask`` asks several of these the same."""

    def __init__(
        self,
        store: Store,
        ask: Callable[[Board, Sequence[str], str, Words], Awaitable[list[Any]]],
        definitions: Definitions,
        relocation: Relocation,
        read_run: Callable[[Board, Submission], Awaitable[bytes | None]],
    ) -> None:
        self._read_run = read_run
        self._store = store
        self._ask_parts = ask
        self._definitions = definitions
        self._relocation = relocation

    # Where entries are: while they are moved, the partitions that they come from are counted first, then those that
    # they go to, and they are asked in this order. So no entry is missed, and one that is met twice is the same.

    def _source(self, board: Board) -> int:
        """Return how many partitions entries come from; raise DefinitionChanged if the caller does not know of that."""
        known = self._definitions.of(board.name)
        if known.source and known.definition != board.definition:
            raise DefinitionChanged(board.name)
        return known.source

    def _part(self, board: Board, at: int) -> Board:
        source = self._source(board)
        return partition(board, at, source) if at < source else partition(board, at - source)

    def _parts(self, board: Board) -> range:
        return range(self._source(board) + board.definition.partitions)

    def _home_of(self, board: Board, name: str | bytes) -> Board:
        """Return the partition in which a name is, or will be."""
        return partition(board, _number(name) % board.definition.partitions)

    # Acts on one partition, and on several

    async def _at(self, board: Board, at: int, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        """Act on a partition, once that is as its board says; those that entries come from are counted first."""
        return await self._on(board, self._part(board, at), act, *arguments, **options)

    async def _on(
        self, board: Board, part: Board, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any
    ) -> T:
        """Act on a partition, once that is as its board says."""
        return await self._repeat(board, [part.name], partial(act, part, *arguments, **options))

    async def _repeat(self, board: Board, names: Sequence[str], act: Callable[[], Awaitable[T]]) -> T:
        known = self._definitions.of(board.name)
        for _ in range(MOST_REPEATED):
            try:
                return await act()
            except DefinitionChanged:
                await self._definitions.follow(board.name, board.definition, known, names)
        raise StoreUnavailable("The definition of the board changes all the time")

    async def _home(
        self, board: Board, name: str, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any
    ) -> T:
        """Act on the partition of a name, once the name is there."""
        await self._bring(board, [name])
        return await self._on(board, self._home_of(board, name), act, *arguments, **options)

    async def _bring(self, board: Board, names: Sequence[str]) -> None:
        """Have names be where they belong, so that they can be changed there."""
        source = self._source(board)
        if source:
            shares: dict[int, list[str]] = {}
            for name in names:
                shares.setdefault(partition_of(name, source), []).append(name)
            acts = (self._relocation.bring(self._on, board, at, source, "named", *some) for at, some in shares.items())
            await asyncio.gather(*acts)

    async def _carry(self, board: Board, name: str | bytes, *ends: str) -> None:
        """Have the partition of a name know what was kept under keys when the board had another number of them."""
        home = self._home_of(board, name)
        for count in _counts_before(self._definitions.of(board.name)):
            there = partition(board, _number(name) % count, count)
            if there.name != home.name:
                await self._relocation.carry(there, home, ends)

    async def _carry_used(self, board: Board, submission: Submission, key: IdempotencyKey | None) -> None:
        """Have the partition of a name know its idempotency key and its run, if they were used before."""
        if _counts_before(self._definitions.of(board.name)):
            run = await self._read_run(board, submission)
            ends = [] if run is None else [f":run:{run.hex()}"]
            ends += [] if key is None else [f":key:{key.key.hex()}", f":key:{key.key.hex()}:ranks"]
            await self._carry(board, submission.name, *ends)

    async def _find(
        self, board: Board, name: str, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any
    ) -> tuple[int, T]:
        """Read what there is of a name, and say in which partition; where it goes to has the last word."""
        source = self._source(board)
        home = source + partition_of(name, board.definition.partitions)
        if not source:
            return home, await self._at(board, home, act, *arguments, **options)
        there = await self._at(board, partition_of(name, source), act, *arguments, **options)
        here = await self._at(board, home, act, *arguments, **options)
        return (home, here) if here or not there else (partition_of(name, source), there)

    async def _all(self, board: Board, act: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> list[T]:
        source, every = self._source(board), self._parts(board)
        found: list[T] = []
        for parts in (every[:source], every[source:]):
            found += await asyncio.gather(*(self._at(board, at, act, *arguments, **options) for at in parts))
        return found

    async def _ask(self, board: Board, parts: Sequence[int], kind: str, words: Words) -> list[Any]:
        source = self._source(board)
        names = [*names_of(board.name, source), *names_of(board.name, board.definition.partitions)]
        split = sum(at < source for at in parts)
        found: list[Any] = []
        for some in (range(split), range(split, len(parts))):
            if some:
                asked = [names[parts[place]] for place in some]
                own = [words[place] for place in some] if kind in ENTRIES else words
                found += await self._repeat(board, asked, partial(self._ask_parts, board, asked, kind, own))
        return found

    # What concerns one name

    async def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> bool:
        return await self._home(board, name, self._store.set_metadata, name, metadata)

    async def remove(self, board: Board, name: str) -> bool:
        return await self._home(board, name, self._store.remove, name)

    async def hide(self, board: Board, name: str) -> bool:
        return await self._home(board, name, self._store.hide, name)

    async def show(self, board: Board, name: str) -> bool:
        return await self._home(board, name, self._store.show, name)

    @_in_one_layout
    async def held_entry(self, board: Board, name: str, *, with_metadata: bool = False) -> Ranked | None:
        _, found = await self._find(board, name, self._store.held_entry, name, with_metadata=with_metadata)
        return found

    async def release(self, board: Board, held: Ranked) -> bool:
        return await self._home(board, held.name, self._store.release, held)

    async def reject(self, board: Board, name: str) -> bool:
        return await self._home(board, name, self._store.reject, name)

    @_in_one_layout
    async def standing(self, board: Board, name: str) -> Standing | None:
        own, found = await self._find(board, name, self._store.standing, name)
        return await self._rank_standing(board, name, found, self._others(board, own))

    @_in_one_layout
    async def standing_in_full(
        self,
        board: Board,
        name: str,
        periods: Sequence[Board] = (),
        *,
        with_metadata: bool = False,
        with_held: bool = False,
    ) -> FullStanding:
        read = partial(self._standing_in_full, periods=periods, with_metadata=with_metadata)
        (own, found), total = await asyncio.gather(self._find(board, name, read, name), self.count(board))
        held = await self.held_entry(board, name) if with_held else None
        if found is None:
            return FullStanding(total=total, windows=[None] * len(periods), held=held)
        others = self._others(board, own)
        windows = [
            await self._rank_standing(period, name, standing, others)
            for period, standing in zip(periods, found.windows, strict=True)
        ]
        found = structs.replace(found, total=total, held=held, windows=windows)
        if found.standing is None or found.standing.rank is None:
            return found
        score = found.standing.score
        counts = await self._count_before(board, [(score, f"<{name}"), (score, BETTER)], others)
        place, better = (sum(each) for each in zip(*counts, (found.place, found.better), strict=True))
        rank = place if board.definition.ranking == "ordinal" else better
        return structs.replace(found, standing=Standing(score, rank), place=place, better=better)

    async def _standing_in_full(self, part: Board, name: str, **options: Any) -> FullStanding | None:
        """Return what a partition has of a name, None if that is nothing."""
        found = await self._store.standing_in_full(part, name, **options)
        return found if found.standing or any(found.windows) else None

    async def _rank_standing(
        self, board: Board, name: str, found: Standing | None, others: Sequence[int]
    ) -> Standing | None:
        """Return a standing in the partition of a name with its rank on the board."""
        if found is None or found.rank is None:
            return found
        counts = await self._count_before(board, [_point(board, found.score, name)], others)
        return Standing(found.score, found.rank + sum(count for (count,) in counts))

    def _others(self, board: Board, own: int) -> list[int]:
        """Return all partitions but one."""
        return [at for at in self._parts(board) if at != own]

    async def move(self, board: Board) -> AsyncGenerator[tuple[int, int], None]:
        """Move all that is where it came from; yield how much was moved at once, and how much is left."""
        known = self._definitions.of(board.name)
        for at in range(known.source):
            while some := await self._relocation.bring(self._on, board, at, known.source):
                yield some, sum(await self._ask(board, range(known.source), "count", []))
        await self._definitions.finish(board.name, known)
        yield 0, 0

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
        await self._bring(board, [name])  # nothing is submitted any more where the name was: so what is carried is all
        await self._carry_used(board, submissions, idempotency_key)
        home = self._home_of(board, name)
        result = await self._on(board, home, submit, submissions, idempotency_key, want_changes=want_changes)
        if result is None or not result.changes:
            return result
        return SubmitResult(changes=(await self._rank_change(board, name, result.changes[0], idempotency_key),))

    async def _rank_change(self, board: Board, name: str, change: Change, key: IdempotencyKey | None) -> Change:
        """Return a change with ranks on the board, instead of in the partition of the name; a retry has the first."""
        standings = [change.previous, change.current]
        ranked = [each for each in standings if each is not None and each.rank is not None]
        points = [_point(board, each.score, name) for each in ranked]
        home = self._source(board) + partition_of(name, board.definition.partitions)
        found = list(
            map(
                sum,
                zip(
                    *await self._count_before(board, points, self._others(board, home)),
                    strict=True,
                ),
            )
        )
        if key is not None:
            found = await self._relocation.remember(self._home_of(board, name), key, found)
        counts = iter(found)
        ranks = [
            each if each is None or each.rank is None else Standing(each.score, each.rank + next(counts))
            for each in standings
        ]
        return structs.replace(change, previous=ranks[0], current=ranks[1] or change.current)

    async def _submit_batch(
        self, board: Board, batch: Sequence[Submission | Refusal], key: IdempotencyKey | None
    ) -> SubmitResult:
        """Submit to each partition what is its own; what is refused has its place in the whole batch."""
        shares: dict[int | str, list[int]] = {}
        await self._bring(board, [entry.name for entry in batch if isinstance(entry, Submission)])
        if key is not None:
            await self._claim(board, key)
        done = await self._done_before(board, batch, key)
        for index, entry in enumerate(batch):
            if isinstance(entry, Submission) and entry.name not in done:
                shares.setdefault(partition_of(entry.name, board.definition.partitions), []).append(index)
        acts = (
            self._on(board, partition(board, int(at)), self._store.submit, [batch[each] for each in share], key)
            for at, share in shares.items()
        )
        answers = await asyncio.gather(*acts, return_exceptions=True)
        refused = [entry for entry in batch if isinstance(entry, Refusal)]
        moved = [share for share, answer in zip(shares.values(), answers, strict=True) if _is_changed(answer)]
        if moved and len(moved) < len(answers):  # what was kept must not be sent again, as the whole batch would be
            shares["again"] = again = list(chain(*moved))
            answers.append(await self._submit_again(board, [batch[each] for each in again], key))
            answers = [None if _is_changed(answer) else answer for answer in answers]
        for share, answer in zip(shares.values(), answers, strict=True):
            if isinstance(answer, SubmitResult):
                refused += [structs.replace(each, index=share[each.index]) for each in answer.refusals]
        _check(answers, may_send_again=key is not None or not board.definition.operator_rules.adds)
        return SubmitResult(sorted(refused, key=lambda each: each.index))

    async def _submit_again(
        self, board: Board, batch: Sequence[Submission | Refusal], key: IdempotencyKey | None
    ) -> SubmitResult | BaseException | None:
        """Submit by the definition that the board has got meanwhile; return what that raises."""
        definition = (await self._definitions.learn(board.name)).definition
        try:
            return await self._store.submit(structs.replace(board, definition=definition), batch, key)
        except LaurelsError as error:
            return error

    async def _claim(self, board: Board, key: IdempotencyKey) -> None:
        """Keep what a key came with in a partition that follows from the key alone: another batch has other names."""
        claim = IdempotencyKey(bytes(each ^ 0xFF for each in key.key), key.fingerprint)
        if source := self._source(board):  # nothing is claimed any more where it was
            await self._relocation.bring(self._on, board, _number(key.key) % source, source, "named")
        await self._carry(board, key.key, f":key:{claim.key.hex()}")
        await self._on(board, self._home_of(board, key.key), self._store.submit, [], claim)

    async def _done_before(
        self, board: Board, batch: Sequence[Submission | Refusal], key: IdempotencyKey | None
    ) -> set[str]:
        """Return the names for which the batch was done when the board had another number of partitions."""
        counts = _counts_before(self._definitions.of(board.name))
        names = {entry.name for entry in batch if isinstance(entry, Submission)}
        done: set[str] = set()
        if key is None:
            return done
        for count in counts:
            homes = {partition_of(name, count) for name in names}
            for at in homes:
                if await self._relocation.knows(partition(board, at, count), key):
                    done |= {name for name in names if partition_of(name, count) == at}
        return done

    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:
        """Return what any partition knows: of a submit of one name it is that of the name."""
        found = await self._all(board, self._store.recall, idempotency_key)
        for count in _counts_before(self._definitions.of(board.name)):
            parts = (partition(board, at, count) for at in range(count))
            found += await asyncio.gather(*(self._store.recall(part, idempotency_key) for part in parts))
        return next((each for each in found if each is not None), None)

    async def drop(self, board: Board) -> bool:
        source = self._source(board)
        had = bool(source) and await self.count(board) > 0
        if board.window and source:  # what is copied from now on does not have the period
            await self._all(board, self._store.drop)
        end = self._relocation.hurry if board.window else self._relocation.drop
        for at in range(source):
            await end(self._on, board, at, source)
        return any(await self._all(board, self._store.drop)) or had

    # Reads of several partitions

    @_in_one_layout
    async def count(self, board: Board) -> int:
        return sum(await self._count(board))

    @_in_one_layout
    async def place(self, board: Board, score: Score) -> Place:
        better, counts = await asyncio.gather(self._split_at(board, score, BETTER), self._count(board))
        return Place(sum(better), sum(better), sum(counts))

    @_in_one_layout
    async def page(
        self, board: Board, start: int, stop: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        found = await self._entries_at(board, start, stop - start)
        return await self._rank(board, found, start, with_metadata, with_places)

    @_in_one_layout
    async def page_json(self, board: Board, start: int, stop: int) -> bytes:
        """Return a page without ranks and metadata."""
        rows = await self._rows_at(board, start, stop - start, "pairs")
        return _encode([Entry(read_name(name), read_score(score)) for _, name, score, _ in rows])

    @_in_one_layout
    async def around(  # noqa: PLR0913 - the options of a read
        self,
        board: Board,
        name: str,
        span: int,
        limit: int | None = None,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
    ) -> Entries | None:
        _, own = await self._find(board, name, self._store.entries_named, [name])
        if not own:
            return None
        split = await self._split_at(board, own[0].score, f"<{name}")
        place = sum(split)
        total = place + span + 1 if limit is None else max(place + 1, await self.count(board))
        places = places_around(place, total, span, limit)
        before, behind = await asyncio.gather(
            self._merge(board, split, place - places.start, backwards=True),
            self._merge(board, split, places.stop - place),
        )
        return await self._rank(board, before + behind, place - len(before), with_metadata, with_places)

    @_in_one_layout
    async def entries_named(
        self, board: Board, names: Sequence[str], *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        read = partial(self._store.entries_named, with_metadata=with_metadata)
        own: dict[str, Ranked] = {}
        for homes in self._homes(board, names):
            found = await asyncio.gather(*(self._at(board, at, read, some) for at, some in homes.items()))
            own |= {entry.name: entry for entry in chain(*found)}
        entries = sorted(own.values(), key=_place_of, reverse=board.definition.order == "descending")
        points = [_point(board, each.score, each.name) for each in entries]
        if with_places:
            points += [(each.score, f"<{each.name}") for each in entries]
        counts = list(map(sum, zip(*await self._count_before(board, points), strict=True)))
        ranked = [structs.replace(entry, rank=rank) for entry, rank in zip(entries, counts, strict=False)]
        total = await self.count(board) if with_places else 0
        return Entries(ranked, counts[len(entries) :], total)

    def _homes(self, board: Board, names: Sequence[str]) -> list[dict[int, list[str]]]:
        """Return the partitions of names: those that they come from, then those that they go to."""
        source = self._source(board)
        homes: list[dict[int, list[str]]] = [{}, {}]
        for name in names:
            if source:
                homes[0].setdefault(partition_of(name, source), []).append(name)
            homes[1].setdefault(source + partition_of(name, board.definition.partitions), []).append(name)
        return homes

    @_in_one_layout
    async def entries_between_scores(  # noqa: PLR0913 - the options of a read
        self,
        board: Board,
        low: Score,
        high: Score,
        limit: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
    ) -> Entries:
        split = await self._split_at(board, high if board.definition.order == "descending" else low, BETTER)
        found = [entry for entry in await self._merge(board, split, limit) if low <= entry.score <= high]
        return await self._rank(board, found, sum(split), with_metadata, with_places)

    @_in_one_layout
    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        split = await self._split_at(board, entry.score, f"={entry.name}")
        return await self._rank(board, await self._merge(board, split, limit), sum(split), with_metadata, with_places)

    @_in_one_layout
    async def summary(
        self, board: Board, percentiles: Sequence[Percentile] = PERCENTILES, buckets: int = DEFAULT_SUMMARY_BUCKETS
    ) -> Summary:
        count = await self.count(board)
        places = places_of(percentiles, count)
        found = await asyncio.gather(*(self._entries_at(board, place, 1) for place in places))
        scores = [entry.score for each in found for entry in each]
        if not scores or len(scores) < len(places):  # of an empty board, or one that others have just emptied
            return summarize(0, percentiles, [], [], [])
        edges = edges_between(scores[0], scores[1], buckets)
        words = [[write_score(edge) for edge in edges[:-1]]]
        counts = await self._ask(board, self._parts(board), "least", words)
        return summarize(count, percentiles, scores, edges, [sum(each) for each in zip(*counts, strict=True)])

    @_in_one_layout
    async def held(self, board: Board, after: Ranked | None = None, limit: int | None = None) -> list[Ranked]:
        found = await self._all(board, self._store.held, after, limit)
        once = {entry.name: entry for entry in chain(*found)}
        return sorted(once.values(), key=_place_of, reverse=board.definition.order == "descending")[:limit]

    @_in_one_layout
    async def hidden(
        self, board: Board, after: str = "", limit: int | None = None, *, with_metadata: bool = False
    ) -> list[HiddenName]:
        found = await self._all(board, self._store.hidden, after, limit, with_metadata=with_metadata)
        once = {each.name: each for each in chain(*found)}
        return sorted(once.values(), key=lambda each: each.name.encode())[:limit]

    @_in_one_layout
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
        parts = self._parts(board)
        return await self._ask(board, parts, "count", []) if board.visible else [0] * len(parts)

    async def _count_before(
        self, board: Board, points: Sequence[Point], parts: Sequence[int] | None = None
    ) -> Sequence[Sequence[int]]:
        """Return for each of these partitions, or all, how many of its entries come before each point."""
        which = self._parts(board) if parts is None else parts
        if not (board.visible and points and which):
            return [[0] * len(points)] * len(which)
        return await self._ask(
            board, which, BEFORE, [[word for score, name in points for word in (write_score(score), name)]]
        )

    async def _split_at(self, board: Board, score: Score, name: str | bytes) -> list[int]:
        """Return the split at a score and a name."""
        return [count for (count,) in await self._count_before(board, [(score, name)])]

    async def _read(self, board: Board, spans: Sequence[tuple[int, int]], kind: str) -> list[list[Row]]:
        """Return the entries of each partition from one place in it up to another; an empty span asks for nothing."""
        wanted = [at for at, (start, stop) in enumerate(spans) if start < stop]
        found: list[list[Row]] = [[] for _ in spans]
        if board.visible and wanted:
            rows = await self._ask(board, wanted, kind, [spans[at] for at in wanted])
            for at, each in zip(wanted, rows, strict=True):
                fields = iter(each)
                found[at] = [
                    (float(score), name, score, next(fields)) for name, score in zip(fields, fields, strict=False)
                ]
        return found

    async def _merge(self, board: Board, split: Sequence[int], count: int, *, backwards: bool = False) -> list[Ranked]:
        """Return the next ``count`` entries behind a split, or those before it, in the board's order."""
        return list(map(_ranked, await self._merge_rows(board, split, count, "entries", backwards=backwards)))

    async def _merge_rows(
        self, board: Board, split: Sequence[int], count: int, kind: str, *, backwards: bool = False
    ) -> list[Row]:
        is_reversed = (board.definition.order == "descending") != backwards
        read: list[dict[bytes, Row]] = [{} for _ in split]  # by name: who rises meanwhile may be met again
        done, size = [0] * len(split), _share(count, len(split))
        short, whole = set(range(len(split))) if count else set(), set()
        rows: list[Row] = []
        while short:
            spans = [
                (max(0, place - past - size), place - past) if backwards else (place + past, place + past + size)
                for place, past in zip(split, done, strict=True)
            ]
            found = await self._read(board, [span if at in short else (0, 0) for at, span in enumerate(spans)], kind)
            for at in short:
                done[at] += size
                read[at] |= {row[1]: row for row in (reversed(found[at]) if backwards else found[at])}
                if len(found[at]) < size:
                    whole.add(at)
            once = {name: row for each in read for name, row in each.items()}
            rows = sorted(once.values(), key=_ORDER, reverse=is_reversed)
            if len(rows) >= count:  # who has read as far as the last of them has no more before it
                last = _ORDER(rows[count - 1])
                reached = (next(reversed(each.values())) if each else None for each in read)
                behind = {at for at, row in enumerate(reached) if row and is_before(_ORDER(row), last, is_reversed)}
                short = behind - whole
            else:
                short = set(range(len(split))) - whole
            size *= 2
        return rows[count - 1 :: -1] if backwards else rows[:count]

    async def _entries_at(self, board: Board, start: int, count: int) -> list[Ranked]:
        """Return the entries at these places of the board."""
        return list(map(_ranked, await self._rows_at(board, start, count, "entries")))

    async def _rows_at(self, board: Board, start: int, count: int, kind: str) -> list[Row]:
        split = [0] * len(self._parts(board))
        if start > READ_AT_ONCE:
            counts = await self._count(board)
            if start >= sum(counts):
                return []
            split = await self._find_split(board, counts, start)
        skipped = start - sum(split)
        return (await self._merge_rows(board, split, skipped + max(0, count), kind))[skipped:]

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
            spans = [(at, at + (size > 0)) for at, size in zip(places, sizes, strict=True)]
            shown = await self._read(board, spans, "pairs")
            pivots = [(each[0], size) for each, size in zip(shown, sizes, strict=True) if each]
            if not pivots:
                break
            pivot = _median(pivots, is_descending=board.definition.order == "descending")
            split = await self._split_at(board, pivot[0], b"=" + pivot[1])
            split = [min(max(place, least), most) for place, least, most in zip(split, low, high, strict=True)]
            if sum(split) <= start:
                low = split
            else:  # the pivot itself is behind
                own = next(at for at, each in enumerate(shown) if each and each[0] is pivot)
                high = [
                    max(least, place - (at == own)) for at, (place, least) in enumerate(zip(split, low, strict=True))
                ]
            rounds += 1
        return low

    async def _rank(
        self,
        board: Board,
        entries: list[Ranked],
        start: int,
        with_metadata: bool,  # noqa: FBT001
        with_places: bool,  # noqa: FBT001
    ) -> Entries:
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
        total = await self.count(board) if with_places else 0
        return Entries(ranked, range(start, start + len(ranked)), total)


def _share(count: int, partitions: int) -> int:
    """Return how many of the next entries of a board are asked of each partition: seldom fewer than it has of them."""
    even = -(-count // partitions)
    return min(count, even + 3 * isqrt(even) + 1)


def _counts_before(known: Known) -> list[int]:
    """Return how many partitions a board had before, the last number first."""
    return list(dict.fromkeys([known.source, *known.earlier] if known.source else known.earlier))


def _number(name: str | bytes) -> int:
    return crc32(name.encode() if isinstance(name, str) else name)


def is_before(row: tuple[float, bytes], other: tuple[float, bytes], is_reversed: bool) -> bool:  # noqa: FBT001
    """Return whether an entry comes before another, as they are read."""
    return row > other if is_reversed else row < other


def _ranked(row: Row) -> Ranked:
    _, name, score, details = row
    return read_entry([name, score, 0, details], with_metadata=True)


def _point(board: Board, score: Score, name: str) -> Point:
    """Return what comes before an entry, as the board ranks."""
    return score, f"<{name}" if board.definition.ranking == "ordinal" else BETTER


def _place_of(entry: Ranked) -> tuple[Score, bytes]:
    return entry.score, entry.name.encode()


def _median(pivots: list[tuple[Row, int]], *, is_descending: bool) -> Row:
    """Return the entry behind which as many others are as before it, each standing for so many."""
    pivots = sorted(pivots, key=lambda each: _ORDER(each[0]), reverse=is_descending)
    half = sum(size for _, size in pivots) / 2
    sums = accumulate(size for _, size in pivots)
    return next(row for (row, _), total in zip(pivots, sums, strict=True) if total >= half)


def _is_changed(answer: object) -> bool:
    return isinstance(answer, DefinitionChanged)


def _check(answers: Sequence[object], *, may_send_again: bool) -> None:
    """Raise what a partition raised; if others have kept their share, say that, and whether it may be sent again."""
    errors = [each for each in answers if isinstance(each, BaseException)]
    if errors:
        error = next((each for each in errors if isinstance(each, AnswerLost)), errors[0])
        if len(errors) < len(answers) and isinstance(error, StoreError) and not isinstance(error, AnswerLost):
            lost = AnswerLost if may_send_again else SumUncertain
            problem, seconds = getattr(error, "problem", str(error)), getattr(error, "retry_after", LATER)
            raise lost(f"A part of the batch was not kept: {problem}", retry_after=seconds) from error
        raise error
