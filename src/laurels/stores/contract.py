"""What every store promises.

A store keeps boards. A board is a set of entries, a name and its score each, and a definition that says what it
promises (:mod:`laurels.definition`). The rules (which names and scores are good, what a page may span, which period it
is) are settled before a store is called: a store receives only what may be kept.

**Order.** Rank 0 stands first: the highest score on a ``descending`` board, the lowest on an ``ascending`` one. Equal
scores stand by the board's ``ties``: by ``name`` as sorted sets order their members (by bytes, A before Z when
ascending, Z before A when descending), or with the ``earliest`` or the ``latest`` first, by when the attempt that
counts was kept. A *place* is an entry's position in that order, from 0; pages count places. A *rank* is what the
board's ``ranking`` makes of it: the place itself (``ordinal``), the number of entries that are better
(``competition``), or the number of scores that are better (``dense``).

**Operator.** An attempt is a score that was submitted. Under ``latest`` it takes the place of the name's score, under
``best`` only where it is better, and under ``increment`` it is added. An attempt that does not count changes nothing,
and neither does one with the very score that the name has, unless it brings metadata: that is what a retry looks like.
The time and the metadata of an entry are those of the last attempt that counted. A sum that is not finite, that would
lose the last digit of whole numbers beyond 2^53, or that the board's bounds exclude, is refused and changes nothing;
bounds hold for the sum on the board itself, not for those in its windows.

**Windows.** A period of a window is a board of its own, with a key of its own (:attr:`Board.key`). A submit to a board
feeds it and the periods in :attr:`Board.feeds`, by the same operator, in one act; where that begins a period, those
before :attr:`Feed.oldest` go. Removing a name from a board, or dropping it, does so in all its periods; of one period,
in that alone.

**Time to live.** A board whose definition has a ``ttl`` is gone, with its periods, so long after its last submit, or
after it was given a ``ttl`` where it had none.

**Atomicity.** Each call is one act on one state of the board. What an answer holds (score, rank, neighbours) never
mixes two states, unless the store's capabilities say that it may. A call that raised has changed nothing, with one
exception: after :exc:`~laurels.errors.AnswerLost` a store beyond this process may have acted before the connection
broke.

**IdempotencyKey.** An act with a :class:`IdempotencyKey` whose key was used within its lifetime changes nothing and gives the first answer;
it raises KeyReused where the print is another. That holds for acts at the same moment, and across crashes and restarts.
An act that raised has not used its key.

**Visibility.** A change that has been acknowledged is seen by every later read. One that has not is seen by none.

**Capabilities.** What a store does not promise it says beforehand, in its :class:`Capabilities`. Where it is asked for
it all the same it raises :exc:`~laurels.errors.NotKept`: it never gives less in silence.

**Missing.** A name that is not on the board, and a board that does not exist, are answers and no errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from laurels.definition import (
    DEFAULT_DEFINITION,
    LONGEST_TTL_SECONDS,
    Bounds,
    Definition,
    Operator,
    Order,
    Ranking,
    Score,
    Ties,
)
from laurels.errors import NotKept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LONGEST_TTL_SECONDS", "Order", "Score"]

_encode = msgspec.json.Encoder().encode

TTL_SECONDS = 7 * 24 * 60 * 60
"""How long a store that forgets keeps a board after its last submit, unless it is told."""
TTLSeconds = Annotated[int, Meta(ge=1, le=LONGEST_TTL_SECONDS)]
KEY_SECONDS = 24 * 60 * 60
"""How long an idempotency key is remembered."""


class Feed(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A period that a submit feeds beside its board. Names of periods of one window order as their times."""

    window: str
    period: str
    oldest: str = ""
    """The oldest period of the window that is kept, or nothing where all are."""


class Board(Struct, frozen=True):
    """What a store must know of a board, or of one period of a window of it, to act on it."""

    name: str
    definition: Definition = DEFAULT_DEFINITION
    window: str = ""
    period: str = ""
    feeds: tuple[Feed, ...] = ()
    key: str = ""
    """The name under which the store keeps the entries: that of the board, or of board, window and period."""
    single_put: bool = False
    """Whether a submit is no more than one score for one board, which cannot be refused."""

    def __post_init__(self) -> None:
        definition = self.definition
        force_setattr(self, "key", key_of(self.name, self.window, self.period))
        plain = not (self.feeds or definition.ttl or definition.operator == "increment")
        force_setattr(self, "single_put", plain)


def key_of(name: str, window: str = "", period: str = "") -> str:
    """Give the key of a board, or of a period of it; no name holds a line feed, so that no two keys are alike."""
    return f"{name}\n{window}\n{period}" if window else name


