"""Directories of other versions: those of the first format are upgraded, those of a later version named as such."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from laurels.definition import Definition
from laurels.errors import DataDamaged, DefinitionConflict, NewerFormat, ScoreRefused
from laurels.stores.contract import (
    Board,
    Change,
    Feed,
    FullSubmission,
    IdempotencyKey,
    Standing,
    Submission,
    SubmitResult,
)
from laurels.stores.embedded import snapshot
from laurels.stores.embedded.answers import Answers
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.journal import Journal
from laurels.stores.embedded.records import encode_definition
from laurels.stores.embedded.snapshot import BoardRow, Contents
from laurels.stores.embedded.sqlite_file import FORMAT
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import disk
from tests.stores.guarantees import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laurels.definition import Ties
    from tests.clock import Clock

pytestmark = pytest.mark.anyio

FIRST = Path(__file__).parent.parent / "data" / "format-1"
"""What the last version of the first format left, with ascending boards: some in the snapshot, some in the journal."""
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
    """Return a directory of the first format."""
    return shutil.copytree(FIRST, tmp_path / "data")


async def boards(data: Path, default: Definition = ASCENDING) -> Mapping[str, list[tuple[str, float, int]]]:
    """Open a directory and return what is on its boards."""
    store = await EmbeddedStore.open(data, default)
    try:
        await store.declare({}, default)
        return {name: shown(await store.page(Board(name), 0, 99)) for name in await store.names()}
    finally:
        await store.close()


async def test_first_format(data: Path) -> None:
    """A directory of the first format opens with all it had, and does so again once it is of today's format."""
    assert [await boards(data), await boards(data)] == [{"kart": KART, "laps": LAPS}] * 2


async def test_first_format_goes_on(data: Path) -> None:
    """Entries of the first format have no time, later ones have; a compaction makes all of today's format."""
    store = await EmbeddedStore.open(data, ASCENDING)
    await store.submit(Board("kart"), Submission("v", 0, b"{}"))
    await store.close()
    compact(data, disk.last(data))
    store = await EmbeddedStore.open(data, ASCENDING)
    page = await store.page(Board("kart"), 0, 99, with_metadata=True)
    await store.close()
    assert page[0].metadata == b"{}"
    assert page[0].submitted_at is not None
    assert page[1].submitted_at is None
    assert disk.read(data)["laps"] == {"judy": 2, "silverhand": 2}


async def test_other_order_than_the_first_format_had(data: Path) -> None:
    """Once it is known in which order the old boards are, another order is a contradiction."""
    await boards(data)
    with pytest.raises(DefinitionConflict, match=r"'kart' .*order 'ascending'.*go back to the default that was"):
        await boards(data, Definition())


async def test_first_format_with_a_time_to_live(data: Path, clock: Clock) -> None:
    """The time of boards of which nobody knows the last submit counts from the first start that ends them."""
    ending = Definition(order="ascending", ttl="1h")
    store = await EmbeddedStore.open(data, ending, clock=clock)
    await store.declare({}, ending)
    clock.now += 3590
    names = [await store.names()]
    clock.now += 20
    assert [*names, await store.names()] == [["kart", "laps"], []]
    await store.close()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("journal.db", "UPDATE origin SET format = 7"),
        (
            "journal.db",
            "DROP TABLE origin; CREATE TABLE origin (id, format, more); INSERT INTO origin VALUES (x'', 7, 1)",
        ),
        ("boards.db", "UPDATE seal SET format = 7"),
        ("boards.db", "ALTER TABLE seal ADD COLUMN more TEXT DEFAULT 'x'; UPDATE seal SET format = 7"),
    ],
    ids=["journal", "journal with other columns", "snapshot", "snapshot with other columns"],
)
async def test_later_format(data: Path, name: str, change: str) -> None:
    """A file of a later version is not called damaged."""
    with closing(sqlite3.connect(data / name)) as db, db:
        db.executescript(change)
    with pytest.raises(NewerFormat, match=rf"{name} has format 7, and .* knows those up to 6\. Nothing was changed"):
        await boards(data)


LATER_DEFINITIONS = {
    "a field more": b'{"decay":0.5}',
    "a bound more": b'{"scores":{"step":5}}',
    "a value more": b'{"operator":"average"}',
}
LATER_RECORDS = {
    "a record of another kind": [99, "kart"],
    "a field more": [0, "kart", "v", 1.0, "more"],
    "a field more of a period": [7, "kart", "v", 1.0, [["daily", "2026-11-22", "", "more"]]],
    "a field more of a key": [7, "kart", "v", 1.0, [], False, [b"1" * 16, b"2" * 16, "more"]],
} | {f"a definition with {which}": [5, "kart", definition] for which, definition in LATER_DEFINITIONS.items()}
UNKNOWN = r"{} has content that this version of Laurels does not know \({}.*\)\. Nothing was changed\. Run the version"


