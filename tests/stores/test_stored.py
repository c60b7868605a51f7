"""What is stored belongs to its format: it does not change unless FORMAT does, and every format can be opened."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from laurels.stores.contract import Board, Change, HiddenStanding, Period, Standing, Submission, SubmitResult
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.sqlite_file import FORMAT
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.stored import BATCH_KEY, DATA, DEFAULT, GUARDED, KART, KEY, LAPS, SUMS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clock import Clock

pytestmark = pytest.mark.anyio
TODAY = Board("kart", KART.definition, "daily", "2026-11-22")

ADVICE = """
What is stored has changed, and FORMAT has not: the version before would take it for something else, or end its start.
1. Raise FORMAT in src/laurels/stores/embedded/journal.py, and have recovery bring older directories up to date.
2. Keep tests/data/format-N of the formats before, and the tests that open them.
3. Run `python -m tests.stores.stored tests/data`, and commit the new tests/data/format-N and tests/data/format-N.txt.
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a data directory that this version made, and the description of it."""
    path = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "tests.stores.stored", path], check=True)
    return path


def test_stored_form_belongs_to_its_format(fresh: Path) -> None:
    """Records, definitions, answers and tables are those that were recorded for this FORMAT."""
    recorded = (DATA / f"format-{FORMAT}.txt").read_text()
    assert (fresh / f"format-{FORMAT}.txt").read_text() == recorded, ADVICE


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_every_format_has_a_directory(number: int) -> None:
    """There is a data directory of every format, to be opened by all later versions."""
    assert {file.name for file in (DATA / f"format-{number}").iterdir()} >= {"boards.db", "journal.db", "lock"}


@pytest.fixture(params=["format 2", "format 3", "format 4", "format 5", "fresh"])
def data(request: pytest.FixtureRequest, fresh: Path, tmp_path: Path) -> Path:
    """Return a directory as a version of each format left it, and as it is made now."""
    source = fresh / f"format-{FORMAT}" if request.param == "fresh" else DATA / request.param.replace(" ", "-")
    return shutil.copytree(source, tmp_path / "data")


async def test_entries(data: Path, clock: Clock) -> None:
    """Each entry is there, with its rank, its metadata and its time."""
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    kart = await store.page(KART, 0, 9, with_metadata=True)
    sums = await store.page(SUMS, 0, 9, with_metadata=True)
    laps = await store.page(LAPS, 0, 9)
    assert [(entry.name, entry.score, entry.rank, entry.metadata) for entry in kart] == [
        ("silverhand", 9, 0, None),
        ("v", 7, 1, b'{"car":1}'),
        ("judy", 7, 1, None),
    ]
    assert [(entry.name, entry.score, entry.metadata) for entry in sums] == [("v", 60, b"[]")]
    assert [(entry.name, entry.score) for entry in laps] == [("v", 1.5), ("johnny", 3)]
    assert all(0 <= (entry.submitted_at or 0) - clock.now * 1e6 < 100 for entry in kart + sums + laps)
    await store.close()


async def test_metadata_after_a_compaction(data: Path, clock: Clock) -> None:
    """What was in the snapshot goes into the next one, of the board and of its period."""
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    await store.submit(KART, Submission("new", 8, b"1"))
    await store.close()
    compact(data, disk.last(data))
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    for key in (KART, TODAY):
        page = await store.page(key, 0, 9, with_metadata=True)
        found = {entry.name: entry.metadata for entry in page if entry.name != "johnny"}
        assert found == {"silverhand": None, "new": b"1", "v": b'{"car":1}', "judy": None}
    await store.close()


async def test_boards(data: Path, clock: Clock) -> None:
    """Each board has its definition, its periods and its time to live."""
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    definitions = dict(await store.definitions())
    is_today = definitions.pop(GUARDED.name, None) == GUARDED.definition
    assert definitions == {"kart": KART.definition, "sums": SUMS.definition}
    assert await store.periods(KART) == [Period("daily", "2026-11-22", 3)]
    guarded = [GUARDED.name] * is_today
    assert await store.names() == [*guarded, "kart", "laps", "sums"]
    clock.now += 3601
    assert await store.names() == [*guarded, "kart", "laps"]
    await store.close()


async def test_answers(data: Path, clock: Clock) -> None:
    """The first answers to writes with keys are there."""
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    change = Change(None, Standing(7, 0), counted=True)
    assert await store.recall(KART, KEY) == SubmitResult(changes=(change,))
    answer = await store.recall(KART, BATCH_KEY)
    assert answer is not None
    assert [(refusal.index, refusal.name) for refusal in answer.refusals] == [(1, "w"), (2, "v")]
    await store.close()


async def test_hidden_names(tmp_path: Path, clock: Clock) -> None:
    """Hidden names are there as they were left, after a compaction too, and in their place when they are shown."""
    data = shutil.copytree(DATA / "format-5", tmp_path / "data")
    for step in range(2):
        assert disk.read(data, hidden=True) == {"kart": {"cheat": 1000}, "kart\ndaily\n2026-11-22": {"cheat": 1000}}
        store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
        names = {board.name: [each.name for each in await store.hidden(board)] for board in (KART, LAPS)}
        assert names == {"kart": ["cheat", "nobody"], "laps": []}
        assert await store.standing(KART, "cheat") == HiddenStanding(1000)
        await store.submit(LAPS, Submission("v", 1.5))
        await store.close()
        if not step:
            compact(data, disk.last(data))
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    assert await store.show(KART, "cheat")
    assert [await store.standing(board, "cheat") for board in (KART, TODAY)] == [Standing(1000, 0)] * 2
    await store.close()


def test_files(data: Path) -> None:
    """The files say the same to who reads them by their documentation alone."""
    entries = disk.read(data)
    assert entries["kart"] == {"silverhand": 9, "v": 7, "judy": 7}
    assert entries["sums"] == {"v": 60}
    assert entries["laps"] == {"v": 1.5, "johnny": 3}
    assert disk.compacted_upto(data) not in {0, disk.last(data)}


async def test_guarded_board(tmp_path: Path, clock: Clock) -> None:
    """What is held, what was released, and what the guard remembers are in the directory of the fifth format."""
    data = shutil.copytree(DATA / "format-5", tmp_path / "data")
    store = await EmbeddedStore.open(data, DEFAULT, clock=clock)
    assert [(each.name, each.score) for each in await store.held(GUARDED)] == [("judy", 700), ("w", 600)]
    (entry,) = await store.page(GUARDED, 0, 9, with_metadata=True)
    assert (entry.name, entry.score, entry.metadata) == ("v", 500, b'{"held":1}')
    assert store.measure()["runs"] == 1
    await store.close()
