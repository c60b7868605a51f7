"""Directories of every format that was released: served, interrupted on the way to today's, and taken back too far."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from laurels import __version__
from laurels.errors import NewerFormat
from laurels.stores.contract import Board
from laurels.stores.embedded.sqlite_file import FORMAT
from laurels.stores.embedded.store import EmbeddedStore
from tests.asking import ask
from tests.conftest import running

DATA = Path(__file__).parent.parent / "data"
FORMATS = sorted(int(found.name.partition("-")[2]) for found in DATA.glob("format-?") if found.is_dir())
KART = {"v": 7, "silverhand": 9, "judy": 7}
FIRST_KART = {"player-0": 9, "player-1": 1, "player-2": 2, "player-3": 3, "player-4": 4, "new": 7}
ASCENDING = ("--order", "ascending")
"""What all of these directories were served with."""
every_format = pytest.mark.parametrize("number", FORMATS)
earlier_formats = pytest.mark.parametrize("number", [number for number in FORMATS if number < FORMAT])


def copy(number: int, tmp_path: Path) -> Path:
    """Return a copy of the directory that the last version of a format left."""
    return shutil.copytree(DATA / f"format-{number}", tmp_path / "data")


def kart(number: int) -> dict[str, float]:
    """Return what that directory has on one board."""
    return dict(FIRST_KART if number == 1 else KART)


def read_origin(data: Path) -> tuple[int, int]:
    """Return the format of a journal, and which version gave it that."""
    with closing(sqlite3.connect(f"file:{data / 'journal.db'}?mode=ro", uri=True)) as db:
        ((number,), (version,)) = (*db.execute("SELECT format FROM origin"), *db.execute("PRAGMA user_version"))
    return number, version


def test_every_format_has_a_directory() -> None:
    """There is a real directory of each format up to today's."""
    assert list(range(1, FORMAT + 1)) == FORMATS


@every_format
def test_service_on_a_directory_of_each_format(tmp_path: Path, number: int) -> None:
    """It has what was there, takes more, and has both after another start."""
    data, now = copy(number, tmp_path), kart(number)
    for name in ("first", "second"):
        with running(data, *ASCENDING) as server:
            found = ask(server, "GET", "/kart?startRank=0&endRank=100").json["leaderboard"]
            assert {entry["name"]: entry["score"] for entry in found} == now
            assert ask(server, "POST", f"/kart/{name}", {"score": 8, "metadata": {"car": name}}).status == 202
        now[name] = 8
    assert read_origin(data)[0] == FORMAT


KILLED_BEFORE = """
import asyncio, os, pathlib, sys, threading
from laurels.definition import Definition
from laurels.stores.embedded.store import EmbeddedStore
_, data, moment = sys.argv
def watch(frame, event, argument):
    name = frame.f_code.co_qualname
    if moment == "commit" and event == "call" and name == "Journal._execute":
        if frame.f_locals["statement"] == "COMMIT":
            os._exit(9)
    if moment == "rebuild" and event == "return" and name == "Journal.upgrade":
        os._exit(9)
threading.setprofile(watch)
asyncio.run(EmbeddedStore.open(pathlib.Path(data), Definition(order="ascending")))
"""


@pytest.mark.parametrize("moment", ["commit", "rebuild"])
@earlier_formats
def test_upgrade_that_ends_in_the_middle(tmp_path: Path, number: int, moment: str) -> None:
    """A start that dies just before the upgrade counts leaves the format as it was, and just after, all of it."""
    data = copy(number, tmp_path)
    ended = subprocess.run([sys.executable, "-c", KILLED_BEFORE, data, moment], check=False)
    assert ended.returncode == 9
    assert read_origin(data)[0] == (FORMAT if moment == "rebuild" else number)
    with running(data, *ASCENDING) as server:
        assert len(ask(server, "GET", "/kart?startRank=0&endRank=100").json["leaderboard"]) == len(kart(number))
    assert read_origin(data)[0] == FORMAT


@pytest.mark.anyio
@pytest.mark.parametrize("number", [None, 1, 2, 3], ids=["new", "format-1", "format-2", "format-3"])
async def test_directory_knows_who_gave_it_its_format(tmp_path: Path, number: int | None) -> None:
    """The version that made a directory, or brought it up to date, is in it."""
    data = copy(number, tmp_path) if number else tmp_path / "data"
    await (await EmbeddedStore.open(data)).close()
    version = read_origin(data)[1]
    assert f"{version // 10**6}.{version // 1000 % 1000}.{version % 1000}" == __version__


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["journal.db", "boards.db"])
@pytest.mark.parametrize(("version", "words"), [(12_034_005, "version 12.34.5, which wrote it,"), (0, "the version")])
async def test_downgrade_names_the_way_out(tmp_path: Path, name: str, version: int, words: str) -> None:
    """A start on a directory of a later format says which version to run, as far as the directory says it."""
    data = copy(FORMAT, tmp_path)
    with closing(sqlite3.connect(data / "journal.db")) as db, db:
        db.execute(f"PRAGMA user_version = {version}")
    with closing(sqlite3.connect(data / name)) as db, db:
        db.execute(f"UPDATE {'origin' if name == 'journal.db' else 'seal'} SET format = {FORMAT + 1}")  # noqa: S608
    with pytest.raises(NewerFormat, match=rf"format {FORMAT + 1}, .* Run {words}.*, or restore a backup from before"):
        await EmbeddedStore.open(data)


@pytest.mark.anyio
async def test_downgrade_without_a_journal(tmp_path: Path) -> None:
    """Boards of a later format without a journal are named as such, though nobody knows who wrote them."""
    data = copy(FORMAT, tmp_path)
    with closing(sqlite3.connect(data / "boards.db")) as db, db:
        db.execute(f"UPDATE seal SET format = {FORMAT + 1}")  # noqa: S608 - a number
    (data / "journal.db").unlink()
    with pytest.raises(NewerFormat, match=r"Run the version that wrote it"):
        await EmbeddedStore.open(data)


@pytest.mark.anyio
async def test_nothing_is_written_by_a_start_alone(tmp_path: Path) -> None:
    """Which version gave the format stays while later versions of that format serve the directory."""
    data = copy(FORMAT, tmp_path)
    before = read_origin(data)
    store = await EmbeddedStore.open(data)
    assert await store.count(Board("kart")) == len(KART)
    await store.close()
    assert read_origin(data) == before