def append(data: Path, *records: object) -> int:
    """Add a batch to the journal of a directory; return its LSN."""
    with closing(Journal(data / "journal.db")) as journal:
        return journal.append(msgspec.msgpack.encode([[4, 1], *records]))


def contents(data: Path) -> dict[str, bytes]:
    """Return what the files with entries hold."""
    return {file.name: file.read_bytes() for file in data.glob("*.db")}


@pytest.mark.parametrize("record", LATER_RECORDS.values(), ids=LATER_RECORDS)
async def test_record_of_a_later_version(data: Path, record: object) -> None:
    """A start ends with NewerFormat if a row of the journal holds what a later version added; nothing is changed."""
    message = UNKNOWN.format("journal.db", f".*batch {append(data, record)}")
    before = contents(data)
    with pytest.raises(NewerFormat, match=message):
        await boards(data)
    assert contents(data) == before


@pytest.mark.parametrize("record", LATER_RECORDS.values(), ids=LATER_RECORDS)
async def test_compaction_of_a_record_of_a_later_version(data: Path, record: object) -> None:
    """A compaction that meets what a later version added ends with one line, and leaves the snapshot as it was."""
    await boards(data)
    append(data, record)
    before = contents(data)
    with (data / "folding").open() as lock:
        ended = disk.run_compaction(data, lock.fileno())
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "journal.db has content that this version of Laurels does not know" in ended.stderr
    assert contents(data) == before


@pytest.mark.parametrize("definition", LATER_DEFINITIONS.values(), ids=LATER_DEFINITIONS)
@pytest.mark.parametrize("name", ["kart", "-"], ids=["a board", "the default"])
async def test_definition_of_a_later_version_in_the_snapshot(data: Path, name: str, definition: bytes) -> None:
    """A definition in the snapshot that a later version wrote is named as such, not called damaged."""
    with closing(Journal(data / "journal.db")) as journal:
        about = [BoardRow(name, definition, None)]
        snapshot.write(data / "boards.db", journal.origin.id, (journal.last, journal.crc), Contents(1, [], about, []))
    with pytest.raises(NewerFormat, match=UNKNOWN.format("boards.db", f"the definition of '{name}'")):
        await boards(data)


@pytest.mark.parametrize("definition", LATER_DEFINITIONS.values(), ids=LATER_DEFINITIONS)
async def test_first_definition_of_a_later_version(data: Path, definition: bytes) -> None:
    """So is the first default definition, which the journal keeps."""
    await boards(data)
    with closing(sqlite3.connect(data / "journal.db")) as db, db:
        ((number,),) = db.execute("SELECT id FROM origin")
        crc = zlib.crc32(b"%b %d %b" % (number, FORMAT, definition))
        db.execute("UPDATE origin SET first = ?, crc = ?", (definition, crc))
    with pytest.raises(NewerFormat, match=UNKNOWN.format("journal.db", "the first default definition")):
        await boards(data)


async def test_answer_of_a_later_version(data: Path) -> None:
    """A retry whose first answer only a later version can read is refused, and not counted once more."""
    key = IdempotencyKey(b"1" * 16, b"2" * 16)
    await boards(data)
    with closing(Journal(data / "journal.db")) as journal:
        journal.append(
            b"\x90", answers=[Answers(2**60, 0, key.key + key.fingerprint, msgspec.msgpack.encode([{"more": 1}]))]
        )
    store = await EmbeddedStore.open(data, ASCENDING)
    with pytest.raises(NewerFormat, match=UNKNOWN.format("journal.db", f"answer {2**60}")):
        await store.recall(Board("kart"), key)
    await store.close()


async def test_definition_that_is_no_json(data: Path) -> None:
    """A definition that no version can have written is damage, wherever it is."""
    append(data, [5, "kart", b"no JSON"])
    with pytest.raises(DataDamaged, match=r"a definition in batch \d+ cannot be read"):
        await boards(data)


SECOND = Path(__file__).parent.parent / "data" / "format-2"
"""What the last version of the second format left."""
MANY = 20_000


