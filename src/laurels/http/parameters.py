"""The parameters of requests. Each knows its form, bounds, default and words, reads itself, and documents itself.

    in the path      PathName
    in the query     Whole · Number · RequiredNumber · Text · Choice · Time · Names · Fields · Percentiles
    in the headers   Preference · Key · Tags

To add one: make it here, and name it in the parameters of an operation or a read, whose handler gets what it reads.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec import Struct

from laurels.entries import RESERVED
from laurels.errors import BadParameter, truncate
from laurels.http.headers import REPRESENTATION, read_tags, wants_representation
from laurels.limits import (
    AUDIT_RECORDS,
    BOARDS_LISTED,
    DEFAULT_AUDIT_RECORDS,
    DEFAULT_BOARDS_LISTED,
    DEFAULT_HELD_LISTED,
    DEFAULT_PAGE_ENTRIES,
    DEFAULT_SPAN_ENTRIES,
    DEFAULT_SUMMARY_BUCKETS,
    HELD_LISTED,
    HIDDEN_LISTED,
    KEY_CHARACTERS,
    KEY_HOURS,
    KEYS_LISTED,
    LARGEST_NUMBER,
    LIVE_VIEWS,
    NAME_BYTES,
    NAMES_ASKED,
    PAGE_ENTRIES,
    PERCENTILES_ASKED,
    PERIODS_LISTED,
    SPAN_ENTRIES,
    SUMMARY_BUCKETS,
)
from laurels.stores.contract import PERCENTILES
from laurels.web.console import NAMES as CONSOLE_FILES
from laurels.wording import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.http.messages import Headers
    from laurels.http.query import Query
    from laurels.stores.contract import Percentile, Score

Schema = dict[str, Any]
Where = Literal["path", "query", "header"]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": NAME_BYTES}  # characters there: looser than the rule
_PERCENTILE = re.compile(r"100(?:\.0{1,4})?|[1-9]?[0-9](?:\.[0-9]{1,4})?")
_NO_CONTROLS = r"[^\x00-\x1f\x7f-\x9f]+$"


class Parameter(Struct, frozen=True, kw_only=True):
    """A named part of a request."""

    name: str
    about: str
    example: str | None = None
    home: str = ""
    """The read of a board that it goes with, if it goes with one alone."""
    where: ClassVar[Where] = "query"
    is_required: ClassVar[bool] = False
    is_repeated: ClassVar[bool] = False
    """Whether each value of a list is a parameter of its own; otherwise they are one, separated by commas."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The JSON Schema of its value."""


class Input(Parameter, frozen=True, kw_only=True):
    """A parameter of the query or the headers."""

    @abstractmethod
    def read(self, query: Query, headers: Headers) -> Any:
        """Return its value, or its default if it is missing; raise BadParameter for one of the wrong form."""


class PathName(Parameter, frozen=True, kw_only=True):
    """A segment of the path. The router decodes it, and :mod:`laurels.entries` has the rules of names."""

    reserved: tuple[str, ...]
    where: ClassVar[Where] = "path"
    is_required: ClassVar[bool] = True

    @property
    def schema(self) -> Schema:
        """Names but the reserved ones."""
        return {**NAME, "pattern": rf"^(?!(?:{'|'.join(self.reserved)})$){_NO_CONTROLS}"}


class FileName(PathName, frozen=True, kw_only=True):
    """The name of one of the files of the console."""

    @property
    def schema(self) -> Schema:
        """The names that there are."""
        return {"enum": list(CONSOLE_FILES), "type": "string"}


class Whole(Input, frozen=True, kw_only=True):
    """A whole number from ``least`` to ``most``."""

    least: int = 0
    most: int = LARGEST_NUMBER
    default: int | None = None

    @property
    def schema(self) -> Schema:
        """An integer with its bounds."""
        bounds: Schema = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return bounds if self.default is None else {**bounds, "default": self.default}

    def read(self, query: Query, headers: Headers) -> int | None:
        """Return the number, or the default."""
        if self.name not in query:
            return self.default
        number = query.number(self.name)
        if not self.least <= number <= self.most:
            raise BadParameter(self.name, f"{self.name} is {number}: it must be from {self.least} to {self.most:,}.")
        return number


