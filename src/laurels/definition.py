"""A board's definition: the rules of the board, as written in a file, in a request, and on disk.

A field that is added here needs a new :data:`~laurels.stores.embedded.sqlite_file.FORMAT`: definitions are in the
journal, and unknown fields are refused.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from laurels.errors import truncate
from laurels.limits import SECONDS, read_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

Order = Literal["descending", "ascending"]
Operator = Literal["latest", "best", "increment"]
Ties = Literal["name", "earliest", "latest"]
Ranking = Literal["ordinal", "competition", "dense"]
Score = int | float
"""A finite number, exactly a double. Whole scores are returned as ``int``."""


class OperatorRules(Struct, frozen=True):
    """What an operator does, as far as the code around the ranking index must know it.

    The index itself (:mod:`laurels.ranking`) applies an operator. A new one is an entry in :data:`OPERATORS`, its name
    in :data:`Operator`, and its arithmetic there.
    """

    words: str
    """What the command line says of it."""
    adds: bool = False
    """The submitted score is a part of a sum: bounds hold for the sum, not for what is submitted."""
    may_refuse: bool = False
    """Whether a good score is kept depends on the one that the name has: only the store can say."""


OPERATORS: Mapping[Operator, OperatorRules] = MappingProxyType(
    {
        "latest": OperatorRules("a score takes the place of the one before"),
        "best": OperatorRules("a score counts where it is better"),
        "increment": OperatorRules("a score is added", adds=True, may_refuse=True),
    }
)

LONGEST_TTL_SECONDS = 10**9
WINDOWS, WINDOW_CHARACTERS, PERIODS_KEPT = 8, 100, 1000
PARTITIONS = 1024
"""How many a board may have."""
LONGEST_RUN_SECONDS = SECONDS["d"]


class Bounds(Struct, frozen=True, forbid_unknown_fields=True):
    """Which scores a board accepts."""

    min: Annotated[Score | None, Meta(description="The least score.", examples=[0])] = None
    max: Annotated[Score | None, Meta(description="The greatest score.", examples=[1_000_000])] = None
    integer: Annotated[bool, Meta(description="Whether only whole scores are accepted.")] = False


class Runs(Struct, frozen=True, forbid_unknown_fields=True):
    """When a player's submit counts as that of a run."""

    required: Annotated[
        bool, Meta(description="Whether a submit with a player's token must carry a run. One with a key need not.")
    ] = False
    min_seconds: Annotated[
        int,
        Meta(ge=0, le=LONGEST_RUN_SECONDS, description="How long after its making a run is accepted at the soonest."),
    ] = 0
    max_seconds: Annotated[
        int,
        Meta(ge=1, le=LONGEST_RUN_SECONDS, description="How long after its making a run is accepted at the latest."),
    ] = 3600


class Guard(Struct, frozen=True, forbid_unknown_fields=True):
    """What a board does against cheating, with every submit that has no operator of its own."""

    max_step: Annotated[
        Score | None,
        Meta(
            description="By how much a submit may improve the player's entry; more is refused with 422. Under "
            "`increment` the score itself, also of a player without an entry.",
            examples=[500],
        ),
    ] = None
    per_player: Annotated[
        Annotated[str, Meta(pattern="^[1-9][0-9]{0,5}/[smhd]$")] | None,
        Meta(
            description="How many entries of one player are taken in a second, minute, hour or day; more are refused "
            "with 429, or in a batch one by one.",
            examples=["10/m"],
        ),
    ] = None
    hold_above: Annotated[
        Score | None,
        Meta(
            description="A score better than this, under `increment` a sum, does not count until somebody who "
            "may moderate has released it.",
            examples=[100_000],
        ),
    ] = None
    runs: Annotated[Runs | None, Meta(description="Players make a run when they begin, and submit with it.")] = None

    @property
    def rate(self) -> tuple[int, int] | None:
        """How many entries of one player are taken in how many seconds, or None if there is no limit."""
        return read_rate(self.per_player) if self.per_player else None


NO_GUARD = Guard()

ScoreFormat = Literal["number", "duration"]
DURATION_UNITS: Mapping[str, int] = MappingProxyType(
    {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6}
)
"""The units of durations, in microseconds."""
TITLE_CHARACTERS, UNIT_CHARACTERS, FIELD_CHARACTERS = 100, 16, 64
FIELDS_SHOWN, AVATAR_HOSTS, DECIMALS = 4, 8, 6
MetadataField = Annotated[str, Meta(min_length=1, max_length=FIELD_CHARACTERS)]


