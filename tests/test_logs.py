"""The log of a process that serves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import logging, sys
from laurels.logs import WAITING_LINES, writing_logs
with writing_logs("json"):
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("laurels").exception("Failed")
    logging.getLogger("laurels").info("%d lines", "no number")
    for number in range(3 * WAITING_LINES if "flood" in sys.argv else 0):
        logging.getLogger("laurels").info("%d %s", number, "x" * 100)
print("ended")
"""


LINES = """
import logging, sys
from laurels.logs import writing_logs
with writing_logs(sys.argv[1]):
    logging.getLogger("laurels").info("%s", chr(10) + chr(27) + "[31m" + chr(0x202e) + chr(0x9b))
    try:
        raise ValueError(chr(27) + "]0;x" + chr(7))
    except ValueError:
        logging.getLogger("laurels").exception("Failed")
"""


OF_LEVELS = """
import logging, sys
from laurels.logs import writing_logs
with writing_logs("text", sys.argv[1]):
    for name in ("laurels.stores", "laurels.requests", "uvicorn.error", "httpx"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "by %s", name)
"""


@pytest.mark.parametrize(
    ("level", "ours"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_levels(level: str, ours: int) -> None:
    """The level is that of our own lines; the request log is as it was asked for, and others only warn."""
    done = subprocess.run([sys.executable, "-c", OF_LEVELS, level], capture_output=True, check=True, timeout=60)
    lines = done.stderr.decode()
    counts = [lines.count(f"by {name}") for name in ("laurels.stores", "laurels.requests", "uvicorn.error", "httpx")]
    assert counts == [ours, 3, 2, 2]


def test_debug(tmp_path: Path) -> None:
    """What is logged to find a fault is ours alone, and has what the service does by itself."""
    file = tmp_path / "access.toml"
    file.write_text("[public]\nscopes = ['read']\n")
    options = ("--log-level", "debug", "--log-format", "json", "--access", str(file))
    with running(tmp_path / "data", *options) as server:
        server.stop()
        server.reading.join(30)
    lines = [json.loads(line) for line in server.log]
    said = " ".join(line["message"] for line in lines if line["level"] == "DEBUG")
    assert "Loaded 0 entries and replayed 0 changes of 0 boards" in said
    assert "The access file in use has 0 keys, and no tokens are taken" in said
    assert {line["logger"].partition(".")[0] for line in lines} == {"laurels"}


@pytest.mark.parametrize("kind", ["text", "json"])
def test_lines_are_shown(kind: str) -> None:
    """What a message or a traceback repeats of others is shown, not obeyed, and makes no lines."""
    done = subprocess.run([sys.executable, "-c", LINES, kind], capture_output=True, check=True, timeout=60)
    lines = done.stderr.decode().splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[0].endswith(r"INFO \n\x1b[31m\u202e\x9b") or json.loads(lines[0])["message"] == "\n\x1b[31m\u202e\x9b"
    assert r"ValueError: \x1b]0;x\x07" in lines[-1] or json.loads(lines[-1])["traceback"].endswith("\x1b]0;x\x07")


def test_traceback_is_a_field() -> None:
    """A traceback is part of its line's object, and a line that cannot be formatted does not end the log."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    line, bad = done.stderr.splitlines()
    assert "cannot be formatted: '%d lines'" in bad
    assert json.loads(line)["message"] == "Failed"
    assert "ZeroDivisionError" in json.loads(line)["traceback"]


def test_reader_that_stops() -> None:
    """Nobody reads standard error: the process goes on and ends all the same."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "flood"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ended\n"
        process.kill()
