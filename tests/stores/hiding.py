"""What every store that hides names must do: for everybody else it is as if they had never been there."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, get_args

import pytest

from laurels.definition import Bounds, Definition, Operator, Ranking, Ties
from laurels.errors import DefinitionConflict, ScoreRefused
from laurels.stores.contract import (
    Board,
    Change,
    Feed,
    FullStanding,
    HiddenName,
    HiddenStanding,
    IdempotencyKey,
    Period,
    Place,
    Ranked,
    Standing,
    Submission,
)
from tests.stores.guarantees import (
    KART,
    ONCE,
    declare,
    fill,
    fill_one_by_one,
    keeps,
    requires,
    shown,
    submit_batch,
    submit_for_change,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.stores.contract import Store

SCORES: dict[str, float] = {"a": 7, "cheat": 99, "b": 9, "c": 7, "bot": 7, "d": 3}
HIDDEN = ("cheat", "bot")
TODAY = Feed("daily", "2026-11-22")


async def read_all(store: Store, board: Board) -> list[object]:
    """Return what every read says of a board, sequences and times aside."""
    page = await store.page(board, 0, 99)
    after = Ranked("b", 9, 0, page[0].sequence if page else 0)
    return [
        shown(page),
        await store.page_json(board, 0, 99),
        await store.page_json(board, 1, 3),
        shown(await store.around(board, "c", 1) or []),
        await store.around(board, "cheat", 1),
        shown(await store.entries_named(board, ["c", "bot", "b", "nobody"])),
        shown(await store.entries_between_scores(board, 7, inf, 99)),
        shown(await store.entries_after(board, after, 2)),
        await store.summary(board),
        [await store.place(board, score) for score in (100, 99, 8, 7, 0)],
        [await store.standing(board, name) for name in "abcd"],
        [told(await store.standing_in_full(board, name)) for name in "abcd"],
        await store.count(board),
    ]


def told(full: FullStanding) -> tuple[object, ...]:
    """Return what is told of a name, times aside."""
    return full.standing, full.place, full.better, full.total


async def hide(store: Store, board: Board, names: Sequence[str] = HIDDEN) -> None:
    """Hide names that are not hidden."""
    assert [await store.hide(board, name) for name in names] == [True] * len(names)


@pytest.mark.anyio
class Hiding:
    """What follows from hidden names; the fixtures are those of Conformance."""

    async def test_hiding_is_declared(self, store: Store) -> None:
        """A store can do all of it, or refuses each part."""
        with requires(store.capabilities.hiding):
            assert await store.hide(KART, "v")
        with requires(store.capabilities.hiding):
            assert await store.hidden(KART) == [HiddenName("v")]
        with requires(store.capabilities.hiding):
            assert await store.show(KART, "v")

    @pytest.mark.parametrize("ranking", get_args(Ranking))
    @pytest.mark.parametrize("ties", get_args(Ties))
    async def test_others_see_nothing(self, store: Store, ties: Ties, ranking: Ranking) -> None:
        """Each read of a board and of a period is that of one on which the hidden names never were."""
        definition = Definition(ties=ties, ranking=ranking, windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.hiding):
            boards = [
                Board((await declare(store, definition, name)).name, definition, feeds=(TODAY,))
                for name in ("hiding", "twin")
            ]
            await fill_one_by_one(store, boards[0], SCORES)
            await hide(store, boards[0])
            await fill_one_by_one(store, boards[0], {"cheat": 8, "bot": 7})
            await fill_one_by_one(store, boards[1], {name: SCORES[name] for name in SCORES if name not in HIDDEN})
            for window in ("", "daily"):
                hiding, twin = (Board(each.name, definition, window, TODAY.period) for each in boards)
                assert await read_all(store, hiding) == await read_all(store, twin)
            assert await store.periods(boards[0]) == await store.periods(boards[1])

    @pytest.mark.parametrize("ranking", get_args(Ranking))
    @pytest.mark.parametrize("ties", get_args(Ties))
    async def test_shown_again(self, store: Store, ties: Ties, ranking: Ranking) -> None:
        """To hide and to show leaves a board and its periods as they were, metadata and times too."""
        definition = Definition(ties=ties, ranking=ranking, windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.hiding):
            board = Board((await declare(store, definition)).name, definition, feeds=(TODAY,))
            for place, (name, score) in enumerate(SCORES.items()):
                await store.submit(board, Submission(name, score, b"%d" % place))
            await store.set_metadata(board, "bot", b'"moved"')
            both = [Board(board.name, definition, window, TODAY.period) for window in ("", "daily")]
            before = [await store.page(each, 0, 99, with_metadata=True) for each in both]
            await hide(store, board)
            assert before != [await store.page(each, 0, 99, with_metadata=True) for each in both]
            assert [await store.show(board, name) for name in (*HIDDEN, "a")] == [True, True, False]
            assert before == [await store.page(each, 0, 99, with_metadata=True) for each in both]

    async def test_own_standing(self, store: Store) -> None:
        """A hidden name has its score and no rank; without an entry it has the score 0, and others are nobody."""
        with requires(store.capabilities.hiding):
            await fill(store, KART, SCORES)
            await hide(store, KART, ("cheat", "new"))
            names = ("cheat", "new", "a", "nobody")
            standings = [await store.standing(KART, name) for name in names]
            assert standings == [HiddenStanding(99), HiddenStanding(0), Standing(7, 3), None]
            assert await store.standing(Board("other"), "cheat") is None
            assert await store.standing(Board(KART.name, visible=False), "cheat") is None

    @pytest.mark.parametrize(
        ("operator", "score", "counted"), [("latest", 5, True), ("best", 9, False), ("increment", 14, True)]
    )
    async def test_its_submits(self, store: Store, operator: Operator, score: float, counted: bool) -> None:  # noqa: FBT001
        """It goes on by the board's operator, into the board and its periods; a change says that it is hidden."""
        definition = Definition(operator=operator, windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.hiding):
            board = Board((await declare(store, definition)).name, definition, feeds=(TODAY,))
            await hide(store, board, ("v",))
            first = await submit_for_change(store, board, Submission("v", 9))
            assert first == Change(None, HiddenStanding(9))
            second = await submit_for_change(store, board, Submission("v", 5))
            assert second == Change(HiddenStanding(9), HiddenStanding(score), counted)
            await submit_batch(store, board, [Submission("w", 1), Submission("v", 5)])
            today = Board(board.name, definition, "daily", TODAY.period)
            assert await store.standing(today, "v") == HiddenStanding(score + 5 * (operator == "increment"))
            assert [shown(await store.page(each, 0, 9)) for each in (board, today)] == [[("w", 1, 0)]] * 2

    async def test_its_sums_are_bounded(self, store: Store) -> None:
        """What is refused to others is refused to a hidden name, and changes nothing."""
        definition = Definition(operator="increment", scores=Bounds(max=10))
        with requires(keeps(store, definition) and store.capabilities.hiding):
            board = await declare(store, definition)
            await store.submit(board, Submission("v", 7))
            await hide(store, board, ("v",))
            with pytest.raises(ScoreRefused, match="above 10"):
                await store.submit(board, Submission("v", 4))
            assert await store.standing(board, "v") == HiddenStanding(7)

    async def test_its_keys(self, store: Store) -> None:
        """A replay gets the first answer, which is that of a hidden name if it was hidden then, and only then."""
        with requires(store.capabilities.hiding):
            other = IdempotencyKey(b"3" * 16, b"c" * 16)
            first = await submit_for_change(store, KART, Submission("v", 7), ONCE)
            await hide(store, KART, ("v",))
            second = await submit_for_change(store, KART, Submission("v", 8), other)
            assert second == Change(HiddenStanding(7), HiddenStanding(8))
            assert await submit_for_change(store, KART, Submission("v", 7), ONCE) == first
            await store.show(KART, "v")
            assert await submit_for_change(store, KART, Submission("v", 8), other) == second
            assert await store.standing(KART, "v") == Standing(8, 0)

    async def test_its_metadata(self, store: Store) -> None:
        """Its metadata may be set, and the same submit again is a retry, as for others."""
        with requires(store.capabilities.hiding):
            await store.submit(KART, Submission("v", 7, b"1"))
            await hide(store, KART, ("v",))
            assert await store.set_metadata(KART, "v", b"2")
            again = [await submit_for_change(store, KART, Submission("v", 7, body)) for body in (b"2", b"3")]
            assert [change.counted for change in again] == [False, True]
            (found,) = await store.hidden(KART, with_metadata=True)
            assert (found.name, found.score, found.metadata) == ("v", 7, b"3")
            await store.show(KART, "v")
            (entry,) = await store.page(KART, 0, 9, with_metadata=True)
            assert (entry.metadata, entry.submitted_at) == (b"3", found.submitted_at)

    async def test_marks_stay(self, store: Store) -> None:
        """Neither the removal of its entry, nor that of the board, nor definitions show a name."""
        with requires(store.capabilities.hiding):
            await hide(store, KART, ("v",))
            for change in (store.remove(KART, "v"), store.drop(KART), store.undefine(KART.name)):
                await store.submit(KART, Submission("v", 7))
                await change
                assert (await store.hidden(KART))[0].name == "v"
                assert not await store.hide(KART, "v")
            assert await store.remove(KART, "v")
            assert not await store.remove(KART, "v")

    async def test_board_of_hidden_names_alone(self, store: Store) -> None:
        """It looks as if it did not exist, but its entries bind its definition, and it can be dropped."""
        definition = Definition(windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.hiding):
            board = Board((await declare(store, definition)).name, definition, feeds=(TODAY,))
            await fill(store, board, {"v": 7})
            await hide(store, board, ("v",))
            assert (await store.names(), await store.periods(board), await store.count(board)) == ([], [], 0)
            assert (await store.place(board, 1), await store.page_json(board, 0, 9)) == (Place(0, 0, 0), b"[]")
            for wrong in (Definition(order="ascending"), Definition(scores=Bounds(max=6), windows=("daily",))):
                with pytest.raises(DefinitionConflict):
                    await store.define(board.name, wrong)
            await store.submit(board, Submission("w", 1))
            assert await store.names() == [board.name]
            assert await store.periods(board) == [Period("daily", TODAY.period, 1)]
            assert await store.drop(board)
            assert not await store.drop(board)
            assert await store.hidden(board) == [HiddenName("v")]

    async def test_list_of_hidden_names(self, store: Store) -> None:
        """They are listed by their bytes, in parts, each with its entry on the board or in the period."""
        definition = Definition(windows=("daily",))
        with requires(keeps(store, definition) and store.capabilities.hiding):
            board = Board((await declare(store, definition)).name, definition, feeds=(TODAY,))
            await fill(store, board, {"B": 1, "a": 2, "\u00e9": 3})
            await store.remove(Board(board.name, definition, "daily", TODAY.period), "a")
            await hide(store, board, ("\U0001f600", "\u00e9", "a", "B"))
            names: list[str] = []
            while part := await store.hidden(board, names[-1] if names else "", 3):
                names += [each.name for each in part]
            assert names == ["B", "a", "\u00e9", "\U0001f600"]
            today = Board(board.name, definition, "daily", TODAY.period)
            scores = [[each.score for each in await store.hidden(each)] for each in (board, today)]
            assert scores == [[1, 2, 3, None], [1, None, 3, None]]
            assert await store.hidden(Board(board.name, definition, visible=False)) == []

    async def test_hiding_at_the_same_time(self, store: Store) -> None:
        """While names are hidden and shown, and submit, each answer is of one state: ranks have no gaps."""
        with requires(store.capabilities.hiding):
            names = [f"player-{number}" for number in range(20)]
            await fill(store, KART, {name: float(place) for place, name in enumerate(names)})

            async def move(name: str, score: float) -> None:
                for step in range(10):
                    await (store.show if step % 2 else store.hide)(KART, name)
                    await store.submit(KART, Submission(name, score + step))

            async def read() -> None:
                for _ in range(50):
                    page = await store.page(KART, 0, 99)
                    assert [entry.rank for entry in page] == list(range(len(page)))
                    assert {entry.name for entry in page} >= {*names[1::2]}
                    await asyncio.sleep(0)

            await asyncio.gather(read(), *(move(name, place) for place, name in enumerate(names[::2])))
            assert sorted(entry.name for entry in await store.page(KART, 0, 99)) == sorted(names)
            assert await store.hidden(KART) == []
