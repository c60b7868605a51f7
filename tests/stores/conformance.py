"""What every store must do, whatever it is made of."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import structs

from laurels.backup.reading import check_passing
from laurels.definition import Definition
from laurels.errors import NotKept, StoreUnavailable
from laurels.stores.contract import (
    Board,
    Bucket,
    Change,
    Entry,
    FullStanding,
    Place,
    Ranked,
    Standing,
    Store,
    Submission,
    Summary,
)
from tests.stores.guarantees import KART, Guarantees, Kept, fill, requires, shown, submit_for_change
from tests.stores.hiding import Hiding

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Call = Callable[[Store], Coroutine[None, None, object]]

LAPS = Board("laps", Definition(order="ascending"))
GHOST = Board("ghost")

CALLS: dict[str, Call] = {
    "submit": lambda store: store.submit(KART, Submission("v", 1)),
    "change": lambda store: store.submit(KART, Submission("v", 1), want_changes=True),
    "batch": lambda store: store.submit(KART, [Submission("v", 1)]),
    "standing": lambda store: store.standing(KART, "v"),
    "standing_in_full": lambda store: store.standing_in_full(KART, "v"),
    "page": lambda store: store.page(KART, 0, 20),
    "page_json": lambda store: store.page_json(KART, 0, 20),
    "around": lambda store: store.around(KART, "v", 5),
    "entries_named": lambda store: store.entries_named(KART, ["v"]),
    "entries_between_scores": lambda store: store.entries_between_scores(KART, 0, 1, 20),
    "entries_after": lambda store: store.entries_after(KART, Ranked("v", 1, 0), 20),
    "summary": lambda store: store.summary(KART),
    "place": lambda store: store.place(KART, 1),
    "count": lambda store: store.count(KART),
    "remove": lambda store: store.remove(KART, "v"),
    "drop": lambda store: store.drop(KART),
    "hide": lambda store: store.hide(KART, "v"),
    "show": lambda store: store.show(KART, "v"),
    "hidden": lambda store: store.hidden(KART),
    "names": lambda store: store.names(),
    "periods": lambda store: store.periods(KART),
    "definitions": lambda store: store.definitions(),
    "define": lambda store: store.define("laps", LAPS.definition),
    "undefine": lambda store: store.undefine("laps"),
    "declare": lambda store: store.declare({}, LAPS.definition),
    "ready": lambda store: store.ready(),
}


@pytest.mark.anyio
class Conformance(Guarantees, Hiding):
    """The guarantees of :mod:`laurels.stores.contract`.

    A subclass has the fixtures ``store``, an open store without entries, to which LAPS is declared if it keeps
    definitions, and ``kept``, which reads the entries of one board independently of that store. What depends on time
    is in :class:`~tests.stores.guarantees.InTime`.
    """

    async def test_submit_keeps_the_entry(self, store: Store, kept: Kept) -> None:
        """What submit acknowledged is kept."""
        await store.submit(KART, Submission("v", 2077))
        assert await kept(KART) == {"v": 2077}

    async def test_submit_replaces_the_score(self, store: Store, kept: Kept) -> None:
        """A name has one score on a board, its latest, even if that is worse."""
        await store.submit(KART, Submission("v", 2077))
        await store.submit(KART, Submission("v", 34))
        assert await kept(KART) == {"v": 34}

    async def test_boards_are_apart(self, store: Store, kept: Kept) -> None:
        """Boards are separate: a name on one is not on another."""
        await store.submit(KART, Submission("v", 1))
        await store.submit(LAPS, Submission("v", 2))
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
        """Equal scores are ordered by the bytes of their names, upwards if lower is better, else downwards."""
        await fill(store, board, {"a": 7, "B": 7, "é": 7, "b": 7})
        assert [entry.name for entry in await store.page(board, 0, 9)] == names.split()

    async def test_page_is_half_open(self, store: Store) -> None:
        """A page holds its first rank and not its last."""
        await fill(store, KART, {"a": 5, "b": 4, "c": 3, "d": 2})
        assert shown(await store.page(KART, 1, 3)) == [("b", 4, 1), ("c", 3, 2)]

    @pytest.mark.parametrize(("start", "stop"), [(0, 2), (1, 20), (7, 9)], ids=str)
    async def test_page_json(self, store: Store, start: int, stop: int) -> None:
        """A page as JSON says what the page says."""
        await fill(store, KART, {"a": 5, 'quo"te': 4.5, "é": -(2**53)})
        as_json = await store.page_json(KART, start, stop)
        assert [Entry(*each[:2]) for each in shown(await store.page(KART, start, stop))] == msgspec.json.decode(
            as_json, type=list[Entry]
        )
        assert as_json == await Store.page_json(store, KART, start, stop)

    async def test_page_ends_with_the_board(self, store: Store) -> None:
        """A page beyond the last entry is as long as there are entries."""
        await fill(store, KART, {"a": 5, "b": 4})
        assert [shown(await store.page(KART, start, stop)) for start, stop in [(1, 20), (7, 20), (1, 2**40)]] == [
            [("b", 4, 1)],
            [],
            [("b", 4, 1)],
        ]
        assert await store.page(KART, 2**40, 2**41) == []

    @pytest.mark.parametrize("score", [0, -1, 2**53, -(2**53), 2**80, 0.1, -1e-300, 1.5], ids=repr)
    async def test_scores_are_exact(self, store: Store, score: float) -> None:
        """A score comes back as it went in, whole ones as int."""
        await store.submit(KART, Submission("v", score))
        found = await store.standing(KART, "v")
        assert (found, type(found.score) if found else None) == (Standing(score, 0), type(score))

    @pytest.mark.parametrize("name", ["a/b", " ", "π" * 128, "'; DROP TABLE batch; --", "{a}:1", "😀"], ids=ascii)
    async def test_names_are_any_text(self, store: Store, kept: Kept, name: str) -> None:
        """Names of boards and players are kept to the letter."""
        await store.submit(Board(name), Submission(name, 1))
        assert (await kept(Board(name)), shown(await store.page(Board(name), 0, 1))) == ({name: 1}, [(name, 1, 0)])
        with requires(store.capabilities.listing):
            assert await store.names() == [name]

    async def test_missing_name(self, store: Store) -> None:
        """A name that is not on the board has no standing."""
        await store.submit(KART, Submission("v", 1))
        assert await store.standing(KART, "w") is None

    async def test_missing_board(self, store: Store) -> None:
        """A board that does not exist answers as an empty one."""
        answers = await store.standing(GHOST, "v"), await store.page(GHOST, 0, 9), await store.count(GHOST)
        assert answers == (None, [], 0)

    async def test_missing_board_stays_missing(self, store: Store, kept: Kept) -> None:
        """Neither reading nor removing makes a board."""
        await store.page(GHOST, 0, 9)
        assert (await store.remove(GHOST, "v"), await store.drop(GHOST), await kept(GHOST)) == (False, False, {})
        with requires(store.capabilities.listing):
            assert await store.names() == []

    async def test_change_of_a_new_name(self, store: Store) -> None:
        """A name that was not there has no previous standing."""
        await store.submit(KART, Submission("v", 2077))
        with requires(store.capabilities.one_state):
            assert await submit_for_change(store, KART, Submission("silverhand", 34)) == Change(None, Standing(34, 1))

    async def test_backup(self, store: Store) -> None:
        """A backup has an end, or is refused before it is begun, with what to do instead."""
        await store.submit(KART, Submission("v", 2077))
        if store.capabilities.backups:
            assert list(check_passing([chunk async for chunk in store.backup()]))
        else:
            with pytest.raises(NotKept, match=r"cannot make backups: .*`laurels export`"):
                store.backup()

    async def test_change_of_a_standing(self, store: Store, kept: Kept) -> None:
        """A change has the standings just before and just after."""
        await fill(store, KART, {"v": 2077, "silverhand": 34})
        with requires(store.capabilities.one_state):
            assert await submit_for_change(store, KART, Submission("silverhand", 9000)) == Change(
                Standing(34, 1), Standing(9000, 0)
            )
        assert (await kept(KART))["silverhand"] == (9000 if store.capabilities.one_state else 34)

    async def test_changes_of_a_batch(self, store: Store, kept: Kept) -> None:
        """What a batch changed cannot be asked for yet, and the batch that asks is not kept."""
        with pytest.raises(NotKept):
            await store.submit(KART, [Submission("v", 1)], want_changes=True)
        assert await kept(KART) == {}

    async def test_changes_are_one_after_another(self, store: Store) -> None:
        """Of many changes at once each sees exactly those before it."""
        with requires(store.capabilities.one_state):
            changes = await asyncio.gather(
                *(submit_for_change(store, KART, Submission("v", score)) for score in range(50))
            )
            before = sorted(change.previous.score for change in changes if change.previous)
            after = sorted(change.current.score for change in changes)
            assert (len(before), after) == (49, list(range(50)))

    @pytest.mark.parametrize(
        ("name", "span", "first", "names"),
        [("c", 1, 1, "bcd"), ("c", 0, 2, "c"), ("a", 2, 0, "abc"), ("e", 1, 3, "de"), ("c", 500, 0, "abcde")],
    )
    async def test_around(self, store: Store, name: str, span: int, first: int, names: str) -> None:
        """The neighbours of a name are up to so many on either side, as far as the board goes."""
        await fill(store, LAPS, {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5})
        with requires(store.capabilities.one_state):
            found = await store.around(LAPS, name, span)
            assert found is not None
            assert shown(found) == [(one, 1 + "abcde".index(one), first + at) for at, one in enumerate(names)]

    @pytest.mark.parametrize(
        ("name", "limit", "names"),
        [
            ("c", 3, "bcd"),
            ("c", 2, "bc"),
            ("c", 1, "c"),
            ("a", 3, "abc"),
            ("b", 4, "abcd"),
            ("d", 4, "bcde"),
            ("e", 2, "de"),
            ("e", 5, "abcde"),
            ("b", 1000, "abcde"),
        ],
    )
    async def test_around_with_a_limit(self, store: Store, name: str, limit: int, names: str) -> None:
        """So many entries are returned as there are, with the name as near to the middle as the ends allow."""
        await fill(store, LAPS, {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5})
        with requires(store.capabilities.one_state):
            found = await store.around(LAPS, name, 0, limit)
            assert found is not None
            assert [entry.name for entry in found] == [*names]

    async def test_places_are_told(self, store: Store) -> None:
        """Every read of entries tells their places, and how many there are, if that is asked for."""
        await fill(store, KART, {"a": 7, "b": 7, "c": 9, "d": 1})
        page = await store.page(KART, 1, 9, with_places=True)
        assert ([*page.places], page.total) == ([1, 2, 3], 4)
        behind = await store.page(KART, 7, 9, with_places=True)
        assert ([*behind], [*behind.places], behind.total) == ([], [], 4)
        ghost = await store.page(GHOST, 0, 9, with_places=True)
        assert ([*ghost], [*ghost.places], ghost.total) == ([], [], 0)
        with requires(store.capabilities.one_state):
            found = [
                await store.around(KART, "a", 1, with_places=True),
                await store.around(KART, "d", 0, 2, with_places=True),
                await store.entries_named(KART, ["d", "x", "c"], with_places=True),
                await store.entries_named(KART, ["x"], with_places=True),
                await store.entries_between_scores(KART, 7, 8, 9, with_places=True),
                await store.entries_after(KART, page[0], 1, with_places=True),
            ]
            assert [([*each.places], each.total) for each in found if each is not None] == [
                ([1, 2, 3], 4),
                ([2, 3], 4),
                ([0, 3], 4),
                ([], 4),
                ([1, 2], 4),
                ([2], 4),
            ]
            assert await store.around(KART, "x", 1, with_places=True) is None

    async def test_standing_in_full(self, store: Store) -> None:
        """A standing tells its place, how many are better and how many there are; of nobody it tells the last alone."""
        await fill(store, KART, {"a": 7, "b": 7, "c": 9, "d": 1})
        if store.capabilities.submission_details:
            await store.set_metadata(KART, "a", b"[1]")
        found = [await store.standing_in_full(KART, name) for name in "cabdx"]
        assert [(each.standing, each.place, each.total) for each in found] == [
            (Standing(9, 0), 0, 4),
            (Standing(7, 2), 2, 4),
            (Standing(7, 1), 1, 4),
            (Standing(1, 3), 3, 4),
            (None, None, 4),
        ]
        assert (found[1].metadata, found[4].submitted_at, found[4].windows) == (None, None, [])
        assert await store.standing_in_full(GHOST, "a") == FullStanding(windows=[])
        assert await store.standing_in_full(structs.replace(KART, visible=False), "a") == FullStanding(windows=[])
        if store.capabilities.one_state:
            assert [each.better for each in found] == [0, 1, 1, 3, None]
            [entry] = await store.entries_named(KART, ["a"])
            assert found[1].submitted_at == entry.submitted_at
        with requires(store.capabilities.submission_details):
            assert (await store.standing_in_full(KART, "a", with_metadata=True)).metadata == b"[1]"
        with requires(store.capabilities.guarding):
            assert (await store.standing_in_full(KART, "a", with_held=True)).held is None

    async def test_around_nobody(self, store: Store) -> None:
        """A name that is not on the board has no neighbours."""
        await store.submit(KART, Submission("v", 1))
        with requires(store.capabilities.one_state):
            assert (await store.around(KART, "w", 5), await store.around(GHOST, "v", 5)) == (None, None)

    async def test_entries_named(self, store: Store) -> None:
        """The entries of some names come in the board's order, with their ranks on the board."""
        await fill(store, KART, {"a": 7, "b": 7, "c": 9, "d": 1})
        with requires(store.capabilities.one_state):
            found = await store.entries_named(KART, ["d", "nobody", "a", "b", "a"])
            assert shown(found) == [("b", 7, 1), ("a", 7, 2), ("d", 1, 3)]
            assert await store.entries_named(GHOST, ["a"]) == []

    @pytest.mark.parametrize(
        ("low", "high", "limit", "first", "names"),
        [
            (2, 3, 9, 1, "cb"),
            (-inf, 2, 9, 2, "ba"),
            (3, inf, 9, 0, "dc"),
            (-inf, inf, 3, 0, "dcb"),
            (1.5, 1.75, 9, 3, ""),
            (5, inf, 9, 0, ""),
        ],
    )
    async def test_entries_between_scores(
        self, store: Store, low: float, high: float, limit: int, first: int, names: str
    ) -> None:
        """Both ends count, and the best come first."""
        await fill(store, KART, {"a": 1, "b": 2, "c": 3, "d": 4})
        with requires(store.capabilities.one_state):
            found = await store.entries_between_scores(KART, low, high, limit)
            assert shown(found) == [(one, 1 + "abcd".index(one), first + at) for at, one in enumerate(names)]

    async def test_entries_between_scores_a_missing_board(self, store: Store) -> None:
        """A board that does not exist has no entries between two scores."""
        with requires(store.capabilities.one_state):
            assert await store.entries_between_scores(GHOST, -inf, inf, 9) == []

    @pytest.mark.parametrize("board", [KART, LAPS], ids=["descending", "ascending"])
    async def test_after_goes_through_ties(self, store: Store, board: Board) -> None:
        """A board can be read entry by entry, in its order."""
        await fill(store, board, {name: len(name) for name in ["a", "b", "é", "aa", "bb", "B", "ccc"]})
        with requires(store.capabilities.one_state):
            seen = await store.page(board, 0, 1)
            while found := await store.entries_after(board, seen[-1], 1):
                seen += found
            assert seen == await store.page(board, 0, 9)

    async def test_after_what_has_gone(self, store: Store) -> None:
        """A place keeps its meaning when the entry that named it moves or goes, and others come before it."""
        await fill(store, KART, {"a": 4, "b": 3, "c": 3, "d": 1})
        a, c, _, d = await store.page(KART, 0, 9)
        await fill(store, KART, {"c": 9, "new": 5})
        await store.remove(KART, "a")
        with requires(store.capabilities.one_state):
            assert shown(await store.entries_after(KART, c, 9)) == [("b", 3, 2), ("d", 1, 3)]
            assert shown(await store.entries_after(KART, a, 1)) == [("b", 3, 2)]
            assert [await store.entries_after(KART, d, 9), await store.entries_after(GHOST, d, 9)] == [[], []]

    @pytest.mark.parametrize(
        ("board", "best", "worst", "percentiles"),
        [(KART, 200, 1, {"50": 100, "90": 180, "99": 198}), (LAPS, 1, 200, {"50": 101, "90": 21, "99": 3})],
        ids=["descending", "ascending"],
    )
    async def test_summary(
        self, store: Store, board: Board, best: float, worst: float, percentiles: dict[str, float]
    ) -> None:
        """Percentiles are scores of entries, counted from the worst; the buckets hold every entry once."""
        await fill(store, board, {f"player-{score}": score for score in range(1, 201)})
        with requires(store.capabilities.one_state):
            found = await store.summary(board)
            assert (found.count, found.best, found.worst, found.percentiles) == (200, best, worst, percentiles)
            assert [bucket.count for bucket in found.histogram] == [20] * 10
            assert found.histogram[0] == Bucket(1, 20.9, 20)

    @pytest.mark.parametrize(
        ("scores", "buckets"),
        [
            ([7, 7, 7], [Bucket(7, 7, 3)]),
            ([0, 10, 10, 9.5], [*(Bucket(n, n + 1, int(n == 0)) for n in range(9)), Bucket(9, 10, 3)]),
            ([1, 1 + 2**-52], [Bucket(1, 1 + 2**-52, 2)]),
            ([1, 1 + 2**-51], [Bucket(1, 1 + 2**-52, 1), Bucket(1 + 2**-52, 1 + 2**-51, 1)]),
        ],
        ids=["one score", "last edge", "neighbouring doubles", "three doubles"],
    )
    async def test_histogram(self, store: Store, scores: list[float], buckets: list[Bucket]) -> None:
        """A bucket holds its first edge and not its last, but for the last bucket."""
        await fill(store, KART, {f"player-{place}": score for place, score in enumerate(scores)})
        with requires(store.capabilities.one_state):
            assert (await store.summary(KART)).histogram == buckets

    async def test_histogram_of_all_doubles(self, store: Store) -> None:
        """The widest board there can be has its ten buckets too."""
        most = int(1.7976931348623157e308)
        await fill(store, KART, {"a": most, "b": 0, "c": -most})
        with requires(store.capabilities.one_state):
            found = (await store.summary(KART)).histogram
            assert [bucket.count for bucket in found] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
            assert (found[0].low, found[5].low, found[9].high) == (-most, 0, most)

    async def test_histogram_of_fractions(self, store: Store) -> None:
        """The first edge is the least score and the last edge the greatest, whatever their digits."""
        await fill(store, KART, {"a": 0.2, "b": 0.9})
        with requires(store.capabilities.one_state):
            found = (await store.summary(KART)).histogram
            assert (found[0].low, found[-1].high) == (0.2, 0.9)

    async def test_percentiles(self, store: Store) -> None:
        """Any percentiles may be asked for: 0 is the worst score, 100 the best, and decimals count to the entry."""
        await fill(store, KART, {f"player-{score}": score for score in range(1, 1001)})
        with requires(store.capabilities.one_state):
            asked = ("0", "0.1", "0.1001", "25", "66.6", "99.9", "99.9001", "100")
            found = await store.summary(KART, asked, 4)
            assert found.percentiles == dict(zip(asked, [1, 1, 2, 250, 666, 999, 1000, 1000], strict=True))
            assert [bucket.count for bucket in found.histogram] == [250, 250, 250, 250]
            assert [bucket.count for bucket in (await store.summary(KART, (), 1)).histogram] == [1000]
            assert len((await store.summary(KART, (), 100)).histogram) == 100
            assert (await store.summary(GHOST, ("1",), 4)).percentiles == {"1": None}

    async def test_summary_of_one_entry(self, store: Store) -> None:
        """One entry is the best, the worst, and every percentile."""
        await store.submit(KART, Submission("v", 1.5))
        with requires(store.capabilities.one_state):
            found = Summary(1, 1.5, 1.5, {"50": 1.5, "90": 1.5, "99": 1.5}, [Bucket(1.5, 1.5, 1)])
            assert await store.summary(KART) == found

    async def test_summary_of_a_missing_board(self, store: Store) -> None:
        """A board that does not exist has no entries, and no scores."""
        with requires(store.capabilities.one_state):
            assert await store.summary(GHOST) == Summary(0, None, None, {"50": None, "90": None, "99": None}, [])

    @pytest.mark.parametrize(("score", "rank"), [(10, 0), (9, 0), (8, 1), (7, 1), (0, 3)])
    async def test_place(self, store: Store, score: float, rank: int) -> None:
        """The place of a score is behind all that are better, and before its equals."""
        await fill(store, KART, {"a": 7, "b": 7, "c": 9})
        with requires(store.capabilities.one_state):
            assert await store.place(KART, score) == Place(rank, rank, 3)
            assert await store.place(GHOST, score) == Place(0, 0, 0)

    async def test_batch(self, store: Store, kept: Kept) -> None:
        """Of two entries with one name the later counts."""
        await store.submit(KART, [Submission("v", 1), Submission("w", 2), Submission("v", 3)])
        assert await kept(KART) == {"v": 3, "w": 2}

    async def test_batch_of_nothing(self, store: Store) -> None:
        """An empty batch makes no board."""
        await store.submit(KART, [])
        with requires(store.capabilities.listing):
            assert await store.names() == []

    async def test_batch_with_submits(self, store: Store) -> None:
        """A batch of a thousand and concurrent single submits all count."""
        singles = (store.submit(KART, Submission(f"single-{n}", n)) for n in range(100))
        await asyncio.gather(fill(store, KART, {f"many-{n}": n for n in range(1000)}), *singles)
        assert await store.count(KART) == 1100

    async def test_board_that_is_not_visible(self, store: Store, kept: Kept) -> None:
        """Reads find a board empty that is not visible; it can be removed, and its entries are there until then."""
        await fill(store, KART, {"v": 1, "w": 2})
        hidden = Board(KART.name, visible=False)
        assert await store.standing(hidden, "v") is None
        assert await store.page(hidden, 0, 9) == []
        assert await store.page_json(hidden, 0, 9) == b"[]"
        assert await store.count(hidden) == 0
        assert await store.remove(hidden, "v")
        assert await kept(KART) == {"w": 2}
        assert await store.drop(hidden)
        assert await kept(KART) == {}

    async def test_remove(self, store: Store, kept: Kept) -> None:
        """A removed name is gone, and the removal says whether it was there."""
        await fill(store, KART, {"v": 1, "w": 2})
        assert [await store.remove(KART, "v"), await store.remove(KART, "v")] == [True, False]
        assert await kept(KART) == {"w": 2}

    async def test_remove_the_last(self, store: Store, kept: Kept) -> None:
        """A board without entries no longer exists."""
        await store.submit(KART, Submission("v", 1))
        await store.remove(KART, "v")
        assert (await kept(KART), await store.drop(KART)) == ({}, False)
        with requires(store.capabilities.listing):
            assert await store.names() == []

    async def test_drop(self, store: Store, kept: Kept) -> None:
        """A dropped board is gone with its entries, and others are not."""
        await fill(store, KART, {"v": 1, "w": 2})
        await store.submit(LAPS, Submission("v", 1))
        assert [await store.drop(KART), await store.drop(KART)] == [True, False]
        assert (await kept(KART), await kept(LAPS)) == ({}, {"v": 1})
        with requires(store.capabilities.listing):
            assert await store.names() == ["laps"]

    async def test_names(self, store: Store) -> None:
        """Boards are listed by the bytes of their names."""
        for name in ["b", "é", "a", "B", "😀", "\uffee"]:
            await store.submit(Board(name), Submission("v", 1))
        with requires(store.capabilities.listing):
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
