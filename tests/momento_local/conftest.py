"""Fixtures of the tests of the local Momento server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from momento import CacheClientAsync, Configurations

from tests.momento import momento_running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.momento import Momento


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
async def one_loop(anyio_backend: str) -> None:  # noqa: ARG001 - it must be set up first
    """Keep one loop for all tests: gRPC's leftovers of a closed loop would fail in the next one."""
    return


@pytest.fixture
def cache(momento: Momento) -> str:
    """Return the name of a new, empty cache."""
    return momento.new_cache()


@pytest.fixture
async def client(momento: Momento, one_loop: None) -> AsyncIterator[CacheClientAsync]:  # noqa: ARG001 - first
    """Yield a client of the official SDK, with a TTL of an hour."""
    async with CacheClientAsync(Configurations.Laptop.v1(), momento.credentials, timedelta(hours=1)) as client:
        yield client


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Momento]:
    """Yield a server that listens with TLS too."""
    authority = tmp_path_factory.mktemp("secure") / "ca.pem"
    with momento_running("--tls", "--ca-file", str(authority)) as momento:
        yield momento
