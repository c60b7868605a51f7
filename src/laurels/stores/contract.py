"""What every store promises.

A store keeps boards. A board is a set of entries, a name and its score each, and an order over them. The rules (which
names and scores are good, what a page may span) are settled before a store is called: a store receives only what may
be kept.

**Order.** Rank 0 stands first: the highest score on a ``descending`` board, the lowest on an ``ascending`` one. Equal
scores stand as sorted sets order their members: by the bytes of their names, A before Z when ascending, Z before A
when descending.

**Atomicity.** Each call is one act on one state of the board. What an answer holds (score, rank, neighbours) never
mixes two states, unless the store's capabilities say that it may. A call that raised has changed nothing, with one
exception: after :exc:`~laurels.errors.AnswerLost` a store beyond this process may have acted before the connection
broke.

**Visibility.** A change that has been acknowledged is seen by every later read. One that has not is seen by none.

**Capabilities.** What a store does not promise it says beforehand, in its :class:`Capabilities`. Where it is asked for
it all the same it raises :exc:`~laurels.errors.NotKept`: it never gives less in silence.

**Missing.** A name that is not on the board, and a board that does not exist, are answers and no errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

_encode = msgspec.json.Encoder().encode

Order = Literal["descending", "ascending"]
TTL_SECONDS, LONGEST_TTL_SECONDS = 7 * 24 * 60 * 60, 10**9
"""How long a store that forgets keeps a board after its last submit, unless it is told; and the most it may be told."""
TTLSeconds = Annotated[int, Meta(ge=1, le=LONGEST_TTL_SECONDS)]
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


class Ranked(Struct, frozen=True, gc=False):
    """An entry and its rank."""

    name: str
    score: Score
    rank: int


class Slice(Struct, frozen=True):
    """Entries that stand one behind the other on a board, of one moment.

    ``first`` is the rank of the first of them; where there are none, the rank that one would have.
    """

    first: int
    entries: list[Entry]

    def ranked(self) -> list[Ranked]:
        """Give each entry its rank."""
        return [Ranked(entry.name, entry.score, rank) for rank, entry in enumerate(self.entries, self.first)]


class Bucket(Struct, frozen=True, rename={"low": "from", "high": "to"}, gc=False):
    """How many entries have scores from ``low`` up to but not including ``high``; the last bucket includes it."""

    low: Score
    high: Score
    count: int


class Summary(Struct, frozen=True):
    """A board in a few figures, of one moment.

    ``best`` is the score of rank 0 and ``worst`` that of the last rank. Percentiles are by nearest rank and count from
    the worst entry, whatever the order: that of p is the worst score that no fewer than p percent of the entries do not
    surpass, so the 99th is near the best. The histogram has ten buckets of equal width from the least score to the
    greatest, fewer where doubles are not that close, and one where all scores are equal. Of a board that does not
    exist the scores are None, and there are no buckets.
    """

    count: int
    best: Score | None
    worst: Score | None
    percentiles: dict[int, Score | None]
    histogram: list[Bucket]


class Place(Struct, frozen=True, gc=False):
    """Where a score would stand: how many entries are better, and how many there are."""

    rank: int
    count: int


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
    :meth:`Store.change`, :meth:`Store.around`, :meth:`Store.of_names`, :meth:`Store.within`, :meth:`Store.after`,
    :meth:`Store.summary` and :meth:`Store.place` raise NotKept."""

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
    async def around(self, board: Board, name: str, span: int) -> Slice | None:
        """Give ``name`` with up to ``span`` entries on either side of it, or None where it is not on the board.

        Raises NotKept without the capability ``one_state``, as do all reads from here to :meth:`place`.
        """

    @abstractmethod
    async def of_names(self, board: Board, names: Sequence[str]) -> list[Ranked]:
        """Give the entries of those ``names`` that are on the board, in rank order, each once."""

    @abstractmethod
    async def within(self, board: Board, low: Score, high: Score, limit: int) -> Slice:
        """Give the entries with scores from ``low`` to ``high``, both included, but at most the first ``limit``.

        Either bound may be infinite.
        """

    @abstractmethod
    async def after(self, board: Board, entry: Entry, limit: int) -> Slice:
        """Give the ``limit`` entries that stand next after the place of ``entry``.

        A place is a score and a name, whether or not an entry stands there now: nothing that has kept its own place is
        skipped or given twice, whatever else was submitted or removed meanwhile.
        """

    @abstractmethod
    async def summary(self, board: Board) -> Summary:
        """Give the board in a few figures, at a cost that does not grow with its size but by a logarithm."""

    @abstractmethod
    async def place(self, board: Board, score: Score) -> Place:
        """Tell where ``score`` would stand; the board stays as it is."""

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