class Number(Input, frozen=True, kw_only=True):
    """A score, read as in the body of a submit."""

    @property
    def schema(self) -> Schema:
        """Any number."""
        return {"type": "number"}

    def read(self, query: Query, headers: Headers) -> Score | None:
        """Return the score, or None."""
        return query.score(self.name) if self.name in query else None


class RequiredNumber(Number, frozen=True, kw_only=True):
    """A score that must be there; ``missing`` is the error if it is not."""

    missing: str
    is_required: ClassVar[bool] = True

    def read(self, query: Query, headers: Headers) -> Score:
        """Return the score."""
        score = super().read(query, headers)
        if score is None:
            raise BadParameter(self.name, self.missing)
        return score


class Text(Input, frozen=True, kw_only=True):
    """Any text, or a name on a board."""

    is_name: bool = False

    @property
    def schema(self) -> Schema:
        """A string."""
        return NAME if self.is_name else TEXT

    def read(self, query: Query, headers: Headers) -> str | None:
        """Return the text, or None."""
        return query.text(self.name) if self.name in query else None


class Choice(Input, frozen=True, kw_only=True):
    """One of some words."""

    choices: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """The words."""
        return {"type": "string", "enum": list(self.choices)}

    def read(self, query: Query, headers: Headers) -> str | None:
        """Return the word, or None."""
        if self.name not in query:
            return None
        word = query.text(self.name)
        if word not in self.choices:
            right = " or ".join(self.choices)
            raise BadParameter(self.name, f"{self.name} is {truncate(word)!r}: it must be {right}.")
        return word


class Time(Input, frozen=True, kw_only=True):
    """An instant, as RFC 3339 has it."""

    @property
    def schema(self) -> Schema:
        """A string."""
        return {**TEXT, "format": "date-time"}

    def read(self, query: Query, headers: Headers) -> datetime | None:
        """Return the instant, or None."""
        if self.name not in query:
            return None
        text = query.text(self.name)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            right = "an instant with its time zone, such as 2026-11-20T10:00:00Z, and a plus in it %2B"
            raise BadParameter(self.name, f"{self.name} is {truncate(text)!r}: it must be {right}.")
        return found


class Names(Input, frozen=True, kw_only=True):
    """Names, each a parameter of its own."""

    most: int
    is_repeated: ClassVar[bool] = True

    @property
    def schema(self) -> Schema:
        """A list of distinct names."""
        return {"type": "array", "items": NAME, "minItems": 1, "maxItems": self.most, "uniqueItems": True}

    def read(self, query: Query, headers: Headers) -> Sequence[str]:
        """Return them all."""
        return query.texts(self.name) if self.name in query else []


class Views(Input, frozen=True, kw_only=True):
    """Queries, each a parameter of its own."""

    most: int
    is_repeated: ClassVar[bool] = True

    @property
    def schema(self) -> Schema:
        """A list of texts."""
        return {"type": "array", "items": TEXT, "minItems": 1, "maxItems": self.most}

    def read(self, query: Query, headers: Headers) -> Sequence[str]:
        """Return them all."""
        texts = query.texts(self.name) if self.name in query else []
        if len(texts) > self.most:
            raise BadParameter(self.name, f"{len(texts)} views are asked for: ask for at most {self.most}.")
        return texts


class Fields(Input, frozen=True, kw_only=True):
    """Some of the ``known`` fields, separated by commas; of these ``elsewhere`` only go with other reads."""

    known: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """A list of choices."""
        return {"type": "array", "items": {"enum": list(self.known)}, "minItems": 1}

    def read(self, query: Query, headers: Headers) -> frozenset[str]:
        """Return the fields asked for. Many clients repeat the parameter instead: that is the same."""
        fields = ",".join(query.texts(self.name)).split(",") if self.name in query else []
        for field in fields:
            if field not in self.known:
                problem = (
                    f"{field} goes with a page, not here"
                    if field in self.elsewhere
                    else f"There is no field {truncate(field)!r} to include{suggest(field, self.known)}"
                )
                raise BadParameter(self.name, f"{problem}. There are {list_words(self.known)}.")
        return frozenset(fields)


