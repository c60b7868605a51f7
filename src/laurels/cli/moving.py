"""A board that is moved: its definition, its hidden names and its entries, from one service to another.

Both sides are services; a store that none runs on is one inside this process (:mod:`laurels.cli.sides`). A board and
each of its periods is read on both sides in the board's order, and what does not agree is restored where it goes. Rows
are compared by their names as they come, so that two sides that agree cost a page each of memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field, structs

from laurels.cli.client import ALL_TIME, Period
from laurels.cli.comparing import pair, read_rows
from laurels.cli.errors import BoardTaken
from laurels.cli.pages import NOT_KEPT, Copy
from laurels.cli.restorer import AT_ONCE, Restorer
from laurels.client.errors import RequestRefused
from laurels.definition import DEFAULT_DEFINITION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from laurels.answers import ListedBoard
    from laurels.cli.client import CommandClient
    from laurels.cli.comparing import Row
    from laurels.cli.restorer import RefusedEntry

SHOWN = 10
"""How many differences are told of a board or a period."""
TOLD = 1000
"""After so many entries the progress is told."""
NOT_THERE = 404


class Difference(Struct, frozen=True, omit_defaults=True):
    """In what a board is not the same on both sides; of a name, or of the whole."""

    problem: str
    name: str | None = None
    window: str | None = None
    period: str | None = None


class MovedBoard(Struct):
    """What became of a board: how many entries it has, with those of its periods, and how many of these were sent."""

    board: str
    entries: int = 0
    sent: int = 0
    replaced: bool = False
    """Whether another board of that name was dropped."""
    hidden: int = 0
    held: int = 0
    """How many scores the guard holds where the board comes from: they are not moved."""
    refused: list[RefusedEntry] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


class Mover:
    """Moves one board, as the lists of both sides have it; ``moved`` is the result so far.

    Nothing is lost that is on the other side alone: BoardTaken is raised then, before anything is changed, unless
    ``replaces`` says that the board is to be dropped there.
    """

    def __init__(
        self,
        sides: tuple[CommandClient, CommandClient],
        listed: ListedBoard,
        there: ListedBoard | None,
        *,
        replaces: bool,
    ) -> None:
        self.moved = MovedBoard(listed.name)
        self._source, self._target = sides
        self._board = listed.name
        self._listed = listed
        self._there = there
        self._definition = listed.definition
        """As it is to be there: over how many partitions a board is spread is a matter of its store."""
        self._replaces = replaces

    async def move(self, tell: Callable[[int], object]) -> None:
        """Bring what differs; ``tell`` is called with how many entries more were looked at."""
        here = [ALL_TIME, *await self._periods(self._source)]
        if self._there is not None and (loss := await self._find_loss(here)):
            if not self._replaces:
                raise BoardTaken(self._board, loss)
            await self._drop()
        await self._define()
        await self._hide()
        for when in here:
            await self._copy(when, tell)
        await self._count_held()

    async def verify(self) -> None:
        """Read both sides again, and note every difference."""
        definition = await self._target.definition(self._board)
        if definition != self._definition:
            self._differ("the definition is another: define it there as it is here, and run it again with --replace")
        if await self._hidden(self._source) != await self._hidden(self._target):
            self._differ("other names are hidden")
        here, there = await self._periods(self._source), await self._periods(self._target)
        if here != there:
            self._differ("it has other periods")
        for when in (ALL_TIME, *here):
            await self._compare(when)

    # Definitions and hidden names

    async def _define(self) -> None:
        there, listed = self._there, self._listed
        has = there.definition if there else DEFAULT_DEFINITION
        if there:
            self._spread(has.partitions)
        if self._definition == has and not (listed.declared and (there is None or not there.declared)):
            return
        try:
            await self._put_definition()
        except RequestRefused:
            if there is None or not self._replaces:
                raise
            await self._drop()
            self._spread(listed.definition.partitions)
            await self._put_definition()

    async def _put_definition(self) -> None:
        try:
            await self._target.define(self._board, self._definition)
        except RequestRefused as refusal:
            if refusal.status != NOT_KEPT or self._definition.partitions == 1:
                raise
            self._spread(1)
            await self._put_definition()

    def _spread(self, partitions: int) -> None:
        self._definition = structs.replace(self._definition, partitions=partitions)

    async def _drop(self) -> None:
        await self._target.drop(self._board)
        self.moved.replaced = True

    async def _hide(self) -> None:
        here, there = await self._hidden(self._source), await self._hidden(self._target)
        for name in sorted(here - there):
            await self._target.hide(self._board, name)
        for name in sorted(there - here):
            await self._target.show(self._board, name)
        self.moved.hidden = len(here)

    async def _hidden(self, side: CommandClient) -> set[str]:
        try:
            return {each.name async for each in side.hidden(self._board)}
        except RequestRefused as refusal:
            if refusal.status != NOT_KEPT:
                raise
            return set()

    async def _count_held(self) -> None:
        if self._listed.definition.guard:
            self.moved.held = len([each async for each in self._source.held(self._board)])

    # Entries

    async def _periods(self, side: CommandClient) -> list[Period]:
        """Return the periods of a board, by window and from the oldest."""
        try:
            return [Period(each.window, each.period) async for each in side.periods(self._board)]
        except RequestRefused as refusal:
            if refusal.status != NOT_THERE:
                raise
            return []

    async def _find_loss(self, here: Sequence[Period]) -> str | None:
        """Return what there is on the other side alone, or in an order that cannot be changed; None for nothing."""
        if others := await self._hidden(self._target) - await self._hidden(self._source):
            return f"the name {min(others)!r} is hidden"
        there = await self._periods(self._target)
        if own := next((each for each in there if each not in here), None):
            return f"it has the period {own.period} of {own.window}"
        for when in (ALL_TIME, *there):
            is_same, is_in_order = True, True
            async for row, other in self._pairs(when):
                if row is None and other is not None:
                    return f"{other.name!r} is on it"
                if row and other and not row.is_as(other) and row.is_before(other):
                    return f"the entry of {row.name!r} is newer"
                is_same = is_same and row is not None and row.is_as(other)
                is_in_order = is_in_order and row is not None and other is not None and row.place == other.place
            if is_same and not is_in_order:
                return "equal scores of equal times came in another order"
        return None

    async def _copy(self, when: Period, tell: Callable[[int], object]) -> None:
        """Restore what differs on a board or in a period."""
        is_by_name = self._listed.definition.ties == "name"
        restorer = Restorer(self._target, self._board, when, at_once=AT_ONCE if is_by_name else 1)

        try:
            async for row, other in self._pairs(when):
                if row is None:  # it has come meanwhile
                    continue
                self.moved.entries += 1
                if self.moved.entries % TOLD == 0:
                    tell(TOLD)
                if not row.is_as(other):
                    await restorer.add([row.entry()])
            await restorer.finish()
        finally:
            await restorer.cancel()
            self.moved.sent += restorer.accepted
            self.moved.refused += restorer.refused

    async def _compare(self, when: Period) -> None:
        found: list[tuple[str, str]] = []
        moved: list[tuple[str, str]] = []
        async for row, other in self._pairs(when):
            if row is None:
                found += [(other.name, "it is there, and not here")] if other else []
            elif other is None:
                found.append((row.name, "it is not there"))
            elif not row.is_as(other):
                found.append((row.name, f"it is {row} here and {other} there"))
            elif row.place != other.place:
                moved.append((row.name, "its place among equal scores is another"))
        for name, problem in (found or moved)[:SHOWN]:
            self._differ(problem, name, when)
        if len(found or moved) > SHOWN:
            self._differ(f"{len(found or moved) - SHOWN:,} more entries differ", None, when)

    def _pairs(self, when: Period) -> AsyncIterator[tuple[Row | None, Row | None]]:
        """Yield what each name has on both sides."""
        copies = (Copy(side, self._board, when, scores_only=False) for side in (self._source, self._target))
        return pair(*map(read_rows, copies))

    def _differ(self, problem: str, name: str | None = None, when: Period = ALL_TIME) -> None:
        self.moved.differences.append(Difference(problem, name, when.window, when.period))
