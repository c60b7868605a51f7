"""Restoring entries: a name gets exactly the entry that it has elsewhere, on a board or on one period of it alone.

A store needs no operation of its own for that. A name that is not there takes what is submitted as it is, whatever the
operator. One that has another entry takes it under ``latest``, or is removed first if its own is newer. What is
submitted to a period reaches the board too, so it goes by an operator under which the board's entry stays: ``latest``
if that is newer, ``best`` if it is better. Only if it is neither, as after additions below zero, is it put right
afterwards. None of this feeds a window, or is judged by a guard.

It is no single act: whoever submits for the same names meanwhile may find more than one step of it.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct, field, structs

from laurels.clock import SECOND
from laurels.definition import DEFAULT_DEFINITION
from laurels.errors import BadBody
from laurels.stores.contract import Board, Feed, FullSubmission, HiddenName, Ranked, Refusal, Submission
from laurels.submissions import check_past, find_refusals, operator_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from laurels.definition import Operator
    from laurels.stores.contract import Score, Store

HIDDEN_READ = 1000
"""How many hidden names are looked at at once."""
TWICE = "The name stands twice: restore each once."
NOT_ON_BOARD = "The name is not on the board itself, so it cannot be in a period."
NO_TIME = "An entry of a period is of a time: it needs submittedAt."
NEWER = "The entry is newer and better than that on the board itself, which no submit could have made."

Known = Ranked | HiddenName


class _Plan(Struct):
    """What is to be done, in this order."""

    removed: list[str] = field(default_factory=list)
    submitted: list[tuple[int, Submission]] = field(default_factory=list)
    on_board: list[FullSubmission] = field(default_factory=list)
    """What puts the board's own entries right again."""
    metadata: list[tuple[Board, str, bytes | None]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


async def restore(store: Store, where: Board, batch: Sequence[Submission | Refusal], now: float) -> list[Refusal]:
    """Restore entries in their order; return why some are not, with those that were refusals already.

    One with no time counts as of now. An entry that the name has already is left as it is, if those of its score and
    its time have come in the order of the batch.
    """
    board = Board(where.name, where.definition)
    batch = _check(where, batch, now)
    names = [each.name for each in batch if isinstance(each, Submission)]
    planning = _Planning(board, where)
    if planning.takes_all(batch):
        plan = _Plan(submitted=[(at, each) for at, each in enumerate(batch) if isinstance(each, Submission)])
        plan.refused = [each for each in batch if isinstance(each, Refusal)]
    else:
        had = await _find(store, where, names)
        plan = planning.make(batch, had, await _find(store, board, names) if where.window else had)
    await asyncio.gather(*(store.remove(where, name) for name in plan.removed))
    refused = plan.refused + await _submit(store, board, plan.submitted)
    await asyncio.gather(*(store.submit(board, each) for each in plan.on_board))
    await asyncio.gather(*(store.set_metadata(*each) for each in plan.metadata))
    return sorted(refused, key=lambda each: each.index)


def _check(where: Board, batch: Sequence[Submission | Refusal], now: float) -> Sequence[Submission | Refusal]:
    """Return a batch with a refusal for each entry that can be on no board of this definition, or is to come."""
    # What was summed up has its bounds on the board alone
    of = DEFAULT_DEFINITION if where.window and where.definition.operator_rules.adds else where.definition
    refused = dict(find_refusals(batch, structs.replace(of, operator="latest")))
    for index, each in enumerate(batch):
        if isinstance(each, FullSubmission) and each.submitted_at is not None:
            try:
                check_past(each.submitted_at / SECOND, now)
            except BadBody as error:
                refused[index] = Refusal(index, each.name, str(error))
    return [refused.get(index, each) for index, each in enumerate(batch)] if refused else batch


async def _find(store: Store, where: Board, names: Sequence[str]) -> Mapping[str, Known]:
    """Return the entries of names on a board or in a period, also of hidden ones."""
    found: dict[str, Known] = {each.name: each for each in await store.entries_named(where, names, with_metadata=True)}
    wanted = {*names} - found.keys()
    after, has_more = "", store.capabilities.hiding
    while wanted and has_more:
        page = await store.hidden(where, after, HIDDEN_READ, with_metadata=True)
        found |= {each.name: each for each in page if each.name in wanted and each.score is not None}
        after, has_more = (page[-1].name, True) if len(page) == HIDDEN_READ else ("", False)
    return found


async def _submit(store: Store, board: Board, submitted: Iterable[tuple[int, Submission]]) -> list[Refusal]:
    """Submit those that need no operator of their own in one act, and the others one by one."""
    alone = [(at, each) for at, each in submitted if operator_of(each)]
    together = [(at, each) for at, each in submitted if not operator_of(each)]
    refused: list[Refusal] = []
    if together:
        result = await store.submit(board, [each for _, each in together])
        found = result.refusals if result else ()
        refused += [structs.replace(each, index=together[each.index][0]) for each in found]
    await asyncio.gather(*(store.submit(board, each) for _, each in alone))  # which refuse nothing
    return refused


class _Planning:
    """What makes entries what they are to be, on a board or in one period of it."""

    def __init__(self, board: Board, where: Board) -> None:
        self._board = board
        self._where = where
        self._is_better = board.definition.is_better
        self._own: Operator | None = None if board.definition.guard else board.definition.operator
        self._feeds = (Feed(where.window, where.period),) if where.window else ()
        self._last: dict[tuple[Score, int | None], float] = {}
        """The place, in the order of arrival, of the last entry so far of a score and a time."""

    def takes_all(self, batch: Sequence[Submission | Refusal]) -> bool:
        """Return whether a batch can be submitted as it is, whatever is there."""
        return self._own == "latest" and not self._feeds and FullSubmission not in set(map(type, batch))

    def make(
        self, batch: Sequence[Submission | Refusal], had: Mapping[str, Known], on_board: Mapping[str, Known]
    ) -> _Plan:
        """Return what is to be done, given what the names have there, and on the board itself."""
        plan, seen = _Plan(), set[str]()
        for at, each in enumerate(batch):
            if isinstance(each, Refusal):
                plan.refused.append(each)
                continue
            name = each.name
            problem = TWICE if name in seen else self._plan(plan, (at, each), had.get(name), on_board.get(name))
            seen.add(name)
            if problem:
                plan.refused.append(Refusal(at, name, problem))
        return plan

    def _plan(
        self, plan: _Plan, numbered: tuple[int, Submission], had: Known | None, on_board: Known | None
    ) -> str | None:
        """Add what makes a name's entry what it is to be; return why that cannot be."""
        at, entry = numbered
        time = _time(entry)
        is_same = had is not None and had.score == entry.score and time in {None, had.submitted_at}
        if had is not None and is_same and self._is_in_order(entry, had):
            if entry.metadata != had.metadata and (entry.metadata or time is not None):
                plan.metadata.append((self._where, entry.name, entry.metadata))
            return None
        self._last[entry.score, time] = inf
        operator: Operator | None = "latest"
        if self._feeds:
            if on_board is None or time is None:
                return NOT_ON_BOARD if on_board is None else NO_TIME
            if (operator := self._operator_in_period(plan, entry, on_board)) is None:
                return NEWER
        is_later = time is None or (had is not None and (had.submitted_at or 0) <= time and had.score != entry.score)
        if had is not None and (self._feeds or not is_later):
            plan.removed.append(entry.name)
            had = None
        is_own = operator == self._own or (self._own is not None and had is None and not self._feeds)
        plan.submitted.append((at, self._submission(entry, None if is_own else operator)))
        return None

    def _is_in_order(self, entry: Submission, had: Known) -> bool:
        """Return whether an entry came after those before it in the batch that have its score and its time."""
        if not isinstance(had, Ranked) or had.submitted_at != _time(entry):
            return True
        last = self._last.get((entry.score, had.submitted_at), -1)
        self._last[entry.score, had.submitted_at] = max(last, had.sequence)
        return had.sequence >= last or self._board.definition.ties == "name"

    def _operator_in_period(self, plan: _Plan, entry: Submission, on_board: Known) -> Operator | None:
        """Return by which operator an entry goes to a period so that its name's on the board stays; None for none."""
        score, time, base = entry.score, _time(entry) or 0, on_board.submitted_at or 0
        best = on_board.score or 0
        if time < base:  # by any operator but that which adds; best lets an older one of the same score go first
            is_behind = self._is_better(best, score)
            return "best" if is_behind and self._own == "best" else "latest"
        if score == best:
            if entry.metadata not in {None, on_board.metadata}:
                plan.metadata.append((self._board, entry.name, on_board.metadata))
            return "best" if self._own == "best" else "latest"
        if self._is_better(best, score):
            return "best"
        if time > base:
            return None
        again = FullSubmission(entry.name, best, on_board.metadata, on_board.submitted_at, operator="latest")
        plan.on_board.append(again)
        return "latest"

    def _submission(self, entry: Submission, operator: Operator | None) -> Submission:
        time = _time(entry)
        if time is None and operator is None:
            return Submission(entry.name, entry.score, entry.metadata)
        return FullSubmission(entry.name, entry.score, entry.metadata, time, self._feeds, operator)


def _time(entry: Submission) -> int | None:
    return entry.submitted_at if isinstance(entry, FullSubmission) else None
