"""The store on Redis or Valkey: a board is a sorted set, and every act is one script, atomic on the server.

What is under which key stands at the head of ``common.lua``.
"""

# ruff: noqa: D102 - the contract documents what every store does

from __future__ import annotations

import asyncio
import os
import time
from functools import wraps
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from msgspec.structs import replace

from laurels.clock import SECOND
from laurels.errors import (
    AnswerLost,
    DefinitionChanged,
    DefinitionConflict,
    KeyReused,
    ServerFull,
    StoreError,
    SumUncertain,
)
from laurels.limits import DEFAULT_SUMMARY_BUCKETS
from laurels.stores.contract import (
    KEY_SECONDS,
    PERCENTILES,
    Board,
    Capabilities,
    Entries,
    Entry,
    FullStanding,
    FullSubmission,
    HiddenName,
    IdempotencyKey,
    Percentile,
    Period,
    PeriodRange,
    Place,
    Ranked,
    Refusal,
    Run,
    Score,
    Standing,
    Store,
    Submission,
    SubmitResult,
    Summary,
)
from laurels.stores.redis.boards import BoardList
from laurels.stores.redis.calls import Script
from laurels.stores.redis.connecting import connect
from laurels.stores.redis.definitions import UNKNOWN, Definitions
from laurels.stores.redis.details import page_of, read_details, read_entries, read_entry, read_full
from laurels.stores.redis.keys import (
    COMMON,
    RUN_KEY,
    is_partition,
    key_of,
    owner_of,
    read_name,
    read_score,
    write_score,
)
from laurels.stores.redis.partitions import BEFORE, ENTRIES, Partitions, names_of
from laurels.stores.redis.rates import RedisMeters
from laurels.stores.redis.relocation import Relocation
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.submitting import (
    FINGERPRINT_BYTES,
    TIME_DIGITS,
    Refused,
    Words,
    bounds_words,
    enter_words,
    guard_words,
    key_words,
    put_words,
    read_answer,
    read_change,
    read_standing,
)
from laurels.stores.redis.watching import Watching
from laurels.stores.runs import KEY_BYTES, make_run, read_run
from laurels.stores.summary import edges_between, parts_above, summarize

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from laurels.definition import Definition
    from laurels.figures import Figures
    from laurels.stores.redis.definitions import Known
    from laurels.stores.redis.handshake import Credentials

DEFAULTS = RedisSettings()
ALL = 2**53
"""More entries than there are."""
STALE_WORDS = 3
"""How many an answer has that says that the board is another; no other answer of words has so many."""
_encode = msgspec.json.Encoder().encode
_SUBMIT, _REMOVE, _METADATA, _HIDE = (Script(COMMON, name) for name in ("submit", "remove", "metadata", "hide"))
_READ, _PERIODS = (Script(COMMON, name, reads=True) for name in ("read", "periods"))
_CHANGE = {_SUBMIT, _REMOVE, _METADATA, _HIDE}
"""What changes entries: never where they are moved from."""
_PUT, _PUT_MANY, _ENTER = map(Script, ("put", "put_many", "enter"))
_SPREAD, _BEFORE = (Script("several", name, reads=True) for name in ("spread", "before"))
_STALE, _HELD = b"stale", "held"
Method = TypeVar("Method", bound="Callable[..., Any]")


def _spread(method: Method) -> Method:
    """Let a method have :class:`Partitions` do it for boards that have several."""
    name = method.__name__

    @wraps(method)
    def either(self: RedisStore, board: Board, *arguments: Any, **options: Any) -> Any:
        if self._is_spread(board):
            self._check_open()
            return getattr(self._partitions, name)(board, *arguments, **options)
        return method(self, board, *arguments, **options)

    return cast("Method", either)


