"""The guard of boards: what of it is decided where, and why a restart decides the same.

**In the record's apply.** Whether a submit is over the guard depends on the entry that the player has, on what was
taken of the player before, and on which runs were used: on what submits under way may change. So it is judged when the
record is applied, one after the other, by the state and the record alone (:mod:`laurels.stores.embedded.state`). A
refused submit is in the journal, as a refused sum is; it changes nothing, and is refused again by a restart and by a
compaction. The caller is answered after that, so that what was said is what the disk says.

**Time** is that of the record, its tick: ticks never go back, and are the same whoever applies the record. By a clock a
restart would find other meters and other runs too late.

**Before the record** there is only what never changes: that a run was signed here for this board and this name
(:mod:`laurels.stores.embedded.runs`), and whether who asks needs one. What an idempotency key has an answer for becomes
no record, and meets neither.

**What must be remembered** is in the state and in the snapshot, and ends by itself:

    meters   for a board, its rate and a name when that would be used up no more (GCRA): an entry is taken if this time,
             one interval later, is not more than the whole period ahead. From then on it says nothing, and goes. There
             is one for each name that had an entry taken within the period. If a board gets another rate, all begin
             anew: what was used up of a rate of days would keep players out for days.
    runs     those that were used, until they would be too late anyway. How many there may be is a setting.

Whatever is too old is looked for at the old end, two at each submit: it waits at most a day for what is before it.

**Held entries** are in an index of the same rules under a key of their own (:func:`held_key`), among the others of the
state: so they have times, metadata and places, are counted, kept in the snapshot and loaded as entries are. The
operator decides there what becomes of a second one. They go with the board and with their name. To release one is a
record of its own that says which it was: if another has taken its place since, nothing is released.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from laurels.clock import SECOND
from laurels.errors import RunRefused
from laurels.limits import read_rate
from laurels.stores.guard import too_long_a_step, too_often
from laurels.stores.runs import USED, is_too_old, is_too_young, run_times, too_old, too_young

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.definition import Definition, Guard, Runs, Score

HELD = -1
"""What applying a submit that is held comes to."""
What = TypeVar("What", tuple[str, str], bytes)


def held_key(board: str) -> str:
    """Return the key of the held entries of a board; no board and no period has such a one."""
    return f"{board}\n"


def is_held_key(key: str) -> bool:
    """Return whether a key is that of held entries."""
    return key.endswith("\n")


class GuardMemory:
    """What the guards of all boards remember of players and runs, each with the last tick at which it says something.

    ``meters`` are by board with its rate and by name; a run is its bytes.
    """

    __slots__ = ("meters", "runs")

    def __init__(self) -> None:
        # Ordered by when they were last set. A plain dict would have to pass over all that it forgot
        self.meters: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.runs: OrderedDict[bytes, int] = OrderedDict()

    def check(self, board: str, guard: Guard, name: str, run: bytes | None, now: int) -> None:
        """Raise what a board refuses a submit for; remember nothing."""
        if run is not None and guard.runs is not None:
            self._check_run(guard.runs, run, now)
        if guard.per_player is not None:
            self._check_rate(guard.per_player, self.meters.get((_meters_of(board, guard), name), 0), now)

    def _check_run(self, runs: Runs, run: bytes, now: int) -> None:
        if run in self.runs:
            raise RunRefused(USED)
        if is_too_old(runs, run, now):
            raise too_old(runs, run)
        if is_too_young(runs, run, now):
            raise too_young(runs)

    @staticmethod
    def _check_rate(per_player: str, until: int, now: int) -> None:
        count, seconds = read_rate(per_player)
        interval = seconds * SECOND // count
        early = max(until, now) + interval - now - seconds * SECOND
        if early > 0:
            raise too_often(per_player, early)

    def remember(self, board: str, guard: Guard, name: str, run: bytes | None, now: int) -> None:
        """Count a submit that was taken, or held, and use up its run."""
        self.forget(now)
        if (rate := guard.rate) is not None:
            count, seconds = rate
            meter = _meters_of(board, guard), name
            until = max(self.meters.pop(meter, 0), now) + seconds * SECOND // count
            self.meters[meter] = until  # behind all others: the old ones are in front
        if run is not None:
            self.runs[run] = run_times(run)[1]

    def forget(self, now: int, most: int = 2) -> None:
        """Forget some of what is oldest and says nothing any more, of each kind so many at most."""
        _forget(self.meters, now, most)
        _forget(self.runs, now, most)

    def all_live(self, now: int) -> Iterator[tuple[str | None, bytes, int]]:
        """Yield what still says something: a board with its rate, a name and until when; None, a run and until when."""
        for (board, name), until in self.meters.items():
            if until >= now:
                yield board, name.encode(), until
        for run, until in self.runs.items():
            if until >= now:
                yield None, run, until

    def restore(self, board: str | None, what: bytes, until: int) -> None:
        """Remember what :meth:`all_live` yielded."""
        if board is None:
            self.runs[what] = until
        else:
            self.meters[board, what.decode()] = until


def _meters_of(board: str, guard: Guard) -> str:
    """Return the board with its rate: under another rate the old meters would say something else."""
    return f"{board}\n{guard.per_player}"


def _forget(remembered: OrderedDict[What, int], now: int, most: int) -> None:
    for key in [key for key, until in islice(remembered.items(), most) if until < now]:
        del remembered[key]


def check_step(definition: Definition, guard: Guard, had: Score | None, score: Score) -> None:
    """Raise ScoreRefused if a score improves what the player has by too much."""
    before = 0 if definition.operator_rules.adds else had
    if guard.max_step is None or before is None:
        return
    step = score - before if definition.order == "descending" else before - score
    if step > guard.max_step:
        raise too_long_a_step(definition, before, score, guard.max_step)
