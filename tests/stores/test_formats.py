"""Directories of other versions: those of the first format go on, those of a later one are named as such."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition
from laurels.errors import DefinitionConflict, NewerFormat
from laurels.stores.contract import Board, Submission
from laurels.stores.embedded.compact import fold
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.clock import Clock

pytestmark = pytest.mark.anyio

FIRST = Path(__file__).parent.parent / "data" / "format-1"
"""What the last version of the first format left, serving ascending boards: some folded, some in the journal."""
ASCENDING = Definition(order="ascending")
KART = [
    ("player-1", 1, 0),
    ("player-2", 2, 1),
    ("player-3", 3, 2),
    ("player-4", 4, 3),
    ("new", 7, 4),
    ("player-0", 9, 5),
]
LAPS = [("judy", 2, 0), ("silverhand", 2, 1)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a directory of the first format."""
    return shutil.copytree(FIRST, tmp_path / "data")


async def boards(data: Path, default: Definition = ASCENDING) -> Mapping[str, list[tuple[str, float, int]]]:
    """Open a directory and give what is on its boards."""
    store = await EmbeddedStore.open(data, default)
    try:
        await store.set_default(default)
        return {name: shown(await store.page(Board(name), 0, 99)) for name in await store.names()}
    finally:
        await store.close()


async def test_first_format(data: Path) -> None:
    """A directory of the first format opens with all it had, and once it is of today's it does so again."""
    assert [await boards(data), await boards(data)] == [{"kart": KART, "laps": LAPS}] * 2


async def test_first_format_goes_on(data: Path) -> None:
    """Entries of the first format have no time, those after them have; a fold makes all of today's format."""
    store = await EmbeddedStore.open(data, ASCENDING)
    await store.submit(Board("kart"), Submission("v", 0, b"{}"))
    await store.close()
    fold(data, disk.last(data))
    store = await EmbeddedStore.open(data, ASCENDING)
    page = await store.page(Board("kart"), 0, 99, with_metadata=True)
    await store.close()
    assert (page[0].metadata, page[0].submitted_at is None, page[1].submitted_at) == (b"{}", False, None)
    assert disk.read(data)["laps"] == {"judy": 2, "silverhand": 2}


async def test_other_order_than_the_first_format_had(data: Path) -> None:
    """IdempotencyKey it is known in which order old boards stand, another one is a contradiction."""
    await boards(data)
    with pytest.raises(DefinitionConflict, match=r"'kart' .*order 'ascending'.*start with the default that was"):
        await boards(data, Definition())


async def test_first_format_with_a_time_to_live(data: Path, clock: Clock) -> None:
    """The time of boards of which nobody knows the last submit counts from the first start that ends them."""
    ending = Definition(order="ascending", ttl="1h")
    store = await EmbeddedStore.open(data, ending, clock=clock)
    await store.set_default(ending)
    clock.now += 3590
    names = [await store.names()]
    clock.now += 20
    assert [*names, await store.names()] == [["kart", "laps"], []]
    await store.close()


@pytest.mark.parametrize(
    ("name", "change"),
    [("journal.db", "UPDATE origin SET format = 3"), ("boards.db", "UPDATE seal SET format = 3")],
    ids=["journal", "compact form"],
)
async def test_later_format(data: Path, name: str, change: str) -> None:
    """A file of a version to come is not called damaged."""
    with closing(sqlite3.connect(data / name)) as db, db:
        db.execute(change)
    with pytest.raises(NewerFormat, match=rf"{name} has format 3, and .* knows those up to 2\. Nothing was changed"):
        await boards(data)
