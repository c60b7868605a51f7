"""What every store promises.

A store keeps boards. A board is a set of entries, a name and its score each, and an order over them. The rules (which
names and scores are good, what a page may span) are settled before a store is called: a store receives only what may
be kept.

**Order.** Rank 0 stands first: the highest score on a ``descending`` board, the lowest on an ``ascending`` one. Equal
scores stand as sorted sets order their members: by the bytes of their names, A before Z when ascending, Z before A
when descending.

**Atomicity.** Each call is one act on one state of the board. What an answer holds (score, rank, neighbours) never
mixes two states, unless the store's capabilities say that it may. A call that raised has changed nothing, with one
exception: after :exc:`~laurels.errors.StoreUnavailable` a store beyond this process may have acted before the
connection broke.

**Visibility.** A change that has been acknowledged is seen by every later read. One that has not is seen by none.

**Capabilities.** What a store does not promise it says beforehand, in its :class:`Capabilities`. Where it is asked for
it all the same it raises :exc:`~laurels.errors.NotKept`: it never gives less in silence.

**Missing.** A name that is not on the board, and a board that does not exist, are answers and no errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

_encode = msgspec.json.Encoder().encode

Order = Literal["descending", "ascending"]
Score = int | float
"""A finite number, exactly a double. Whole scores are given back as ``int``."""


class Board(Struct, frozen=True, gc=False):
    """What a store must know of a board to act on it."""

    name: str
    order: Order = "descending"


class Entry(Struct, frozen=True, gc=False):
    """A name and its score on a board."""

    name: str
    score: Score


class Standing(Struct, frozen=True, gc=False):
    """Score and rank of one name, of one moment."""

    score: Score
    rank: int


class Change(Struct, frozen=True):
    """What a submit did: the standing before it, or None for a new name, and the one after."""

    previous: Standing | None
    current: Standing


class Capabilities(Struct, frozen=True):
    """Which promises a store keeps beyond the contract's own."""

    durable: bool
    """An acknowledged change survives the death of the process and of the machine's power, and no time ends it."""

    one_state: bool = True
    """An answer of several parts is of one state. Without it the score and the rank of a standing may be of two moments
    close together, what :meth:`Store.remove` and :meth:`Store.drop` found may have gone by another hand, and
    :meth:`Store.change` raises NotKept."""

    listing: bool = True
    """The store knows which boards it has. Without it :meth:`Store.names` raises NotKept."""


class Store(ABC):
    """A keeper of boards.

    Every method may raise :exc:`~laurels.errors.StoreUnavailable`. Where the store is an account with a service, also
    :exc:`~laurels.errors.LimitReached` and :exc:`~laurels.errors.StoreRefused`.
    """

    capabilities: Capabilities

    @abstractmethod
    async def submit(self, board: Board, name: str, score: Score) -> None:
        """Put ``name`` on the board with ``score``, in place of any score it had; make the board if there is none.

        Returns when the change is kept as the store's capabilities say.
        """

    @abstractmethod
    async def change(self, board: Board, name: str, score: Score) -> Change:
        """Submit as :meth:`submit` does, and report the standings just before and just after, in one act.

        Raises NotKept, and submits nothing, where the capabilities exclude ``one_state``.
        """

    @abstractmethod
    async def submit_many(self, board: Board, entries: Sequence[Entry]) -> None:
        """Submit all entries in one act, in their order: of two with one name the later counts.

        All are kept or none is. An empty sequence changes nothing and makes no board.
        """

    @abstractmethod
    async def standing(self, board: Board, name: str) -> Standing | None:
        """Give score and rank of ``name``, or None where it is not on the board."""

    @abstractmethod
    async def page(self, board: Board, start: int, stop: int) -> list[Entry]:
        """Give the entries of rank ``start`` up to but not including ``stop``, as far as there are any."""

    async def page_json(self, board: Board, start: int, stop: int) -> bytes:
        """Give the page as a JSON array of its entries, to the byte as :func:`msgspec.json.encode` writes it.

        For stores that can write it at less cost than making the entries.
        """
        return _encode(await self.page(board, start, stop))

    @abstractmethod
    async def count(self, board: Board) -> int:
        """Give the number of entries, 0 for a board that does not exist."""

    @abstractmethod
    async def remove(self, board: Board, name: str) -> bool:
        """Take ``name`` off the board; tell whether it was there. A board without entries no longer exists."""

    @abstractmethod
    async def drop(self, board: Board) -> bool:
        """Remove the board with all its entries in one act; tell whether it was there."""

    @abstractmethod
    async def names(self) -> list[str]:
        """Give the names of all boards, sorted by their bytes; raise NotKept without the capability ``listing``."""

    @abstractmethod
    async def ready(self) -> None:
        """Return where the store can answer and can write now; raise StoreUnavailable with the reason where not."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way and let go of everything held. Calls after it raise StoreUnavailable."""
