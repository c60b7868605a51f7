"""What every store guarantees.

A store keeps boards. A board is a set of entries, each a name and its score, and a definition, which holds its rules
(:mod:`laurels.definition`). Whatever can be decided without the entries (whether a name or a score is good, how long a
page may be, which period it is) is decided before a store is called: a store is only given what it can keep.

**Order.** Rank 0 is the best: the highest score on a ``descending`` board, the lowest on an ``ascending`` one. Equal
scores are ordered by the board's ``ties``: by ``name`` as sorted sets order their members (by bytes, A before Z when
ascending, Z before A when descending), or with the ``earliest`` or the ``latest`` first, by when the submission that
counts was kept. A *place* is the position of an entry in that order, from 0; pages are made of places. A *rank* is
what the board's ``ranking`` makes of a place: the place itself (``ordinal``), the number of entries that are better
(``competition``), or the number of scores that are better (``dense``).

**Operator.** Under ``latest`` a submitted score replaces the score of the name, under ``best`` it does so only if it is
better, and under ``increment`` it is added. A submission that does not count changes nothing. The time and the metadata
of an entry are those of the last submission that counted. A sum is refused, and changes nothing, if it is not finite,
if it would lose the last digit of whole numbers beyond 2^53, or if the board's bounds exclude it. Bounds hold for the
sum on the board itself, not for those in its windows.

**Another operator.** A :class:`FullSubmission` may bring an operator, by which it alone counts, in windows too. Bounds
hold as ever, those of a sum if it adds; so does what follows, by that operator.

**As of another time.** A :class:`FullSubmission` counts as of the time that it says, which is past: its time is that,
it takes its place among ties by that, behind those of the same time that were kept before, and it feeds the periods in
:attr:`FullSubmission.feeds` instead. Under ``latest`` one that is older than the entry does not count. Under ``best``
an older one of the same score has been there first: the entry takes its time, and its metadata if it has any. Under
``increment`` an older one adds, and the entry keeps its time and its metadata.

**The same score again**, under ``latest`` and ``best``, without metadata or with the very bytes that the entry has,
changes nothing, because that is what a retry looks like; it does renew the board's time to live. With other metadata it
replaces that alone: the entry keeps its time and its place. An addition that leaves the sum as it is changes nothing,
unless it has metadata.

**Hidden names.** A name that is hidden on a board keeps its entries, and its submits go on by the same operator, into
the same periods, under the same bounds and limits. But every read is as though it had none: it has no rank and no
place, is on no list and in no count, and a board or a period where all names are hidden looks like one that does not
exist. Only its own :meth:`Store.standing`, what its own submits change, and :meth:`Store.hidden` tell of it. Its
submits renew the time to live as any do, and what stored entries contradict, theirs do. A name is hidden, with or
without entries, until it is shown: removing its entries, dropping the board, the end of its time and another definition
leave that as it is. Shown again, it has the place that it would have had.

**Guard.** A board whose definition has a guard judges each submission that has no operator of its own, in the order in
which they are kept, after the bounds of a sum. It refuses one that improves the entry on the board itself by more than
``max_step`` (under an operator that adds: the score itself), with ScoreRefused; one beyond ``per_player``, with
TooManyRequests; and one with a run that is used, too old or too short, with RunRefused. What is refused counts for
nothing, in a batch each on its own. What is taken counts for ``per_player`` and uses up its run, whether or not it
changes anything. If it is better than ``hold_above``, or the sum would be, it is *held*: apart from the board and its
windows, which stay as they are, by the same operator, one entry for each name, with its time and metadata. Held entries
go when their name is removed from the board, when the board is dropped, and when its time is over. Whether a submit
needs a run is for its caller to say.

**Windows.** A period of a window is a board of its own, with a key of its own (:attr:`Board.key`). A submit to a board
feeds it and the periods in :attr:`Board.feeds`, by the same operator, in one operation; if that begins a period, the
periods before :attr:`Feed.oldest` are removed. Removing a name from a board, or dropping the board, includes all its
periods; doing so with one period leaves the others.

**Partitions.** A board whose definition has more than one of them gives up the sentence on one state, below, in its
windows, too. The entries of each name are in one partition, and a submit for one name is one operation with all that
it changes there. But reads ask all partitions: while others write, a rank lies between the sum of the least and the sum
of the greatest counts that the partitions had during the read. A batch is one operation for each partition, and its key
has a record in each: if it raised, some entries may have been kept, and a retry with the key completes it. Periods that
are kept no more go from each partition when another one begins there.

**Time to live.** A board whose definition has a ``ttl`` is removed, with its periods, that long after its last submit,
or after it was given a ``ttl`` if it had none. A store whose machine's clock may be wrong (:mod:`laurels.clock`) reads
it as empty from then on, and removes it later; until then, if the clock turns out to have been wrong, or there is
another submit, the board goes on with its entries. So it is with the periods before :attr:`Feed.oldest`.

**Visibility of boards.** Reads of a board that is not :attr:`Board.visible` find it empty. Writes, of which only
:meth:`Store.remove` and :meth:`Store.drop` come for such a board, see its entries.

**Atomicity.** Each call is one operation on one state of the board. What it returns (score, rank, neighbours) never
mixes two states, unless the store's capabilities or the board's partitions say that it may. A call that raised has
changed nothing, but for two exceptions: after :exc:`~laurels.errors.AnswerLost` or
:exc:`~laurels.errors.RestartNeeded` the change may be there, and that of a batch in some partitions.

**Idempotency.** A submit with an :class:`IdempotencyKey` that was used within the last KEY_SECONDS changes nothing and
returns what the first one did; it raises KeyReused if the fingerprint differs. That holds for concurrent calls, and
across crashes and restarts. A submit that raised has not used its key.

**Durability.** A change that has been acknowledged is seen by every later read. One that has not is seen by none.

**Capabilities.** What a store lacks it says beforehand, in its :class:`Capabilities`. If it is asked for it all the
same, it raises :exc:`~laurels.errors.NotKept`: it never does less in silence.

**Missing.** A name that is not on the board, and a board that does not exist, are results and no errors.
"""