class Percentiles(Input, frozen=True, kw_only=True):
    """Numbers from 0 to 100 with at most four decimals, separated by commas."""

    most: int
    default: tuple[Percentile, ...]

    @property
    def schema(self) -> Schema:
        """A list of distinct numbers."""
        number: Schema = {"type": "number", "minimum": 0, "maximum": 100}
        return {"type": "array", "items": number, "minItems": 1, "maxItems": self.most, "uniqueItems": True}

    def read(self, query: Query, headers: Headers) -> tuple[Percentile, ...]:
        """Return them in their shortest form, or the default."""
        if self.name not in query:
            return self.default
        texts = ",".join(query.texts(self.name)).split(",")
        if len(texts) > self.most:
            problem = f"{len(texts)} percentiles are asked for: ask for at most {self.most} at a time."
            raise BadParameter(self.name, problem)
        found: dict[Percentile, None] = {}
        for text in texts:
            if not _PERCENTILE.fullmatch(text):
                right = "a number from 0 to 100 with at most four decimals, such as 99.9"
                raise BadParameter(self.name, f"The percentile {truncate(text)!r} is none: it must be {right}.")
            shortest = f"{Decimal(text).normalize():f}"
            if shortest in found:
                raise BadParameter(self.name, f"The percentile {shortest} stands twice: ask for each once.")
            found[shortest] = None
        return tuple(found)


class Preference(Input, frozen=True, kw_only=True):
    """What the client prefers (RFC 7240); one that the service does not know is ignored."""

    where: ClassVar[Where] = "header"

    @property
    def schema(self) -> Schema:
        """A string."""
        return TEXT

    def read(self, query: Query, headers: Headers) -> bool:
        """Return whether a representation is preferred."""
        return wants_representation(headers)


class Tags(Input, frozen=True, kw_only=True):
    """Entity tags of what the client has read."""

    where: ClassVar[Where] = "header"

    @property
    def schema(self) -> Schema:
        """A string."""
        return TEXT

    def read(self, query: Query, headers: Headers) -> frozenset[bytes] | None:
        """Return the tags, or None."""
        found = headers.get(self.name.lower().encode())
        return None if found is None else read_tags(found)


class Key(Input, frozen=True, kw_only=True):
    """An idempotency key. The rules check it, because they know what it is the key of."""

    where: ClassVar[Where] = "header"

    @property
    def schema(self) -> Schema:
        """Visible ASCII."""
        return {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS, "pattern": "^[!-~]+$"}

    def read(self, query: Query, headers: Headers) -> str | None:
        """Return the key, or None."""
        key = headers.get(self.name.lower().encode())
        return None if key is None else key.decode("latin-1")


