"""What every store must do, whatever it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import msgspec
import pytest

from laurels.errors import NotKept, StoreUnavailable
from laurels.stores.contract import Board, Change, Entry, Standing, Store

if TYPE_CHECKING:
    from collections.abc import Coroutine

KART = Board("mario-kart")
LAPS = Board("laps", "ascending")
GHOST = Board("ghost")

Kept = Callable[[Board], Awaitable[dict[str, float]]]
Call = Callable[[Store], "Coroutine[None, None, object]"]

CALLS: dict[str, Call] = {
    "submit": lambda store: store.submit(KART, "v", 1),
    "change": lambda store: store.change(KART, "v", 1),
    "submit_many": lambda store: store.submit_many(KART, [Entry("v", 1)]),
    "standing": lambda store: store.standing(KART, "v"),
    "page": lambda store: store.page(KART, 0, 20),
    "page_json": lambda store: store.page_json(KART, 0, 20),
    "count": lambda store: store.count(KART),
    "remove": lambda store: store.remove(KART, "v"),
    "drop": lambda store: store.drop(KART),
    "names": lambda store: store.names(),
    "ready": lambda store: store.ready(),
}


def promised(capability: bool) -> AbstractContextManager[object]:  # noqa: FBT001 - it reads as it is meant
    """Expect what follows to go as it says where the store has the capability, and to be refused where not."""
    return nullcontext() if capability else pytest.raises(NotKept, match="its capabilities say so")


async def fill(store: Store, board: Board, scores: dict[str, float]) -> None:
    """Put each name on the board with its score."""
    await store.submit_many(board, [Entry(name, score) for name, score in scores.items()])


@pytest.mark.anyio
class Conformance:
    """The promises of :mod:`laurels.stores.contract`.

    An heir has the fixtures ``store``, an open store without boards where LAPS is ascending, and ``kept``, which reads
    the entries of one board by another road than that store.
    """

    async def test_submit_keeps_the_entry(self, store: Store, kept: Kept) -> None:
        """What submit acknowledged is there for others to see."""
        await store.submit(KART, "v", 2077)
        assert await kept(KART) == {"v": 2077}

    async def test_submit_replaces_the_score(self, store: Store, kept: Kept) -> None:
        """A name has one score on a board, its latest, be it worse."""
        await store.submit(KART, "v", 2077)
        await store.submit(KART, "v", 34)
        assert await kept(KART) == {"v": 34}

    async def test_boards_are_apart(self, store: Store, kept: Kept) -> None:
        """A name on one board is none on another."""
        await store.submit(KART, "v", 1)
        await store.submit(LAPS, "v", 2)
        assert (await kept(KART), await kept(LAPS)) == ({"v": 1}, {"v": 2})

    async def test_standing(self, store: Store) -> None:
        """Rank 0 has the highest score of a descending board."""
        await fill(store, KART, {"silverhand": 34, "v": 2077})
        assert await store.standing(KART, "silverhand") == Standing(34, 1)

    async def test_standing_ascending(self, store: Store) -> None:
        """Rank 0 has the lowest score of an ascending board."""
        await fill(store, LAPS, {"silverhand": 34, "v": 2077})
        assert await store.standing(LAPS, "silverhand") == Standing(34, 0)

    @pytest.mark.parametrize(
        ("board", "names"),
        [(KART, "é b a B"), (LAPS, "B a b é")],
        ids=["descending", "ascending"],
    )
    async def test_ties_stand_by_name(self, store: Store, board: Board, names: str) -> None:
        """Equal scores stand by the bytes of their names, upwards where lower is better, else downwards."""
        await fill(store, board, {"a": 7, "B": 7, "é": 7, "b": 7})
        assert [entry.name for entry in await store.page(board, 0, 9)] == names.split()

    async def test_page_is_half_open(self, store: Store) -> None:
        """A page holds its first rank and not its last."""
        await fill(store, KART, {"a": 5, "b": 4, "c": 3, "d": 2})
        assert await store.page(KART, 1, 3) == [Entry("b", 4), Entry("c", 3)]

    @pytest.mark.parametrize(("start", "stop"), [(0, 2), (1, 20), (7, 9)], ids=str)
    async def test_page_json(self, store: Store, start: int, stop: int) -> None:
        """A page as JSON says what the page says."""
        await fill(store, KART, {"a": 5, 'quo"te': 4.5, "é": -(2**53)})
        as_json = await store.page_json(KART, start, stop)
        assert msgspec.json.decode(as_json, type=list[Entry]) == await store.page(KART, start, stop)
        assert as_json == await Store.page_json(store, KART, start, stop)

    async def test_page_ends_with_the_board(self, store: Store) -> None:
        """A page beyond the last entry is as long as there are entries."""
        await fill(store, KART, {"a": 5, "b": 4})
        assert [await store.page(KART, 1, 20), await store.page(KART, 7, 20)] == [[Entry("b", 4)], []]
        assert [await store.page(KART, 1, 2**40), await store.page(KART, 2**40, 2**41)] == [[Entry("b", 4)], []]

    @pytest.mark.parametrize("score", [0, -1, 2**53, -(2**53), 2**80, 0.1, -1e-300, 1.5], ids=repr)
    async def test_scores_are_exact(self, store: Store, score: float) -> None:
        """A score comes back as it went in, whole ones as int."""
        await store.submit(KART, "v", score)
        found = await store.standing(KART, "v")
        assert (found, type(found.score) if found else None) == (Standing(score, 0), type(score))

    @pytest.mark.parametrize("name", ["a/b", " ", "π" * 128, "'; DROP TABLE batch; --", "{a}:1", "😀"], ids=ascii)
    async def test_names_are_any_text(self, store: Store, kept: Kept, name: str) -> None:
        """Names of boards and players are kept to the letter."""
        await store.submit(Board(name), name, 1)
        assert (await kept(Board(name)), await store.page(Board(name), 0, 1)) == ({name: 1}, [Entry(name, 1)])
        with promised(store.capabilities.listing):
            assert await store.names() == [name]

    async def test_missing_name(self, store: Store) -> None:
        """A name that is not on the board has no standing."""
        await store.submit(KART, "v", 1)
        assert await store.standing(KART, "w") is None

    async def test_missing_board(self, store: Store) -> None:
        """A board that does not exist answers as an empty one."""
        answers = await store.standing(GHOST, "v"), await store.page(GHOST, 0, 9), await store.count(GHOST)
        assert answers == (None, [], 0)

    async def test_missing_board_stays_missing(self, store: Store, kept: Kept) -> None:
        """Neither reading nor removing makes a board."""
        await store.page(GHOST, 0, 9)
        assert (await store.remove(GHOST, "v"), await store.drop(GHOST), await kept(GHOST)) == (False, False, {})
        with promised(store.capabilities.listing):
            assert await store.names() == []

    async def test_change_of_a_new_name(self, store: Store) -> None:
        """A name that was not there has no previous standing."""
        await store.submit(KART, "v", 2077)
        with promised(store.capabilities.one_state):
            assert await store.change(KART, "silverhand", 34) == Change(None, Standing(34, 1))

    async def test_change_of_a_standing(self, store: Store, kept: Kept) -> None:
        """A change tells the standings just before and just after."""
        await fill(store, KART, {"v": 2077, "silverhand": 34})
        with promised(store.capabilities.one_state):
            assert await store.change(KART, "silverhand", 9000) == Change(Standing(34, 1), Standing(9000, 0))
        assert (await kept(KART))["silverhand"] == (9000 if store.capabilities.one_state else 34)

    async def test_changes_are_one_after_another(self, store: Store) -> None:
        """Of many changes at once each sees exactly those before it."""
        with promised(store.capabilities.one_state):
            changes = await asyncio.gather(*(store.change(KART, "v", score) for score in range(50)))
            before = sorted(change.previous.score for change in changes if change.previous)
            after = sorted(change.current.score for change in changes)
            assert (len(before), after) == (49, list(range(50)))

    async def test_submit_many(self, store: Store, kept: Kept) -> None:
        """Of two entries with one name the later counts."""
        await store.submit_many(KART, [Entry("v", 1), Entry("w", 2), Entry("v", 3)])
        assert await kept(KART) == {"v": 3, "w": 2}

    async def test_submit_many_of_nothing(self, store: Store) -> None:
        """An empty batch makes no board."""
        await store.submit_many(KART, [])
        with promised(store.capabilities.listing):
            assert await store.names() == []

    async def test_submit_many_beside_submits(self, store: Store) -> None:
        """A batch of a thousand and single submits at once all count."""
        singles = (store.submit(KART, f"single-{n}", n) for n in range(100))
        await asyncio.gather(fill(store, KART, {f"many-{n}": n for n in range(1000)}), *singles)
        assert await store.count(KART) == 1100

    async def test_remove(self, store: Store, kept: Kept) -> None:
        """A removed name is gone, and was there once."""
        await fill(store, KART, {"v": 1, "w": 2})
        assert [await store.remove(KART, "v"), await store.remove(KART, "v")] == [True, False]
        assert await kept(KART) == {"w": 2}

    async def test_remove_the_last(self, store: Store, kept: Kept) -> None:
        """A board without entries no longer exists."""
        await store.submit(KART, "v", 1)
        await store.remove(KART, "v")
        assert (await kept(KART), await store.drop(KART)) == ({}, False)
        with promised(store.capabilities.listing):
            assert await store.names() == []

    async def test_drop(self, store: Store, kept: Kept) -> None:
        """A dropped board is gone with its entries, and others are not."""
        await fill(store, KART, {"v": 1, "w": 2})
        await store.submit(LAPS, "v", 1)
        assert [await store.drop(KART), await store.drop(KART)] == [True, False]
        assert (await kept(KART), await kept(LAPS)) == ({}, {"v": 1})
        with promised(store.capabilities.listing):
            assert await store.names() == ["laps"]

    async def test_names(self, store: Store) -> None:
        """Boards are listed by the bytes of their names."""
        for name in ["b", "é", "a", "B", "😀", "\uffee"]:
            await store.submit(Board(name), "v", 1)
        with promised(store.capabilities.listing):
            assert await store.names() == ["B", "a", "b", "é", "\uffee", "😀"]

    async def test_ready(self, store: Store) -> None:
        """A healthy store is ready."""
        await store.ready()

    async def test_closing_twice(self, store: Store) -> None:
        """A second close does nothing."""
        await store.close()
        await store.close()

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    async def test_closed(self, store: Store, call: Call) -> None:
        """A closed store answers nothing."""
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await call(store)
