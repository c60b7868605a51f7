"""The service over both adapters: our protocol, and ASGI under a server that knows nothing of us."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from laurels.adapters.request_counts import RequestCounts
from laurels.assembly import list_operations
from laurels.settings import Settings
from tests.conftest import Server, started

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVED = tuple({(each.method, each.path): each for each in list_operations(Settings(), RequestCounts(), dict)}.values())
"""The operations of a service with default settings."""
ASGI = [sys.executable, "-m", "uvicorn", "--factory", "laurels.assembly:application", "--port", "0"]
ASGI += ["--no-proxy-headers"]  # or uvicorn believes whoever comes over loopback


@pytest.fixture(scope="session", params=["protocol", "asgi"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the service over each adapter."""
    if request.param == "protocol":
        yield request.getfixturevalue("server")
    else:
        data = tmp_path_factory.mktemp("asgi")
        with started(ASGI, os.environ | {"LAURELS_DATA": str(data)}) as server:
            yield server


@pytest.fixture
def board(request: pytest.FixtureRequest) -> str:
    """Return the name of a board of the test's own."""
    return "board-" + str(abs(hash(request.node.nodeid)))
