"""The examples of the docs: one walkthrough, which works so on every service that has no boards yet.

Its access file has one key, and says that there are players.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UNSET, UnsetType

from laurels.http.messages import PHRASES
from laurels.http.problems import Problem
from laurels.http.wire import encode
from laurels.version import __version__


class Example(NamedTuple):
    """A request that is really sent, and its answer: to the byte, unless it ``varies`` with the time."""

    operation: str
    about: str
    target: str
    status: int
    answer: bytes = b""
    body: bytes | None = None
    header: tuple[str, str] | None = None
    varies: bool = False


def _problem(
    status: int, detail: str, *, parameter: str | UnsetType = UNSET, pointer: str | UnsetType = UNSET
) -> bytes:
    return encode(Problem(PHRASES[status], status, detail, parameter=parameter, pointer=pointer))


_DEFINED = (
    b'{"order":"descending","operator":"best","ties":"earliest","ranking":"competition",'
    b'"scores":{"min":0,"max":1000000,"integer":true},"windows":["daily","weekly"],"time_zone":"Europe/Berlin",'
    b'"keep":{"daily":30},"ttl":null,"guard":null,"title":null,"display":null,"partitions":1}'
)
_HEADED = (
    b'{"order":"descending","operator":"latest","ties":"name","ranking":"ordinal",'
    b'"scores":{"min":null,"max":null,"integer":false},"windows":["daily"],"time_zone":"UTC","keep":{},"ttl":null,'
    b'"guard":null,"title":"Long jump","display":{"format":"number","unit":"m","decimals":2,"country":"country",'
    b'"avatar":null,"avatar_hosts":[],"fields":[]},"partitions":1}'
)
_GUARDED = (
    b'{"order":"descending","operator":"best","ties":"name","ranking":"ordinal",'
    b'"scores":{"min":null,"max":null,"integer":false},"windows":[],"time_zone":"UTC","keep":{},"ttl":null,'
    b'"guard":{"max_step":500,"per_player":null,"hold_above":1000,'
    b'"runs":{"required":true,"min_seconds":0,"max_seconds":3600}},"title":null,"display":null,"partitions":1}'
)
_SUMMARY = (
    b'{"count":4,"best":2077,"worst":1500,"percentiles":{"50":1500,"90":2077,"99":2077},"histogram":['
    b'{"from":1500,"to":1557.7,"count":2},{"from":1557.7,"to":1615.4,"count":0},{"from":1615.4,"to":1673.1,"count":0},'
    b'{"from":1673.1,"to":1730.8,"count":0},{"from":1730.8,"to":1788.5,"count":0},{"from":1788.5,"to":1846.2,"count":0},'
    b'{"from":1846.2,"to":1903.9,"count":0},{"from":1903.9,"to":1961.6,"count":0},{"from":1961.6,"to":2019.3,"count":0},'
    b'{"from":2019.3,"to":2077,"count":2}]}'
)
_PREFER = ("Prefer", "return=representation")
_KEY = ("Idempotency-Key", "6f6c9f0e-lap-1")

WALKTHROUGH = (
    Example(
        "define",
        "A board of best scores",
        "/-/boards/mario-kart",
        201,
        _DEFINED,
        b'{"operator": "best", "ties": "earliest", "ranking": "competition", '
        b'"scores": {"min": 0, "max": 1000000, "integer": true}, '
        b'"windows": ["daily", "weekly"], "time_zone": "Europe/Berlin", "keep": {"daily": 30}}',
    ),
    Example("submit", "A score", "/mario-kart/v", 202, body=b'{"score": 2077}'),
    Example(
        "submit",
        "A score with metadata and a key",
        "/mario-kart/silverhand",
        202,
        body=b'{"score": 34, "metadata": {"car": "porsche"}}',
        header=_KEY,
    ),
    Example(
        "submit",
        "A score, and where it stands",
        "/mario-kart/silverhand",
        200,
        b'{"score":2077,"rank":0,"previous":{"score":34,"rank":1},"changed":true}',
        b'{"score": 2077}',
        _PREFER,
    ),
    Example(
        "submit",
        "A score that the board does not take",
        "/mario-kart/v",
        422,
        _problem(422, "The score -1 is too low: this board takes none below 0.", pointer="/score"),
        b'{"score": -1}',
    ),
    Example(
        "submit_many",
        "Three entries, one of them refused",
        "/mario-kart",
        200,
        b'{"accepted":2,"refused":[{"index":2,"name":"t-bug","problem":"The score -5 is too low: this board takes none '
        b'below 0."}]}',
        b'{"entries": [{"name": "panam", "score": 1500}, {"name": "judy", "score": 1500}, '
        b'{"name": "t-bug", "score": -5}]}',
    ),
    Example("standing", "A standing", "/mario-kart/judy", 200, b'{"score":1500,"rank":2}'),
    Example(
        "standing",
        "All there is to know of a name",
        "/mario-kart/judy?include=place,total,percentile,metadata,submittedAt,windows",
        200,
        b'{"score":1500,"rank":2,"place":3,"total":4,"percentile":50.0,"metadata":null,'
        b'"submittedAt":"2026-11-22T05:00:00.123456Z","windows":{"daily":{"score":1500,"rank":2},'
        b'"weekly":{"score":1500,"rank":2}}}',
        varies=True,
    ),
    Example("standing", "Nobody of that name", "/mario-kart/nobody", 200, b'{"score":0,"rank":null}'),
    Example("standing", "A standing of this week", "/mario-kart/panam?window=weekly", 200, b'{"score":1500,"rank":2}'),
    Example(
        "read",
        "A page",
        "/mario-kart?startRank=0&endRank=20",
        200,
        b'{"leaderboard":[{"name":"v","score":2077},{"name":"silverhand","score":2077},{"name":"panam","score":1500},'
        b'{"name":"judy","score":1500}]}',
    ),
    Example(
        "read",
        "A name and its neighbours",
        "/mario-kart?around=silverhand&span=1",
        200,
        b'{"leaderboard":[{"name":"v","score":2077,"rank":0},{"name":"silverhand","score":2077,"rank":0},'
        b'{"name":"panam","score":1500,"rank":2}]}',
    ),
    Example(
        "read",
        "Three entries around a name at the end",
        "/mario-kart?around=judy&limit=3&include=place,total",
        200,
        b'{"leaderboard":[{"name":"silverhand","score":2077,"rank":0,"place":1},{"name":"panam","score":1500,"rank":2,'
        b'"place":2},{"name":"judy","score":1500,"rank":2,"place":3}],"total":4}',
    ),
    Example(
        "read",
        "Chosen names",
        "/mario-kart?name=judy&name=v&name=rogue",
        200,
        b'{"leaderboard":[{"name":"v","score":2077,"rank":0},{"name":"judy","score":1500,"rank":2}],"missing":["rogue"]}',
    ),
    Example(
        "read",
        "Entries between two scores",
        "/mario-kart?minScore=1000&maxScore=2000&limit=1",
        200,
        b'{"leaderboard":[{"name":"panam","score":1500,"rank":2}]}',
    ),
    Example(
        "read",
        "All there is to know of a page",
        "/mario-kart?endRank=1&include=rank,metadata,submittedAt,cursor",
        200,
        b'{"leaderboard":[{"name":"v","score":2077,"rank":0,"metadata":null,"submittedAt":"2026-11-22T05:00:00.123456Z"}],'
        b'"next":"mAIBy0CgOgAAAAAAzwAMwe2mgnoMoXagoMQI6E7LoGg8g5Y"}',
        varies=True,
    ),
    Example(
        "read",
        "An empty range",
        "/mario-kart?startRank=5&endRank=5",
        400,
        _problem(
            400,
            "The range from startRank 5 to endRank 5 is empty: endRank is exclusive and above startRank.",
            parameter="endRank",
        ),
    ),
    Example(
        "read",
        "The neighbours of nobody",
        "/mario-kart?around=nobody",
        404,
        _problem(
            404,
            "'nobody' is not on this board. Ask about a name that is, or submit a score for it first.",
            parameter="around",
        ),
    ),
    Example(
        "boards",
        "All boards",
        "/-/boards",
        200,
        b'{"boards":[{"name":"mario-kart","declared":true,"definition":' + _DEFINED + b'}],"next":null}',
    ),
    Example(
        "boards",
        "All boards, and how many entries they have",
        "/-/boards?include=count",
        200,
        b'{"boards":[{"name":"mario-kart","declared":true,"definition":' + _DEFINED + b',"count":4}],"next":null}',
    ),
    Example("definition", "A definition", "/-/boards/mario-kart", 200, _DEFINED),
    Example(
        "definition",
        "A board that is not there",
        "/-/boards/luigi-kart",
        404,
        _problem(404, "There is no board 'luigi-kart': it is not declared, and has no entries.", parameter="board"),
    ),
    Example(
        "define",
        "A change",
        "/-/boards/mario-kart",
        200,
        _DEFINED.replace(b'"ttl":null', b'"ttl":"30d"'),
        _DEFINED.replace(b'"ttl":null', b'"ttl":"30d"'),
    ),
    Example(
        "define",
        "A change that the entries contradict",
        "/-/boards/mario-kart",
        409,
        _problem(
            409,
            "The definition of the board 'mario-kart' cannot change so: it has entries that were kept with operator "
            "'best', not 'increment'; drop its entries first.",
            pointer="/operator",
        ),
        b'{"operator": "increment"}',
    ),
    Example(
        "define",
        "A change of what somebody else has changed meanwhile",
        "/-/boards/mario-kart",
        412,
        _problem(
            412,
            "The definition of the board 'mario-kart' is not what If-Match says: somebody has changed it since it was "
            "read. Read it again, and change that.",
        ),
        b'{"operator": "best"}',
        ("If-Match", '"0c5a1f1bd3a04f8ba9ed1c4f7d0a2b3c"'),
    ),
    Example(
        "define",
        "A definition that no board can keep",
        "/-/boards/luigi-kart",
        422,
        _problem(
            422,
            'time_zone is "Europe/Atlantis": it must be the name of a time zone, such as "Europe/Berlin"; perhaps you '
            'mean "Europe/Athens".',
            pointer="/time_zone",
        ),
        b'{"windows": ["daily"], "time_zone": "Europe/Atlantis"}',
    ),
    Example(
        "define",
        "What a board's page shows",
        "/-/boards/long-jump",
        201,
        _HEADED,
        b'{"windows": ["daily"], "title": "Long jump", "display": {"unit": "m", "decimals": 2, "country": "country"}}',
    ),
    Example(
        "periods",
        "Today and this week",
        "/-/boards/mario-kart/periods",
        200,
        b'{"periods":[{"window":"daily","period":"2026-11-22","start":"2026-11-22T00:00:00+01:00",'
        b'"stop":"2026-11-23T00:00:00+01:00","count":4,"current":true},{"window":"weekly","period":"2026-W47",'
        b'"start":"2026-11-16T00:00:00+01:00","stop":"2026-11-23T00:00:00+01:00","count":4,"current":true}]}',
        varies=True,
    ),
    Example("summary", "A summary", "/-/boards/mario-kart/summary", 200, _SUMMARY),
    Example(
        "summary",
        "Other percentiles and buckets",
        "/-/boards/mario-kart/summary?percentiles=25,99.9&buckets=2",
        200,
        b'{"count":4,"best":2077,"worst":1500,"percentiles":{"25":1500,"99.9":2077},"histogram":['
        b'{"from":1500,"to":1788.5,"count":2},{"from":1788.5,"to":2077,"count":2}]}',
    ),
    Example(
        "rank", "Where 1800 would stand", "/-/boards/mario-kart/rank?score=1800", 200, b'{"rank":2,"percentile":50.0}'
    ),
    Example("set_metadata", "Other metadata", "/mario-kart/judy", 204, body=b'{"metadata": {"car": "thorton"}}'),
    Example("hide", "A name is hidden", "/-/boards/mario-kart/hidden/silverhand", 204),
    Example(
        "standing",
        "The standing of a hidden name",
        "/mario-kart/silverhand",
        200,
        b'{"score":2077,"rank":null,"hidden":true}',
    ),
    Example(
        "hidden",
        "The hidden names",
        "/-/boards/mario-kart/hidden",
        200,
        b'{"hidden":[{"name":"silverhand","score":2077}],"next":null}',
    ),
    Example("show", "It is shown again", "/-/boards/mario-kart/hidden/silverhand", 204),
    Example(
        "restore",
        "An entry from elsewhere",
        "/-/boards/mario-kart/entries",
        200,
        b'{"accepted":1,"refused":[]}',
        b'{"entries": [{"name": "panam", "score": 1700, "submittedAt": "2026-11-01T10:00:00Z"}]}',
    ),
    Example("remove", "A name is taken off", "/mario-kart/judy", 204),
    Example("drop", "All entries are dropped", "/mario-kart", 204),
    Example("undefine", "A definition is dropped", "/-/boards/mario-kart", 204),
    Example(
        "boards",
        "The boards whose names begin so",
        "/-/boards?prefix=mario-",
        200,
        b'{"boards":[],"next":null}',
    ),
    Example(
        "whoami",
        "What a key may do",
        "/-/whoami",
        200,
        b'{"who":"key:ann","scopes":["moderate","define"],"boards":["mario-*"],"expires":"2027-11-01T00:00:00Z"}',
        varies=True,
    ),
    Example(
        "keys",
        "The keys",
        "/-/keys",
        200,
        b'{"keys":[{"name":"game-server","scopes":["read","submit","tokens"],"boards":["mario-*"],'
        b'"expires":"2027-11-01T00:00:00Z"}],"next":null}',
    ),
    Example("revoke", "A key is revoked", "/-/keys/game-server", 204),
    Example(
        "give_token",
        "A token for a player, for an hour",
        "/-/tokens",
        201,
        b'{"token":"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzaWx2ZXJoYW5kIn0.bm8gcmVhbCBzaWduYXR1cmU",'
        b'"expiresAt":"2026-11-22T06:00:00Z"}',
        b'{"name": "silverhand", "boards": ["mario-*"], "seconds": 3600}',
        varies=True,
    ),
    Example(
        "give_anonymous_token",
        "A new name",
        "/-/tokens/anonymous",
        201,
        b'{"name":"guest-5f1c0e8a9d3b7246",'
        b'"token":"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJndWVzdCJ9.bm8gcmVhbCBzaWduYXR1cmU",'
        b'"expiresAt":"2027-11-22T05:00:00Z"}',
        varies=True,
    ),
    Example(
        "audit",
        "The audit log of a service that has none in a file",
        "/-/audit",
        409,
        _problem(
            409,
            "The audit log is in no file that could be read here: this service was started without --audit-log.",
        ),
    ),
    Example(
        "back_up",
        "A backup is no JSON",
        "/-/backup",
        406,
        _problem(406, "There is only application/x-tar here: ask for that, or for */*, in Accept."),
        header=("Accept", "application/json"),
    ),
    Example(
        "define",
        "A board with a guard",
        "/-/boards/dungeon",
        201,
        _GUARDED,
        b'{"operator": "best", "guard": {"max_step": 500, "hold_above": 1000, "runs": {"required": true}}}',
    ),
    Example("submit", "A score to begin with", "/dungeon/v", 202, body=b'{"score": 700}'),
    Example(
        "submit",
        "A step too long",
        "/dungeon/v",
        422,
        _problem(
            422,
            "The score 1300 improves the player's entry by 600: this board takes steps of 500 at most.",
            pointer="/score",
        ),
        b'{"score": 1300}',
    ),
    Example(
        "submit",
        "A score that is held",
        "/dungeon/v",
        200,
        b'{"score":700,"rank":0,"previous":{"score":700,"rank":0},"changed":false,"held":true}',
        b'{"score": 1100}',
        _PREFER,
    ),
    Example("submit", "Another one", "/dungeon/judy", 202, body=b'{"score": 1200}'),
    Example(
        "submit",
        "A correction",
        "/dungeon/v",
        200,
        b'{"score":650,"rank":0,"previous":{"score":700,"rank":0},"changed":true}',
        b'{"score": 650, "operator": "latest"}',
        _PREFER,
    ),
    Example(
        "standing",
        "What is held of a name",
        "/dungeon/judy?include=held",
        200,
        b'{"score":0,"rank":null,"held":{"score":1200,"submittedAt":"2026-11-22T05:00:00.123456Z"}}',
        varies=True,
    ),
    Example(
        "held",
        "All that is held",
        "/-/boards/dungeon/held",
        200,
        b'{"held":[{"score":1200,"submittedAt":"2026-11-22T05:00:00.123456Z","name":"judy","metadata":null},'
        b'{"score":1100,"submittedAt":"2026-11-22T05:00:00.123456Z","name":"v","metadata":null}],"next":null}',
        varies=True,
    ),
    Example("release", "One is released", "/-/boards/dungeon/held/v/release", 204),
    Example("reject", "The other one is rejected", "/-/boards/dungeon/held/judy/reject", 204),
    Example(
        "live",
        "There is no such window",
        "/-/boards/dungeon/live?window=daily",
        400,
        _problem(400, "'daily' is no window of this board: it has none.", parameter="window"),
    ),
    Example(
        "make_run",
        "A run is a player's",
        "/-/boards/dungeon/runs",
        403,
        _problem(403, "A run is made with a player's token, for the name that it was made for; keys need none."),
    ),
    Example(
        "landing",
        "What this is",
        "/",
        200,
        b'{"service":"laurels","version":"%b","docs":"/-/docs"}' % __version__.encode(),
    ),
    Example("health", "It answers", "/-/health", 200, b'{"status":"ok"}'),
    Example("ready", "It can keep scores", "/-/ready", 200, b'{"status":"ok"}'),
)
