"""What the service measures of its process: how values are distributed, how late the loop is, how much memory."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from laurels import loop_lag
from laurels.distribution import Distribution
from laurels.figures import Histogram
from laurels.loop_lag import LoopLag
from laurels.memory_limit import measure_memory_limit, read_limits

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def test_distribution() -> None:
    """Each value is in the first bucket whose bound it does not exceed, and in all behind that."""
    values = Distribution((1, 2.5))
    for value in (0.5, 1, 2, 2.5, 7):
        values.add(value)
    assert values.read() == Histogram((1, 2.5), (2, 4, 5), 13.0)


async def test_what_keeps_the_loop_is_seen() -> None:
    """A turn that is longer than the time between two looks is in the histogram, and is the longest."""
    lag = LoopLag()
    with lag.watching():
        time.sleep(3 * loop_lag.LOOK_SECONDS)  # noqa: ASYNC251 - what is looked for
        while not lag.measure()["event_loop_longest_lag_seconds"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        longest = lag.measure()["event_loop_longest_lag_seconds"]
        await asyncio.sleep(3 * loop_lag.LOOK_SECONDS)
    assert isinstance(longest, float)
    assert loop_lag.LOOK_SECONDS <= longest <= lag.measure()["event_loop_longest_lag_seconds"]  # type: ignore[operator]


async def test_longest_lag_is_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen in a part of the minute that is over is forgotten when as many others have followed."""
    monkeypatch.setattr(loop_lag, "PART_SECONDS", 0.0)  # each look is in a part of its own
    monkeypatch.setattr(loop_lag, "LOOK_SECONDS", 0.002)
    lag = LoopLag()
    with lag.watching():
        time.sleep(0.2)  # noqa: ASYNC251
        seen = [0.0]
        while max(seen) < 0.15 or seen[-1] > 0.15:
            await asyncio.sleep(0.001)
            seen.append(float(lag.measure()["event_loop_longest_lag_seconds"]))  # type: ignore[arg-type]
    counted = lag.measure()["event_loop_lag_seconds"]
    assert isinstance(counted, Histogram)
    assert counted.counts[-1] > loop_lag.PARTS


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        ("0::/service/own\n", {"service/own/memory.max": "max", "service/memory.max": "5000"}),
        ("0::/../outside\n", {"memory.max": "5000"}),
        ("4:memory:/own\n1:cpu:/\n", {"memory/own/memory.limit_in_bytes": "5000", "cpu/memory.max": "1"}),
    ],
    ids=["around", "container", "version-1"],
)
def test_limits_of_control_groups(tmp_path: Path, groups: str, limits: dict[str, str]) -> None:
    """Those of the process's own group and of all around it are found, in both versions."""
    (tmp_path / "groups").write_text(groups)
    for name, limit in limits.items():
        file = tmp_path / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    assert list(read_limits(tmp_path / "groups", tmp_path / "mount")) == [5000]


def test_limit_without_control_groups(tmp_path: Path) -> None:
    """Where there are none, the limit is that of the machine."""
    assert list(read_limits(tmp_path / "none", tmp_path)) == []
    limit = measure_memory_limit()["memory_limit_bytes"]
    assert isinstance(limit, int)
    assert 0 < limit <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
