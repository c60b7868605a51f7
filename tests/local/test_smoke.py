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
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.local.conftest import Stack

    Trying = Callable[..., tuple[int, list[str]]]

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


def try_out(*words: str) -> tuple[int, list[str]]:
    """Run it as the workflow does, by a Python that has none of our packages; return its status, and what it wrote."""
    python = [sys.executable, "-S", "-m", "infra.smoke", *words]
    done = subprocess.run(python, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout or done.stderr).splitlines()


@pytest.fixture
def try_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trying:
    """Return what runs it in this process, and returns its status, and what it wrote."""

    def try_out(*words: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["smoke", *words])
        with pytest.raises(SystemExit) as ended:
            smoke.main()
        assert isinstance(ended.value.code, int)
        said = capsys.readouterr()
        return ended.value.code, (said.out or said.err).splitlines()

    return try_out


@pytest.mark.slow
def test_right_stage(stack: Stack, try_here: Trying) -> None:
    """Each check of a stage that is right is named, and succeeds; a slash after the address is none of the path."""
    all_right = (0, [f"ok     {name}" for name in NAMES])
    assert try_out(f"{stack.url}/") == all_right
    assert try_here(f"{stack.url}/") == all_right


def test_key_is_shown(tmp_path: Path, try_here: Trying, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that asks for a key is right with the one in the environment, and wrong without."""
    ring = KeyRing()
    ring.add("smoke", ["read", "submit"])
    with serving(tmp_path / "data", ring.write(tmp_path / "access.toml")) as server:
        assert try_here(server.url)[0] == 1
        monkeypatch.setenv("LAURELS_KEY", ring.secrets["smoke"])
        assert try_here(server.url)[0] == 0


def test_wrong_stage(try_here: Trying) -> None:
    """Each check that fails says what was answered."""
    with wrong() as url:
        status, lines = try_here(url)
    assert status == 1
    assert lines == [f"failed {name}: 200 b'[]'" for name in NAMES]


def test_no_stage(try_here: Trying, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not answer in time is not ready, with the reason."""
    monkeypatch.setattr(smoke, "PAUSE_SECONDS", 0.01)
    status, (line,) = try_here("http://127.0.0.1:9", "--wait", "0.1")
    assert status == 1
    assert line.startswith("failed the stage is not ready: 0 b'<urlopen error")


def test_no_address(try_here: Trying) -> None:
    """What is no address is refused before anything is sent."""
    status, lines = try_here("file:///etc/passwd")
    assert status == 2
    assert "begins with https://" in lines[-1]
