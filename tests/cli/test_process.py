"""The command line in a process of its own, with pipes and terminals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.asking import ask
from tests.cli.conftest import start
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Server


def read_terminal(terminal: int) -> str:
    """Read a terminal to its end."""
    text = b""
    with suppress(OSError):  # EIO is how a terminal ends
        while more := os.read(terminal, 65536):
            text += more
    os.close(terminal)
    return text.decode()


def test_import_on_a_terminal(server: Server, board: str, tmp_path: Path) -> None:
    """On a terminal an import shows its progress, and at the end how many rows were kept."""
    (tmp_path / "in.tsv").write_text("".join(f"v{score}\t{score}\n" for score in range(5000)))
    ours, theirs = pty.openpty()
    with start(server.url, "import", tmp_path / "in.tsv", "--board", board, stderr=theirs) as process:
        os.close(theirs)
        shown = read_terminal(ours)
    assert process.returncode == 0
    assert "100%" in shown
    assert "Kept 5,000 of 5,000 rows" in shown


def test_import_without_a_terminal(server: Server, board: str, tmp_path: Path) -> None:
    """Without a terminal there is one line, without colour or progress."""
    (tmp_path / "in.tsv").write_text("v\t1\n")
    with start(server.url, "import", tmp_path / "in.tsv", "--board", board) as process:
        out, err = process.communicate()
    assert out == ""
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_interrupted_import(server: Server, board: str) -> None:
    """Ctrl-C ends an import that waits for its stdin; it says how far it came, with exit status 130."""
    ours, theirs = pty.openpty()
    with start(server.url, "import", "-", "--board", board, stdin=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        assert os.read(ours, 1)  # it shows its progress, so it has begun
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        shown = read_terminal(ours)
    assert "Stopped after line 0: " in shown
    assert "Traceback" not in shown


def test_export_into_head(server: Server, board: str, tmp_path: Path) -> None:
    """An export ends without a message when the reader of its pipe leaves."""
    (tmp_path / "in.tsv").write_text("".join(f"{score:0250}\t{score}\n" for score in range(1000)))
    with start(server.url, "import", tmp_path / "in.tsv", "--board", board) as process:
        process.communicate()
    with start(server.url, "export", board, "--scores-only") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "name\tscore\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_serve_in_a_taken_directory(tmp_path: Path) -> None:
    """A second server on a data directory ends with exit status 1 and names the process that has it."""
    with running(tmp_path) as server, start("", "serve", "--port", 0, "--data", tmp_path) as second:
        error = second.communicate(timeout=30)[1]
    assert second.returncode == 1
    assert "Traceback" not in error
    assert f"The data directory {tmp_path} is in use by process {server.process.pid}." in error


def test_serve_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a server may be in the environment."""
    monkeypatch.setenv("LAURELS_ORDER", "ascending")
    with running(tmp_path) as server:
        for name, score in {"v": 2, "silverhand": 1}.items():
            ask(server, "POST", f"/laps/{name}", {"score": score})
        assert ask(server, "GET", "/laps/silverhand").json["rank"] == 0
