"""Entries that are restored: exactly what they were, on a board and in each of its periods, whatever its rules."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.boards import Boards
from laurels.definition import BoardsFile, Bounds, Definition, Guard
from laurels.errors import BadParameter, NotDeclared, NotOnBoard, ScoreRefused
from laurels.restoring import NEWER, NO_TIME, NOT_ON_BOARD, TWICE
from laurels.stores.contract import FullSubmission, Refusal, Submission
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from laurels.definition import Operator, Ties
    from laurels.stores.contract import Board, Ranked

pytestmark = pytest.mark.anyio
NOON = 1_764_072_000 * 1_000_000
HOUR, DAY = 3_600_000_000, 86_400_000_000
KEPT = Definition(windows=("daily", "monthly"))


@pytest.fixture
def anyio_backend() -> str:
    """Run the coroutines of tests on asyncio."""
    return "asyncio"


@pytest.fixture
async def boards(tmp_path: Path) -> AsyncIterator[Boards]:
    """Open a store that is empty."""
    opened = await open_boards(tmp_path)
    yield opened
    await opened.store.close()


async def open_boards(path: Path, definition: Definition = KEPT) -> Boards:
    """Open a store whose boards all have one definition."""
    boards = Boards(await EmbeddedStore.open(path, definition), BoardsFile(default=definition))
    await boards.declare()
    return boards


async def periods_of(boards: Boards) -> list[tuple[str | None, str | None]]:
    """Return a board and its periods, by window and period."""
    return [(None, None), *((each.window, each.period) for each in await boards.periods("b"))]


def where(boards: Boards, window: str | None, period: str | None) -> Board:
    """Return a board or a period."""
    return boards.period_of("b", window, period) if window else boards.board("b")


async def read(boards: Boards) -> dict[Any, list[tuple[object, ...]]]:
    """Return all that is seen of a board, with the places of its entries."""
    found: dict[Any, list[tuple[object, ...]]] = {}
    for key in await periods_of(boards):
        entries = await boards.store.page(where(boards, *key), 0, 1000, with_metadata=True)
        found[key] = [(each.name, each.score, each.submitted_at, each.metadata) for each in entries]
        hidden = await boards.store.hidden(where(boards, *key), with_metadata=True)
        found[key] += [(each.name, each.score, each.submitted_at, each.metadata) for each in hidden]
    return found


def sent(each: Ranked | Any) -> FullSubmission:
    """Return an entry as it is restored."""
    return FullSubmission(each.name, each.score, each.metadata, each.submitted_at)


async def copy(source: Boards, target: Boards) -> list[Refusal]:
    """Restore everything, the board first, and the entries of equal times in the order in which they were kept."""
    refused: list[Refusal] = []
    for shown in await target.store.hidden(target.board("b")):
        await target.show("b", shown.name)
    for each in await source.store.hidden(source.board("b")):
        await target.hide("b", each.name)
    here = await read(source)
    for key, found in (await read(target)).items():
        kept = {name for name, score, *_ in here.get(key, ()) if score is not None}
        for name in {str(name) for name, *_ in found} - kept:
            await target.remove(where(target, *key), name)
    for key in await periods_of(source):
        place = where(source, *key)
        entries: list[Ranked] = await source.store.page(place, 0, 1000, with_metadata=True)
        entries = entries[::-1] if place.definition.ties == "latest" else entries
        hidden = [each for each in await source.store.hidden(place, with_metadata=True) if each.score is not None]
        refused += await target.restore(where(target, *key), [*map(sent, hidden), *map(sent, entries)])
    return refused


async def restored(boards: Boards, window: str | None, *batch: Submission | Refusal) -> list[tuple[int, str]]:
    """Restore entries; return the places of the refused, and why."""
    place = where(boards, window, "2025-11-25" if window else None)
    return [(each.index, each.problem) for each in await boards.restore(place, batch)]


async def seen(boards: Boards) -> list[tuple[object, ...]]:
    """Return what is seen of the board itself."""
    return (await read(boards))[None, None]


async def test_refusals(boards: Boards) -> None:
    """What cannot be an entry there is refused alone, with the reason."""
    old = Refusal(0, "", "No name.")
    batch = FullSubmission("v", 1, None, NOON), FullSubmission("v", 2, None, NOON)
    assert await restored(boards, None, old, *batch) == [(0, "No name."), (2, TWICE)]
    assert await restored(boards, "daily", batch[0], Submission("v", 1)) == [(1, TWICE)]
    assert await restored(boards, "daily", Submission("v", 2)) == [(0, NO_TIME)]
    assert await restored(boards, "daily", FullSubmission("w", 2, None, NOON)) == [(0, NOT_ON_BOARD)]
    assert await restored(boards, "daily", FullSubmission("v", 2, None, NOON + 1)) == [(0, NEWER)]
    (index, problem), *_ = await restored(boards, None, FullSubmission("v", 2, None, NOON * 2))
    assert (index, problem.partition(":")[0]) == (0, "submittedAt is to come")


async def test_no_time(boards: Boards) -> None:
    """An entry without a time counts as of now, alone; one that is there already stays, with its metadata."""
    await boards.submit("b", Submission("v", 1, b"1"))
    (before,) = await seen(boards)
    assert not await restored(boards, None, Submission("v", 1), FullSubmission("w", 5, None, NOON))
    assert (await seen(boards))[1] == before
    assert not await restored(boards, None, Submission("v", 7))
    assert (await seen(boards))[0][:2] == ("v", 7)
    assert len(await read(boards)) == 3


@pytest.mark.parametrize("ties", ["earliest", "latest"])
async def test_order_of_arrival(tmp_path: Path, ties: Ties) -> None:
    """Entries of one score and one time come in the order of the batch, also if they were there in another one."""
    boards = await open_boards(tmp_path, Definition(ties=ties, windows=("daily",)))
    v, w, x = (FullSubmission(name, 1, None, NOON) for name in "vwx")
    for batch in ((v, w), (w, v), (w, v, x), (x, w, v), (x, w, v)):
        for window in (None, "daily"):
            assert not await restored(boards, window, *batch)
        names = [each.name for each in batch]
        expected = names if ties == "earliest" else names[::-1]
        for found in (await read(boards)).values():
            assert [name for name, *_ in found] == expected
    assert len(await read(boards)) == 2
    await boards.store.close()


async def test_sums(tmp_path: Path) -> None:
    """A sum is what was restored, not added to; its bounds hold on the board, and not in a period."""
    boards = await open_boards(tmp_path, Definition(operator="increment", windows=("daily",), scores=Bounds(max=5)))
    for score in (3, 4, -2):
        assert not await restored(boards, None, Submission("v", score))
    assert [entry[1] for entry in await seen(boards)] == [-2]
    ((_, problem),) = await restored(boards, None, Submission("v", 6))
    assert "above 5" in problem
    assert not await restored(boards, None, FullSubmission("v", -2, None, NOON))
    assert not await restored(boards, "daily", FullSubmission("v", 6, b"1", NOON))
    assert (await read(boards))["daily", "2025-11-25"] == [("v", 6, NOON, b"1")]
    assert await seen(boards) == [("v", -2, NOON, None)]
    await boards.store.close()


async def test_metadata_of_a_period(boards: Boards) -> None:
    """Metadata in a period alone leaves that on the board."""
    assert not await restored(boards, None, FullSubmission("v", 1, b"1", NOON))
    assert not await restored(boards, "daily", FullSubmission("v", 1, b"2", NOON))
    assert await seen(boards) == [("v", 1, NOON, b"1")]
    assert (await read(boards))["daily", "2025-11-25"] == [("v", 1, NOON, b"2")]


async def test_nowhere(tmp_path: Path) -> None:
    """A period that is not kept any more takes no entries, and neither does a board that is not declared."""
    definition = Definition(windows=("daily",), keep={"daily": 1})
    file = BoardsFile(boards={"b": definition}, declared_only=True)
    boards = Boards(await EmbeddedStore.open(tmp_path), file)
    await boards.declare()
    with pytest.raises(BadParameter, match="not kept"):
        await restored(boards, "daily", FullSubmission("v", 1, None, NOON))
    with pytest.raises(NotDeclared):
        await boards.restore(boards.board("c"), [Submission("v", 1)])
    await boards.store.close()


names = st.sampled_from("vwxyz")
scores = st.one_of(st.integers(-3, 3), st.floats(-1e3, 1e3))
metadata = st.sampled_from([None, None, b"1", b"2"])
submits = st.tuples(
    st.just("submit"), names, scores, metadata, st.sampled_from([None, 0, 1, HOUR, DAY, 40 * DAY]), st.booleans()
)
changes = st.tuples(st.sampled_from(["remove", "hide", "show", "metadata"]), names)
definitions = st.builds(
    Definition,
    order=st.sampled_from(["ascending", "descending"]),
    operator=st.sampled_from(["latest", "best", "increment"]),
    ties=st.sampled_from(["name", "earliest", "latest"]),
    ranking=st.sampled_from(["ordinal", "competition", "dense"]),
    windows=st.sampled_from([(), ("daily",), ("daily", "monthly")]),
    guard=st.sampled_from([None, Guard(max_step=1e9)]),
)


async def act(boards: Boards, what: str, name: str, *more: Any, board: str = "b") -> None:
    """Do something to a board."""
    if what == "submit":
        score, body, ago, is_corrected = more
        time = None if ago is None else NOON - ago
        operator: Operator | None = "latest" if is_corrected else None
        with suppress(ScoreRefused):
            await boards.submit_in_full(board, FullSubmission(name, score, body, time, operator=operator))
    elif what == "metadata":
        with suppress(NotOnBoard):
            await boards.set_metadata(board, name, b"3")
    elif what == "remove":
        await boards.remove(boards.board(board), name)
    else:
        await getattr(boards, what)(board, name)


@settings(deadline=None, max_examples=80)
@given(definitions, st.lists(st.one_of(submits, submits, changes), min_size=1, max_size=12), st.data())
def test_any_board(
    tmp_path_factory: pytest.TempPathFactory, definition: Definition, acts: list[Any], data: st.DataObject
) -> None:
    """Whatever a board has been through, it is the same elsewhere; also if that was there as it was before."""
    half = data.draw(st.integers(0, len(acts)))

    async def run() -> None:
        source = await open_boards(tmp_path_factory.mktemp("from"), definition)
        target = await open_boards(tmp_path_factory.mktemp("to"), definition)
        for some in (acts[:half], acts[half:]):
            for each in some:
                await act(source, *each)
            refused = await copy(source, target)
            assert {each.problem for each in refused} <= {NEWER}
            assert refused or await read(target) == await read(source)
        await source.store.close()
        await target.store.close()

    asyncio.run(run())