class Display(Struct, frozen=True, forbid_unknown_fields=True):
    """How the board's page shows its entries; nothing of it is in answers as JSON."""

    format: Annotated[
        ScoreFormat, Meta(description="How scores are written: as a `number`, or as a `duration` such as 1:23.456.")
    ] = "number"
    unit: Annotated[
        Annotated[str, Meta(min_length=1, max_length=UNIT_CHARACTERS)] | None,
        Meta(
            description="Of a number what is written behind it; of a duration what the score counts, `us`, `ms`, `s` "
            "(the default), `min` or `h`.",
            examples=["ms"],
        ),
    ] = None
    decimals: Annotated[
        Annotated[int, Meta(ge=0, le=DECIMALS)] | None,
        Meta(description="How many digits are written behind the point. Default: as many as there are."),
    ] = None
    country: Annotated[
        MetadataField | None,
        Meta(
            description="The field of the metadata with the player's country, by its two letters (ISO 3166), which is "
            "shown as a flag.",
            examples=["country"],
        ),
    ] = None
    avatar: Annotated[
        MetadataField | None,
        Meta(
            description="The field of the metadata with the address (https) of the player's picture, which is shown "
            "if its host is one of `avatar_hosts`.",
            examples=["avatar"],
        ),
    ] = None
    avatar_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="The hosts that pictures may come from.",
            examples=[["avatars.example.com"]],
            max_length=AVATAR_HOSTS,
        ),
    ] = ()
    fields: Annotated[
        tuple[MetadataField, ...],
        Meta(
            description="Further fields of the metadata that are shown, each in a column of its own.",
            examples=[["team", "car"]],
            max_length=FIELDS_SHOWN,
        ),
    ] = ()


NO_DISPLAY = Display()
_FORMS = {"anyOf": [{"enum": ["daily", "weekly", "monthly"]}, {"pattern": r"^\S+(\s+\S+){4}$"}]}
Window = Annotated[str, Meta(max_length=WINDOW_CHARACTERS, examples=["0 17 * * FRI"], extra_json_schema=_FORMS)]


