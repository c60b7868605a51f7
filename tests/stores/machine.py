"""A store against dictionaries: the operations of every store, in any sequence."""

from __future__ import annotations

from fractions import Fraction
from hashlib import blake2b
from operator import gt, lt
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from laurels.definition import Bounds, Definition, Guard
from laurels.errors import LaurelsError
from laurels.stores.contract import (
    Board,
    Feed,
    FullSubmission,
    IdempotencyKey,
    Place,
    Ranked,
    Refusal,
    Submission,
    key_of,
)
from tests.stores.guarantees import keeps, shown, submit_batch, submit_for_change
from tests.stores.model import Model, shown_rows

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from random import Random

    from laurels.stores.contract import Store
    from tests.stores.model import Row

T = TypeVar("T")

DAY = 86_400
NAMES_OF_BOARDS = ["kart", "laps", "tiny"]
NAMES = st.sampled_from(NAMES_OF_BOARDS)
PLAYERS = st.sampled_from(["a", "b", "é", "😀", "aa", "B"])
SCORES = st.sampled_from([0, 1, 1.5, -7, 2**53, 2**60])
METADATA = st.sampled_from([None, None, b"{}", b'{"a":[1]}'])
SUBMISSIONS = st.builds(Submission, PLAYERS, SCORES, METADATA)
DATED = st.builds(FullSubmission, PLAYERS, SCORES, METADATA, st.integers(10**15, 10**15 + 2), st.just(()))
TERMS = st.builds(
    FullSubmission,
    PLAYERS,
    SCORES,
    METADATA,
    st.none() | st.integers(10**15, 10**15 + 2),
    st.just(()),
    st.sampled_from(["latest", "best", "increment"]),
)
BATCHES = st.lists(SUBMISSIONS | DATED | st.just(Refusal(0, "x", "is no score")), max_size=9)
KEYS = st.sampled_from([None, None, b"1" * 16, b"2" * 16, b"3" * 16])
DAYS = st.sampled_from([None, None, 9, 10, 11, 12])
DEFINITIONS = st.builds(
    Definition,
    order=st.sampled_from(["descending", "ascending"]),
    operator=st.sampled_from(["latest", "best", "increment"]),
    ties=st.sampled_from(["name", "earliest", "latest"]),
    ranking=st.sampled_from(["ordinal", "competition", "dense"]),
    scores=st.sampled_from([Bounds(), Bounds(), Bounds(min=-10, max=2)]),
    windows=st.sampled_from([(), ("daily",), ("weekly", "daily")]),
    ttl=st.sampled_from([None, None, "1h"]),
    guard=st.none() | st.builds(Guard, st.none() | st.just(3), st.none() | st.just("2/h"), st.none() | st.just(1)),
)


def has(capability: str) -> Callable[[StoreMachine], bool]:
    """Return a condition: the machine's store has a capability."""
    return lambda machine: bool(getattr(machine.store.capabilities, capability))