# ruff: noqa: ARG002 - a method that a store may lack takes its arguments only to refuse

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, NoReturn, Protocol

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr, replace

from laurels.definition import (
    DEFAULT_DEFINITION,
    LONGEST_TTL_SECONDS,
    OPERATORS,
    Bounds,
    Definition,
    Operator,
    Order,
    Ranking,
    Score,
    Ties,
)
from laurels.errors import NotKept, StoreUnavailable
from laurels.limits import DEFAULT_SUMMARY_BUCKETS, KEY_HOURS, SUMMARY_BUCKETS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence

    from laurels.figures import Figures

__all__ = ["LONGEST_TTL_SECONDS", "Order", "Score"]

_encode = msgspec.json.Encoder().encode

TTL_SECONDS = 7 * 24 * 60 * 60
"""How long a store without durability keeps a board after its last submit, unless it is configured otherwise."""
TTLSeconds = Annotated[int, Meta(ge=1, le=LONGEST_TTL_SECONDS)]
KEY_SECONDS = KEY_HOURS * 60 * 60
"""How long an idempotency key is remembered."""
_NO_BOUNDS = Bounds()
Count = Annotated[int, Meta(ge=0)]
Percentile = Annotated[str, Meta(pattern=r"^(100|[0-9]{1,2}(\.[0-9]{0,3}[1-9])?)$")]
"""A number from 0 to 100 with at most four decimals, in its shortest form."""
PERCENTILES: tuple[Percentile, ...] = ("50", "90", "99")
"""Those of a summary, unless others are asked for."""


