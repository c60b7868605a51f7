"""The command line as a process, with pipes and terminals."""

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


def said(terminal: int) -> str:
    """Read a terminal to its end."""
    text = b""
    with suppress(OSError):  # EIO is how a terminal ends
        while more := os.read(terminal, 65536):
            text += more
    os.close(terminal)
    return text.decode()


def test_import_on_a_terminal(server: Server, board: str, tmp_path: Path) -> None:
    """A terminal sees how far an import has come, and at last how many rows were kept."""
    (tmp_path / "in.tsv").write_text("".join(f"v{score}\t{score}\n" for score in range(5000)))
    ours, theirs = pty.openpty()
    with start(server.url, "import", tmp_path / "in.tsv", "--board", board, stderr=theirs) as process:
        os.close(theirs)
        shown = said(ours)
    assert process.returncode == 0
    assert "100%" in shown
    assert "Kept 5,000 of 5,000 rows" in shown


def test_import_without_a_terminal(server: Server, board: str, tmp_path: Path) -> None:
    """Without a terminal there is one line, and neither colour nor movement."""
    (tmp_path / "in.tsv").write_text("v\t1\n")
    with start(server.url, "import", tmp_path / "in.tsv", "--board", board) as process:
        out, err = process.communicate()
    assert (out, err.count("\n"), "\x1b" in err) == ("", 1, False)


def test_interrupted_import(server: Server, board: str) -> None:
    """Ctrl-C ends an import that waits for its stdin, tells how far it came, and has exit status 130."""
    ours, theirs = pty.openpty()
    with start(server.url, "import", "-", "--board", board, stdin=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        assert os.read(ours, 1)  # the progress is shown: it has begun
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        shown = said(ours)
    assert "Stopped after line 0: " in shown
    assert "Traceback" not in shown


def test_export_into_head(server: Server, board: str, tmp_path: Path) -> None:
    """A pipe whose reader leaves ends an export without a word."""
    (tmp_path / "in.tsv").write_text("".join(f"{score:0250}\t{score}\n" for score in range(1000)))
    with start(server.url, "import", tmp_path / "in.tsv", "--board", board) as process:
        process.communicate()
    with start(server.url, "export", board) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "name\tscore\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_serve_in_a_taken_directory(tmp_path: Path) -> None:
    """The second server of a data directory is told who has it, and ends with exit status 1."""
    with running(tmp_path) as server, start("", "serve", "--port", 0, "--data", tmp_path) as second:
        told = second.communicate(timeout=30)[1]
    assert (second.returncode, "Traceback" in told) == (1, False)
    assert f"The data directory {tmp_path} is in use by process {server.process.pid}." in told


def test_serve_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a server may stand in the environment."""
    monkeypatch.setenv("LAURELS_ORDER", "ascending")
    with running(tmp_path) as server:
        for name, score in {"v": 2, "silverhand": 1}.items():
            ask(server, "POST", f"/laps/{name}", {"score": score})
        assert ask(server, "GET", "/laps/silverhand").json["rank"] == 0
