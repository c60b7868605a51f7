"""What the tests of the local Momento server share."""

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
    """Run the coroutines of tests on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
async def one_loop(anyio_backend: str) -> None:  # noqa: ARG001 - it comes first
    """Keep the loop for all of them: what gRPC still has for one that is closed fails in the next."""
    return


@pytest.fixture
def cache(momento: Momento) -> str:
    """Return an empty cache."""
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
