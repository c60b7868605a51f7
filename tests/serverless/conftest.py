"""A real SSM server for the functions, moto's."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from botocore.session import Session

from tests.conftest import Server, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARAMETER = "/leaderboard-api/dev/momento-api-key"
AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}


class ParameterStore:
    """A running SSM server, and what its owner does to its parameters."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.environment = AWS | {"AWS_ENDPOINT_URL_SSM": server.url}
        session = Session()
        session.set_credentials("x", "x")
        self._client = session.create_client("ssm", region_name="eu-central-1", endpoint_url=server.url)

    def put(self, value: str, name: str = PARAMETER) -> None:
        """Keep a value, in place of any there was."""
        self._client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def delete(self, name: str = PARAMETER) -> None:
        """Keep it no longer, if it was kept."""
        self._client.delete_parameters(Names=[name])


@pytest.fixture
def anyio_backend() -> str:
    """Run the coroutines of tests on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def running_ssm() -> Iterator[Callable[[], ParameterStore]]:
    """Give an SSM server; one that a test has stopped is replaced."""
    stores: list[ParameterStore] = []
    with ExitStack() as running:

        def give() -> ParameterStore:
            if not stores or stores[-1].server.process.poll() is not None:
                command = [sys.executable, "-m", "moto.server", "-p", "0"]
                stores.append(ParameterStore(running.enter_context(started(command))))
            return stores[-1]

        yield give


@pytest.fixture
def ssm(running_ssm: Callable[[], ParameterStore], monkeypatch: pytest.MonkeyPatch) -> ParameterStore:
    """Give an SSM server without our parameter, to which this process and its children turn."""
    store = running_ssm()
    store.delete()
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store