def list_words(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


BOARD = PathName(name="board", about="The board's name.", example="mario-kart", reserved=(r"\.{1,2}", RESERVED))
PLAYER = PathName(name="name", about="The player's name.", example="silverhand", reserved=(r"\.{1,2}",))
KEY_NAME = PathName(name="key", about="The key's name.", example="game-server", reserved=(r"\.{1,2}",))
CONSOLE_FILE = FileName(name="file", about="The file.", example="console.css", reserved=())
IN_PATH = {parameter.name: parameter for parameter in (BOARD, PLAYER, KEY_NAME, CONSOLE_FILE)}
"""The parts of paths, by their names in braces."""

PREFER = Preference(
    name="Prefer",
    about=f"`{REPRESENTATION.decode()}` asks for the standings before and after the submit. It is ignored if the store "
    "cannot tell them (Momento).",
)
IDEMPOTENCY_KEY = Key(
    name="Idempotency-Key",
    about=f"Any text that is unique to this submit, such as a UUID. Within {KEY_HOURS} hours the same request with "
    "this key counts once and gets the first answer; another request with the same key is refused.",
)

WINDOW = Text(
    name="window", about="A window of the board: `daily`, `weekly`, `monthly`, or its cron line.", example="daily"
)
PERIOD = Text(
    name="period",
    about="A period of the window, such as `2026-11-22`, `2026-W47`, `2026-11`, or, of a cron line, "
    "`2026-11-22T05:00Z`, the instant at which it began. Defaults to the current period.",
)
A_PAGE = "a page"
A_PAGE_FOR_PEOPLE = "the page for people (Accept: text/html)"
NEXT_PAGE = "the page behind a cursor"
AROUND_NAME = "a read around a name"
OF_NAMES = "a read of names"
BETWEEN_SCORES = "a read between scores"
WITH_LIMIT = f"{AROUND_NAME} or between scores"
START_RANK = Whole(name="startRank", home=A_PAGE, about="The first place, inclusive.", default=0)
END_RANK = Whole(
    name="endRank",
    home=A_PAGE,
    about=f"The last place, exclusive: at most {PAGE_ENTRIES:,} after `startRank`, by default {DEFAULT_PAGE_ENTRIES} "
    "after it.",
)
INCLUDE = Fields(
    name="include",
    about="Further fields of each entry, separated by commas; `total` adds how many entries the board has.",
    known=("rank", "place", "total", "metadata", "submittedAt"),
    elsewhere=("cursor",),
)
INCLUDE_IN_PAGE = Fields(
    name="include",
    about="Further fields of each entry, separated by commas; `total` adds how many entries the board has, and "
    "`cursor` adds `next` to the page.",
    known=(*INCLUDE.known, *INCLUDE.elsewhere),
)
CURSOR = Text(name="cursor", home=NEXT_PAGE, about="The `next` of a page, unchanged: returns the entries after it.")
AROUND = Text(name="around", home=AROUND_NAME, about="A name: returns it with its neighbours.", is_name=True)
SPAN = Whole(
    name="span",
    home=AROUND_NAME,
    about=f"How many neighbours on either side. Default: `{DEFAULT_SPAN_ENTRIES}`.",
    most=SPAN_ENTRIES,
)
NAMES = Names(name="name", home=OF_NAMES, about="Returns exactly these names.", most=NAMES_ASKED)
ONE_NAME = Text(name="name", about="A name: watches its standing alone.", is_name=True)
MIN_SCORE = Number(name="minScore", home=BETWEEN_SCORES, about="The least score, inclusive.")
MAX_SCORE = Number(name="maxScore", home=BETWEEN_SCORES, about="The greatest score, inclusive.")
LIMIT_AROUND = Whole(
    name="limit",
    home=WITH_LIMIT,
    about="Around a name, instead of `span`: how many entries in all, with the name as near to the middle as the ends "
    f"of the board allow. Between two scores: how many entries at most. Default: `{DEFAULT_PAGE_ENTRIES}`.",
    least=1,
    most=PAGE_ENTRIES,
)
LIMIT = Whole(
    name="limit",
    home=WITH_LIMIT,
    about=LIMIT_AROUND.about,
    least=1,
    most=PAGE_ENTRIES,
    default=DEFAULT_PAGE_ENTRIES,
)
LOOK = Choice(
    name="view",
    home=A_PAGE_FOR_PEOPLE,
    about="How the page for people looks: `stage`, large, for an event; `embed`, for a frame in another page.",
    choices=("stage", "embed"),
)
PLAYER_SHOWN = Text(
    name="player",
    home=A_PAGE_FOR_PEOPLE,
    about="The name that the page for people shows with its neighbours, and marks.",
    is_name=True,
)
VERSION = Text(name="v", about="The digest of the content, as pages name it.")
INCLUDE_IN_VIEW = Fields(
    name="include",
    about="Further fields of each entry: `metadata`.",
    known=("metadata",),
)
VIEW = Views(
    name="view",
    about="A view, as a query of its own, percent-encoded, such as `startRank%3D0%26endRank%3D10`; repeated for "
    'several, whose events say `"view"`, which is counted from 0.',
    most=LIVE_VIEWS,
)
ACCESS_TOKEN = Text(
    name="access_token",
    about="A player's token, for browsers, whose EventSource sends no `Authorization`. Never a key.",
)
INCLUDE_IN_STANDING = Fields(
    name="include",
    about="Further fields, separated by commas. `windows` has the standings in the current periods of the board's "
    "windows. `held` is the score of this name that the board's guard holds back: for that player's own token, and for "
    "moderators.",
    known=("place", "total", "percentile", "metadata", "submittedAt", "windows", "held"),
)
SUMMARY_PERCENTILES = Percentiles(
    name="percentiles",
    about=f"Which percentiles, separated by commas: from 0 to 100, by default {', '.join(PERCENTILES)}.",
    most=PERCENTILES_ASKED,
    default=PERCENTILES,
    example="25,50,99.9",
)
BUCKETS = Whole(
    name="buckets",
    about="How many buckets the histogram has, if the scores allow it.",
    least=1,
    most=SUMMARY_BUCKETS,
    default=DEFAULT_SUMMARY_BUCKETS,
)
HELD_CURSOR = Text(name="cursor", about="The `next` of the list before: returns the held scores after it.")
HELD_LIMIT = Whole(
    name="limit", about="How many held scores at most.", least=1, most=HELD_LISTED, default=DEFAULT_HELD_LISTED
)
SCORE = RequiredNumber(
    name="score",
    about="The score to look up; it does not have to be on the board.",
    missing="There is no score to tell the rank of: ask with ?score=1234.",
)
IF_MATCH = Tags(
    name="If-Match",
    about="The `ETag` of the definition that was read, so that it is not changed if somebody else has done so since.",
)
BOARDS_PREFIX = Text(name="prefix", about="The boards whose names begin so.", example="mario-")
AFTER = Text(name="after", about="The `next` of the list before: returns the boards after that name.")
BOARDS_LIMIT = Whole(
    name="limit", about="How many boards at most.", least=1, most=BOARDS_LISTED, default=DEFAULT_BOARDS_LISTED
)
AFTER_HIDDEN = Text(name="after", about="The `next` of the list before: returns the names after that one.")
HIDDEN_LIMIT = Whole(name="limit", about="How many names at most.", least=1, most=HIDDEN_LISTED, default=HIDDEN_LISTED)
INCLUDE_IN_HIDDEN = Fields(
    name="include",
    about="Further fields of each entry, separated by commas.",
    known=("metadata", "submittedAt"),
)
AFTER_KEY = Text(name="after", about="The `next` of the list before: returns the keys after that name.")
KEYS_LIMIT = Whole(name="limit", about="How many keys at most.", least=1, most=KEYS_LISTED, default=KEYS_LISTED)
INCLUDE_IN_LIST = Fields(
    name="include",
    about="Further fields of each board: `count`, how many entries it has.",
    known=("count",),
)
AFTER_PERIOD = Text(name="after", about="The `next` of the list before: returns the periods after that one.")
PERIODS_LIMIT = Whole(
    name="limit", about="How many periods at most.", least=1, most=PERIODS_LISTED, default=PERIODS_LISTED
)
AUDITED_BOARD = Text(name="board", about="Records about this board alone.")
AUDITED_NAME = Text(name="name", about="Records about this name alone.")
AUDITED_WHO = Text(name="who", about="Records of this principal alone, such as `key:console`, `player:v`, `anybody`.")
AUDITED_SINCE = Time(name="since", about="Records of this time and later.", example="2026-11-20T10:00:00Z")
AUDITED_BEFORE = Whole(name="before", about="The `next` of the answer before: returns the records before those.")
AUDIT_LIMIT = Whole(
    name="limit", about="How many records at most.", least=1, most=AUDIT_RECORDS, default=DEFAULT_AUDIT_RECORDS
)

OF_PERIOD = (WINDOW, PERIOD)
"""What all that can be asked of a period takes."""
_OF_READS = (START_RANK, END_RANK, CURSOR, AROUND, SPAN, NAMES, MIN_SCORE, MAX_SCORE, LIMIT, LOOK, PLAYER_SHOWN)
HOMES = {parameter.name: parameter.home for parameter in _OF_READS}
"""The reads of a board that parameters go with, for the error if they are sent with another."""
