"""``laurels demo``: a service with a crowd on it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import httpx

from laurels.crowd import BOARDS, CREWS, LAPS, POINTS, SEASON_DAYS, Crowd
from tests.conftest import started

if TYPE_CHECKING:
    from pathlib import Path


def count_of(url: str, board: str) -> int:
    """Return the sum of the scores of a board's first page."""
    return sum(entry["score"] for entry in httpx.get(f"{url}/{board}").json()["leaderboard"])


def test_demo(tmp_path: Path) -> None:
    """There are boards with entries, more comes in by itself, and nothing stays when it is interrupted."""
    command = [sys.executable, "-m", "laurels", "demo", "--port", "0", "--players", "300", "--games", "200"]
    with started(command, os.environ | {"TMPDIR": str(tmp_path)}) as server:
        assert len(list(tmp_path.iterdir())) == 1
        for board in (POINTS, LAPS):
            assert httpx.get(f"{server.url}/-/boards/{board}/summary").json()["count"] > 100
        daily = httpx.get(f"{server.url}/{POINTS}", params={"window": "daily"}).json()["leaderboard"]
        assert daily
        before = count_of(server.url, CREWS)
        until = time.monotonic() + 30
        while count_of(server.url, CREWS) == before and time.monotonic() < until:
            time.sleep(0.05)
        assert count_of(server.url, CREWS) > before
        assert server.stop(signal.SIGINT) in {0, -signal.SIGINT}
    said = "".join(server.log)
    assert said.startswith("300 made-up players")
    assert f" {server.url}/{POINTS} is a board" in said
    assert list(tmp_path.iterdir()) == []


def test_seed() -> None:
    """A seed makes one season, whatever the time; its games are in their order, and in the past."""
    now = 1_800_000_000.0
    one, again, other = (list(Crowd(200, seed).season(now)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert {board for board, _ in one} == {POINTS, LAPS, CREWS}
    assert all(f"[boards.{board}]" in BOARDS for board, _ in one)
    times = [each.submitted_at or 0 for board, batch in one if board == CREWS for each in batch]
    assert times == sorted(times)
    assert now - SEASON_DAYS * 86400 <= times[0] / 1e6 <= times[-1] / 1e6 < now


def test_many_players() -> None:
    """Each player has a name of their own."""
    assert len({player.name for player in Crowd(5000, 1).players}) == 5000