class Feed(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A period that a submit feeds besides its board. Names of periods of one window sort as their times do."""

    window: str
    period: str
    oldest: str = ""
    """The oldest period of the window that is kept, or empty if all are."""


class Board(Struct, frozen=True):
    """What a store must know of a board, or of one period of a window of it, to read or write it."""

    name: str
    definition: Definition = DEFAULT_DEFINITION
    window: str = ""
    period: str = ""
    feeds: tuple[Feed, ...] = ()
    visible: bool = True
    """Whether reads see its entries."""
    key: str = ""
    """The name under which the store keeps the entries: that of the board, or of board, window and period."""
    single_put: bool = False
    """Whether a submit is no more than one score for one board, which cannot be refused."""
    takes_any_score: bool = False
    """Whether a submit needs nothing but a good name and a good score: no window to feed, no bounds, no guard."""

    def __post_init__(self) -> None:
        """Derive the last three fields, whatever was passed for them.

        They are needed for every request. As properties they would be computed each time; as fields of a frozen struct
        they can only be set like this, before anybody else sees it.
        """
        definition = self.definition
        force_setattr(self, "key", key_of(self.name, self.window, self.period))
        may_refuse = definition.operator_rules.may_refuse
        force_setattr(self, "single_put", not (self.feeds or definition.ttl or definition.guard or may_refuse))
        has_rules = definition.windows or definition.scores != _NO_BOUNDS or definition.guard
        force_setattr(self, "takes_any_score", self.visible and not has_rules)


def key_of(name: str, window: str = "", period: str = "") -> str:
    """Return the key of a board, or of a period of it. No name has a line feed, so no two keys are equal."""
    return f"{name}\n{window}\n{period}" if window else name


class Entry(Struct, frozen=True, gc=False):
    """A name and its score on a board."""

    name: str
    score: Score


class EntryWithMetadata(Entry, frozen=True, rename="camel", gc=False):
    """An entry of a page with metadata; ``metadata_damaged`` is true, or left out."""

    metadata: msgspec.Raw
    metadata_damaged: bool | msgspec.UnsetType = msgspec.UNSET


class Run(Struct, frozen=True, gc=False):
    """A run, and when it is accepted at the latest, in microseconds since the epoch."""

    run: str
    expires_at: int


class Submission(Struct, frozen=True, gc=False):
    """A score that is submitted for a name, with at most 1 KiB of JSON that is kept with it."""

    name: str
    score: Score
    metadata: bytes | None = None


class FullSubmission(Submission, frozen=True, gc=False):
    """A submission with options: it may count as of another time, by another operator than the board's, or use a run.

    ``submitted_at`` is in microseconds since the epoch, None for now. It feeds the periods in ``feeds``, those of then.
    """

    submitted_at: int | None = None
    feeds: tuple[Feed, ...] = ()
    operator: Operator | None = None
    run: str | None = None
    """The run that it uses up, as the store made it."""


class Refusal(Struct, frozen=True, gc=False):
    """Why one entry of a batch was not kept; ``index`` is its position in the batch, from 0."""

    index: int
    name: str
    problem: str


class IdempotencyKey(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What makes a submit count once: 16 bytes that identify the client's key, and 16 that identify the request."""

    key: bytes
    fingerprint: bytes


class Standing(Struct, frozen=True, gc=False):
    """Score and rank of one name, at one moment; only a hidden one has no rank."""

    score: Score
    rank: Count | None


class HiddenStanding(Standing, frozen=True, gc=False):
    """The standing of a hidden name; its score is 0 if it has no entry."""

    rank: None = None
    hidden: Literal[True] = True


class HiddenName(Struct, frozen=True, gc=False):
    """A hidden name, and its entry if it has one, otherwise None for all that follows; as in :class:`Ranked`."""

    name: str
    score: Score | None = None
    submitted_at: int | None = None
    metadata: bytes | None = None
    is_metadata_damaged: bool = False


class Ranked(Struct, frozen=True, gc=False):
    """An entry, its rank, and the details of the submission that counts.

    ``sequence`` is the store's own number for that submission, by which ties may be ordered; 0 if the store has none.
    ``tick`` is what comes before that if the submission was dated, otherwise -1. ``submitted_at`` is in microseconds
    since the epoch. ``metadata`` is None unless it was asked for;
    ``is_metadata_damaged`` says that there is some, but that it is not what was written.
    """

    name: str
    score: Score
    rank: int
    sequence: int = 0
    submitted_at: int | None = None
    metadata: bytes | None = None
    is_metadata_damaged: bool = False
    tick: int = -1


class Entries(list[Ranked]):
    """Entries of one state of a board, in its order. What follows is only there if it was asked for.

    ``places`` are theirs, and ``total`` is how many entries the board has.
    """

    __slots__ = ("places", "total")

    def __init__(self, entries: Iterable[Ranked] = (), places: Sequence[int] = (), total: int = 0) -> None:
        super().__init__(entries)
        self.places = places
        self.total = total


class FullStanding(Struct, frozen=True):
    """All there is to say of one name on a board, of one moment.

    ``place`` and ``better``, how many entries are better, are None if it has no rank; ``total`` is how many entries the
    board has. ``submitted_at``, ``metadata`` and ``is_metadata_damaged`` are those of its entry, hidden or not, as in
    :class:`Ranked`. ``windows`` are its standings in the periods that were asked for, None where it has no entry;
    ``window_names`` says which windows these are of, once ``boards.py`` knows that.
    """

    standing: Standing | None = None
    place: int | None = None
    better: int | None = None
    total: int = 0
    submitted_at: int | None = None
    metadata: bytes | None = None
    is_metadata_damaged: bool = False
    windows: Sequence[Standing | None] = ()
    window_names: Sequence[str] = ()
    held: Ranked | None = None

    def with_details(self, entry: Sequence[Ranked], held: Sequence[Ranked]) -> FullStanding:
        """Return it with the details of its entry, and with what is held, if there are such."""
        of, kept = entry[0] if entry else Ranked("", 0, 0), held[0] if held else None
        return replace(
            self,
            submitted_at=of.submitted_at,
            metadata=of.metadata,
            is_metadata_damaged=of.is_metadata_damaged,
            held=kept,
        )


class Bucket(Struct, frozen=True, rename={"low": "from", "high": "to"}, gc=False):
    """How many entries have scores from ``low`` up to but not including ``high``; the last bucket includes it."""

    low: Score
    high: Score
    count: Count


class Summary(Struct, frozen=True):
    """A board in a few figures, of one moment.

    ``best`` is the score of rank 0 and ``worst`` that of the last rank. Percentiles are by nearest rank and count from
    the worst entry, whatever the order: that of p is the worst score that at least p percent of the entries do not
    surpass, so the 99th is near the best. The histogram has buckets of equal width from the least score to the
    greatest, fewer than were asked for if doubles are not that close, and one if all scores are equal. Of a board that
    does not exist the scores are None, and there are no buckets.
    """

    count: Count
    best: Score | None
    worst: Score | None
    percentiles: dict[Percentile, Score | None]
    histogram: Annotated[list[Bucket], Meta(max_length=SUMMARY_BUCKETS)]


class Place(Struct, frozen=True, gc=False):
    """The place of a score that need not be on the board: its rank, how many entries are better, and how many exist."""

    rank: int
    better: int
    count: int


class Change(Struct, frozen=True):
    """What a submission did: the standing before it, or None for a new name, and the one after.

    ``counted`` says whether it changed an entry, on the board or in one of its windows, or the metadata of one, and
    ``held`` that it does not count yet; then the name may have no entry after it either.
    """

    previous: Standing | None
    current: Standing
    counted: bool = True
    held: bool = False


class SubmitResult(Struct, frozen=True):
    """What there is to say of a submit.

    ``refusals`` are those of a batch, by their index: every other entry was kept. ``changes`` has one element for each
    submission that was kept, in their order, if changes were asked for; it is empty if not.
    """

    refusals: Sequence[Refusal] = ()
    changes: Sequence[Change] = ()


class Period(Struct, frozen=True, gc=False):
    """A period that has entries, and how many."""

    window: str
    period: str
    count: int


class PeriodRange(Struct, frozen=True, gc=False):
    """The periods of a window from one name to another, both included; neither need be there."""

    window: str
    first: str
    last: str


TIES: frozenset[Ties] = frozenset({"name", "earliest", "latest"})
RANKINGS: frozenset[Ranking] = frozenset({"ordinal", "competition", "dense"})


class Capabilities(Struct, frozen=True):
    """Which features a store has that not every store has."""

    durable: bool
    """An acknowledged change survives a killed process and a power cut, and does not expire."""

    one_state: bool = True
    """A result of several parts is of one state. Without it the score and the rank of a standing may be of two moments
    close together, another client may have removed what :meth:`Store.remove` and :meth:`Store.drop` found, and
    ``want_changes`` of :meth:`Store.submit`, :meth:`Store.around`, :meth:`Store.entries_named`,
    :meth:`Store.entries_between_scores`, :meth:`Store.entries_after`, :meth:`Store.summary` and :meth:`Store.place`
    raise NotKept."""

    listing: bool = True
    """The store knows which boards it has. Without it :meth:`Store.names` and :meth:`Store.periods` raise NotKept."""

    defining: bool = True
    """The store keeps definitions. Without it :meth:`Store.define` and :meth:`Store.undefine` raise NotKept, and boards
    are defined by the deployment alone."""

    submission_details: bool = True
    """The store keeps the details of a submission: its time, its metadata, its idempotency key. Without it submits with
    metadata, with a time or with an :class:`IdempotencyKey`, and reads that ask for metadata, raise NotKept."""

    windows: bool = True
    """One submit can feed several boards."""

    ttl: bool = True
    """A definition may say how long a board stays after its last submit."""

    hiding: bool = True
    """Names can be hidden. Without it :meth:`Store.hide`, :meth:`Store.show` and :meth:`Store.hidden` raise NotKept."""

    exact_sums: bool = True
    """Sums are refused as the contract says. Without it those beyond 2^53 are rounded as doubles are, and boards whose
    operator adds have no bounds."""

    batched_sums: bool = True
    """A batch may go to a board whose operator adds. Without it :meth:`Store.submit` raises NotKept there."""

    guarding: bool = True
    """A definition may have a guard. Without it a submission with an operator of its own, too, raises NotKept."""

    backups: bool = False
    """The store makes backups of itself. Without it :meth:`Store.backup` raises NotKept."""

    partitioning: bool = False
    """A definition may spread a board over partitions; ``one_state`` does not hold for it then."""

    operators: frozenset[Operator] = frozenset(OPERATORS)
    ties: frozenset[Ties] = TIES
    rankings: frozenset[Ranking] = RANKINGS

    def check(self, definition: Definition) -> None:
        """Raise NotKept if the store cannot keep boards of this definition."""
        has_bounded_sums = definition.operator_rules.adds and definition.scores != _NO_BOUNDS
        features = {
            f"keep boards under the operator {definition.operator!r}": definition.operator in self.operators,
            f"order ties by {definition.ties!r}": definition.ties in self.ties,
            f"rank by {definition.ranking!r}": definition.ranking in self.rankings,
            "keep windows beside a board": self.windows or not definition.windows,
            "end boards by a time to live": self.ttl or not definition.ttl,
            "hold sums to the bounds in scores": self.exact_sums or not has_bounded_sums,
            "guard a board against cheating": self.guarding or not definition.guard,
        }
        for feature, is_kept in features.items():
            if not is_kept:
                raise NotKept(feature)
        if definition.partitions > 1 and not self.partitioning:
            raise NotKept("spread a board over partitions", "a store on Redis")


class Taken(NamedTuple):
    """What a meter says of a request: whether it was counted, and in how many seconds the next are due at the rate."""

    is_counted: bool
    requests_due: float
    submits_due: float


class SharedMeters(Protocol):
    """Meters of requests that all processes over a store share."""

    def take(self, subject: str, requests: tuple[float, float], submits: tuple[float, float]) -> Awaitable[Taken]:
        """Count a request of a subject, unless it must wait: one act.

        A limit is an interval and a tolerance in seconds, as :mod:`laurels.access.rates` explains them; an interval of
        0 is none. Raises as the store's methods. Waits for nothing but what those wait for.
        """


class Store(ABC):
    """Keeps boards.

    A store has eight methods of its own: the abstract ones. All others refuse by themselves, as a store's capabilities
    must then say, or do what any store can do. It sets :attr:`is_closed` in :meth:`close`.

    Every method may raise :exc:`~laurels.errors.StoreUnavailable`. Those that add something raise
    :exc:`~laurels.errors.StoreFull` if the store holds as much as its operator allows. Of a batch the entries for which
    there is no room are refused each on its own, if any other is left. If the store is an account with a service, also
    :exc:`~laurels.errors.LimitReached` and :exc:`~laurels.errors.StoreRefused`.
    """

    capabilities: Capabilities
    waits_inline: ClassVar[bool] = False
    """Whether its methods wait for nothing but futures that declare ``drives_inline``, ask for no current task and set
    no context variables. Adapters then spare the core operations a task and a context of their own."""
    shares_definitions: ClassVar[bool] = False
    """Whether other processes may define its boards. Then any method may raise DefinitionChanged, which has changed
    nothing: it is called again with the board as it is defined now."""
    reads_at_once: ClassVar[int] = 1
    """How many reads take little longer than one, if they are begun together; 1 if a read waits for nothing."""
    instead_of_backups: ClassVar[str] = "Copy its boards with `laurels export` or `laurels move`."
    """What an operator does who would take a backup, and cannot."""
    is_closed = False
    meters: SharedMeters | None = None
    """Those that all processes over the store share, if it has such."""

    def trace_calls(self) -> None:  # noqa: B027 - a store may have no calls, or always know of spans
        """Make spans of the calls that are made for requests whose own span is recorded.

        Without it no time is spent to ask whether there is such a request.
        """

    def _check_open(self) -> None:
        if self.is_closed:
            raise StoreUnavailable("The store is closed")

    def _refuse(self, feature: str) -> NoReturn:
        """Raise NotKept; StoreUnavailable if the store is closed, which the caller must know first."""
        self._check_open()
        raise NotKept(feature)

    # Writes

    @abstractmethod
    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        """Submit one score, or a batch in its order, in one operation; make the board if there is none.

        Returns when the changes are kept as the store's capabilities say. A result that would be empty, because
        everything was kept and no changes were asked for, may be None; that of one submission always is then. (Most
        submits are so, and an object for each would show in their cost.)

        One submission raises ScoreRefused for a sum that cannot be kept. A batch goes on without those that are
        refused: the result has them, and those that were in the batch as refusals already. A batch that holds no
        submission changes nothing and makes no board, but does use its key.

        ``want_changes`` asks for the standings just before and just after one submission, in the same operation.
        Raises NotKept, and submits nothing, without the capability ``one_state``; so far also for a batch.
        """

    async def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> bool:
        """Replace the metadata of an entry, and of those in :attr:`Board.feeds`, or with None take it away.

        Score, time and place stay. Returns whether the name is on the board; if not, nothing changes. Raises NotKept
        without ``submission_details``.
        """
        self._refuse("keep metadata")

    @abstractmethod
    async def remove(self, board: Board, name: str) -> bool:
        """Remove ``name``; return whether it was there. A board without entries no longer exists."""

    @abstractmethod
    async def drop(self, board: Board) -> bool:
        """Remove the board with all its entries in one operation; return whether it existed. Its definition stays."""

    async def hide(self, board: Board, name: str) -> bool:
        """Hide ``name`` on the board and in its periods; return whether it was not hidden.

        Raises NotKept without the capability ``hiding``.
        """
        self._refuse("hide names")

    async def show(self, board: Board, name: str) -> bool:
        """Let a hidden name be as any other again; return whether it was hidden. Raises NotKept as :meth:`hide`."""
        self._refuse("hide names")

    # The guard, with the capability guarding

    async def make_run(self, board: Board, name: str) -> Run:
        """Return a run for ``name``, which one submit can use up; it is accepted as the board's guard says.

        Raises NotKept, here and in the methods below, without the capability ``guarding``.
        """
        self._refuse("guard a board against cheating")

    async def held(self, board: Board, after: Ranked | None = None, limit: int | None = None) -> list[Ranked]:
        """Return the held entries of a board with their metadata, best first: all, or the first after the place of one.

        Their ranks mean nothing.
        """
        self._refuse("guard a board against cheating")

    async def held_entry(self, board: Board, name: str, *, with_metadata: bool = False) -> Ranked | None:
        """Return what is held of ``name``, None if that is nothing."""
        self._refuse("guard a board against cheating")

    async def release(self, board: Board, held: Ranked) -> bool:
        """Let a held entry count as of its time, on the board and in :attr:`Board.feeds`, past the guard.

        Returns False, and changes nothing, if it is held no more, or another one is in its place. Raises ScoreRefused
        as :meth:`submit` does; then it stays held.
        """
        self._refuse("guard a board against cheating")

    async def reject(self, board: Board, name: str) -> bool:
        """Forget what is held of ``name``; return whether that was anything."""
        self._refuse("guard a board against cheating")

    def may_know(self, idempotency_key: IdempotencyKey) -> bool:
        """Return whether a submit with this key may have to wait until it is known what the first one did.

        One that need not is ordered among other writes as soon as it is awaited, like one without a key.
        """
        return True

    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:
        """Return all that is known of the first submit with this key, or None if there was none.

        Raises KeyReused as :meth:`submit` does. For stores with ``submission_details``.
        """
        return None

    # Reads

    @abstractmethod
    async def standing(self, board: Board, name: str) -> Standing | None:
        """Return score and rank of ``name``, or None if it is not on the board; HiddenStanding if it is hidden."""

    async def standing_in_full(
        self,
        board: Board,
        name: str,
        periods: Sequence[Board] = (),
        *,
        with_metadata: bool = False,
        with_held: bool = False,
    ) -> FullStanding:
        """Return all there is to say of ``name``, with its standings in these ``periods`` of the board.

        Without the capability ``one_state`` it is not told how many are better, and what is may be of several moments.
        Raises NotKept for ``with_metadata`` without ``submission_details``, for ``with_held`` without ``guarding``.
        """
        if with_metadata:
            self._refuse("give metadata")
        if with_held:
            self._refuse("guard a board against cheating")
        standing = await self.standing(board, name)
        windows = [await self.standing(period, name) for period in periods]
        place = standing.rank if standing and board.definition.ranking == "ordinal" else None
        return FullStanding(standing, place, total=await self.count(board), windows=windows)

    @abstractmethod
    async def page(
        self, board: Board, start: int, stop: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        """Return the entries at the places from ``start`` up to but not including ``stop``, as far as there are any.

        ``with_places`` asks here and in the reads below for what :class:`Entries` have beside their entries. Raises
        NotKept for ``with_metadata``, here and below, without ``submission_details``.
        """

    async def page_json(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> bytes:
        """Return the page as a JSON array of names and scores, with the very bytes of :func:`msgspec.json.encode`.

        ``with_metadata`` adds that as a third field. For stores that can write it at less cost than making the entries.
        """
        page = await self.page(board, start, stop, with_metadata=with_metadata)
        if not with_metadata:
            return _encode([Entry(entry.name, entry.score) for entry in page])
        return _encode(
            [
                EntryWithMetadata(
                    entry.name,
                    entry.score,
                    msgspec.Raw(entry.metadata or b"null"),
                    entry.is_metadata_damaged or msgspec.UNSET,
                )
                for entry in page
            ]
        )

    @abstractmethod
    async def count(self, board: Board) -> int:
        """Return the number of entries, 0 for a board that does not exist."""

    # Reads that need the capability one_state

    async def around(  # noqa: PLR0913 - the options of a read
        self,
        board: Board,
        name: str,
        span: int,
        limit: int | None = None,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
    ) -> Entries | None:
        """Return ``name`` with up to ``span`` entries on either side of it, or None if it is not on the board.

        With a ``limit`` instead so many entries in all, as :func:`~laurels.stores.neighbours.places_around` has them.
        """
        self._refuse("give the neighbours of a name")

    async def entries_named(
        self, board: Board, names: Sequence[str], *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        """Return the entries of those ``names`` that are on the board, in the board's order, each once."""
        self._refuse("give the ranks of several names")

    async def entries_between_scores(  # noqa: PLR0913 - the options of a read
        self,
        board: Board,
        low: Score,
        high: Score,
        limit: int,
        *,
        with_metadata: bool = False,
        with_places: bool = False,
    ) -> Entries:
        """Return the entries with scores from ``low`` to ``high``, both included, but at most the first ``limit``.

        Either bound may be infinite.
        """
        self._refuse("give the ranks of the entries between two scores")

    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        """Return the ``limit`` entries that come next after the place of ``entry``.

        That place is given by score, tick, sequence and name, whether or not an entry is there now: no entry that has
        kept its own place is skipped or returned twice, whatever else was submitted or removed meanwhile.
        """
        self._refuse("go on after an entry")

    async def summary(
        self, board: Board, percentiles: Sequence[Percentile] = PERCENTILES, buckets: int = DEFAULT_SUMMARY_BUCKETS
    ) -> Summary:
        """Return the board in a few figures, at a cost that grows at most with the logarithm of its size."""
        self._refuse("sum a board up")

    async def place(self, board: Board, score: Score) -> Place:
        """Return the place that ``score`` would have; the board stays as it is."""
        self._refuse("tell the rank of a score")

    # Hidden names, with the capability hiding

    async def hidden(
        self, board: Board, after: str = "", limit: int | None = None, *, with_metadata: bool = False
    ) -> list[HiddenName]:
        """Return the hidden names of a board, by their bytes: all, or the first after a name.

        Each with its entry on the board, or in the period that ``board`` is. Raises NotKept without ``hiding``.
        """
        self._refuse("hide names")

    # Who looks on

    def watch(self, board: str, changed: Callable[[], object] | None) -> bool:
        """Call ``changed`` when a board may have changed, from now on, until it is None; return whether that is done.

        After every change that a read of the board or of one of its periods could see, whoever made it: submits,
        batches, removals, hidden names, metadata. Once is enough for many changes, once too
        often does no harm; never before a read would see it, and soon after. It is called in the loop, does next to
        nothing, and never raises. A store that hears of changes from elsewhere calls it as well whenever it may have
        missed one: when it has begun to listen, or could not for a moment.

        There is one for each board. Of definitions nothing is told here, nor of what only the time changes: a period
        that begins, a board that ends. A store that returns False is read again and again instead.
        """
        return False

    # Boards and periods, with the capability listing

    async def names(self, after: str = "", limit: int | None = None) -> list[str]:
        """Return the names of the boards that have entries, sorted by their bytes: all, or the first after a name."""
        self._refuse("list its boards")

    async def periods(
        self, board: Board, ranges: Sequence[PeriodRange] | None = None, limit: int | None = None
    ) -> list[Period]:
        """Return the periods of a board that have entries, by window and from the oldest.

        Only those in the ranges, in their order, if there are any; of all at most the first ``limit``.
        """
        self._refuse("list the periods of a board")

    # Definitions, with the capability defining

    def measure(self) -> Figures:
        """Return figures of the store for its operator, by their names, at no cost that grows with it."""
        return {}

    def warnings(self) -> Sequence[str]:
        """Return sentences about what does not keep the store from working, and needs its operator all the same."""
        return ()

    @property
    def default_definition(self) -> Definition:
        """The definition of boards that have none of their own, as it was last declared, if the store keeps that."""
        return DEFAULT_DEFINITION

    async def definitions(self) -> Mapping[str, Definition]:
        """Return the definitions that the store keeps, by the names of their boards; none without ``defining``.

        The mapping is the store's own: it shows every later change.
        """
        self._check_open()
        return {}

    async def define(self, name: str, definition: Definition) -> None:
        """Keep a board's definition from now on; raise DefinitionConflict if stored entries contradict it.

        They do if they would not be in this order, or would not be there, had the definition always been this one: the
        order, the operator and the ties change only while nothing is stored, the time zone while no period is, and a
        window can only be left out when it has no periods. Bounds must include every score of the board.
        """
        self._refuse("keep definitions")

    async def undefine(self, name: str) -> bool:
        """Forget a board's definition, so that it has the default one; return whether it had any. Raises as define."""
        self._refuse("keep definitions")

    def repartition(
        self, name: str, count: int, check: Callable[[Definition], object]
    ) -> AsyncGenerator[tuple[int, int], None]:
        """Move the entries of a board to so many partitions, while others read and write, with :attr:`partitioning`.

        Yields how many names this call has moved, and how many entries are left; a call that was stopped is completed
        by another one. Meanwhile each name is read once, but counts and ranks may be too high by the few that are just
        on their way. ``check`` raises if a board cannot have that definition. Raises DefinitionConflict if the entries
        are being moved to another number.
        """
        raise NotKept("spread a board over partitions", "a store on Redis")

    async def declare(self, definitions: Mapping[str, Definition], default: Definition) -> None:
        """Keep what the deployment itself declares: these definitions, and the one of all boards that have none.

        Raises DefinitionConflict as :meth:`define` does, and has then kept none of them. The caller sees to it that
        there is no submit meanwhile. These boards get in however full the store is. A store without ``defining`` has
        nothing to keep: it takes each board's definition from the board.
        """
        self._check_open()

    # What other processes define, if it shares definitions

    def follow(self, changed: Callable[[str], object]) -> None:  # noqa: B027 - most share none
        """Call ``changed`` with the name of a board as soon as it is known that its definition is another."""

    def default_of(self, name: str, default: Definition) -> Definition:
        """Return the definition of a board that has none of its own: ``default``, or that of who made it."""
        return default

    async def learn(self, name: str = "") -> None:  # noqa: B027 - likewise
        """Know how a board is defined now, or without a name which boards are, and how."""

    # Copies of everything, with the capability backups

    def backup(self) -> AsyncGenerator[bytes, None]:
        """Return a backup of all that the store keeps, as :mod:`laurels.backup` reads it, to be iterated over once.

        It is of one moment after its first chunk, and whole when its last one was taken; meanwhile reads and writes go
        on. It is closed if it is not read to its end. Raises NotKept at once without ``backups``; its steps raise
        BackupAbandoned if the store cannot wait for its reader any longer, and StoreErrors.
        """
        self._check_open()
        raise NotKept("make backups", advice=f" {self.instead_of_backups}")

    # The store itself

    @abstractmethod
    async def ready(self) -> None:
        """Return if the store can read and write now; raise StoreUnavailable with the reason if not."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way and release everything held. Calls after it raise StoreUnavailable."""
