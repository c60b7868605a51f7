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
    """A running ``laurels momento-local``; stubs speak to it past the SDKs."""

    def __init__(self, process: subprocess.Popen[str], told: Connections, channel: grpc.Channel) -> None:
        self.process = process
        self.told = told
        self.host = told.host
        self.port = told.port
        self.caches = controlclient_pb2_grpc.ScsControlStub(channel)  # type: ignore[no-untyped-call]
        self.items = cacheclient_pb2_grpc.ScsStub(channel)  # type: ignore[no-untyped-call]
        self.topics = cachepubsub_pb2_grpc.PubsubStub(channel)  # type: ignore[no-untyped-call]

    @property
    def credentials(self) -> CredentialProvider:
        """What every client of the Python SDK takes."""
        return CredentialProvider.for_momento_local(self.host, self.port)

    def new_cache(self) -> str:
        """Make a cache of a name that no other test has; give the name."""
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
            told = msgspec.json.decode(stdout.readline(), type=Connections)
            with grpc.insecure_channel(f"{told.host}:{told.port}") as channel:
                yield Momento(process, told, channel)
        finally:
            end(process)


@pytest.fixture(scope="session")
def momento() -> Iterator[Momento]:
    """Give one local Momento server for the whole run; a test uses caches of its own."""
    with momento_running() as momento:
        yield momento