def number_key(number: int) -> IdempotencyKey:
    """Return one of many keys."""
    return IdempotencyKey(number.to_bytes(16, "little"), b"f" * 16)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Return a directory of the second format with many keys, of which every tenth was refused."""
    data = shutil.copytree(SECOND, tmp_path / "data")
    answer = b'{"previous":{"score":7,"rank":1},"current":{"score":8.5,"rank":0},"counted":true}'
    rows = []
    for number in range(MANY):
        tick, once, body = 2**51 + number, number_key(number), answer if number % 10 else b""
        crc = zlib.crc32(b"%d %b%b%b" % (tick, once.key, once.fingerprint, body))
        rows.append((tick, once.key, once.fingerprint, body, crc))
    with closing(sqlite3.connect(data / "journal.db")) as db, db:
        db.executemany("INSERT INTO once VALUES (?, ?, ?, ?, ?)", rows)
    return data


def read_format(data: Path) -> int:
    """Return the format of a journal."""
    with closing(sqlite3.connect(f"file:{data / 'journal.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT format FROM origin").fetchone()[0])


OPEN = "import asyncio, pathlib, sys; from laurels.stores.embedded.store import EmbeddedStore; "
OPEN += "asyncio.run(EmbeddedStore.open(pathlib.Path(sys.argv[1])))"


def kill_upgrade(data: Path, size: int) -> int:
    """Open a directory in a process, kill that when the log has this size, and return the format that is left."""
    log = data / "journal.db-wal"
    with subprocess.Popen([sys.executable, "-c", OPEN, str(data)]) as process:
        while process.poll() is None and not (log.exists() and log.stat().st_size >= size):
            time.sleep(0.001)  # leave the core to it
        process.kill()
    return read_format(data)


@pytest.mark.slow
async def test_upgrade_that_is_killed(full: Path, clock: Clock) -> None:
    """An upgrade that is killed at any moment begins again, and loses no key."""
    states = set[int]()
    for size in (1, 40_000, 350_000, 700_000, 1_000_000):
        states.add(kill_upgrade(full, size))
    assert 2 in states
    store = await EmbeddedStore.open(full, ASCENDING, clock=clock)
    for number in range(0, MANY, 997):
        found = await store.recall(Board("kart"), number_key(number))
        first = Change(Standing(7, 1), Standing(8.5, 0), counted=True)
        assert found == (SubmitResult(changes=(first,)) if number % 10 else None)
    await store.close()
    assert read_format(full) == FORMAT


@pytest.mark.parametrize("change", ["print = x'00'", "answer = 'text'", "tick = tick + 1"])
async def test_upgrade_of_a_damaged_answer(tmp_path: Path, change: str) -> None:
    """An answer that is not what was written ends the upgrade, which has then changed nothing."""
    data = shutil.copytree(SECOND, tmp_path / "data")
    with closing(sqlite3.connect(data / "journal.db")) as db, db:
        db.execute(f"UPDATE once SET {change}")  # noqa: S608 - the test's own words
    with pytest.raises(DataDamaged, match=r"journal\.db is damaged: answer \d+ is not what was written"):
        await boards(data)
    assert read_format(data) == 2


async def test_days_of_an_upgraded_directory(tmp_path: Path, clock: Clock) -> None:
    """The keys of an earlier format are honoured for a day from the upgrade."""
    data = shutil.copytree(SECOND, tmp_path / "data")
    store = await EmbeddedStore.open(data, ASCENDING, clock=clock)
    clock.now += 80_000
    known = await store.recall(Board("kart"), IdempotencyKey(b"1" * 16, b"a" * 16))
    clock.now += 7_000
    assert (known is not None, await store.recall(Board("kart"), IdempotencyKey(b"1" * 16, b"a" * 16))) == (True, None)
    await store.close()


LOSSY = [[5, "tally", b'{"operator":"increment"}'], [0, "tally", "v", 1e15], [0, "tally", "v", 0.3]]


@pytest.mark.parametrize(
    ("at", "score"), [([4, 2**60], 10**15 + 0.25), ([4, 2**60, 1], 10**15)], ids=["before 0.5", "since"]
)
async def test_sums_of_earlier_versions(data: Path, at: list[int], score: float) -> None:
    """A sum that is refused today stays as it was if an earlier version kept it: at starts, and in compactions."""
    await boards(data)
    with closing(Journal(data / "journal.db")) as journal:
        lsn = journal.append(msgspec.msgpack.encode([at, *LOSSY]))
    assert (await boards(data))["tally"] == [("v", score, 0)]
    compact(data, lsn)
    assert disk.read(data)["tally"] == {"v": score}
    assert (await boards(data))["tally"] == [("v", score, 0)]


async def test_sums_go_by_the_rules_of_today(data: Path) -> None:
    """What is added after the upgrade is added by the rules of today, to what was added before, too."""
    await boards(data)
    with closing(Journal(data / "journal.db")) as journal:
        journal.append(msgspec.msgpack.encode([[4, 2**50], *LOSSY]))
    store = await EmbeddedStore.open(data, ASCENDING)
    board = Board("tally", Definition(operator="increment"))
    with pytest.raises(ScoreRefused, match=r"only multiples of 0\.125 can be added"):
        await store.submit(board, Submission("v", 0.3))
    windows = Board("tally", Definition(operator="increment"), feeds=(Feed("daily", "2026-11-22", ""),))
    refused = await store.submit(windows, [Submission("v", 0.3), Submission("w", 0.3), Submission("w", 1e15)])
    await store.close()
    assert refused is not None
    assert [refusal.index for refusal in refused.refusals] == [0]
    assert (await boards(data))["tally"] == [("w", 1e15 + 0.25, 0), ("v", 1e15 + 0.25, 1)]


@pytest.mark.parametrize(("equal", "order"), [((), "wv"), (([], [], []), "vw")], ids=["before format 3", "today"])
async def test_the_same_score_with_metadata_before(data: Path, equal: tuple[list[int], ...], order: str) -> None:
    """Records of earlier formats count the same score with metadata as a new submission, as they did then."""
    await boards(data)
    tick = 2**50
    definition = encode_definition(Definition(ties="earliest"))
    with closing(Journal(data / "journal.db")) as journal:
        submits = [[7, "old", "v", 7.0, [], True, None, *equal[:1]], [0, "old", "w", 7.0]]
        batch = [[4, tick], [5, "old", definition], *submits, [8, "old", ["v"], [7.0], [], [0], None, [], *equal[:1]]]
        metadata = [(tick + 1 << 1 | 1, b"1"), (tick + 3 << 1 | 1, b"2")]
        journal.append(msgspec.msgpack.encode(batch), metadata)
    store = await EmbeddedStore.open(data, ASCENDING)
    page = await store.page(Board("old", Definition(ties="earliest")), 0, 9, with_metadata=True)
    assert "".join(entry.name for entry in page) == order
    assert {entry.name: entry.metadata for entry in page} == {"v": b"2", "w": None}
    await store.close()


async def test_lost_metadata_over_the_first_format(data: Path) -> None:
    """Metadata that the journal has lost is looked for in a snapshot of the first format, which has none, in vain."""
    store = await EmbeddedStore.open(data, ASCENDING)
    board = Board("kart", ASCENDING)
    assert await store.set_metadata(board, "player-1", b"1")
    with closing(sqlite3.connect(data / "journal.db")) as db, db:
        db.execute("DELETE FROM note")
    (entry, *_) = await store.page(board, 0, 9, with_metadata=True)
    assert (entry.name, entry.metadata, entry.is_metadata_damaged) == ("player-1", None, True)
    await store.close()


@pytest.mark.parametrize("ties", ["earliest", "latest"])
async def test_times_are_kept(tmp_path: Path, ties: Ties) -> None:
    """What counts as of another time is as it was after a restart, a compaction and another one."""
    data, board = tmp_path / "data", Board("kart", Definition(ties=ties))
    store = await EmbeddedStore.open(data)
    await store.define("kart", board.definition)
    await store.submit(board, Submission("now", 7))
    feeds = (Feed("daily", "2025-11-22"),)
    await store.submit(board, [FullSubmission(name, 7, b"1", 10**15, feeds) for name in "ab"])
    await store.submit(board, FullSubmission("c", 7, None, 10**15 - 1))
    await store.submit(board, FullSubmission("now", 8, None, 10**15))
    for step in range(3):
        page = await store.page(board, 0, 9, with_metadata=True)
        assert [(entry.name, entry.submitted_at, entry.metadata) for entry in page if entry.name != "now"] == [
            ("c", 10**15 - 1, None),
            ("a", 10**15, b"1"),
            ("b", 10**15, b"1"),
        ][:: 1 if ties == "earliest" else -1]
        assert await store.count(Board("kart", window="daily", period="2025-11-22")) == 2
        await store.close()
        if step:
            compact(data, disk.last(data))
        store = await EmbeddedStore.open(data)
        await store.submit(board, Submission("now", step))
        await store.submit(board, Submission("now", 8))
    await store.close()


def test_partitions_are_not_in_the_format() -> None:
    """A definition is written as before there were partitions, of which the store keeps none; no format is new."""
    assert b"partitions" not in encode_definition(Definition())


async def test_third_format(tmp_path: Path) -> None:
    """A directory of the third format opens, is of today's then, and takes times."""
    data = shutil.copytree(FIRST.parent / "format-3", tmp_path / "data")
    store = await EmbeddedStore.open(data)
    name = (await store.names())[0]
    await store.submit(Board(name), FullSubmission("then", -1, None, 10**15))
    await store.close()
    assert read_format(data) == FORMAT
    store = await EmbeddedStore.open(data)
    (entry,) = await store.entries_named(Board(name), ["then"])
    assert entry.submitted_at == 10**15
    await store.close()
