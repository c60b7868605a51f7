"""What follows for a store from definitions and from its capabilities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from typing import TYPE_CHECKING, get_args

import pytest

from laurels.boards import Boards
from laurels.clock import SECOND
from laurels.definition import Bounds, Definition, Guard, Operator, Order, Ranking, Runs, Ties
from laurels.errors import DefinitionConflict, KeyReused, NotKept, ScoreRefused
from laurels.stores.contract import (
    Board,
    Change,
    Feed,
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
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.clock import Clock

KART = Board("mario-kart")
Kept = Callable[[Board], Awaitable[dict[str, float]]]

ONCE, AGAIN = IdempotencyKey(b"1" * 16, b"a" * 16), IdempotencyKey(b"1" * 16, b"b" * 16)
"""A key with what it came with, and with something else."""
TIED: dict[str, float] = {"a": 7, "d": 7, "b": 9, "c": 7, "e": 3}


def requires(capability: bool) -> AbstractContextManager[object]:  # noqa: FBT001 - a call reads as a sentence
    """Expect the block to succeed if the store has the capability, and to be refused if not."""
    return nullcontext() if capability else pytest.raises(NotKept, match="This service cannot")


def keeps(store: Store, definition: Definition) -> bool:
    """Return whether the store's capabilities allow a definition."""
    try:
        store.capabilities.check(definition)
    except NotKept:
        return False
    return True


async def declare(store: Store, definition: Definition, name: str = "declared") -> Board:
    """Declare a board as a deployment would, or raise NotKept."""
    store.capabilities.check(definition)
    if store.capabilities.defining:
        await store.define(name, definition)
    return Board(name, definition)


def days(board: Board, *periods: str, oldest: str = "") -> list[Board]:
    """Return the board as its submits feed it on each of some days."""
    feeds = [(Feed("daily", day, oldest),) for day in periods]
    return [Board(board.name, board.definition, feeds=each) for each in feeds]


def day(board: Board, period: str) -> Board:
    """Return one day of a board."""
    return Board(board.name, board.definition, "daily", period)


def shown(entries: Iterable[Ranked]) -> list[tuple[str, Score, int]]:
    """Return what a client sees of entries, without the store's own numbers."""
    return [(entry.name, entry.score, entry.rank) for entry in entries]


async def submit_for_change(
    store: Store, board: Board, submission: Submission, key: IdempotencyKey | None = None
) -> Change:
    """Submit a score, and return what it changed."""
    result = await store.submit(board, submission, key, want_changes=True)
    assert result is not None
    (change,) = result.changes
    assert not result.refusals
    return change


async def submit_batch(
    store: Store, board: Board, batch: Sequence[Submission | Refusal], key: IdempotencyKey | None = None
) -> list[Refusal]:
    """Submit a batch, and return what was refused of it."""
    result = await store.submit(board, batch, key)
    assert result is None or not result.changes
    return list(result.refusals) if result else []


async def fill(store: Store, board: Board, scores: dict[str, float]) -> None:
    """Submit a score for each name, in one batch."""
    await store.submit(board, [Submission(name, score) for name, score in scores.items()])


async def fill_one_by_one(store: Store, board: Board, scores: dict[str, float]) -> None:
    """Submit a score for each name, one after the other."""
    for name, score in scores.items():
        await store.submit(board, Submission(name, score))


