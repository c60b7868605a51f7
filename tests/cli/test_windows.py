"""Commands where Python has no fcntl, no resource and no SIGHUP, as on Windows.

That much can be proved on another system: what Python itself does otherwise there, this does not show.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

WITHOUT = """
import os, signal, sys
sys.modules |= dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios", "uvloop"))
for module, names in ((signal, "SIGHUP SIGWINCH"), (os, "fork fchown getuid geteuid O_CLOEXEC O_DIRECTORY")):
    for name in names.split():
        delattr(module, name)
"""
MAIN = "from laurels.cli import main; main(prog_name='laurels')"
REFUSED = "Error: The service does not run on Windows, which has neither its event loop (uvloop) nor its locks on files"


def run_there(*command: object, program: str = MAIN, key: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command, or another program, where those are missing."""
    measuring = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program, *(str(word) for word in command)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=measuring | ({"LAURELS_KEY": key} if key else {}),
    )


def test_client_commands(server: Server) -> None:
    """They ask a service as everywhere, with a key too."""
    done = run_there("submit", "mario-kart", "v", 7, "--server", server.url, key="a.token.of-somebody")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(server, "GET", "/mario-kart/v").json == {"score": 7, "rank": 0}
    assert "v" in run_there("top", "mario-kart", "--server", server.url).stdout


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_service(command: str) -> None:
    """It is refused with the reason, and not by a traceback."""
    refused = run_there(command)
    assert refused.returncode == 1
    assert refused.stderr.startswith(REFUSED)
    assert refused.stderr.count("\n") == 1


def test_help() -> None:
    """The list of commands says which of them do not run there."""
    listed = run_there("--help")
    assert listed.returncode == 0
    refused = {line.split()[0] for line in listed.stdout.splitlines() if line.endswith("(not on Windows)")}
    assert refused >= {"serve", "demo"}
    assert not refused & {"submit", "top", "boards", "access", "move"}


def test_directory(tmp_path: Path) -> None:
    """A directory of the embedded store is refused as the service is, and so is its engine itself."""
    refused = run_there("move", "http://127.0.0.1:1", tmp_path / "copy")
    assert refused.returncode == 1
    assert REFUSED in refused.stderr
    program = "from laurels.optional import load; load('laurels.stores.embedded.store:EmbeddedStore')"
    assert "NotOnWindows: This does not run on Windows" in run_there(program=program).stderr


def test_index() -> None:
    """The index is there."""
    program = "from laurels.ranking import Index; index = Index(); index.put('v', 7); print(index.standing('v'))"
    assert run_there(program=program).stdout == "(7, 0)\n"


def test_access_file(tmp_path: Path) -> None:
    """An access file is made and checked; it is edited by hand, because nothing would keep two edits apart."""
    file = tmp_path / "access.toml"
    assert run_there("access", "init", file).returncode == 0
    assert run_there("access", "check", file).returncode == 0
    before = file.read_text()
    refused = run_there("keys", "create", "second", "--scope", "read", "--access", file)
    assert "edit it by hand" in refused.stderr
    assert file.read_text() == before
