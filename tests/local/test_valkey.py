"""The serverless stack with Valkey, on this machine: the asset of a deployment, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask
from tests.conftest import running
from tests.local.conftest import stack_running
from tests.local.test_same_bytes import CALLS, SUBMITS, Call, reply_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.local.conftest import Stack

pytestmark = pytest.mark.slow

BOARDS = """
[boards.distance]
operator = "increment"
ties = "earliest"
windows = ["daily"]

[boards.laps]
order = "ascending"
ranking = "dense"
scores = { min = 0, integer = true }
"""
MORE = [
    Call("POST", "/same/v", b'{"score":2079,"metadata":{"car":7}}'),
    Call("POST", "/same/w", b'{"score":1}', {"idempotency-key": "1"}),
    Call("POST", "/same/w", b'{"score":1}', {"idempotency-key": "1"}),
    Call("POST", "/same/w", b'{"score":2}', {"idempotency-key": "1"}),
    Call("POST", "/distance/v", b'{"score":1}', {"prefer": "return=representation"}),
    Call("GET", "/same?include=metadata"),
    Call("GET", "/same?around=v&span=2"),
    Call("GET", "/same?name=v&name=silverhand"),
    Call("GET", "/same?minScore=1&maxScore=99"),
    Call("GET", "/distance?window=daily"),
    Call("GET", "/distance/v?window=daily"),
]
"""What Momento cannot answer, and Valkey does."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Stack]]:
    """Yield the self-hosted service and the stack with Valkey, with the same boards declared and the same entries."""
    boards = tmp_path_factory.mktemp("boards") / "boards.toml"
    boards.write_text(BOARDS)
    options = ("--store", "valkey", "--boards", str(boards))
    with (
        running(tmp_path_factory.mktemp("served"), "--boards", str(boards)) as server,
        stack_running(tmp_path_factory.mktemp("stack"), *options) as stack,
    ):
        for one in (server, stack):
            assert {ask(one, "POST", path, {"score": score}).status for path, score in SUBMITS} == {202}
        yield server, stack


@pytest.mark.parametrize("call", [*CALLS, *MORE], ids=lambda call: f"{call.method} {call.path[:40]} {call.body!r:.30}")
def test_same_answer(both: tuple[Server, Stack], call: Call) -> None:
    """A request has the same answer, to the byte, however the service is run."""
    self_hosted, serverless = both
    assert reply_of(serverless, call) == reply_of(self_hosted, call)


@pytest.mark.parametrize(("method", "path"), [("PUT", "/same/v"), ("DELETE", "/same/v"), ("POST", "/same")])
def test_routes_stay_three(both: tuple[Server, Stack], method: str, path: str) -> None:
    """The gateway has the same routes as with Momento."""
    assert ask(both[1], method, path, {}).status == 405


def test_without_a_server(tmp_path: Path) -> None:
    """Where no server of Valkey or Redis is installed, the error says what to install."""
    command = [sys.executable, "-m", "infra.local", "--store", "valkey", "--port", "0", "--directory", str(tmp_path)]
    own = os.environ | {"PATH": str(tmp_path)}
    ended = subprocess.run(command, env=own, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "apt install redis-server" in ended.stderr
