"""The rules of boards: which pages are good, which definition a board has, and what an act on it means at its time.

No I/O of its own: everything kept or read goes through one :class:`~laurels.stores.contract.Store`.
"""

from __future__ import annotations

import time
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from laurels.definition import NO_FILE, BoardsFile, Definition
from laurels.entries import EXACT, checked_name, checked_score
from laurels.errors import (
    BadBody,
    BadName,
    BadParameter,
    DefinitionConflict,
    NotDefined,
    NotKept,
    NotOnBoard,
    ScoreRefused,
)
from laurels.stores.contract import Attempt, Board, Once, Refusal, Score

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from laurels.stores.contract import Change, Place, Ranked, Standing, Store, Summary

__all__ = ["EXACT", "checked_name", "checked_score"]

PAGE_ENTRIES = 1000
SPAN_ENTRIES = 500
NAMES_ASKED = 100
METADATA_BYTES = 1024
KEY_CHARACTERS = 255
BOARDS_KNOWN = 4096
NOWHERE = "-"
"""The key of a board that shows no entries: no board has that name."""

_print = msgspec.msgpack.Encoder().encode


class Stretch(Struct, frozen=True):
    """Entries that stand one behind the other, and whether there is one behind the last."""

    entries: list[Ranked]
    is_followed: bool


class Found(Struct, frozen=True):
    """Of some names those that are on a board, in rank order, and the others as they were asked for."""

    entries: list[Ranked]
    missing: list[str]


class PeriodInfo(Struct, frozen=True):
    """A period that has ``count`` entries; ``start`` and ``stop`` are in ISO 8601 with the zone's offset."""

    window: str
    period: str
    start: str
    stop: str
    count: int
    is_current: bool


