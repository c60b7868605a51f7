"""What the embedded store has in memory: the boards' entries, and what decides about them.

**Deterministic.** A state is changed by records alone (:mod:`laurels.stores.embedded.records`), one after the other,
and each change is decided by the state and the record, never by a clock, a definition or a name that only the caller
knows. So the server, a restart and a compaction, which apply the same records, come to the same state and the same
refusals.

**Keys.** Entries are kept by key: that of a board is its name, that of a period begins with the name of its board. A
key is there while it has entries; the periods of a board never hold a name that the board does not.

**Hidden names** (:mod:`laurels.stores.embedded.hidden`) have their entries of a key in an index beside that of the
key, which is there as long as either has entries. In every key a name has one entry at most, here or there.

**Sequences.** Every write takes one, whether or not it counts: the *tick* of its batch (:meth:`State.advance`) or the
first after the one before, shifted by a bit that says whether it has metadata. So sequences grow in the order in which
submissions were kept, and no two submissions have the same. Journals of the first format know no time: until it is
known, all sequences are 0.

**Time** is not the order: what the clock showed at a tick is for :mod:`laurels.stores.embedded.offsets` to say.

**Time to live.** Only :meth:`State.advance` looks which boards have ended (:mod:`laurels.stores.embedded.ends`), with
the time at which a batch was written: a board is gone for all of a batch or for none of it. Nothing ends in a batch
whose clock was not settled (:mod:`laurels.clock`), nor does a period go that is not kept.

**In portions.** What would take long is begun when its record is applied, and is *unfinished* until :meth:`State.work`
has taken its steps; no other record may be applied before. Whatever is to be gone cannot be found from the first step
on: a board is not found, and :meth:`State.find` finds no periods of a board that is not.

**Short ways.** Records of the most common submits change their index themselves (``Put.apply``, ``Submit.apply``), as
:meth:`State.submit` would, unless :attr:`State.submits_do_more`. Whatever else a submit is ever to do must set that,
too: the short ways would leave it out.

**In a compaction** most keys stay on disk: their index is ON_DISK, which only says that they are there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from laurels.clock import SECOND
from laurels.definition import OPERATORS, Stored, contradiction
from laurels.errors import DefinitionConflict, ScoreRefused, TooManyRequests
from laurels.ranking import Index, add_scores
from laurels.stores.contract import key_of
from laurels.stores.embedded.ends import Ends
from laurels.stores.embedded.guard import HELD, GuardMemory, check_step, held_key, is_held_key
from laurels.stores.embedded.hidden import Hidden, add_row
from laurels.stores.embedded.offsets import Offsets
from laurels.stores.embedded.stamp import Stamp, replace, tick_of
from laurels.stores.sums import check_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from laurels.definition import Contradiction, Definition, Guard, Operator, OperatorRules, Ranking
    from laurels.ranking.index import Row
    from laurels.stores.contract import Feed, Score
    from laurels.stores.embedded.stamp import Dated

CHUNK_ENTRIES = 4096
"""How many entries are packed into one chunk."""
NOTHING: Mapping[Any, Any] = MappingProxyType({})
ADDED: Literal[2] = 2
"""What :meth:`laurels.ranking.Index.submit` returns for a new name."""
EMPTY_INDEX = Index(stamped=True)
"""The index of every board that does not exist."""
ON_DISK = Index(stamped=True)
"""In a compaction, the index of every board that stays as it is on disk."""


def _make_index(definition: Definition, ranking: Ranking) -> Index:
    return Index(
        descending=definition.order == "descending",
        ties=definition.ties,
        operator=definition.operator,
        ranking=ranking,
        stamped=True,
    )


def packed(index: Index) -> Iterator[bytes]:
    """Yield all entries of an index in chunks, as :meth:`laurels.ranking.Index.load` takes them."""
    return (index.dump(start, start + CHUNK_ENTRIES) for start in range(0, len(index), CHUNK_ENTRIES))


class State(dict[str, Index]):
    """The index of each key that has entries; subscripting makes that of a board or period that has none.

    ``hidden`` has the names that are hidden, and their entries: an index here may be empty if one is there.

    ``default`` is the definition of the boards that are not ``declared``. ``periods`` has for a board the windows that
    have periods, and these from the oldest. ``renewed`` has the tick of the last submit of each board with a time to
    live. ``offsets`` has by how much ticks were ahead of the clock. ``names`` holds the names of all boards, by their
    bytes. ``moved`` has for a key, by name, the sequence under which metadata is kept that is not that of its entry.
    ``entry_count`` and ``period_count`` are how many entries and periods there are. ``lossy_sums`` says that sums may
    lose fractions, as before 0.5. ``submits_do_more`` says that a submit may have more to do than to change an index:
    there was once anything in ``renewed``, ``moved`` or ``hidden``, a guard, or a sum that could be lossy. ``discard``
    is called with each index that goes, and may free it in its time.
    """

    __slots__ = (
        "_ends",
        "_undeclared",
        "declared",
        "default",
        "discard",
        "entry_count",
        "guard_memory",
        "hidden",
        "is_settled",
        "lossy_sums",
        "moved",
        "names",
        "offsets",
        "period_count",
        "periods",
        "renewed",
        "sequence",
        "step",
        "submits_do_more",
        "unfinished",
    )

    def __init__(self, default: Definition) -> None:
        super().__init__()
        self.submits_do_more = False
        self.declare_default(default)
        self.declared: dict[str, Definition] = {}
        self.periods: dict[str, dict[str, list[str]]] = {}
        self.renewed: dict[str, int] = {}
        self.moved: dict[str, dict[str, int]] = {}
        self.hidden = Hidden()
        self.guard_memory = GuardMemory()
        self.names = Index(descending=False)
        self.sequence = 0
        self.step = 0
        self.offsets = Offsets()
        self.is_settled = True
        self.lossy_sums = False
        self.entry_count = self.period_count = self._undeclared = 0
        self.unfinished: deque[Iterator[object]] = deque()
        self.discard: Callable[[Index], object] = len
        self._ends = Ends()

    def __missing__(self, key: str) -> Index:
        definition = self.definition(key.partition("\n")[0])
        return self.begin(key, _make_index(definition, definition.ranking))

    def begin(self, key: str, index: Index) -> Index:
        """Set the index of a key that had none, and return it."""
        board, *period = key.split("\n")
        is_new = not self.is_there(board)
        self[key] = index
        self.entry_count += len(index)
        if is_new and len(period) < 2:  # noqa: PLR2004 - a window and a period
            self._undeclared += board not in self.declared
            self._keep_alive(board, self.sequence >> 1)
        if len(period) > 1:
            insort(self.periods.setdefault(board, {}).setdefault(period[0], []), period[1])
            self.period_count += 1
        elif not period:
            self.names.put(board, 0)
        return index

    def is_there(self, board: str) -> bool:
        """Return whether a board has entries, or held ones."""
        return board in self or held_key(board) in self

    def find(self, key: str) -> Index:
        """Return the index of a key, an empty one if it is not there."""
        if "\n" in key and key.partition("\n")[0] not in self and not is_held_key(key):
            return EMPTY_INDEX
        return self.get(key, EMPTY_INDEX)

    def find_hidden(self, key: str) -> Index:
        """Return the index of the entries that hidden names have under a key, an empty one if there is none."""
        hidden = self.hidden.entries.get(key, EMPTY_INDEX)
        return hidden if key.partition("\n")[0] in self else EMPTY_INDEX

    def index_of(self, key: str, name: str) -> Index:
        """Return the index in which a name is under a key; one without it if it is in neither."""
        hidden = self.hidden.entries.get(key)
        return self.get(key, EMPTY_INDEX) if hidden is None or name not in hidden else hidden

    def size(self, key: str) -> int:
        """Return how many entries there are under a key, those of hidden names included."""
        return len(self.get(key, EMPTY_INDEX)) + len(self.hidden.entries.get(key, EMPTY_INDEX))

    def work(self, steps: int = -1) -> None:
        """Take so many steps of what is unfinished, or all."""
        while self.unfinished and steps:
            steps -= 1
            if next(self.unfinished[0], self) is self:
                self.unfinished.popleft()

    @property
    def board_count(self) -> int:
        """How many boards there are: those that are declared, and those that have entries."""
        return len(self.declared) + self._undeclared

    def definition(self, board: str) -> Definition:
        """Return the definition that a board has, or would have."""
        return self.declared.get(board, self.default)

    def may_refuse(self, board: str) -> bool:
        """Return whether a board may refuse a score for the sum that it would come to."""
        return self.declared.get(board, self.default).operator_rules.may_refuse

    def operator_rules(self, board: str, operator: Operator | None) -> OperatorRules:
        """Return what an operator does, the board's own if there is no other."""
        return OPERATORS[operator or self.declared.get(board, self.default).operator]

    # Time

    @property
    def now(self) -> int:
        """The time of the next write, in microseconds since the epoch, 0 if that is not known."""
        return ((self.sequence + self.step) >> 1) - self.offsets.current

    def resume(self, sequence: int, offsets: Iterable[tuple[int, int]]) -> None:
        """Go on after this sequence, or without time if it is 0."""
        self.sequence = sequence
        self.step = 2 if sequence else 0
        self.offsets = Offsets(offsets)

    def advance(self, tick: int, offset: int = 0, *, is_settled: bool = True) -> None:
        """Set the tick of the next write, which is later than all before, and remove the boards whose time is over."""
        self.sequence = (tick - 1) << 1
        self.step = 2
        self.is_settled = is_settled
        if offset != self.offsets.current:
            self.offsets.add(tick, offset)
            self._await_anew()  # boards may end earlier than it was known before
        now = tick - offset
        if is_settled and self._ends.are_due(now):
            self.unfinished.append(self._end_boards(now))

    def _end_boards(self, now: int) -> Iterator[None]:
        for board in self._ends.take_due(now):
            if board is not None:
                self._end_or_await(board, now)
            yield

    def _end_or_await(self, board: str, now: int) -> None:
        if self.is_over(board, now):
            self.drop(board)
        elif board in self.renewed:
            self._ends.put(board, self._end(board, self.now))

    def stamp(self, *, with_metadata: bool = False) -> int:
        """Return the next sequence."""
        self.sequence += self.step
        return self.sequence | with_metadata

    def is_over(self, board: str, now: int) -> bool:
        """Return whether the time of a board is over at that microsecond of the wall clock."""
        return board in self.renewed and self._end(board, now) <= now

    def _end(self, board: str, now: int) -> int:
        """Return when a board ends, as is known now: later it may be known to be later."""
        return self.offsets.time_of(self.renewed[board], now) + (self.definition(board).ttl_seconds or 0) * SECOND

    def renew(self, board: str) -> None:
        """Count the time of a board, if it has a ttl, from the last submission."""
        if board in self.renewed:
            self.renewed[board] = self.sequence >> 1

    def _keep_alive(self, board: str, since: int) -> None:
        if self.definition(board).ttl_seconds is not None:
            self.restore(board, since)

    def restore(self, board: str, renewed: int) -> None:
        """Count the time of a board from this tick."""
        self.renewed[board] = renewed
        self.submits_do_more = True
        self._ends.put(board, self._end(board, self.now))

    def _await_anew(self) -> None:
        """Leave out the ends of boards that were removed before."""
        now = self.now
        self._ends.put_anew({board: self._end(board, now) for board in self.renewed})

    # Entries

    def submit(self, board: str, feeds: Sequence[Feed], name: str, score: Score, stamp: Stamp) -> int:
        """Submit to a board and the periods it feeds; return whether one changed, or HELD.

        Raises ScoreRefused for a sum, and what a guard refuses it for.
        """
        sequence, _, time, operator, _, tick, is_guarded = stamp
        definition = self.declared.get(board, self.default)
        rules = OPERATORS[operator or definition.operator]
        if rules.may_refuse:
            self._check_sum(board, feeds, name, score)
        if time is not None:
            tick = min(self.offsets.tick_of(time), sequence >> 1)
        if (
            definition.guard
            and is_guarded
            and operator is None
            and self._judge(board, definition, (name, score), stamp)
        ):
            return self._hold(board, (name, score), stamp, tick)
        lossy = self.lossy_sums
        if self.renewed:
            self.renew(board)
        is_hidden = bool(self.hidden.names) and (board, name) in self.hidden
        if tick < 0 and not (feeds or self.moved or sequence & 1 or operator or is_hidden):
            outcome = self[board].submit(name, score, sequence, False, lossy)  # noqa: FBT003
            self.entry_count += outcome == ADDED
            return outcome > 0
        if stamp.equal is not None and (rules.adds or not sequence & 1):
            stamp = stamp._replace(equal=None)
        changed = False
        for key, index in self._fed(board, feeds, hidden=is_hidden):
            changed |= self._submit_to(key, index, (name, score), stamp, tick)
        return changed

    def _judge(self, board: str, definition: Definition, sent: tuple[str, Score], stamp: Stamp) -> bool:
        """Return whether a submit is to be held; raise what the board's guard refuses it for."""
        guard, (name, score), now = cast("Guard", definition.guard), sent, stamp.sequence >> 1
        self.guard_memory.check(board, guard, name, stamp.run, now)
        check_step(definition, guard, self.index_of(board, name).score(name), score)
        adds = definition.operator_rules.adds
        total = self.add(board, name, score) if adds else score
        is_held = guard.hold_above is not None and definition.is_better(total, guard.hold_above)
        if is_held and adds:
            self.add(held_key(board), name, score)  # raises if what is held has no such sum
        self.guard_memory.remember(board, guard, name, stamp.run, now)
        return is_held

    def _hold(self, board: str, sent: tuple[str, Score], stamp: Stamp, tick: int) -> int:
        key = held_key(board)
        index = self[key]
        if self.renewed:
            self.renew(board)
        if stamp.equal is not None and self.definition(board).operator_rules.adds:
            stamp = stamp._replace(equal=None)
        self._submit_to(key, index, sent, stamp, tick)
        return HELD

    def _submit_to(self, key: str, index: Index, sent: tuple[str, Score], stamp: Stamp, tick: int) -> bool:
        """Submit a name and a score to the index of a key, now or as of a tick; return whether that changed it."""
        (name, score), (sequence, equal, *_) = sent, stamp
        if tick >= 0 and (row := index.row(name)) and tick_of(row) > tick:
            return self._submit_older(key, index, score, row, (stamp, tick))
        if equal is not None and index.score(name) == score:
            if self.metadata_of(key, name) in equal:
                return False
            self.set_metadata(key, name, sequence)
        elif outcome := self._submit_now(key, index, sent, stamp, tick):
            self.entry_count += outcome == ADDED
            if self.moved:
                self.forget_moved(key, name)
        else:
            return False
        return True

    def _submit_now(self, key: str, index: Index, sent: tuple[str, Score], stamp: Stamp, tick: int) -> int:
        """Submit a name and a score to an index by its own operator or another; return as it does."""
        (name, score), sequence = sent, stamp.sequence
        if stamp.operator is None:
            return index.submit(name, score, sequence, bool(sequence & 1), self.lossy_sums, tick)
        had = index.score(name)
        if had is not None:
            if stamp.operator == "increment":
                score = add_scores(had, score, self.lossy_sums)
            elif stamp.operator == "best" and not self._is_better(key, score, had):
                return 0
            if score == had and not sequence & 1:
                return 0
        return replace(index, name, score, sequence, tick)

    def _is_better(self, key: str, score: Score, other: Score) -> bool:
        return self.definition(key.partition("\n")[0]).is_better(score, other)

    def _submit_older(self, key: str, index: Index, score: Score, row: Row, dated: tuple[Stamp, int]) -> bool:
        """Submit as of a tick that is before that of an entry, by its row; return whether that changed it."""
        (name, had, _, kept, *_), (stamp, tick) = row, dated
        sequence = stamp.sequence
        operator = stamp.operator or self.definition(key.partition("\n")[0]).operator
        if operator == "increment":  # the sum is another, its time stays that of the last addition
            total = add_scores(had, score, self.lossy_sums)
            replace(index, name, total, kept, tick_of(row))
            return total != had
        if operator == "latest":
            return False
        if score == had:  # it has been there first; without metadata of its own it keeps what there is
            metadata = 0 if sequence & 1 else self.metadata_of(key, name)
            replace(index, name, score, sequence | metadata & 1, tick)
            if metadata:
                self.move(key, name, metadata)
            else:
                self.forget_moved(key, name)
            return True
        if self._is_better(key, score, had):
            replace(index, name, score, sequence, tick)
            self.forget_moved(key, name)
            return True
        return False

    def submit_many(  # noqa: PLR0913 - the parts of a record
        self,
        board: str,
        feeds: Sequence[Feed],
        names: Sequence[str],
        scores: Sequence[Score],
        *,
        with_metadata: Mapping[int, Collection[int] | None] = NOTHING,
        dates: Mapping[int, Dated] = NOTHING,
    ) -> list[tuple[int, str]]:
        """Submit several scores; return the places of the refused, and why.

        ``with_metadata`` has for the places of those that have metadata what is equal to it, and ``dates`` for those
        that count as of another time that time and the periods that they feed.
        """
        hidden = self.hidden.names.get(board, ())
        if not (
            with_metadata
            or dates
            or self.definition(board).operator_rules.may_refuse
            or self.definition(board).guard
            or (hidden and any(name in hidden for name in names))
        ):
            first = self.sequence + self.step
            self.sequence += self.step * len(names)
            self.renew(board)
            for key, index in self._fed(board, feeds):
                before = len(index)
                index.submit_many(names, scores, first)
                self.entry_count += len(index) - before
                if key in self.moved:
                    self._forget_moved_before(first, key, index, names)
            return []
        refused: list[tuple[int, str]] = []
        for place, (name, score) in enumerate(zip(names, scores, strict=True)):
            sequence = self.stamp(with_metadata=place in with_metadata)
            time, fed = (date.time, date.feeds) if (date := dates.get(place)) else (None, feeds)
            try:
                self.submit(board, fed, name, score, Stamp(sequence, with_metadata.get(place), time))
            except (ScoreRefused, TooManyRequests) as error:
                refused.append((place, str(error)))
        return refused

    # Metadata

    def metadata_of(self, key: str, name: str) -> int:
        """Return the sequence under which the metadata of an entry is kept, 0 if it has none."""
        row = self.index_of(key, name).row(name)
        return self.moved.get(key, NOTHING).get(name, row[3]) if row and row[3] & 1 else 0

    def set_metadata(self, key: str, name: str, sequence: int) -> None:
        """Give an entry the metadata that is kept under a sequence, or none if that says so; it keeps its own."""
        self.index_of(key, name).mark(name, bool(sequence & 1))
        if sequence & 1:
            self.move(key, name, sequence)
        else:
            self.forget_moved(key, name)

    def move(self, key: str, name: str, sequence: int) -> None:
        """Let metadata of an entry be that which is kept under another sequence than its own."""
        self.moved.setdefault(key, {})[name] = sequence
        self.submits_do_more = True

    def forget_moved(self, key: str, name: str) -> None:
        """Forget what metadata came to an entry later: the entry is another now, or gone."""
        moved = self.moved.get(key)
        if moved and moved.pop(name, None) and not moved:
            del self.moved[key]

    def _forget_moved_before(self, first: int, key: str, index: Index, names: Sequence[str]) -> None:
        for name in self.moved[key].keys() & set(names):
            row = index.row(name)
            if row and row[3] >= first:
                self.forget_moved(key, name)

    def _fed(self, board: str, feeds: Sequence[Feed], *, hidden: bool = False) -> list[tuple[str, Index]]:
        fed = [(board, self[board])]
        for feed in feeds:
            key = key_of(board, feed.window, feed.period)
            index = self.get(key)
            if index is None:
                index = self[key]
                self._prune(board, feed)
            fed.append((key, index))
        return [(key, self.begin_hidden(key)) for key, _ in fed] if hidden else fed

    def _prune(self, board: str, feed: Feed) -> None:
        periods = self.periods[board][feed.window]
        count = bisect_left(periods, feed.oldest) if self.is_settled else 0
        past = periods[:count]
        del periods[:count]
        for period in past:
            self._take(key_of(board, feed.window, period))

    def _check_sum(self, board: str, feeds: Sequence[Feed], name: str, score: Score) -> None:
        check_sum(self.add(board, name, score), self.definition(board).scores)
        for feed in feeds:
            self.add(key_of(board, feed.window, feed.period), name, score)

    def add(self, key: str, name: str, score: Score) -> Score:
        """Return what a score comes to with that of a name under a key; raise ScoreRefused if there is no such sum."""
        had = self.index_of(key, name).score(name) or 0
        try:  # the kernel alone decides whether there is such a sum
            return add_scores(had, score, self.lossy_sums)
        except OverflowError as error:
            raise ScoreRefused(f"The score is refused: {error}.") from error

    def remove(self, key: str, name: str) -> bool:
        """Remove a name from a board and, in steps, its periods, or from one period; return whether it was there."""
        windows = self.periods.get(key, {})
        found = self._remove(key, name)
        if found and windows:
            keys = (key_of(key, window, period) for window in tuple(windows) for period in tuple(windows[window]))
            self.unfinished.append(self._remove(each, name) for each in keys)
        return self._remove(held_key(key), name) or found

    def _remove(self, key: str, name: str) -> bool:
        if not (self.get(key, EMPTY_INDEX).remove(name) or self.hidden.remove(key, name)):
            return False
        self.entry_count -= 1
        self.forget_moved(key, name)
        if not self.size(key):
            self._forget(key)
        return True

    def drop(self, key: str) -> bool:
        """Remove a board and, in steps, its periods, or one period; return whether it was there."""
        found = [each for each in (held_key(key), key) if each in self]
        for each in found:
            self._forget(each)
        if windows := self.periods.pop(key, None):
            keys = (key_of(key, window, period) for window, periods in windows.items() for period in periods)
            self.unfinished.append(map(self._take, keys))
        return bool(found)

    def keys_of(self, key: str) -> list[str]:
        """Return the key of a board and those of its periods, or that of a period alone."""
        windows = self.periods.get(key, {}).items()
        return [key, *chain(*([key_of(key, window, period) for period in periods] for window, periods in windows))]

    def _take(self, key: str) -> None:
        """Take the indexes of a key away."""
        self.period_count -= "\n" in key and not is_held_key(key)
        self.moved.pop(key, None)
        for index in (self.pop(key), self.hidden.entries.pop(key, None)):
            if index is not None:
                self.entry_count -= len(index)
                self.discard(index)

    def _forget(self, key: str) -> None:
        self._take(key)
        board, *period = key.split("\n")
        if len(period) > 1:
            self._forget_period(board, *period)
            return
        if not period:
            self.names.remove(board)
        if not self.is_there(board):
            self._undeclared -= board not in self.declared
            if self.renewed.pop(board, None) is not None and self._ends.are_many(len(self.renewed)):
                self._await_anew()

    def _forget_period(self, board: str, window: str, period: str) -> None:
        windows = self.periods[board]
        periods = windows[window]
        del periods[bisect_left(periods, period)]
        if not windows[window]:
            del windows[window]
        if not windows:
            del self.periods[board]

    # Hidden names

    def hide(self, board: str, name: str) -> bool:
        """Hide a name on a board and, in steps, in its periods; return whether it was not hidden."""
        self.submits_do_more = True
        is_new = self.hidden.add_name(board, name)
        if is_new:
            self._begin_steps(board, self._move_each(self._hide, board, name))
        return is_new

    def show(self, board: str, name: str) -> bool:
        """Show a hidden name on a board and, in steps, in its periods; return whether it was hidden."""
        was_hidden = (board, name) in self.hidden
        if was_hidden:
            self._begin_steps(board, self._show_each(board, name))
        return was_hidden

    def _begin_steps(self, board: str, steps: Iterator[None]) -> None:
        """Leave a step for each period of a board unfinished, but nothing if it has none."""
        self.unfinished.append(steps)
        if board not in self.periods:
            self.work()

    def _show_each(self, board: str, name: str) -> Iterator[None]:
        yield from self._move_each(self._show, board, name)
        self.hidden.remove_name(board, name)  # last: until then they are found as a hidden name's

    def _move_each(self, move: Callable[[str, str], None], board: str, name: str) -> Iterator[None]:
        move(board, name)
        for window, periods in self.periods.get(board, NOTHING).items():
            for period in periods:
                yield
                move(key_of(board, window, period), name)

    def begin_hidden(self, key: str) -> Index:
        """Return the index of the entries of hidden names under a key, made if there is none."""
        index = self.hidden.entries.get(key)
        if index is None:
            # Nobody has a rank there: what ranks by other than places may cost, is not paid for
            index = self.hidden.entries[key] = _make_index(self.definition(key.partition("\n")[0]), "ordinal")
        return index

    def _hide(self, key: str, name: str) -> None:
        index = self.get(key, EMPTY_INDEX)
        if row := index.row(name):
            add_row(self.begin_hidden(key), row)
            index.remove(name)

    def _show(self, key: str, name: str) -> None:
        if row := self.hidden.entries.get(key, EMPTY_INDEX).row(name):
            add_row(self[key], row)
            self.hidden.remove(key, name)

    # Definitions

    def define(self, board: str, definition: Definition | None) -> bool:
        """Declare a board, or with None no longer; return whether it was; raise DefinitionConflict if it cannot be."""
        was = board in self.declared
        new = definition or self.default
        if problem := self.problem(board, new):
            raise DefinitionConflict(board, problem.problem, problem.pointer)
        old = self.definition(board)
        if definition:
            self.declare(board, definition)
        else:
            self.declared.pop(board, None)
        self._undeclared += self.is_there(board) and (was - (definition is not None))
        self._adapt(board, old)
        return was

    def define_default(self, definition: Definition) -> None:
        """Set the definition of the boards that are not declared, none of which may contradict it."""
        old = self.default
        self.declare_default(definition)
        for board in list(self.undeclared()):
            self._adapt(board, old)

    def declare(self, board: str, definition: Definition) -> None:
        """Set the definition of a board, whatever it holds."""
        self.declared[board] = definition
        self.submits_do_more |= definition.guard is not None

    def declare_default(self, definition: Definition) -> None:
        """Set the definition of the boards that are not declared, whatever they hold."""
        self.default = definition
        self.submits_do_more |= definition.guard is not None

    def undeclared(self) -> Iterator[str]:
        """Return the names of the boards that have entries, or held ones, and the default definition."""
        boards = dict.fromkeys(key.removesuffix("\n") for key in self)
        return (board for board in boards if "\n" not in board and board not in self.declared)

    def problem(self, board: str, definition: Definition) -> Contradiction | None:
        """Return why a board with these entries cannot have this definition, or None if it can."""
        both = self.get(board, EMPTY_INDEX), self.hidden.entries.get(board, EMPTY_INDEX)
        ends = [index.page(place, place + 1)[0][1] for index in both if index for place in (0, len(index) - 1)] or [0]
        are_whole = lambda: all(index.is_whole() for index in both)  # noqa: E731
        windows, held = self.periods.get(board, {}).keys(), self.size(held_key(board))
        stored = Stored(self.size(board), min(ends), max(ends), are_whole, windows, held)
        return contradiction(self.definition(board), definition, stored)

    def _adapt(self, board: str, old: Definition) -> None:
        new = self.definition(board)
        if new.ranking != old.ranking:
            for key in filter(self.__contains__, self.keys_of(board)):
                self[key].rank_by(new.ranking)
        if new.ttl_seconds is None:
            self.renewed.pop(board, None)
        elif self.is_there(board):
            self._keep_alive(board, self.renewed.get(board, self.sequence >> 1))
