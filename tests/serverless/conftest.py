"""What the functions need: a real SSM server (moto's), and processes that work as Lambda's execution environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from botocore.session import Session

from tests.conftest import Server, started
from tests.processes import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.momento import Momento

PARAMETER = "/leaderboard-api/dev/momento-api-key"
AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}


class ParameterStore:
    """A running SSM server, with what its owner does to its parameters."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.environment = AWS | {"AWS_ENDPOINT_URL_SSM": server.url}
        session = Session()
        session.set_credentials("x", "x")
        self._client = session.create_client("ssm", region_name="eu-central-1", endpoint_url=server.url)

    def put(self, value: str, name: str = PARAMETER) -> None:
        """Store a value, in place of the one that may be there."""
        self._client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def delete(self, name: str = PARAMETER) -> None:
        """Delete a parameter, if it is there."""
        self._client.delete_parameters(Names=[name])


class Execution:
    """A running execution environment; it writes to the file ``log``."""

    def __init__(self, process: subprocess.Popen[str], answers: IO[str], log: Path) -> None:
        self._process = process
        self._answers = answers
        self._log = log

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Call a function with an event; return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"function": function, "event": event}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer

    @property
    def text(self) -> str:
        """The whole log."""
        return self._log.read_text()

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return our log lines with this message."""
        return [line for line in self._read_lines() if line.get("message") == message]

    @property
    def environment(self) -> str:
        """The variables that the process was started with."""
        return Path(f"/proc/{self._process.pid}/environ").read_text()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The metrics, in CloudWatch's embedded format."""
        return [line for line in self._read_lines() if "_aws" in line]

    def _read_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]


@contextmanager
def executing(settings: dict[str, str], log: Path) -> Iterator[Execution]:
    """Run the functions with these settings in a process of their own, until the end of the block."""
    reading, writing = os.pipe()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LAURELS_", "POWERTOOLS_"))
    }
    with os.fdopen(reading) as answers, log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.serverless.invoker import main; main({writing})"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
            pass_fds=[writing],
            env=environment | {"AWS_LAMBDA_FUNCTION_NAME": "laurels-test"} | settings,
        )
        os.close(writing)
        with process:
            if not answers.readline():
                raise AssertionError(log.read_text())
            yield Execution(process, answers, log)


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def running_ssm() -> Iterator[Callable[[], ParameterStore]]:
    """Yield a function that returns a running SSM server; one that a test has stopped is replaced."""
    stores: list[ParameterStore] = []
    with ExitStack() as stack:

        def running() -> ParameterStore:
            if not stores or stores[-1].server.process.poll() is not None:
                command = [sys.executable, "-m", "moto.server", "-p", "0"]
                stores.append(ParameterStore(stack.enter_context(started(command, FOREIGN))))
            return stores[-1]

        yield running


@pytest.fixture
def ssm(running_ssm: Callable[[], ParameterStore], monkeypatch: pytest.MonkeyPatch) -> ParameterStore:
    """Return an SSM server without our parameter; the environment sends this process and its children there."""
    store = running_ssm()
    store.delete()
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def settings(momento: Momento, ssm: ParameterStore) -> dict[str, str]:
    """Return the environment of a function on a cache of its own; SSM has the key."""
    ssm.put(momento.connections.api_key)
    return {
        "LAURELS_STAGE": "dev",
        "LAURELS_KEY_PARAMETER": PARAMETER,
        "LAURELS_MOMENTO_CACHE": momento.new_cache(),
        "LAURELS_MOMENTO_ENDPOINT": momento.connections.endpoint,
    }