class Definition(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules of a board."""

    order: Annotated[
        Order,
        Meta(description="Which scores come first: the higher ones (`descending`), or the lower ones (lap times)."),
    ] = "descending"
    operator: Annotated[
        Operator,
        Meta(
            description="What a submitted score does to the score that the name has: `latest` replaces it, `best` "
            "replaces it if it is better, `increment` is added to it."
        ),
    ] = "latest"
    ties: Annotated[
        Ties,
        Meta(
            description="Which of equal scores comes first: by `name` as sorted sets order members (A before Z when "
            "ascending, Z before A when descending), or the one that was reached `earliest`, or `latest`."
        ),
    ] = "name"
    ranking: Annotated[
        Ranking,
        Meta(description="How ranks count after a tie: `ordinal` 0,1,2,3, `competition` 0,1,1,3, `dense` 0,1,1,2."),
    ] = "ordinal"
    scores: Annotated[
        Bounds, Meta(description="Which scores are accepted. Others are refused with 422, and nothing is stored.")
    ] = Bounds()
    windows: Annotated[
        tuple[Window, ...],
        Meta(
            description="Boards besides the all-time one, fed by the same submit, that begin anew with each period: "
            "`daily`, `weekly` (from Monday), `monthly`, or a cron line such as `0 17 * * FRI`.",
            examples=[["daily", "weekly", "monthly"]],
            max_length=WINDOWS,
        ),
    ] = ()
    time_zone: Annotated[
        str,
        Meta(
            description="The zone of days, weeks, months and cron lines, by its IANA name.",
            examples=["Europe/Berlin"],
        ),
    ] = "UTC"
    keep: Annotated[
        dict[Window, Annotated[int, Meta(ge=1, le=PERIODS_KEPT)]],
        Meta(
            description="How many past periods of a window stay readable besides the current one. Default: all.",
            examples=[{"daily": 30, "weekly": 12}],
        ),
    ] = {}
    ttl: Annotated[
        Annotated[str, Meta(pattern="^[1-9][0-9]*[smhd]$", max_length=11)] | None,
        Meta(
            description="How long the board stays after its last submit: a whole number and `s`, `m`, `h` or `d`.",
            examples=["7d"],
        ),
    ] = None
    guard: Annotated[Guard | None, Meta(description="What the board does against cheating. Default: nothing.")] = None
    title: Annotated[
        Annotated[str, Meta(min_length=1, max_length=TITLE_CHARACTERS)] | None,
        Meta(description="What the board's page is headed. Default: the board's name.", examples=["Mario Kart"]),
    ] = None
    display: Annotated[
        Display | None, Meta(description="How the board's page shows its entries. Default: scores as numbers.")
    ] = None
    partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=PARTITIONS,
            description="Over how many parts of the store its entries are spread, by their names. With more than one "
            "an answer of several parts may be of several moments close together.",
        ),
    ] = 1

    @property
    def operator_rules(self) -> OperatorRules:
        """What the operator does."""
        return OPERATORS[self.operator]

    def is_better(self, score: Score, other: Score) -> bool:
        """Return whether a score comes before another."""
        return score > other if self.order == "descending" else score < other

    @property
    def ttl_seconds(self) -> int | None:
        """How many seconds the board stays after its last submit, or None if no time ends it."""
        return int(self.ttl[:-1]) * SECONDS[self.ttl[-1]] if self.ttl else None


DEFAULT_DEFINITION = Definition()


class BoardsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment declares about its boards."""

    default: Annotated[Definition, Meta(description="The definition of boards that have none of their own.")] = (
        DEFAULT_DEFINITION
    )
    boards: Annotated[dict[str, Definition], Meta(description="The definitions of boards, by name.")] = {}
    declared_only: Annotated[
        bool, Meta(description="Whether scores for boards that have no definition of their own are refused with 404.")
    ] = False


NO_FILE = BoardsFile()


class Stored(Struct, frozen=True):
    """What a board holds that may contradict a change of its definition.

    ``windows`` are those that have periods; ``held`` is how many scores are held, whatever the bounds.
    """

    entries: int
    low: Score
    high: Score
    is_whole: Callable[[], bool]
    windows: AbstractSet[str] = frozenset()
    held: int = 0


class Contradiction(NamedTuple):
    """Why a board cannot have a definition: the field that is the cause, by its pointer (RFC 6901), and the problem."""

    pointer: str
    problem: str


def contradiction(old: Definition, new: Definition, stored: Stored) -> Contradiction | None:
    """Return why a board that holds entries under ``old`` cannot become ``new``, or None if it can."""
    return next(_contradictions(old, new, stored), None)


def _contradictions(old: Definition, new: Definition, stored: Stored) -> Iterator[Contradiction]:
    if stored.entries or stored.held:
        for field in ("order", "operator", "ties"):
            was, wanted = getattr(old, field), getattr(new, field)
            if was != wanted:
                what = "entries that were kept" if stored.entries else "held scores that were submitted"
                problem = f"it has {what} with {field} {was!r}, not {wanted!r}; drop its entries first"
                yield Contradiction(f"/{field}", problem)
        if old.partitions != new.partitions:
            where = f"{old.partitions} partition{'s' * (old.partitions > 1)}"
            problem = f"its entries are in {where}, not {new.partitions}; move them with laurels boards repartition"
            yield Contradiction("/partitions", problem)
    if stored.entries:
        yield from _out_of_bounds(new.scores, stored)
    if stored.windows and old.time_zone != new.time_zone:
        problem = f"it has periods of the time zone {old.time_zone!r}, not {new.time_zone!r}; drop its periods first"
        yield Contradiction("/time_zone", problem)
    for window in sorted(stored.windows - set(new.windows)):
        problem = f"it has periods of the window {window!r}, which would go; drop these periods first"
        yield Contradiction("/windows", problem)


def _out_of_bounds(bounds: Bounds, stored: Stored) -> Iterator[Contradiction]:
    if bounds.min is not None and stored.low < bounds.min:
        low, least = truncate(stored.low), truncate(bounds.min)
        problem = f"it has the score {low}, and scores.min would be {least}; remove such entries first"
        yield Contradiction("/scores/min", problem)
    if bounds.max is not None and stored.high > bounds.max:
        high, greatest = truncate(stored.high), truncate(bounds.max)
        problem = f"it has the score {high}, and scores.max would be {greatest}; remove such entries first"
        yield Contradiction("/scores/max", problem)
    if bounds.integer and not stored.is_whole():
        problem = "it has scores that are not whole, and scores.integer would be true; remove such entries first"
        yield Contradiction("/scores/integer", problem)
