"""The store on Redis or Valkey: a board is a sorted set, and every act is one script, atomic on the server.

What is under which key stands at the head of ``common.lua``.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
import time
from functools import lru_cache, wraps
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from redis.exceptions import RedisError

from laurels.errors import AnswerLost, KeyReused, ScoreRefused, StoreError, SumUncertain
from laurels.stores.contract import (
    KEY_SECONDS,
    Board,
    Capabilities,
    Change,
    Entry,
    FullSubmission,
    IdempotencyKey,
    Period,
    PeriodRange,
    Place,
    Ranked,
    Refusal,
    Score,
    Standing,
    Store,
    Submission,
    SubmitResult,
    Summary,
)
from laurels.stores.redis.connection import ANSWER_SECONDS, connect, translate
from laurels.stores.redis.partitions import Partitions
from laurels.stores.redis.turns import Script, Turns
from laurels.stores.summary import PERCENTILES, edges_between, summarize
from laurels.stores.sums import add, check_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.definition import Definition
    from laurels.stores.redis.connection import Credentials

PREFIX = "laurels:"
BOARDS = f"{PREFIX}boards"
LISTED_REMEMBERED = 100_000
SECOND = 1_000_000
LISTED = 500
"""Names of boards that are looked up at once."""
_encode = msgspec.json.Encoder().encode
_SUBMIT, _READ, _REMOVE, _METADATA = (Script("common", name) for name in ("submit", "read", "remove", "metadata"))
_PERIODS, _PUT, _STANDING, _SPREAD = map(Script, ("periods", "put", "standing", "spread"))
_Method = TypeVar("_Method", bound="Callable[..., Any]")


def _spread(method: _Method) -> _Method:
    """Let a method have :class:`Partitions` do it for boards that have several."""
    name = method.__name__

    @wraps(method)
    def either(self: RedisStore, board: Board, *arguments: Any, **options: Any) -> Any:
        if board.definition.partitions > 1:
            self._check_open()
            return getattr(self._partitions, name)(board, *arguments, **options)
        return method(self, board, *arguments, **options)

    return cast("_Method", either)



class RedisStore(Store):
    """A store that keeps its boards in one database of Redis."""

    capabilities = Capabilities(durable=False, defining=False, ttl=False, hiding=False, guarding=False, partitioning=True)
    waits_inline = True

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.time,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        credentials: Credentials | None = None,
    ) -> None:
        self._client = connect(url, answer_seconds, credentials)
        self._turns = Turns(self._client)
        self._partitions = Partitions(self, self._ask_spread)
        self._clock = clock
        self._listed: set[str] = set()
        self._listing: dict[str, asyncio.Future[Any]] = {}

    # Writes

    @_spread
    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        self._check_kept(board)
        is_one = isinstance(submissions, Submission)
        is_short = board.name in self._listed and _is_plain(board) and not (idempotency_key or want_changes)
        if is_short and type(submissions) is Submission and submissions.metadata is None:
            now = round(self._clock() * SECOND)
            key, rules = key_of(board.name), rules_of(board.definition)
            await self._turns.call(_PUT, (key,), rules, now, submissions.name, _text(submissions.score))
            return None
        if want_changes and not is_one:
            self._refuse("tell what a batch changed")
        batch: Sequence[Submission | Refusal] = [submissions] if isinstance(submissions, Submission) else submissions
        good = [each for each in batch if isinstance(each, Submission)]
        early = [each for each in batch if isinstance(each, Refusal)]
        if any(isinstance(each, FullSubmission) and (each.operator or each.run) for each in good):
            self._refuse("guard a board against cheating")
        if not good and idempotency_key is None:
            return SubmitResult(early)
        if good and board.name not in self._listed:
            await self._list(board.name)
        keys, entries = _entries(board, good)
        definition = board.definition
        bounds, fingerprint = definition.scores, b""
        if idempotency_key is not None:
            keys.append(_key_of_key(board, idempotency_key))
            fingerprint = idempotency_key.fingerprint
        flags = "c" * want_changes + "k" * (idempotency_key is not None) + "m" * (not is_one) + "w" * bounds.integer
        call = self._turns.call(
            _SUBMIT,
            tuple(keys),
            rules_of(definition),
            round(self._clock() * SECOND),
            f"{key_of(board.name)}:",
            flags,
            "" if bounds.min is None else repr(bounds.min),
            "" if bounds.max is None else repr(bounds.max),
            fingerprint,
            KEY_SECONDS,
            *entries,
        )
        try:
            answer = await call
        except AnswerLost as lost:
            if definition.operator_rules.adds and idempotency_key is None:
                raise SumUncertain(lost.problem) from lost.__cause__
            raise
        if answer == 0:
            return SubmitResult(early) if early else None
        return _result(answer, good, batch, early, definition)

    async def _list(self, name: str) -> None:
        """Have the list of boards hold a name, before the board's first submit."""
        listing = self._listing.get(name)
        if listing is None:
            listing = self._listing[name] = asyncio.ensure_future(self._ask("ZADD", BOARDS, 0, name))
            listing.add_done_callback(lambda _: self._listing.pop(name))
        await asyncio.shield(listing)
        if len(self._listed) >= LISTED_REMEMBERED:
            self._listed.clear()
        self._listed.add(name)

    async def _ask(self, *words: str | int) -> Any:
        try:
            return await self._client.execute_command(*words)
        except (RedisError, OSError) as error:
            raise translate(error) from error

    @_spread
    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:
        self._check_open()
        first = await self._ask("GET", _key_of_key(board, idempotency_key))
        if first is None:
            return None
        if not first.startswith(idempotency_key.fingerprint):
            raise KeyReused
        return _recalled(_unpack(first[16:]))

    @_spread
    async def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> bool:
        self._check_kept(board)
        keys = (_key(board), *(key_of(board.name, feed.window, feed.period) for feed in board.feeds))
        given = b"" if metadata is None else b"=" + metadata
        return bool(await self._turns.call(_METADATA, keys, rules_of(board.definition), name, given))

    @_spread
    async def remove(self, board: Board, name: str) -> bool:
        return await self._remove(board, "name", name)

    @_spread
    async def drop(self, board: Board) -> bool:
        return await self._remove(board, "all", "")

    async def _remove(self, board: Board, kind: str, name: str) -> bool:
        self._check_kept(board)
        own = key_of(board.name)
        rules, of_period = rules_of(board.definition), own if board.window else ""
        found = await self._turns.call(_REMOVE, (_key(board),), rules, of_period, f"{own}:", kind, name)
        return bool(found)

    # Reads

    @_spread
    async def standing(self, board: Board, name: str) -> Standing | None:
        if board.visible and _is_plain(board):
            self._check_open()
            found = await self._turns.call(_STANDING, (_key(board),), rules_of(board.definition), name)
        else:
            found = await self._read(board, "standing", name)
        return Standing(_score(found[0]), found[1]) if found else None

    @_spread
    async def page(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> list[Ranked]:
        return await self._entries(board, with_metadata, "page", start, min(stop, 2**53), "d")

    async def page_json(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> bytes:
        if with_metadata or board.definition.partitions > 1:
            return await super().page_json(board, start, stop, with_metadata=with_metadata)
        found = await self._read(board, "page", start, min(stop, 2**53), "")
        return _encode([Entry(name.decode(), _score(score)) for name, score, _ in found or ()])

    @_spread
    async def count(self, board: Board) -> int:
        return await self._read(board, "count") or 0

    @_spread
    async def around(self, board: Board, name: str, span: int, *, with_metadata: bool = False) -> list[Ranked] | None:
        found = await self._read(board, "around", name, span, "d")
        return None if found is None else [_ranked(each, with_metadata=with_metadata) for each in found]

    @_spread
    async def entries_named(self, board: Board, names: Sequence[str], *, with_metadata: bool = False) -> list[Ranked]:
        return await self._entries(board, with_metadata, "named", "d", *names)

    @_spread
    async def entries_between_scores(
        self, board: Board, low: Score, high: Score, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        return await self._entries(board, with_metadata, "scores", _text(low), _text(high), limit, "d")

    @_spread
    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False
    ) -> list[Ranked]:
        place = _text(entry.score), entry.tick, entry.sequence, entry.name
        return await self._entries(board, with_metadata, "after", *place, limit, "d")

    @_spread
    async def place(self, board: Board, score: Score) -> Place:
        return Place(*(await self._read(board, "place", _text(score)) or (0, 0, 0)))

    @_spread
    async def summary(self, board: Board) -> Summary:
        """Ask until the edges of the histogram, which follow from the best and the worst score, are of one state."""
        edges: list[Score] = []
        while True:
            words: list[str | int] = [len(PERCENTILES), *PERCENTILES, *map(_text, edges[:-1])]
            count, *figures = await self._read(board, "summary", *words) or [0]
            if not count:
                return summarize(0, [], [], [])
            scores = [_score(figure) for figure in figures[: 2 + len(PERCENTILES)]]
            known, edges = edges, edges_between(scores[0], scores[1])
            if known == edges:
                return summarize(count, scores, edges, figures[len(scores) :])

    async def _entries(self, board: Board, with_metadata: bool, kind: str, *words: str | int) -> list[Ranked]:  # noqa: FBT001
        found = await self._read(board, kind, *words)
        return [_ranked(each, with_metadata=with_metadata) for each in found or ()]

    async def _read(self, board: Board, kind: str, *words: str | int) -> Any:
        self._check_kept(board)
        if not board.visible:
            return None
        return await self._turns.call(_READ, (_key(board),), rules_of(board.definition), kind, *words)

    async def _ask_spread(self, parts: Sequence[Board], kind: str, words: Sequence[Sequence[str | int]]) -> list[Any]:
        """Ask several partitions the same, or each with words of its own, in one turn."""
        first = parts[0]
        place = f"{first.window}:{first.period}" if first.window else ""
        keys = tuple(key_of(each.name) for each in parts)
        call = self._turns.call(_SPREAD, keys, rules_of(first.definition), place, kind, *chain(*words))
        answers: list[Any] = await call
        if kind == "entries":
            return [[_ranked([name, score, 0, details], with_metadata=True) for name, score, details in each] for each in answers]
        return answers

    # Boards and periods

    async def names(self, after: str = "", limit: int | None = None) -> list[str]:
        self._check_open()
        found: list[str] = []
        start = f"({after}{_BEHIND}" if after else "-"
        while limit is None or len(found) < limit:
            page = [name.decode() for name in await self._ask("ZRANGEBYLEX", BOARDS, start, "+", "LIMIT", 0, LISTED)]
            if not page:
                break
            exist = await asyncio.gather(*(self._turns.call(_READ, (key_of(name),), "dlno", "count") for name in page))
            boards = (name.partition("\n")[0] for name, count in zip(page, exist, strict=True) if count)
            found += [name for name, _ in groupby(boards) if found[-1:] != [name]]
            start = f"({page[-1]}"
        return found[:limit]

    @_spread
    async def periods(
        self, board: Board, ranges: Sequence[PeriodRange] | None = None, limit: int | None = None
    ) -> list[Period]:
        self._check_kept(board)
        ends = [""]
        if ranges is not None:
            ends = [f"{each.window}\n{end}" for each in ranges for end in (each.first, each.last)]
        rules, own = rules_of(board.definition), key_of(board.name)
        found = await self._turns.call(_PERIODS, (own,), rules, f"{own}:", -1 if limit is None else limit, *ends)
        pairs = ((line.decode().split("\n"), count) for line, count in found)
        return [Period(window, period, count) for (window, period), count in pairs]

    # The store itself

    def _check_kept(self, board: Board) -> None:
        self._check_open()
        self.capabilities.check(board.definition)

    async def ready(self) -> None:
        self._check_open()
        await self._ask("PING")

    async def reconnect(self) -> None:
        """Close the connections that nothing uses: they may be dead, or too old. What is asked next connects anew."""
        await self._client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            await self._turns.close()


async def open_store(url: str, clock: Callable[[], float] = time.time) -> RedisStore:
    """Return a store once it is ready; raise StoreError if it is not."""
    store = RedisStore(url, clock)
    try:
        await store.ready()
    except StoreError:
        await store.close()
        raise
    return store


def _unpack(body: bytes) -> Any:
    """Return what a script packed, as it would have returned it: cmsgpack knows no bytes."""
    answer = msgspec.msgpack.decode(body)
    return [word.encode() if isinstance(word, str) else word for word in answer] if answer else answer


_ESCAPED = str.maketrans({each: f"%{ord(each):02X}" for each in "%{}:#"} | {"\n": "#"})
_BEHIND = "\n\U0010ffff"
"""Behind the name of a board and those of its partitions, and before any other."""


@lru_cache(10_000)
def key_of(board: str, window: str = "", period: str = "") -> str:
    """Return the key of a board, or of a period of it; all of one board have one hash tag, and so are in one slot."""
    key = f"{PREFIX}{{{board.translate(_ESCAPED)}}}"
    return f"{key}:{window}:{period}" if window else key


def _is_plain(board: Board) -> bool:
    """Return whether a board's members are names, its ranks places, and its scores not added."""
    of = board.definition
    return not board.feeds and of.ties == "name" and of.ranking == "ordinal" and of.operator != "increment"


def _key(board: Board) -> str:
    return key_of(board.name, board.window, board.period)


@lru_cache(1000)
def _rules(order: str, operator: str, ties: str, ranking: str) -> str:
    return order[0] + operator[0] + ties[0] + ranking[0]


def rules_of(definition: Definition) -> str:
    """Return the rules of a board as scripts read them."""
    return _rules(definition.order, definition.operator, definition.ties, definition.ranking)


def _entries(board: Board, submissions: Sequence[Submission]) -> tuple[list[str], list[bytes | str | int]]:
    """Return the keys that submissions go to, the board's first, and five values for each of them."""
    places = {key_of(board.name): 1}
    words: list[bytes | str | int] = []
    usual = _feeds(board, board.feeds, places)
    for each in submissions:
        when: int | str = ""
        feeds = usual
        if isinstance(each, FullSubmission):
            when = "" if each.submitted_at is None else each.submitted_at
            feeds = _feeds(board, each.feeds, places)
        metadata = b"" if each.metadata is None else b"=" + each.metadata
        words += (each.name, _text(each.score), metadata, when, feeds)
    return list(places), words


def _feeds(board: Board, feeds: Sequence[Any], places: dict[str, int]) -> str:
    named = [(key_of(board.name, feed.window, feed.period), feed.oldest) for feed in feeds]
    return ",".join(f"{places.setdefault(key, len(places) + 1)}:{oldest}" for key, oldest in named)


def _text(score: Score) -> str:
    return f"{score:.17g}"


def _score(text: bytes) -> Score:
    score = float(text)
    return int(score) if score.is_integer() else score


def _ranked(entry: list[Any], *, with_metadata: bool) -> Ranked:
    name, score, rank, details = entry
    if not details:  # put there by another program
        return Ranked(name.decode(), _score(score), rank)
    when, _, metadata = details.partition(b" ")
    tick, _, sequence = when.partition(b".")
    return Ranked(
        name.decode(),
        _score(score),
        rank,
        int(sequence),
        int(tick),
        metadata or None if with_metadata else None,
        tick=int(tick),
    )


def _key_of_key(board: Board, idempotency_key: IdempotencyKey) -> str:
    return f"{key_of(board.name)}:key:{idempotency_key.key.hex()}"


def _result(
    answer: Any,
    good: Sequence[Submission],
    batch: Sequence[Submission | Refusal],
    early: list[Refusal],
    definition: Definition,
) -> SubmitResult:
    """Return what a submit's script answered; raise KeyReused or ScoreRefused."""
    kind, *rest = answer
    if kind == b"k":
        raise KeyReused
    if kind == b"s":
        raise _sum_refused(rest[0], good[0].score, definition)
    if kind == b"c":
        return _recalled(answer)
    places = [place for place, each in enumerate(batch) if isinstance(each, Submission)]
    refused = [
        Refusal(places[index], good[index].name, str(_sum_refused(had, good[index].score, definition)))
        for index, had in zip(rest[::2], rest[1::2], strict=True)
    ]
    return SubmitResult(sorted([*early, *refused], key=lambda each: each.index))


def _recalled(answer: Any) -> SubmitResult:
    """Return what a kept answer says of one submission; of a batch it says too little."""
    if answer == 0 or answer[0] != b"c":
        return SubmitResult()
    _, had, rank, score, now, counted = answer
    before = Standing(_score(had), rank) if had else None
    return SubmitResult(changes=(Change(before, Standing(_score(score), now), bool(counted)),))


def _sum_refused(had: bytes, score: Score, definition: Definition) -> ScoreRefused:
    try:
        check_sum(add(_score(had), score), definition.scores)
    except ScoreRefused as error:
        return error
    return ScoreRefused("The sum cannot be kept.")