@pytest.mark.anyio
class Guarantees:
    """What follows from definitions, windows, metadata and keys; the fixtures are those of Conformance."""

    @pytest.mark.parametrize("order", get_args(Order))
    @pytest.mark.parametrize(
        ("operator", "descending", "ascending"), [("latest", 4, 4), ("best", 9, 4), ("increment", 22, 22)]
    )
    async def test_operators(
        self, store: Store, kept: Kept, order: Order, operator: Operator, descending: int, ascending: int
    ) -> None:
        """The latest score replaces the one before, the best does so if it is better, or the score is added."""
        definition = Definition(order=order, operator=operator)
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            for score in (5, 9, 4, 4):
                await store.submit(board, Submission("v", score))
            await store.submit(board, Submission("w", 1))
            assert await kept(board) == {"v": descending if order == "descending" else ascending, "w": 1}

    @pytest.mark.parametrize("operator", get_args(Operator))
    async def test_operators_in_a_batch(self, store: Store, kept: Kept, operator: Operator) -> None:
        """A batch does the same as its submissions one by one, in their order."""
        definition = Definition(operator=operator)
        with requires(keeps(store, definition) and (operator != "increment" or store.capabilities.batched_sums)):
            board = await declare(store, definition)
            await submit_batch(
                store, board, [Submission("v", 5), Submission("w", 1), Submission("v", 9), Submission("v", 4)]
            )
            assert await kept(board) == {"v": {"latest": 4, "best": 9, "increment": 18}[operator], "w": 1}

    @pytest.mark.parametrize("operator", ["best", "increment"])
    async def test_what_counts(self, store: Store, operator: Operator) -> None:
        """A change says whether the submission counted, and has the standings before and after it."""
        definition = Definition(operator=operator)
        with requires(keeps(store, definition) and store.capabilities.one_state):
            board = await declare(store, definition)
            await store.submit(board, Submission("w", 8))
            changes = [await submit_for_change(store, board, Submission("v", score)) for score in (9, -2)]
            after = Standing(9, 0) if operator == "best" else Standing(7, 1)
            assert changes == [
                Change(None, Standing(9, 0)),
                Change(Standing(9, 0), after, counted=operator == "increment"),
            ]

    @pytest.mark.parametrize("operator", ["increment", "best"])
    async def test_many_writers(self, store: Store, operator: Operator) -> None:
        """Of 32 writers at once none loses anything."""
        definition = Definition(operator=operator)
        with requires(keeps(store, definition)):
            board = await declare(store, definition)

            async def write(writer: int) -> None:
                for score in range(10):
                    await store.submit(
                        board, Submission("all", score if operator == "increment" else 10 * writer + score)
                    )

            await asyncio.gather(*map(write, range(32)))
            assert await store.standing(board, "all") == Standing(32 * 45 if operator == "increment" else 319, 0)

    @pytest.mark.parametrize("order", get_args(Order))
    @pytest.mark.parametrize(("ties", "tied"), [("name", "acd"), ("earliest", "adc"), ("latest", "cda")])
    async def test_ties(self, store: Store, order: Order, ties: Ties, tied: str) -> None:
        """Equal scores are ordered by name, or as they were submitted, or the other way round."""
        definition = Definition(order=order, ties=ties)
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await fill_one_by_one(store, board, TIED)
            if order == "descending" and ties == "name":
                tied = tied[::-1]
            expected = f"b{tied}e" if order == "descending" else f"e{tied}b"
            assert "".join(entry.name for entry in await store.page(board, 0, 9)) == expected

    async def test_ties_of_a_batch(self, store: Store) -> None:
        """Within a batch the submissions come one after the other, and after all earlier ones."""
        definition = Definition(ties="earliest")
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await store.submit(board, Submission("z", 7))
            await fill(store, board, TIED)
            await store.submit(board, Submission("a", 7))
            assert "".join(entry.name for entry in await store.page(board, 0, 9)) == "bzadce"

    async def test_the_same_score_again(self, store: Store) -> None:
        """A submission of the very score that the name has changes nothing, not even its place."""
        definition = Definition(ties="latest")
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await fill_one_by_one(store, board, {"a": 7, "b": 7})
            again = await submit_for_change(store, board, Submission("a", 7))
            assert (again, await store.standing(board, "b")) == (
                Change(Standing(7, 1), Standing(7, 1), counted=False),
                Standing(7, 0),
            )

    @pytest.mark.parametrize("order", get_args(Order))
    @pytest.mark.parametrize(
        ("ranking", "ranks"),
        [("ordinal", [0, 1, 2, 3, 4]), ("competition", [0, 1, 1, 1, 4]), ("dense", [0, 1, 1, 1, 2])],
    )
    async def test_rankings(self, store: Store, order: Order, ranking: Ranking, ranks: list[int]) -> None:
        """A standing, pages that end anywhere, neighbours, names, scores and what comes after agree on the ranks."""
        definition = Definition(order=order, ranking=ranking)
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await fill(store, board, TIED)
            page = await store.page(board, 0, 9)
            assert [entry.rank for entry in page] == ranks
            assert [await store.page(board, place, place + 1) for place in range(5)] == [[entry] for entry in page]
            standings = [await store.standing(board, entry.name) for entry in page]
            assert standings == [Standing(entry.score, entry.rank) for entry in page]

    @pytest.mark.parametrize("ranking", get_args(Ranking))
    async def test_rankings_agree(self, store: Store, ranking: Ranking) -> None:
        """Neighbours, chosen names, scores and what comes after have the ranks of the page."""
        definition = Definition(ranking=ranking)
        with requires(keeps(store, definition) and store.capabilities.one_state):
            board = await declare(store, definition)
            await fill(store, board, TIED)
            page = await store.page(board, 0, 9)
            around = [await store.around(board, entry.name, 1) for entry in page]
            assert around == [page[max(0, place - 1) : place + 2] for place in range(5)]
            assert await store.entries_named(board, list(TIED)) == page
            assert await store.entries_between_scores(board, -inf, inf, 9) == page
            assert await store.entries_after(board, page[1], 2) == page[2:4]

    @pytest.mark.parametrize(("ranking", "rank", "behind"), [("ordinal", 1, 4), ("competition", 1, 4), ("dense", 1, 2)])
    async def test_places(self, store: Store, ranking: Ranking, rank: int, behind: int) -> None:
        """A score would have the rank of its equals."""
        definition = Definition(ranking=ranking)
        with requires(keeps(store, definition) and store.capabilities.one_state):
            board = await declare(store, definition)
            await fill(store, board, TIED)
            assert await store.place(board, 7) == Place(rank, 1, 5)
            assert await store.place(board, 5) == Place(behind, 4, 5)

    @pytest.mark.parametrize("ties", get_args(Ties))
    async def test_after_goes_through_all_ties(self, store: Store, ties: Ties) -> None:
        """With any order of ties, a board can be read entry by entry while entries already read move."""
        definition = Definition(ties=ties)
        with requires(keeps(store, definition) and store.capabilities.one_state):
            board = await declare(store, definition)
            await fill_one_by_one(store, board, TIED)
            before = [entry.name for entry in await store.page(board, 0, 9)]
            seen = await store.page(board, 0, 1)
            while found := await store.entries_after(board, seen[-1], 1):
                await store.submit(board, Submission(seen[-1].name, 100))
                seen += found
            assert [entry.name for entry in seen] == before

    @pytest.mark.parametrize(
        ("had", "score"),
        [
            (2**53, 1),
            (1.5e308, 1.5e308),
            (-(2**53), -1),
            (2**60, 1),
            (2**53, 0.5),
            (2**53, -0.5),
            (1, 1e-300),
            (1e15, 0.3),
        ],
        ids=[
            "last digit",
            "too great",
            "last digit below 0",
            "no digit at all",
            "half",
            "half below 0",
            "far too little",
            "a sixth of it",
        ],
    )
    async def test_sums_that_cannot_be(self, store: Store, kept: Kept, had: float, score: float) -> None:
        """A sum that is not finite, or that would not have what is added, is refused, and changes nothing."""
        definition = Definition(operator="increment")
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await store.submit(board, Submission("v", had))
            if store.capabilities.exact_sums:
                with pytest.raises(ScoreRefused, match="sum"):
                    await store.submit(board, Submission("v", score))
                assert await kept(board) == {"v": had}

    @pytest.mark.parametrize("score", [-11, 91, 0.5], ids=["below", "above", "not whole"])
    async def test_bounds_of_sums(self, store: Store, kept: Kept, score: float) -> None:
        """A sum beyond the bounds is refused; a submitted score beyond them is not, if its sum is within."""
        definition = Definition(operator="increment", scores=Bounds(min=0, max=100, integer=True))
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await store.submit(board, Submission("v", 10))
            with pytest.raises(ScoreRefused, match="sum"):
                await store.submit(board, Submission("v", score))
            await store.submit(board, Submission("v", -9))
            assert await kept(board) == {"v": 1}

    async def test_refusals_of_a_batch(self, store: Store, kept: Kept) -> None:
        """Earlier refusals and those of sums are returned by their index."""
        definition = Definition(operator="increment", scores=Bounds(max=10))
        with requires(keeps(store, definition) and store.capabilities.batched_sums):
            board = await declare(store, definition)
            early = [Refusal(0, "", "is empty"), Refusal(3, "x", "is no score")]
            batch: list[Submission | Refusal] = [
                early[0],
                Submission("v", 6),
                Submission("v", 5),
                early[1],
                Submission("v", 4),
                Submission("w", 11),
            ]
            refused = await submit_batch(store, board, batch)
            assert [(each.index, each.name) for each in refused] == [(0, ""), (2, "v"), (3, "x"), (5, "w")]
            assert await kept(board) == {"v": 10}

    async def test_refusals_are_given_back(self, store: Store, kept: Kept) -> None:
        """What was refused before the store was called is returned, and the rest is kept."""
        refusal = Refusal(1, "x", "is no score")
        assert await submit_batch(store, KART, [Submission("v", 1), refusal, Submission("w", 2)]) == [refusal]
        assert (await submit_batch(store, KART, [refusal]), await kept(KART)) == ([refusal], {"v": 1, "w": 2})

    @pytest.mark.parametrize("operator", get_args(Operator))
    async def test_windows(self, store: Store, kept: Kept, operator: Operator) -> None:
        """A submit feeds its board and its periods, each by the operator on its own."""
        definition = Definition(operator=operator, windows=("daily",))
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            first, second = days(board, "2026-11-22", "2026-11-23")
            await store.submit(first, Submission("v", 5))
            await store.submit(second, Submission("v", 3))
            await submit_batch(store, second, [Submission("v", 1), Submission("w", 2)])
            assert [
                (await kept(each))["v"] for each in (board, day(board, "2026-11-22"), day(board, "2026-11-23"))
            ] == {
                "latest": [1, 5, 1],
                "best": [5, 5, 3],
                "increment": [9, 5, 4],
            }[operator]

    async def test_periods_are_read_as_boards(self, store: Store) -> None:
        """Every read of a board is one of its periods too."""
        definition = Definition(windows=("daily",), ranking="competition")
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await fill(store, days(board, "2026-11-22")[0], {"a": 9, "b": 9, "c": 1})
            await fill(store, days(board, "2026-11-23")[0], {"c": 10})
            period = day(board, "2026-11-22")
            assert await store.standing(period, "c") == Standing(1, 2)
            assert shown(await store.page(period, 0, 9)) == [("b", 9, 0), ("a", 9, 0), ("c", 1, 2)]
            assert (await store.count(period), await store.count(board)) == (3, 3)
            assert await store.page_json(period, 2, 3) == b'[{"name":"c","score":1}]'
            full = await store.standing_in_full(day(board, "2026-11-23"), "a", [day(board, "2026-11-23"), period])
            assert (full.standing, full.total, full.windows) == (None, 1, [None, Standing(9, 0)])

    async def test_periods(self, store: Store) -> None:
        """Periods are listed by window and from the oldest, whichever came first."""
        definition = Definition(windows=("weekly", "daily"))
        with requires(keeps(store, definition) and store.capabilities.listing):
            board = await declare(store, definition)
            for period in ("2026-11-23", "2026-11-09", "2026-11-22"):
                feeds = Feed("daily", period), Feed("weekly", "2026-W47")
                await store.submit(Board(board.name, definition, feeds=feeds), Submission(period, 1))
            daily = [Period("daily", period, 1) for period in ("2026-11-09", "2026-11-22", "2026-11-23")]
            assert await store.periods(board) == [*daily, Period("weekly", "2026-W47", 3)]
            assert (await store.periods(KART), await store.names()) == ([], [board.name])
            ranges = [
                PeriodRange("daily", "2026-11-10", "2026-11-22"),
                PeriodRange("monthly", "", "9"),
                PeriodRange("weekly", "2026-W47", "2026-W47"),
            ]
            assert await store.periods(board, ranges) == [daily[1], Period("weekly", "2026-W47", 3)]
            assert await store.periods(board, ranges, 1) == [daily[1]]

    async def test_keep(self, store: Store, kept: Kept) -> None:
        """The submit that begins a period removes those that are too old to be kept, and no earlier submit does."""
        definition = Definition(windows=("daily",), keep={"daily": 1})
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            for number in range(20, 23):
                await store.submit(days(board, f"2026-11-{number}")[0], Submission("v", number))
            (later,) = days(board, "2026-11-22", oldest="2026-11-22")
            await store.submit(later, Submission("v", 1))
            assert [bool(await kept(day(board, f"2026-11-{number}"))) for number in range(20, 24)] == [1, 1, 1, 0]
            (later,) = days(board, "2026-11-23", oldest="2026-11-22")
            await store.submit(later, Submission("v", 2))
            assert [bool(await kept(day(board, f"2026-11-{number}"))) for number in range(20, 24)] == [0, 0, 1, 1]

    async def test_removing_from_all_periods(self, store: Store, kept: Kept) -> None:
        """A name removed from a board is on none of its periods; removed from a period it is only off that."""
        definition = Definition(windows=("daily",))
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            periods = [day(board, period) for period in ("2026-11-22", "2026-11-23")]
            for each in days(board, "2026-11-22", "2026-11-23"):
                await fill(store, each, {"v": 1, "w": 2})
            assert [await store.remove(periods[0], "v"), await store.remove(periods[0], "v")] == [True, False]
            assert [await kept(each) for each in (board, *periods)] == [{"v": 1, "w": 2}, {"w": 2}, {"v": 1, "w": 2}]
            assert await store.remove(board, "w")
            assert [await kept(each) for each in (board, *periods)] == [{"v": 1}, {}, {"v": 1}]

    async def test_dropping_periods(self, store: Store, kept: Kept) -> None:
        """A dropped period is gone alone, a dropped board with all its periods."""
        definition = Definition(windows=("daily",))
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            periods = [day(board, period) for period in ("2026-11-22", "2026-11-23")]
            for each in days(board, "2026-11-22", "2026-11-23"):
                await store.submit(each, Submission("v", 1))
            assert [await store.drop(periods[0]), await store.drop(periods[0])] == [True, False]
            assert [await kept(each) for each in (board, *periods)] == [{"v": 1}, {}, {"v": 1}]
            assert await store.drop(board)
            assert [await kept(each) for each in (board, *periods)] == [{}, {}, {}]

    @pytest.mark.parametrize("score", [1, 0.5], ids=["whole", "fraction"])
    async def test_sums_in_windows(self, store: Store, kept: Kept, score: float) -> None:
        """Bounds are for the board; a sum that one period cannot have is refused for all."""
        definition = Definition(operator="increment", windows=("daily",), scores=Bounds(min=0))
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            first, second = days(board, "2026-11-22", "2026-11-23")
            await store.submit(first, Submission("v", 2**53))
            await store.submit(second, Submission("v", -(2**53)))
            with pytest.raises(ScoreRefused, match="last digits"):
                await store.submit(first, Submission("v", score))
            periods = [day(board, period) for period in ("2026-11-22", "2026-11-23")]
            assert [await kept(each) for each in (board, *periods)] == [{"v": 0}, {"v": 2**53}, {"v": -(2**53)}]

    @pytest.mark.parametrize("operator", get_args(Operator))
    async def test_metadata(self, store: Store, operator: Operator) -> None:
        """Metadata is that of the last submission that counted; one without metadata removes it."""
        definition = Definition(operator=operator)
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            notes = []
            for submission in [(5, b"1"), (3, b"2"), (3, None), (9, None), (9, b"3")]:
                await submit_for_change(store, board, Submission("v", *submission))
                notes += [entry.metadata for entry in await store.page(board, 0, 1, with_metadata=True)]
            best = [b"1", b"1", b"1", None, b"3"]
            assert (
                notes
                == {
                    "latest": [b"1", b"2", b"2", None, b"3"],
                    "best": best,
                    "increment": [b"1", b"2", None, None, b"3"],
                }[operator]
            )

    async def test_metadata_everywhere(self, store: Store) -> None:
        """Every read returns the metadata if it was asked for, and only then."""
        with requires(store.capabilities.submission_details):
            await submit_batch(
                store, KART, [Submission("a", 3, b'"a"'), Submission("b", 2), Submission("c", 1, b'{"c":[1]}')]
            )
            found = await store.page(KART, 0, 9, with_metadata=True)
            assert [entry.metadata for entry in found] == [b'"a"', None, b'{"c":[1]}']
            assert await store.around(KART, "b", 1, with_metadata=True) == found
            assert await store.entries_named(KART, ["a", "b", "c"], with_metadata=True) == found
            assert await store.entries_between_scores(KART, 1, 3, 9, with_metadata=True) == found
            assert await store.entries_after(KART, found[0], 9, with_metadata=True) == found[1:]
            assert [entry.metadata for entry in await store.page(KART, 0, 9)] == [None] * 3
            entries = b'{"name":"a","score":3,"metadata":"a"},{"name":"b","score":2,"metadata":%b}'
            for note in (b"null", b'{"b":"\xc3\xa9"}'):
                await store.set_metadata(KART, "b", None if note == b"null" else note)
                assert await store.page_json(KART, 0, 2, with_metadata=True) == b"[%b]" % (entries % note)
                assert await Store.page_json(store, KART, 0, 2, with_metadata=True) == b"[%b]" % (entries % note)
            assert await store.page(Board("ghost"), 0, 9, with_metadata=True) == []

    async def test_metadata_in_windows(self, store: Store) -> None:
        """Metadata stays with the submission that counts, which may be another one in each period."""
        definition = Definition(operator="best", windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            first, second = days(board, "2026-11-22", "2026-11-23")
            await submit_batch(store, first, [Submission("v", 9, b"1")])
            await submit_batch(store, second, [Submission("v", 5, b"2"), Submission("w", 1)])
            pages = [
                await store.page(each, 0, 1, with_metadata=True)
                for each in (board, day(board, "2026-11-22"), day(board, "2026-11-23"))
            ]
            assert [(entry.score, entry.metadata) for (entry,) in pages] == [(9, b"1"), (9, b"1"), (5, b"2")]

    @pytest.mark.parametrize("operator", ["latest", "best"])
    @pytest.mark.parametrize(("ties", "names"), [("earliest", "vw"), ("latest", "wv")])
    async def test_a_retry_with_metadata(self, store: Store, operator: Operator, ties: Ties, names: str) -> None:
        """The very metadata again changes nothing; other metadata is replaced alone, and the place is kept."""
        definition = Definition(operator=operator, ties=ties)
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            await store.submit(board, Submission("v", 7, b"1"))
            await store.submit(board, Submission("w", 7, b"2"))
            before = await store.page(board, 0, 9, with_metadata=True)
            again = [await submit_for_change(store, board, Submission("v", 7, note)) for note in (b"1", None)]
            assert [change.counted for change in again] == [False, False]
            assert await store.page(board, 0, 9, with_metadata=True) == before
            assert (await submit_for_change(store, board, Submission("v", 7, b"3"))).counted
            assert not (await submit_for_change(store, board, Submission("v", 7, b"3"))).counted
            page = await store.page(board, 0, 9, with_metadata=True)
            assert "".join(entry.name for entry in page) == names
            assert {entry.name: entry.metadata for entry in page} == {"v": b"3", "w": b"2"}
            assert {entry.submitted_at for entry in page} == {entry.submitted_at for entry in before}

    async def test_metadata_for_an_entry_without(self, store: Store) -> None:
        """The same score with metadata adds that to an entry that had none; another score without takes it away."""
        definition = Definition(ties="earliest")
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            await fill_one_by_one(store, board, {"v": 7, "w": 7})
            await store.submit(board, Submission("v", 7, b"1"))
            page = await store.page(board, 0, 9, with_metadata=True)
            assert [(entry.name, entry.metadata) for entry in page] == [("v", b"1"), ("w", None)]
            await fill(store, board, {"v": 8})
            await store.submit(board, Submission("v", 7))
            page = await store.page(board, 0, 9, with_metadata=True)
            assert [(entry.name, entry.metadata) for entry in page] == [("w", None), ("v", None)]

    async def test_retries_at_the_same_time(self, store: Store) -> None:
        """Of equal submits with metadata that overtake each other one counts."""
        with requires(store.capabilities.submission_details and store.capabilities.one_state):
            submits = (submit_for_change(store, KART, Submission("v", 7, b"1")) for _ in range(9))
            changes = await asyncio.gather(*submits)
            assert [change.counted for change in changes] == [True] + [False] * 8

    async def test_the_same_metadata_twice_in_a_batch(self, store: Store) -> None:
        """Within a batch, too, the very metadata again changes nothing, whatever came in between."""
        definition = Definition(ties="latest")
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            await fill(store, board, {"w": 7})
            batch = [Submission(name, 7, note) for name, note in (("v", b"1"), ("w", b"2"), ("v", b"1"), ("v", b"3"))]
            await submit_batch(store, board, batch)
            before = await store.page(board, 0, 9, with_metadata=True)
            assert [(entry.name, entry.metadata) for entry in before] == [("v", b"3"), ("w", b"2")]
            await submit_batch(store, board, batch)
            assert await store.page(board, 0, 9, with_metadata=True) == before
            assert not (await submit_for_change(store, board, Submission("v", 7, b"3"))).counted

    async def test_metadata_that_differs_in_windows(self, store: Store) -> None:
        """Each period judges by its own entry whether metadata is new; the change says whether one of them changed."""
        definition = Definition(operator="best", windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            first, second = days(board, "2026-11-22", "2026-11-23")
            await store.submit(first, Submission("v", 9, b"1"))
            outcomes = [
                (await submit_for_change(store, second, Submission("v", *submission))).counted
                for submission in [(5, None), (5, None), (9, b"1"), (9, b"1"), (9, b"2"), (4, b"3")]
            ]
            assert outcomes == [True, False, True, False, True, False]
            pages = [await store.page(day(board, f"2026-11-{n}"), 0, 1, with_metadata=True) for n in (22, 23)]
            pages.append(await store.page(board, 0, 1, with_metadata=True))
            assert [(entry.score, entry.metadata) for (entry,) in pages] == [(9, b"1"), (9, b"2"), (9, b"2")]

    async def test_setting_metadata(self, store: Store) -> None:
        """Metadata is set alone: score, place and time stay; a period can be set alone; who is not there is told."""
        definition = Definition(ties="earliest", windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            first, second = days(board, "2026-11-22", "2026-11-23")
            await fill_one_by_one(store, first, {"v": 7, "w": 7})
            await store.submit(second, Submission("v", 7))
            before = [await store.page(each, 0, 9) for each in (board, day(board, "2026-11-22"))]
            assert await store.set_metadata(second, "v", b"1")
            assert await store.set_metadata(day(board, "2026-11-22"), "w", b"2")
            assert not await store.set_metadata(second, "x", b"3")
            assert not await store.set_metadata(day(board, "2026-11-23"), "w", b"3")
            assert not await store.set_metadata(Board("ghost"), "v", b"3")
            pages = [
                await store.page(each, 0, 9, with_metadata=True)
                for each in (board, day(board, "2026-11-22"), day(board, "2026-11-23"))
            ]
            notes = [[(entry.name, entry.metadata) for entry in page] for page in pages]
            assert notes == [[("v", b"1"), ("w", None)], [("v", None), ("w", b"2")], [("v", b"1")]]
            assert [[entry.submitted_at for entry in page] for page in pages[:2]] == [
                [entry.submitted_at for entry in page] for page in before
            ]
            assert await store.set_metadata(second, "v", None)
            assert [entry.metadata for entry in await store.page(board, 0, 1, with_metadata=True)] == [None]
            assert not (await submit_for_change(store, second, Submission("v", 7))).counted

    @pytest.mark.parametrize("ties", get_args(Ties))
    async def test_after_an_entry_whose_metadata_changed(self, store: Store, ties: Ties) -> None:
        """What comes after an entry stays the same when its metadata comes and goes."""
        definition = Definition(ties=ties)
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            await fill_one_by_one(store, board, TIED)
            seen = await store.page(board, 0, 9)
            for note in (b"1", None):
                for entry in seen:
                    await store.set_metadata(board, entry.name, note)
                after = [shown(await store.entries_after(board, entry, 9)) for entry in seen]
                assert after == [shown(seen[place + 1 :]) for place in range(5)]

    async def test_guard(self, store: Store) -> None:
        """A store that guards nothing refuses the definition, and all that goes with one."""
        definition = Definition(guard=Guard(runs=Runs()))
        with requires(store.capabilities.guarding):
            store.capabilities.check(definition)
        board = await declare(store, definition if store.capabilities.guarding else Definition(), "guarded")
        for asked in (store.make_run(board, "v"), store.held(board), store.held_entry(board, "v")):
            with requires(store.capabilities.guarding):
                await asked
        for acted in (store.release(board, Ranked("v", 1, 0)), store.reject(board, "v")):
            with requires(store.capabilities.guarding):
                assert not await acted
        with requires(store.capabilities.guarding):
            await Boards(store).submit_in_full("b", FullSubmission("v", 1, operator="latest"))

    async def test_once(self, store: Store, kept: Kept) -> None:
        """A submit with a key that was used changes nothing, and returns the first answer."""
        definition = Definition(operator="increment")
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            first = await submit_for_change(store, board, Submission("v", 5), ONCE)
            await store.submit(board, Submission("v", 1))
            assert (first, await submit_for_change(store, board, Submission("v", 5), ONCE)) == (
                Change(None, Standing(5, 0)),
                first,
            )
            assert await kept(board) == {"v": 6}

    async def test_once_at_the_same_time(self, store: Store, kept: Kept) -> None:
        """Of concurrent submits with one key one counts, and all get its answer."""
        definition = Definition(operator="increment")
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            answers = await asyncio.gather(
                *(submit_for_change(store, board, Submission("v", 5), ONCE) for _ in range(20))
            )
            assert (answers, await kept(board)) == ([Change(None, Standing(5, 0))] * 20, {"v": 5})

    async def test_many_keys_at_the_same_time(self, store: Store, kept: Kept) -> None:
        """Submits with different keys all count, however close together."""
        definition = Definition(operator="increment")
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            keys = [IdempotencyKey(bytes([number] * 16), b"a" * 16) for number in range(20)]
            async with asyncio.timeout(30):
                first = await asyncio.gather(
                    *(submit_for_change(store, board, Submission("v", 5), once) for once in keys)
                )
                again = await asyncio.gather(
                    *(submit_for_change(store, board, Submission("v", 5), once) for once in keys)
                )
            assert (again, await kept(board)) == (first, {"v": 100})

    async def test_once_with_something_else(self, store: Store, kept: Kept) -> None:
        """A key that comes with another request is refused, while the first is in flight and later."""
        with requires(store.capabilities.submission_details):
            submits = [
                submit_for_change(store, KART, Submission("v", 5), ONCE),
                submit_for_change(store, KART, Submission("v", 6), AGAIN),
            ]
            with pytest.raises(KeyReused):
                await asyncio.gather(*submits)
            with pytest.raises(KeyReused):
                await submit_for_change(store, KART, Submission("v", 6), AGAIN)
            assert await kept(KART) == {"v": 5}

    async def test_recalled(self, store: Store) -> None:
        """The first answer to a key can be recalled, and recalling does not use the key."""
        assert await store.recall(KART, ONCE) is None
        with requires(store.capabilities.submission_details):
            change = await submit_for_change(store, KART, Submission("v", 1), ONCE)
            assert await store.recall(KART, ONCE) == SubmitResult(changes=(change,))
            with pytest.raises(KeyReused):
                await store.recall(KART, AGAIN)

    async def test_once_for_a_batch(self, store: Store, kept: Kept) -> None:
        """A batch with a key counts once as a whole, and its refusals are returned again."""
        definition = Definition(operator="increment", scores=Bounds(max=10))
        with requires(
            keeps(store, definition) and store.capabilities.submission_details and store.capabilities.batched_sums
        ):
            board = await declare(store, definition)
            batch: list[Submission | Refusal] = [
                Submission("v", 6, b"{}"),
                Refusal(1, "x", "is no score"),
                Submission("v", 5),
                Submission("w", 2),
            ]
            first = await submit_batch(store, board, batch, ONCE)
            assert await submit_batch(store, board, batch, ONCE) == first
            assert ([each.index for each in first], await kept(board)) == ([1, 2], {"v": 6, "w": 2})

    async def test_once_for_nothing(self, store: Store) -> None:
        """A batch without submissions uses its key too."""
        with requires(store.capabilities.submission_details):
            refusal = Refusal(0, "x", "is no score")
            assert await submit_batch(store, KART, [refusal], ONCE) == [refusal]
            with pytest.raises(KeyReused):
                await submit_batch(store, KART, [], AGAIN)
            assert await store.names() == []

    async def test_refused_submits_use_no_key(self, store: Store) -> None:
        """A submit that raised has not used its key: it, or another, can be sent with that key."""
        definition = Definition(operator="increment", scores=Bounds(max=10))
        with requires(keeps(store, definition) and store.capabilities.submission_details):
            board = await declare(store, definition)
            for once in (ONCE, ONCE, AGAIN):
                with pytest.raises(ScoreRefused):
                    await submit_for_change(store, board, Submission("v", 11), once)
            assert await submit_for_change(store, board, Submission("v", 1), ONCE) == Change(None, Standing(1, 0))

    async def test_definitions(self, store: Store) -> None:
        """Definitions are kept by the names of their boards until they are undefined."""
        with requires(store.capabilities.defining):
            definition = Definition(operator="best", scores=Bounds(max=2**70), keep={"daily": 3}, windows=("daily",))
            await store.define("mario-kart", definition)
            assert (await store.definitions())["mario-kart"] == definition
            assert [await store.undefine("mario-kart"), await store.undefine("mario-kart")] == [True, False]
            assert "mario-kart" not in await store.definitions()

    async def test_no_definitions(self, store: Store) -> None:
        """A store that keeps none has none, and refuses to forget one."""
        with requires(store.capabilities.defining):
            assert await store.undefine("ghost") is False
        assert "ghost" not in await store.definitions()

    @pytest.mark.parametrize(
        ("old", "new", "problem"),
        [
            (Definition(), Definition(order="ascending"), "order"),
            (Definition(), Definition(operator="increment"), "operator"),
            (Definition(), Definition(ties="earliest"), "ties"),
            (Definition(), Definition(scores=Bounds(max=6)), "score 7"),
            (Definition(), Definition(scores=Bounds(min=5)), "score 1.5"),
            (Definition(), Definition(scores=Bounds(integer=True)), "not whole"),
            (Definition(windows=("daily",)), Definition(windows=("daily",), time_zone="Asia/Tokyo"), "time zone"),
            (Definition(windows=("daily",)), Definition(), "window 'daily'"),
        ],
        ids=["order", "operator", "ties", "max", "min", "integer", "time zone", "window"],
    )
    async def test_contradictions(self, store: Store, old: Definition, new: Definition, problem: str) -> None:
        """A definition that the entries contradict is refused, and kept once they are gone."""
        with requires(store.capabilities.defining):
            board = await declare(store, old)
            (today,) = days(board, "2026-11-22") if old.windows else [board]
            await fill(store, today, {"v": 7, "w": 1.5})
            with pytest.raises(DefinitionConflict, match=problem):
                await store.define(board.name, new)
            assert (await store.definitions())[board.name] == old
            await store.drop(board)
            await store.define(board.name, new)
            assert (await store.definitions())[board.name] == new

    async def test_undefining_what_entries_contradict(self, store: Store) -> None:
        """A definition is not forgotten if its entries would contradict the default one."""
        with requires(store.capabilities.defining):
            board = await declare(store, Definition(order="ascending"))
            await store.submit(board, Submission("v", 1))
            with pytest.raises(DefinitionConflict, match="order"):
                await store.undefine(board.name)
            assert board.name in await store.definitions()

    async def test_ranking_changes_freely(self, store: Store) -> None:
        """The ranks of all entries follow the new ranking at once, in the periods too."""
        with requires(store.capabilities.defining):
            board = await declare(store, Definition(windows=("daily",)))
            await fill(store, days(board, "2026-11-22")[0], TIED)
            new = Definition(windows=("daily", "weekly"), ranking="dense", keep={"daily": 7}, scores=Bounds(max=9))
            await store.define(board.name, new)
            for each in (board, day(board, "2026-11-22")):
                assert [entry.rank for entry in await store.page(each, 0, 9)] == [0, 1, 1, 1, 2]

    async def test_names_by_pages(self, store: Store) -> None:
        """Boards are listed a few at a time, after a name that need not be that of a board."""
        for name in ["b", "é", "a", "B", "😀"]:
            await store.submit(Board(name), Submission("v", 1))
        with requires(store.capabilities.listing):
            pages = [await store.names(after, 2) for after in ("", "a", "aa", "é", "😀")]
            assert pages == [["B", "a"], ["b", "é"], ["b", "é"], ["😀"], []]

    async def test_sequences(self, store: Store) -> None:
        """Submissions are numbered in the order in which they were kept, each with a number of its own."""
        definition = Definition(ties="earliest")
        with requires(keeps(store, definition)):
            board = await declare(store, definition)
            await fill_one_by_one(store, board, {"a": 5, "b": 4})
            await fill(store, board, {"c": 3, "d": 2})
            await store.submit(board, Submission("e", 1))
            sequences = [entry.sequence for entry in await store.page(board, 0, 9)]
            assert (sequences == sorted(sequences), len(set(sequences))) == (True, 5)


@pytest.mark.anyio
class InTime:
    """What depends on time. A subclass has the fixtures of Conformance, and ``clock``, which is the store's."""

    async def test_submitted_at(self, store: Store, clock: Clock) -> None:
        """The time of an entry is that of the last submission that counted."""
        board = await declare(store, Definition(operator="best"))
        times = []
        for score in (5, 3, 5, 9):
            clock.now += 60
            await store.submit(board, Submission("v", score))
            (entry,) = await store.page(board, 0, 1)
            times.append(entry.submitted_at)
        assert times == [round((clock.now - ago) * 1_000_000) for ago in (180, 180, 180, 0)]

    async def test_clock_that_goes_back(self, store: Store, clock: Clock) -> None:
        """What was submitted later is ordered later, whatever the clock said."""
        board = await declare(store, Definition(ties="earliest"))
        for name in "cab":
            await store.submit(board, Submission(name, 7))
            clock.turn(-3600)
        assert [entry.name for entry in await store.page(board, 0, 9)] == ["c", "a", "b"]

    async def test_ttl(self, store: Store, kept: Kept, clock: Clock) -> None:
        """A board is removed that long after its last submit, with its periods, and begins anew."""
        definition = Definition(ttl="1h", windows=("daily",))
        board = await declare(store, definition)
        (today,) = days(board, "2026-11-22")
        await store.submit(today, Submission("v", 1))
        clock.now += 3599
        await store.submit(today, Submission("w", 1))
        clock.now += 3599
        assert await store.count(board) == 2
        clock.now += 2
        assert [await store.count(each) for each in (board, day(board, "2026-11-22"))] == [0, 0]
        assert (await store.names(), await store.periods(board)) == ([], [])
        await store.submit(today, Submission("x", 1))
        assert [await kept(each) for each in (board, day(board, "2026-11-22"))] == [{"x": 1}, {"x": 1}]

    async def test_ttl_that_changes(self, store: Store, clock: Clock) -> None:
        """A time to live counts from the last submit that is known, and can be taken back."""
        board = await declare(store, Definition(ttl="1h"))
        await store.submit(board, Submission("v", 1))
        clock.now += 1801
        await store.define(board.name, Definition(ttl="30m"))
        assert await store.count(board) == 0
        await store.define(board.name, Definition(ttl="30m"))
        await store.submit(Board(board.name, Definition(ttl="30m")), Submission("w", 1))
        board = await declare(store, Definition())
        clock.now += 10**6
        await store.submit(board, Submission("x", 2))
        assert shown(await store.page(board, 0, 9)) == [("x", 2, 0), ("w", 1, 1)]

    async def test_keys_are_forgotten(self, store: Store, clock: Clock) -> None:
        """A key can be used again a day later."""
        board = await declare(store, Definition(operator="increment"))
        scores = []
        for seconds in (0, 86_399, 2, 86_399):
            clock.now += seconds
            scores.append((await submit_for_change(store, board, Submission("v", 5), ONCE)).current.score)
        assert scores == [5, 5, 10, 10]

    @pytest.mark.parametrize(("ties", "order"), [("earliest", "cabnd"), ("latest", "dnbac"), ("name", "ndcba")])
    async def test_ties_of_then(self, store: Store, clock: Clock, ties: Ties, order: str) -> None:
        """What counts as of another time is among ties where it would be; equal times keep the order of the submits."""
        board = await declare(store, Definition(ties=ties, order="descending"))
        clock.now += 60
        then = round(clock.now * SECOND) - 10
        await store.submit(board, Submission("n", 7))
        dated = [FullSubmission("a", 7, None, then), FullSubmission("b", 7, b"1", then)]
        await store.submit(board, [*dated, FullSubmission("c", 7, None, then - 1)])
        clock.now += 60
        await store.submit(board, FullSubmission("d", 7, None, round(clock.now * SECOND) - 1))
        page = await store.page(board, 0, 9, with_metadata=True)
        assert "".join(entry.name for entry in page) == order
        assert {entry.name: entry.submitted_at for entry in page} == {
            "a": then,
            "b": then,
            "c": then - 1,
            "d": round(clock.now * SECOND) - 1,
            "n": round((clock.now - 60) * SECOND),
        }
        for place, entry in enumerate(page):
            assert [after.name for after in await store.entries_after(board, entry, 9)] == [*order[place + 1 :]]

    @pytest.mark.parametrize(
        ("operator", "scores", "times", "metadata"),
        [
            ("latest", [5, 5, 9], [0, 0, 20], [b"1", b"1", b"3"]),
            ("best", [5, 5, 9], [0, -10, 20], [b"1", b"2", b"3"]),
            ("increment", [5, 10, 19], [0, 0, 20], [b"1", b"1", b"3"]),
        ],
    )
    async def test_operators_of_then(
        self,
        store: Store,
        clock: Clock,
        operator: Operator,
        scores: list[int],
        times: list[int],
        metadata: list[bytes],
    ) -> None:
        """Under ``latest`` an older one does not count, under ``best`` the first of a score does, and sums have all."""
        board = await declare(store, Definition(operator=operator))
        clock.now += 60
        now = round(clock.now * SECOND)
        found = []
        await store.submit(board, Submission("v", 5, b"1"))
        for score, ago, body in ((None, 0, None), (5, 10, b"2"), (9, -20, b"3")):
            clock.now += 60
            if score:
                await store.submit(board, [FullSubmission("v", score, body, now - ago)])
            (entry,) = await store.page(board, 0, 9, with_metadata=True)
            found.append((entry.score, (entry.submitted_at or 0) - now, entry.metadata))
        assert found == list(zip(scores, times, metadata, strict=True))

    @pytest.mark.parametrize("metadata", [None, b"1"])
    async def test_equal_times_in_the_order_sent(self, store: Store, clock: Clock, metadata: bytes | None) -> None:
        """Who takes an earlier time over stands behind those who were sent with it before, and keeps their metadata."""
        board = await declare(store, Definition(operator="best", ties="earliest"))
        clock.now += 60
        then = round(clock.now * SECOND) - 10
        await store.submit(board, Submission("a", 1, metadata))
        await store.submit(board, FullSubmission("b", 1, None, then))
        await store.submit(board, FullSubmission("a", 1, None, then))
        page = await store.page(board, 0, 9, with_metadata=True)
        assert [(entry.name, entry.metadata) for entry in page] == [("b", None), ("a", metadata)]
        await store.submit(board, FullSubmission("a", 1, b"2", then - 1))
        page = await store.page(board, 0, 9, with_metadata=True)
        assert [(entry.name, entry.metadata) for entry in page] == [("a", b"2"), ("b", None)]

    @pytest.mark.parametrize("key", [None, ONCE])
    async def test_one_of_then(self, store: Store, clock: Clock, key: IdempotencyKey | None) -> None:
        """A single submit counts as of then, with a key, too, also before 1970 began to be counted."""
        board = await declare(store, Definition(ties="earliest"))
        clock.now += 60
        for name, then in (("a", 1), ("b", 0)):
            once = key and IdempotencyKey(name.encode() * 16, key.fingerprint)
            await store.submit(board, FullSubmission(name, 7, None, then), once)
        page = await store.page(board, 0, 9)
        assert [(entry.name, entry.submitted_at) for entry in page] == [("b", 0), ("a", 1)]

    async def test_periods_of_then(self, store: Store, clock: Clock) -> None:
        """It feeds the periods that it says, and none of those that the board feeds."""
        definition = Definition(windows=("daily",), keep={"daily": 2})
        name = (await declare(store, definition)).name
        board = Board(name, definition, feeds=(Feed("daily", "2026-11-22", "2026-11-20"),))
        then = (Feed("daily", "2026-11-21", "2026-11-20"),)
        await store.submit(board, FullSubmission("v", 7, b"1", round(clock.now * SECOND) - 10, then))
        await store.submit(board, [FullSubmission("w", 8, None, round(clock.now * SECOND) - 10), Submission("x", 9)])
        assert [await names_of(store, name, definition, period) for period in ("", "2026-11-21", "2026-11-22")] == [
            ["x", "w", "v"],
            ["v"],
            ["x"],
        ]

    async def test_after_a_clock_that_went_back(self, store: Store, clock: Clock) -> None:
        """A time is shown as it was sent, and none of them is after what is submitted later."""
        board = await declare(store, Definition(ties="earliest"))
        await store.submit(board, Submission("a", 7))
        clock.turn(-3600)
        now = round(clock.now * SECOND)
        await store.submit(board, Submission("b", 7))
        await store.submit(board, FullSubmission("c", 7, None, now - 60 * SECOND))
        await store.submit(board, FullSubmission("d", 7, None, now))
        await store.submit(board, Submission("e", 7))
        page = await store.page(board, 0, 9)
        assert "".join(entry.name for entry in page) == "cabde"
        assert [entry.submitted_at for entry in page if entry.name in {"c", "d"}] == [now - 60 * SECOND, now]


async def names_of(store: Store, name: str, definition: Definition, period: str) -> list[str]:
    """Return the names on a board, or in a period of it, in their order."""
    board = Board(name, definition, "daily" if period else "", period)
    return [entry.name for entry in await store.page(board, 0, 9)]