class Boards:
    """All boards of one store, as the deployment's file and the definitions that the store keeps declare them.

    Methods that only pass an act on to the store give its awaitable, so that no coroutine stands between the two.
    They raise BadName, BadParameter and ScoreRefused before the store is asked; its errors pass through.
    """

    def __init__(self, store: Store, file: BoardsFile = NO_FILE, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._file = file
        self._clock = clock
        self._definitions = dict(file.boards)
        self.board: Callable[[str], Board] = lru_cache(BOARDS_KNOWN)(self._known)
        """Give the board of a name, of all times; where the rules keep it from sight, one without entries."""

    async def declare(self) -> None:
        """Have the store keep the file's definitions, and take up those that it keeps; once, before all else.

        Raises NotKept where the store cannot keep one, and DefinitionConflict where stored entries contradict one.
        """
        for definition in (self._file.default, *self._file.boards.values()):
            self.store.capabilities.check(definition)
        kept = await self.store.definitions()
        if self.store.capabilities.defining:
            for name, definition in self._file.boards.items():
                if kept.get(name) != definition:
                    await self.store.define(name, definition)
        self._definitions = dict(kept) | self._file.boards
        self._forget()

    def _forget(self) -> None:
        self.board = lru_cache(BOARDS_KNOWN)(self._known)

    def _known(self, name: str) -> Board:
        if name == "-":
            raise BadName("board", "'-' is reserved for the service's own routes")
        definition = self._definitions.get(checked_name(name, "board"), self._file.default)
        return Board(name, definition)

    def period_of(self, name: str, window: str, period: str | None) -> Board:  # noqa: ARG002
        """Give a period of a window of a board, the current one where ``period`` is None."""
        self.board(name)
        raise BadParameter("window", f"The board {name!r} has no windows.")

    def submit(self, board: str, name: str, score: Score) -> Awaitable[None]:
        """Submit a score for a name."""
        return self.store.submit(self.board(board), checked_name(name), checked_score(score))

    @property
    def tells_changes(self) -> bool:
        """Tell whether :meth:`change` can be kept by this store; it raises NotKept where not."""
        return self.store.capabilities.one_state

    def change(self, board: str, attempt: Attempt, key: str | None = None) -> Awaitable[Change]:
        """Submit, and tell the standings before and after; a ``key`` makes it count once."""
        where = self.board(board)
        attempt = Attempt(checked_name(attempt.name), checked_score(attempt.score), _checked_metadata(attempt.metadata))
        return self.store.change(where, attempt, _once(key, (board, attempt.name), [attempt]))

    async def submit_many(
        self, board: str, batch: Sequence[Attempt | Refusal], key: str | None = None
    ) -> list[Refusal]:
        """Submit all good attempts in one act, in their order; tell of the others why not.

        A refusal in the batch stands for one that could not even be read, and is told with the rest.
        """
        where = self.board(board)
        once = _once(key, (board, ""), batch)
        checked = [_checked_attempt(index, attempt) for index, attempt in enumerate(batch)]
        return await self.store.submit_many(where, checked, once)

    def standing(self, where: Board, name: str) -> Awaitable[Standing | None]:
        """Give score and rank of a name, None where it is not on the board."""
        return self.store.standing(where, checked_name(name))

    def page_json(self, where: Board, start: int, stop: int) -> Awaitable[bytes]:
        """Give the entries at the places from ``start`` up to ``stop``, 1,000 at most, as a JSON array."""
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        return self.store.page_json(where, start, stop)

    async def page(
        self, where: Board, start: int, stop: int, *, noted: bool = False, going_on: bool = False
    ) -> Stretch:
        """Give the same entries with their ranks, and with their metadata where that is ``noted``.

        ``going_on`` tells that those after them are to be asked for; NotKept is raised where :meth:`after` would be.
        """
        if not 0 < stop - start <= PAGE_ENTRIES:
            raise BadParameter("endRank", _page_problem(start, stop))
        if going_on and not self.store.capabilities.one_state:
            raise NotKept("go on after a page")
        return _stretch(await self.store.page(where, start, stop + 1, noted=noted), stop - start)

    async def after(self, where: Board, entry: Ranked, limit: int, *, noted: bool = False) -> Stretch:
        """Give the entries that stand next after the place of ``entry``, 1,000 at most, wherever it stands now."""
        _check_number("limit", limit, 1, PAGE_ENTRIES)
        checked_name(entry.name)
        checked_score(entry.score)
        return _stretch(await self.store.after(where, entry, limit + 1, noted=noted), limit)

    async def around(self, where: Board, name: str, span: int, *, noted: bool = False) -> list[Ranked]:
        """Give a name with up to ``span`` entries, 500 at most, on either side; raise NotOnBoard where it is not."""
        _check_number("span", span, 0, SPAN_ENTRIES)
        found = await self.store.around(where, checked_name(name, "around"), span, noted=noted)
        if found is None:
            raise NotOnBoard("around", name)
        return found

    async def of_names(self, where: Board, names: Sequence[str], *, noted: bool = False) -> Found:
        """Give the entries of these names, 100 at most and each once."""
        if len(names) > NAMES_ASKED:
            raise BadParameter("name", f"{len(names)} names are asked for: ask for at most {NAMES_ASKED} at a time.")
        if len(set(names)) < len(names):
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise BadParameter("name", f"The name {twice!r} stands twice: ask for each name once.")
        entries = await self.store.of_names(where, [checked_name(name) for name in names], noted=noted)
        found = {entry.name for entry in entries}
        return Found(entries, [name for name in names if name not in found])

    async def within(
        self, where: Board, low: Score | None, high: Score | None, limit: int, *, noted: bool = False
    ) -> list[Ranked]:
        """Give the best entries, 1,000 at most, with scores from ``low`` to ``high``; None leaves an end open."""
        _check_number("limit", limit, 1, PAGE_ENTRIES)
        if low is not None and high is not None and low > high:
            raise BadParameter("maxScore", f"No score is from {low} to {high}: maxScore is not below minScore.")
        ends = -inf if low is None else low, inf if high is None else high
        return await self.store.within(where, *ends, limit, noted=noted)

    def summary(self, where: Board) -> Awaitable[Summary]:
        """Give a board in a few figures."""
        return self.store.summary(where)

    def place(self, where: Board, score: Score) -> Awaitable[Place]:
        """Tell where a score would stand."""
        return self.store.place(where, score)

    def remove(self, where: Board, name: str) -> Awaitable[bool]:
        """Take a name off a board and its periods, or off one period; tell whether it was there."""
        return self.store.remove(where, checked_name(name))

    def drop(self, where: Board) -> Awaitable[bool]:
        """Remove a board with all its entries and periods, or one period; tell whether it was there."""
        return self.store.drop(where)

    async def definition(self, name: str) -> Definition:
        """Give the definition of a board; raise NotDefined where it is neither declared nor has entries."""
        where = self.board(name)
        if name in self._definitions or await self.store.count(where):
            return where.definition
        raise NotDefined(name)

    async def definitions(self, after: str, limit: int) -> list[tuple[str, Definition, bool]]:
        """Give boards that are declared or have entries, by the bytes of their names: the first after ``after``.

        Each with its definition, and whether it has one of its own.
        """
        names = sorted({*self._definitions, *await self.store.names(after, limit)}, key=str.encode)
        found = islice((name for name in names if name.encode() > after.encode()), limit)
        return [(name, self.board(name).definition, name in self._definitions) for name in found]

    async def define(self, name: str, definition: Definition) -> bool:
        """Give a board this definition from now on; tell whether it had none of its own."""
        self.board(name)
        self._check_free(name)
        self.store.capabilities.check(definition)
        await self.store.define(name, definition)
        is_new = name not in self._definitions
        self._definitions[name] = definition
        self._forget()
        return is_new

    async def undefine(self, name: str) -> bool:
        """Give a board the default definition from now on; tell whether it had one of its own."""
        self.board(name)
        self._check_free(name)
        was = await self.store.undefine(name)
        self._definitions.pop(name, None)
        self._forget()
        return was

    def _check_free(self, name: str) -> None:
        if name in self._file.boards:
            raise DefinitionConflict(name, "it is declared in the boards file; change it there and restart")

    async def periods(self, name: str) -> list[PeriodInfo]:
        """Give the periods of a board that have entries and are kept."""
        self.board(name)
        return []

    def ready(self) -> Awaitable[None]:
        """Return where submits can be kept now; raise StoreUnavailable where not."""
        return self.store.ready()


def _page_problem(start: int, stop: int) -> str:
    if stop <= start:
        return f"The range from startRank {start} to endRank {stop} is empty: endRank is exclusive and above startRank."
    return (
        f"The range from startRank {start} to endRank {stop} spans {stop - start} ranks: a page holds {PAGE_ENTRIES:,}."
    )


def _check_number(parameter: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise BadParameter(parameter, f"{parameter} is {number}: it must be from {least} to {most:,}.")


def _stretch(found: list[Ranked], limit: int) -> Stretch:
    return Stretch(found[:limit], len(found) > limit)


def _checked_attempt(index: int, attempt: Attempt | Refusal) -> Attempt | Refusal:
    if isinstance(attempt, Refusal):
        return attempt
    try:
        checked_name(attempt.name)
        checked_score(attempt.score)
        _checked_metadata(attempt.metadata)
    except (BadBody, BadName, ScoreRefused) as error:
        return Refusal(index, attempt.name, str(error))
    return attempt


def _checked_metadata(metadata: bytes | None) -> bytes | None:
    if metadata is not None and len(metadata) > METADATA_BYTES:
        raise BadBody("/metadata", f"The metadata has {len(metadata):,} bytes of JSON: it may have {METADATA_BYTES:,}.")
    return metadata


def _once(key: str | None, scope: tuple[str, str], batch: Sequence[Attempt | Refusal]) -> Once | None:
    if key is None:
        return None
    if not (0 < len(key) <= KEY_CHARACTERS and key.isascii() and key.isprintable() and " " not in key):
        raise BadParameter(
            "Idempotency-Key", f"The Idempotency-Key must be 1 to {KEY_CHARACTERS} visible ASCII characters, as a UUID."
        )
    named = blake2b("\n".join((*scope, key)).encode(), digest_size=16).digest()
    return Once(named, blake2b(_print(batch), digest_size=16).digest())
