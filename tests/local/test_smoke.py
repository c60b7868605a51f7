"""What tries out a deployed stage finds nothing wrong with one that is right, and what is wrong with another."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from infra import smoke
from tests.access.ways import KeyRing, serving
from tests.newcomer import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.local.conftest import Stack

NAMES = [check.name for check in smoke.list_checks("b")]


class Wrong(BaseHTTPRequestHandler):
    """Answers whatever is asked with 200 and JSON that is none of ours."""

    def answer(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - as its base has it

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def wrong() -> Iterator[str]:
    """Serve what is wrong; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def try_out(*words: str, **variables: str) -> tuple[int, list[str]]:
    """Run it as the workflow does, by a Python that has none of our packages; return its status, and what it wrote."""
    python = [sys.executable, "-S", "-m", "infra.smoke", *words]
    done = subprocess.run(
        python, cwd=ROOT, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, (done.stdout or done.stderr).splitlines()


@pytest.mark.slow
def test_right_stage(stack: Stack) -> None:
    """Each check of a stage that is right is named, and succeeds; a slash after the address is none of the path."""
    assert try_out(f"{stack.url}/") == (0, [f"ok     {name}" for name in NAMES])


def test_key_is_shown(tmp_path: Path) -> None:
    """A stage that asks for a key is right with the one in the environment, and wrong without."""
    ring = KeyRing()
    ring.add("smoke", ["read", "submit"])
    with serving(tmp_path / "data", ring.write(tmp_path / "access.toml")) as server:
        assert try_out(server.url, LAURELS_KEY=ring.secrets["smoke"])[0] == 0
        assert try_out(server.url)[0] == 1


def test_wrong_stage() -> None:
    """Each check that fails says what was answered."""
    with wrong() as url:
        status, lines = try_out(url)
    assert status == 1
    assert lines == [f"failed {name}: 200 b'[]'" for name in NAMES]


def test_no_stage() -> None:
    """One that does not answer in time is not ready, with the reason."""
    status, (line,) = try_out("http://127.0.0.1:9", "--wait", "0.1")
    assert status == 1
    assert line.startswith("failed the stage is not ready: 0 b'<urlopen error")


def test_no_address() -> None:
    """What is no address is refused before anything is sent."""
    status, lines = try_out("file:///etc/passwd")
    assert status == 2
    assert "begins with https://" in lines[-1]
