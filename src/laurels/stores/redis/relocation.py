"""Moving the entries of a board to another number of partitions, while others read and write.

The partitions of the new number are others than those of the old one, with tags of their own. The board's state says
from when on entries are moved, and from how many partitions: no script is done any more by those who do not know it.
From then on the old partitions take no writes, so what is in them can only go.

A name is moved in three acts, each on one tag: it is copied, with all that is kept of it, and marked there as leaving;
the copy arrives, unless it did already; nothing of it stays where it was. In between it is in both, and the same.
Whoever wants to change a name moves it first; one command after another moves the rest. Any number of them may do so,
be killed at any point, and go on: a name has one number while it is leaving, and the new partition takes each number of
a partition once. It knows those that may still be under way, and up to which number none is.

An idempotency key is where the submit was, and so is a run that was used. What is known of them is copied to where that
would be now before a submit with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from zlib import crc32

from msgspec import structs

from laurels.errors import KeyReused
from laurels.stores.contract import KEY_SECONDS, Board
from laurels.stores.redis.calls import Script
from laurels.stores.redis.keys import COMMON, key_of, partition_name
from laurels.stores.redis.submitting import FINGERPRINT_BYTES, TIME_DIGITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from laurels.stores.contract import IdempotencyKey
    from laurels.stores.redis.definitions import Definitions

T = TypeVar("T")
AT_ONCE = 100
"""How many names are moved in one act."""
_LEAVE, _ARRIVE = Script(COMMON, "leave"), Script(COMMON, "arrive")


def partition(board: Board, at: int, count: int = 0) -> Board:
    """Return the board that a partition of a board is, of as many as it has or of so many."""
    of = board.definition
    name = partition_name(board.name, at, count or of.partitions)
    return structs.replace(board, name=name, definition=structs.replace(of, partitions=1))


class On(Protocol):
    """What acts on a partition of a board, once that is as the board says."""

    def __call__(self, board: Board, part: Board, act: Callable[..., Awaitable[T]], *arguments: Any) -> Awaitable[T]:
        """Act on one."""


class Relocation:
    """Moves names between partitions; ``act`` calls a script on a board, and ``enlist`` puts one on the list."""

    def __init__(
        self,
        act: Callable[..., Awaitable[Any]],
        ask: Callable[..., Awaitable[Any]],
        definitions: Definitions,
        enlist: Callable[[str], Awaitable[None]],
    ) -> None:
        self._act = act
        self._ask = ask
        self._definitions = definitions
        self._enlist = enlist

    async def bring(self, on: On, board: Board, number: int, source: int, *which: str | int) -> int:
        """Move names from one of ``source`` partitions, some unless it is said which; return how many."""
        rate, there = _rate_of(board), partition(board, number, source)
        done, *copies = await on(board, there, self._leave, rate, *(which or ("some", AT_ONCE)))
        if not copies:
            return 0
        shares: dict[int, list[Any]] = {}
        for copy in copies:
            shares.setdefault(crc32(copy[0]) % board.definition.partitions, []).append(copy)
        for home, some in shares.items():
            words = tuple(word for copy in some for word in (len(copy), *copy))
            await on(board, partition(board, home), self._arrive, rate, f"{number}/{source}", done, *words)
        await on(board, there, self._leave, rate, "left", *(word for copy in copies for word in copy[:2]))
        return len(copies)

    async def drop(self, on: On, board: Board, number: int, source: int) -> None:
        """Remove all that is in a partition, and what is under way from there."""
        await self._settle(on, board, number, source, "drop")

    async def hurry(self, on: On, board: Board, number: int, source: int) -> None:
        """Move what is under way from a partition as it is there now, not as it was."""
        await self.bring(on, board, number, source, "leaving")
        await self._settle(on, board, number, source, "named")

    async def _settle(self, on: On, board: Board, number: int, source: int, kind: str) -> None:
        """Have nothing arrive any more of what has left."""
        (done,) = await on(board, partition(board, number, source), self._leave, "", kind)
        for home in range(board.definition.partitions):
            await on(board, partition(board, home), self._arrive, "", f"{number}/{source}", done)

    async def _leave(self, part: Board, *words: Any) -> Any:
        return await self._act(_LEAVE, part, "", *words)

    async def _arrive(self, part: Board, *words: Any) -> None:
        await self._enlist(part.name)
        self._definitions.note(part.name, await self._act(_ARRIVE, part, "", *words))

    # Idempotency keys and runs

    async def carry(self, there: Board, home: Board, ends: Sequence[str]) -> None:
        """Copy what is kept under keys with these ends, as far as the other partition has none of them."""
        for end in ends:
            old, new = key_of(there.name) + end, key_of(home.name) + end
            kept = await self._ask(old, "GET", old)
            if kept is not None:
                await self._ask(new, "SET", new, kept, "EX", KEY_SECONDS, "NX")

    async def remember(self, part: Board, key: IdempotencyKey, counts: list[int]) -> list[int]:
        """Keep what was counted for the first submit with a key, and return what was kept."""
        first = f"{key_of(part.name)}:key:{key.key.hex()}"
        kept = f"{first}:ranks"
        when = (await self._ask(first, "GET", first) or b"")[FINGERPRINT_BYTES : FINGERPRINT_BYTES + TIME_DIGITS]
        words = when + b"".join(b" %d" % count for count in counts)
        await self._ask(kept, "SET", kept, words, "EX", KEY_SECONDS, "NX")
        found: bytes = await self._ask(kept, "GET", kept) or words
        if not found.startswith(when):  # of a submit before, whose time is over
            await self._ask(kept, "SET", kept, words, "EX", KEY_SECONDS)
            found = words
        return [int(count) for count in found[len(when) :].split()]

    async def knows(self, there: Board, key: IdempotencyKey) -> bool:
        """Return whether something was done with a key in a partition; raise KeyReused if that was something else."""
        name = f"{key_of(there.name)}:key:{key.key.hex()}"
        first = await self._ask(name, "GET", name)
        if first and not first.startswith(key.fingerprint):
            raise KeyReused
        return first is not None


def _rate_of(board: Board) -> str:
    """Return what the meters of players are named after."""
    guard = board.definition.guard
    return (guard.per_player or "") if guard else ""
