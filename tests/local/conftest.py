"""The whole serverless stack, for all tests in this directory."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import msgspec
import pytest

from infra.local.runtime import REGION
from infra.local.stack import Places
from tests.conftest import Server
from tests.infra.conftest import BOARDS
from tests.processes import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Stack(Server):
    """A running ``python -m infra.local``."""

    def __init__(self, process: subprocess.Popen[str], places: Places) -> None:
        super().__init__(process, places.url)
        self.places = places

    @property
    def ssm(self) -> Any:
        """A client of the stack's parameters, for what an operator does."""
        return boto3.client(
            "ssm",
            endpoint_url=self.places.ssm_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - moto takes any
        )


@contextmanager
def stack_running(directory: Path, *options: str) -> Iterator[Stack]:
    """Run the stack on free ports, until the end of the block."""
    command = [sys.executable, "-m", "infra.local", "--port", "0", "--json", "--directory", str(directory), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as stdout:
        try:
            yield Stack(process, msgspec.json.decode(stdout.readline(), type=Places))
        finally:
            end(process)
            assert process.returncode == 0  # as after SIGTERM, or what a test sent


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield one stack for the whole run, with declared boards; each test has its own names of boards."""
    with stack_running(tmp_path_factory.mktemp("stack"), "--boards", str(BOARDS)) as stack:
        yield stack