class Entry(Struct, frozen=True, gc=False):
    """A name and its score on a board."""

    name: str
    score: Score


class Submission(Struct, frozen=True, gc=False):
    """A score that is submitted for a name, with at most 1 KiB of JSON that is kept with it."""

    name: str
    score: Score
    metadata: bytes | None = None


class Refusal(Struct, frozen=True, gc=False):
    """Why one entry of a batch was not kept; ``index`` is its place in the batch, from 0."""

    index: int
    name: str
    problem: str


class IdempotencyKey(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What makes an act count once: a key, 16 bytes, and a print of what the act is, 16 bytes."""

    key: bytes
    print: bytes


class Standing(Struct, frozen=True, gc=False):
    """Score and rank of one name, of one moment."""

    score: Score
    rank: int


class Ranked(Struct, frozen=True, gc=False):
    """An entry, its rank, and what came with the attempt that counts.

    ``sequence`` is the store's own number for that attempt, by which ties may stand; 0 where it has none.
    ``submitted_at`` is in microseconds since the epoch. ``metadata`` is there only where it was asked for.
    """

    name: str
    score: Score
    rank: int
    sequence: int = 0
    submitted_at: int | None = None
    metadata: bytes | None = None


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
    """Where a score would stand: its rank, how many entries are better, and how many there are."""

    rank: int
    better: int
    count: int


class Change(Struct, frozen=True):
    """What an attempt did: the standing before it, or None for a new name, the one after, and whether it counted."""

    previous: Standing | None
    current: Standing
    counted: bool = True


class Period(Struct, frozen=True, gc=False):
    """A period that has entries, and how many."""

    window: str
    period: str
    count: int


OPERATORS: frozenset[Operator] = frozenset({"latest", "best", "increment"})
TIES: frozenset[Ties] = frozenset({"name", "earliest", "latest"})
RANKINGS: frozenset[Ranking] = frozenset({"ordinal", "competition", "dense"})


class Capabilities(Struct, frozen=True):
    """Which promises a store keeps beyond the contract's own."""

    durable: bool
    """An acknowledged change survives the death of the process and of the machine's power, and no time ends it."""

    one_state: bool = True
    """An answer of several parts is of one state. Without it the score and the rank of a standing may be of two moments
    close together, what :meth:`Store.remove` and :meth:`Store.drop` found may have gone by another hand, and
    :meth:`Store.change`, :meth:`Store.around`, :meth:`Store.entries_named`, :meth:`Store.entries_between_scores`, :meth:`Store.entries_after`,
    :meth:`Store.summary` and :meth:`Store.place` raise NotKept."""

    listing: bool = True
    """The store knows which boards it has. Without it :meth:`Store.names` and :meth:`Store.periods` raise NotKept."""

    defining: bool = True
    """The store keeps definitions. Without it :meth:`Store.define` and :meth:`Store.undefine` raise NotKept, and boards
    are defined by the deployment alone."""

    attempts: bool = True
    """The store keeps what comes with an attempt: its time, its metadata, its key. Without it acts with metadata or
    with a :class:`IdempotencyKey`, and reads that ask for metadata, raise NotKept."""

    windows: bool = True
    """One act can feed several boards."""

    ttl: bool = True
    """A definition may say how long a board stays after its last submit."""

    exact_sums: bool = True
    """Sums are refused where they must be. Without it those beyond 2^53 are rounded as doubles are, and boards under
    ``increment`` have no bounds."""

    batched_sums: bool = True
    """A batch may go to a board under ``increment``. Without it :meth:`Store.submit_many` raises NotKept there."""

    operators: frozenset[Operator] = OPERATORS
    ties: frozenset[Ties] = TIES
    rankings: frozenset[Ranking] = RANKINGS

    def check(self, definition: Definition) -> None:
        """Raise NotKept where boards of this definition cannot be kept."""
        has_bounded_sums = definition.operator == "increment" and definition.scores != Bounds()
        asked = {
            f"keep boards under the operator {definition.operator!r}": definition.operator in self.operators,
            f"order ties by {definition.ties!r}": definition.ties in self.ties,
            f"rank by {definition.ranking!r}": definition.ranking in self.rankings,
            "keep windows beside a board": self.windows or not definition.windows,
            "end boards by a time to live": self.ttl or not definition.ttl,
            "hold sums to the bounds in scores": self.exact_sums or not has_bounded_sums,
        }
        for promise, is_kept in asked.items():
            if not is_kept:
                raise NotKept(promise)


class Store(ABC):
    """A keeper of boards.

    Every method may raise :exc:`~laurels.errors.StoreUnavailable`. Where the store is an account with a service, also
    :exc:`~laurels.errors.LimitReached` and :exc:`~laurels.errors.StoreRefused`.
    """

    capabilities: Capabilities

    @abstractmethod
    async def submit(self, board: Board, name: str, score: Score) -> None:
        """Submit one score, and make the board if there is none; raise ScoreRefused for a sum that cannot be.

        Returns when the change is kept as the store's capabilities say.
        """

    @abstractmethod
    async def change(self, board: Board, attempt: Submission, once: IdempotencyKey | None = None) -> Change:
        """Submit as :meth:`submit` does, and report the standings just before and just after, in one act.

        Raises NotKept, and submits nothing, where the capabilities exclude ``one_state``.
        """

    @abstractmethod
    async def submit_many(
        self, board: Board, batch: Sequence[Submission | Refusal], once: IdempotencyKey | None = None
    ) -> list[Refusal]:
        """Submit all attempts in one act, in their order, and give the refusals, in theirs.

        A refusal in the batch stands for an entry that was refused before, and is given back; the store adds those of
        sums that cannot be. A batch without attempts changes nothing and makes no board.
        """

    async def recall(self, once: IdempotencyKey) -> Change | list[Refusal] | None:  # noqa: ARG002 - for stores with ``attempts``
        """Give the first answer to acts with this key, or None where there is none; raise KeyReused as they do."""
        return None

    @abstractmethod
    async def standing(self, board: Board, name: str) -> Standing | None:
        """Give score and rank of ``name``, or None where it is not on the board."""

    @abstractmethod
    async def page(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> list[Ranked]:
        """Give the entries at the places from ``start`` up to but not including ``stop``, as far as there are any.

        ``noted`` asks for their metadata, here and in the reads below.
        """

    async def page_json(self, board: Board, start: int, stop: int) -> bytes:
        """Give the page as a JSON array of names and scores, to the byte as :func:`msgspec.json.encode` writes it.

        For stores that can write it at less cost than making the entries.
        """
        return _encode([Entry(entry.name, entry.score) for entry in await self.page(board, start, stop)])

    @abstractmethod
    async def around(self, board: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked] | None:
        """Give ``name`` with up to ``span`` entries on either side of it, or None where it is not on the board.

        Raises NotKept without the capability ``one_state``, as do all reads from here to :meth:`place`.
        """

    @abstractmethod
    async def entries_named(self, board: Board, names: Sequence[str], *, with_metadata: bool = False) -> list[Ranked]:
        """Give the entries of those ``names`` that are on the board, in the board's order, each once."""

    @abstractmethod
    async def entries_between_scores(
        self, board: Board, low: Score, high: Score, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        """Give the entries with scores from ``low`` to ``high``, both included, but at most the first ``limit``.

        Either bound may be infinite.
        """

    @abstractmethod
    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        """Give the ``limit`` entries that stand next after the place of ``entry``.

        A place is a score, a sequence and a name, whether or not an entry stands there now: nothing that has kept its
        own place is skipped or given twice, whatever else was submitted or removed meanwhile.
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
        """Remove the board with all its entries in one act; tell whether it was there. Its definition stays."""

    @abstractmethod
    async def names(self, after: str = "", limit: int | None = None) -> list[str]:
        """Give the names of the boards that have entries, sorted by their bytes: all, or the first after a name.

        Raises NotKept without the capability ``listing``.
        """

    @abstractmethod
    async def periods(self, board: Board) -> list[Period]:
        """Give the periods of a board that have entries, by window and from the oldest; NotKept without ``listing``."""

    @abstractmethod
    async def definitions(self) -> Mapping[str, Definition]:
        """Give the definitions that the store keeps, by the names of their boards; none without ``defining``."""

    @abstractmethod
    async def define(self, name: str, definition: Definition) -> None:
        """Keep a board's definition from now on; raise DefinitionConflict where stored entries contradict it.

        They do where they would not stand so, or would not be there, had the definition always been this one: the
        order, the operator and the ties change only while nothing is stored, the time zone while no period is, and a
        window leaves only when it has no periods. Bounds must hold every score of the board.
        """

    @abstractmethod
    async def undefine(self, name: str) -> bool:
        """Forget a board's definition, so that it has the default one; tell whether there was any. Raises as define."""

    @abstractmethod
    async def ready(self) -> None:
        """Return where the store can answer and can write now; raise StoreUnavailable with the reason where not."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way and let go of everything held. Calls after it raise StoreUnavailable."""
