"""The stack as a process: failures of its parts, and its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from infra.local.__main__ import main
from tests.asking import ask
from tests.local.conftest import stack_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.conftest import Stack

pytestmark = pytest.mark.slow


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def faults(stack: Stack) -> Iterator[httpx.Client]:
    """Yield a client that sets the faults of the local Momento server; they are cleared at the end."""
    momento = stack.places.momento
    headers = {"authorization": momento["MOMENTO_API_KEY"]}
    with httpx.Client(base_url=momento["MOMENTO_ACCOUNT_URL"], headers=headers) as account:
        yield account
        account.put("/-/faults", json={"faults": []}).raise_for_status()


@pytest.mark.parametrize(
    ("fault", "status"),
    [("SortedSetGetScore:RESOURCE_EXHAUSTED:9", 429), ("SortedSetGetRank:UNAVAILABLE:99", 503)],
    ids=["limit", "outage"],
)
def test_momento_fails(stack: Stack, faults: httpx.Client, fault: str, status: int) -> None:
    """A limit or an outage of Momento is answered with when to try again, and then all is as before."""
    ask(stack, "POST", "/faulty/v", {"score": 1})
    faults.put("/-/faults", json={"faults": [fault]}).raise_for_status()
    reply = ask(stack, "GET", "/faulty/v")
    assert reply.status == status
    assert reply.json["status"] == status
    assert int(reply.headers["retry-after"]) > 0
    faults.put("/-/faults", json={"faults": []}).raise_for_status()
    assert ask(stack, "GET", "/faulty/v").json == {"score": 1, "rank": 0}


@pytest.mark.parametrize(
    ("started", "how"),
    [(1, signal.SIGINT), (2, signal.SIGTERM), (3, signal.SIGINT)],
    ids=["momento", "ssm", "a function"],
)
def test_end_before_it_serves(tmp_path: Path, started: int, how: signal.Signals) -> None:
    """After a signal during its start the stack ends, and leaves no process behind."""
    command = [sys.executable, "-m", "infra.local", "--port", "0", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while len(parts := children(process.pid)) < started:
            assert process.poll() is None
        process.send_signal(how)
        assert process.wait(20) == 0
    assert not [pid for pid in parts if Path(f"/proc/{pid}").exists()]


def test_among_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables for proxies and AWS are ignored; a function's process that is killed is replaced; none is left behind.

    Nothing is lost with a function's process; one request may fail meanwhile.
    """
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name, value in {"AWS_PROFILE": "nobody", "AWS_DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(name, value)
    with stack_running(tmp_path) as stack:
        assert ask(stack, "POST", "/b/v", {"score": 1}).status == 202
        for pid in children(stack.process.pid):
            if "get_standing" in Path(f"/proc/{pid}/cmdline").read_text():
                subprocess.run(["kill", "-9", str(pid)], check=True)
        assert ask(stack, "GET", "/b/v").status in {200, 502}
        assert ask(stack, "GET", "/b/v").json == {"score": 1, "rank": 0}
        started = children(stack.process.pid)
        assert stack.stop(signal.SIGINT) == 0
    assert len(started) == 5
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is in use is an error that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "infra.local", "--port", port, "--directory", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "another with --port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", [(), ("--boards", "boards.toml")])
def test_not_beyond_this_machine(tmp_path: Path, option: tuple[str, ...]) -> None:
    """Beyond loopback the stack does not start, unless something says who may do what, or that it is open."""
    words = ["--host", "0.0.0.0", "--port", "0", *option, "--directory", str(tmp_path)]  # noqa: S104 - refused
    ended = CliRunner().invoke(main, words)
    assert ended.exit_code == 2
    assert "give --access FILE, --api-key NAME or --open, or leave --host out" in ended.stderr


def test_stage_that_aws_refuses(tmp_path: Path) -> None:
    """A stage whose name could not be deployed is refused here too."""
    command = [sys.executable, "-m", "infra.local", "--stage", "a_b", "--directory", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "stageName" in ended.stderr
