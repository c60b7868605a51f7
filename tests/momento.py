"""A local Momento server in a process of its own, for any test that needs one."""

from __future__ import annotations

import itertools
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import msgspec
import pytest
from momento import CredentialProvider
from momento_wire_types import cacheclient_pb2_grpc, cachepubsub_pb2_grpc, controlclient_pb2, controlclient_pb2_grpc

from laurels.momento_local.connecting import Connections
from tests.processes import end

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = itertools.count(1)


class Momento:
    """A running ``laurels momento-local``, with stubs that call it without an SDK."""

    def __init__(self, process: subprocess.Popen[str], connections: Connections, channel: grpc.Channel) -> None:
        self.process = process
        self.connections = connections
        self.host = connections.host
        self.port = connections.port
        self.channel = channel
        self.caches = controlclient_pb2_grpc.ScsControlStub(channel)  # type: ignore[no-untyped-call]
        self.items = cacheclient_pb2_grpc.ScsStub(channel)  # type: ignore[no-untyped-call]
        self.topics = cachepubsub_pb2_grpc.PubsubStub(channel)  # type: ignore[no-untyped-call]

    @property
    def credentials(self) -> CredentialProvider:
        """The credentials for clients of the Python SDK."""
        return CredentialProvider.for_momento_local(self.host, self.port)

    def new_cache(self) -> str:
        """Make a cache with a name that no other test has; return the name."""
        name = f"cache-{next(NUMBERS)}"
        self.caches.CreateCache(controlclient_pb2._CreateCacheRequest(cache_name=name))
        return name


@contextmanager
def momento_running(*options: str) -> Iterator[Momento]:
    """Run ``laurels momento-local`` on free ports, to the end of the block."""
    ports = ["--port", "0", "--account-port", "0"]
    command = [sys.executable, "-m", "laurels", "momento-local", *ports, "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as stdout:
        try:
            connections = msgspec.json.decode(stdout.readline(), type=Connections)
            with grpc.insecure_channel(f"{connections.host}:{connections.port}") as channel:
                yield Momento(process, connections, channel)
        finally:
            end(process)


@pytest.fixture(scope="session")
def momento() -> Iterator[Momento]:
    """Yield one local Momento server for the whole run; a test makes caches of its own."""
    with momento_running() as momento:
        yield momento