class StoreMachine(RuleBasedStateMachine):
    """A store and what it should hold. A subclass sets ``runner`` and ``store``; its clock is that of ``model``."""

    runner: asyncio.Runner
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.seen: list[tuple[Ranked, Row]] = []

    @initialize(definitions=st.lists(DEFINITIONS, min_size=3, max_size=3))
    def declare(self, definitions: list[Definition]) -> None:
        """Begin with boards of all kinds."""
        for name, definition in zip(NAMES_OF_BOARDS, definitions, strict=True):
            self.define(name, definition)

    # Changes

    def compare(
        self, operation: Coroutine[None, None, object], expect: Callable[[], object], *, is_reported: bool = True
    ) -> None:
        """Do an operation, and expect the model's result, if there is one to see, or its error."""
        try:
            expected = expect()
        except LaurelsError as error:
            with pytest.raises(type(error)):
                self.runner.run(operation)
        else:
            assert self.runner.run(operation) == (expected if is_reported else None)

    @rule(name=NAMES, player=PLAYERS, score=SCORES)
    def submit(self, name: str, player: str, score: float) -> None:
        """Submit one score."""
        board, submission = self.model.board(name), Submission(player, score)
        self.compare(
            self.store.submit(board, submission), lambda: self.model.submit(board, submission), is_reported=False
        )

    def once(self, key: bytes | None, *request: object) -> IdempotencyKey | None:
        """Return what makes a submit count once; the first part of the request is the board, to which a key belongs."""
        if key is None or not self.store.capabilities.submission_details:
            return None
        key = blake2b(f"{key!r}, {request[0]}".encode(), digest_size=16).digest()
        return IdempotencyKey(key, blake2b(repr(request).encode(), digest_size=16).digest())

    @precondition(has("one_state"))
    @rule(name=NAMES, submission=SUBMISSIONS | DATED | TERMS, key=KEYS)
    def change(self, name: str, submission: Submission, key: bytes | None) -> None:
        """Submit one score and compare what it is said to have changed."""
        board, once = self.model.board(name), self.once(key, name, submission)
        submission = self.dated(board, submission)
        self.compare(
            submit_for_change(self.store, board, submission, once),
            lambda: self.model.do_once(once, lambda: self.model.change(board, submission)),
        )

    @rule(name=NAMES, batch=BATCHES, key=KEYS)
    def submit_many(self, name: str, batch: list[Submission | Refusal], key: bytes | None) -> None:
        """Submit several scores."""
        board = self.model.board(name)
        entries = [self.dated(board, self.placed(place, each)) for place, each in enumerate(batch)]
        once = self.once(key, name, entries)

        async def submit() -> list[int]:
            return [each.index for each in await submit_batch(self.store, board, entries, once)]

        if self.store.capabilities.batched_sums or board.definition.operator != "increment":
            self.compare(submit(), lambda: self.model.do_once(once, lambda: self.model.submit_many(board, entries)))

    def dated(self, board: Board, entry: T) -> T:
        """Return an entry with the periods of its time, if it has one: that of yesterday, if it is kept."""
        if isinstance(entry, FullSubmission) and entry.submitted_at is None:
            return structs.replace(entry, feeds=board.feeds)
        if not isinstance(entry, FullSubmission) or "daily" not in board.definition.windows:
            return entry
        yesterday = f"2026-11-{self.model.day - 1:02}"
        return structs.replace(entry, feeds=(Feed("daily", yesterday, yesterday),))

    def placed(self, place: int, entry: Submission | Refusal) -> Submission | Refusal:
        """Return an entry of a batch as the store can keep it."""
        if isinstance(entry, Refusal):
            return Refusal(place, entry.name, entry.problem)
        return entry if self.store.capabilities.submission_details else Submission(entry.name, entry.score)

    @precondition(has("submission_details"))
    @rule(name=NAMES, player=PLAYERS, metadata=METADATA, day=DAYS)
    def set_metadata(self, name: str, player: str, metadata: bytes | None, day: int | None) -> None:
        """Set the metadata of one entry."""
        board = self.model.board(name, day=day)
        found = self.runner.run(self.store.set_metadata(board, player, metadata))
        assert found == self.model.set_metadata(board, player, metadata)

    @precondition(has("guarding"))
    @rule(name=NAMES, player=PLAYERS)
    def release(self, name: str, player: str) -> None:
        """Let a held entry count."""
        board = self.model.board(name)
        held = self.runner.run(self.store.held_entry(board, player, with_metadata=True))
        if held is None:
            assert player not in {row.name for row in self.model.held_rows(board)}
        else:
            self.compare(self.store.release(board, held), lambda: self.model.release(board, player))

    @precondition(has("guarding"))
    @rule(name=NAMES, player=PLAYERS)
    def reject(self, name: str, player: str) -> None:
        """Forget a held entry."""
        board = self.model.board(name)
        assert self.runner.run(self.store.reject(board, player)) == self.model.reject(board, player)

    @rule(name=NAMES, player=PLAYERS, day=DAYS)
    def remove(self, name: str, player: str, day: int | None) -> None:
        """Remove one entry."""
        board = self.model.board(name, day=day)
        assert self.runner.run(self.store.remove(board, player)) == self.model.remove(board, player)

    @rule(name=NAMES, day=DAYS)
    def drop(self, name: str, day: int | None) -> None:
        """Drop a board, or a period of it."""
        board = self.model.board(name, day=day)
        self.model.pass_time()
        assert self.runner.run(self.store.drop(board)) == self.model.drop(board)

    @precondition(has("hiding"))
    @rule(name=NAMES, player=PLAYERS)
    def hide(self, name: str, player: str) -> None:
        """Hide a name."""
        board = self.model.board(name)
        assert self.runner.run(self.store.hide(board, player)) == self.model.hide(board, player)

    @precondition(has("hiding"))
    @rule(name=NAMES, player=PLAYERS)
    def show(self, name: str, player: str) -> None:
        """Show a name."""
        board = self.model.board(name)
        assert self.runner.run(self.store.show(board, player)) == self.model.show(board, player)

    @rule(name=NAMES, definition=DEFINITIONS)
    def define(self, name: str, definition: Definition) -> None:
        """Define a board, which its entries may contradict."""
        if self.store.capabilities.defining:
            self.compare(
                self.store.define(name, definition), lambda: self.model.define(name, definition), is_reported=False
            )
        elif keeps(self.store, definition) and not (definition.ttl or self.model.contradicts(name, definition)):
            self.model.define(name, definition)

    @precondition(has("defining"))
    @rule(name=NAMES)
    def undefine(self, name: str) -> None:
        """Undefine a board, which its entries may contradict."""
        self.compare(self.store.undefine(name), lambda: self.model.define(name, None))

    @precondition(has("defining"))
    @rule(seconds=st.sampled_from([7, 701, 1409, 2903, 90_001]))
    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        self.model.now += seconds
        if seconds > DAY:  # keys are forgotten after as much as is known to have passed: after a crash, up to a write
            self.remove("kart", "nobody", None)

    @rule()
    def next_day(self) -> None:
        """Begin a day."""
        self.model.day += 1

    # Questions

    @rule(name=NAMES, player=PLAYERS, day=DAYS)
    def ask(self, name: str, player: str, day: int | None) -> None:
        """Read a standing, and the number of entries."""
        board = self.model.board(name, day=day)
        assert self.runner.run(self.store.standing(board, player)) == self.model.standing(board, player)
        assert self.runner.run(self.store.count(board)) == len(self.model.page(board))

    @precondition(has("one_state"))
    @rule(
        name=NAMES,
        players=st.lists(PLAYERS, min_size=1, max_size=4),
        span=st.integers(0, 3),
        limit=st.integers(1, 5),
        day=DAYS,
    )
    def ask_names(self, name: str, players: list[str], span: int, limit: int, day: int | None) -> None:
        """Read neighbours, and several names."""
        board = self.model.board(name, day=day)
        page = self.model.page(board)
        place = next((place for place, (row, _) in enumerate(page) if row.name == players[0]), None)
        around = self.runner.run(self.store.around(board, players[0], span))
        if place is None:
            assert around is None
        else:
            assert around is not None
            assert shown(around) == shown_rows(page[max(0, place - span) : place + span + 1])
            most = self.runner.run(self.store.around(board, players[0], 0, limit, with_places=True))
            assert most is not None
            assert shown(most) == shown_rows(page[most.places[0] : most.places[0] + limit])
            ends = most.places[0], len(page) - 1 - most.places[-1]
            above, below = place - most.places[0], most.places[-1] - place
            assert (len(most), most.total) == (min(limit, len(page)), len(page))
            assert above - below in {0, 1} or (above < below and not ends[0]) or (above > below and not ends[1])
        found = self.runner.run(self.store.entries_named(board, players, with_places=True))
        assert shown(found) == shown_rows(each for each in page if each[0].name in players)
        places = [page[place][0].name for place in found.places]
        assert (places, found.total) == ([each.name for each in found], len(page))

    @precondition(has("one_state"))
    @rule(name=NAMES, low=SCORES, high=SCORES, limit=st.integers(1, 4), day=DAYS)
    def ask_scores(self, name: str, low: float, high: float, limit: int, day: int | None) -> None:
        """Read the entries between two scores, and the place of a score."""
        board = self.model.board(name, day=day)
        page, is_better = self.model.page(board), gt if board.definition.order == "descending" else lt
        low, high = min(low, high), max(low, high)
        between = [each for each in page if low <= each[0].score <= high]
        found = self.runner.run(self.store.entries_between_scores(board, low, high, limit, with_places=True))
        assert shown(found) == shown_rows(between[:limit])
        assert ([page[place] for place in found.places], found.total) == (between[:limit], len(page))
        better = [row.score for row, _ in page if is_better(row.score, low)]
        rank = len(set(better)) if board.definition.ranking == "dense" else len(better)
        assert self.runner.run(self.store.place(board, low)) == Place(rank, len(better), len(page))

    @precondition(has("hiding"))
    @rule(name=NAMES, after=PLAYERS | st.just(""), limit=st.integers(1, 4), day=DAYS)
    def ask_hidden(self, name: str, after: str, limit: int, day: int | None) -> None:
        """Read the hidden names, and their entries."""
        board = self.model.board(name, day=day)
        found = self.runner.run(self.store.hidden(board, after, limit, with_metadata=True))
        rows = [each for each in self.model.hidden_rows(board) if each[0].encode() > after.encode()][:limit]
        assert [(each.name, each.score, each.metadata) for each in found] == [
            (name, row and row.score, row and row.metadata) for name, row in rows
        ]

    @precondition(has("submission_details"))
    @rule(name=NAMES, start=st.integers(0, 3), day=DAYS)
    def look(self, name: str, start: int, day: int | None) -> None:
        """Read a page with metadata, and remember its places."""
        board = self.model.board(name, day=day)
        page = self.model.page(board)[start : start + 4]
        found = self.runner.run(self.store.page(board, start, start + 4, with_metadata=True))
        assert (shown(found), [each.metadata for each in found]) == (
            shown_rows(page),
            [row.metadata for row, _ in page],
        )
        self.seen += zip(found, (row for row, _ in page), strict=True)

    @precondition(lambda self: self.seen)
    @rule(name=NAMES, which=st.randoms(use_true_random=False), limit=st.integers(1, 4), day=DAYS)
    def ask_after(self, name: str, which: Random, limit: int, day: int | None) -> None:
        """Read the entries after a place that was seen some time before, whether or not its entry is still there."""
        board = self.model.board(name, day=day)
        entry, row = which.choice(self.seen)
        found = self.runner.run(self.store.entries_after(board, entry, limit))
        assert shown(found) == shown_rows(self.model.after(board, row)[:limit])

    @precondition(has("one_state"))
    @rule(name=NAMES, player=PLAYERS, day=DAYS)
    def ask_in_full(self, name: str, player: str, day: int | None) -> None:
        """Read all there is to say of a name."""
        board, days = self.model.board(name, day=day), [self.model.board(name, day=each) for each in (9, 10, 11)]
        details = self.store.capabilities.submission_details
        full = self.runner.run(
            self.store.standing_in_full(
                board, player, days, with_metadata=details, with_held=self.store.capabilities.guarding
            )
        )
        page, is_better = self.model.page(board), gt if board.definition.order == "descending" else lt
        place = next((place for place, (row, _) in enumerate(page) if row.name == player), None)
        row = self.model.of(board).get(player)
        better = None if place is None or row is None else sum(is_better(other.score, row.score) for other, _ in page)
        assert full.standing == self.model.standing(board, player)
        assert (full.place, full.better, full.total) == (place, better, len(page))
        assert full.metadata == (row.metadata if row and details else None)
        assert (full.submitted_at is None) == (row is None)
        assert list(full.windows) == [
            self.model.standing(each, player) if player in self.model.of(each) else None for each in days
        ]
        held = next((row for row in self.model.held_rows(board) if row.name == player), None)
        assert (full.held and (full.held.name, full.held.score)) == (held and (held.name, held.score))

    @precondition(has("one_state"))
    @rule(
        name=NAMES,
        percentiles=st.lists(st.sampled_from(["0", "12.5", "33.3333", "50", "66.6667", "99.9", "100"]), unique=True),
        buckets=st.integers(1, 12),
        day=DAYS,
    )
    def ask_summary(self, name: str, percentiles: list[str], buckets: int, day: int | None) -> None:
        """Read the summary."""
        board = self.model.board(name, day=day)
        scores = [row.score for row, _ in self.model.page(board)]
        found = self.runner.run(self.store.summary(board, percentiles, buckets))
        assert list(found.percentiles) == percentiles
        assert len(found.histogram) <= buckets
        ends = (scores[0], scores[-1]) if scores else (None, None)
        assert (found.count, found.best, found.worst) == (len(scores), *ends)
        assert sum(bucket.count for bucket in found.histogram) == len(scores)
        for percent, score in found.percentiles.items():
            least = next((n for n in range(len(scores)) if 100 * (n + 1) >= Fraction(percent) * len(scores)), None)
            assert score == (None if least is None else scores[::-1][least])

    @invariant()
    def same(self) -> None:
        """Compare the store with the model."""
        self.model.pass_time()
        for name in NAMES_OF_BOARDS if self.store.capabilities.guarding else ():
            held = self.runner.run(self.store.held(self.model.board(name)))
            rows = self.model.held_rows(self.model.board(name))
            assert [(each.name, each.score, each.metadata) for each in held] == [
                (row.name, row.score, row.metadata) for row in rows
            ]
        shown_keys = self.model.shown_keys()
        boards = sorted({key.partition("\n")[0] for key in shown_keys})
        if self.store.capabilities.listing:
            assert self.runner.run(self.store.names()) == boards
        for key in self.model.entries:
            name, window, period = [*key.split("\n"), "", ""][:3]
            board = Board(name, self.model.definition(name), window, period)
            assert shown(self.runner.run(self.store.page(board, 0, 99))) == shown_rows(self.model.page(board))
        for name in boards if self.store.capabilities.listing else ():
            periods = self.runner.run(self.store.periods(Board(name)))
            found = [key_of(name, each.window, each.period) for each in periods]
            assert found == sorted(key for key in shown_keys if key.startswith(f"{name}\n"))