class RedisStore(Store):
    """A store that keeps its boards in one database of Redis."""

    capabilities = Capabilities(durable=False, partitioning=True)
    instead_of_backups = (
        "Copy its boards with `laurels export` or `laurels move`, or keep what Redis itself writes, its RDB or AOF."
    )
    waits_inline = True
    shares_definitions = True
    reads_at_once = 32

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.time,
        *,
        settings: RedisSettings = DEFAULTS,
        credentials: Credentials | None = None,
    ) -> None:
        self._servers = connect(url, settings, credentials)
        self._clock = clock
        self.meters = RedisMeters(self._servers.call)
        self._definitions = Definitions(self._servers.call, self._servers.ask, self._now)
        self._boards = BoardList(self._servers.call, self._servers.ask, self._now)
        self._run_key = b""
        self._has_run_key = False
        self._servers.interrupted = self._definitions.lost = self._forget
        relocation = Relocation(self._act, self._servers.ask, self._definitions, self._boards.add)
        self._watching = Watching(self._servers, self._names_of, self._definitions.learn)
        self._definitions.changed = self._watching.refresh
        self._partitions = Partitions(self, self._ask_spread, self._definitions, relocation, self._read_run)

    def _is_spread(self, board: Board) -> bool:
        """Return whether the entries of a board are in several places."""
        return board.definition.partitions > 1 or (
            self._definitions.of(board.name).source > 0 and not is_partition(board.name)
        )

    def _was_spread(self, board: Board) -> bool:
        """Return whether what is kept of submits is in several places."""
        return self._is_spread(board) or (
            bool(self._definitions.of(board.name).earlier) and not is_partition(board.name)
        )

    def _forget(self) -> None:
        """Take nothing for written: what is connected to next may have lost it, or be a server that never had it."""
        self._has_run_key = False
        self._boards.listed.clear()
        self._definitions.forget_begun()

    def _now(self) -> int:
        return round(self._clock() * SECOND)

    async def _act(self, script: Script, board: Board, place: str, *words: str | int | bytes) -> Any:
        """Call a script as the board is known here; again if it is another, by the new definition for what is kept.

        Raises DefinitionChanged if its definition is another than the caller's was.
        """
        self._check_kept(board)
        while True:
            known, key = self._definitions.of(board.name), key_of(board.name)
            if known.is_gone and script in _CHANGE and words[0] != "all":
                raise DefinitionChanged(board.name)
            answer = await self._servers.call(script, (key,), known.rules, known.state, self._now(), place, *words)
            if not _is_stale(answer):
                return answer
            await self._follow(board.name, known, answer)

    async def _follow(self, name: str, known: Known, answer: list[Any]) -> None:
        """Take over what a script says of a board; raise DefinitionChanged if that concerns the caller."""
        if known.state[:1] == "~" and not answer[2]:
            await self._definitions.adopt(name)
            now = self._definitions.of(name)
        else:
            self._definitions.take(name, answer[1], answer[2])
            now = await self._definitions.restore(name)
        if now.definition != known.definition or now.state == UNKNOWN or not now.has_layout_of(known):
            raise DefinitionChanged(name)

    async def _known_to_submit(self, board: Board) -> Known:
        """Return what is known of a board; raise DefinitionChanged if the caller has another definition."""
        known = self._definitions.of(board.name)
        if known.adopts:
            await self._definitions.adopt(board.name)
            known = self._definitions.of(board.name)
        if board.definition is not known.definition and board.definition != known.definition:
            raise DefinitionChanged(board.name)
        return known

    def trace_calls(self) -> None:
        self._servers.is_traced = True

    # Writes

    async def submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        idempotency_key: IdempotencyKey | None = None,
        *,
        want_changes: bool = False,
    ) -> SubmitResult | None:
        self._check_open()
        name = board.name
        known = self._definitions.of(name)
        if (
            known.is_short
            and type(submissions) is Submission
            and name in self._boards.listed
            and not (idempotency_key and known.earlier)
            and (board.definition is known.definition or board.definition == known.definition)
        ):
            if known.is_plain and not (idempotency_key or want_changes or board.feeds):
                script, words = _PUT, put_words(submissions)
            else:
                script, words = _ENTER, enter_words(board, known.guard, submissions, idempotency_key, want_changes)
            answer = await self._servers.call(
                script, (key_of(name),), known.rules, known.state, self._now(), "", *words
            )
            if answer == 0:
                return None
            if _is_stale(answer):
                await self._follow(name, known, answer)
            elif answer != 1:
                return read_answer(answer, [submissions], [submissions], Refused(known.definition, [None]))
        if self._was_spread(board):
            await self._definitions.begin(name)
            await self._known_to_submit(board)
            return await self._partitions.submit(board, submissions, idempotency_key, want_changes=want_changes)
        return await self._submit(board, submissions, idempotency_key, want_changes=want_changes)

    async def _submit(
        self,
        board: Board,
        submissions: Submission | Sequence[Submission | Refusal],
        key: IdempotencyKey | None,
        *,
        want_changes: bool,
    ) -> SubmitResult | None:
        self._check_kept(board)
        is_one = isinstance(submissions, Submission)
        if want_changes and not is_one:
            self._refuse("tell what a batch changed")
        batch: Sequence[Submission | Refusal] = [submissions] if isinstance(submissions, Submission) else submissions
        good = [each for each in batch if isinstance(each, Submission)]
        early = [each for each in batch if isinstance(each, Refusal)]
        if not good and key is None:  # no script is called, which would know whether the definition is another now
            await self._definitions.learn(board.name)
            await self._known_to_submit(board)
            return SubmitResult(early)
        known = await self._known_to_submit(board)
        definition, guard = known.definition, known.definition.guard
        if good and board.name not in self._boards.listed:
            await self._boards.add(board.name)
        if known.is_plain and not (is_one or board.feeds) and _are_plain(good):
            pairs = chain.from_iterable((each.name, write_score(each.score)) for each in good)
            line = known.rules, known.state, self._now(), "", *key_words(key, KEY_SECONDS), *pairs
            answer = await self._servers.call(_PUT_MANY, (key_of(board.name),), *line)
            if answer == 0:
                return SubmitResult(early) if early else None
            if not _is_stale(answer):
                return read_answer(answer, good, batch, Refused(definition, []))
            await self._follow(board.name, known, answer)
        runs = [await self._read_run(board, each) for each in good]
        words = Words(board.feeds, guard.runs if guard else None, self._now())
        for each, run in zip(good, runs, strict=True):
            words.add(each, run)
        flags = "c" * want_changes + "m" * (not is_one) + "w" * definition.scores.integer
        answer = await self._write(board, flags, key, words)
        if answer == 0:
            return SubmitResult(early) if early else None
        result = read_answer(answer, good, batch, Refused(definition, runs))
        return result if want_changes or not is_one else None

    async def _write(self, board: Board, flags: str, key: IdempotencyKey | None, words: Words) -> Any:
        of = board.definition
        options = flags, *bounds_words(of), *key_words(key, KEY_SECONDS), *guard_words(of.guard)
        try:
            return await self._act(_SUBMIT, board, "", *options, *words.all())
        except AnswerLost as lost:
            if of.operator_rules.adds and key is None:
                raise SumUncertain(lost.problem) from lost.__cause__
            raise

    async def recall(self, board: Board, idempotency_key: IdempotencyKey) -> SubmitResult | None:
        self._check_open()
        if self._was_spread(board):
            return await self._partitions.recall(board, idempotency_key)
        key = f"{key_of(board.name)}:key:{idempotency_key.key.hex()}"
        first = await self._servers.ask(key, "GET", key)
        start = FINGERPRINT_BYTES + TIME_DIGITS
        if first is None or int(first[FINGERPRINT_BYTES:start]) + KEY_SECONDS * SECOND <= self._now():
            return None
        if not first.startswith(idempotency_key.fingerprint):
            raise KeyReused
        return read_change(_unpack(first[start:]))

    @_spread
    async def set_metadata(self, board: Board, name: str, metadata: bytes | None) -> bool:
        self._check_open()
        await self._known_to_submit(board)
        fed = [_line(feed.window, feed.period) for feed in board.feeds]
        given = b"" if metadata is None else b"=" + metadata
        return bool(await self._act(_METADATA, board, _place(board), name, given, *fed))

    @_spread
    async def remove(self, board: Board, name: str) -> bool:
        return bool(await self._act(_REMOVE, board, _place(board), "name", name))

    @_spread
    async def drop(self, board: Board) -> bool:
        return bool(await self._act(_REMOVE, board, _place(board), "all", ""))

    @_spread
    async def hide(self, board: Board, name: str) -> bool:
        return await self._hide(board, "hide", name)

    @_spread
    async def show(self, board: Board, name: str) -> bool:
        return await self._hide(board, "show", name)

    async def _hide(self, board: Board, kind: str, name: str) -> bool:
        self._check_open()
        if self._definitions.of(board.name).adopts:
            await self._definitions.adopt(board.name)
        changed, state = await self._act(_HIDE, board, "", kind, name)
        self._definitions.note(board.name, state)
        return bool(changed)

    # The guard

    async def _signing_key(self) -> bytes:
        """Return what runs are signed with: all processes have the same."""
        if not self._has_run_key:
            await self._servers.ask(RUN_KEY, "SET", RUN_KEY, self._run_key or os.urandom(KEY_BYTES), "NX")
            self._run_key = await self._servers.ask(RUN_KEY, "GET", RUN_KEY) or b""
            self._has_run_key = bool(self._run_key)
        return self._run_key

    async def _read_run(self, board: Board, submission: Submission) -> bytes | None:
        if not isinstance(submission, FullSubmission) or submission.run is None:
            return None
        return read_run(await self._signing_key(), owner_of(board.name), submission.name, submission.run)

    async def make_run(self, board: Board, name: str) -> Run:
        self._check_open()
        now, guard = self._now(), board.definition.guard
        seconds = guard.runs.max_seconds if guard and guard.runs else 0
        run = make_run(await self._signing_key(), board.name, name, now, seconds)
        return Run(run, now + seconds * SECOND)

    @_spread
    async def held(self, board: Board, after: Ranked | None = None, limit: int | None = None) -> list[Ranked]:
        if after is None:
            return await self._held(board, True, "page", 0, ALL if limit is None else limit, "d")  # noqa: FBT003
        place = write_score(after.score), after.tick, after.sequence, after.name
        return await self._held(board, True, "after", *place, ALL if limit is None else limit, "d")  # noqa: FBT003

    @_spread
    async def held_entry(self, board: Board, name: str, *, with_metadata: bool = False) -> Ranked | None:
        found = await self._held(board, with_metadata, "held", name)
        return found[0] if found else None

    @_spread
    async def release(self, board: Board, held: Ranked) -> bool:
        self._check_open()
        known = await self._known_to_submit(board)
        words = Words(board.feeds, None, self._now())
        words.add_released(held.name, f"{held.tick}.{held.sequence}")
        await self._boards.add(board.name)
        flags = "r" + "w" * known.definition.scores.integer
        answer = await self._write(board, flags, None, words)
        if answer == 0:
            return True
        _, problem, figure = answer
        if problem == b"n":
            return False
        raise Refused(known.definition, [None]).error(0, Submission(held.name, held.score), problem, figure)

    @_spread
    async def reject(self, board: Board, name: str) -> bool:
        return bool(await self._act(_REMOVE, board, _HELD, "name", name))

    # Definitions

    def follow(self, changed: Callable[[str], object]) -> None:
        def know(board: str) -> None:
            self._watching.refresh(board)
            changed(board)

        self._definitions.changed = know

    def default_of(self, name: str, default: Definition) -> Definition:  # noqa: ARG002 - which it was told
        return self._definitions.default_of(name)

    async def learn(self, name: str = "") -> None:
        self._check_open()
        await (self._definitions.learn(name) if name else self._definitions.load())

    async def definitions(self) -> Mapping[str, Definition]:
        self._check_open()
        await self._definitions.load()
        return self._definitions.own

    async def define(self, name: str, definition: Definition) -> None:
        self._check_open()
        self.capabilities.check(definition)
        await self._definitions.define(name, definition)

    async def undefine(self, name: str) -> bool:
        self._check_open()
        return await self._definitions.define(name, None)

    async def declare(self, definitions: Mapping[str, Definition], default: Definition) -> None:
        self._check_open()
        await self._definitions.declare(definitions, default, self._boards.all)

    # Reads

    async def standing(self, board: Board, name: str) -> Standing | None:
        known = self._definitions.of(board.name)
        if board.visible and known.is_plain:
            key, rank = _key(board), "ZREVRANK" if known.is_descending else "ZRANK"
            looked = await self._look(board, known, ("ZSCORE", key, name), (rank, key, name))
            if looked is not None:
                score, place = looked
                return None if score is None else Standing(read_score(score), place)
        if self._is_spread(board):
            return await self._partitions.standing(board, name)
        found = await self._read(board, "standing", name)
        return read_standing(*found) if found else None

    @_spread
    async def standing_in_full(
        self,
        board: Board,
        name: str,
        periods: Sequence[Board] = (),
        *,
        with_metadata: bool = False,
        with_held: bool = False,
    ) -> FullStanding:
        words = name, "h" * with_held, *map(_place, periods)
        found = await self._read(board, "full", *words) or [0, None, None, *(None for _ in periods)]
        return read_full(found, with_metadata=with_metadata)

    @_spread
    async def page(
        self, board: Board, start: int, stop: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        words = start, min(stop, ALL), _flags(with_places=with_places)
        return read_entries(await self._read(board, "page", *words), with_metadata=with_metadata)

    async def page_json(self, board: Board, start: int, stop: int, *, with_metadata: bool = False) -> bytes:
        if self._is_spread(board) and not with_metadata:
            self._check_open()
            return await self._partitions.page_json(board, start, stop)
        if with_metadata:
            return await super().page_json(board, start, stop, with_metadata=with_metadata)
        known = self._definitions.of(board.name)
        if board.visible and known.is_plain and start < stop:
            page = "ZREVRANGE" if known.is_descending else "ZRANGE"
            words = page, _key(board), start, min(stop, ALL) - 1, "WITHSCORES"
            looked = await self._look(board, known, words)
            if looked is not None:
                return page_of(*looked)
        found = await self._read(board, "page", start, min(stop, ALL), "")
        return _encode([Entry(read_name(name), read_score(score)) for name, score, _ in found or ()])

    @_spread
    async def count(self, board: Board) -> int:
        return await self._read(board, "count") or 0

    @_spread
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
        words = name, span, "" if limit is None else limit, _flags(with_places=with_places)
        found = await self._read(board, "around", *words)
        return None if found is None else read_entries(found, with_metadata=with_metadata)

    @_spread
    async def entries_named(
        self, board: Board, names: Sequence[str], *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        found = await self._read(board, "named", _flags(with_places=with_places), *names)
        return read_entries(found, with_metadata=with_metadata)

    @_spread
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
        words = write_score(low), write_score(high), limit, _flags(with_places=with_places)
        return read_entries(await self._read(board, "scores", *words), with_metadata=with_metadata)

    @_spread
    async def entries_after(
        self, board: Board, entry: Ranked, limit: int, *, with_metadata: bool = False, with_places: bool = False
    ) -> Entries:
        place = write_score(entry.score), entry.tick, entry.sequence, entry.name
        found = await self._read(board, "after", *place, limit, _flags(with_places=with_places))
        return read_entries(found, with_metadata=with_metadata)

    @_spread
    async def place(self, board: Board, score: Score) -> Place:
        return Place(*(await self._read(board, "place", write_score(score)) or (0, 0, 0)))

    @_spread
    async def summary(
        self, board: Board, percentiles: Sequence[Percentile] = PERCENTILES, buckets: int = DEFAULT_SUMMARY_BUCKETS
    ) -> Summary:
        """Ask until the edges of the histogram, which follow from the best and the worst score, are of one state."""
        edges: list[Score] = []
        while True:
            words: list[str | int] = [len(percentiles), *map(parts_above, percentiles), *map(write_score, edges[:-1])]
            count, *figures = await self._read(board, "summary", *words) or [0]
            if not count:
                return summarize(0, percentiles, [], [], [])
            scores = [read_score(figure) for figure in figures[: 2 + len(percentiles)]]
            known, edges = edges, edges_between(scores[0], scores[1], buckets)
            if known == edges:
                return summarize(count, percentiles, scores, edges, figures[len(scores) :])

    @_spread
    async def hidden(
        self, board: Board, after: str = "", limit: int | None = None, *, with_metadata: bool = False
    ) -> list[HiddenName]:
        found = await self._read(board, "hidden", after, -1 if limit is None else limit)
        return [_hidden(each, with_metadata=with_metadata) for each in found or ()]

    async def _ask_spread(
        self, board: Board, names: Sequence[str], kind: str, words: Sequence[Sequence[str | bytes | int]]
    ) -> list[Any]:
        """Ask several partitions of a board the same, or each with words of its own, in one turn.

        Raises DefinitionChanged of a partition that is another than it is taken to be.
        """
        size, order, place = len(names), board.definition.order[0], _place(board)
        script, kinds = (_BEFORE, []) if kind == BEFORE else (_SPREAD, [kind])
        if not self._servers.spans_slots:
            size = 1
        replies = []
        for start in range(0, len(names), size):
            asked = names[start : start + size]
            own = words[start : start + size] if kind in ENTRIES else words
            states = [self._definitions.of(name).state for name in asked]
            line = len(asked), *states, order, place, *kinds, *chain(*own)
            replies.append(self._servers.call(script, tuple(map(key_of, asked)), *line))
        answers: list[Any] = []
        changed = ""
        for found in [await replies[0]] if len(replies) == 1 else await asyncio.gather(*replies):
            if found[0] == _STALE:
                for at, state, definition in found[1:]:
                    changed = names[len(answers) + at]
                    self._definitions.take(changed, state, definition)
                answers += [None] * size
            elif kind == BEFORE:
                counts = iter(found)
                answers += zip(*[counts] * (len(words[0]) // 2), strict=True)
            else:
                answers += found
        if changed:
            raise DefinitionChanged(changed)
        return answers

    async def _look(self, board: Board, known: Known, *commands: tuple[str | int, ...]) -> list[Any] | None:
        """Return what plain commands answer; None if the board is another than is known, or if the server is full.

        A full one queues no commands, not even those that read. Scripts read all the same.
        """
        self._check_open()
        try:
            state, *answers = await self._servers.look(key_of(board.name), *commands)
        except ServerFull:
            return None
        return answers if known.is_in(state) else None

    async def _held(self, board: Board, with_metadata: bool, kind: str, *words: str | int) -> list[Ranked]:  # noqa: FBT001
        found = await self._read_at(_HELD, board, kind, *words)
        return [read_entry(each, with_metadata=with_metadata) for each in found or ()]

    async def _read(self, board: Board, kind: str, *words: str | int) -> Any:
        return await self._read_at(_place(board), board, kind, *words)

    async def _read_at(self, place: str, board: Board, kind: str, *words: str | int) -> Any:
        if not board.visible:  # perhaps it is by now
            await self._act(_READ, board, place, "nothing")
            return None
        return await self._act(_READ, board, place, kind, *words)

    # Who looks on

    def watch(self, board: str, changed: Callable[[], object] | None) -> bool:
        self._watching.watch(board, changed)
        return True

    def _names_of(self, board: str) -> Iterator[str]:
        """Yield the names under which a board and its partitions are kept."""
        known = self._definitions.of(board)
        yield board
        for count in (known.definition.partitions, known.source):
            if count > 1:
                yield from names_of(board, count)

    # Other numbers of partitions

    async def repartition(
        self, name: str, count: int, check: Callable[[Definition], object]
    ) -> AsyncGenerator[tuple[int, int], None]:
        self._check_open()
        known = await self._definitions.learn(name)
        check(replace(known.definition, partitions=count))
        known, moved = await self._definitions.repartition(name, count), 0
        while known.source:
            try:
                async for some, left in self._partitions.move(Board(name, known.definition)):
                    moved += some
                    yield moved, left
            except DefinitionChanged:  # by others
                await self._definitions.learn(name)
            if (known := self._definitions.of(name)).definition.partitions != count:
                raise DefinitionConflict(name, f"others are giving it {known.definition.partitions} partitions")

    # Boards and periods

    async def names(self, after: str = "", limit: int | None = None) -> list[str]:
        self._check_open()
        return await self._boards.names(after, limit)

    @_spread
    async def periods(
        self, board: Board, ranges: Sequence[PeriodRange] | None = None, limit: int | None = None
    ) -> list[Period]:
        ends = [_line(each.window, end) for each in ranges or () for end in (each.first, each.last)]
        if ranges is not None and not ends:
            self._check_open()
            return []
        found = await self._act(_PERIODS, board, "", -1 if limit is None else limit, *ends)
        pairs = ((line.decode().split("\n"), count) for line, count in found)
        return [Period(window, period, count) for (window, period), count in pairs]

    # The store itself

    def _check_kept(self, board: Board) -> None:
        self._check_open()
        self.capabilities.check(board.definition)

    async def ready(self) -> None:
        self._check_open()
        await self._servers.ready()
        self.capabilities = replace(self.capabilities, durable=self._servers.is_durable)

    def warnings(self) -> list[str]:
        return [*self._servers.warnings(), *self._watching.warnings()]

    def measure(self) -> Figures:
        return self._servers.measure()

    @property
    def is_connected(self) -> bool:
        """Whether no server is known to be out of reach."""
        return self._servers.is_connected

    async def reconnect(self) -> None:
        """Close the connections that nothing uses: they may be dead, or too old. What is asked next connects anew."""
        await self._servers.reconnect()

    async def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            await self._watching.close()
            await self._servers.close()


async def open_store(
    url: str, clock: Callable[[], float] = time.time, settings: RedisSettings = DEFAULTS
) -> RedisStore:
    """Return a store once it is ready; raise StoreError if it is not."""
    store = RedisStore(url, clock, settings=settings)
    try:
        await store.ready()
    except StoreError:
        await store.close()
        raise
    return store


def _are_plain(submissions: Sequence[Submission]) -> bool:
    """Return whether submissions are no more than a score each, of names of which no two are the same."""
    if any(isinstance(each, FullSubmission) or each.metadata is not None for each in submissions):
        return False
    return len({each.name for each in submissions}) == len(submissions)


def _is_stale(answer: Any) -> bool:
    return type(answer) is list and len(answer) == STALE_WORDS and answer[0] == _STALE


def _unpack(body: bytes) -> Any:
    """Return what a script packed, as it would have returned it: cmsgpack knows no bytes."""
    answer = msgspec.msgpack.decode(body)
    return [word.encode() if isinstance(word, str) else word for word in answer] if answer else answer


def _line(window: str, period: str) -> str:
    return f"{window}\n{period}"


def _key(board: Board) -> str:
    return key_of(board.name, board.window, board.period)


def _place(board: Board) -> str:
    return f"{board.window}\n{board.period}" if board.window else ""


def _flags(*, with_places: bool) -> str:
    return "dp" if with_places else "d"


def _hidden(entry: list[Any], *, with_metadata: bool) -> HiddenName:
    name, *found = entry
    if not found:
        return HiddenName(read_name(name))
    score, details = found
    tick, _, metadata = read_details(details) if details else (None, 0, None)
    return HiddenName(read_name(name), read_score(score), tick, metadata if with_metadata else None)
