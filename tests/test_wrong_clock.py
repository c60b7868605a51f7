"""A server whose wall clock is set forward or back under it, seen from outside."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask
from tests.conftest import started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc"), reason="the clock is replaced by LD_PRELOAD"
)
SOURCE = Path(__file__).parent / "wall.c"
BOARDS = """
[boards.ending]
ttl = "7d"
[boards.days]
windows = ["daily"]
keep = { daily = 2 }
[boards.sums]
operator = "increment"
ties = "earliest"
"""
JUMPS = pytest.mark.parametrize("days", [30, 5 * 365], ids=["30 days", "5 years"])
SUMS = "/sums?include=rank,submittedAt"


class Wall:
    """A wall clock for the processes of a test."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set(0)
        library = path.with_suffix(".so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.environment = os.environ | {"LD_PRELOAD": str(library), "WALL": str(path)}

    def set(self, days: float) -> None:
        """Let the clock be ahead by so many days."""
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT), "wb") as file:
            file.write(int(days * 86_400).to_bytes(8, "little", signed=True))


@pytest.fixture
def wall(tmp_path: Path) -> Wall:
    """Return a clock to set, which is right so far."""
    return Wall(tmp_path / "wall")


@contextmanager
def serving(tmp_path: Path, wall: Wall) -> Iterator[Server]:
    """Serve boards of all kinds on that clock."""
    file = tmp_path / "boards.toml"
    file.write_text(BOARDS)
    command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    with started([*command, "--boards", str(file)], wall.environment) as server:
        yield server


def add(server: Server, name: str, key: str) -> None:
    """Add to a sum, once for each key."""
    assert ask(server, "POST", f"/sums/{name}", {"score": 1}, {"idempotency-key": f'"{key}"'}).status == 202


def times(server: Server) -> dict[str, datetime]:
    """Return when each sum was submitted."""
    found = ask(server, "GET", SUMS).json["leaderboard"]
    return {entry["name"]: datetime.fromisoformat(entry["submittedAt"]) for entry in found}


def seen(server: Server) -> tuple[int, int, list[tuple[str, int]]]:
    """Return how many entries and periods are there, and the sums."""
    entries = [len(ask(server, "GET", path).json["leaderboard"]) for path in ("/ending", "/days?window=daily")]
    sums = [(entry["name"], entry["score"]) for entry in ask(server, "GET", SUMS).json["leaderboard"]]
    return entries[0], entries[1], sums


@JUMPS
def test_forward_for_a_moment(tmp_path: Path, wall: Wall, days: int) -> None:
    """What ends by a clock that is wrong is hidden, and there again with all keys when the clock is right."""
    with serving(tmp_path, wall) as server:
        for board in ("ending", "days"):
            ask(server, "POST", f"/{board}/v", {"score": 1})
        add(server, "v", "first")
        wall.set(days)
        assert seen(server) == (0, 0, [("v", 1)])
        ask(server, "POST", "/days/w", {"score": 2})
        add(server, "w", "second")
        warnings = ask(server, "GET", "/-/ready").json["warnings"]
        wall.set(0)
        add(server, "v", "first")
        add(server, "w", "second")
        add(server, "x", "third")
        assert seen(server) == (1, 1, [("v", 1), ("w", 1), ("x", 1)])
        assert all(abs(time - datetime.now(UTC)) < timedelta(hours=1) for time in times(server).values())
        metrics = ask(server, "GET", "/-/metrics").body.decode()
    assert f"jumped forward by {days:,} days" in warnings[0]
    assert "\nlaurels_clock_settled 0.0\n" in metrics
    (ahead,) = re.findall(r"^laurels_newest_record_ahead_seconds (.*)$", metrics, re.MULTILINE)
    assert float(ahead) == pytest.approx(days * 86_400, abs=600)
    with serving(tmp_path, wall) as server:
        add(server, "v", "first")
        assert seen(server) == (1, 1, [("v", 1), ("w", 1), ("x", 1)])


@JUMPS
def test_start_with_a_wrong_clock(tmp_path: Path, wall: Wall, days: int) -> None:
    """A start far from the newest record says so in its log and in /-/ready, and deletes nothing."""
    with serving(tmp_path, wall) as server:
        ask(server, "POST", "/ending/v", {"score": 1})
        assert ask(server, "GET", "/-/ready").body == b'{"status":"ok"}'
    for away in (days, -days):
        wall.set(away)
        with serving(tmp_path, wall) as server:
            ask(server, "POST", "/sums/v", {"score": 1})
            warnings = ask(server, "GET", "/-/ready").json["warnings"]
        assert "the newest record is of" in warnings[0]
        assert any(warnings[0] in line for line in server.log)
    wall.set(0)
    with serving(tmp_path, wall) as server:
        assert seen(server)[0] == 1


def test_back_for_a_moment(tmp_path: Path, wall: Wall) -> None:
    """A day of before gets the entries while the clock is behind, and nothing is missing when it is right again."""
    with serving(tmp_path, wall) as server:
        ask(server, "POST", "/days/v", {"score": 1})
        ask(server, "POST", "/ending/v", {"score": 1})
        wall.set(-30)
        ask(server, "POST", "/days/w", {"score": 2})
        ask(server, "POST", "/ending/w", {"score": 2})
        wall.set(0)
        ask(server, "POST", "/days/x", {"score": 3})
        assert seen(server)[:2] == (2, 2)
