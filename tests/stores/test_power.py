"""A sync that fails, and then a loss of power: what was acknowledged is there all the same.

Linux takes what a failed sync could not write for written: it can be read, until the power is lost, and no later sync
writes it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from laurels.stores.embedded.store import EmbeddedStore
from tests.stores import power
from tests.stores.guarantees import KART

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("gcc"), reason="the disk is replaced by LD_PRELOAD"),
]


class Machine:
    """A directory on a disk that may fail, and what was said of the submits to it."""

    def __init__(self, path: Path, library: Path) -> None:
        self.data, self._disk = path / "data", path / "disk"
        self._disk.mkdir()
        self._environment = os.environ | {
            "LD_PRELOAD": str(library),
            "POWER_LIVE": str(self.data),
            "POWER_DISK": str(self._disk),
            "POWER_FAIL": str(path / "fail"),
        }
        self.said: dict[int, str] = {}

    def run(self, *steps: str, kill: bool = True) -> None:
        """Run a process that takes these steps, and is killed, or else closes its store."""
        command = [sys.executable, "-m", power.__name__, str(self.data), str(len(self.said)), *steps]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        ) as process:
            assert process.stdout is not None
            lines = [line.strip().split(maxsplit=1) for line in takewhile(str.strip, process.stdout)]
            if kill:
                process.kill()
            _, errors = process.communicate()
        assert process.returncode == (-9 if kill else 0), errors
        self.said |= {int(number): said for number, said in lines}

    async def lose_power(self) -> set[int]:
        """Leave what is on the disk, without what is never synced, and return which submits are there."""
        for file in self.data.glob("*.db*"):
            file.unlink()
        for file in self._disk.glob("*.db*"):
            shutil.copy(file, self.data)
        (self.data / "lock").unlink()
        store = await EmbeddedStore.open(self.data)
        found = {int(entry.name) for entry in await store.page(KART, 0, 10_000)}
        await store.close()
        return found

    @property
    def acknowledged(self) -> set[int]:
        """The submits that were acknowledged."""
        return {number for number, said in self.said.items() if said == "acknowledged"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the disk that may fail."""
    path = tmp_path_factory.mktemp("power") / "power.so"
    source = Path(__file__).with_name("power.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", path, source, "-ldl", "-lpthread"], check=True)
    return path


@pytest.fixture
def machine(tmp_path: Path, library: Path) -> Machine:
    """Return a machine with an empty directory."""
    return Machine(tmp_path, library)


@pytest.mark.parametrize("reader", ["read", "0"], ids=["a reader", "no reader"])
async def test_failed_sync(machine: Machine, reader: str) -> None:
    """The submit whose sync fails is refused, and those that are acknowledged after it are on the disk."""
    machine.run("7", reader, "fail=-wal", "6")
    assert "refused The journal cannot be written: disk I/O error" in machine.said[7]
    assert machine.acknowledged == {*range(13)} - {7} == await machine.lose_power()


async def test_failed_sync_and_death(machine: Machine) -> None:
    """If a process dies after a failed sync, the next one does not write behind what is not on the disk."""
    machine.run("7", "fail=-wal", "1")
    machine.run("5")
    assert machine.acknowledged == {*range(13)} - {7}
    assert machine.acknowledged <= await machine.lose_power()


async def test_failed_sync_of_the_file(machine: Machine) -> None:
    """A sync of the file itself that fails, in a checkpoint, takes nothing of what was in the log."""
    machine.run("5", "fail=journal.db", "400", "fail=journal.db", "400")
    assert len(machine.acknowledged) > 700
    assert machine.acknowledged == await machine.lose_power()


async def test_failed_sync_and_a_transaction(machine: Machine) -> None:
    """After a failed sync nothing is acknowledged while another program is in a transaction; then all is well again."""
    machine.run("7", "hold", "fail=-wal", "3", "release", "ready", "5", kill=False)
    assert machine.acknowledged == {*range(15)} - {7, 8, 9} == await machine.lose_power()
    assert "another program is in a transaction on journal.db" in machine.said[9]


@pytest.mark.parametrize("end", ["journal.db", "."], ids=["the file", "the directory"])
async def test_failed_sync_twice(machine: Machine, end: str) -> None:
    """A sync that fails while the log begins anew is tried again."""
    machine.run("7", "read", "fail=-wal", "1", f"fail={end}", "1", "3")
    assert {*range(12)} - {7, 8} == machine.acknowledged == await machine.lose_power()


@pytest.mark.parametrize("end", [".new", ".new-journal"])
async def test_failed_sync_of_a_new_journal(machine: Machine, end: str, tmp_path: Path) -> None:
    """A directory whose journal could not be synced is not opened, and is new the next time."""
    (tmp_path / "fail").write_text(end)
    with pytest.raises(AssertionError, match="DirectoryUnusable"):
        machine.run("1")
    machine.run("2")
    assert machine.acknowledged == {0, 1} == await machine.lose_power()
