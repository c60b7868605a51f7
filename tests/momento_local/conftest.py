"""What the tests of the local Momento server share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from momento import CacheClientAsync, Configurations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.momento import Momento


@pytest.fixture
def anyio_backend() -> str:
    """Run the coroutines of tests on asyncio."""
    return "asyncio"


@pytest.fixture
def cache(momento: Momento) -> str:
    """Give an empty cache."""
    return momento.new_cache()


@pytest.fixture
async def client(momento: Momento, anyio_backend: str) -> AsyncIterator[CacheClientAsync]:  # noqa: ARG001 - first
    """Give a client of the official SDK, with a TTL of an hour."""
    async with CacheClientAsync(Configurations.Laptop.v1(), momento.credentials, timedelta(hours=1)) as client:
        yield client
