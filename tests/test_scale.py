"""The page about scale is what its model computes."""

from __future__ import annotations

import msgspec
import pytest
from bench.scale import PAGE, PLAYERS, RATES, Routes, page, read

MODEL = read()


def test_page_is_computed() -> None:
    """The page is what was measured makes of it: if this fails, run make docs."""
    assert PAGE.read_text(encoding="utf-8") == page(MODEL)


@pytest.mark.parametrize("players", PLAYERS)
@pytest.mark.parametrize("rate", RATES)
def test_nodes_hold_what_they_are_planned_for(players: int, rate: int) -> None:
    """As many primaries as the model says are within its rules, and one less would not be."""
    rules = MODEL.rules

    def holds(nodes: int) -> bool:
        memory = MODEL.gigabytes(players) / nodes / rules.node_gigabytes
        busy = rate * MODEL.redis.mean(MODEL.mix) / nodes / 1e6
        return memory <= rules.filled and busy <= rules.busy

    nodes = MODEL.nodes(players, rate)
    assert holds(nodes)
    assert nodes == 1 or not holds(nodes - 1)


def test_partitions_add_submits_but_hardly_any_standings() -> None:
    """On one board submits grow with its primaries; standings, each of which asks all, do not beyond a bound."""
    submits, standings = (
        msgspec.structs.replace(MODEL, mix=mix) for mix in (Routes(0, 0, 100), Routes(standing=100, page=0, submit=0))
    )
    assert submits.most_requests(16) == 16 * submits.most_requests(1)
    assert standings.most_requests(64) < MODEL.rules.busy * 1e6 / MODEL.redis.part


def test_dear_and_slow_ways_are_not_the_right_one() -> None:
    """The right way is the cheapest that does it: a price or a limit that changes, changes it."""
    prices = msgspec.structs.replace(MODEL.prices, core_hour=1000.0)
    dear = msgspec.structs.replace(MODEL, prices=prices)
    assert "| Momento |" in "".join(dear.ways())
    assert "| embedded |" in "".join(MODEL.ways())
