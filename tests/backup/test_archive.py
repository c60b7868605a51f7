"""The continuous archive: what was written can be restored to any second, whatever dies, and gaps are told."""

from __future__ import annotations

import asyncio
import random
import shutil
import threading
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from laurels.backup.archive import Archive, ArchiveSettings
from laurels.backup.generations import choose, find_spans, list_generations, read_parts
from laurels.backup.places import Directory, Item, open_place
from laurels.backup.restore import ALWAYS, restore
from laurels.clock import SECOND
from laurels.errors import BackupDamaged, NotArchived, NothingToRestore, PlaceUnusable
from laurels.stores.contract import Board, Submission
from laurels.stores.embedded.sqlite_file import connect_read_only
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

    from laurels.backup.places import Place

BOARD = Board("kart")
QUICK = ArchiveSettings(3600, 3600, ship_seconds=0.01, retry_seconds=0.01)


def oldest_batch(data: Path) -> int:
    """Return the LSN of the oldest batch in a journal."""
    with closing(connect_read_only(data / "journal.db")) as db:
        return int(db.execute("SELECT min(lsn) FROM batch").fetchone()[0])


class Archived:
    """A store with its archive, and what was on the board at which time."""

    def __init__(self, store: EmbeddedStore, archive: Archive) -> None:
        self.store = store
        self.archive = archive
        self.history: list[tuple[int, dict[str, float]]] = []
        self.board: dict[str, float] = {}

    async def write(self, count: int, chance: random.Random) -> None:
        """Submit scores of random names, and note what the board was after each."""
        for _ in range(count):
            name, score = f"p{chance.randrange(40)}", chance.randrange(10**6)
            await self.store.submit(BOARD, Submission(name, score))
            self.board = self.board | {name: float(score)}
            self.history.append((time.time_ns() // 1000, self.board))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something about the archive."""
        async with asyncio.timeout(30):
            while not is_so():  # noqa: ASYNC110 - it is a thread that makes it so
                await asyncio.sleep(0.01)

    async def until_shipped(self) -> None:
        """Wait until all that was written is in the archive."""
        await self.until(lambda: self.archive.measure()["archive_behind_seconds"] == 0)

    def board_at(self, moment: int) -> dict[str, float]:
        """Return what was on the board at a moment."""
        return next((board for when, board in reversed(self.history) if when <= moment), {})


@asynccontextmanager
async def archived(
    path: Path, place: Place, settings: ArchiveSettings = QUICK, backlog: int = 10**9
) -> AsyncIterator[Archived]:
    """Open a store with an archive."""
    store = await EmbeddedStore.open(path, compact_bytes=500, keep_journal=True, backlog=backlog)
    archive = Archive(place, store.source, settings)
    try:
        yield Archived(store, archive)
    finally:
        await asyncio.to_thread(archive.close)
        await store.close()


async def restored(place: Place, target: Path, until: int | None = None) -> dict[str, float]:
    """Restore an archive, and return what is on the board."""
    generation = choose(place, until)
    await asyncio.to_thread(restore, read_parts(place, generation.name), target, ALWAYS if until is None else until)
    store = await EmbeddedStore.open(target)
    entries = await store.page(BOARD, 0, 1000)
    await store.close()
    return {entry.name: float(entry.score) for entry in entries}


class AwayPlace(Directory):
    """A directory that nobody can look into until it is back."""

    is_away = True

    def names(self, prefix: str = "") -> Iterator[Item]:
        """List it, or fail."""
        if self.is_away:
            raise PlaceUnusable(str(self), "it is away", "Bring it back")
        return super().names(prefix)


class ClosedPlace(Directory):
    """A directory that nothing can be written to while it is closed."""

    is_closed = False

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write, or fail."""
        if self.is_closed:
            raise PlaceUnusable(str(self), "it is closed", "Open it")
        super().write(name, chunks)


class CountedPlace(Directory):
    """A directory that counts how often it is listed."""

    count = 0

    def names(self, prefix: str = "") -> Iterator[Item]:
        """List it."""
        self.count += 1
        return super().names(prefix)


class SlowPlace(Directory):
    """A directory in which files whose names have ``part`` are not written to their ends until it is told to go on."""

    def __init__(self, path: Path, part: str) -> None:
        super().__init__(path)
        self.part = part
        self.go_on = threading.Event()

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write, but not all at once."""
        super().write(name, self._slowly(chunks) if self.part in name else chunks)

    def _slowly(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk[:10]
            assert self.go_on.wait(30)
            yield chunk[10:]


def test_any_moment_can_be_restored(tmp_path: Path) -> None:
    """Each restored moment is what the board was then, over several generations and restarts of the service."""
    chance = random.Random(1)
    place = open_place(str(tmp_path / "archive"))
    settings = ArchiveSettings(every=0.3, keep=3600, ship_seconds=0.01, retry_seconds=0.01)

    async def run() -> None:
        known: list[tuple[int, dict[str, float]]] = []
        board: dict[str, float] = {}
        for _ in range(3):
            async with archived(tmp_path / "data", place, settings) as one:
                one.board = board
                for _ in range(4):
                    await one.write(60, chance)
                    await asyncio.sleep(0.1)
                await one.until_shipped()
                known += one.history
                board = one.board
        assert await restored(place, tmp_path / "newest") == board
        for number, (moment, expected) in enumerate(chance.sample(known, 12)):
            assert await restored(place, tmp_path / f"at-{number}", moment) == expected
        assert len(find_spans(place)) == 1

    asyncio.run(run())


def test_gap_is_told_and_named(tmp_path: Path) -> None:
    """If too much waits for a place that fails, the journal goes on, and a restore into the gap says what it misses."""
    chance = random.Random(2)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place, backlog=3000) as one:
            await one.write(20, chance)
            await one.until_shipped()
            before = one.history[-2][0]  # at the last nobody can know that nothing followed
            (tmp_path / "archive").rename(tmp_path / "away")
            (tmp_path / "archive").write_text("a file is in the way")
            await one.write(1, chance)
            await one.until(lambda: one.archive.measure()["archive_failing"] == 1)
            await one.write(200, chance)
            await one.until(lambda: one.archive.measure()["archive_gaps"] == 1)
            within = one.history[-100][0]
            while oldest_batch(tmp_path / "data") < 200:  # compacted and dropped
                await one.write(10, chance)
            (tmp_path / "archive").unlink()
            (tmp_path / "away").rename(tmp_path / "archive")
            await one.until_shipped()
            after = one.history[-1]
        assert await restored(place, tmp_path / "after", after[0]) == after[1]
        assert await restored(place, tmp_path / "before", before) == one.board_at(before)
        assert len(find_spans(place)) == 2
        with pytest.raises(NotArchived, match="There is a gap in the archive"):
            await restored(place, tmp_path / "within", within)

    asyncio.run(run())


def test_damaged_segment_is_named_with_the_way_out(tmp_path: Path) -> None:
    """What is before a damaged segment can be restored, and the error says until when."""
    chance = random.Random(3)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            for _ in range(3):
                await one.write(10, chance)
                await one.until_shipped()
                await asyncio.sleep(1.01)
        segments = sorted((tmp_path / "archive").glob("*/segments/*"))
        segments[-1].write_bytes(segments[-1].read_bytes()[:-5])
        with pytest.raises(BackupDamaged, match="--until") as damaged:
            await restored(place, tmp_path / "newest")
        until = str(damaged.value).rpartition("--until ")[2].rstrip(".")
        moment = int(time.mktime(time.strptime(until, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone) * SECOND
        assert await restored(place, tmp_path / "copy", moment) == one.board_at(moment)

    asyncio.run(run())


def test_restored_directory_begins_a_generation_of_its_own(tmp_path: Path) -> None:
    """A directory that was restored to an earlier moment does not go on where the archive ends."""
    chance = random.Random(4)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(50, chance)
            await one.until_shipped()
        moment, expected = one.history[20]
        assert await restored(place, tmp_path / "copy", moment) == expected
        async with archived(tmp_path / "copy", place) as other:
            other.board = expected
            await other.write(30, chance)
            await other.until_shipped()
        assert await restored(place, tmp_path / "newest") == other.board
        assert await restored(place, tmp_path / "old", one.history[-1][0]) == one.board

    asyncio.run(run())


def test_old_generations_are_removed(tmp_path: Path) -> None:
    """What no time within the days to keep needs goes, and the rest can be restored."""
    chance = random.Random(5)
    place = open_place(str(tmp_path / "archive"))
    settings = ArchiveSettings(every=0.2, keep=0, ship_seconds=0.01, retry_seconds=0.01)

    async def run() -> None:
        async with archived(tmp_path / "data", place, settings) as one:
            for _ in range(5):
                await one.write(20, chance)
                await asyncio.sleep(0.3)
            await one.until_shipped()
        assert await restored(place, tmp_path / "newest") == one.board
        with pytest.raises(NothingToRestore, match="begins with"):
            await restored(place, tmp_path / "copy", 1)

    asyncio.run(run())
    assert len(list_generations(place)) <= 2


def test_gap_from_the_start_on(tmp_path: Path) -> None:
    """A place that fails from the start on holds no more of the journal than it may."""
    chance = random.Random(8)
    place = AwayPlace(tmp_path / "archive")

    async def run() -> None:
        async with archived(tmp_path / "data", place, backlog=1000) as one:
            await one.write(100, chance)
            await one.until(lambda: one.archive.measure()["archive_gaps"] == 1)
            place.is_away = False
            await one.until_shipped()
        assert await restored(place, tmp_path / "newest") == one.board

    asyncio.run(run())


def test_place_that_hangs_does_not_keep_the_journal(tmp_path: Path) -> None:
    """While a write to a place takes for ever the journal shrinks all the same, at the price of a gap."""
    chance = random.Random(12)
    place = SlowPlace(tmp_path / "archive", "nothing yet")

    async def run() -> None:
        async with archived(tmp_path / "data", place, backlog=3000) as one:
            await one.write(20, chance)
            await one.until_shipped()
            place.part = "segments/"
            while oldest_batch(tmp_path / "data") < 200:
                await one.write(10, chance)
            place.go_on.set()
            await one.until(lambda: one.archive.measure()["archive_gaps"] == 1)
            await one.until_shipped()
        assert await restored(place, tmp_path / "newest") == one.board

    asyncio.run(run())


@pytest.mark.parametrize("part", ["base.json", "segments/*"])
def test_goes_on_after_damage(tmp_path: Path, part: str) -> None:
    """A service whose archive is damaged begins a new copy, and the newest can be restored again."""
    chance = random.Random(9)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            for _ in range(2):
                await one.write(20, chance)
                await one.until_shipped()
        (generation,) = (tmp_path / "archive").iterdir()
        damaged = max(generation.glob(part))
        damaged.write_bytes(damaged.read_bytes()[:-9])
        async with archived(tmp_path / "data", place) as other:
            other.board = one.board
            await other.write(20, chance)
            await other.until_shipped()
        if generation.exists():  # else the new copy has taken its place
            generation.rename(tmp_path / "away")
        assert await restored(place, tmp_path / "newest") == other.board

    asyncio.run(run())


def test_damaged_copy_is_not_passed_over(tmp_path: Path) -> None:
    """A restore does not quietly take an older copy, but says which one is damaged."""
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(20, random.Random(10))
            await one.until_shipped()
        (base,) = (tmp_path / "archive").glob("*/base.json")
        base.write_bytes(b"{}")
        with pytest.raises(BackupDamaged, match="away to restore what the others"):
            await restored(place, tmp_path / "newest")

    asyncio.run(run())


def test_segments_go_on_while_a_copy_is_slow(tmp_path: Path) -> None:
    """While a new copy takes its time, what is written goes to the one before."""
    chance = random.Random(11)
    place = SlowPlace(tmp_path / "archive", "boards.db")
    settings = ArchiveSettings(every=0.1, keep=3600, ship_seconds=0.01, retry_seconds=0.01)

    async def run() -> None:
        async with archived(tmp_path / "data", place, settings) as one:
            while not (tmp_path / "data" / "boards.db").exists():
                await one.write(20, chance)
            await one.write(20, chance)
            await one.until_shipped()
            moment, board = one.history[-1]
            assert await restored(place, tmp_path / "now") == board
        place.go_on.set()
        assert moment

    asyncio.run(run())


def test_place_that_is_gone_does_not_hold_the_service_up(tmp_path: Path) -> None:
    """A service starts, takes scores and stops with an archive that cannot be written, and says so."""
    (tmp_path / "archive").write_text("a file is in the way")
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(20, random.Random(6))
            await one.until(lambda: one.archive.measure()["archive_failing"] == 1)

    asyncio.run(run())


def test_what_is_not_shipped_stays_in_the_journal(tmp_path: Path) -> None:
    """From its first copy on an archive holds what it has not got, whatever is compacted meanwhile."""
    chance = random.Random(12)
    place = ClosedPlace(tmp_path / "archive")

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(3, chance)
            await one.until_shipped()
        async with archived(tmp_path / "data", place, ArchiveSettings(0.01, 3600, 0.01, 3600)) as one:
            await one.until(lambda: len(list_generations(place)) == 2)
            place.is_closed = True
            await one.write(1, chance)
            await one.until(lambda: one.archive.measure()["archive_failing"] == 1)
            while not (tmp_path / "data" / "boards.db").exists():
                await one.write(10, chance)
            await one.write(100, chance)
            assert oldest_batch(tmp_path / "data") <= 4
            place.is_closed = False
            await one.until_shipped()
        assert (await restored(place, tmp_path / "copy")).items() >= one.board.items()
        assert one.archive.measure()["archive_gaps"] == 0

    asyncio.run(run())


def test_gap_before_a_start_is_named(tmp_path: Path) -> None:
    """What a service could not ship before it was started again is a gap too, once it is too much."""
    chance = random.Random(13)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(20, chance)
            await one.until_shipped()
        store = await EmbeddedStore.open(tmp_path / "data", compact_bytes=500)  # without its archive
        unseen = Archived(store, one.archive)
        while oldest_batch(tmp_path / "data") < 40:  # compacted and dropped
            await unseen.write(10, chance)
        await store.close()
        async with archived(tmp_path / "data", place, backlog=100) as other:
            other.board = unseen.board
            await other.write(1, chance)
            await other.until_shipped()
        with pytest.raises(NotArchived, match="There is a gap in the archive"):
            await restored(place, tmp_path / "within", unseen.history[5][0])

    asyncio.run(run())


def test_newest_is_the_last_begun(tmp_path: Path) -> None:
    """A copy that was begun while the clock was years ahead is not taken for the newest for years."""
    chance = random.Random(14)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(20, chance)
            await one.until_shipped()
        (generation,) = (tmp_path / "archive").iterdir()
        (tmp_path / "archive" / f"2099{generation.name[4:]}").mkdir()
        generation.rename(tmp_path / "archive" / f"2099{generation.name[4:]}")
        max((tmp_path / "archive").glob("*/segments/*")).write_bytes(b"")  # it does not go on there
        async with archived(tmp_path / "data", place) as other:
            other.board = one.board
            await other.write(20, chance)
            await other.until_shipped()
        assert await restored(place, tmp_path / "newest") == other.board

    asyncio.run(run())


def test_second_service_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of two services over copies of a directory neither overwrites what the other archives, and the log names it."""
    chance = random.Random(15)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(20, chance)
            await one.until_shipped()
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        async with archived(tmp_path / "data", place) as one, archived(tmp_path / "copy", place) as other:
            for _ in range(5):
                await one.write(1, chance)
                await other.write(1, chance)
                await one.until_shipped()
                await other.until_shipped()
        assert "Another service writes to it" in caplog.text
        for number, generation in enumerate(list_generations(place)):
            await asyncio.to_thread(restore, read_parts(place, generation.name), tmp_path / f"{number}")

    asyncio.run(run())


def test_archive_that_is_removed_begins_anew(tmp_path: Path) -> None:
    """If somebody removes the archive of a service that runs, a new copy is there soon."""
    chance = random.Random(16)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(20, chance)
            await one.until_shipped()
            shutil.rmtree(tmp_path / "archive")
            await one.write(20, chance)
            await one.until_shipped()
        assert await restored(place, tmp_path / "newest") == one.board

    asyncio.run(run())


def test_nothing_is_removed_while_the_time_is_unknown(tmp_path: Path) -> None:
    """A clock that has just jumped ahead does not make all generations but one too old."""
    place = open_place(str(tmp_path / "archive"))
    settings = ArchiveSettings(every=0.1, keep=0, ship_seconds=0.01, retry_seconds=0.01)

    async def run() -> None:
        store = await EmbeddedStore.open(tmp_path / "data", keep_journal=True)
        archive = Archive(place, store.source, settings, lambda: False)
        await Archived(store, archive).until(lambda: len(list_generations(place)) > 3)
        await asyncio.to_thread(archive.close)
        await store.close()

    asyncio.run(run())


def test_place_that_fails_at_once_is_not_asked_all_the_time(tmp_path: Path) -> None:
    """Between two attempts there is the usual time, from the start on."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    place = CountedPlace(tmp_path / "loop")

    async def run() -> None:
        async with archived(tmp_path / "data", place, ArchiveSettings(3600, 3600)) as one:
            await one.until(lambda: one.archive.measure()["archive_failing"] == 1)
            await one.write(50, random.Random(17))
            assert place.count == 1

    asyncio.run(run())


def test_moment_before_a_damaged_end(tmp_path: Path) -> None:
    """What a copy has before its damaged end can be restored, although another copy follows."""
    chance = random.Random(18)
    place = open_place(str(tmp_path / "archive"))

    async def run() -> None:
        async with archived(tmp_path / "data", place) as one:
            await one.write(10, chance)
            await one.until_shipped()
            while not (tmp_path / "data" / "boards.db").exists():
                await one.write(20, chance)
            await one.until_shipped()
            await one.write(1, chance)
        max((tmp_path / "archive").glob("*/segments/*")).write_bytes(b"")
        async with archived(tmp_path / "data", place) as other:
            await other.until_shipped()
        moment, board = one.history[5]
        assert await restored(place, tmp_path / "copy", moment) == board

    asyncio.run(run())
