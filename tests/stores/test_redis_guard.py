"""The guard of boards on Redis: it refuses and holds what that of the embedded store does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.stores.redis.store import RedisStore
from tests.stores.test_guard import (
    test_concurrent_submits,
    test_first_step,
    test_foreign_runs,
    test_held,
    test_held_contradicts,
    test_held_downwards,
    test_held_goes_with_its_board,
    test_held_of_a_hidden_name,
    test_held_sums,
    test_held_sums_that_cannot_be,
    test_longer_runs_are_those_to_come,
    test_max_step,
    test_operator_passes_the_guard,
    test_pages_of_held,
    test_rate,
    test_rate_in_a_batch,
    test_rate_that_changes,
    test_refused_counts_for_nothing,
    test_release_of_what_was_replaced,
    test_release_that_is_refused,
    test_release_under_latest,
    test_run_is_used_once,
    test_runs_by_a_clock_that_jumps,
    test_time_of_a_run,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.clock import Clock
    from tests.redis_servers import Node

__all__ = [
    "test_concurrent_submits",
    "test_first_step",
    "test_foreign_runs",
    "test_held",
    "test_held_contradicts",
    "test_held_downwards",
    "test_held_goes_with_its_board",
    "test_held_of_a_hidden_name",
    "test_held_sums",
    "test_held_sums_that_cannot_be",
    "test_longer_runs_are_those_to_come",
    "test_max_step",
    "test_operator_passes_the_guard",
    "test_pages_of_held",
    "test_rate",
    "test_rate_in_a_batch",
    "test_rate_that_changes",
    "test_refused_counts_for_nothing",
    "test_release_of_what_was_replaced",
    "test_release_that_is_refused",
    "test_release_under_latest",
    "test_run_is_used_once",
    "test_runs_by_a_clock_that_jumps",
    "test_time_of_a_run",
]
pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(redis_server: Node, clock: Clock) -> AsyncIterator[RedisStore]:
    """Open a store."""
    store = RedisStore(redis_server.url, clock)
    yield store
    await store.close()
