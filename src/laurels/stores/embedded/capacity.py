"""How much a store may hold, as its operator has decided, and what is on its way into it.

**Before it is recorded** a write is looked at, and refused with StoreFull if it would add more than there is room for.
What is in the journal is never refused for a limit: a restart under other settings comes to the same state.

**Under way** are writes that are not applied yet. What they will add has a *claim*, so that those that come at once do
not all find the same room. A claim is shared by the writes that add the same thing, and given up when they are applied,
or have failed. A name that is being removed counts as new, because it will be gone when it is submitted.

**Far from the limits** nothing is counted: of a batch, UNCHECKED_BYTES go unchecked if all that they may add
(UNCHECKED) fits by far. A submit pays for that with a comparison that it makes anyway.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

from msgspec import Struct

from laurels.definition import WINDOWS
from laurels.errors import StoreFull
from laurels.limits import BATCH_ENTRIES, MIB, Limit
from laurels.stores.contract import FullSubmission, Refusal, Submission, key_of
from laurels.stores.embedded.guard import held_key
from laurels.stores.embedded.records import (
    Define,
    Drop,
    Put,
    PutMany,
    Record,
    Release,
    Remove,
    Submit,
    SubmitMany,
    fed_keys,
)
from laurels.stores.embedded.state import EMPTY_INDEX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from laurels.ranking import Index
    from laurels.stores.contract import Board, Feed, Score
    from laurels.stores.embedded.state import State

UNCHECKED_BYTES = 64 * 2**10
SHORTEST_RECORD, SHORTEST_FEED = 15, 10
"""The bytes of the shortest record that adds a board, and of what it has for each period that it feeds."""
_RECORDS = UNCHECKED_BYTES // SHORTEST_RECORD
UNCHECKED = {
    "boards": _RECORDS + 1,
    "periods": UNCHECKED_BYTES // SHORTEST_FEED + WINDOWS,
    "entries": (_RECORDS + BATCH_ENTRIES) * (1 + WINDOWS),
}
"""How much so many bytes of records add at most, the last of which may begin just before their end."""
FORGOTTEN_AT_ONCE = 1000
"""How many of the oldest runs are looked at if there is no room for another."""
FAR = 4
"""So many times that must fit beside all that is under way, so that no room is held for what does not come."""

_log = logging.getLogger("laurels.stores")


class StoreLimits(Struct, frozen=True):
    """How much a store may hold. Nothing that it holds already is refused or removed for them."""

    boards: Annotated[int, Limit("How many boards the embedded store may hold; a new one beyond gets a 507.")] = 100_000
    """Those that have entries or a definition of their own: about a kilobyte of memory each."""
    periods: Annotated[int, Limit("How many periods of windows it may hold, those of all boards together.")] = 1_000_000
    """Those that have entries: about a kilobyte of memory each."""
    entries: Annotated[int, Limit("How many entries it may hold, on all boards and in all periods.")] = 50_000_000
    """50 to 100 bytes of memory each."""
    hidden: Annotated[int, Limit("How many names may be hidden, those of all boards together.")] = 100_000
    """About a hundred bytes of memory each, and up to a kilobyte for each board that has some."""
    runs: Annotated[int, Limit("How many used runs it may remember at a time.")] = 1_000_000
    """Until they would be too late anyway: some 200 bytes of memory each."""
    keys: Annotated[int, Limit("How many idempotency keys it may remember at a time.")] = 10_000_000
    waiting_changes: Annotated[
        int, Limit("Changes that may wait for the disk; further ones get a 503.", "bytes", MIB)
    ] = 16 * MIB
    waiting_reads: Annotated[
        int, Limit("How many entries' metadata may be waited for at a time; further reads of it get a 503.", least=1000)
    ] = 32_768
    """A tenth of a second or two of reading."""


REMEDIES = {
    "boards": "remove boards that nobody needs",
    "periods": "remove past periods, and limit them by keep in the definitions of boards",
    "entries": "remove entries, past periods or boards",
}
"""What can be done instead of raising a limit."""


class Claims(NamedTuple):
    """What a write adds, and what it removes, each once."""

    boards: Collection[str] = ()
    periods: Collection[str] = ()
    """By their keys."""
    entries: Collection[tuple[str, str]] = ()
    """By the key of their board or period, and their name."""
    leaving: Collection[str | tuple[str, str]] = ()
    """Keys, with all their entries, and entries."""


class Both:
    """All entries of a key, those of hidden names among them."""

    def __init__(self, visible: Index, hidden: Index) -> None:
        self._indexes = visible, hidden

    def __len__(self) -> int:
        return sum(map(len, self._indexes))

    def __contains__(self, name: str) -> bool:
        return any(name in index for index in self._indexes)


class Capacity:
    """What a store holds and what is on its way into it, held against its limits."""

    def __init__(self, limits: StoreLimits, state: State) -> None:
        self.limits = limits
        self.exempt: set[str] = set()
        """Boards that may always be defined: those of the deployment's own file."""
        self._state = state
        self._unchecked = self._spare = 0
        self._hiding: set[tuple[str, str]] = set()
        self._using: Counter[bytes] = Counter()
        self._claimed = tuple(Counter[Any]() for _ in Claims._fields)
        for what, held in self.held().items():
            if held > (limit := getattr(limits, what)):
                _log.warning("There are %d %s, and --max-%s is %d: no more are taken", held, what, what, limit)

    def held(self) -> dict[str, int]:
        """Return how much the store holds."""
        state = self._state
        return {"boards": state.board_count, "periods": state.period_count, "entries": state.entry_count}

    def _room(self) -> dict[str, int]:
        """Return how much more it may hold than what it holds and what is under way."""
        claimed = zip(self.held().items(), self._claimed, strict=False)
        return {
            what: getattr(self.limits, what) - held - len(claims) - self._unchecked * UNCHECKED[what]
            for (what, held), claims in claimed
        }

    def begin(self) -> int:
        """Return how many more bytes of a batch may go unchecked, 0 if none; :meth:`end` is to be called for them."""
        # Not each batch looks for room: what was found is used up first, as though all of it came
        if not self._spare:
            room = self._room()
            self._spare = max(0, 1 + min(room[what] // most for what, most in UNCHECKED.items()) - FAR)
        if not self._spare:
            return 0
        self._spare -= 1
        self._unchecked += 1
        return UNCHECKED_BYTES

    def end(self, unchecked_bytes: int) -> None:
        """Hold no more room for what went unchecked: it is applied, or has failed."""
        self._unchecked -= unchecked_bytes // UNCHECKED_BYTES

    @contextmanager
    def hiding(self, board: str, name: str) -> Iterator[None]:
        """Hold room for a name that is being hidden; raise StoreFull if there is none.

        Apart from all other claims, because it is seldom, and the others need not be looked at for it.
        """
        where = board, name
        if where in self._state.hidden:
            yield
            return
        self._hiding.add(where)
        try:
            if self._state.hidden.count + len(self._hiding) > self.limits.hidden:
                raise StoreFull("hidden names", self.limits.hidden, "--max-hidden", "show some of them")
            yield
        finally:
            self._hiding.discard(where)

    @contextmanager
    def using(self, run: bytes, now: int) -> Iterator[None]:
        """Hold room for a run that is being used, at a tick; raise StoreFull if there is none."""
        memory, most = self._state.guard_memory, self.limits.runs - len(self._using)
        if len(memory.runs) >= most:
            memory.forget(now, FORGOTTEN_AT_ONCE)
        if len(memory.runs) >= most and run not in memory.runs:
            raise StoreFull("used runs", self.limits.runs, "--max-runs", "wait until some of them are too old anyway")
        self._using[run] += 1
        try:
            yield
        finally:
            self._using[run] -= 1
            if not self._using[run]:
                del self._using[run]

    def fit(self, board: Board, batch: Sequence[Submission | Refusal]) -> Sequence[Submission | Refusal]:
        """Return a batch with refusals in place of the new entries for which there is no room.

        Raises StoreFull if nothing that could be kept is left.
        """
        keys = self._keys(board.key, board.feeds)
        most = max([len(keys), *(1 + len(each.feeds) for each in batch if isinstance(each, FullSubmission))])
        room = self._room()["entries"] + self._freed(board.name, board.feeds)[1]
        if most * len(batch) <= room:
            return batch
        error, fitted, kept = self._full("entries"), list(batch), 0
        seen = set[tuple[str, str]]()
        for place, entry in enumerate(batch):
            if isinstance(entry, Submission):
                fed = self._keys(board.key, entry.feeds) if isinstance(entry, FullSubmission) else keys
                claims = self._new(board.name, fed, entry.name, entry.score)
                new = {claim for claim in claims if claim not in self._claimed[2]} - seen
                if len(new) > room:
                    fitted[place] = Refusal(place, entry.name, str(error))
                else:
                    room -= len(new)
                    seen |= new
                    kept += 1
        if not kept and fitted != batch:
            raise error
        return fitted

    def claim(self, record: Record) -> Claims:
        """Claim what a record adds until :meth:`release`; raise StoreFull if there is no room for it."""
        freed = 0, 0
        if isinstance(record, Submit | SubmitMany | Put | PutMany | Release):
            feeds = () if isinstance(record, Put | PutMany) else record.feeds
            claims = self._additions(record.board, feeds, _scores_of(record))
            if isinstance(record, SubmitMany) and record.dates:
                claims = self._additions_of(record)
            freed = self._freed(record.board, feeds)
        elif isinstance(record, Define):
            claims = Claims(boards=() if self._is_known(record.board) else (record.board,))
        elif isinstance(record, Remove | Drop):
            claims = Claims(leaving=((record.key, record.name) if isinstance(record, Remove) else record.key,))
        else:
            claims = Claims()
        if any(claims[:3]):
            self._check(claims, (0, *freed))
        for added, claimed in zip(claims, self._claimed, strict=True):
            claimed.update(added)
        return claims

    def _check(self, claims: Claims, freed: Iterable[int]) -> None:
        for (what, room), wanted, claimed, more in zip(
            self._room().items(), claims, self._claimed, freed, strict=False
        ):
            if wanted and sum(each not in claimed for each in wanted) > room + more:
                raise self._full(what)

    def release(self, claims: Claims) -> None:
        """Give claims up: what they were for is applied, or has failed."""
        for wanted, claimed in zip(claims, self._claimed, strict=True):
            for each in wanted:
                claimed[each] -= 1
                if not claimed[each]:
                    del claimed[each]

    def _full(self, what: str) -> StoreFull:
        return StoreFull(what, getattr(self.limits, what), f"--max-{what}", REMEDIES[what])

    def _additions(self, board: str, feeds: Iterable[Feed], sent: Iterable[tuple[str, Score | None]]) -> Claims:
        keys = self._keys(board, feeds)
        new_keys = [key for key, index in keys if not len(index)]
        return Claims(
            boards=[board for key in new_keys if key == board and not self._is_known(board)],
            periods=[key for key in new_keys if key != board],
            entries=list(dict.fromkeys(claim for each in sent for claim in self._new(board, keys, *each))),
        )

    def _additions_of(self, record: SubmitMany) -> Claims:
        """Return what is new of a batch in which some count as of another time."""
        feeds = {date.place: date.feeds for date in record.dates}
        each = [
            self._additions(record.board, feeds.get(place, record.feeds), (each,))
            for place, each in enumerate(_scores_of(record))
        ]
        return Claims(*(list(dict.fromkeys(chain.from_iterable(added))) for added in zip(*each, strict=True)))

    def _is_known(self, board: str) -> bool:
        if board in self._state.declared or board in self.exempt:
            return True
        return len(self._index(board)) > 0 or len(self._index(held_key(board))) > 0

    def _keys(self, board: str, feeds: Iterable[Feed]) -> list[tuple[str, Index | Both]]:
        return [(key, self._index(key)) for key in fed_keys(board, feeds)]

    def _index(self, key: str) -> Index | Both:
        """Return the index of a key, an empty one if it is gone when all that is under way is applied."""
        index: Index | Both = self._state.find(key)
        if hidden := self._state.find_hidden(key):
            index = Both(cast("Index", index), hidden)
        leaving = self._claimed[3]
        if leaving and (key in leaving or key.partition("\n")[0] in leaving or len(index) <= len(leaving)):
            return EMPTY_INDEX
        return index

    def _new(
        self, board: str, keys: Iterable[tuple[str, Index | Both]], name: str, score: Score | None
    ) -> Iterable[tuple[str, str]]:
        """Return the entries that a name would have anew, as it seems now: a held one, if its score is to be held."""
        definition = self._state.definition(board)
        if definition.guard is not None and definition.guard.hold_above is not None and score is not None:
            had = self._state.index_of(board, name).score(name) if definition.operator_rules.adds else 0
            if definition.is_better(score + (had or 0), definition.guard.hold_above):
                keys = [(held_key(board), self._index(held_key(board)))]
        return self._absent(keys, name)

    def _absent(self, keys: Iterable[tuple[str, Index | Both]], name: str) -> Iterable[tuple[str, str]]:
        """Return the entries of a name that would be new."""
        leaving = self._claimed[3]
        for key, index in keys:
            if name not in index or (leaving and ((key, name) in leaving or (key.partition("\n")[0], name) in leaving)):
                yield key, name

    def _freed(self, board: str, feeds: Iterable[Feed]) -> tuple[int, int]:
        """Return how many periods, and entries of them, go because a submit begins later ones."""
        periods = entries = 0
        for feed in feeds if self._state.is_settled else ():
            key = key_of(board, feed.window, feed.period)
            if feed.oldest and key not in self._state and not self._claimed[1][key]:
                there = self._state.periods.get(board, {}).get(feed.window, [])
                past = there[: bisect_left(there, feed.oldest)]
                periods += len(past)
                entries += sum(self._state.size(key_of(board, feed.window, period)) for period in past)
        return periods, entries


def _scores_of(record: Submit | SubmitMany | Put | PutMany | Release) -> list[tuple[str, Score | None]]:
    """Return the names of a record with their scores; None for one that no guard holds back."""
    if isinstance(record, Release) or (isinstance(record, Submit) and record.operator is not None):
        return [(record.name, None)]
    if isinstance(record, Submit | Put):
        return [(record.name, record.score)]
    return list(zip(record.names, record.scores, strict=True))
